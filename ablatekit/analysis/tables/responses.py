"""Responses: one number per run from a metric's history (DESIGN 3.1, `summary`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ablatekit.analysis.core.arrays import Booleans, Floats, Integers
from ablatekit.analysis.core.layout import Layout
from ablatekit.analysis.core.numbers import PLAIN, number
from ablatekit.analysis.core.schema.codes import Code
from ablatekit.analysis.core.schema.vocabulary import Statement, statement
from ablatekit.analysis.core.values import RunValues
from ablatekit.analysis.tables.measures import FRACTION, looks_like_share
from ablatekit.analysis.tables.study_tables import StudyTables
from ablatekit.design.plan import PlannedResponse
from ablatekit.runs.records import PROPORTION_UNITS, part_metric
from ablatekit.study.summaries import is_last_value, parse_summary


@dataclass(frozen=True)
class History:
    """A metric of every run: `value` (N, T) with NaN where a run has no valid value at `step`."""

    step: Integers
    value: Floats


@dataclass(frozen=True)
class Training:
    """A metric over training on the items that every evaluation of a run uses (`common`).

    `full` holds the values on all items, at the steps that have them, where `common` is that of a
    part; else it has no step. `without_part` runs did not log the part's values there; `common`
    lacks these steps for all runs, lest an earlier value of some be compared with that of others.
    `ended_on_part` runs have no value on all items at their end.
    """

    common: History
    full: History
    without_part: int = 0
    ended_on_part: int = 0


@dataclass(frozen=True)
class Response:
    """Analysed values, the same with runs in the order of the tables, and what to tell.

    `history` is the metric as it was logged; `training` tells its sets of items apart.
    """

    values: RunValues
    by_run: Floats
    history: History
    training: Training
    messages: tuple[Statement, ...]


def metric_history(tables: StudyTables, metric: str) -> History:
    """The metric over steps, one row per run of the tables; infinities are no valid values."""
    runs = {run: i for i, run in enumerate(tables.runs["run"])}
    logged = tables.history[tables.history["metric"] == metric]
    steps, column = np.unique(logged["step"].to_numpy(dtype=np.int64), return_inverse=True)
    value = np.full((len(runs), len(steps)), np.nan)
    if len(logged):
        rows = logged["run"].map(runs).to_numpy(dtype=np.int64)
        value[rows, column] = logged["value"].to_numpy(dtype=float)
    value[~np.isfinite(value)] = np.nan
    return History(steps, value)


def training_of(response: PlannedResponse, tables: StudyTables, history: History) -> Training:
    """The history on one set of items at every step, and apart from it what is on all items."""
    if not response.partial:
        return Training(history, History(history.step[:0], history.value[:, :0]))
    part = metric_history(tables, part_metric(response.metric))
    step = np.union1d(history.step, part.step)
    logged, on_part = _at_steps(history, step), _at_steps(part, step)
    known = ~np.isnan(logged)
    on_all = _on_all_items(known, ~np.isnan(on_part))
    lacking = on_all & np.isnan(on_part)
    of_part = np.where(on_all, on_part, logged)
    common = History(step, np.where(lacking.any(axis=0), np.nan, of_part))
    full = History(step, np.where(on_all, logged, np.nan))
    return Training(
        _known_steps(common),
        _known_steps(full),
        without_part=int(lacking.any(axis=1).sum()),
        ended_on_part=int((_last_known(known) & ~on_all).sum()),
    )


def _on_all_items(logged: Booleans, on_part: Booleans) -> Booleans:
    """Where a partial metric is measured on all items (N, T).

    Where the part has a value of its own, and at the first step. A run's last step is one, too,
    but a run that diverged may end with its last good evaluation, which used the part: so the last
    counts only in runs that never logged a value of the part.
    """
    first = np.arange(logged.shape[1]) == 0
    never = ~on_part.any(axis=1, keepdims=True)
    return np.asarray(on_part | (logged & first) | (never & _last_known(logged)), dtype=bool)


def _last_known(known: Booleans) -> Booleans:
    """The last known step of every row (N, T)."""
    return np.asarray(known & (known[:, ::-1].cumsum(axis=1)[:, ::-1] == 1), dtype=bool)


def _at_steps(history: History, step: Integers) -> Floats:
    """The values at steps of which the history's are some, NaN at the others."""
    value = np.full((len(history.value), len(step)), np.nan)
    value[:, np.searchsorted(step, history.step)] = history.value
    return value


def _known_steps(history: History) -> History:
    """The history without the steps at which no run has a value."""
    known = ~np.isnan(history.value).all(axis=0)
    return History(history.step[known], history.value[:, known])


def last_values(tables: StudyTables, metric: str, history: History) -> Floats:
    """The last valid value of every run: its result's, else its history's, (N,)."""
    value = _last(history)
    final = tables.results[tables.results["metric"] == metric]
    if len(final):
        reported = final.set_index("run")["value"].reindex(tables.runs["run"]).to_numpy(dtype=float)
        value = np.where(np.isfinite(reported), reported, value)
    return value


def respond(
    response: PlannedResponse, tables: StudyTables, layout: Layout, policy: str
) -> Response:
    """Summarise the metric of every finished or diverged run; diverged ones enter by `policy`."""
    history = metric_history(tables, response.metric)
    status = tables.runs["status"].to_numpy(dtype=str)
    training = training_of(response, tables, history)
    shown = history if is_last_value(response.summary) else training.common
    by_run, messages = summarise(response, tables, shown)
    by_run = np.where(np.isin(status, ("finished", "diverged")), by_run, np.nan)
    diverged = status == "diverged"
    if diverged.any():
        by_run, told = _apply_policy(by_run, diverged, response, policy)
        messages = [*messages, *told]
        if policy == "score" and training.ended_on_part and is_last_value(response.summary):
            messages.append(statement("ended_on_part", runs=training.ended_on_part))
    if training.without_part:
        lacking = training.without_part
        messages.append(statement("without_part", runs=lacking, metric=response.metric))
    without = int((np.isnan(by_run) & (status == "finished")).sum())
    if without:
        code: Code = "without_area" if response.summary == "auc" else "without_metric"
        messages.append(statement(code, runs=without, metric=response.metric))
    values = _run_values(by_run, tables.runs, layout)
    return Response(values, by_run, history, training, tuple(messages))


def summarise(
    response: PlannedResponse, tables: StudyTables, history: History
) -> tuple[Floats, list[Statement]]:
    """The summary of every run, (N,), NaN where the history does not allow it."""
    name, argument = parse_summary(response.summary)
    if name == "final":
        return last_values(tables, response.metric, history), []
    if name == "best":
        return _best(history, response.direction), []
    if name == "mean_last":
        return _mean_last(history, int(argument)), []
    if name == "auc":
        return _area(history), []
    reached, censored = _time_to(history, argument)
    never = statement("never_reached", runs=censored, threshold=argument)
    return reached, [never] if censored else []


def is_proportion(response: PlannedResponse, values: Floats) -> bool:
    """Whether the response is bounded by 0 and 1: by its unit, else by what was observed.

    Never where a value lies outside.
    """
    if response.summary.startswith("time_to") or ((values < 0) | (values > 1)).any():
        return False
    if response.unit:
        return response.unit.lower() in PROPORTION_UNITS
    return looks_like_share(values, response.metric)


def shown_unit(response: PlannedResponse, values: Floats) -> str:
    """The unit of a response in `analysis.json`: `fraction` for every kind of proportion.

    A unit of proportions on values outside [0, 1] is none: nothing above 1 is shown in points.
    """
    if is_proportion(response, values):
        return FRACTION
    return "" if response.unit.lower() in (*PROPORTION_UNITS, PLAIN) else response.unit


def _last(history: History) -> Floats:
    return _mean_last(history, 1)


def _mean_last(history: History, count: int) -> Floats:
    """Mean of the last `count` valid values; of all of them where a run has fewer."""
    valid = ~np.isnan(history.value)
    later = valid[:, ::-1].cumsum(axis=1)[:, ::-1]
    return _row_mean(history.value, valid & (later <= count))


def _row_mean(value: Floats, keep: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> Floats:
    number = keep.sum(axis=1)
    with np.errstate(invalid="ignore"):
        mean: Floats = np.where(keep, value, 0.0).sum(axis=1) / number
    return mean


def _best(history: History, direction: str) -> Floats:
    sign = 1.0 if direction == "higher" else -1.0
    filled = np.where(np.isnan(history.value), -np.inf, sign * history.value)
    best = filled.max(axis=1, initial=-np.inf)
    return np.where(np.isfinite(best), sign * best, np.nan)


def _area(history: History) -> Floats:
    """Area under the curve over the run's range of steps (trapezoids): a mean over training."""
    area = np.full(len(history.value), np.nan)
    for i, row in enumerate(history.value):
        valid = ~np.isnan(row)
        step, value = history.step[valid], row[valid]
        if len(step) > 1:
            area[i] = np.trapezoid(value, step) / (step[-1] - step[0])
    return area


def _time_to(history: History, threshold: float) -> tuple[Floats, int]:
    """First step at or beyond the threshold, seen from the first value; else the last step."""
    times, censored = np.full(len(history.value), np.nan), 0
    for i, row in enumerate(history.value):
        valid = ~np.isnan(row)
        if not valid.any():
            continue
        step, value = history.step[valid], row[valid]
        there = value >= threshold if value[0] <= threshold else value <= threshold
        times[i] = step[np.argmax(there)] if there.any() else step[-1]
        censored += not there.any()
    return times, censored


def _apply_policy(
    by_run: Floats,
    diverged: np.ndarray[tuple[int], np.dtype[np.bool_]],
    response: PlannedResponse,
    policy: str,
) -> tuple[Floats, list[Statement]]:
    """The values with those of diverged runs by the policy, and what happened to these."""
    runs = int(diverged.sum())
    if policy == "exclude":
        return np.where(diverged, np.nan, by_run), [statement("diverged_left_out", runs=runs)]
    if policy == "score":
        without = int((diverged & np.isnan(by_run)).sum())
        entered = [statement("diverged_with_score", runs=runs - without)] if runs > without else []
        lost = [statement("diverged_without_score", runs=without)] if without else []
        return by_run, [*entered, *lost]
    worst = _worst(by_run, response)
    told = statement("diverged_with_worst", runs=runs, value=number(worst))
    return np.where(diverged, worst, by_run), [told]


def _worst(by_run: Floats, response: PlannedResponse) -> float:
    """The bound of a proportion, else the worst value that any run of the study reported."""
    known = by_run[~np.isnan(by_run)]
    lower = response.direction == "higher"
    if is_proportion(response, known):
        return 0.0 if lower else 1.0
    if not len(known):
        return np.nan
    return float(known.min() if lower else known.max())


def _run_values(by_run: Floats, runs: pd.DataFrame, layout: Layout) -> RunValues:
    keep = ~np.isnan(by_run)
    return RunValues(
        y=by_run[keep],
        unit=positions(runs["unit"][keep], layout.units),
        context=positions(runs["context"][keep], layout.contexts),
        run=tuple(runs["run"][keep]),
    )


def positions(labels: Sequence[str] | pd.Series[str], known: Sequence[str]) -> Integers:
    """Index of every label among the known ones."""
    index = {label: i for i, label in enumerate(known)}
    return np.array([index[label] for label in labels], dtype=np.int64)
