"""The answer table: one line per non-baseline level; and whether the baseline suffices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ablatekit.analysis.core.lookup import (
    Comparison,
    blocking_levels,
    comparisons,
    find_effect,
    find_effects,
    price_of,
    priced_metric,
    ranked_responses,
    widest,
)
from ablatekit.analysis.core.schema.analysis import Analysis, ResponseAnalysis
from ablatekit.analysis.core.schema.effects import Effect
from ablatekit.analysis.core.schema.vocabulary import Verdict
from ablatekit.report.document import (
    Badge,
    Column,
    Entry,
    EstimateEntry,
    IntervalEntry,
    Quantity,
    Table,
    Text,
)
from ablatekit.report.language import captions, formulas, leads, scopes
from ablatekit.report.language.numbers import Scale, absent, scale_of, sentence
from ablatekit.report.language.prices import data_remark
from ablatekit.report.language.reading import Unit, confidence, subject_of
from ablatekit.report.language.sentences import footers_of, in_unit, say, say_all, told
from ablatekit.report.language.verdicts import (
    Room,
    baseline_suffices,
    because,
    briefly,
    needed_for,
    suffices_there,
)

UNJUDGED: tuple[Verdict, ...] = ("identical", "not_estimated")
ATTRIBUTES: tuple[Literal["method", "family", "averaged_over"], ...] = (
    "method", "family", "averaged_over",
)  # fmt: skip
NO_EFFECT = Badge("not_estimated", captions.NO_EFFECT)
REMARKS = ("compared_inside", "goes_along", "model_based")
"""Notes without which a line of the answer would be taken for another comparison."""
TOO_FEW, NO_SCOPE = "too_few_levels", "no_blocking_variable"
MOST_QUESTIONS = 4
"""Groups of columns of the table: responses, and gaps between two."""
NEEDED = ("variable", "levels", "fewest", "of_levels")
"""The codes of scopes that lack levels or a variable, and the arguments of the first."""


def _scopes(effects: Sequence[Effect]) -> list[str]:
    """The scopes that verdicts generalise over, in full words."""
    known = (effect for effect in effects if effect["verdict"] not in UNJUDGED)
    return list(dict.fromkeys(say(effect["averaged_over"]) for effect in known))


def shown_scopes(analysis: Analysis) -> list[str]:
    """The scopes of the answer's broad verdicts, in full words."""
    broad = (
        find_effect(question.effects, level, "broad")
        for question in questions(analysis)
        if question.broad
        for level in comparisons(analysis)
    )
    return _scopes([effect for effect in broad if effect is not None])


@dataclass(frozen=True, slots=True)
class AnswerCell:
    """One level on one response or gap: the estimate, its verdict, and what holds beyond.

    `scope` names what the verdict beyond generalises over, `needed` what would settle the narrow
    one; both in the fewest words.
    """

    estimate: EstimateEntry
    verdict: Badge
    beyond: Entry | None
    scope: str
    needed: str


@dataclass(frozen=True, slots=True)
class AnswerLine:
    """One line of the answer, for page, terminal and comparison: a level on every question."""

    level: Comparison
    cells: Sequence[AnswerCell]
    price: Quantity | None


def answer_remarks(analysis: Analysis) -> list[str]:
    """What some levels are compared inside of, go along with or assume, and other data they saw."""
    concerned: dict[str, list[str]] = {}
    unit = subject_of(analysis).unit
    for level in comparisons(analysis):
        for question in questions(analysis):
            effect = find_effect(question.effects, level, "narrow")
            for note in effect["notes"] if effect else []:
                if note["code"] in REMARKS:
                    concerned.setdefault(say(note, unit), []).append(level.name)
    notes = (formulas.because(what, ", ".join(dict.fromkeys(of))) for what, of in concerned.items())
    return list(filter(None, [*notes, _data_remark(analysis)]))


def _data_remark(analysis: Analysis) -> str:
    """Which levels saw more or less data than their baselines."""
    priced = ((level.name, price_of(analysis, level)) for level in comparisons(analysis))
    ratios = {name: price for name, price in priced if price is not None}
    return data_remark(ratios, priced_metric(analysis))


def answer_lines(analysis: Analysis, asked: Sequence[Question]) -> list[AnswerLine]:
    """One line per non-baseline level, in the order of the study."""
    return [
        AnswerLine(level, [answer_cell(question, level) for question in asked],
                   price_entry(analysis, level))
        for level in comparisons(analysis)
    ]  # fmt: skip


def price_entry(analysis: Analysis, level: Comparison) -> Quantity | None:
    """What a level costs beside its baseline, where that is known."""
    price = price_of(analysis, level)
    return (
        None if price is None else Quantity(captions.price(price, priced_metric(analysis)), price)
    )


def answer_cell(question: Question, level: Comparison) -> AnswerCell:
    """One level on one response or gap."""
    narrow = find_effect(question.effects, level, "narrow")
    broad = find_effects(question.effects, level, "broad")
    shown = narrow or widest(broad)
    beside = beyond(broad, question.room) if narrow and question.broad else None
    wide = widest(broad)
    if narrow and not speaks_beside(narrow, wide):
        beside = None
    return AnswerCell(
        estimate_entry(shown, question.scale),
        badge(shown, question.room),
        beside,
        scopes.over(wide["scope"]) if wide is not None and wide["scope"] else "",
        briefly(needed_for(shown, question.room)) if shown else "",
    )


def speaks_beside(narrow: Effect, wide: Effect | None) -> bool:
    """Whether what holds beyond stands beside a narrow row: not what has no verdict either."""
    if narrow["verdict"] not in UNJUDGED:
        return True
    return narrow["verdict"] != "identical" and wide is not None and wide["verdict"] not in UNJUDGED


def beyond(rows: Sequence[Effect], available: Room) -> Entry:
    """The widest broad verdict with its scope; where no scope exists, what is missing."""
    effect, unit = widest(rows), available.unit
    if effect is None:
        return Text("")
    if effect["verdict"] == "identical":
        return Badge(effect["verdict"], told(effect["reason"], unit))
    if effect["verdict"] != "not_estimated":
        over = say(effect["averaged_over"], unit)
        needed = briefly(needed_for(effect, available))
        return Badge(effect["verdict"], needed, over=over, scope=effect["scope"])
    reasons = [row["reason"] for row in rows if row["reason"]]
    few = [reason for reason in reasons if reason["code"] == TOO_FEW]
    if few and len(few) == len(reasons):
        nearest = max(few, key=lambda reason: int(reason["arguments"]["levels"]))
        return Text("", note=scopes.needed(*(nearest["arguments"][name] for name in NEEDED)))
    if reasons and all(reason["code"] == NO_SCOPE for reason in reasons):
        return Text("", note=captions.NO_SCOPE)
    other = next((reason for reason in reasons if reason not in few), effect["reason"])
    return Text("", note=told(other, unit))


def answer_table(analysis: Analysis) -> Table:
    """One line per level: on the response that matters most, its price, on the others, the gap.

    Levels without an estimate that share a reason are one sentence below the table, and so is what
    no level can be said to hold beyond.
    """
    asked = shown_questions(analysis)
    every = answer_lines(analysis, asked)
    lines, missing = without_estimates(every)
    beyond_of = [_beyond_shown(lines, place) for place in range(len(asked))]
    broad = [shown for shown, _ in beyond_of]
    priced = any(line.price is not None for line in lines)
    rows, reasons = reasons_below([_answer_row(line, broad, priced=priced) for line in lines])
    nothing_beyond = dict.fromkeys(filter(None, (text for _, text in beyond_of)))
    left = [question.title for question in questions(analysis) if question not in asked]
    footer = [
        _lead(analysis, asked), *missing, *reasons, *nothing_beyond,
        *answer_remarks(analysis), *_smallest_effects(analysis, asked),
        *([captions.further_responses(left)] if left else []),
    ]  # fmt: skip
    return Table(
        id="answer-table",
        caption=captions.ANSWER_TABLE,
        columns=_answer_columns(analysis, asked, broad, priced=priced),
        rows=rows,
        keys=[[("factor", line.level.factor), ("level", line.level.level)] for line in lines],
        footer="\n".join(footer),
        computed=_computed(analysis, asked),
        style="answer",
    )


def without_estimates(lines: Sequence[AnswerLine]) -> tuple[list[AnswerLine], list[str]]:
    """The lines without those that share a reason for having no estimate, and these sentences.

    Lines stay where nothing else would be left.
    """
    reasons: dict[str, list[AnswerLine]] = {}
    for line in lines:
        if all(_is_empty(cell) for cell in line.cells):
            reasons.setdefault(line.cells[0].verdict.note, []).append(line)
    shared = {why: of for why, of in reasons.items() if why and len(of) > 1}
    gone = [line.level for of in shared.values() for line in of]
    left = [line for line in lines if line.level not in gone]
    if not left:
        return list(lines), []
    names = ((why, [line.level.name for line in of]) for why, of in shared.items())
    return left, [captions.without_estimate(of, why) for why, of in names]


def _is_empty(cell: AnswerCell) -> bool:
    return cell.verdict.verdict == "not_estimated" and absent(cell.estimate.value)


def _beyond_shown(lines: Sequence[AnswerLine], place: int) -> tuple[bool, str]:
    """Whether a question has a column of verdicts beyond, and a sentence for all without one."""
    entries = [line.cells[place].beyond for line in lines]
    if any(isinstance(entry, Badge) for entry in entries):
        return True, ""
    notes = {entry.note for entry in entries if isinstance(entry, Text) and entry.note}
    return len(notes) > 1, captions.nothing_beyond(notes.pop()) if len(notes) == 1 else ""


def _answer_columns(
    analysis: Analysis, asked: Sequence[Question], broad: Sequence[bool], *, priced: bool
) -> list[Column]:
    columns = [Column("factor"), Column("level")]
    for place, (question, beyond_too) in enumerate(zip(asked, broad, strict=True)):
        columns += _question_columns(question, broad=beyond_too)
        if place == 0 and priced:
            columns.append(Column(captions.price_of(priced_metric(analysis)), captions.PRICE, True))
    return columns


def ranked_questions(analysis: Analysis) -> list[Question]:
    """Every response, the one that matters most first, then every gap."""
    ranked = ranked_responses(analysis)
    asked = questions(analysis)
    responses = {question.name: question for question in asked if not question.gap}
    return [
        *(responses[name] for name in ranked),
        *(question for question in asked if question.gap),
    ]


def shown_questions(analysis: Analysis) -> list[Question]:
    """Those that the table has room for: of many, the responses that are compared and their gap."""
    every = ranked_questions(analysis)
    if len(every) <= MOST_QUESTIONS:
        return every
    gaps = [question for question in every if question.gap][:1]
    return [*every[: 2 if gaps else MOST_QUESTIONS - 1], *gaps]


def _smallest_effects(analysis: Analysis, asked: Sequence[Question]) -> list[str]:
    """The smallest effects that matter, once for all responses that share one."""
    sharing: dict[str, list[str]] = {}
    for question in asked:
        if not question.gap:
            smallest = analysis["responses"][question.name]["smallest_effect"]
            amount = question.scale.amount(smallest) if smallest else ""
            sharing.setdefault(captions.smallest_effect(amount), []).append(question.title)
    return _said_of(sharing)


def _said_of(sharing: Mapping[str, Sequence[str]]) -> list[str]:
    """Sentences with what they are said of, where it is not all."""
    return [
        text if len(sharing) == 1 else f"{sentence(', '.join(labels))}: {text}"
        for text, labels in sharing.items()
    ]


def baseline_sentences(analysis: Analysis) -> list[str]:
    """Whether the baseline suffices, a sentence per response whose configurations were compared."""
    every = (baseline_sentence(analysis, part) for part in analysis["responses"].values())
    return [text for text in every if text]


def baseline_sentence(analysis: Analysis, response: ResponseAnalysis) -> str:
    """Whether the baseline suffices on one response; empty where nothing was compared."""
    configurations = response.get("configurations")
    if not configurations or not configurations["suffices"]:
        return ""
    smallest = room(analysis, response).smallest
    answers = list(_sufficiency(analysis, response))
    return baseline_suffices(response["label"], smallest, answers)


def _sufficiency(analysis: Analysis, response: ResponseAnalysis) -> Iterator[tuple[str, str]]:
    """Where the baseline suffices and where not; of scopes that do not exist, nothing."""
    available, subject = room(analysis, response), subject_of(analysis)
    for row in response["configurations"]["suffices"]:
        where = available.over(row["scope"]) if row["scope"] else leads.here(subject)
        reason = told(row["reason"], subject.unit)
        if row["inference"] == "narrow" or not reason:
            yield where, suffices_there(row, scale_of(response), reason)


def reasons_below(
    rows: Sequence[Sequence[Entry]],
) -> tuple[list[list[Entry]], list[str]]:
    """Rows without the reasons that several of them share, and these for below the table."""
    repeated = _repeated_reasons(rows)
    return [_without_notes(row, repeated) for row in rows], _footer_reasons(repeated)


def _repeated_reasons(rows: Sequence[Sequence[Entry]]) -> dict[str, Verdict]:
    """Reasons for a missing estimate that several rows share, with their verdict."""
    unjudged = {
        (place, entry.note): entry.verdict
        for place, row in enumerate(rows)
        for entry in row
        if isinstance(entry, Badge) and entry.verdict in UNJUDGED
    }
    often = Counter(note for _, note in unjudged if note)
    return {note: verdict for (_, note), verdict in unjudged.items() if often[note] > 1}


def _without_notes(row: Sequence[Entry], notes: Mapping[str, Verdict]) -> list[Entry]:
    return [
        replace(entry, note="") if isinstance(entry, Badge) and entry.note in notes else entry
        for entry in row
    ]


def _footer_reasons(repeated: Mapping[str, Verdict]) -> list[str]:
    """The reasons as sentences, for the footer."""
    return [because(verdict, note) for note, verdict in repeated.items()]


@dataclass(frozen=True, slots=True)
class Question:
    """One group of columns: the effects on a response, or on a gap."""

    name: str
    title: str
    effects: Sequence[Effect]
    scale: Scale
    room: Room
    gap: bool = False

    @property
    def broad(self) -> bool:
        """Whether broad inference was asked for; that on a gap stands in the section on it."""
        return not self.gap and any(effect["inference"] == "broad" for effect in self.effects)


def questions(analysis: Analysis) -> list[Question]:
    """Every response, then every gap."""
    asked = [
        Question(
            name,
            sentence(response["label"]),
            response["effects"],
            scale_of(response),
            room(analysis, response),
        )
        for name, response in analysis["responses"].items()
    ]
    for name, gap in analysis.get("comparisons", {}).items():
        scale, available = gap_scale(analysis, name), gap_room(analysis, name)
        asked.append(Question(name, captions.GAP, gap["effects"], scale, available, gap=True))
    return asked


def room(analysis: Analysis, response: ResponseAnalysis) -> Room:
    """What the study has, for remarks on what more it would need."""
    design, smallest = analysis.get("design"), response["smallest_effect"]
    return Room(
        design["replicates"] if design else 0,
        blocking_levels(analysis),
        scale_of(response).amount(smallest) if smallest else "",
        subject_of(analysis).unit,
    )


def gap_room(analysis: Analysis, comparison: str) -> Room:
    """The same for a gap, whose margin is the smaller of the two smallest effects."""
    gap = analysis["comparisons"][comparison]
    parts = [
        analysis["responses"][gap["learning"]],
        analysis["responses"][gap["generalization"]],
    ]
    return room(analysis, min(parts, key=lambda part: part["smallest_effect"] or 0.0))


def gap_scale(analysis: Analysis, comparison: str) -> Scale:
    """The scale of a gap: that of its learning response."""
    learning = analysis["comparisons"][comparison]["learning"]
    return scale_of(analysis["responses"][learning])


def _question_columns(question: Question, *, broad: bool) -> list[Column]:
    effect = captions.with_unit("effect", question.scale.unit)
    titles = [effect, "verdict", *([captions.BEYOND] if broad else [])]
    return [
        Column(title, question.title, numeric=title == effect, key=question.name)
        for title in titles
    ]


def _answer_row(line: AnswerLine, broad: Sequence[bool], *, priced: bool) -> list[Entry]:
    level = line.level
    row: list[Entry] = [
        Text(level.label), Text(level.level, note=captions.against(level.baseline), strong=True)
    ]  # fmt: skip
    for place, (cell, beyond_too) in enumerate(zip(line.cells, broad, strict=True)):
        row += [cell.estimate, cell.verdict]
        row += [cell.beyond or Text("")] if beyond_too else []
        row += [line.price or Quantity("", None)] if place == 0 and priced else []
    return _said_once(row)


def _said_once(row: Sequence[Entry]) -> list[Entry]:
    """The row with a reason for a missing estimate said only at its first verdict."""
    told: list[Entry] = []
    for entry in row:
        repeated = isinstance(entry, Badge) and entry.verdict in UNJUDGED and entry in told
        told.append(Badge(entry.verdict) if isinstance(entry, Badge) and repeated else entry)
    return told


def estimate_entry(effect: Effect | None, scale: Scale) -> EstimateEntry:
    """An estimate over its interval and its coverage; a dash when there is none."""
    if effect is None or absent(effect["estimate"]):
        return EstimateEntry(scale.effect(None), "", None, None, None)
    low, high = effect["low"], effect["high"]
    interval = "" if absent(low) or absent(high) else scale.interval(low, high)
    text = scale.effect(effect["estimate"])
    return EstimateEntry(text, interval, effect["estimate"], low, high, coverage(effect))


def coverage(effect: Effect) -> str:
    """Of how many contexts and matched pairs an effect is, where that is not all."""
    return scopes.coverage(
        (effect["contexts"], effect["of_contexts"]), (effect["pairs"], effect["of_pairs"])
    )


def effect_entry(effect: Effect | None, scale: Scale) -> Entry:
    """The estimate of an effect."""
    value = effect["estimate"] if effect else None
    return Quantity(scale.effect(value), value)


def interval_entry(effect: Effect | None, scale: Scale) -> Entry:
    """The interval of an effect."""
    low, high = (effect["low"], effect["high"]) if effect else (None, None)
    return IntervalEntry(scale.interval(low, high), low, high)


def badge(effect: Effect | None, available: Room) -> Badge:
    """The verdict on an effect with its size and remark."""
    if effect is None:
        return NO_EFFECT
    return Badge(effect["verdict"], remark(effect, available), effect["size"])


def remark(effect: Effect, available: Room) -> str:
    """Why there is no estimate, or what an inconclusive one would need; empty otherwise."""
    return told(effect["reason"], available.unit) or needed_for(effect, available)


def _lead(analysis: Analysis, asked: Sequence[Question]) -> str:
    """What the table compares, and for what its verdicts hold."""
    broad = any(_judged_broadly(question.effects) for question in asked)
    others = len({level.factor for level in comparisons(analysis)}) > 1
    subject, intervals = subject_of(analysis), confidence(analysis)
    return leads.answer_lead(subject, intervals, broad=broad, others=others)


def _judged_broadly(effects: Sequence[Effect]) -> bool:
    """Whether a level has a broad verdict."""
    return any(
        effect["inference"] == "broad" and effect["verdict"] not in UNJUDGED for effect in effects
    )


def _computed(analysis: Analysis, asked: Sequence[Question]) -> list[str]:
    """How the numbers were made, once for all responses that share it; then those of the gaps."""
    sharing: dict[str, list[str]] = {}
    unit = subject_of(analysis).unit
    for question in asked:
        if not question.gap:
            text = _response_footer(analysis["responses"][question.name], unit)
            sharing.setdefault(text, []).append(question.title)
    gaps = [gap_footer(analysis, question.name) for question in asked if question.gap]
    return list(filter(None, [*_said_of(sharing), *gaps]))


def _response_footer(response: ResponseAnalysis, unit: Unit) -> str:
    footers = footers_of(response, unit)
    names = ("average", "narrow", "broad", "matched") if "average" in footers else ("effects",)
    known = [footers.get(name) for name in names]
    return " ".join(filter(None, known)) or effect_footer(response["effects"], unit)


def gap_footer(analysis: Analysis, comparison: str) -> str:
    """How the effects on a gap were made, with its margin in the shown unit."""
    footer = analysis["comparisons"][comparison].get("footer", [])
    return say_all(in_unit(footer, gap_scale(analysis, comparison)))


def effect_footer(effects: Sequence[Effect], unit: Unit) -> str:
    """Degrees-of-freedom method, adjustment, family and averaging, as the effects name them."""
    notes: list[str] = []
    for inference in ("narrow", "broad"):
        chosen = [
            effect
            for effect in effects
            if effect["inference"] == inference and effect["estimand"] == "average"
        ]
        for attribute in ATTRIBUTES:
            texts = dict.fromkeys(say(effect[attribute], unit) for effect in chosen)
            said = " / ".join(filter(None, texts))
            if said:
                notes.append(f"{inference} {attribute.replace('_', ' ')}: {said}")
    return "; ".join(notes) + "." if notes else ""
