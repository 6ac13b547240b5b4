"""Estimated marginal means on the equal-weight reference grid, and contrasts of them.

The grid crosses all levels of all categorical variables of the fixed part; covariates stand at
their mean (a covariate with two values at both). A mean averages the grid with equal weight, also
over combinations that were never observed: where those matter the mean is not estimable and is NaN
with the reason. Source: Searle, Speed & Milliken 1980 (The American Statistician 34); estimability:
Searle 1971, Linear Models, section 5.4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np

from ablatekit.analysis.core.arrays import Booleans, Codes, Floats
from ablatekit.analysis.core.schema.vocabulary import Statement, statement
from ablatekit.analysis.engine.design import Variable, estimable, model_columns
from ablatekit.analysis.engine.formula import variables_of
from ablatekit.analysis.engine.frame import ModelFrame
from ablatekit.analysis.posthoc.coefficient_tests import LinearModel, TTest
from ablatekit.analysis.stats.adjust import Adjustment, adjusted_p, critical_values
from ablatekit.errors import Problem, UsageError, nearest

NOT_ESTIMABLE = statement("not_estimable")


@dataclass(frozen=True, slots=True)
class MarginalMeans:
    """Means of the cells of `factors`: `labels` (m), functions `rows` (m, P) of all columns."""

    factors: tuple[str, ...]
    labels: tuple[tuple[str, ...], ...]
    rows: Floats
    averaged_over: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ContrastFamily:
    """k estimates as one family: `test` unadjusted; p, low, high adjusted by `adjustment`.

    `labels` name each member; `reason[i]` is None or why member i is NaN.
    """

    labels: tuple[str, ...]
    test: TTest
    adjustment: Adjustment
    p: Floats
    low: Floats
    high: Floats
    reason: tuple[Statement | None, ...]


def marginal_means(frame: ModelFrame, factors: Sequence[str]) -> MarginalMeans:
    """Equal-weight means of the cells of `factors`; the first factor varies fastest.

    Raises UsageError for a name that is not a categorical variable of the fixed part.
    """
    names = [_resolve(frame, name) for name in factors]
    fixed = variables_of(frame.formula.terms)
    grid, points = _reference_grid(frame, fixed)
    matrix = model_columns(
        frame.formula.intercept, frame.formula.terms, frame.variables, points
    ).matrix
    sizes = [len(frame.variables[name].levels) for name in names]
    rows, labels = [], []
    for reverse in product(*(range(size) for size in sizes[::-1])):
        cell = reverse[::-1]
        chosen = np.ones(grid, dtype=bool)
        for name, level in zip(names, cell, strict=True):
            chosen &= points[name] == level
        rows.append(matrix[chosen].mean(axis=0))
        labels.append(tuple(frame.variables[n].levels[j] for n, j in zip(names, cell, strict=True)))
    others = tuple(n for n in fixed if frame.variables[n].categorical and n not in names)
    return MarginalMeans(tuple(factors), tuple(labels), np.array(rows), others)


def _resolve(frame: ModelFrame, name: str) -> str:
    fixed = variables_of(frame.formula.terms)
    known = [v for v in fixed if frame.variables[v].categorical]
    for candidate in known:
        if candidate == name or candidate.startswith(
            (f"C({name},", f"C({name})", f"factor({name})")
        ):
            return candidate
    raise UsageError(
        Problem(
            "marginal means need a categorical variable of the model", name, nearest(name, known)
        )
    )


def _reference_grid(frame: ModelFrame, fixed: Sequence[str]) -> tuple[int, dict[str, Codes]]:
    variables = [frame.variables[name] for name in fixed]
    axes = [_axis(variable) for variable in variables]
    index = [i.reshape(-1) for i in np.meshgrid(*(np.arange(len(a)) for a in axes), indexing="ij")]
    points = {name: axis[i] for name, axis, i in zip(fixed, axes, index, strict=True)}
    return len(index[0]) if index else 1, points


def _axis(variable: Variable) -> Codes:
    if variable.categorical:
        return np.arange(len(variable.levels))
    return np.array(variable.grid, dtype=np.float64)


def pairwise(size: int) -> Floats:
    """All differences i - j, i before j: (size (size - 1)/2, size)."""
    rows = np.zeros((size * (size - 1) // 2, size))
    for row, (i, j) in enumerate(combinations(range(size), 2)):
        rows[row, i], rows[row, j] = 1.0, -1.0
    return rows


def versus_baseline(size: int, baseline: int = 0) -> Floats:
    """Every other level minus the baseline: (size - 1, size)."""
    rows = np.delete(np.eye(size), baseline, axis=0)
    rows[:, baseline] = -1.0
    return rows


def versus_mean(size: int) -> Floats:
    """Every level minus the mean of all: (size, size)."""
    return np.eye(size) - 1.0 / size


def interaction(sizes: Sequence[int], baselines: Sequence[int] | None = None) -> Floats:
    """Contrasts of contrasts: products of versus-baseline contrasts, first factor fastest."""
    rows: Floats = np.ones((1, 1))
    for axis, size in enumerate(sizes):
        own = versus_baseline(size, baselines[axis] if baselines else 0)
        rows = np.asarray(np.kron(own, rows), dtype=np.float64)
    return rows


def estimate(
    model: LinearModel,
    rows: Floats,
    labels: Sequence[str],
    *,
    adjustment: Adjustment = "none",
    level: float = 0.95,
    means: int | None = None,
) -> ContrastFamily:
    """Test linear functions (k, P) of all model columns as one family at a simultaneous level.

    Members that are not estimable are NaN with a reason and still count in the family size.
    """
    lost = ~estimable(rows, model.frame.columns.matrix)
    kept = rows[:, model.frame.kept]
    test = _scattered(model.test(kept[~lost]), lost)
    correlation = _correlation(model, kept) if adjustment == "mvt" else None
    p = adjusted_p(test.statistic, test.df, adjustment, means=means, correlation=correlation)
    critical = critical_values(test.df, adjustment, level, means=means, correlation=correlation)
    return ContrastFamily(
        tuple(labels),
        test,
        adjustment,
        p,
        test.estimate - critical * test.se,
        test.estimate + critical * test.se,
        tuple(NOT_ESTIMABLE if missing else None for missing in lost),
    )


def _scattered(test: TTest, lost: Booleans) -> TTest:
    """The tests of the members that are not lost, NaN for the others."""

    def spread(values: Floats) -> Floats:
        out = np.full(len(lost), np.nan)
        out[~lost] = values
        return out

    return TTest(*map(spread, (test.estimate, test.se, test.df, test.statistic, test.p)))


def _correlation(model: LinearModel, rows: Floats) -> Floats:
    covariance = rows @ model.vcov @ rows.T
    sd = np.sqrt(np.maximum(covariance.diagonal(), 1e-300))
    return np.asarray(covariance / np.outer(sd, sd))


def means_table(model: LinearModel, factors: Sequence[str], level: float = 0.95) -> ContrastFamily:
    """The marginal means themselves, named as "x:y" for the cells of two factors."""
    means = marginal_means(model.frame, factors)
    return estimate(model, means.rows, [":".join(label) for label in means.labels], level=level)


def contrast_table(
    model: LinearModel,
    factors: Sequence[str],
    kind: str = "pairwise",
    *,
    adjustment: Adjustment = "none",
    baselines: Sequence[str] = (),
    level: float = 0.95,
) -> ContrastFamily:
    """Contrasts of marginal means: `pairwise`, `baseline`, `mean` or `interaction`.

    baselines: one level per factor, by default the first ones.
    """
    rows, labels = contrast_rows(model.frame, factors, kind, baselines)
    size = len(marginal_means(model.frame, factors).labels) if kind == "pairwise" else None
    return estimate(model, rows, labels, adjustment=adjustment, level=level, means=size)


def contrast_rows(
    frame: ModelFrame, factors: Sequence[str], kind: str, baselines: Sequence[str] = ()
) -> tuple[Floats, list[str]]:
    """Functions (k, P) of all model columns and their names, for `contrast_table`.

    baselines: one level per factor, by default the first ones.
    """
    means = marginal_means(frame, factors)
    names = [" ".join(label) for label in means.labels]
    if kind == "pairwise":
        weights, labels = pairwise(len(names)), [f"{a} - {b}" for a, b in combinations(names, 2)]
    elif kind == "baseline":
        base = _baseline_index(names, " ".join(baselines) if baselines else None)
        weights = versus_baseline(len(names), base)
        labels = [f"{name} - {names[base]}" for i, name in enumerate(names) if i != base]
    elif kind == "mean":
        weights, labels = versus_mean(len(names)), [f"{name} effect" for name in names]
    elif kind == "interaction":
        weights, labels = _interaction_table(frame, means, baselines)
    else:
        raise UsageError(
            Problem("unknown contrasts", kind, "Use pairwise, baseline, mean or interaction")
        )
    return weights @ means.rows, labels


def _baseline_index(names: list[str], baseline: str | None) -> int:
    if baseline is None:
        return 0
    if baseline not in names:
        raise UsageError(Problem("no such level", baseline, nearest(baseline, names)))
    return names.index(baseline)


def _interaction_table(
    frame: ModelFrame, means: MarginalMeans, baselines: Sequence[str]
) -> tuple[Floats, list[str]]:
    levels = [frame.variables[_resolve(frame, name)].levels for name in means.factors]
    bases = [
        _baseline_index(list(own), baselines[axis] if baselines else None)
        for axis, own in enumerate(levels)
    ]
    weights = interaction([len(own) for own in levels], bases)
    others = [own[:base] + own[base + 1 :] for own, base in zip(levels, bases, strict=True)]
    return weights, [":".join(cell[::-1]) for cell in product(*others[::-1])]
