"""How an effect varies over the levels of a scope, and what a new level would show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ablatekit.analysis.cells.broad import (
    Scope,
    TwoWayTable,
    broad,
    level_values,
    two_way_table,
)
from ablatekit.analysis.core.arrays import Floats
from ablatekit.analysis.core.layout import Layout
from ablatekit.analysis.core.schema.vocabulary import Statement, statement
from ablatekit.analysis.core.student import t_quantile
from ablatekit.analysis.core.values import ContextValues, ErrorTerm
from ablatekit.analysis.stats.inference import Estimate


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Sd of the true effects, its share of the observed variance, prediction interval."""

    tau: float = np.nan
    i2: float = np.nan
    prediction_low: float = np.nan
    prediction_high: float = np.nan
    reason: Statement | None = None


@dataclass(frozen=True, kw_only=True)
class NewLevelPrediction:
    """What one new level of a scope would show: estimate +- t(df) se, or why that is not known."""

    estimate: float = np.nan
    se: float = np.nan
    df: float = np.nan
    reason: Statement | None = None

    def limits(self, alpha: float) -> tuple[float, float]:
        """The interval at 1 - alpha."""
        half = float(t_quantile(1 - alpha / 2, self.df)) * self.se
        return self.estimate - half, self.estimate + half


def predict(
    values: ContextValues, scope: Scope, layout: Layout, alpha: float
) -> NewLevelPrediction:
    """The value at one new level of the scope's variable: t(levels - 1), s sqrt(1 + 1 / levels).

    For new levels of two variables at once it is approximate: the variance components are added to
    the error of the interval that decides at 1 - alpha.
    """
    estimate = broad(values, scope, layout, alpha)
    if estimate.reason is not None:
        return NewLevelPrediction(reason=estimate.reason)
    if len(scope) == 1:
        return _one_way_prediction(level_values(values, layout.blocks[scope[0]]).value)
    crossed = two_way_table(values, scope, layout.blocks) if len(layout.blocking) == 2 else None
    if crossed is None:
        return NewLevelPrediction(reason=statement("not_crossed", scope=list(scope)))
    reach = (estimate.se**2 + _between(crossed) + crossed.rest) ** 0.5
    return NewLevelPrediction(estimate=estimate.estimate, se=reach, df=estimate.df)


def _one_way_prediction(value: Floats) -> NewLevelPrediction:
    count, observed = len(value), float(np.var(value, ddof=1))
    se = (observed * (1 + 1 / count)) ** 0.5
    return NewLevelPrediction(estimate=float(value.mean()), se=se, df=count - 1)


def _between(crossed: TwoWayTable) -> float:
    """The variance of a new level of each variable, by moments, at least 0 each."""
    m, d = crossed.value.shape
    rows, columns = (crossed.rows - crossed.rest) / d, (crossed.columns - crossed.rest) / m
    return float(max(0.0, rows) + max(0.0, columns))


def spread(
    values: ContextValues, scope: Scope, error: ErrorTerm, layout: Layout, alpha: float
) -> Spread:
    """Between-level variance by moments (Hedges and Olkin 1985): s^2 - mean(se^2), at least 0.

    The prediction interval for one new level is mean +- t(levels - 1) s sqrt(1 + 1 / levels); for
    new levels of two variables at once, an approximate one from the variance components.
    """
    estimate = broad(values, scope, layout, alpha)
    if estimate.reason is not None and estimate.reason["code"] != "same_in_every_level":
        return Spread(reason=estimate.reason)
    if error.reason:
        return Spread(reason=error.reason)
    if len(scope) > 1:
        crossed = two_way_table(values, scope, layout.blocks) if len(layout.blocking) == 2 else None
        if crossed is None:
            return Spread(reason=statement("not_crossed", scope=list(scope)))
        return _crossed_spread(values, crossed, estimate, error, alpha)
    return _one_way_spread(values, scope[0], error, layout, alpha)


def _one_way_spread(
    values: ContextValues, name: str, error: ErrorTerm, layout: Layout, alpha: float
) -> Spread:
    levels = level_values(values, layout.blocks[name])
    observed, noise = (
        float(np.var(levels.value, ddof=1)),
        float(error.variance * levels.noise.mean()),
    )
    tau2 = max(0.0, observed - noise)
    low, high = _one_way_prediction(levels.value).limits(alpha)
    return Spread(tau=tau2**0.5, i2=tau2 / (tau2 + noise), prediction_low=low, prediction_high=high)


def _crossed_spread(
    values: ContextValues, crossed: TwoWayTable, estimate: Estimate, error: ErrorTerm, alpha: float
) -> Spread:
    """Components by moments; t with the df of the interval that decides."""
    noise = float(error.variance * values.factor[values.used].mean())
    between = _between(crossed)
    tau2 = between + max(0.0, crossed.rest - noise)
    if estimate.reason is not None:
        return Spread(tau=tau2**0.5, i2=tau2 / (tau2 + noise))
    reach = (estimate.se**2 + between + crossed.rest) ** 0.5
    low, high = NewLevelPrediction(estimate=estimate.estimate, se=reach, df=estimate.df).limits(
        alpha
    )
    return Spread(tau=tau2**0.5, i2=tau2 / (tau2 + noise), prediction_low=low, prediction_high=high)
