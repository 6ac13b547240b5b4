"""Average marginal effects of a logistic mixed model, in probability."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from ablatekit.analysis.mixed.design import Array, model_columns
from ablatekit.analysis.mixed.glmm import LogisticFit
from ablatekit.analysis.mixed.sufficient import cell_sums


@dataclass(frozen=True, slots=True)
class MarginalEffect:
    """Average change in probability from the baseline level (or per unit of a covariate)."""

    factor: str
    level: str
    baseline: str
    estimate: float
    se: float
    low: float
    high: float
    p: float


def marginal_effects(fit: LogisticFit, level: float = 0.95) -> tuple[MarginalEffect, ...]:
    """Average marginal effects in probability, over the rows as they are.

    Each row keeps its random effects and its other variables; a factor is set to every level and to
    its first in turn. Standard errors by the delta method in beta.
    """
    frame = fit.frame
    offset = fit.linear_predictor - (frame.x @ fit.beta)[frame.cell]
    out = []
    for name in dict.fromkeys(v for term in frame.formula.terms for v in term):
        variable = frame.variables[name]
        if variable.categorical:
            base = _average(fit, offset, name, variable.baseline)
            for code, label in enumerate(variable.levels):
                if code != variable.baseline:
                    value, slope = _average(fit, offset, name, code)
                    out.append(
                        _effect(fit, name, label, variable.levels[variable.baseline],
                                value - base[0], slope - base[1], level)
                    )  # fmt: skip
        elif variable.width == 1:
            out.append(_covariate_effect(fit, offset, name, level))
    return tuple(out)


def _average(fit: LogisticFit, offset: Array, name: str, code: int) -> tuple[float, Array]:
    """Mean probability with factor `name` at `code`, and its gradient in beta."""
    frame = fit.frame
    points = dict(frame.points)
    points[name] = np.full_like(points[name], code)
    columns = model_columns(frame.formula.intercept, frame.formula.terms, frame.variables, points)
    x = columns.matrix[:, frame.kept]
    mu = special.expit((x @ fit.beta)[frame.cell] + offset)
    slope = cell_sums(frame.cell, mu * (1.0 - mu), len(x)) @ x / len(mu)
    return float(mu.mean()), slope


def _covariate_effect(fit: LogisticFit, offset: Array, name: str, level: float) -> MarginalEffect:
    """Mean derivative of the probability in a covariate, by central differences."""
    frame = fit.frame
    width = 1e-5 * max(float(np.std(frame.points[name])), 1e-8)
    moved = []
    for sign in (1.0, -1.0):
        points = dict(frame.points)
        points[name] = points[name] + sign * width
        columns = model_columns(
            frame.formula.intercept, frame.formula.terms, frame.variables, points
        )
        x = columns.matrix[:, frame.kept]
        mu = special.expit((x @ fit.beta)[frame.cell] + offset)
        slope = cell_sums(frame.cell, mu * (1.0 - mu), len(x)) @ x / len(mu)
        moved.append((float(mu.mean()), slope))
    value = (moved[0][0] - moved[1][0]) / (2.0 * width)
    slope = (moved[0][1] - moved[1][1]) / (2.0 * width)
    return _effect(fit, name, "+1", "0", value, slope, level)


def _effect(
    fit: LogisticFit, name: str, label: str, baseline: str, value: float, slope: Array, level: float
) -> MarginalEffect:
    se = float(np.sqrt(slope @ fit.vcov @ slope))
    half = float(stats.norm.ppf(0.5 + level / 2.0)) * se
    p = float(2.0 * stats.norm.sf(abs(value) / se)) if se > 0.0 else float("nan")
    return MarginalEffect(name, label, baseline, value, se, value - half, value + half, p)
