"""The effect against size: average effects regressed on the log of a covariate (DESIGN 5).

The values are those of a one-way scope: means of a variable's levels over their contexts that have
the contrast. Ordinary least squares, so that levels with few runs count as much as others; with a
residual variance that holds the noise of the values and what size does not explain.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ablatekit.analysis.cells.broad import FEWEST_LEVELS, few_levels, level_values
from ablatekit.analysis.cells.effects import Evaluated
from ablatekit.analysis.core.arrays import Floats
from ablatekit.analysis.core.layout import Layout
from ablatekit.analysis.core.numbers import number
from ablatekit.analysis.core.schema.effects import CovariateRow, Prediction
from ablatekit.analysis.core.schema.vocabulary import Statement, statement
from ablatekit.analysis.core.student import t_quantile, two_sided
from ablatekit.analysis.core.values import is_zero

SAME_COVARIATE = 1e-12


@dataclass(frozen=True)
class Line:
    """Least squares of values on x: value = `mean` + `slope` (x - `centre`).

    `spread` is the sum of squares of x around its mean, `variance` the residual one with `df`.
    """

    centre: float
    mean: float
    slope: float
    spread: float
    variance: float
    df: int

    @property
    def se(self) -> float:
        """Standard error of the slope."""
        return float(np.sqrt(self.variance / self.spread))

    def at(self, x: float) -> tuple[float, float]:
        """The value at `x` and the standard error of its mean."""
        leverage = 1.0 / (self.df + 2) + (x - self.centre) ** 2 / self.spread
        value = self.mean + self.slope * (x - self.centre)
        return value, float(np.sqrt(self.variance * leverage))


def fit_line(x: Floats, value: Floats, size: float = 0.0) -> Line:
    """Least squares of `value` (L,) on `x` (L,), which varies.

    Rounding noise around it, for values that are differences of runs of a size, is 0.
    """
    away = x - x.mean()
    spread = float(away @ away)
    slope = float(away @ value) / spread
    residual = value - value.mean() - slope * away
    df = len(x) - 2
    variance = float(residual @ residual) / df if df > 0 else np.nan
    if is_zero(variance, max(size, float(np.abs(value).max()))):
        variance = 0.0
    return Line(float(x.mean()), float(value.mean()), slope, spread, variance, df)


def covariate_rows(
    effects: Sequence[Evaluated],
    layout: Layout,
    covariates: Mapping[str, Mapping[str, Mapping[str, float]]],
    predict_at: Mapping[str, float],
    alpha: float,
) -> list[CovariateRow]:
    """One row per average effect and covariate (variable -> level -> name -> value) of a variable.

    Intervals at 1 - alpha, per comparison.
    """
    return [
        _row(effect, layout, variable, name, covariates[variable], predict_at.get(name), alpha)
        for variable, name in _names(covariates)
        for effect in effects
    ]


def _names(
    covariates: Mapping[str, Mapping[str, Mapping[str, float]]],
) -> Iterator[tuple[str, str]]:
    for variable, levels in covariates.items():
        for name in next(iter(levels.values()), {}):
            yield variable, name


def _row(
    effect: Evaluated,
    layout: Layout,
    variable: str,
    name: str,
    levels: Mapping[str, Mapping[str, float]],
    at: float | None,
    alpha: float,
) -> CovariateRow:
    row = _empty(effect, variable, name)
    if row["reason"] is not None:
        return row
    there = level_values(effect.values, layout.blocks[variable])
    size = np.array([levels[level][name] for level in there.names])
    row = {**row, "levels": len(size), "reason": _lacks(layout, variable, name, size)}
    if row["reason"] is not None:
        return row
    line = fit_line(np.log(size), there.value, effect.values.size)
    if line.variance == 0.0:
        reason = statement("on_a_line", variable=variable, covariate=name)
        return {**row, "slope": number(line.slope), "df": line.df, "reason": reason}
    return _with_line(row, line, size, at, alpha)


def _empty(effect: Evaluated, variable: str, name: str) -> CovariateRow:
    return CovariateRow(
        factor=effect.contrast.factor,
        level=effect.contrast.level,
        baseline=effect.contrast.baseline,
        variable=variable,
        covariate=name,
        levels=0,
        slope=None,
        se=None,
        df=None,
        low=None,
        high=None,
        p=None,
        predictions=[],
        reason=effect.values.reason,
        notes=[],
    )


def _lacks(layout: Layout, variable: str, name: str, size: Floats) -> Statement | None:
    """Why the effect cannot be regressed on a covariate of these values (L,)."""
    if variable not in layout.blocking and len(set(layout.blocks[variable])) > 1:
        return statement("nested_variable", variable=variable)
    if len(size) < FEWEST_LEVELS:
        return few_levels(variable, len(size), len(set(layout.blocks[variable])))
    if np.ptp(np.log(size)) <= SAME_COVARIATE:
        return statement("constant_covariate", covariate=name)
    return None


def _with_line(
    row: CovariateRow, line: Line, size: Floats, at: float | None, alpha: float
) -> CovariateRow:
    half = float(t_quantile(1 - alpha / 2, line.df)) * line.se
    return {
        **row,
        "slope": number(line.slope),
        "se": number(line.se),
        "df": line.df,
        "low": number(line.slope - half),
        "high": number(line.slope + half),
        "p": number(float(two_sided(line.slope / line.se, line.df))),
        "predictions": [] if at is None else [_prediction(line, at, alpha)],
        "notes": [] if at is None else _reaches(row["covariate"], at, size),
    }


def _prediction(line: Line, at: float, alpha: float) -> Prediction:
    """The effect where the covariate is `at`: of its mean, and of one new level."""
    value, se = line.at(float(np.log(at)))
    reach = float(t_quantile(1 - alpha / 2, line.df))
    of_new = reach * float(np.sqrt(se**2 + line.variance))
    return Prediction(
        at=at,
        estimate=number(value),
        se=number(se),
        low=number(value - reach * se),
        high=number(value + reach * se),
        low_new=number(value - of_new),
        high_new=number(value + of_new),
    )


def _reaches(covariate: str, at: float, size: Floats) -> list[Statement]:
    low, high = float(size.min()), float(size.max())
    if low <= at <= high:
        return []
    return [statement("extrapolated", covariate=covariate, at=at, low=low, high=high)]
