"""Training as a response: effects at every step, milestones, and how steady runs are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from ablatekit.analysis.cells.cell_means import CellMeans, fit_cell_means
from ablatekit.analysis.cells.effects import Evaluated, Fitted, Model
from ablatekit.analysis.cells.truncated import fit_truncated
from ablatekit.analysis.companions.matched import matched_levels
from ablatekit.analysis.core.arrays import Booleans, Floats, Integers
from ablatekit.analysis.core.layout import Layout, level_units
from ablatekit.analysis.core.numbers import number
from ablatekit.analysis.core.schema.companions import EffectAtStep, Milestone, Stability
from ablatekit.analysis.core.values import ContextValues, RunValues
from ablatekit.analysis.stats.inference import narrow
from ablatekit.analysis.tables.responses import History
from ablatekit.study.summaries import parse_summary

LevelRows: TypeAlias = tuple[str, str, Booleans]
"""Factor, level, and which rows (N,) stand for it."""
MOST_STEPS = 25
WAYS = (0.25, 0.5, 0.75)
LATE = 0.25
FEWEST_LATE = 3


def carried_forward(value: Floats) -> Floats:
    """Every run's last valid value stays after it ended: value (N, T), NaN before the first one."""
    position = np.where(np.isnan(value), -1, np.arange(value.shape[1]))
    last = np.maximum.accumulate(position, axis=1)
    rows = np.arange(len(value))[:, None]
    return np.where(last >= 0, value[rows, np.maximum(last, 0)], np.nan)


def effects_over_training(
    fitted: Fitted,
    average: Sequence[Evaluated],
    values: RunValues,
    history: History,
    alpha: float,
) -> list[EffectAtStep]:
    """Narrow average effects at up to 25 steps, evenly spread; rows of the history are the runs.

    A run that ended early keeps its last value. A step that some run of the analysis does not have
    is left out, so that all points of a curve compare the same runs. Simultaneous limits are
    Bonferroni over the steps that have an interval.
    """
    value, step = carried_forward(history.value), history.step
    whole = np.flatnonzero(~np.isnan(value).any(axis=0)) if len(value) else np.empty(0, np.int64)
    if len(whole) < 2:
        return []
    shown = whole[np.unique(np.linspace(0, len(whole) - 1, MOST_STEPS).round().astype(np.int64))]
    tested = int((np.ptp(value[:, shown], axis=0) > 0).sum())
    rows = [
        _at_step(fitted, average, replace(values, y=value[:, t]), int(step[t]), alpha, tested)
        for t in shown.tolist()
    ]
    return [row for at_level in zip(*rows, strict=True) for row in at_level]


def _at_step(
    fitted: Fitted,
    average: Sequence[Evaluated],
    values_now: RunValues,
    step: int,
    alpha: float,
    steps: int,
) -> list[EffectAtStep]:
    layout, model = fitted.layout, fitted.model
    now = (
        fit_cell_means(values_now, layout)
        if isinstance(model, CellMeans)
        else fit_truncated(values_now, layout, fitted.order, model.error.method)
    )
    rows = []
    for effect in average:
        contrast = effect.contrast
        estimate = narrow(_at(now, effect), now.error, alpha)
        half = estimate.half_width(alpha / steps) if estimate.reason is None else np.nan
        rows.append(
            EffectAtStep(
                factor=contrast.factor,
                level=contrast.level,
                step=step,
                estimate=number(estimate.estimate),
                low=number(estimate.low),
                high=number(estimate.high),
                low_simultaneous=number(estimate.estimate - half),
                high_simultaneous=number(estimate.estimate + half),
            )
        )
    return rows


def _at(now: Model, effect: Evaluated) -> ContextValues:
    """The contrast at a step; the rows of a truncated model are those of every other step."""
    if isinstance(now, CellMeans) or effect.values.weights is None:
        return now.evaluate(effect.contrast)
    return now.linear(effect.values.weights, effect.values.pairs)


def milestones(
    history: History,
    levels: Sequence[LevelRows],
    summary: str,
    higher: bool,
) -> list[Milestone]:
    """When the runs of every level get a quarter, a half and three quarters of the way.

    The way leads from the mean first value of all runs to the best mean last value of any level;
    a response `time_to(x)` adds x. Rows of the history are runs with a result, and `levels` say
    which of them stand for a level.
    """
    known = ~np.isnan(history.value).all(axis=1)
    last = carried_forward(history.value)[:, -1:].ravel()
    means = [
        float(last[at_level & known].mean())
        for _, _, at_level in levels
        if (at_level & known).any()
    ]
    if not means or len(history.step) < 2:
        return []
    start = float(_first(history.value[known]).mean())
    goal = max(means) if higher else min(means)
    thresholds = [start + way * (goal - start) for way in WAYS]
    name, argument = parse_summary(summary)
    thresholds = [argument, *thresholds] if name == "time_to" else thresholds
    if np.isclose(goal, start, rtol=1e-9, atol=0.0) or (goal > start) != higher:
        thresholds = [argument] if name == "time_to" else []
    rows = []
    for threshold in thresholds:
        step, reached = steps_to(history, threshold, higher)
        for factor, level, at_level in levels:
            there = at_level & known
            rows.append(
                Milestone(
                    factor=factor,
                    level=level,
                    threshold=threshold,
                    reached=int((reached & there).sum()),
                    runs=int(there.sum()),
                    mean_step=number(float(step[there].mean()) if there.any() else np.nan),
                )
            )
    return rows


def steps_to(history: History, threshold: float, higher: bool) -> tuple[Floats, Booleans]:
    """First step at or beyond the threshold, else the last valid one; and whether it was reached.

    Both (N,); the step is NaN for a run without any valid value.
    """
    valid = ~np.isnan(history.value)
    with np.errstate(invalid="ignore"):
        there = history.value >= threshold if higher else history.value <= threshold
    reached = (there & valid).any(axis=1)
    last = valid.shape[1] - 1 - valid[:, ::-1].argmax(axis=1)
    step = history.step[np.where(reached, there.argmax(axis=1), last)]
    return np.where(valid.any(axis=1), step, np.nan), np.asarray(reached, dtype=bool)


def stability(
    history: History,
    unit: Integers,
    diverged: Booleans,
    layout: Layout,
    higher: bool,
) -> list[Stability]:
    """Late sd within runs and the share of collapsed runs, by level; rows of the history are runs
    with a result, on one set of items at every step; `diverged` (N,) says how they ended.
    """
    late = late_sd(history.value)
    collapsed = diverged | _collapsed(history.value if higher else -history.value, late)
    rows = []
    for factor, level, at_level in _levels(unit, layout):
        steady = late[at_level & ~np.isnan(late)]
        rows.append(
            Stability(
                factor=factor,
                level=level,
                late_sd=number(float(steady.mean()) if len(steady) else np.nan),
                collapse_rate=number(
                    float(collapsed[at_level].mean()) if at_level.any() else np.nan
                ),
            )
        )
    return rows


def late_sd(value: Floats) -> Floats:
    """Sd of every run's values in the last quarter of the steps, NaN with fewer than three (N,)."""
    columns = value.shape[1]
    late = value[:, columns - max(FEWEST_LATE, round(LATE * columns)) :] if columns else value
    valid = ~np.isnan(late)
    count = valid.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(valid, late, 0.0).sum(axis=1) / count
        squares = np.where(valid, late - mean[:, None], 0.0) ** 2
        sd = np.sqrt(squares.sum(axis=1) / (count - 1))
    return np.where(count >= FEWEST_LATE, sd, np.nan)


def _collapsed(value: Floats, late: Floats) -> Booleans:
    """Whether a run ends below half of the way from its first to its best value (N,).

    Only ways longer than twice the late sd count: a flat run is noise, no collapse.
    """
    known = ~np.isnan(value).all(axis=1)
    first, last = _first(value), carried_forward(value)[:, -1:].sum(axis=1)
    best = np.where(np.isnan(value), -np.inf, value).max(axis=1, initial=-np.inf)
    way = best - first
    long = way > 2 * np.nan_to_num(late)
    return np.asarray(known & long & (last < first + way / 2), dtype=bool)


def _first(value: Floats) -> Floats:
    """First valid value of every run, NaN without any (N,)."""
    if not value.shape[1]:
        return np.full(len(value), np.nan)
    return np.asarray(value[np.arange(len(value)), (~np.isnan(value)).argmax(axis=1)], dtype=float)


def level_rows(layout: Layout, unit: Integers, context: Integers) -> list[LevelRows]:
    """Factor, level and which rows (N,) stand for it: those of cells that all levels share."""
    present = np.zeros((len(layout.units), len(layout.contexts)), dtype=bool)
    present[unit, context] = True
    return [
        (matched.factor, layout.level(f, i), matched.at(unit, context, level_units(layout, f, i)))
        for f, matched in enumerate(matched_levels(layout, present))
        for i in matched.levels
    ]


def _levels(unit: Integers, layout: Layout) -> list[LevelRows]:
    """Factor, level and which rows are at it (N,)."""
    return [
        (factor.name, level, np.isin(unit, level_units(layout, f, i)))
        for f, factor in enumerate(layout.factors)
        for i, level in enumerate(factor.levels)
    ]
