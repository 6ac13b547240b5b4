"""What levels cost: the mean of cost metrics per run, and prices as multiples of a baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ablatekit.analysis.core.arrays import Booleans, Floats, Integers
from ablatekit.analysis.core.layout import Layout, level_units
from ablatekit.analysis.core.numbers import number
from ablatekit.analysis.core.schema.effects import LevelCost
from ablatekit.analysis.tables.responses import last_values, metric_history, positions
from ablatekit.analysis.tables.study_tables import StudyTables
from ablatekit.design.plan import Plan, cost_unit

PRICED = ("samples", "tokens", "updates")
"""What a price counts where the plan is silent: the first of these that differs between cells."""
SAME_COST = 1e-9


@dataclass(frozen=True)
class Prices:
    """What a run of every unit costs in every context: `mean` (U, C), NaN where unknown.

    `repeatable`: two executions of one run agree on it (seconds do not).
    """

    metric: str
    mean: Floats
    repeatable: bool

    @property
    def known(self) -> Booleans:
        """Where a cost is known, (U, C)."""
        return ~np.isnan(self.mean)

    def ratio(self, level: Floats, baseline: Floats) -> float | None:
        """Mean cost of the level over that of the baseline, contexts with equal weight.

        Both sides are weights over units in every context (C, U), not negative; a context without
        weights is left out. None where nothing is left, or a weighted cost is unknown or 0.
        """
        here = np.any(level > 0, axis=1) & np.any(baseline > 0, axis=1)
        if not here.any():
            return None
        ours, theirs = (self._mean(side[here], here) for side in (level, baseline))
        return ours / theirs if theirs > 0 and np.isfinite(ours) else None

    def between(self, unit: int, baseline: int) -> float | None:
        """The price of one unit beside another, over the contexts in which both costs are known."""
        both = self.known[unit] & self.known[baseline]
        sides = np.zeros((2, len(both), len(self.mean)))
        sides[0, both, unit] = sides[1, both, baseline] = 1.0
        return self.ratio(sides[0], sides[1])

    def _mean(self, weights: Floats, here: Booleans) -> float:
        share = weights / weights.sum(axis=1, keepdims=True)
        return float(np.where(share > 0, share * self.mean.T[here], 0.0).sum(axis=1).mean())


def prices(plan: Plan, tables: StudyTables, layout: Layout) -> Prices | None:
    """Prices in the plan's cost metric, or in the first of `PRICED` that differs between cells.

    None where no run reports the metric, or no cost differs.
    """
    stated = plan.analysis.price
    metrics = [stated] if stated is not None else _priced(plan)
    for metric in metrics:
        mean = unit_costs(tables, layout, metric)
        if _differs(mean) or (stated is not None and not np.isnan(mean).all()):
            return Prices(metric, mean, metric not in plan.unrepeatable_metrics)
    return None


def _priced(plan: Plan) -> list[str]:
    """Repeatable cost metrics in the order of what a price counts by default."""
    repeatable = [name for name in plan.cost_metrics if name not in plan.unrepeatable_metrics]
    return [name for unit in PRICED for name in repeatable if cost_unit(name) == unit]


def _differs(mean: Floats) -> bool:
    """Whether the cost of units (U, C) differs inside a context."""
    spread = np.fmax.reduce(mean, axis=0) - np.fmin.reduce(mean, axis=0)
    return bool(np.any(spread > SAME_COST * np.fmax.reduce(np.abs(mean), axis=0)))


def unit_costs(tables: StudyTables, layout: Layout, metric: str) -> Floats:
    """Mean final value of a cost metric per unit and context, (U, C); NaN where no run has it."""
    unit = positions(tables.runs["unit"], layout.units)
    context = positions(tables.runs["context"], layout.contexts)
    value = last_values(tables, metric, metric_history(tables, metric))
    return _means(value, unit, context, layout)


def level_costs(tables: StudyTables, layout: Layout, metrics: Sequence[str]) -> list[LevelCost]:
    """Mean final value of every metric at every level, equal weight on cells and contexts.

    A factor's levels are compared over the combinations of the others that have all of its levels,
    if there are any, so that a level is not dear because of the company it keeps.
    """
    rows: list[LevelCost] = []
    for metric in metrics:
        mean = unit_costs(tables, layout, metric)
        if np.isnan(mean).all():
            continue
        for f, factor in enumerate(layout.factors):
            for level, name in enumerate(factor.levels):
                cost = _mean(mean[_matched_units(layout, f, level)])
                row = LevelCost(factor=factor.name, level=name, metric=metric, mean=number(cost))
                rows.append(row)
    return rows


def _means(value: Floats, unit: Integers, context: Integers, layout: Layout) -> Floats:
    shape = (len(layout.units), len(layout.contexts))
    group, valid = unit * shape[1] + context, ~np.isnan(value)
    size = shape[0] * shape[1]
    total = np.bincount(group[valid], weights=value[valid], minlength=size)
    with np.errstate(invalid="ignore"):
        mean: Floats = total / np.bincount(group[valid], minlength=size)
    return mean.reshape(shape)


def _mean(means: Floats) -> float:
    known = means[~np.isnan(means)]
    return float(known.mean()) if len(known) else np.nan


def _matched_units(layout: Layout, factor: int, level: int) -> Integers:
    """Units at the level whose combination of the other factors has every level of the factor."""
    at_level = layout.cells[:, factor] == level
    rest = layout.codes - layout.cells[:, factor] * layout.strides[factor]
    combinations, index = np.unique(rest, return_inverse=True)
    full = np.bincount(index, minlength=len(combinations)) == layout.sizes[factor]
    matched = layout.cell_unit[at_level & full[index]]
    return matched if len(matched) else level_units(layout, factor, level)
