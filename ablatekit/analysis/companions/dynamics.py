"""Learning curves per factor level."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ablatekit.analysis.companions.matched import matched_levels
from ablatekit.analysis.core.arrays import Booleans, Floats, Integers
from ablatekit.analysis.core.layout import Layout, level_units
from ablatekit.analysis.core.numbers import number
from ablatekit.analysis.core.schema.companions import Curve, Points
from ablatekit.analysis.core.student import t_quantile
from ablatekit.analysis.tables.responses import History, Training


@dataclass(frozen=True)
class _Moments:
    """Means and counts by unit, context and step (U, C, T), and the scale of intervals (T,)."""

    step: Integers
    mean: Floats
    count: Floats
    band: Floats


def curves(
    layout: Layout,
    training: Training,
    unit: Integers,
    context: Integers,
    metric: str,
    alpha: float,
) -> list[Curve]:
    """One curve per factor and level: the equal-weight mean over its units and contexts.

    `unit` and `context` (N,) belong to the rows of the histories. Levels are shown over the units
    and contexts that they share (`matched`); steps that one of these lacks are left out, so that
    every point of a curve, and of what it carries on all items, averages over the same ones.
    """
    if not len(training.common.step):
        return []
    group, shape = unit * len(layout.contexts) + context, (len(layout.units), len(layout.contexts))
    common = _moments(training.common, group, shape, alpha)
    full = _moments(training.full, group, shape, alpha)
    rows: list[Curve] = []
    present: Booleans = np.any(common.count > 0, axis=2)
    for f, matched in enumerate(matched_levels(layout, present)):
        for i in matched.levels:
            shown = np.zeros(shape, dtype=bool)
            shown[level_units(layout, f, i)] = True
            shown &= matched.units & present
            curve = _curve(_points(common, shown), matched.factor, layout.level(f, i), metric)
            on_all_items = _points(full, shown)
            if on_all_items["step"]:
                curve["full"] = on_all_items
            rows.append(curve)
    return [curve for curve in rows if curve["step"]]


def _moments(history: History, group: Integers, shape: tuple[int, int], alpha: float) -> _Moments:
    """The history by unit and context, with the scale of an interval at every step."""
    mean, count, squares = _group_moments(history.value, group, shape)
    df = (count - (count > 0)).sum(axis=(0, 1))
    with np.errstate(invalid="ignore"):
        variance = squares.sum(axis=(0, 1)) / df
    band = t_quantile(1 - alpha / 2, np.maximum(df, 1)) * np.sqrt(variance)
    return _Moments(history.step, mean, count, band)


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


def _points(of: _Moments, shown: Booleans) -> Points:
    """Means over the shown units in contexts (U, C) at the steps that all of them have."""
    count, mean = of.count[shown], of.mean[shown]
    whole = np.asarray((count > 0).all(axis=0) & shown.any(), dtype=bool)
    count, number_of = count[:, whole], max(1, len(count))
    centre = mean[:, whole].sum(axis=0) / number_of
    half = of.band[whole] * np.sqrt((1 / count).sum(axis=0)) / number_of
    return Points(
        step=of.step[whole].tolist(),
        n=count.sum(axis=0).astype(int).tolist(),
        mean=[number(value) for value in centre.tolist()],
        low=[number(value) for value in (centre - half).tolist()],
        high=[number(value) for value in (centre + half).tolist()],
    )


def _curve(points: Points, factor: str, level: str, metric: str) -> Curve:
    return Curve(
        factor=factor,
        level=level,
        metric=metric,
        step=points["step"],
        n=points["n"],
        mean=points["mean"],
        low=points["low"],
        high=points["high"],
    )
