"""Which of the columns that may be factors and contexts can be told apart in these runs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import combinations

import numpy as np

from ablatekit.analysis.core.arrays import Integers
from ablatekit.analysis.core.schema.codes import Code
from ablatekit.analysis.core.schema.vocabulary import Statement, statement
from ablatekit.analysis.proposal.base import Stated
from ablatekit.analysis.proposal.columns import RunColumn
from ablatekit.analysis.proposal.parts import Parts
from ablatekit.analysis.proposal.together import (
    combinations_of,
    decided_by_all,
    decides,
    gaps_have_reason,
    groups,
    pair,
)

MOST_FACTORS = 8
MOST_WARNINGS = 6
"""Pairs of confounded choices that are told one by one."""


def settle(parts: Parts, stated: Stated) -> None:
    """Leaves among factors and contexts what these runs can tell apart.

    Stated columns stay whatever they are; where factors or contexts were, no others become such.
    """
    _drop_not_asked(parts, stated)
    _settle(parts, {*stated.factors, *stated.contexts})


def _drop_not_asked(parts: Parts, stated: Stated) -> None:
    every = (("--factors", parts.factors, stated.factors),
             ("--contexts", parts.contexts, stated.contexts))  # fmt: skip
    for option, columns, names in every:
        for column in [c for c in columns if names and c.name not in names]:
            _drop(parts, column, statement("column_not_asked", option=option))


def _settle(parts: Parts, stated: Collection[str]) -> None:
    _drop_labels(parts, stated)
    _drop_along(parts, parts.contexts, stated)
    _drop_contexts_of_factors(parts, stated)
    _drop_along(parts, parts.factors, stated)
    _drop_beyond(parts, stated, 2 * MOST_FACTORS)
    _drop_calculated(parts, stated)
    for column in [c for c in parts.contexts if c.gaps and c.name not in stated]:
        _drop(parts, column, statement("column_gaps", rows=column.gaps))
    _drop_gaps(parts, stated)
    if not parts.factors:
        _make_factor(parts, stated)
    _drop_too_many(parts, stated)


def _drop(parts: Parts, column: RunColumn, reason: Statement) -> None:
    for place in (parts.factors, parts.contexts):
        place[:] = [other for other in place if other is not column]
    parts.leave_out(column, reason)


def _drop_labels(parts: Parts, stated: Collection[str]) -> None:
    """Columns that name combinations of two or more others."""
    for column in [c for c in parts.factors if c.name not in stated]:
        others = [c for c in (*parts.factors, *parts.contexts) if c is not column]
        named = [other for other in others if _is_coarser(column, other)]
        if len(named) > 1 and _combinations(named) == column.distinct + bool(column.gaps):
            _drop(parts, column, statement("column_combines", columns=[c.name for c in named]))


def _is_coarser(column: RunColumn, other: RunColumn) -> bool:
    return decides(column, other) and not decides(other, column)


def _combinations(columns: Sequence[RunColumn]) -> int:
    return combinations_of(columns, len(columns[0].codes)) if columns else 1


def _drop_along(parts: Parts, columns: Sequence[RunColumn], stated: Collection[str]) -> None:
    """Of columns of which one decides the other, the one that says less; of equal ones the later.

    A factor that is set at some levels of another one only stays beside it.
    """
    kept: list[RunColumn] = []
    for column in sorted(columns, key=lambda c: c.name not in stated):
        before = next((other for other in kept if decides(other, column)), None)
        if before is not None and column.name not in stated:
            _drop(parts, column, _decided_by(before, column))
            continue
        for other in [c for c in kept if c.name not in stated]:
            if decides(column, other) and not gaps_have_reason(column, [other]):
                _drop(parts, other, statement("column_decided_by", column=column.name))
                kept.remove(other)
        kept.append(column)


def _drop_contexts_of_factors(parts: Parts, stated: Collection[str]) -> None:
    """Factors that a context decides, and contexts that a factor decides."""
    for context in list(parts.contexts):
        for factor in list(parts.factors):
            if factor.name not in stated and decides(context, factor):
                _drop(parts, factor, _decided_by(context, factor))
            elif context.name not in stated and decides(factor, context):
                _drop(parts, context, _decided_by(factor, context))
                break


def _decided_by(first: RunColumn, second: RunColumn) -> Statement:
    """Why the second has no part: the first tells all of it, and perhaps the other way round."""
    code: Code = "column_always_with" if decides(second, first) else "column_decided_by"
    same = first.levels == second.levels and bool((first.codes == second.codes).all())
    return statement("column_same" if same else code, column=first.name)


def _drop_calculated(parts: Parts, stated: Collection[str]) -> None:
    """Columns that follow from two others with fewer levels, as a product does."""
    for column in [c for c in parts.factors if c.name not in stated]:
        rows = len(column.codes)
        fewer = [c for c in parts.factors if c is not column and c.distinct < column.distinct]
        for two in combinations(fewer, 2):
            if 2 * _combinations(two) <= rows and decided_by_all(column, two):
                _drop(parts, column, statement("column_follows", columns=[c.name for c in two]))
                break


def _drop_gaps(parts: Parts, stated: Collection[str]) -> None:
    """Factors that are empty where no other factor says so; one that goes may take others along."""
    while True:
        gone = [
            column
            for column in parts.factors
            if column.gaps
            and column.name not in stated
            and not gaps_have_reason(column, parts.factors)
        ]
        if not gone:
            return
        for column in gone:
            _drop(parts, column, statement("column_gaps", rows=column.gaps))


def _make_factor(parts: Parts, stated: Collection[str]) -> None:
    """Where nothing else varies, models (or whatever comes first) are what is compared."""
    free = [c for c in parts.contexts if c.name not in stated]
    models = [c for c in free if "model" in c.name.casefold()]
    if not free:
        return
    chosen = (models or free)[0]
    parts.contexts[:] = [c for c in parts.contexts if c is not chosen]
    parts.factors.append(chosen)


def _drop_beyond(parts: Parts, stated: Collection[str], most: int) -> None:
    """The last factors, where there are more than one can look at together."""
    for column in reversed([c for c in parts.factors if c.name not in stated]):
        if len(parts.factors) > most:
            _drop(parts, column, statement("column_beyond", most=MOST_FACTORS))


def _drop_too_many(parts: Parts, stated: Collection[str]) -> None:
    """The last factors, where these runs cannot tell so many apart."""
    _drop_beyond(parts, stated, MOST_FACTORS)
    for column in reversed([c for c in parts.factors if c.name not in stated]):
        if parameters(parts, 1) >= len(column.codes):
            _drop(parts, column, statement("column_too_few_runs", runs=len(column.codes)))
    _drop_gaps(parts, stated)


def parameters(parts: Parts, order: int) -> int:
    """What a model of all factors with interactions up to `order` (1 or 2) estimates."""
    levels = [c.distinct + bool(c.gaps) - 1 for c in parts.factors]
    both = sum(a * b for a, b in combinations(levels, 2)) if order > 1 else 0
    contexts = _combinations(parts.contexts)
    return contexts + sum(levels) + both


def confounded(parts: Parts) -> list[Statement]:
    """Factors that change together in most runs, with each other or with a context."""
    sides = [
        (first, second, pair(first, second))
        for first, second in combinations([*parts.factors, *parts.contexts], 2)
        if first in parts.factors
    ]
    told = [
        statement(
            "changed_together",
            first=first.name,
            second=second.name,
            runs=side.together,
            of_runs=len(first.codes),
        )
        for first, second, side in sides
        if side.is_confounded and not (first.gaps or second.gaps)
    ]
    return told[:MOST_WARNINGS]


def always_together(parts: Parts) -> list[Statement]:
    """Choices whose effects cannot be told apart, as one never changes without the other."""
    names = {column.name for column in parts.factors}
    return [
        statement("always_together", first=left.reason["arguments"]["column"], second=left.column)
        for left in parts.left_out
        if left.reason["code"] == "column_always_with"
        and left.reason["arguments"]["column"] in names
    ][:MOST_WARNINGS]


def cells_of(parts: Parts, rows: int) -> Integers:
    """The number of every row's cell in its context (rows,)."""
    return groups([*parts.factors, *parts.contexts], rows)


def possible_cells(parts: Parts) -> int:
    """How many combinations of levels and contexts there could be."""
    levels = [column.distinct for column in parts.factors]
    contexts = _combinations(parts.contexts)
    return int(np.prod([contexts, *levels], dtype=object))
