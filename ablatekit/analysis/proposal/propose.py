"""From a table of runs to a proposal: what varies and was chosen, what repeats, what was measured.

Pure and deterministic: equal tables give equal proposals. No content of a table raises.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from ablatekit.analysis.core.arrays import Integers
from ablatekit.analysis.core.schema.vocabulary import Statement, statement
from ablatekit.analysis.proposal.base import LeftOut, Proposal, Stated
from ablatekit.analysis.proposal.columns import RunColumn, columns_of
from ablatekit.analysis.proposal.measures import choose_response
from ablatekit.analysis.proposal.parts import Parts, sorted_parts
from ablatekit.analysis.proposal.remarks import remarks
from ablatekit.analysis.proposal.rows import RunRows, kinds_of_rows, rows_of, rows_per_step
from ablatekit.analysis.proposal.structure import parameters, settle
from ablatekit.analysis.tables.readers.base import DIRECTIONS
from ablatekit.analysis.tables.words import Direction, direction_of

NOTHING_STATED = Stated()
BY_DEFAULT = 2
"""The order of interactions where a table has the runs for it."""


def propose(frame: pd.DataFrame, stated: Stated = NOTHING_STATED) -> Proposal:
    """By what the runs in a table may be analysed, beside what is stated of it already.

    `frame` has a row per run, or a row per run and item; its reader may say what columns are
    (`attrs[ROLES]`) and which direction of a metric is better (`attrs[DIRECTIONS]`). Where a column
    parts the values of one run into several rows, the rows of one of its levels are used.
    """
    columns, repeated = columns_of(frame)
    used = _used_rows(columns, len(frame), stated.where)
    columns = [column.at(used) for column in columns] if len(used) < len(frame) else columns
    kinds = kinds_of_rows(columns, len(used), stated)
    if kinds:
        proposal = propose(frame, replace(stated, where={**stated.where, **kinds}))
        told = [_doubled(column, kinds) for column in columns if column.name in kinds]
        return replace(proposal, warnings=(*told, *proposal.warnings))
    rows = rows_of(columns, len(used))
    left = [*(LeftOut(name, statement("column_repeated")) for name in repeated), *rows.left_out]
    told_directions = frame.attrs.get(DIRECTIONS, {})
    return _of_rows(rows, columns, stated, left, told_directions)


def in_words_of(proposal: Proposal, frame: pd.DataFrame, stated: Stated) -> Proposal:
    """The proposal with levels and baselines as another reading of its table writes them.

    `frame` holds the same rows, factors and contexts as text: 1e-4 is not 0.0001 there.
    """
    columns, _ = columns_of(frame)
    used = _used_rows(columns, len(frame), proposal.where)
    rows = rows_of([column.at(used) for column in columns], len(used))
    named = {column.name: column for column in rows.columns}
    factors = [named[name] for name in proposal.factors if name in named]
    levels = {name: named[name].levels if name in named else levels
              for name, levels in proposal.levels.items()}  # fmt: skip
    return replace(proposal, levels=levels, baselines=_baselines(factors, stated))


def _doubled(column: RunColumn, kinds: Mapping[str, str]) -> Statement:
    levels, kept = list(column.levels), kinds[column.name]
    return statement("rows_doubled", column=column.name, levels=levels, kept=kept)


def _used_rows(columns: Sequence[RunColumn], rows: int, where: Mapping[str, str]) -> Integers:
    """Positions of the rows in which every column of `where` has its level."""
    used = np.ones(rows, dtype=np.bool_)
    for column in columns:
        if column.name in where:
            known = [number for number, level in enumerate(column.levels)
                     if level == where[column.name]]  # fmt: skip
            used &= np.isin(column.codes, known)
    return np.flatnonzero(used)


def _of_rows(
    rows: RunRows,
    columns: Sequence[RunColumn],
    stated: Stated,
    left: Sequence[LeftOut],
    directions: Mapping[str, Direction],
) -> Proposal:
    """The proposal of runs; of a table of items the response is measured on each."""
    runs, total = len(rows.first), len(columns[0].codes) if columns else 0
    parts = _parts(rows, stated)
    responses = choose_response(parts, stated)
    settle(parts, stated)
    lacking = _lacking(parts, responses, rows, columns)
    if rows.by_item:
        parts.measures = []
    return Proposal(
        responses=tuple(column.name for column in responses),
        factors=tuple(column.name for column in parts.factors),
        contexts=tuple(column.name for column in parts.contexts),
        replicates=tuple(column.name for column in parts.seeds),
        levels={c.name: c.levels for c in (*parts.factors, *parts.contexts, *parts.seeds)},
        baselines=_baselines(parts.factors, stated),
        directions={c.name: _direction(c.name, stated, directions) for c in responses},
        interactions=stated.interactions or _order(parts, runs),
        where=stated.where,
        left_out=_in_order([*left, *parts.left_out], columns),
        warnings=() if lacking else remarks(parts, [] if rows.by_item else responses),
        lacking=lacking,
        rows=total,
        runs=runs,
        by_item=rows.by_item,
    )


def _parts(rows: RunRows, stated: Stated) -> Parts:
    """The parts of columns; of a table of items measures are those that vary within runs."""
    parts = sorted_parts(rows.columns, stated)
    if not rows.by_item:
        return parts
    inside = sorted_parts(rows.inside, stated)
    for column in parts.measures:
        parts.leave_out(column, statement("column_measures"))
    for column in (*inside.factors, *inside.contexts, *inside.seeds, *inside.status):
        parts.leave_out(column, statement("column_of_items"))
    parts.measures = inside.measures
    parts.left_out += inside.left_out
    return parts


def _direction(name: str, stated: Stated, told: Mapping[str, Direction]) -> Direction:
    """Which values are better: as stated, as the reader says, as the name says."""
    return stated.direction or told.get(name) or direction_of(name)[0]


def _baselines(factors: Sequence[RunColumn], stated: Stated) -> dict[str, str]:
    """The most frequent level of each factor, of equal ones the first in the table."""
    chosen = {column.name: _baseline(column) for column in factors if column.distinct > 1}
    named = {name: level for name, level in chosen.items() if "=" not in name}
    return {**named, **stated.baselines}


def _baseline(column: RunColumn) -> str:
    sizes = np.bincount(column.codes[column.codes >= 0], minlength=column.distinct)
    return column.levels[int(sizes.argmax())]


def _order(parts: Parts, runs: int) -> int:
    """Interactions of two factors, where these runs can tell all of them apart."""
    return BY_DEFAULT if parameters(parts, BY_DEFAULT) < runs else 1


def _lacking(
    parts: Parts, responses: Sequence[RunColumn], rows: RunRows, columns: Sequence[RunColumn]
) -> tuple[Statement, ...]:
    """Why there is nothing to analyse; nothing where a response and a factor are there."""
    if not len(rows.first):
        return (statement("lacks_rows"),)
    per_step = None if rows.by_item else rows_per_step(columns, len(rows.first))
    lacks = [per_step] if per_step else []
    lacks += [] if responses else [statement("lacks_response")]
    lacks += [] if parts.factors else [statement("lacks_factor", runs=len(rows.first))]
    return tuple(lacks)


def _in_order(left: Sequence[LeftOut], columns: Sequence[RunColumn]) -> tuple[LeftOut, ...]:
    """One reason per column, in the order of the table."""
    place = {column.name: number for number, column in enumerate(columns)}
    first = {entry.column: entry for entry in reversed(left)}
    return tuple(sorted(first.values(), key=lambda entry: place[entry.column]))
