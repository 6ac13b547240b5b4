"""Checks of what the models assume, and of what the design promises."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ablatekit.analysis.cells.cell_means import CellMeans
from ablatekit.analysis.cells.truncated import TruncatedModel
from ablatekit.analysis.core.arrays import Floats, Integers
from ablatekit.analysis.core.layout import Layout
from ablatekit.analysis.core.schema.companions import (
    ContextStart,
    LargestResidual,
    NearBound,
    Residuals,
    StepZero,
)
from ablatekit.analysis.core.tails import normal_quantile, ordinal_ranks
from ablatekit.analysis.core.values import RunValues
from ablatekit.analysis.tables.responses import History

NEAR = 0.05


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
