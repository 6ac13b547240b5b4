"""Analyse any table of runs without a study: the short form of `ablatekit analyze`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from ablatekit.analysis.core.layout import NOT_SET, context_label
from ablatekit.analysis.core.schema.analysis import Analysis
from ablatekit.analysis.core.schema.vocabulary import Statement
from ablatekit.analysis.study import analyse
from ablatekit.analysis.tables.annotations import Annotations, annotated, refuse_annotations
from ablatekit.analysis.tables.checks import (
    odd_rows,
    refuse_columns,
    refuse_empty,
    refuse_infinite,
    spelling_variants,
)
from ablatekit.analysis.tables.item_table import RUN, collapse_items, holds_items
from ablatekit.analysis.tables.measures import Measure, guessed, planned_response
from ablatekit.analysis.tables.readers.base import DIRECTIONS, MESSAGES
from ablatekit.analysis.tables.study_tables import StudyTables
from ablatekit.analysis.tables.values import endings, with_levels, with_numbers, without_unplaced
from ablatekit.analysis.tables.wide import melted
from ablatekit.analysis.tables.words import STATUS
from ablatekit.canonical import content_hash
from ablatekit.design.plan import (
    Cell,
    Plan,
    PlannedAnalysis,
    PlannedFactor,
    PlannedResponse,
    PlannedRun,
)
from ablatekit.errors import Problem, TableError, UsageError, nearest
from ablatekit.runs.records import RunSpec

DEFAULTS = PlannedAnalysis(
    responses=(), interactions=2, inference="both", alpha=0.05, adjust="holm", diverged="score"
)
NOTHING_SAID = Annotations()
Check: TypeAlias = Callable[[Analysis, Plan, StudyTables], Analysis]
"""An analysis with what a look at its plan and tables adds, such as a second opinion."""


def analyse_table(
    frame: pd.DataFrame,
    responses: Sequence[Measure | PlannedResponse] | str,
    factors: Sequence[str],
    contexts: Sequence[str] = (),
    baselines: Mapping[str, str] | None = None,
    analysis: PlannedAnalysis = DEFAULTS,
    provenance: Mapping[str, Any] | None = None,
    wide: Sequence[str] = (),
    annotations: Annotations = NOTHING_SAID,
    check: Check | None = None,
) -> Analysis:
    """Effects of factors on responses, from one row per run or one row per run, item and sample.

    `responses` is a column name, or measures of columns, or responses whose `metric` names a
    column. Rows per item have the columns `run` and `item`, and `dataset` where items belong to
    one. `wide` names the columns, or patterns of them, that hold the runs of one row; the only
    response is then their new name. `annotations` say what columns mean beyond their roles; `check`
    adds what it finds to the finished analysis. What is odd in the table is told in every
    response's `diagnostics`. Raises TableError for columns that are missing, not numeric, or do not
    vary, for a `status` that is not known, for infinite values, except of diverged runs, and for
    factors that change within a run.
    """
    measures, labels = _directed(frame, _measures(responses)), [*factors, *contexts]
    names = [_column(measure) for measure in measures]
    of_source: list[Statement] = frame.attrs.get(MESSAGES, [])
    frame, messages = _in_rows(frame, names, wide)
    frame, unplaced = without_unplaced(frame, names, factors, contexts)
    messages += [told for told in unplaced if told not in of_source]
    frame, words = with_numbers(frame, [annotations.price] if annotations.price else [])
    refuse_columns(frame, names, labels, factors)
    refuse_empty(frame, names)
    refuse_annotations(frame, annotations, names, factors, contexts)
    frame = with_levels(frame, factors)
    refuse_infinite(frame, names, labels)
    planned = tuple(_planned(frame, measure) for measure in measures)
    by_item = holds_items(frame, labels)
    messages = [*of_source, *messages]
    messages += words + spelling_variants({name: map(str, frame[name].unique()) for name in labels})
    messages += [] if by_item else odd_rows(frame, names, [*labels, *annotations.columns])
    planning = _plan_of_items if by_item else _plan_of_runs
    chosen = (factors, contexts, baselines or {}, analysis, annotations)
    plan, tables = planning(frame, planned, *chosen)
    result = told(
        analyse(plan, tables, provenance or {}, []),
        messages,
        guessed([m for m in measures if isinstance(m, Measure)]),
    )
    return check(result, plan, tables) if check else result


def _plan_of_runs(
    frame: pd.DataFrame,
    responses: tuple[PlannedResponse, ...],
    factors: Sequence[str],
    contexts: Sequence[str],
    baselines: Mapping[str, str],
    analysis: PlannedAnalysis,
    annotations: Annotations,
) -> tuple[Plan, StudyTables]:
    made = plan_from_table(frame, responses, factors, contexts, baselines, analysis)
    return annotated(*made, frame, annotations)


def _plan_of_items(
    frame: pd.DataFrame,
    responses: tuple[PlannedResponse, ...],
    factors: Sequence[str],
    contexts: Sequence[str],
    baselines: Mapping[str, str],
    analysis: PlannedAnalysis,
    annotations: Annotations,
) -> tuple[Plan, StudyTables]:
    labels = [*factors, *contexts]
    status = [STATUS] if STATUS in frame.columns and STATUS not in labels else []
    kept = dict.fromkeys([*labels, *status, *annotations.columns])
    table = collapse_items(frame, [r.metric for r in responses], list(kept))
    planned = tuple(replace(response, items=response.metric) for response in responses)
    made = plan_from_table(table.runs, planned, factors, contexts, baselines, analysis)
    plan, tables = annotated(*made, table.runs, annotations)
    names = dict(zip(table.runs[RUN].astype(str), tables.runs["run"], strict=True))
    outcomes = table.outcomes.assign(run=table.outcomes["run"].astype(str).map(names))
    return plan, replace(tables, outcomes=outcomes)


def _in_rows(
    frame: pd.DataFrame, names: Sequence[str], wide: Sequence[str]
) -> tuple[pd.DataFrame, list[Statement]]:
    """One row per run with numbers as responses."""
    if not wide:
        return with_numbers(frame, names)
    if len(names) != 1:
        rule = "--wide holds the runs of a single response"
        raise UsageError(Problem(rule, ", ".join(names), "Analyse one response at a time"))
    return melted(frame, names[0], wide)


def told(
    analysis: Analysis, messages: Sequence[Statement], by_response: Mapping[str, list[Statement]]
) -> Analysis:
    """The analysis with what there is to say of the table, first in every response's diagnostics.

    by_response: what concerns one response alone.
    """
    for name, response in analysis["responses"].items():
        first = [*by_response.get(name, []), *messages]
        response["diagnostics"]["messages"][:0] = first
    return analysis


def plan_from_table(
    frame: pd.DataFrame,
    responses: Sequence[Measure | PlannedResponse] | str,
    factors: Sequence[str],
    contexts: Sequence[str],
    baselines: Mapping[str, str],
    analysis: PlannedAnalysis = DEFAULTS,
) -> tuple[Plan, StudyTables]:
    """The plan that a table of runs amounts to, and its tables; a missing response is a failed run.

    The first level of a factor in the table is its baseline unless `baselines` names another one.
    """
    measures = _measures(responses)
    refuse_columns(frame, [_column(m) for m in measures], [*factors, *contexts], factors)
    planned = tuple(_planned(frame, measure) for measure in measures)
    labels = with_levels(frame[[*factors, *contexts]], factors).astype(str)
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
        analysis=replace(analysis, responses=planned),
        held_equal={},
    )
    return plan, _tables(frame, plan, planned)


def _measures(
    responses: Sequence[Measure | PlannedResponse] | str,
) -> list[Measure | PlannedResponse]:
    return [Measure(column=responses)] if isinstance(responses, str) else list(responses)


def _directed(
    frame: pd.DataFrame, measures: Sequence[Measure | PlannedResponse]
) -> list[Measure | PlannedResponse]:
    """Measures with the direction that the source of the table states, where none is named."""
    known = frame.attrs.get(DIRECTIONS, {})
    return [
        replace(m, direction=known[m.column])
        if isinstance(m, Measure) and m.direction is None and m.column in known
        else m
        for m in measures
    ]


def _column(measure: Measure | PlannedResponse) -> str:
    return measure.column if isinstance(measure, Measure) else measure.metric


def _planned(frame: pd.DataFrame, measure: Measure | PlannedResponse) -> PlannedResponse:
    return planned_response(frame, measure) if isinstance(measure, Measure) else measure


def _factor(name: str, column: pd.Series[str], baseline: str | None) -> PlannedFactor:
    """The levels in the order of the table, NOT_SET first; the baseline is the first that is set.

    NOT_SET is the baseline where a single level is set: there is nothing else to compare it with.
    """
    observed = tuple(column.unique())
    set_levels = tuple(level for level in observed if level != NOT_SET)
    levels = (*((NOT_SET,) if NOT_SET in observed else ()), *set_levels)
    first = set_levels[0] if len(set_levels) > 1 else levels[0]
    chosen = first if baseline is None else baseline
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
    if not contexts:
        return ({},)
    distinct = _distinct(labels, contexts)
    first: dict[str, dict[str, str]] = {}
    for context in distinct:
        same = first.setdefault(context_label(context), context)
        if same is not context:
            rule = "two contexts would have the same name"
            remedy = "Rename a level: ' / ' stands between the levels of --contexts"
            raise TableError(Problem(rule, f"{same} and {context}", remedy))
    return tuple(distinct)


def _distinct(labels: pd.DataFrame, names: Sequence[str]) -> list[dict[str, str]]:
    rows = labels[list(names)].drop_duplicates().to_numpy(dtype=str).tolist()
    return [dict(zip(names, row, strict=True)) for row in rows]


def _runs(labels: pd.DataFrame, factors: list[str], contexts: list[str]) -> tuple[PlannedRun, ...]:
    """One run per row; rows that agree on every label are replicates in the order of the table."""
    replicate = labels.groupby([*factors, *contexts], sort=False).cumcount().tolist()
    cell, cells = _grouped(labels, factors)
    place, places = _grouped(labels, contexts)
    units = [content_hash(levels) for levels in cells]
    return tuple(
        _run(number, replicate[number], (units[i], cells[i]), places[j])
        for number, (i, j) in enumerate(zip(cell, place, strict=True))
    )


def _grouped(labels: pd.DataFrame, names: list[str]) -> tuple[list[int], list[dict[str, str]]]:
    """The position of every row's labels among the distinct ones, and those."""
    if not names:
        return [0] * len(labels), [{}]
    rows = list(zip(*(labels[name].tolist() for name in names), strict=True))
    position = {row: i for i, row in enumerate(dict.fromkeys(rows))}
    return [position[row] for row in rows], [dict(zip(names, r, strict=True)) for r in position]


def _run(
    number: int, replicate: int, cell: tuple[str, dict[str, str]], context: dict[str, str]
) -> PlannedRun:
    unit, levels = cell
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
        unit=unit,
        context=context,
        replicate=replicate,
        spec=spec,
    )


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
            "status": endings(frame, known, [*plan.cells[0].levels, *plan.contexts[0]]),
            "message": "",
        }
    )
    results = [
        pd.DataFrame({"run": names, "metric": metric, "value": values})
        for metric, values in metrics.items()
    ]
    history = pd.DataFrame({"run": [], "step": [], "metric": [], "value": []})
    return StudyTables(runs, history, pd.concat(results, ignore_index=True))
