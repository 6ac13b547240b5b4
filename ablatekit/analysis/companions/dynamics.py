"""Learning curves per factor level."""

from __future__ import annotations

import numpy as np

from ablatekit.analysis.companions.matched import matched_levels
from ablatekit.analysis.core.arrays import Booleans, Floats, Integers
from ablatekit.analysis.core.layout import Layout, level_units
from ablatekit.analysis.core.numbers import number
from ablatekit.analysis.core.schema.companions import Curve
from ablatekit.analysis.core.student import t_quantile
from ablatekit.analysis.tables.responses import History


def curves(
    layout: Layout, history: History, unit: Integers, context: Integers, metric: str, alpha: float
) -> list[Curve]:
    """One curve per factor and level: the equal-weight mean over its units and contexts.

    `unit` and `context` (N,) belong to the rows of the history. Levels are shown over the units and
    contexts that they share (`matched`); steps that one of these lacks are left out, so that every
    point of a curve averages over the same ones.
    """
    if not len(history.step):
        return []
    shape = (len(layout.units), len(layout.contexts))
    mean, count, squares = _group_moments(history.value, unit * shape[1] + context, shape)
    df = (count - (count > 0)).sum(axis=(0, 1))
    with np.errstate(invalid="ignore"):
        variance = squares.sum(axis=(0, 1)) / df
    band = t_quantile(1 - alpha / 2, np.maximum(df, 1)) * np.sqrt(variance)
    rows = []
    present: Booleans = np.any(count > 0, axis=2)
    for f, matched in enumerate(matched_levels(layout, present)):
        shared = np.where(matched.units[:, :, None], count, 0.0)
        for level in matched.levels:
            units = level_units(layout, f, level)
            key = (matched.factor, layout.level(f, level), metric)
            rows.append(_curve(key, mean[units], shared[units], band, history.step))
    return [curve for curve in rows if curve["step"]]


def _group_moments(
    value: Floats, group: Integers, shape: tuple[int, int]
) -> tuple[Floats, Floats, Floats]:
    """Mean, count and squares around the mean by group and step, each (U, C, T)."""
    groups, steps = shape[0] * shape[1], value.shape[1]
    valid = ~np.isnan(value)
    count, total = np.zeros((groups, steps)), np.zeros((groups, steps))
    np.add.at(count, group, valid.astype(float))
    np.add.at(total, group, np.where(valid, value, 0.0))
    with np.errstate(invalid="ignore"):
        mean = total / count
    squares = np.zeros((groups, steps))
    np.add.at(squares, group, np.where(valid, value - mean[group], 0.0) ** 2)
    full = (*shape, steps)
    return mean.reshape(full), count.reshape(full), squares.reshape(full)


def _curve(
    name: tuple[str, str, str], mean: Floats, count: Floats, band: Floats, step: Integers
) -> Curve:
    """Points of one level from its units' means (u, C, T); unused contexts do not count."""
    there = (count > 0).any(axis=2)
    whole = np.asarray((count[there] > 0).all(axis=0) & there.any(), dtype=bool)
    number_of = max(1, int(there.sum()))
    centre = mean[there][:, whole].mean(axis=0) if there.any() else np.empty(0)
    half = band[whole] * np.sqrt((1 / count[there][:, whole]).sum(axis=0)) / number_of
    return Curve(
        factor=name[0],
        level=name[1],
        metric=name[2],
        step=step[whole].tolist(),
        n=count[there][:, whole].sum(axis=0).astype(int).tolist(),
        mean=[number(value) for value in centre.tolist()],
        low=[number(value) for value in (centre - half).tolist()],
        high=[number(value) for value in (centre + half).tolist()],
    )
