"""What the levels of others give back, checked where it enters a round."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ablatekit.errors import Problem, UsageError
from ablatekit_rft.levels.external import is_external
from ablatekit_rft.levels.types import Level


def checked(level: Level, found: Any, *shapes: tuple[int, ...]) -> Tensor:
    """What a level gave, if it is a finite tensor of one of these shapes; ours always are.

    Raises UsageError otherwise: a mistake in a user's function is no divergence.
    """
    if not is_external(level):
        result: Tensor = found
        return result
    if isinstance(found, Tensor) and found.shape in shapes and bool(found.isfinite().all()):
        return found
    wanted = " or ".join(str(shape) for shape in dict.fromkeys(shapes))
    rule = f"{level.stage} level {level.name!r} must give a finite torch tensor of shape {wanted}"
    remedy = f"Correct what the function gives; ablatekit_rft/levels has those of {level.stage}"
    raise UsageError(Problem(rule, _described(found), remedy))


def checked_pair(level: Level, found: Any, what: str) -> tuple[Any, Any]:
    """The two parts of what a level gave. Raises UsageError when it is no pair."""
    if isinstance(found, tuple) and len(found) == 2:
        return found
    rule = f"{level.stage} level {level.name!r} must give a pair: {what}"
    raise UsageError(Problem(rule, _described(found), "Give both back from the function"))


def _described(found: Any) -> str:
    kind = f"{type(found).__module__}.{type(found).__qualname__}".removeprefix("builtins.")
    shape = getattr(found, "shape", None)
    if shape is None:
        return f"{kind} {found!r}"[:120]
    broken = isinstance(found, Tensor) and not bool(torch.isfinite(found).all())
    return f"{kind} of shape {tuple(shape)}" + (", not finite" if broken else "")
