"""Effect sizes of F tests with noncentral-F intervals: partial eta2, omega2, epsilon2, Cohen's f.

Sources: Cohen 1988; Olejnik & Algina 2003 (Psychological Methods 8); Steiger 2004 (same, 9) for the
intervals: limits of the noncentrality of the F that has this effect size, turned back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from scipy import special

from ablatekit.analysis.core.roots import bracketed_root

SizeName: TypeAlias = Literal["eta2", "omega2", "epsilon2"]


@dataclass(frozen=True, slots=True)
class EffectSize:
    """An effect size with a two-sided interval (one-sided for Cohen's f: high is infinite).

    Limits are NaN where the interval is empty: an F so small that no effect size goes with it.
    """

    value: float
    low: float
    high: float


def partial_size(
    name: SizeName, f: float, num_df: float, den_df: float, rows: int | None = None
) -> float:
    """Partial eta2, omega2 or epsilon2 of an F statistic; negative estimates are 0.

    rows: the number of observations of a least-squares fit; omega2 then takes k(F-1)/(k(F-1)+rows),
    otherwise k(F-1)/(kF + den_df + 1), the same for one term.
    """
    if not (np.isfinite(f) and np.isfinite(den_df)):
        return float("nan")
    if name == "eta2":
        return f * num_df / (f * num_df + den_df)
    divisor = f * num_df + den_df
    if name == "omega2":
        divisor = divisor + 1.0 if rows is None else (f - 1.0) * num_df + rows
    return max((f - 1.0) * num_df / divisor, 0.0)


def with_interval(value: float, num_df: float, den_df: float, level: float = 0.95) -> EffectSize:
    """An effect size in [0, 1) with limits from the noncentral F."""
    if not np.isfinite(value) or value >= 1.0:
        return EffectSize(value, float("nan"), float("nan"))
    f = (value / num_df) / ((1.0 - value) / den_df)
    tail = (1.0 - level) / 2.0
    if special.fdtr(num_df, den_df, f) < tail:
        return EffectSize(value, float("nan"), float("nan"))
    low = _noncentrality(f, num_df, den_df, 1.0 - tail)
    high = _noncentrality(f, num_df, den_df, tail)
    return EffectSize(value, low / (low + den_df), high / (high + den_df))


def cohens_f(eta2: float, num_df: float, den_df: float, level: float = 0.95) -> EffectSize:
    """sqrt(eta2/(1 - eta2)) with a one-sided lower limit."""
    if not np.isfinite(eta2) or eta2 >= 1.0:
        return EffectSize(float("inf") if eta2 >= 1.0 else eta2, float("nan"), float("inf"))
    f = (eta2 / num_df) / ((1.0 - eta2) / den_df)
    low = _noncentrality(f, num_df, den_df, level) / den_df
    return EffectSize(float(np.sqrt(eta2 / (1.0 - eta2))), float(np.sqrt(low)), float("inf"))


def _noncentrality(f: float, num_df: float, den_df: float, probability: float) -> float:
    """The lambda at which P(F <= f | lambda) = probability; 0 when even lambda = 0 is below it."""
    if special.fdtr(num_df, den_df, f) <= probability:
        return 0.0

    def gap(ncp: float) -> float:
        # The function is NaN instead of 0 far out in the tail.
        return float(np.nan_to_num(special.ncfdtr(num_df, den_df, ncp, f))) - probability

    high = max(10.0, 4.0 * f * num_df)
    while gap(high) > 0.0:
        high *= 2.0
    return bracketed_root(gap, 0.0, high, 1e-10)
