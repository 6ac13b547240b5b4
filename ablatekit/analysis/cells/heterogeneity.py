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
    count = len(levels.value)
    observed, noise = (
        float(np.var(levels.value, ddof=1)),
        float(error.variance * levels.noise.mean()),
    )
    tau2 = max(0.0, observed - noise)
    half = float(t_quantile(1 - alpha / 2, count - 1)) * (observed * (1 + 1 / count)) ** 0.5
    return Spread(
        tau=tau2**0.5,
        i2=tau2 / (tau2 + noise),
        prediction_low=float(levels.value.mean() - half),
        prediction_high=float(levels.value.mean() + half),
    )


def _crossed_spread(
    values: ContextValues, crossed: TwoWayTable, estimate: Estimate, error: ErrorTerm, alpha: float
) -> Spread:
    """Components by moments; t with the df of the interval that decides."""
    m, d = crossed.value.shape
    noise = float(error.variance * values.factor[values.used].mean())
    between = max(0.0, (crossed.rows - crossed.rest) / d) + max(
        0.0, (crossed.columns - crossed.rest) / m
    )
    tau2 = between + max(0.0, crossed.rest - noise)
    if estimate.reason is not None:
        return Spread(tau=tau2**0.5, i2=tau2 / (tau2 + noise))
    reach = (estimate.se**2 + between + crossed.rest) ** 0.5
    half = float(t_quantile(1 - alpha / 2, estimate.df)) * reach
    return Spread(
        tau=tau2**0.5,
        i2=tau2 / (tau2 + noise),
        prediction_low=estimate.estimate - half,
        prediction_high=estimate.estimate + half,
    )
