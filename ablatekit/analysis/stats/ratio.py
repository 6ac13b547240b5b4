"""The ratio of two estimates with Fieller's interval, which holds for any size of the denominator.

Source: Fieller 1954, Journal of the Royal Statistical Society B 16, 175-185.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ablatekit.analysis.core.student import t_quantile

ConfidenceSet: TypeAlias = Literal["interval", "outside", "everything"]


@dataclass(frozen=True)
class Ratio:
    """A ratio, and the set of ratios that the estimates do not contradict.

    `interval`: from `low` to `high`. `outside`: up to `low` and from `high` on (infinite where one
    of the two is no part). `everything`: no ratio is excluded. The set is an interval where the
    denominator differs from zero at the same level, and only there.
    """

    estimate: float
    low: float
    high: float
    confidence_set: ConfidenceSet


def fieller(
    numerator: float,
    denominator: float,
    variances: tuple[float, float],
    covariance: float,
    df: float,
    level: float = 0.95,
) -> Ratio:
    """Fieller's confidence set of numerator / denominator; the estimate is NaN over zero.

    variances: of numerator and denominator, estimated like their covariance on df degrees of
    freedom (infinite: known). The ratios r with (a - r b)^2 <= t^2 var(a - r b), a quadratic in r.
    Raises ValueError where variances and covariance are not those of any two estimates.
    """
    if min(variances) < 0.0 or covariance**2 > variances[0] * variances[1] * (1.0 + 1e-9):
        raise ValueError("a covariance matrix has no negative eigenvalue")
    square = float(t_quantile(0.5 + level / 2.0, df)) ** 2
    leading = denominator**2 - square * variances[1]
    middle = numerator * denominator - square * covariance
    constant = numerator**2 - square * variances[0]
    estimate = numerator / denominator if denominator != 0.0 else math.nan
    low, high = _roots(leading, middle, constant)
    if leading > 0.0:
        return Ratio(estimate, low, high, "interval")
    if math.isnan(low):
        return Ratio(estimate, -math.inf, math.inf, "everything")
    return Ratio(estimate, low, high, "outside")


def _roots(leading: float, middle: float, constant: float) -> tuple[float, float]:
    """The ordered roots of leading r^2 - 2 middle r + constant; NaN where they are not real.

    Of a linear equation one root is infinite, on the side where the rays of `outside` have none.
    """
    discriminant = middle**2 - leading * constant
    if leading > 0.0:  # the estimate itself lies inside, so that only rounding makes it negative
        discriminant = max(discriminant, 0.0)
    if discriminant < 0.0 or (leading == 0.0 and middle == 0.0):
        return math.nan, math.nan
    far = middle + math.copysign(math.sqrt(discriminant), middle)
    if leading == 0.0:
        end = constant / far
        return (-math.inf, end) if middle > 0.0 else (end, math.inf)
    roots = sorted((far / leading, constant / far if far != 0.0 else 0.0))
    return roots[0], roots[1]
