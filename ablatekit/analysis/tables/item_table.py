"""A table with one row per item outcome, brought to one row per run with its outcomes beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from ablatekit.analysis.tables.study_tables import OUTCOME_COLUMNS
from ablatekit.errors import Problem, TableError

RUN, ITEM, DATASET = "run", "item", "dataset"


@dataclass(frozen=True)
class ItemTable:
    """`runs`: one row per run, responses as means; `outcomes` as in `StudyTables`, per response.

    An outcome's `split` is the name of its response.
    """

    runs: pd.DataFrame
    outcomes: pd.DataFrame


def holds_items(frame: pd.DataFrame, labels: Sequence[str]) -> bool:
    """Whether a table has rows per item: columns `run` and `item`, and runs with several rows."""
    if not {RUN, ITEM} <= set(frame.columns) or {RUN, ITEM} & set(labels):
        return False
    return bool(frame[RUN].duplicated().any())


def collapse_items(
    frame: pd.DataFrame, responses: Sequence[str], labels: Sequence[str]
) -> ItemTable:
    """Means per run, and outcomes per run and item summed over samples.

    labels: columns of factors and contexts. Raises TableError for a run in which they change, and
    for rows without a run or an item.
    """
    _check(frame, responses, labels)
    dataset = frame[DATASET].astype(str) if DATASET in frame else pd.Series("", frame.index)
    keys = pd.DataFrame(
        {
            "run": frame[RUN].astype(str).astype("category"),
            "dataset": dataset.astype("category"),
            "item": frame[ITEM].astype(str).astype("category"),
        }
    )
    parts = []
    for name in responses:
        grouped = frame[name].groupby([keys[key] for key in keys], observed=True, sort=False)
        summed = grouped.agg(["count", "sum"]).reset_index()
        summed = summed[summed["count"] > 0]
        summed.columns = pd.Index([*keys.columns, "samples", "total"])
        parts.append(summed.assign(split=name)[list(OUTCOME_COLUMNS)])
    by_run = frame.groupby(RUN, sort=False)
    runs = pd.concat([by_run[list(labels)].first(), by_run[list(responses)].mean()], axis=1)
    return ItemTable(runs.reset_index(), pd.concat(parts, ignore_index=True))


def _check(frame: pd.DataFrame, responses: Sequence[str], labels: Sequence[str]) -> None:
    """A row without an item, and without any response, stands for a run that has none."""
    measured = frame[list(responses)].notna().any(axis=1)
    lacking = {RUN: frame[RUN].isna(), ITEM: frame[ITEM].isna() & measured}
    empty = [name for name, rows in lacking.items() if rows.any()]
    if empty:
        raise TableError(Problem("rows without a run or an item", ", ".join(empty), "Drop them"))
    for name in labels:
        levels = frame[name].groupby(frame[RUN], sort=False).nunique(dropna=False)
        if not (levels > 1).any():
            continue
        run = levels.idxmax()
        shown = ", ".join(map(str, frame.loc[frame[RUN] == run, name].unique()[:3]))
        remedy = "A factor or context has one level per run; is the column `run` what tells runs?"
        raise TableError(Problem(f"{name} changes within a run", f"run {run}: {shown}", remedy))
