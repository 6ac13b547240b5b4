"""Average marginal effects of a logistic mixed model, in probability."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import special

from ablatekit.analysis.core.arrays import Floats
from ablatekit.analysis.core.schema.vocabulary import Statement
from ablatekit.analysis.core.student import t_quantile, two_sided
from ablatekit.analysis.engine.design import Points, estimable, model_columns
from ablatekit.analysis.engine.glmm import LogisticFit
from ablatekit.analysis.engine.sufficient import cell_sums
from ablatekit.analysis.posthoc.emm import NOT_ESTIMABLE


@dataclass(frozen=True, slots=True)
class MarginalEffect:
    """Average change in probability from the baseline level (or per unit of a covariate).

    `reason` says why the numbers are NaN: some row would need what the design cannot estimate.
    """

    factor: str
    level: str
    baseline: str
    estimate: float
    se: float
    low: float
    high: float
    p: float
    df: float
    reason: Statement | None = None


def marginal_effects(
    fit: LogisticFit,
    level: float = 0.95,
    baselines: Mapping[str, str | None] | None = None,
    df: Callable[[str], float] = lambda _: math.inf,
) -> tuple[MarginalEffect, ...]:
    """Average marginal effects in probability, over the rows as they are.

    Each row keeps its random effects and its other variables; a factor is set to every level and to
    its baseline (by default its first level) in turn. Standard errors by the delta method in beta;
    df gives those of a variable's tests, infinite for normal ones.
    """
    frame = fit.frame
    offset = fit.linear_predictor - (frame.x @ fit.beta)[frame.cell]
    out = []
    for name in dict.fromkeys(v for term in frame.formula.terms for v in term):
        variable = frame.variables[name]
        if variable.categorical:
            asked = (baselines or {}).get(name)
            first = variable.levels.index(asked) if asked else variable.baseline
            base = _average(fit, offset, name, first)
            for code, label in enumerate(variable.levels):
                if code != first:
                    value, slope = _average(fit, offset, name, code)
                    change = value - base[0], slope - base[1]
                    names = name, label, variable.levels[first]
                    out.append(_effect(fit, names, *change, level, df(name)))
        elif variable.width == 1:
            change = _covariate_effect(fit, offset, name)
            out.append(_effect(fit, (name, "+1", "0"), *change, level, df(name)))
    return tuple(out)


def _average(fit: LogisticFit, offset: Floats, name: str, code: int) -> tuple[float, Floats]:
    """Mean probability with factor `name` at `code`, and its gradient in beta."""
    points = dict(fit.frame.points)
    points[name] = np.full_like(points[name], code)
    return _mean_probability(fit, offset, points)


def _mean_probability(fit: LogisticFit, offset: Floats, points: Points) -> tuple[float, Floats]:
    """Mean probability with the rows moved to `points`, and its gradient; NaN if not estimable."""
    frame = fit.frame
    columns = model_columns(frame.formula.intercept, frame.formula.terms, frame.variables, points)
    x = columns.matrix[:, frame.kept]
    if frame.aliased and not estimable(columns.matrix, frame.columns.matrix).all():
        return math.nan, np.full(len(fit.beta), math.nan)
    mu = special.expit((x @ fit.beta)[frame.cell] + offset)
    slope = cell_sums(frame.cell, mu * (1.0 - mu), len(x)) @ x / len(mu)
    return float(mu.mean()), slope


def _covariate_effect(fit: LogisticFit, offset: Floats, name: str) -> tuple[float, Floats]:
    """Mean derivative of the probability in a covariate, by central differences."""
    frame = fit.frame
    width = 1e-5 * max(float(np.std(frame.points[name])), 1e-8)
    moved = []
    for sign in (1.0, -1.0):
        points = dict(frame.points)
        points[name] = points[name] + sign * width
        moved.append(_mean_probability(fit, offset, points))
    value = (moved[0][0] - moved[1][0]) / (2.0 * width)
    slope = (moved[0][1] - moved[1][1]) / (2.0 * width)
    return value, slope


def _effect(
    fit: LogisticFit,
    names: tuple[str, str, str],
    value: float,
    slope: Floats,
    level: float,
    df: float,
) -> MarginalEffect:
    se = float(np.sqrt(slope @ fit.vcov @ slope))
    one = np.array([df])
    half = float(t_quantile(0.5 + level / 2.0, one)[0]) * se
    p = float(two_sided(np.array([value / se]), one)[0]) if se > 0.0 else math.nan
    reason = NOT_ESTIMABLE if math.isnan(value) else None
    return MarginalEffect(*names, value, se, value - half, value + half, p, df, reason)
