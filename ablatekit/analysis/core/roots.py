"""Roots: of a function of one number by Brent's method, of many at once by Chandrupatla's.

scipy.optimize has both, but its import takes longer than most analyses. The steps of the first are
those of its `brentq`, bit for bit.
Source: Brent 1973, Algorithms for Minimization without Derivatives, chapter 4.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ablatekit.analysis.core.arrays import Floats

RELATIVE = 4 * 2.0**-52
MOST_STEPS = 100


def bracketed_root(
    function: Callable[[float], float],
    low: float,
    high: float,
    tolerance: float,
    relative: float = RELATIVE,
) -> float:
    """The place between `low` and `high`, where the function's signs differ, at which it is 0.

    Correct to `tolerance` + `relative` times the root. Raises ValueError where the signs agree.
    """
    before, current = low, high
    f_before, f_current = function(low), function(high)
    if f_before == 0.0 or f_current == 0.0:
        return low if f_before == 0.0 else high
    if (f_before < 0.0) == (f_current < 0.0):
        raise ValueError("the function has the same sign at both ends")
    other, f_other, last_step, step = before, f_before, 0.0, 0.0
    for _ in range(MOST_STEPS):
        if f_before != 0.0 and (f_before < 0.0) != (f_current < 0.0):
            other, f_other = before, f_before
            last_step = step = current - before
        if abs(f_other) < abs(f_current):
            before, current, other = current, other, current
            f_before, f_current, f_other = f_current, f_other, f_current
        delta = (tolerance + relative * abs(current)) / 2.0
        bisection = (other - current) / 2.0
        if f_current == 0.0 or abs(bisection) < delta:
            return current
        tried = math.inf
        if abs(last_step) > delta and abs(f_current) < abs(f_before):
            tried = _interpolated((before, current, other), (f_before, f_current, f_other))
        if 2.0 * abs(tried) < min(abs(last_step), 3.0 * abs(bisection) - delta):
            last_step, step = step, tried
        else:
            last_step = step = bisection
        before, f_before = current, f_current
        smallest = delta if bisection > 0.0 else -delta
        current += step if abs(step) > delta else smallest
        f_current = function(current)
    return current


def _interpolated(places: tuple[float, float, float], values: tuple[float, float, float]) -> float:
    """The step from the current place by a secant, or by inverse quadratic interpolation."""
    before, current, other = places
    f_before, f_current, f_other = values
    if before == other:
        return -f_current * (current - before) / (f_current - f_before)
    slope_before = (f_before - f_current) / (before - current)
    slope_other = (f_other - f_current) / (other - current)
    numerator = f_other * slope_other - f_before * slope_before
    return -f_current * numerator / (slope_other * slope_before * (f_other - f_before))


def bracketed_roots(
    function: Callable[[Floats], Floats], low: Floats, high: Floats, tolerance: float = 1e-12
) -> Floats:
    """Places (m,) between `low` and `high` at which a function of each, values (m,), is 0.

    The function is called with all places at once. Correct to `tolerance` (1 + |root|). Raises
    ValueError where signs agree. Source: Chandrupatla 1997, Advances in Engineering Software 28.
    """
    before, current = low.astype(np.float64), high.astype(np.float64)
    f_before, f_current = function(before), function(current)
    if np.any(np.sign(f_before) * np.sign(f_current) > 0.0):
        raise ValueError("the function has the same sign at both ends")
    share = np.full(len(before), 0.5)
    for _ in range(MOST_STEPS):
        tried = before + share * (current - before)
        f_tried = function(tried)
        same = np.sign(f_tried) == np.sign(f_before)
        other, f_other = np.where(same, before, current), np.where(same, f_before, f_current)
        current, f_current = np.where(same, current, before), np.where(same, f_current, f_before)
        before, f_before = tried, f_tried
        nearest = np.where(np.abs(f_before) < np.abs(f_current), before, current)
        width = np.abs(current - before)
        least = tolerance * (1.0 + np.abs(nearest)) / np.maximum(width, 1e-300)
        done = (least > 0.5) | (f_before == 0.0) | (f_current == 0.0)
        if done.all():
            break
        share = _share((before, current, other), (f_before, f_current, f_other))
        share = np.where(done, 0.0, np.clip(share, least, 1.0 - least))
    return nearest


def _share(places: tuple[Floats, Floats, Floats], values: tuple[Floats, Floats, Floats]) -> Floats:
    """The part of the bracket to go: inverse quadratic where that is safe, else a half."""
    before, current, other = places
    f_before, f_current, f_other = values
    with np.errstate(divide="ignore", invalid="ignore"):
        place = (before - current) / (other - current)
        value = (f_before - f_current) / (f_other - f_current)
        quadratic = f_before / (f_current - f_before) * f_other / (f_current - f_other)
        quadratic += (
            (other - before) / (current - before)
            * f_before / (f_other - f_before) * f_current / (f_other - f_current)
        )  # fmt: skip
        safe = (value**2 < place) & ((1.0 - value) ** 2 < 1.0 - place)
    return np.where(safe, quadratic, 0.5)
