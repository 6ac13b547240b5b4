"""Which runs did not finish, and how they enter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from ablatekit.analysis.core.layout import Layout, level_units
from ablatekit.analysis.core.schema.analysis import Counts
from ablatekit.analysis.core.schema.companions import Missing
from ablatekit.analysis.core.schema.vocabulary import Statement, statement

STATUSES = ("finished", "diverged", "failed", "missing")
POLICIES = {
    "score": statement("score_policy"),
    "worst": statement("worst_policy"),
    "exclude": statement("exclude_policy"),
}


def count_runs(runs: pd.DataFrame, analysed: set[str]) -> Counts:
    """Planned, started, finished, diverged, failed and analysed runs."""
    by_status = runs["status"].value_counts()
    finished, diverged, failed = (int(by_status.get(s, 0)) for s in STATUSES[:3])
    return Counts(
        planned=len(runs),
        started=finished + diverged + failed,
        finished=finished,
        diverged=diverged,
        failed=failed,
        analysed=len(analysed),
    )


def missing_runs(
    runs: pd.DataFrame, layout: Layout, policy: str, messages: Sequence[Statement]
) -> Missing:
    """Every run that did not finish, counts of statuses by level, and what to know about them."""
    gone = runs[runs["status"] != "finished"]
    return Missing(
        policy=POLICIES[policy],
        runs=[_run(row, layout) for row in gone.to_dict("records")],
        by_level=_by_level(runs, layout) if len(gone) else [],
        messages=[*messages, *_failure_messages(gone), *_run_messages(runs)],
    )


def _run(row: dict[Any, Any], layout: Layout) -> dict[str, Any]:
    cell = layout.unit_cells[layout.units.index(row["unit"])]
    return {
        "run": row["run"],
        "levels": {f.name: f.levels[int(i)] for f, i in zip(layout.factors, cell, strict=True)},
        "context": row["context"],
        "replicate": int(row["replicate"]),
        "status": row["status"],
        "message": row.get("message", ""),
    }


def _by_level(runs: pd.DataFrame, layout: Layout) -> list[dict[str, Any]]:
    rows = []
    for f, factor in enumerate(layout.factors):
        for number, level in enumerate(factor.levels):
            units = [layout.units[unit] for unit in level_units(layout, f, number)]
            states = runs.loc[runs["unit"].isin(units), "status"]
            counts = {status: int((states == status).sum()) for status in STATUSES}
            name = {"factor": factor.name, "level": level}
            rows.append({**name, "planned": len(states), **counts})
    return rows


def _failure_messages(gone: pd.DataFrame) -> list[Statement]:
    lost = gone[gone["status"].isin(["failed", "missing"])]
    return [] if lost.empty else [statement("without_result", runs=len(lost))]


def _run_messages(runs: pd.DataFrame) -> list[Statement]:
    """What finished runs say of their results, each text with the number of runs that say it."""
    if "message" not in runs:
        return []
    ended = runs.loc[runs["status"] == "finished", "message"]
    said = ended[ended.astype(bool)].value_counts(sort=False).sort_index()
    return [
        statement("run_message", runs=int(count), of_runs=len(runs), message=str(message))
        for message, count in said.items()
    ]
