"""What a level costs: the mean of cost metrics per run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ablatekit.analysis.core.arrays import Floats, Integers
from ablatekit.analysis.core.layout import Layout, level_units
from ablatekit.analysis.core.numbers import number
from ablatekit.analysis.core.schema.effects import LevelCost
from ablatekit.analysis.tables.responses import last_values, metric_history, positions
from ablatekit.analysis.tables.study_tables import StudyTables


def level_costs(tables: StudyTables, layout: Layout, metrics: Sequence[str]) -> list[LevelCost]:
    """Mean final value of every metric at every level, equal weight on cells and contexts.

    A factor's levels are compared over the combinations of the others that have all of its levels,
    if there are any, so that a level is not dear because of the company it keeps.
    """
    unit = positions(tables.runs["unit"], layout.units)
    context = positions(tables.runs["context"], layout.contexts)
    rows: list[LevelCost] = []
    for metric in metrics:
        value = last_values(tables, metric, metric_history(tables, metric))
        if np.isnan(value).all():
            continue
        mean = _means(value, unit, context, layout)
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
