"""Two studies as the parts of their page need them: names, scales, and every compared effect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ablatekit.analysis.compare import (
    ComparedEffect,
    StudyComparison,
    compare,
    differing_settings,
    settings_held_equal,
)
from ablatekit.analysis.core.lookup import (
    comparisons,
    factors_of,
    label_of,
    priced_metric,
    ranked_responses,
)
from ablatekit.analysis.core.schema.analysis import Analysis, ResponseAnalysis
from ablatekit.legible import legible_json
from ablatekit.report.language.brief import comparison as said
from ablatekit.report.language.brief.comparison import Price, SaidEffect, SaidStudy
from ablatekit.report.language.brief.headline import clipped, level_name
from ablatekit.report.language.numbers import Scale, scale_of

UNIT, AMOUNT = "unit", "amount"
"""Settings of a budget: what it counts, and how much of it."""
ORDER = ("differ", "undecided", "agree", "not_compared")


@dataclass(frozen=True, slots=True)
class Compared:
    """An effect that both studies have, with how each shows it."""

    row: ComparedEffect
    label: str
    scales: tuple[Scale, Scale]
    said: SaidEffect

    @property
    def alike(self) -> bool:
        """Whether both estimates are on one scale."""
        return self.scales[0].unit == self.scales[1].unit


@dataclass(frozen=True, slots=True)
class Studies:
    """Both analyses, legible, and what the comparison made of them."""

    first: Analysis
    second: Analysis
    found: StudyComparison
    said: tuple[SaidStudy, SaidStudy]
    effects: Sequence[Compared]

    @property
    def both(self) -> tuple[Analysis, Analysis]:
        """The two analyses."""
        return self.first, self.second

    @property
    def names(self) -> tuple[str, str]:
        """What the studies are called."""
        return self.said[0].name, self.said[1].name

    @property
    def rows(self) -> list[ComparedEffect]:
        """What was compared, in the order of the page."""
        return [effect.row for effect in self.effects]

    @property
    def same(self) -> bool:
        """Whether both are one study."""
        return "same_study" in {note["code"] for note in self.found.notes}


def studies_of(first: Analysis, second: Analysis) -> Studies:
    """Two analyses, compared and made legible."""
    first, second = legible_json(first), legible_json(second)
    found = compare(first, second)
    same = "same_study" in {note["code"] for note in found.notes}
    names = found.names if same else said.study_names(found.names)
    held = held_equal(first, second)
    studies = SaidStudy(names[0], *held[0]), SaidStudy(names[1], *held[1])
    effects = [_compared(first, second, row) for row in found.effects]
    return Studies(first, second, found, studies, ranked(first, effects))


def ranked(analysis: Analysis, effects: Sequence[Compared]) -> list[Compared]:
    """By response, the one that matters most first; in each what differs, the largest first."""
    responses = ranked_responses(analysis)
    return sorted(
        effects,
        key=lambda effect: (
            responses.index(effect.row.response),
            ORDER.index(effect.row.agreement),
            -abs(effect.row.difference or 0.0),
        ),
    )


def held_equal(first: Analysis, second: Analysis) -> tuple[tuple[str, str], tuple[str, str]]:
    """What each study holds equal, where one thing tells them apart: at equal rounds, rounds (60).

    That is a budget in another unit or of another size, or a single setting; else nothing.
    """
    differing = differing_settings(first, second)
    parents = {name.rpartition(".")[0] for name, _, _ in differing}
    units = [name for name, _, _ in differing if name.rpartition(".")[2] == UNIT]
    if len(parents) == 1 and len(units) == 1 and units[0] != UNIT:
        return _budget(first, units[0]), _budget(second, units[0])
    if len(differing) == 1:
        name, ours, theirs = differing[0]
        unit = settings_held_equal(first).get(f"{name.rpartition('.')[0]}.{UNIT}")
        if name.rpartition(".")[2] == AMOUNT and unit is not None:
            return (said.at_amount(str(unit), ours), ""), (said.at_amount(str(unit), theirs), "")
        return (said.with_setting(name, ours), ""), (said.with_setting(name, theirs), "")
    return ("", ""), ("", "")


def _budget(analysis: Analysis, unit: str) -> tuple[str, str]:
    settings = settings_held_equal(analysis)
    amount: Any = settings.get(f"{unit.rpartition('.')[0]}.{AMOUNT}")
    counted = str(settings[unit])
    return said.at_equal(counted), said.amount_of(counted, amount) if amount is not None else ""


def _compared(first: Analysis, second: Analysis, row: ComparedEffect) -> Compared:
    responses = [analysis["responses"][row.response] for analysis in (first, second)]
    ours, theirs = _scales(*responses)
    labels = {level.factor: level.label for level in comparisons(first)}
    label = clipped(responses[0]["label"])
    effect = SaidEffect(
        level_name(labels.get(row.factor, row.factor), row.level), label, ours,
        (row.first.estimate, row.second.estimate), (row.first.verdict, row.second.verdict),
        (Price(row.first.price, priced_metric(first)),
         Price(row.second.price, priced_metric(second))),
        row.difference, row.low, row.high, row.agreement, row.size,
        responses[0]["direction"] == "lower",
    )  # fmt: skip
    return Compared(row, label, (ours, theirs), effect)


def _scales(first: ResponseAnalysis, second: ResponseAnalysis) -> tuple[Scale, Scale]:
    """The scale of each; in one unit with the digits of the coarser one."""
    ours, theirs = scale_of(first), scale_of(second)
    if ours.unit != theirs.unit:
        return ours, theirs
    decimals = min(ours.decimals, theirs.decimals)
    return replace(ours, decimals=decimals), replace(theirs, decimals=decimals)


def factor_names(analysis: Analysis) -> dict[str, str]:
    """The labels of the factors that a study varies, by name."""
    return {
        factor["name"]: label_of(factor)
        for factor in factors_of(analysis)
        if len(factor["levels"]) > 1
    }


def only_one_varies(studies: Studies) -> tuple[list[str], list[str]]:
    """Factors that only the first study varies, and those that only the second does."""
    ours, theirs = (factor_names(analysis) for analysis in studies.both)
    return (
        [label for name, label in ours.items() if name not in theirs],
        [label for name, label in theirs.items() if name not in ours],
    )
