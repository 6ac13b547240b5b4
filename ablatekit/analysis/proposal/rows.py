"""What a row is: a run, an item of a run, one of several values of a run, or a step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ablatekit.analysis.core.arrays import Integers
from ablatekit.analysis.core.schema.vocabulary import Statement, statement
from ablatekit.analysis.proposal.base import LeftOut, Stated
from ablatekit.analysis.proposal.columns import RunColumn
from ablatekit.analysis.proposal.names import is_about, is_kind, is_progress, quality_of
from ablatekit.analysis.proposal.parts import Parts
from ablatekit.analysis.proposal.together import combinations_of
from ablatekit.analysis.tables.item_table import DATASET, ITEM, RUN

SAMPLE = "sample"
FEW_KINDS = 30


@dataclass(frozen=True, slots=True)
class RunRows:
    """The columns with one value per run, those that vary within runs, and which rows are used.

    `first` (runs,) are rows that stand for their run; of a table of runs all of them.
    """

    columns: list[RunColumn]
    inside: list[RunColumn]
    first: Integers
    by_item: bool
    left_out: list[LeftOut]

    def at(self, runs: Integers) -> RunRows:
        """Some of the runs."""
        kept = [column.at(runs) for column in self.columns]
        return replace(self, columns=kept, first=self.first[runs])


def placed_rows(parts: Parts, responses: Sequence[RunColumn]) -> Integers:
    """Positions of the runs but those without a result that lack a choice which all others have.

    They tell nothing, as the parent of nested runs does, and would cost the others the choice.
    """
    choices = [*parts.factors, *parts.contexts]
    if not responses or not choices:
        return np.arange(0)
    result = np.any([~np.isnan(column.numbers) for column in responses], axis=0)
    gaps = [column.codes < 0 for column in choices if (column.codes[result] >= 0).all()]
    return np.flatnonzero(result | ~np.any(gaps, axis=0)) if gaps else np.arange(len(result))


def rows_of(columns: Sequence[RunColumn], rows: int) -> RunRows:
    """A table of runs as it is; of a table of items the runs."""
    named = {column.name: column for column in columns}
    if not {RUN, ITEM} <= named.keys() or named[RUN].distinct == rows or named[RUN].gaps:
        return RunRows(list(columns), [], np.arange(rows), by_item=False, left_out=[])
    run = named[RUN]
    first = np.unique(run.codes, return_index=True)[1]
    outside = [column for column in columns if decides_in_full(run, column)]
    inside = [column for column in columns if column not in outside]
    kept = [column.at(first) for column in outside if column.name not in (RUN, ITEM, SAMPLE)]
    told = [
        LeftOut(column.name, statement("column_of_items"))
        for column in inside
        if not column.numeric or column.name in (ITEM, DATASET, SAMPLE)
    ]
    told.append(LeftOut(RUN, statement("column_about")))
    numbers = [c for c in inside if c.numeric and c.name not in (ITEM, DATASET, SAMPLE)]
    return RunRows(kept, numbers, first, by_item=True, left_out=told)


def decides_in_full(first: RunColumn, second: RunColumn) -> bool:
    """Whether the first column's value tells that of the second, however many values they have."""
    rows = len(first.codes)
    return combinations_of([first, second], rows) == combinations_of([first], rows)


def kinds_of_rows(columns: Sequence[RunColumn], rows: int, stated: Stated) -> dict[str, str]:
    """Columns that part the values of one run into rows, each with the level that is kept.

    Without them most rows stand there several times: a filter, a scorer, the name of a metric.
    """
    chosen: dict[str, str] = {}
    told = {*stated.factors, *stated.contexts, *stated.exclude, *stated.where}
    for column in columns:
        free = column.name not in told and not column.numeric and is_kind(column.name)
        if free and 1 < column.distinct <= FEW_KINDS and _doubles(column, columns, rows):
            sizes = np.bincount(column.codes[column.codes >= 0], minlength=column.distinct)
            chosen[column.name] = column.levels[int(sizes.argmax())]
    return chosen


def _doubles(column: RunColumn, columns: Sequence[RunColumn], rows: int) -> bool:
    """Whether rows that agree in all but the column and what is measured are two or more."""
    named = {other.name for other in columns}
    if {RUN, ITEM} <= named:
        keys = [c for c in columns if c.name in (RUN, DATASET, ITEM, SAMPLE)]
    else:
        keys = [c for c in columns if c is not column and _is_key(c, rows)]
    apart = combinations_of([*keys, column], rows)
    return 3 * combinations_of(keys, rows) <= 2 * apart


def _is_key(column: RunColumn, rows: int) -> bool:
    if is_kind(column.name) or column.role == "metric" or column.kind == "time":
        return False
    measured = column.numeric and quality_of(column.name) in ("goal", "cost")
    return not measured and column.distinct <= max(2, rows // 2)


def rows_per_step(columns: Sequence[RunColumn], rows: int) -> Statement | None:
    """That a table has a row per step of a run: nothing says which one is the result."""
    names = [c for c in columns if is_about(c.name) and c.kind == "text" and c.distinct < rows]
    steps = [c for c in columns if is_progress(c.name) and c.numeric and c.distinct > 1]
    for name in names:
        for step in steps:
            both = combinations_of([name, step], rows)
            if both == rows and 3 * name.distinct <= rows:
                return statement("rows_per_step", column=step.name, run=name.name)
    return None
