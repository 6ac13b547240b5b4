"""What a proposal holds: the parts that the columns of a table may play, and why others do not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ablatekit.analysis.core.schema.vocabulary import Statement
from ablatekit.analysis.tables.words import Direction


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """What somebody has said of a table already; a proposal keeps it and adds the rest.

    exclude: columns that get no part. where: rows count whose column has this level.
    """

    responses: tuple[str, ...] = ()
    factors: tuple[str, ...] = ()
    contexts: tuple[str, ...] = ()
    baselines: Mapping[str, str] = field(default_factory=dict)
    exclude: tuple[str, ...] = ()
    where: Mapping[str, str] = field(default_factory=dict)
    direction: Direction | None = None
    interactions: int | None = None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A column that gets no part, and why."""

    column: str
    reason: Statement


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """By what a table of runs may be analysed.

    `replicates` are the columns that tell repeats apart; without one rows that agree in factors and
    contexts are repeats. `levels` holds those of factors and contexts in the order of the table.
    `directions` are of the responses. `warnings` say what a look at the runs should not miss,
    `lacking` why there is nothing to analyse; a proposal without `lacking` has a response and a
    factor. `runs` counts runs, which may have several rows.
    """

    responses: tuple[str, ...]
    factors: tuple[str, ...]
    contexts: tuple[str, ...]
    replicates: tuple[str, ...]
    levels: Mapping[str, tuple[str, ...]]
    baselines: Mapping[str, str]
    directions: Mapping[str, Direction]
    interactions: int
    where: Mapping[str, str]
    left_out: tuple[LeftOut, ...]
    warnings: tuple[Statement, ...]
    lacking: tuple[Statement, ...]
    rows: int
    runs: int
    by_item: bool
