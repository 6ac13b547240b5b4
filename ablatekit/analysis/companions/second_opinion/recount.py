"""Which numbers of an analysis were recomputed, how far they lie apart, and what was left out."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ablatekit.analysis.core.schema.analysis import Analysis
from ablatekit.analysis.core.schema.companions import (
    Disagreement,
    NotRecomputed,
    Recomputed,
    SecondOpinion,
)
from ablatekit.analysis.core.schema.vocabulary import Number, Statement

TOLERANCE = 1e-8
LOOSE = 1e-3
"""Of mixed models: two optimisers meet where the criterion is flat."""
NUMBERS = ("estimate", "se", "df", "p", "low", "high", "low_equivalence", "high_equivalence")
TERM_NUMBERS = ("num_df", "den_df", "sum_squares", "statistic", "p")
ROUNDING = 1e-13
"""Of sums of values of size 1; smaller differences are no differences."""


@dataclass
class Recount:
    """Numbers compared and left out so far, by kind."""

    differences: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    disagreements: list[Disagreement] = field(default_factory=list)
    left_out: dict[str, list[tuple[int, Statement]]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def compare(
        self, kind: str, name: str, ours: Number, theirs: float, scale: float = 0.0
    ) -> None:
        """One number. `scale` is the size below which a difference is measured against it."""
        if ours is None:
            return
        difference = relative_difference(ours, theirs, scale)
        self.differences[kind].append(difference)
        if not difference <= tolerance(kind):
            known = theirs if math.isfinite(theirs) else None
            self.disagreements.append(Disagreement(kind=kind, name=name, ours=ours, theirs=known))

    def leave_out(self, kind: str, count: int, reason: Statement) -> None:
        """Numbers that nobody recomputed."""
        if count:
            self.left_out[kind].append((count, reason))

    def result(self) -> SecondOpinion:
        """Everything counted, kinds in the order of their first number."""
        kinds = [
            Recomputed(
                kind=kind,
                count=len(differences),
                worst=rounded_up(max(differences)),
                tolerance=tolerance(kind),
            )
            for kind, differences in self.differences.items()
        ]
        exact = [kind["worst"] for kind in kinds if kind["tolerance"] == TOLERANCE]
        recomputed = sum(kind["count"] for kind in kinds)
        not_recomputed = self._not_recomputed()
        return SecondOpinion(
            recomputed=recomputed,
            of=recomputed + sum(row["count"] for row in not_recomputed),
            worst=max((number for number in exact if number is not None), default=None),
            kinds=kinds,
            disagreements=self.disagreements,
            not_recomputed=not_recomputed,
        )

    def _not_recomputed(self) -> list[NotRecomputed]:
        """One row per kind and reason."""
        rows: list[NotRecomputed] = []
        for kind, parts in self.left_out.items():
            for count, reason in parts:
                same = [row for row in rows if row["kind"] == kind and row["reason"] == reason]
                if same:
                    same[0]["count"] += count
                else:
                    rows.append(NotRecomputed(kind=kind, count=count, reason=reason))
        return rows


def tolerance(kind: str) -> float:
    """The largest relative difference of two numbers that agree."""
    return LOOSE if kind == "mixed" else TOLERANCE


def relative_difference(ours: float, theirs: float, scale: float) -> float:
    """The difference over the larger of the two numbers and `scale`; infinite without a number."""
    if ours == theirs:
        return 0.0
    if not math.isfinite(theirs):
        return math.inf
    return abs(ours - theirs) / max(abs(ours), abs(theirs), scale)


def rounded_up(difference: float) -> Number:
    """The next power of ten: digits below are those of the machine, not of the study.

    None for a number that statsmodels does not have.
    """
    if difference == 0.0:
        return 0.0
    return 10.0 ** math.ceil(math.log10(difference)) if math.isfinite(difference) else None


def count_numbers(row: Mapping[str, Any], keys: Sequence[str] = NUMBERS) -> int:
    """How many numbers a row has."""
    return sum(row.get(key) is not None for key in keys)


def unanswered(analysis: Analysis, reason: Statement) -> SecondOpinion:
    """No number recomputed, all for one reason."""
    recount = Recount()
    recount.leave_out("all", sum(_asked_for(analysis)), reason)
    return recount.result()


def _asked_for(analysis: Analysis) -> Iterator[int]:
    """How many numbers there are in the rows that statsmodels could recompute."""
    for response in analysis["responses"].values():
        rows = response.get("configurations", {}).get("rows", [])
        for part in (response["effects"], response["contexts"], rows):
            yield from map(count_numbers, part)
        yield from (count_numbers(row, TERM_NUMBERS) for row in response["anova"])
    for comparison in analysis["comparisons"].values():
        yield from map(count_numbers, comparison["effects"])
