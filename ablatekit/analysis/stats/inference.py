"""Student t inference on one contrast, and narrow inference (these contexts)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from ablatekit.analysis.core.schema.vocabulary import Statement, statement
from ablatekit.analysis.core.student import t_quantile, two_sided, upper_tail
from ablatekit.analysis.core.values import ContextValues, ErrorTerm, Welch

MOST_NEEDED = 10**9
WELCH_METHOD = statement("welch_t")


@dataclass(frozen=True, kw_only=True)
class Interval:
    """One of several intervals for the same contrast, of which the widest decides.

    `by` names the variables over whose levels it is taken.
    """

    by: tuple[str, ...]
    estimate: float
    se: float
    df: float

    def half_width(self, alpha: float) -> float:
        """Half of the interval at 1 - alpha."""
        return float(t_quantile(1 - alpha / 2, self.df)) * self.se


Precision: TypeAlias = Callable[[int], tuple[float, float]]


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A contrast with its standard error, t test and intervals at 1 - alpha and 1 - 2 alpha.

    NaN where there is no number; `reason` then says why. `needed` maps a half-width to the number
    of replicates (narrow) or contexts (broad) whose interval would be that short; `precision` maps
    a number of replicates to the narrow standard error and df. With `parts`, the widest of their
    intervals decides at each level, and the largest p; `se` and `df` are those of the part that
    decides at 1 - alpha. `shared` is the same over the combinations that all contexts have.
    """

    method: Statement
    estimate: float = np.nan
    se: float = np.nan
    df: float = np.nan
    low: float = np.nan
    high: float = np.nan
    low_equivalence: float = np.nan
    high_equivalence: float = np.nan
    p: float = np.nan
    reason: Statement | None = None
    notes: tuple[Statement, ...] = ()
    identical: bool = False
    needed: Callable[[float], int | None] | None = None
    precision: Precision | None = None
    parts: tuple[Interval, ...] = ()
    shared: Estimate | None = None

    def half_width(self, alpha: float) -> float:
        """Half of the interval at 1 - alpha."""
        if self.parts:
            return max(part.half_width(alpha) for part in self.parts)
        return float(t_quantile(1 - alpha / 2, self.df)) * self.se

    def beyond(self, margin: float) -> float:
        """P value of the hypothesis that the effect lies within +-margin.

        P(|T| >= |estimate| / se) at the margin, both tails: with one tail only, the chance to call
        a zero effect larger than a small margin would be twice the level. NaN without an error.
        """
        errors = [(part.estimate, part.se, part.df) for part in self.parts]
        errors = errors or [(self.estimate, self.se, self.df)]
        return max(_beyond(estimate, se, df, margin) for estimate, se, df in errors)


def _beyond(estimate: float, se: float, df: float, margin: float) -> float:
    if not se > 0:
        return np.nan
    near, far = (float(upper_tail((abs(estimate) + m) / se, df)) for m in (-margin, margin))
    return min(near + far, 1.0)


def t_estimate(
    estimate: float,
    se: float,
    df: float,
    alpha: float,
    method: Statement,
    notes: tuple[Statement, ...] = (),
    needed: Callable[[float], int | None] | None = None,
) -> Estimate:
    """Two-sided t test of zero with its intervals."""
    outer = float(t_quantile(1 - alpha / 2, df)) * se
    inner = float(t_quantile(1 - alpha, df)) * se
    return Estimate(
        estimate=estimate,
        se=se,
        df=df,
        low=estimate - outer,
        high=estimate + outer,
        low_equivalence=estimate - inner,
        high_equivalence=estimate + inner,
        p=float(two_sided(estimate / se, df)),
        method=method,
        notes=notes,
        needed=needed,
    )


def narrow(
    values: ContextValues, error: ErrorTerm, alpha: float, welch: Welch | None = None
) -> Estimate:
    """Equal-weight mean over the contexts, which are fixed; error from runs within cells.

    With `welch`, variance and df come from the contrast's own cells instead of the pooled error.
    """
    if values.reason:
        return Estimate(reason=values.reason, identical=values.identical, method=error.method)
    mean = values.mean
    if error.reason:
        return Estimate(estimate=mean, method=error.method, reason=error.reason, notes=values.notes)
    single = float(values.single[values.used].sum()) / values.contexts**2
    factor = float(values.factor[values.used].sum()) / values.contexts**2
    if welch is not None:
        precision = _welch_precision(welch, single / factor)
        se, df, method = float(np.sqrt(welch.variance)), welch.df, WELCH_METHOD
    else:
        precision = _precision(error, single)
        se, df, method = float(np.sqrt(error.variance * factor)), error.df, error.method
    needed = _replicates(precision, alpha)
    tested = t_estimate(mean, se, df, alpha, method, values.notes, needed)
    shared = narrow(values.shared, error, alpha) if values.shared is not None else None
    return replace(tested, precision=precision, shared=shared)


def _precision(error: ErrorTerm, single: float) -> Precision:
    """Standard error and df with r runs in every cell and context."""

    def precision(replicates: int) -> tuple[float, float]:
        se = float(np.sqrt(error.variance * single / replicates))
        return se, error.df_with(replicates)

    return precision


def _welch_precision(welch: Welch, runs: float) -> Precision:
    """The same by scaling the Welch variance and df from `runs` per cell."""

    def precision(replicates: int) -> tuple[float, float]:
        se = float(np.sqrt(welch.variance * runs / replicates))
        return se, welch.df * (replicates - 1) / (runs - 1)

    return precision


def _replicates(precision: Precision, alpha: float) -> Callable[[float], int | None]:
    def half_width(replicates: int) -> float:
        se, df = precision(replicates)
        return np.inf if df <= 0 else float(t_quantile(1 - alpha / 2, df)) * se

    return lambda target: smallest_count(half_width, target)


def smallest_count(half_width: Callable[[int], float], target: float) -> int | None:
    """Smallest n >= 1 with `half_width(n) <= target`, which falls with n; None above a billion."""
    high = 1
    while half_width(high) > target:
        high *= 2
        if high > MOST_NEEDED:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if half_width(middle) <= target else (middle, high)
    return high
