"""The scale on which levels are in order: what a study may state, and what its levels allow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

from ablatekit.study.scalars import scalar_number

Scale: TypeAlias = Literal["log", "linear", "order"]
"""log: levels are numbers above 0; linear: numbers; order: anything, as listed."""


def level_number(level: str) -> float | None:
    """The number that a level's name spells; None where it spells none that a float can hold."""
    number = scalar_number(level)
    try:
        return None if number is None else float(number)
    except OverflowError:
        return None


def misfit(levels: Sequence[str], scale: Scale) -> str | None:
    """The first level that has no place on the scale; None where all have one."""
    return next((level for level in levels if not _fits(level, scale)), None)


def _fits(level: str, scale: Scale) -> bool:
    if scale == "order":
        return True
    number = level_number(level)
    return number is not None and (scale == "linear" or number > 0)
