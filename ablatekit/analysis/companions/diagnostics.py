"""Checks of what the models assume, and of what the design promises."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from scipy.special import fdtrc

from ablatekit.analysis.cells.cell_means import CellMeans
from ablatekit.analysis.cells.truncated import TruncatedModel
from ablatekit.analysis.core.arrays import Floats, Integers
from ablatekit.analysis.core.layout import Layout
from ablatekit.analysis.core.schema.codes import Code
from ablatekit.analysis.core.schema.companions import (
    ContextStart,
    Diagnostics,
    LargestResidual,
    NearBound,
    Residuals,
    StepZero,
)
from ablatekit.analysis.core.schema.effects import Effect
from ablatekit.analysis.core.schema.vocabulary import Statement, statement
from ablatekit.analysis.core.tails import normal_quantile, ordinal_ranks
from ablatekit.analysis.core.values import RunValues
from ablatekit.analysis.tables.responses import History
from ablatekit.design.plan import Bound, PlannedResponse

NEAR = 0.05
MOST = 0.5
"""The share of the residual sum of squares above which one context carries most of it."""
UNEVEN = 0.01
"""The p value, over all contexts, below which that is no accident of equal variances."""


def residual_lists(
    values: RunValues,
    model: CellMeans | TruncatedModel,
    layout: Layout,
    order: Mapping[str, int],
) -> Residuals:
    """Parallel lists for residual plots; `quantile` is the standard normal one of the rank.

    `order` is every run's place in the randomised order of execution.
    """
    rank = ordinal_ranks(model.residual)
    return Residuals(
        fitted=model.fitted.tolist(),
        residual=model.residual.tolist(),
        quantile=normal_quantile((rank - 0.5) / max(1, len(rank))).tolist(),
        unit=[layout.units[i] for i in values.unit],
        context=[layout.contexts[i] for i in values.context],
        run=list(values.run),
        order=[order[run] for run in values.run],
    )


def largest_residual(
    values: RunValues, model: CellMeans | TruncatedModel, layout: Layout
) -> LargestResidual | None:
    """The run farthest from its fitted mean, in residual standard deviations."""
    if not len(values.y) or np.isnan(model.error.variance):
        return None
    worst = int(np.argmax(np.abs(model.residual)))
    return LargestResidual(
        run=values.run[worst],
        unit=layout.units[values.unit[worst]],
        cell=layout.unit_label(int(values.unit[worst])),
        context=layout.contexts[values.context[worst]],
        residual=float(model.residual[worst]),
        in_sd=float(model.residual[worst] / np.sqrt(model.error.variance)),
    )


def near_bounds(values: RunValues, layout: Layout) -> list[NearBound]:
    """Cell means of a proportion within 0.05 of 0 or 1: unequal room makes effects differ."""
    key = values.unit * len(layout.contexts) + values.context
    near = []
    for code in np.unique(key):
        mean = float(values.y[key == code].mean())
        if mean < NEAR or mean > 1 - NEAR:
            unit, context = divmod(int(code), len(layout.contexts))
            row = NearBound(
                unit=layout.units[unit],
                cell=layout.unit_label(unit),
                context=layout.contexts[context],
                mean=mean,
            )
            near.append(row)
    return near


def repeated_histories(history: History, values: RunValues, by_run: Floats) -> int:
    """Number of runs whose whole history repeats another run of the same unit and context.

    `by_run` (N,) is NaN for the rows of the history that are not analysed. Step 0 is common to a
    context and does not count; fewer than three later values may agree by chance.
    """
    later = history.value[~np.isnan(by_run)][:, history.step > 0]
    seen: set[tuple[int, int, bytes]] = set()
    repeated = 0
    for row, unit, context in zip(
        later, values.unit.tolist(), values.context.tolist(), strict=True
    ):
        key = (unit, context, row.tobytes())
        repeated += key in seen and int((~np.isnan(row)).sum()) > 2
        seen.add(key)
    return repeated


def step_zero(history: History, context: Integers, contexts: Sequence[str]) -> StepZero | None:
    """Whether all runs of a context start from the same score, as common draws promise."""
    if not len(history.step) or history.step[0] != 0:
        return None
    start = history.value[:, 0]
    rows = []
    for c, label in enumerate(contexts):
        scores = start[(context == c) & ~np.isnan(start)]
        if len(scores):
            spread = float(np.ptp(scores))
            row = ContextStart(
                context=label,
                runs=len(scores),
                value=float(scores[0]),
                spread=spread,
                equal=spread == 0.0,
            )
            rows.append(row)
    return StepZero(equal=all(row["equal"] for row in rows), contexts=rows) if rows else None


def starts_at_bound(planned: PlannedResponse, start: StepZero) -> Iterator[Statement]:
    """Contexts in which every item scores the worst or the best there is before training."""
    codes: Mapping[Bound, Code] = {"worst": "starts_at_worst", "best": "starts_at_best"}
    for bound, code in codes.items():
        common = (row for row in start["contexts"] if row["equal"])
        reached = [row for row in common if planned.bound_at(row["value"]) == bound]
        if reached:
            value = reached[0]["value"]
            yield statement(
                code,
                value=value,
                contexts=[row["context"] for row in reached],
                of_contexts=len(start["contexts"]),
                remedy=planned.remedy_at(value),
            )


def error_warnings(
    values: RunValues, model: CellMeans | TruncatedModel, layout: Layout
) -> list[Statement]:
    """Where the error term rests on little: on few cells, or on one context."""
    warnings = [_few_cells(model), _uneven_contexts(values, model, layout)]
    return [warning for warning in warnings if warning is not None]


def _few_cells(model: CellMeans | TruncatedModel) -> Statement | None:
    """Fewer than half of the cells are replicated, so that those few speak for all."""
    replicated, cells = int((model.count > 1).sum()), int((model.count > 0).sum())
    if isinstance(model, TruncatedModel) or not 0 < replicated < cells / 2:
        return None
    return statement("few_error_cells", replicated=replicated, cells=cells, df=model.error.df)


def _uneven_contexts(
    values: RunValues, model: CellMeans | TruncatedModel, layout: Layout
) -> Statement | None:
    """One context with most of the residual sum of squares, beyond what equal variances allow.

    The residual df of a truncated model count for contexts by their runs.
    """
    contexts = len(layout.contexts)
    if model.error.reason is not None or contexts < 2:
        return None
    squares = np.bincount(values.context, weights=model.residual**2, minlength=contexts)
    runs = np.bincount(values.context, minlength=contexts)
    df = model.error.df * runs / len(values.y)
    if isinstance(model, CellMeans):
        df = runs - (model.count > 0).sum(axis=0)
    worst = int(np.argmax(squares))
    share, others = float(squares[worst] / squares.sum()), float(df.sum() - df[worst])
    if share <= MOST or df[worst] <= 0 or others <= 0:
        return None
    ratio = (squares[worst] / df[worst]) / max((squares.sum() - squares[worst]) / others, 1e-300)
    if contexts * fdtrc(df[worst], others, ratio) >= UNEVEN:
        return None
    return statement("uneven_contexts", context=layout.contexts[worst], share=share)


def shorter_broad(effects: Sequence[Effect]) -> list[Statement]:
    """Average effects whose broad interval is shorter than their narrow one, by scope.

    The same values with more sources of error cannot be known better: the few levels of the scope
    lie closer together by chance than their noise lets expect.
    """
    narrow = {
        (row["factor"], row["level"]): width
        for row in effects
        if row["estimand"] == "average" and row["inference"] == "narrow"
        if (width := _width(row)) is not None
    }
    shorter: dict[tuple[str, ...], list[str]] = {}
    for row in effects:
        key, width = (row["factor"], row["level"]), _width(row)
        known = row["estimand"] == "average" and row["inference"] == "broad" and width is not None
        if known and key in narrow and width is not None and width < narrow[key]:
            shorter.setdefault(tuple(row["scope"]), []).append(": ".join(key))
    return [
        statement("shorter_broad", scope=list(scope), effects=names)
        for scope, names in shorter.items()
    ]


def _width(row: Effect) -> float | None:
    low, high = row["low"], row["high"]
    return None if low is None or high is None else high - low


def near_bounds_of_gap(learning: Diagnostics, generalization: Diagnostics) -> Iterator[Statement]:
    """A warning where a cell mean of one of the two responses lies near 0 or 1."""
    near = {
        (row["unit"], row["context"])
        for part in (learning, generalization)
        for row in part["near_bounds"]
    }
    if near:
        yield statement("gap_near_bounds", cells=len(near))
