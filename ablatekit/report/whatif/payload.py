"""What the page's script needs to judge the answer by other bounds: the payload of the what-if."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ablatekit.analysis.core.lookup import (
    Comparison,
    alpha_of,
    comparisons,
    find_effect,
    ranked_responses,
    second_response,
    setting,
)
from ablatekit.analysis.core.schema.analysis import Analysis, ResponseAnalysis
from ablatekit.analysis.core.schema.effects import Effect
from ablatekit.analysis.core.schema.vocabulary import Number
from ablatekit.canonical import content_hash
from ablatekit.report.brief.headline import (
    FEW_LEVELS,
    NAMED,
    NAMED_OPEN,
    first_reason,
    judging_row,
    level_gains,
    subjects_of,
)
from ablatekit.report.language.brief import whatif
from ablatekit.report.language.brief.headline import HEADLINE, SAME_PRICE, said_unit
from ablatekit.report.language.numbers import Scale, scale_of
from ablatekit.report.language.verdicts import LOOKS, SIZES
from ablatekit.report.sections.answer import UNJUDGED, Question, questions, speaks_beside
from ablatekit.report.whatif.choices import choices

Payload = Mapping[str, Any]


def exploration(analysis: Analysis) -> Payload | None:
    """Everything that the script computes from; None where nothing was compared."""
    levels = comparisons(analysis)
    if not levels:
        return None
    margins = bounds(analysis)
    asked = [_asked(analysis, question, levels) for question in questions(analysis)]
    return {
        "alpha": alpha_of(analysis),
        "bounds": margins,
        "levels": [[level.factor, level.level] for level in levels],
        "names": [level.name for level in levels],
        "questions": [
            {**_question(analysis, question), **named}
            for question, named in zip(asked, _named(analysis, margins), strict=True)
        ],
        "headline": _headline(analysis, asked, levels),
        "choices": choices(analysis),
        "looks": {name: [look.word, look.tone, look.icon] for name, look in LOOKS.items()},
        "sizes": dict(SIZES),
        "words": dict(whatif.WORDS),
    }


def bounds(analysis: Analysis) -> list[dict[str, Any]]:
    """The smallest effects that can be moved: one for all responses that share it and its unit."""
    shared: dict[tuple[Number, str], dict[str, Any]] = {}
    for name, response in analysis["responses"].items():
        scale, margin = scale_of(response), response["smallest_effect"]
        bound = shared.setdefault(
            (margin, scale.unit),
            {
                "margin": margin, "factor": scale.factor, "unit": scale.unit,
                "said_unit": said_unit(scale),
                "shown": scale.amount(margin) if margin is not None else "",
                "labels": [], "names": [],
            },
        )  # fmt: skip
        bound["labels"].append(response["label"])
        bound["names"].append(name)
    return list(shared.values())


def _named(analysis: Analysis, margins: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """For each question the bounds whose smaller one is its margin, and its verdicts' names."""

    def bound_of(name: str) -> int:
        return next(place for place, bound in enumerate(margins) if name in bound["names"])

    def effect(name: str, response: ResponseAnalysis) -> dict[str, Any]:
        rise, fall = ("helps", "hurts")[:: 1 if response["direction"] == "higher" else -1]
        return {"name": name, "bounds": [bound_of(name)], "rise": rise, "fall": fall}

    gaps = [
        {
            "name": name,
            "bounds": sorted({bound_of(gap["learning"]), bound_of(gap["generalization"])}),
            "rise": "widens",
            "fall": "narrows",
        }
        for name, gap in analysis.get("comparisons", {}).items()
    ]
    return [*(effect(*named) for named in analysis["responses"].items()), *gaps]


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question with its families, the rows that the answer shows of each level, their places."""

    question: Question
    families: Sequence[Sequence[Effect]]
    shown: Sequence[tuple[Effect | None, Effect | None]]
    places: Mapping[int, tuple[int, int]]

    def place(self, effect: Effect | None) -> tuple[int, int] | None:
        """Family and place of a row in it."""
        return None if effect is None else self.places[id(effect)]


def _asked(analysis: Analysis, question: Question, levels: Sequence[Comparison]) -> _Asked:
    """The families that hold a row of the answer table or of the headline, whole."""
    every: dict[str, list[Effect]] = {}
    for effect in question.effects:
        if effect["estimand"] == "average":
            every.setdefault(_family(effect), []).append(effect)
    shown = [_shown(question, level) for level in levels]
    used = [effect for pair in shown for effect in pair]
    if not question.gap:
        response = analysis["responses"][question.name]
        used += [judging_row(response, level) for level in levels]
    wanted = {_family(effect) for effect in used if effect is not None}
    families = [rows for key, rows in every.items() if key in wanted]
    places = {
        id(effect): (number, place)
        for number, rows in enumerate(families)
        for place, effect in enumerate(rows)
    }
    return _Asked(question, families, shown, places)


def _question(analysis: Analysis, asked: _Asked) -> dict[str, Any]:
    """The scale of a question, its families, and which of their rows the table shows."""
    question = asked.question
    return {
        "title": question.title,
        "scale": _scale(question.scale),
        "families": [_family_record(analysis, rows) for rows in asked.families],
        "beside": [
            whatif.beside(question.title, wide["scope"] if wide else ()) for _, wide in asked.shown
        ],
        "shown": [[asked.place(effect) for effect in pair] for pair in asked.shown],
    }


def _scale(scale: Scale) -> list[Any]:
    return [scale.factor, scale.unit, scale.decimals]


def _headline(
    analysis: Analysis, asked: Sequence[_Asked], levels: Sequence[Comparison]
) -> dict[str, Any]:
    """What the rule of the headline needs: its templates, subjects, and the rows that judge."""
    named = {one.question.name: place for place, one in enumerate(asked) if not one.question.gap}
    subjects, second = subjects_of(analysis), second_response(analysis)
    names = [ranked_responses(analysis)[0], *([second] if second else [])]

    def judges(level: Comparison) -> list[tuple[int, int] | None]:
        rows = [judging_row(analysis["responses"][name], level) for name in names]
        return [asked[named[name]].place(row) for name, row in zip(names, rows, strict=True)]

    return {
        "questions": [named[name] for name in names],
        "templates": dict(HEADLINE),
        "subjects": {
            "response": subjects.response, "second": subjects.second, "metric": subjects.metric,
            "frame": subjects.frame, "others": subjects.others, "scale": _scale(subjects.scale),
            "unit": said_unit(subjects.scale),
        },
        "rule": {"few_levels": FEW_LEVELS, "named": NAMED, "named_open": NAMED_OPEN,
                 "same_price": SAME_PRICE},
        "reason": first_reason(analysis),
        "levels": [
            {
                "name": gain.name,
                "price": gain.price,
                "rows": judges(level),
            }
            for level, gain in zip(levels, level_gains(analysis), strict=True)
        ],
    }  # fmt: skip


def _family(effect: Effect) -> str:
    """What a row is adjusted with; a formula's family holds rows of either inference."""
    return content_hash(effect["family"])


def _shown(question: Question, level: Comparison) -> tuple[Effect | None, Effect | None]:
    """The row of a level's estimate and verdict, and the one beside it, as the answer has them."""
    narrow = find_effect(question.effects, level, "narrow")
    wide = find_effect(question.effects, level, "broad")
    if narrow is None:
        return wide, None
    beside = wide if question.broad and speaks_beside(narrow, wide) else None
    return narrow, beside if beside and beside["verdict"] not in UNJUDGED else None


def _family_record(analysis: Analysis, family: Sequence[Effect]) -> dict[str, Any]:
    adjustment = family[0].get("adjustment") or setting(analysis, "adjust", "holm")
    return {"adjustment": adjustment, "rows": [_row(effect) for effect in family]}


def _row(effect: Effect) -> dict[str, Any]:
    """The numbers of one row; `fixed` is the verdict of one that was not tested.

    Without a df beside its p the distribution is normal. A row with `unbounded` was not tested
    against a smallest effect, whatever that is.
    """
    row: dict[str, Any] = {
        name: effect[name]
        for name in ("estimate", "se", "df", "p", "p_adjusted", "verdict", "size", "low", "high")
    }
    if effect["verdict"] in UNJUDGED:
        row["fixed"] = effect["verdict"]
    elif effect["low_equivalence"] is None and effect["low"] is not None:
        row["unbounded"] = True
    if effect["parts"]:
        row["parts"] = [
            {"estimate": part["estimate"], "se": part["se"], "df": part["df"]}
            for part in effect["parts"]
        ]
    return row
