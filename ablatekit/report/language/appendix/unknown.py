"""What a table has no numbers of, in one sentence per reason."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ablatekit.report.language import scopes
from ablatekit.report.language.numbers import count
from ablatekit.report.language.statements.phrases import NOT_SET

MOST_LEVELS = 12
"""Levels that a sentence names; of more it gives the number."""
EVERY_LEVEL, EVERY_CELL, EVERY_PAIR = "Every level", "Every cell", "Every pair"
CSV_NAME = "effects.csv"


def levels(named: Mapping[str, Sequence[str]]) -> str:
    """Levels by their factor, as they are written: rollouts 128, 256; queries 1, 2."""
    left, parts = MOST_LEVELS, []
    for factor, values in named.items():
        shown = [value or NOT_SET for value in values[:left]]
        if shown or not values:
            parts.append(f"{factor} {', '.join(shown)}".strip() if factor else "; ".join(shown))
        left -= len(shown)
    more = sum(map(len, named.values())) - MOST_LEVELS
    return "; ".join(parts) + (f" and {count(more, 'more level')}" if more > 0 else "")


def because(who: str, what: Sequence[str], reason: str) -> str:
    """Why these levels have no number, or what holds for them."""
    of = f" ({', '.join(what)})" if what else ""
    return f"{who}{of}: {reason.rstrip('.')}."


def as_above(who: str, reason: str) -> str:
    """A reason that was given of others, in its first words."""
    return f"{who}: {re.split('[,;:(]', reason)[0].strip().rstrip('.')} (as above)."


def no_scope(noun: str, missing: Sequence[Sequence[str]], needed: str) -> str:
    """Why nothing is said over some scopes; the empty one stands for every scope."""
    over = ", nor ".join(scopes.over(scope) for scope in missing if scope)
    where = over or "beyond these contexts"
    return f"No {noun} is given {where}: that {needed.rstrip('.')}."


def rest_in_csv(rows: int, shown: int) -> str:
    """Where the rows are that a table does not show."""
    return f"{shown:,} rows are shown; all {rows:,} are in {CSV_NAME}."
