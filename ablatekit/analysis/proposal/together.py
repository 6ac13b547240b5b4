"""Which columns decide others, change along with them, or are empty where others say so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ablatekit.analysis.core.arrays import Booleans, Integers
from ablatekit.analysis.proposal.columns import RunColumn

LEAST_ASSOCIATION, LEAST_TOGETHER = 0.45, 0.7
"""Cramer's V, and share of runs, from which two choices are called confounded.

12 of 16 runs of two by two have 0.5; so has a crossing that lacks one cell, with 4 of 6.
"""
HEAD = 5000
"""Rows that are looked at before all are: what they deny needs no further look."""
FEWEST_EMPTY = 2
"""Rows at a level before their common gap counts as a rule, as in `with_levels`."""


@dataclass(frozen=True, slots=True)
class SideBySide:
    """How two columns go together: rows of every level of one (a) with every level of other (b)."""

    counts: Integers

    @property
    def together(self) -> int:
        """Rows in which the second has the level that it mostly has at the first's."""
        return int(self.counts.max(axis=1).sum())

    @property
    def is_confounded(self) -> bool:
        """Whether one choice was rarely changed without the other."""
        often = self.together >= LEAST_TOGETHER * self.counts.sum()
        return bool(often and self.association >= LEAST_ASSOCIATION)

    @property
    def association(self) -> float:
        """Cramer's V, 0 for independent columns, 1 where one decides the other."""
        rows, columns = self.counts.sum(axis=1), self.counts.sum(axis=0)
        total = self.counts.sum()
        expected = np.outer(rows, columns) / total
        used = expected > 0
        squares = (self.counts - expected)[used] ** 2 / expected[used]
        freedom = min((rows > 0).sum(), (columns > 0).sum()) - 1
        return float(np.sqrt(squares.sum() / (total * freedom))) if freedom > 0 else 0.0


def pair(first: RunColumn, second: RunColumn, rows: int | None = None) -> SideBySide:
    """The first rows of two columns side by side; an empty cell is a level of its own."""
    width = second.distinct + 1
    joined = (first.codes[:rows] + 1) * width + second.codes[:rows] + 1
    counts = np.bincount(joined, minlength=(first.distinct + 1) * width)
    return SideBySide(counts.reshape(-1, width))


def decides(first: RunColumn, second: RunColumn) -> bool:
    """Whether the first column's level tells that of the second; the first rows mostly deny it."""
    return all(
        bool(((pair(first, second, rows).counts > 0).sum(axis=1) <= 1).all())
        for rows in (HEAD, None)
    )


def groups(columns: Sequence[RunColumn], rows: int) -> Integers:
    """The number of the combination of levels in each of the first rows (rows,), from 0."""
    joined, size = np.zeros(rows, dtype=np.int64), 1
    for column in columns:
        joined = joined * (column.distinct + 1) + column.codes[:rows] + 1
        size *= column.distinct + 1
        if size > 4 * rows + 1000:
            joined = np.unique(joined, return_inverse=True)[1].reshape(-1)
            size = int(joined.max(initial=0)) + 1
    present = np.cumsum(np.bincount(joined, minlength=1) > 0) - 1
    return np.asarray(present[joined], dtype=np.int64)


def combinations_of(columns: Sequence[RunColumn], rows: int) -> int:
    """How many combinations of levels there are in the first rows."""
    return int(groups(columns, rows).max(initial=-1)) + 1


def decided_by_all(column: RunColumn, others: Sequence[RunColumn]) -> bool:
    """Whether the combination of the others' levels tells the column's."""
    total = len(column.codes)
    return all(
        combinations_of(others, rows) == combinations_of([*others, column], rows)
        for rows in (min(HEAD, total), total)
    )


def gaps_have_reason(column: RunColumn, others: Sequence[RunColumn]) -> bool:
    """Whether some complete column tells where this one is empty."""
    empty = column.codes < 0
    return any(_tells(other, empty) for other in others if other is not column)


def _tells(other: RunColumn, empty: Booleans) -> bool:
    if other.gaps or empty.all():
        return False
    size = np.bincount(other.codes, minlength=other.distinct)
    gone = np.bincount(other.codes, weights=empty, minlength=other.distinct)
    return bool(((gone == 0) | ((gone == size) & (size >= FEWEST_EMPTY))).all())
