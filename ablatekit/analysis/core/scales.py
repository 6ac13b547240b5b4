"""Scores of a factor's levels: where they lie on a scale, for effects of dose."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ablatekit.analysis.core.arrays import Floats
from ablatekit.errors import UsageError
from ablatekit.study.scales import Scale, level_number, misfit

LOG_SPAN = 4.0
"""Largest level over smallest one from which levels that are numbers above 0 lie on a log scale."""


def default_scale(levels: Sequence[str]) -> Scale | None:
    """The scale of levels without a stated one; None where their names give no order.

    log where all are numbers above 0 of which the largest is `LOG_SPAN` times the smallest or more,
    linear where all are numbers.
    """
    numbers = [number for level in levels if (number := level_number(level)) is not None]
    if len(numbers) < len(levels):
        return None
    return "log" if min(numbers) > 0 and max(numbers) >= LOG_SPAN * min(numbers) else "linear"


def scores(levels: Sequence[str], scale: Scale | None) -> Floats | None:
    """Scores (L,) of levels in their order; None where they have no order.

    log: logarithms to base 2, so that a slope is the change per doubling; linear: the numbers
    themselves; order: 0, 1, 2 ... as listed. Without a stated scale, by `default_scale`. Raises
    UsageError for a level that has no place on the stated scale.
    """
    chosen = default_scale(levels) if scale is None else scale
    if chosen is None:
        return None
    level = misfit(levels, chosen)
    if level is not None:
        raise UsageError(f"level {level!r} has no place on the scale {chosen}")
    if chosen == "order":
        return np.arange(len(levels), dtype=float)
    numbers = np.array([level_number(level) for level in levels], dtype=float)
    return np.log2(numbers) if chosen == "log" else numbers
