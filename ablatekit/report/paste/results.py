"""The results of an analysis in one paragraph: every number is one of the answer's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ablatekit.analysis.core.lookup import (
    Comparison,
    adjustments_of,
    comparisons,
    find_effect,
    price_of,
    priced_metric,
    ranked_responses,
)
from ablatekit.analysis.core.schema.analysis import Analysis
from ablatekit.analysis.core.schema.effects import Effect
from ablatekit.analysis.core.schema.vocabulary import InferenceName, Verdict
from ablatekit.report.language import captions, leads
from ablatekit.report.language.brief import results
from ablatekit.report.language.brief.results import DIRECTED, Finding
from ablatekit.report.language.numbers import Scale, absent, p_value
from ablatekit.report.language.reading import confidence, subject_of
from ablatekit.report.language.sentences import say
from ablatekit.report.language.statements.phrases import NOT_SET
from ablatekit.report.paste.length import Passage, fitted
from ablatekit.report.paste.methods import order_of
from ablatekit.report.sections.answer import Question, baseline_sentence, questions

WORDS = 180
"""Most words of the paragraph."""
SAME_PRICE = 0.02
"""A price that differs from 1 by less is not worth a word."""
UNDIRECTED: tuple[Verdict, ...] = ("equivalent", "inconclusive")
RATIOS = Scale(1.0, "", 2)
GAPS_LATER = 2
"""By how many ranks a gap is left out sooner than a response."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One level on one question: the row that speaks first, and the one over the widest scope."""

    level: Comparison
    effect: Effect
    wide: Effect | None


def results_text(analysis: Analysis, limit: int = WORDS) -> str:
    """The results in at most `limit` words; empty where no level was compared."""
    if not comparisons(analysis):
        return ""
    return " ".join(text for _, text in fitted(list(_passages(analysis)), limit))


def _passages(analysis: Analysis) -> Iterator[Passage]:
    asked = _asked(analysis)
    tested = [
        row for _, question in asked for row in _judged(analysis, question) if row.effect["p"]
    ]
    if tested:
        adjusted = ", ".join(adjustments_of(analysis))
        where = _where(analysis, tested[0].effect)
        yield Passage(
            "opening", 3, results.opening(confidence(analysis), adjusted, where, _order(analysis))
        )
    for place, (name, question) in enumerate(asked):
        rows = _judged(analysis, question)
        later = place + (GAPS_LATER if question.gap else 0)
        yield from _findings(analysis, name, question.scale, rows, later)
        yield from _beyond(name, rows, later)
    for later, name in enumerate(ranked_responses(analysis)):
        response = analysis["responses"][name]
        suffices = baseline_sentence(analysis, response)
        if suffices and response["smallest_effect"]:
            yield Passage("baseline", 2 + later, [suffices])
    ratios = _carried(analysis)
    if ratios:
        yield Passage("carry_over", 6, results.carried(ratios))


def _asked(analysis: Analysis) -> list[tuple[str, Question]]:
    """What matters most first, the gaps last, each with what a sentence calls it."""
    ranked, responses = ranked_responses(analysis), analysis["responses"]
    asked = questions(analysis)
    first = {question.name: question for question in asked if not question.gap}
    named = [(responses[name]["label"], first[name]) for name in ranked]
    return [*named, *((results.GAP, question) for question in asked if question.gap)]


def _judged(analysis: Analysis, question: Question) -> list[Judged]:
    """Every level with its row under the inference that decides, the largest effect first."""
    deciding: InferenceName = "narrow"
    if not any(row["inference"] == "narrow" and row["p"] is not None for row in question.effects):
        deciding = "broad"
    rows = [
        Judged(level, effect, find_effect(question.effects, level, "broad"))
        for level in comparisons(analysis)
        if (effect := find_effect(question.effects, level, deciding)) is not None
    ]
    return sorted(rows, key=lambda row: -abs(row.effect["estimate"] or 0.0))


def _order(analysis: Analysis) -> int | None:
    """Above which order the model of some response leaves interactions out; None for none."""
    orders = [order_of(response) for response in analysis["responses"].values()]
    return min((order for order in orders if order is not None), default=None)


def _where(analysis: Analysis, effect: Effect) -> str:
    """What the verdicts hold for."""
    if effect["inference"] == "broad":
        return say(effect["averaged_over"])
    return leads.here(subject_of(analysis))


def _findings(
    analysis: Analysis, name: str, scale: Scale, rows: Sequence[Judged], later: int
) -> Iterator[Passage]:
    """The levels on one question: with a direction, without one, without a test."""
    by_verdict: dict[Verdict, list[Judged]] = {}
    for row in rows:
        by_verdict.setdefault(row.effect["verdict"], []).append(row)
    directed = [row for row in rows if row.effect["verdict"] in DIRECTED]
    if directed:
        told = [_finding(analysis, scale, row) for row in directed]
        yield Passage("directed", 1 + later, results.directed(name, told))
    for verdict in UNDIRECTED:
        alike = by_verdict.get(verdict, [])
        if alike:
            told = [_finding(analysis, scale, row) for row in alike]
            wordings = results.without_direction(name, verdict, told, _widths(scale, alike))
            yield Passage(verdict, 2 + later, wordings)
    left = [_called(row.level) for row in by_verdict.get("not_estimated", [])]
    if left:
        yield Passage("not_estimated", 4 + later, results.not_estimated(name, left))


def _called(level: Comparison) -> str:
    return f"{level.label} {level.level or NOT_SET}"


def _widths(scale: Scale, rows: Sequence[Judged]) -> list[str]:
    """The smallest and the largest half-width of intervals, in the shown unit."""
    halves = sorted(
        (row.effect["high"] - row.effect["low"]) / 2
        for row in rows
        if row.effect["high"] is not None and row.effect["low"] is not None
    )
    ends = (halves[0], halves[-1]) if halves else ()
    return [f"{scale.plain(half)} {scale.unit}".strip() for half in ends]


def _finding(analysis: Analysis, scale: Scale, row: Judged) -> Finding:
    effect, price = row.effect, price_of(analysis, row.level)
    costs = price is not None and abs(price - 1) > SAME_PRICE
    p = effect["p_adjusted"] if effect["p_adjusted"] is not None else effect["p"]
    return Finding(
        _called(row.level),
        effect["verdict"],
        effect["size"],
        f"{scale.effect(effect['estimate'])} {scale.unit}".strip(),
        scale.interval(effect["low"], effect["high"]),
        "" if absent(p) else p_value(p),
        captions.price(price, priced_metric(analysis)) if price is not None and costs else "",
        [
            results.REMARKS[note["code"]].format(**note["arguments"])
            for note in effect["notes"]
            if note["code"] in results.REMARKS
        ],
    )


def _beyond(name: str, rows: Sequence[Judged], later: int) -> Iterator[Passage]:
    """Whether directions hold over the widest scope too, where both were tested."""
    both = [
        row
        for row in rows
        if row.effect["inference"] == "narrow"
        and row.effect["verdict"] in DIRECTED
        and row.wide is not None
        and row.wide["p"] is not None
    ]
    by_scope: dict[str, list[Judged]] = {}
    for row in both:
        if row.wide is not None:
            by_scope.setdefault(say(row.wide["averaged_over"]), []).append(row)
    for over, members in by_scope.items():
        agreeing = [
            (_called(row.level), row.effect["verdict"])
            for row in members
            if row.wide is not None and row.wide["verdict"] == row.effect["verdict"]
        ]
        told = results.beyond(name, over, agreeing, len(members) - len(agreeing))
        yield Passage("beyond", 3 + later, told)


def _carried(analysis: Analysis) -> list[tuple[str, str, str]]:
    """Levels with a carry-over that has an interval: name, ratio, interval."""
    names = {(level.factor, level.level): _called(level) for level in comparisons(analysis)}
    return [
        (
            names.get((row["factor"], row["level"]), row["level"]),
            RATIOS.plain(row["ratio"]),
            RATIOS.interval(row["low"], row["high"]),
        )
        for gap in analysis.get("comparisons", {}).values()
        for row in gap.get("carry_over", [])
        if row["inference"] == "narrow" and row["low"] is not None
    ]
