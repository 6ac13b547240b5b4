"""Clipping and the optimizer step on the arena's flat buffers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ablatekit_rft.arena import ALIGNMENT, ParameterArena
from ablatekit_rft.levels.types import OptimizerSpec

CLIP_EPS = 1e-6
"""Added to the norm before dividing, as in torch.nn.utils.clip_grad_norm_."""


@dataclass(frozen=True, slots=True)
class Clipping:
    """The L2 norm of a gradient before clipping, and whether it was clipped."""

    norm: float
    clipped: bool


def flat_norm(flat: Tensor) -> float:
    """L2 norm of a flat buffer whose size is a multiple of `ALIGNMENT`.

    Rows are reduced one by one, so that the order of additions does not depend on the number of
    threads, as it does for a reduction of a large buffer to one number.
    """
    rows = torch.linalg.vector_norm(flat.view(-1, ALIGNMENT), dim=1).double()
    return math.sqrt(rows.square().cpu().numpy().sum())


def clip_gradient(gradient: Tensor, largest: float | None) -> Clipping:
    """Scale the gradient in place to at most `largest`. Raises FloatingPointError if not finite."""
    norm = flat_norm(gradient)
    if not norm < float("inf"):
        raise FloatingPointError(f"the gradient's norm is {norm}")
    clipped = largest is not None and norm > largest
    if largest is not None and clipped:
        gradient.mul_(largest / (norm + CLIP_EPS))
    return Clipping(norm, clipped)


class FlatOptimizer:
    """The optimizer of a run: two flat tensors, of which only the first is decayed."""

    def __init__(self, arena: ParameterArena, spec: OptimizerSpec) -> None:
        parts = (slice(0, arena.decayed), slice(arena.decayed, None))
        decays = (spec.weight_decay, 0.0)
        groups = [
            {"params": [_leaf(arena, part)], "weight_decay": decay}
            for part, decay in zip(parts, decays, strict=True)
            if arena.weights[part].numel()
        ]
        self._optimizer = _build(spec, groups)

    def step(self, learning_rate: float) -> None:
        """Update the weights from the gradient, in place."""
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate
        self._optimizer.step()

    def state(self) -> dict[str, Tensor]:
        """Moments and step counts, by name."""
        state = self._optimizer.state_dict()["state"]
        return {
            f"{index}.{name}": torch.as_tensor(value)
            for index, part in state.items()
            for name, value in part.items()
            if value is not None
        }

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Continue from what `state` gave."""
        whole = self._optimizer.state_dict()
        parts: dict[int, dict[str, Tensor]] = {}
        for key, value in state.items():
            index, name = key.split(".", 1)
            parts.setdefault(int(index), {})[name] = value
        self._optimizer.load_state_dict({**whole, "state": parts})


def _leaf(arena: ParameterArena, part: slice) -> Tensor:
    leaf = arena.weights[part].detach().requires_grad_()
    leaf.grad = arena.gradient[part]
    return leaf


def _build(spec: OptimizerSpec, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    if spec.algorithm == "sgd":
        return torch.optim.SGD(groups, lr=spec.learning_rate, momentum=spec.momentum)
    assert spec.betas is not None
    assert spec.eps is not None
    return torch.optim.AdamW(
        groups, lr=spec.learning_rate, betas=spec.betas, eps=spec.eps, fused=True
    )
