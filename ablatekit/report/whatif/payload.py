"""What the page's script needs to judge the answer by other bounds: the payload of the what-if."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ablatekit.analysis.core.lookup import (
    Comparison,
    alpha_of,
    comparisons,
    find_effect,
    setting,
)
from ablatekit.analysis.core.schema.analysis import Analysis, ResponseAnalysis
from ablatekit.analysis.core.schema.effects import Effect
from ablatekit.analysis.core.schema.vocabulary import Number
from ablatekit.canonical import content_hash
from ablatekit.report.language.brief import whatif
from ablatekit.report.language.numbers import scale_of
from ablatekit.report.language.verdicts import LOOKS, SIZES
from ablatekit.report.sections.answer import UNJUDGED, Question, questions
from ablatekit.report.whatif.choices import choices

Payload = Mapping[str, Any]


def exploration(analysis: Analysis) -> Payload | None:
    """Everything that the script computes from; None where nothing was compared."""
    levels = comparisons(analysis)
    if not levels:
        return None
    asked = questions(analysis)
    margins = bounds(analysis)
    return {
        "alpha": alpha_of(analysis),
        "declared": whatif.declared(alpha_of(analysis), [bound["shown"] for bound in margins]),
        "bounds": margins,
        "levels": [[level.factor, level.level] for level in levels],
        "names": [level.name for level in levels],
        "questions": [
            {**_question(analysis, question, levels), **named}
            for question, named in zip(asked, _named(analysis, margins), strict=True)
        ],
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


def _question(
    analysis: Analysis, question: Question, levels: Sequence[Comparison]
) -> dict[str, Any]:
    """The scale of a question, its families, and which of their rows the table shows."""
    families: dict[str, list[Effect]] = {}
    for effect in question.effects:
        if effect["estimand"] == "average":
            families.setdefault(_family(effect), []).append(effect)
    shown = [_shown(question, level) for level in levels]
    needed = [
        key for key in families if any(key == _family(e) for pair in shown for e in pair if e)
    ]
    places = {
        id(effect): [number, place]
        for number, key in enumerate(needed)
        for place, effect in enumerate(families[key])
    }
    return {
        "title": question.title,
        "gap": question.gap,
        "scale": [question.scale.factor, question.scale.unit, question.scale.decimals],
        "families": [_family_record(analysis, families[key]) for key in needed],
        "beside": [
            whatif.beside(question.title, wide["scope"] if wide else ()) for _, wide in shown
        ],
        "shown": [[places[id(effect)] if effect else None for effect in pair] for pair in shown],
    }


def _family(effect: Effect) -> str:
    """What a row is adjusted with; a formula's family holds rows of either inference."""
    return content_hash(effect["family"])


def _shown(question: Question, level: Comparison) -> tuple[Effect | None, Effect | None]:
    """The row of a level's estimate and verdict, and the one beside it, as the answer has them."""
    narrow = find_effect(question.effects, level, "narrow")
    wide = find_effect(question.effects, level, "broad")
    if narrow is None:
        return wide, None
    beside = wide if question.broad and narrow["verdict"] not in UNJUDGED else None
    return narrow, beside if beside and beside["verdict"] not in UNJUDGED else None


def _family_record(analysis: Analysis, family: Sequence[Effect]) -> dict[str, Any]:
    adjustment = family[0].get("adjustment") or setting(analysis, "adjust", "holm")
    return {"adjustment": adjustment, "rows": [_row(effect) for effect in family]}


def _row(effect: Effect) -> dict[str, Any]:
    """The numbers of one row; `fixed` is the verdict of one that was not tested.

    Without a df beside its p the distribution is normal.
    """
    row: dict[str, Any] = {
        name: effect[name]  # type: ignore[literal-required]
        for name in ("estimate", "se", "df", "p", "p_adjusted", "verdict", "size", "low", "high")
    }
    if effect["verdict"] in UNJUDGED:
        row["fixed"] = effect["verdict"]
    if effect["parts"]:
        row["parts"] = [
            {"estimate": part["estimate"], "se": part["se"], "df": part["df"]}
            for part in effect["parts"]
        ]
    return row
