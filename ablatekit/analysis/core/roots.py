"""The root of a function of one number, by Brent's method.

The steps of `brentq` of scipy.optimize, bit for bit, whose import takes longer than most analyses.
Source: Brent 1973, Algorithms for Minimization without Derivatives, chapter 4.
"""

from __future__ import annotations

import math
from collections.abc import Callable

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
