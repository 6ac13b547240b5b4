"""Checks of what the models assume, and of what the design promises."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from ablatekit.analysis.cellmeans import CellMeans
from ablatekit.analysis.layout import Floats, Integers, Layout
from ablatekit.analysis.responses import History
from ablatekit.analysis.truncated import TruncatedModel
from ablatekit.analysis.values import RunValues

NEAR = 0.05


def brown_forsythe(values: RunValues) -> float:
    """P value for equal run-to-run variance over units, contexts pooled; NaN if nothing tells.

    One-way analysis of variance of absolute deviations from the medians of unit and context (Brown
    and Forsythe 1974), without the deviation in every group that the others determine (Hines and
    Hines 2000): with few replicates the plain test is far from its level.
    """
    samples = _deviations(values) if len(values.y) else []
    samples = [sample for sample in samples if len(sample) > 1]
    if len(samples) < 2 or all(np.ptp(sample) == 0 for sample in samples):
        return np.nan
    return float(stats.f_oneway(*samples).pvalue)


def _deviations(values: RunValues) -> list[Floats]:
    """Absolute deviations per unit, less the structural zero of every unit and context."""
    key = values.unit * (values.context.max() + 1) + values.context
    order = np.lexsort((values.y, key))
    starts = np.flatnonzero(np.diff(key[order], prepend=-1))
    per_unit: dict[int, list[Floats]] = {}
    for group in np.split(order, starts[1:]):
        if len(group) > 1:
            deviations = _without_structural_zero(values.y[group])
            per_unit.setdefault(int(values.unit[group[0]]), []).append(deviations)
    return [np.concatenate(per_unit[unit]) for unit in sorted(per_unit)]


def _without_structural_zero(ordered: Floats) -> Floats:
    """|y - median| of an ordered sample: an odd one loses its median, an even one's two middle
    deviations, which are equal, become one of sqrt(2) times their size."""
    middle = len(ordered) // 2
    deviations = np.abs(ordered - np.median(ordered))
    if len(ordered) % 2:
        return np.delete(deviations, middle)
    kept = np.delete(deviations, middle)
    kept[middle - 1] *= np.sqrt(2.0)
    return kept


def residual_lists(
    values: RunValues,
    model: CellMeans | TruncatedModel,
    layout: Layout,
    order: Mapping[str, int],
) -> dict[str, list[Any]]:
    """Parallel lists for residual plots; `quantile` is the standard normal one of the rank.

    `order` is every run's place in the randomised order of execution.
    """
    rank = stats.rankdata(model.residual, method="ordinal")
    return {
        "fitted": model.fitted.tolist(),
        "residual": model.residual.tolist(),
        "quantile": stats.norm.ppf((rank - 0.5) / max(1, len(rank))).tolist(),
        "unit": [layout.units[i] for i in values.unit],
        "context": [layout.contexts[i] for i in values.context],
        "run": list(values.run),
        "order": [order[run] for run in values.run],
    }


def largest_residual(
    values: RunValues, model: CellMeans | TruncatedModel, layout: Layout
) -> dict[str, Any] | None:
    """The run farthest from its fitted mean, in residual standard deviations."""
    if not len(values.y) or np.isnan(model.error.variance):
        return None
    worst = int(np.argmax(np.abs(model.residual)))
    return {
        "run": values.run[worst],
        "unit": layout.units[values.unit[worst]],
        "cell": layout.unit_label(int(values.unit[worst])),
        "context": layout.contexts[values.context[worst]],
        "residual": float(model.residual[worst]),
        "in_sd": float(model.residual[worst] / np.sqrt(model.error.variance)),
    }


def near_bounds(values: RunValues, layout: Layout) -> list[dict[str, Any]]:
    """Cell means of a proportion within 0.05 of 0 or 1: unequal room makes effects differ."""
    key = values.unit * len(layout.contexts) + values.context
    found = []
    for code in np.unique(key):
        mean = float(values.y[key == code].mean())
        if mean < NEAR or mean > 1 - NEAR:
            unit, context = divmod(int(code), len(layout.contexts))
            cell = {"unit": layout.units[unit], "cell": layout.unit_label(unit)}
            found.append({**cell, "context": layout.contexts[context], "mean": mean})
    return found


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


def step_zero(
    history: History, context: Integers, contexts: Sequence[str]
) -> dict[str, Any] | None:
    """Whether all runs of a context start from the same score, as common draws promise."""
    if not len(history.step) or history.step[0] != 0:
        return None
    start = history.value[:, 0]
    rows = []
    for c, label in enumerate(contexts):
        own = start[(context == c) & ~np.isnan(start)]
        if len(own):
            spread = float(np.ptp(own))
            row = {"context": label, "runs": len(own), "value": float(own[0]), "spread": spread}
            rows.append({**row, "equal": spread == 0.0})
    return {"equal": all(row["equal"] for row in rows), "contexts": rows} if rows else None
