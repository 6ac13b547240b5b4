"""Which column of numbers is the response: measured at a test, a goal rather than a cost."""

from __future__ import annotations

from ablatekit.analysis.core.schema.vocabulary import statement
from ablatekit.analysis.proposal.base import Stated
from ablatekit.analysis.proposal.columns import RunColumn
from ablatekit.analysis.proposal.names import place_of, quality_of
from ablatekit.analysis.proposal.parts import Parts

QUALITIES = ("goal", "unknown", "cost", "progress")
OUTCOME = "outcome"


def choose_response(parts: Parts, stated: Stated) -> tuple[RunColumn, ...]:
    """The stated responses, else the best measure; the others are left out as measures."""
    if stated.responses:
        chosen = [c for c in parts.measures if c.name in stated.responses]
        ordered = sorted(chosen, key=lambda c: stated.responses.index(c.name))
    else:
        ordered = sorted((c for c in parts.measures if c.distinct > 1), key=_rank)[:1]
    for column in parts.measures:
        if column not in ordered:
            parts.leave_out(column, statement("column_measures"))
    return tuple(ordered)


def _rank(column: RunColumn) -> tuple[bool, int, int, int]:
    """The outcome of items first; then goals, measured at a test, known of most runs."""
    name = column.name
    return (
        name != OUTCOME,
        QUALITIES.index(quality_of(name)),
        place_of(name),
        4 * column.gaps // max(1, len(column.codes)),
    )
