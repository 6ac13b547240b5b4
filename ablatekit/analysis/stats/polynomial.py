"""Trends over the levels of a factor with an order, whose scores may be unequally spaced.

Source: Robson 1959, Biometrics 15, 187-191 (orthogonal polynomials for unequally spaced levels).
"""

from __future__ import annotations

import numpy as np

from ablatekit.analysis.core.arrays import Floats


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
