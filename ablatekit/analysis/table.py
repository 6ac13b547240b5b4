"""Analyse any table of runs without a study: the short form of `ablatekit analyze`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ablatekit.analysis.core.layout import context_label
from ablatekit.analysis.core.schema.analysis import Analysis
from ablatekit.analysis.engine.numeric import finite
from ablatekit.analysis.study import analyse
from ablatekit.analysis.tables.item_table import RUN, collapse_items, holds_items
from ablatekit.analysis.tables.missing import STATUSES
from ablatekit.analysis.tables.study_tables import StudyTables
from ablatekit.canonical import content_hash
from ablatekit.design.plan import (
    Cell,
    Plan,
    PlannedAnalysis,
    PlannedFactor,
    PlannedResponse,
    PlannedRun,
)
from ablatekit.errors import Problem, TableError, nearest
from ablatekit.runs.records import RunSpec

STATUS = "status"
DEFAULTS = PlannedAnalysis(
    responses=(), interactions=2, inference="both", alpha=0.05, adjust="holm", diverged="score"
)


def analyse_table(
    frame: pd.DataFrame,
    responses: Sequence[PlannedResponse] | str,
    factors: Sequence[str],
    contexts: Sequence[str] = (),
    baselines: Mapping[str, str] | None = None,
    analysis: PlannedAnalysis = DEFAULTS,
    provenance: Mapping[str, Any] | None = None,
) -> Analysis:
    """Effects of factors on responses, from one row per run or one row per run, item and sample.

    `responses` is a column name, or responses whose `metric` names a column. Rows per item have the
    columns `run` and `item`, and `dataset` where items belong to one. Raises TableError for columns
    that are missing, not numeric, or do not vary, for infinite values, except of diverged runs, and
    for factors that change within a run.
    """
    planned, labels = _responses(responses), [*factors, *contexts]
    _check_columns(frame, [r.metric for r in planned], labels)
    _check_finite(frame, [r.metric for r in planned])
    if not holds_items(frame, labels):
        plan, tables = plan_from_table(frame, planned, factors, contexts, baselines or {}, analysis)
        return analyse(plan, tables, provenance or {}, [])
    status = [STATUS] if STATUS in frame.columns and STATUS not in labels else []
    table = collapse_items(frame, [r.metric for r in planned], [*labels, *status])
    planned = tuple(replace(response, items=response.metric) for response in planned)
    plan, tables = plan_from_table(
        table.runs, planned, factors, contexts, baselines or {}, analysis
    )
    names = dict(zip(table.runs[RUN].astype(str), tables.runs["run"], strict=True))
    outcomes = table.outcomes.assign(run=table.outcomes["run"].astype(str).map(names))
    return analyse(plan, replace(tables, outcomes=outcomes), provenance or {}, [])


def plan_from_table(
    frame: pd.DataFrame,
    responses: Sequence[PlannedResponse] | str,
    factors: Sequence[str],
    contexts: Sequence[str],
    baselines: Mapping[str, str],
    analysis: PlannedAnalysis = DEFAULTS,
) -> tuple[Plan, StudyTables]:
    """The plan that a table of runs amounts to, and its tables; a missing response is a failed run.

    The first level of a factor in the table is its baseline unless `baselines` names another one.
    """
    planned = _responses(responses)
    _check_columns(frame, [r.metric for r in planned], [*factors, *contexts])
    labels = frame[[*factors, *contexts]].astype(str)
    planned_factors = tuple(_factor(name, labels[name], baselines.get(name)) for name in factors)
    runs = _runs(labels, list(factors), list(contexts))
    cells = tuple(
        Cell(levels=levels, unit=content_hash(levels)) for levels in _distinct(labels, factors)
    )
    plan = Plan(
        study="table",
        title="",
        question="",
        backend="table",
        results_version=1,
        python=None,
        design="full"
        if len(cells) == np.prod([len(f.levels) for f in planned_factors])
        else "custom",
        factors=planned_factors,
        contexts=_contexts(labels, contexts),
        replicates=1 + max(run.replicate for run in runs),
        cells=cells,
        excluded=(),
        runs=runs,
        analysis=_with_responses(analysis, planned),
        held_equal={},
    )
    return plan, _tables(frame, plan, planned)


def _responses(responses: Sequence[PlannedResponse] | str) -> tuple[PlannedResponse, ...]:
    if not isinstance(responses, str):
        return tuple(responses)
    return (
        PlannedResponse(
            name=responses,
            metric=responses,
            summary="final",
            direction="higher",
            smallest_effect=None,
            items=None,
            label=responses,
        ),
    )


def _with_responses(
    analysis: PlannedAnalysis, responses: tuple[PlannedResponse, ...]
) -> PlannedAnalysis:
    return PlannedAnalysis(
        responses=responses,
        interactions=analysis.interactions,
        inference=analysis.inference,
        alpha=analysis.alpha,
        adjust=analysis.adjust,
        diverged=analysis.diverged,
    )


def _check_columns(frame: pd.DataFrame, metrics: Sequence[str], labels: Sequence[str]) -> None:
    problems = [
        Problem("a column is missing from the table", repr(name), nearest(name, frame.columns))
        for name in (*metrics, *labels)
        if name not in frame.columns
    ]
    problems += [
        Problem("a response must be numeric", f"{name} with {_first_text(frame[name])}")
        for name in metrics
        if name in frame.columns
        and name not in labels
        and not pd.api.types.is_numeric_dtype(frame[name])
    ]
    problems += [
        Problem("a factor or context has empty cells", repr(name), "Fill them or drop the rows")
        for name in labels
        if name in frame.columns and frame[name].isna().any()
    ]
    if frame.empty:
        problems.append(Problem("the table has no rows"))
    roles = Counter((*metrics, *labels))
    problems += [
        Problem("a column has more than one role", repr(name), "Name every column once")
        for name, count in roles.items()
        if count > 1
    ]
    if problems:
        raise TableError(*problems)


def _check_finite(frame: pd.DataFrame, metrics: Sequence[str]) -> None:
    """A diverged run may end in an infinite value; any other one is a mistake in the table."""
    diverged = frame[STATUS].astype(str) == "diverged" if STATUS in frame.columns else False
    for name in metrics:
        column = frame.loc[frame[name].notna() & ~np.asarray(diverged, dtype=np.bool_), name]
        finite(column.to_numpy(dtype=float), name, column.index)


def _first_text(column: pd.Series[Any]) -> str:
    """The first value that is no number, with its row counted from 1."""
    text = (pd.to_numeric(column.astype(str), errors="coerce").isna() & column.notna()).to_numpy()
    if not text.any():
        return f"values of type {column.dtype}"
    row = int(text.argmax())
    return f"{column.iloc[row]!r} in row {row + 1}"


def _factor(name: str, column: pd.Series[str], baseline: str | None) -> PlannedFactor:
    levels = tuple(column.unique())
    chosen = levels[0] if baseline is None else baseline
    if chosen not in levels:
        raise TableError(
            Problem(
                f"the baseline of {name} is not one of its levels", chosen, nearest(chosen, levels)
            )
        )
    if len(levels) < 2:
        raise TableError(Problem(f"the factor {name} has one level only", levels[0]))
    return PlannedFactor(name=name, levels=levels, baseline=chosen, label=name)


def _contexts(labels: pd.DataFrame, contexts: Sequence[str]) -> tuple[Mapping[str, str], ...]:
    return tuple(_distinct(labels, contexts)) if contexts else ({},)


def _distinct(labels: pd.DataFrame, names: Sequence[str]) -> list[dict[str, str]]:
    rows = labels[list(names)].drop_duplicates().to_numpy(dtype=str).tolist()
    return [dict(zip(names, row, strict=True)) for row in rows]


def _runs(labels: pd.DataFrame, factors: list[str], contexts: list[str]) -> tuple[PlannedRun, ...]:
    """One run per row; rows that agree on every label are replicates in the order of the table."""
    replicate = labels.groupby([*factors, *contexts], sort=False).cumcount()
    return tuple(
        _run(number, row, int(replicate.iloc[number]), factors, contexts)
        for number, row in enumerate(labels.to_dict("records"))
    )


def _run(
    number: int, row: Mapping[Any, str], replicate: int, factors: list[str], contexts: list[str]
) -> PlannedRun:
    levels = {name: row[name] for name in factors}
    context = {name: row[name] for name in contexts}
    spec = RunSpec(
        backend="table",
        results_version=1,
        settings=levels,
        context=context,
        content={},
        replicate=replicate,
    )
    return PlannedRun(
        run_id=f"row-{number:07d}",
        order=number,
        unit=content_hash(levels),
        context=context,
        replicate=replicate,
        spec=spec,
    )


def _status(
    frame: pd.DataFrame, plan: Plan, known: NDArray[np.bool_]
) -> NDArray[np.str_] | list[str]:
    """The column `status` if it holds statuses; else a run without any response has failed."""
    roles = {*(f.name for f in plan.factors), *plan.contexts[0]}
    if STATUS in frame.columns and STATUS not in roles:
        given = frame[STATUS].astype(str)
        if set(given) <= set(STATUSES):
            return given.to_list()
    return np.where(known, "finished", "failed")


def _tables(frame: pd.DataFrame, plan: Plan, responses: tuple[PlannedResponse, ...]) -> StudyTables:
    names = [run.run_id for run in plan.runs]
    metrics = {r.metric: frame[r.metric].to_numpy(dtype=float) for r in responses}
    known = np.isfinite(np.column_stack(list(metrics.values()))).any(axis=1)
    runs = pd.DataFrame(
        {
            **{f.name: [run.spec.settings[f.name] for run in plan.runs] for f in plan.factors},
            "run": names,
            "unit": [run.unit for run in plan.runs],
            "context": [context_label(run.context) for run in plan.runs],
            "replicate": [run.replicate for run in plan.runs],
            "order": range(len(names)),
            "status": _status(frame, plan, known),
            "message": "",
        }
    )
    results = [
        pd.DataFrame({"run": names, "metric": metric, "value": values})
        for metric, values in metrics.items()
    ]
    history = pd.DataFrame({"run": [], "step": [], "metric": [], "value": []})
    return StudyTables(runs, history, pd.concat(results, ignore_index=True))
