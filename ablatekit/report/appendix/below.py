"""Rows without numbers leave their table: a sentence per reason below it names them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ablatekit.analysis.core.schema.vocabulary import Statement
from ablatekit.report.language import scopes
from ablatekit.report.language.appendix import unknown as words
from ablatekit.report.language.reading import Unit
from ablatekit.report.language.sentences import say

Row = TypeVar("Row")
TOO_FEW, NO_SCOPE = "too_few_levels", "no_blocking_variable"
NEEDED = ("variable", "levels", "fewest", "of_levels")
"""The codes of scopes that lack levels or a variable, and the arguments of the first."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """What is said of a level below a table: why it has no number, or what holds for its row.

    `what` is the estimand or the scope, where the table has several. Without a level it is said of
    the whole factor.
    """

    factor: str
    level: str | None
    reason: str
    what: str = ""


def said_below(
    unknown: Iterable[Unknown],
    every: int = 0,
    whole: str = words.EVERY_LEVEL,
    everywhere: int = 0,
) -> list[str]:
    """A sentence per reason that names the levels that share it, `whole` where `every` one does.

    What is said of all `everywhere` scopes or contexts names none.
    """
    by_reason: dict[str, dict[str, dict[str, list[str]]]] = {}
    for part in unknown:
        if part.reason:
            named = by_reason.setdefault(part.reason, {}).setdefault(part.what, {})
            levels = named.setdefault(part.factor, [])
            if part.level is not None and part.level not in levels:
                levels.append(part.level)
    return [
        words.because(who, [] if 1 < everywhere <= len(what) else _without_scopes(what), reason)
        for reason, by_what in by_reason.items()
        for who, what in _who(by_what, every, whole).items()
    ]


def _who(by_what: dict[str, dict[str, list[str]]], every: int, whole: str) -> dict[str, list[str]]:
    """The levels in words, with all estimands or scopes for which these are concerned."""
    who: dict[str, list[str]] = {}
    for what, named in by_what.items():
        concerned = sum(max(1, len(levels)) for levels in named.values())
        name = whole if 1 < every <= concerned else words.levels(named)
        parts = who.setdefault(name, [])
        if what:
            parts.append(what)
    return who


def _without_scopes(whats: Sequence[str]) -> list[str]:
    """Estimands without those of a scope, where the same is said of the narrow one."""
    return [what for what in whats if not any(what.startswith(f"{other} ") for other in whats)]


def parted(
    rows: Iterable[Row],
    known: Callable[[Row], bool],
    said: Callable[[Row], Unknown],
    every: int = 0,
    whole: str = words.EVERY_LEVEL,
    everywhere: int = 0,
) -> tuple[list[Row], list[str]]:
    """The rows that have numbers, and what is said below them of all rows that have a reason."""
    rows = list(rows)
    return [row for row in rows if known(row)], said_below(
        map(said, rows), every, whole, everywhere
    )


def missing_scopes(
    noun: str, rows: Iterable[tuple[Sequence[str], Statement | None]], unit: Unit
) -> tuple[set[tuple[str, ...]], list[str]]:
    """Scopes that no row has for want of levels or variables, and a sentence per lack.

    `rows` are the scopes of broad rows, each with its reason for having no interval.
    """
    reasons: dict[tuple[str, ...], list[Statement | None]] = {}
    for scope, reason in rows:
        reasons.setdefault(tuple(scope), []).append(reason)
    lacking: dict[str, list[tuple[str, ...]]] = {}
    for scope, given in reasons.items():
        refused = [reason for reason in given if reason and reason["code"] in (TOO_FEW, NO_SCOPE)]
        if refused and all(given):
            lacking.setdefault(_needed(refused, unit), []).append(scope)
    sentences = [words.no_scope(noun, missing, needed) for needed, missing in lacking.items()]
    return {scope for missing in lacking.values() for scope in missing}, sentences


def _needed(reasons: Sequence[Statement], unit: Unit) -> str:
    """What the levels nearest to a verdict lack."""
    few = [reason for reason in reasons if reason["code"] == TOO_FEW]
    if not few:
        return say(reasons[0], unit)
    nearest = max(few, key=lambda reason: int(reason["arguments"]["levels"]))
    return scopes.needed(*(nearest["arguments"][name] for name in NEEDED))
