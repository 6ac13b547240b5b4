"""The part that each column may play, by its role, its name and its values alone."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from ablatekit.analysis.core.schema.vocabulary import Statement, statement
from ablatekit.analysis.proposal.base import LeftOut, Stated
from ablatekit.analysis.proposal.columns import RunColumn
from ablatekit.analysis.proposal.names import (
    is_about,
    is_context,
    is_given,
    is_progress,
    is_seed,
    is_setting,
    is_status,
    may_count,
    quality_of,
)

MOST_NUMBERS, MOST_WORDS, MOST_CONTEXTS = 12, 30, 200
"""Levels of a choice among numbers, of one in words, and of what conclusions must hold across."""


@dataclass(slots=True)
class Parts:
    """Columns by the part that they may play, in the order of the table."""

    factors: list[RunColumn] = field(default_factory=list)
    contexts: list[RunColumn] = field(default_factory=list)
    seeds: list[RunColumn] = field(default_factory=list)
    measures: list[RunColumn] = field(default_factory=list)
    status: list[RunColumn] = field(default_factory=list)
    names: list[RunColumn] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)

    def leave_out(self, column: RunColumn, reason: Statement) -> None:
        """A column that plays none, with the reason."""
        self.left_out.append(LeftOut(column.name, reason))


def sorted_parts(columns: Iterable[RunColumn], stated: Stated) -> Parts:
    """Every column where it belongs; what was stated of one decides."""
    parts = Parts()
    for column in columns:
        name = column.name
        if name in stated.factors:
            parts.factors.append(column)
        elif name in stated.contexts:
            parts.contexts.append(column)
        elif name in stated.responses:
            parts.measures.append(column)
        elif name in stated.exclude:
            parts.leave_out(column, statement("column_excluded"))
        elif name in stated.where:
            parts.leave_out(column, statement("column_filtered", level=stated.where[name]))
        else:
            _sort(column, parts, len(column.codes))
    return parts


def _sort(column: RunColumn, parts: Parts, rows: int) -> None:
    """One column of which nothing was stated."""
    reason = _without_part(column)
    if reason is not None:
        parts.leave_out(column, reason)
    elif is_status(column.name):
        parts.status.append(column)
    elif _is_seed(column, rows):
        parts.seeds.append(column)
    elif _is_about(column, rows):
        parts.names.append(column)
        parts.leave_out(column, statement("column_about"))
    elif column.distinct == 1 and not column.gaps:
        parts.leave_out(column, statement("column_constant", level=column.levels[0]))
    elif column.role == "metric" or _is_measure(column, rows):
        _sort_measure(column, parts)
    elif column.holds_units and (_is_result(column.name) or not _is_few(column, rows)):
        parts.leave_out(column, statement("column_not_numbers", example=column.levels[0]))
    elif column.distinct == rows > 2 and not (column.numeric and _is_chosen(column)):
        parts.names.append(column)
        parts.leave_out(column, statement("column_unique"))
    elif is_context(column.name) and column.distinct <= _most(MOST_CONTEXTS, rows):
        parts.contexts.append(column)
    elif _is_few(column, rows):
        parts.factors.append(column)
    else:
        parts.leave_out(column, statement("column_many_values", levels=column.distinct))


def _sort_measure(column: RunColumn, parts: Parts) -> None:
    if column.numeric:
        parts.measures.append(column)
    else:
        parts.leave_out(column, statement("column_about"))


def _without_part(column: RunColumn) -> Statement | None:
    """Why a column can play no part whatever else is in the table."""
    name = column.name
    if column.distinct == 0:
        return statement("column_empty")
    if re.fullmatch(r"(Unnamed: \d+|\s*)", name):
        return statement("column_unnamed")
    if "," in name or name != name.strip():
        return statement("column_not_nameable")
    return None


def _is_seed(column: RunColumn, rows: int) -> bool:
    if column.role in ("metric", "name", "started", "about"):
        return False
    if column.role == "seed" or is_seed(column.name):
        return column.kind != "time"
    repeated = column.distinct <= (rows + 1) // 2
    return may_count(column.name) and column.numeric and repeated and column.distinct > 1


def _is_about(column: RunColumn, rows: int) -> bool:
    if column.role in ("name", "started", "about") or column.kind == "time":
        return True
    if column.role in ("setting", "metric"):
        return False
    return is_about(column.name) or (is_progress(column.name) and _is_few(column, rows))


def _is_measure(column: RunColumn, rows: int) -> bool:
    """Whether a number is measured rather than chosen."""
    if column.role is not None or not column.numeric or is_given(column.name):
        return False
    few, quality = _is_few(column, rows), quality_of(column.name)
    if quality == "goal" or (quality == "cost" and column.kind == "number" and column.broken):
        return not (few and is_setting(column.name))
    return not few and not is_context(column.name)


def _is_result(name: str) -> bool:
    """Whether a name is that of something measured and of no setting."""
    return quality_of(name) in ("goal", "cost") and not is_setting(name)


def _is_chosen(column: RunColumn) -> bool:
    """Whether the reader or the name says that a column holds settings."""
    return column.role == "setting" or is_given(column.name)


def _is_few(column: RunColumn, rows: int) -> bool:
    """Whether a column has as few values as a choice has."""
    most = MOST_NUMBERS if column.numeric else MOST_WORDS
    return column.distinct <= _most(most, rows)


def _most(levels: int, rows: int) -> int:
    return max(2, min(levels, (rows + 1) // 2))
