"""What a comparison teaches, by rule from the compared effects.

The headline is the biggest disagreement: of the effects that differ on the response that matters
most (else on the next one) the largest difference; then the other responses on which the same level
differs. Without any it is what agrees, else what is undecided, else why nothing was compared. Below
it stand, each once: what else differs, what agrees, what is undecided, how many effects were not
compared and why, and what the plans hold equal.
"""

from __future__ import annotations

from collections.abc import Sequence

from ablatekit.report.comparison.studies import Compared, Studies
from ablatekit.report.language.brief import comparison as said
from ablatekit.report.language.brief.comparison import SaidEffect


def comparison_sentences(studies: Studies) -> tuple[list[str], list[str]]:
    """The headline, and the sentences below it."""
    if studies.same:
        return [said.same_study(studies.names[0])], []
    held = [said.held_equal(studies.said)]
    if not studies.effects:
        shared = set(studies.first["responses"]) & set(studies.second["responses"])
        return [said.nothing_shared(studies.names, responses=bool(shared))], list(
            filter(None, held)
        )
    headline, told = _headline(studies)
    return headline, list(filter(None, [*_below(studies, told), *held]))


def _headline(studies: Studies) -> tuple[list[str], list[Compared]]:
    """The sentences of the headline, and the effects that they tell of."""
    differing = of_kind(studies, "differ")
    if differing:
        first = differing[0]
        again = [effect for effect in differing[1:] if _same_level(effect, first)]
        sentences = [said.biggest(first.said, studies.said)]
        return [*sentences, *(said.also_on(effect.said) for effect in again)], [first, *again]
    agreeing, undecided = of_kind(studies, "agree"), of_kind(studies, "undecided")
    if agreeing:
        return [
            said.further("agree_first", _said(agreeing), template="values", leading=True)
        ], agreeing
    if undecided:
        text = said.further("undecided_first", _said(undecided), template="all", leading=True)
        return [text], undecided
    return [said.nothing_compared(said.comparison_reasons(studies.rows)[0])], list(studies.effects)


def _below(studies: Studies, told: Sequence[Compared]) -> list[str]:
    sentences = []
    for agreement, kind, template in (
        ("differ", "differ_too", "by"),
        ("agree", "agree", "values"),
        ("undecided", "undecided", "apart"),
    ):
        left = [effect for effect in of_kind(studies, agreement) if effect not in told]
        if left:
            sentences.append(said.further(kind, _said(left), template=template))
    refused = [effect for effect in of_kind(studies, "not_compared") if effect not in told]
    if refused:
        reasons = said.comparison_reasons(studies.rows)
        sentences.append(said.not_compared(len(refused), reasons))
    return sentences


def of_kind(studies: Studies, agreement: str) -> list[Compared]:
    """The effects with one agreement, in their order."""
    return [effect for effect in studies.effects if effect.row.agreement == agreement]


def _same_level(effect: Compared, other: Compared) -> bool:
    return (effect.row.factor, effect.row.level) == (other.row.factor, other.row.level)


def _said(effects: Sequence[Compared]) -> list[SaidEffect]:
    return [effect.said for effect in effects]
