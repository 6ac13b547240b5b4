"""Contrasts over the levels of a factor with an order: the scores of its scale and their trends.

Source: Robson 1959, Biometrics 15, 187-191 (orthogonal polynomials for unequally spaced levels).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np

from ablatekit.analysis.core.arrays import Floats

Scale: TypeAlias = Literal["log", "linear", "order"]

LEAST_SPAN = 4.0


def default_scale(levels: Sequence[object]) -> Scale | None:
    """The scale of levels that are numbers: log where positive with a span of at least 4 times.

    None where a level is no number: levels have no order that anyone stated.
    """
    if not all(_is_number(level) for level in levels):
        return None
    values = np.array(levels, dtype=np.float64)
    return "log" if values.min() > 0.0 and values.max() >= LEAST_SPAN * values.min() else "linear"


def scores(levels: Sequence[object], scale: Scale) -> Floats:
    """The scores (L,): doublings (log2), the numbers themselves, or 1, ..., L in the given order.

    Raises ValueError where levels are not the numbers that the scale needs, or are equal.
    """
    if scale == "order":
        return np.arange(1.0, len(levels) + 1.0)
    if not all(_is_number(level) for level in levels):
        raise ValueError(f"the scale {scale} needs levels that are numbers")
    values = np.array(levels, dtype=np.float64)
    if scale == "log" and values.min() <= 0.0:
        raise ValueError("the scale log needs levels above 0")
    if len(np.unique(values)) < len(values):
        raise ValueError("two levels have the same number")
    return np.asarray(np.log2(values)) if scale == "log" else values


def trend_contrasts(score: Floats) -> Floats:
    """Orthonormal contrasts over L levels of equal weight: linear, then quadratic where L > 2.

    score (L,), all different, unequally spaced or not; returns (1 or 2, L). The linear one rises
    with the score, the quadratic one is positive at both ends. Raises ValueError for one level.
    """
    if len(score) < 2:
        raise ValueError("a trend needs two levels")
    linear = _unit(score - score.mean())
    if len(score) == 2:
        return linear[None, :]
    square = linear**2 - (linear**2).mean()
    return np.stack([linear, _unit(square - (square @ linear) * linear)])


def slope_contrast(score: Floats) -> Floats:
    """Coefficients (L,) of the least-squares slope per unit of the score, levels weighted alike."""
    centred = score - score.mean()
    return np.asarray(centred / (centred @ centred))


def _unit(values: Floats) -> Floats:
    return np.asarray(values / np.sqrt(values @ values))


def _is_number(level: object) -> bool:
    return (
        isinstance(level, int | float) and not isinstance(level, bool) and bool(np.isfinite(level))
    )
