"""Analyses and plans as data frames: one row per effect, configuration, run or item."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from ablatekit.analysis.core.layout import context_label
from ablatekit.analysis.core.schema.analysis import Analysis
from ablatekit.analysis.tables.run_table import COVARIATE, RESPONSE, VARIABLE, run_table
from ablatekit.analysis.tables.study_tables import StudyTables
from ablatekit.design.plan import Plan
from ablatekit.legible import legible_json
from ablatekit.report.language.reading import Unit, subject_of
from ablatekit.report.language.sentences import is_statement, say, say_all
from ablatekit.runs.runlog import run_state
from ablatekit.runs.workspace import Workspace


def effects_frame(analysis: Analysis) -> pd.DataFrame:
    """One row per effect of a level: every estimand, inference and scope, in the response's unit.

    Columns are those of `effects` in analysis.json, after `response`; the rows of learning minus
    generalization stand last. Reasons, notes and methods are words.
    """
    responses = ((name, part["effects"]) for name, part in analysis["responses"].items())
    gaps = ((name, part["effects"]) for name, part in analysis.get("comparisons", {}).items())
    return _frame([*responses, *gaps], analysis)


def configurations_frame(analysis: Analysis) -> pd.DataFrame:
    """One row per cell against the baseline cell; no row where nothing was compared so."""
    rows = (
        (name, part["configurations"]["rows"])
        for name, part in analysis["responses"].items()
        if part.get("configurations")
    )
    return _frame(list(rows), analysis)


def _frame(parts: Sequence[tuple[str, Sequence[Any]]], analysis: Analysis) -> pd.DataFrame:
    unit = subject_of(analysis).unit
    legible: list[tuple[str, list[dict[str, Any]]]] = legible_json([(n, list(r)) for n, r in parts])
    return pd.DataFrame(
        [
            {"response": name, **{key: _in_words(value, unit) for key, value in row.items()}}
            for name, rows in legible
            for row in rows
        ]
    )


def _in_words(value: Any, unit: Unit) -> Any:
    if is_statement(value):
        return say(value, unit)
    if isinstance(value, list) and value and all(map(is_statement, value)):
        return say_all(value, "; ", unit)
    return None if value in ([], {}) else value


def runs_frame(plan: Plan, tables: StudyTables) -> pd.DataFrame:
    """One row per run: its factors, context, replicate, status, and the value of each response."""
    frame = run_table(plan, tables)
    names = list(map(str, frame.columns))
    short = {name: name.removeprefix(RESPONSE).removeprefix(VARIABLE) for name in names}
    taken = set(names)
    renamed = {name: new for name, new in short.items() if new == name or new not in taken}
    covariates = [name for name in names if name.startswith(COVARIATE)]
    known = frame.rename(columns=renamed).drop(columns=covariates)
    return known.loc[:, ~known.columns.duplicated()]


def items_frame(plan: Plan, tables: StudyTables) -> pd.DataFrame:
    """One row per run and item: outcomes summed over `samples`, beside the run's factors.

    Empty where no response has item outcomes.
    """
    factors = [factor.name for factor in plan.factors]
    beside = [name for name in (*factors, "context", "replicate") if name in tables.runs]
    labels = tables.runs[["run", *dict.fromkeys(beside)]]
    outcomes = tables.outcomes.astype({"run": str}) if len(tables.outcomes) else tables.outcomes
    merged: pd.DataFrame = outcomes.merge(labels, on="run", how="left", suffixes=("", "_factor"))
    return merged


def planned_frame(plan: Plan, workspace: Workspace | None = None) -> pd.DataFrame:
    """One row per planned run in its order; with a workspace, where each stands there."""
    return pd.DataFrame(list(_planned(plan, workspace)))


def _planned(plan: Plan, workspace: Workspace | None) -> Iterator[Mapping[str, Any]]:
    levels = {cell.unit: cell.levels for cell in reversed(plan.cells)}
    for run in sorted(plan.runs, key=lambda run: run.order):
        state = {} if workspace is None else {"state": run_state(workspace.run(run.run_id))}
        yield {
            "run": run.run_id,
            **levels[run.unit],
            "context": context_label(run.context),
            "replicate": run.replicate,
            **state,
        }


def cells_frame(plan: Plan) -> pd.DataFrame:
    """One row per cell: its levels, and the unit that cells of one run share."""
    return pd.DataFrame([{**cell.levels, "unit": cell.unit} for cell in plan.cells])
