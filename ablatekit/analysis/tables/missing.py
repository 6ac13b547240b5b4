"""Which runs did not finish, and how they enter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from ablatekit.analysis.core.layout import Layout, counted, level_units
from ablatekit.analysis.core.schema.analysis import Counts
from ablatekit.analysis.core.schema.companions import Missing

STATUSES = ("finished", "diverged", "failed", "missing")
POLICIES = {
    "score": "a diverged run enters with its last valid score",
    "worst": "a diverged run enters with the worst possible value",
    "exclude": "diverged runs are left out",
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
    runs: pd.DataFrame, layout: Layout, policy: str, messages: Sequence[str]
) -> Missing:
    """Every run that did not finish, counts of statuses by level, and what to know about them."""
    gone = runs[runs["status"] != "finished"]
    return Missing(
        policy=POLICIES[policy],
        runs=[_run(row, layout) for row in gone.to_dict("records")],
        by_level=_by_level(runs, layout) if len(gone) else [],
        messages=[*messages, *_failure_messages(gone)],
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


def _failure_messages(gone: pd.DataFrame) -> list[str]:
    lost = gone[gone["status"].isin(["failed", "missing"])]
    if lost.empty:
        return []
    return [
        (
            f"{counted(len(lost), 'run')} without a result: cells with fewer runs keep their full "
            "weight, cells without any run leave their combinations out"
        )
    ]
