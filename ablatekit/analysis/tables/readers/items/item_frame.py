"""Evaluations of items as one frame: a row per run, item and sample, the run's columns beside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from ablatekit.analysis.core.schema.vocabulary import Statement, statement
from ablatekit.analysis.tables.readers.base import MESSAGES, ROLES, Role
from ablatekit.analysis.tables.readers.columns import column_names, role_of_setting, typed_column

FIXED_ROLES: Mapping[str, Role] = MappingProxyType(
    {"run": "name", "dataset": "setting", "started": "started", "outcome": "metric"}
)


@dataclass(kw_only=True)
class ItemRun:
    """One run and its outcomes.

    `settings` holds groups of single values by name; `metrics` are the columns of outcomes, the
    first of which is `outcome`. `about` describes the run without being a choice.
    """

    name: str
    dataset: str
    settings: Mapping[str, Mapping[str, Any]]
    about: Mapping[str, Any]
    metrics: Sequence[str]
    started: float | None
    status: str | None
    same_items: int = 0
    """How many items stand several times in the data set."""
    items: list[str] = field(default_factory=list)
    samples: list[int] = field(default_factory=list)
    values: list[Mapping[str, float]] = field(default_factory=list)

    def add(self, item: str, sample: int, values: Mapping[str, float]) -> None:
        """An outcome per metric; one that is not there is missing."""
        self.items.append(item)
        self.samples.append(sample)
        self.values.append(values)


def item_frame(runs: Sequence[ItemRun], labels: Collection[str]) -> pd.DataFrame:
    """The rows of all runs, with roles and messages in `attrs`; one without items has one row."""
    groups: dict[str, list[str]] = {}
    for run in runs:
        for group, values in run.settings.items():
            groups.setdefault(group, []).extend(values)
    groups["about"] = [name for run in runs for name in run.about]
    groups["score"] = [metric for run in runs for metric in run.metrics]
    names = column_names(groups)
    frame = pd.concat([_outcomes(runs, names), _repeated(runs, names, labels)], axis=1)
    roles = {column: _role(*key) for key, column in names.items() if column in frame}
    frame.attrs[ROLES] = {**FIXED_ROLES, **roles}
    frame.attrs[MESSAGES] = [*_unlike_outcomes(runs), *_same_items(runs), *_no_outcome(frame)]
    return frame


def _role(group: str, name: str) -> Role:
    if group == "score":
        return "metric"
    return "about" if group == "about" else role_of_setting(name)


def _outcomes(runs: Sequence[ItemRun], names: Mapping[tuple[str, str], str]) -> pd.DataFrame:
    """What stands in every row of its own: item, sample, outcome and the metrics."""
    rows = [(run, *row) for run in runs for row in _rows(run)]
    metrics = {column: name for (group, name), column in names.items() if group == "score"}
    columns: dict[str, Any] = {
        "run": [run.name for run, *_ in rows],
        "dataset": [run.dataset for run, *_ in rows],
        "item": [item for _, item, _, _ in rows],
        "sample": pd.array([sample for *_, sample, _ in rows], dtype="Int64"),
        "outcome": [values.get((run.metrics or [""])[0]) for run, *_, values in rows],
    }
    columns |= {
        column: [values.get(name) for *_, values in rows] for column, name in metrics.items()
    }
    numbers = dict.fromkeys(["outcome", *metrics], "float64")
    return pd.DataFrame(columns).astype({**numbers, "item": "str"})


def _rows(run: ItemRun) -> list[tuple[str | None, int | None, Mapping[str, float]]]:
    return list(zip(run.items, run.samples, run.values, strict=True)) or [(None, None, {})]


def _repeated(
    runs: Sequence[ItemRun], names: Mapping[tuple[str, str], str], labels: Collection[str]
) -> pd.DataFrame:
    """What is the same in all rows of a run."""
    columns: dict[str, list[Any]] = {
        "status": [run.status for run in runs],
        "started": [run.started for run in runs],
    }
    for (group, name), column in names.items():
        if group != "score":
            held = (run.about if group == "about" else run.settings.get(group, {}) for run in runs)
            columns[column] = [values.get(name) for values in held]
    typed = {name: typed_column(values, text=name in labels) for name, values in columns.items()}
    frame = pd.DataFrame({name: values for name, values in typed.items() if values.notna().any()})
    sizes = [max(len(run.items), 1) for run in runs]
    return frame.loc[np.repeat(np.arange(len(runs)), sizes)].reset_index(drop=True)


def _unlike_outcomes(runs: Sequence[ItemRun]) -> list[Statement]:
    """Runs whose outcomes are not the same metric."""
    first = Counter(run.metrics[0] for run in runs if run.metrics)
    if len(first) < 2:
        return []
    return [statement("unlike_outcomes", metrics=list(first), runs=list(first.values()))]


def _same_items(runs: Sequence[ItemRun]) -> list[Statement]:
    """The most of a data set: runs may have seen different parts of it."""
    most: dict[str, int] = {}
    for run in runs:
        most[run.dataset] = max(most.get(run.dataset, 0), run.same_items)
    return [statement("same_items", dataset=d, items=items) for d, items in most.items() if items]


def _no_outcome(frame: pd.DataFrame) -> list[Statement]:
    lacking = frame["item"].notna() & frame["outcome"].isna()
    if not lacking.any():
        return []
    runs = int(frame.loc[lacking, "run"].nunique())
    return [statement("items_without_outcome", rows=int(lacking.sum()), runs=runs)]
