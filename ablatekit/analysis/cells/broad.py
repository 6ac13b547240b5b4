"""Broad inference (contexts like these): t over per-context values, or Kenward-Roger.

The t serves contexts of equal precision. Where precision differs or contexts lack the contrast, a
mixed model weighs them (`context_slope`); the other method's answer stands beside the chosen one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ablatekit.analysis.cells.context_slope import UnitSums, context_slope
from ablatekit.analysis.core.arrays import Floats
from ablatekit.analysis.core.numbers import number
from ablatekit.analysis.core.schema.vocabulary import statement
from ablatekit.analysis.core.student import t_quantile
from ablatekit.analysis.core.values import ContextValues, is_zero
from ablatekit.analysis.stats.inference import Estimate, smallest_count, t_estimate
from ablatekit.errors import NotEstimableError

FEWEST_CONTEXTS = 5
FEWEST_DF = 2.0
T_METHOD = statement("contexts_t")
SLOPE_METHOD = statement("context_slope")


def broad(values: ContextValues, sums: UnitSums, alpha: float) -> Estimate:
    """The contrast in contexts like these, which count as a random sample of such contexts.

    Fewer than five are refused, because their spread is then hardly known. Where Kenward-Roger
    should decide but cannot, the t does and the note says so.
    """
    by_t = over_contexts(values, alpha)
    if by_t.reason or values.row is None:
        return by_t
    by_slope = _by_slope(values, sums, values.row, alpha)
    if values.balanced:
        return replace(by_t, alternative=by_slope)
    if by_slope.reason:
        unequal = statement("unequal_contexts", reason=by_slope.reason)
        return replace(by_t, notes=(*by_t.notes, unequal), alternative=by_slope)
    return replace(by_slope, alternative=by_t)


def over_contexts(values: ContextValues, alpha: float) -> Estimate:
    """One-sample t over the contrast's value in each context, df = contexts - 1."""
    if values.reason:
        return Estimate(reason=values.reason, identical=values.identical, method=T_METHOD)
    count, mean = values.contexts, float(np.mean(values.value[values.used]))
    if count < FEWEST_CONTEXTS:
        reason = statement("too_few_contexts", contexts=count, fewest=FEWEST_CONTEXTS)
        return Estimate(estimate=mean, method=T_METHOD, reason=reason, notes=values.notes)
    sd = float(np.std(values.value[values.used], ddof=1))
    if is_zero(sd**2, float(np.abs(values.value[values.used]).max())):
        reason = statement("same_in_every_context")
        return Estimate(estimate=mean, method=T_METHOD, reason=reason, notes=values.notes)
    needed = _contexts(sd, alpha)
    return t_estimate(mean, sd / count**0.5, count - 1, alpha, T_METHOD, values.notes, needed)


def _by_slope(values: ContextValues, sums: UnitSums, row: Floats, alpha: float) -> Estimate:
    """Kenward-Roger with df at most contexts - 1, refused below two df."""
    try:
        slope = context_slope(sums, row, balanced=values.balanced)
    except NotEstimableError as error:
        refused = statement("model_refused", message=str(error))
        return Estimate(method=SLOPE_METHOD, reason=refused)
    df = min(slope.df, values.contexts - 1.0)
    if not df >= FEWEST_DF:
        reason = statement("few_kenward_roger_df", df=number(df))
        return Estimate(estimate=slope.estimate, method=SLOPE_METHOD, reason=reason)
    needed = _contexts(slope.se * values.contexts**0.5, alpha)
    return t_estimate(slope.estimate, slope.se, df, alpha, SLOPE_METHOD, values.notes, needed)


def _contexts(sd: float, alpha: float) -> Callable[[float], int | None]:
    def half_width(contexts: int) -> float:
        if contexts < FEWEST_CONTEXTS:
            return np.inf
        return float(t_quantile(1 - alpha / 2, contexts - 1) * sd / contexts**0.5)

    return lambda target: smallest_count(half_width, target)
