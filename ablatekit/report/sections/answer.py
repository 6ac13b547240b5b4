"""The answer: one line per non-baseline level, and the verdicts in one sentence per response."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ablatekit.analysis.core.lookup import Comparison, comparisons, find_effect
from ablatekit.analysis.core.schema.analysis import Analysis, ResponseAnalysis
from ablatekit.analysis.core.schema.effects import Effect, HeterogeneityRow
from ablatekit.analysis.core.schema.vocabulary import Verdict
from ablatekit.report.document import (
    Badge,
    Block,
    Column,
    Entry,
    EstimateEntry,
    Interval,
    Quantity,
    Section,
    Table,
    Text,
    Verdicts,
    Warnings,
)
from ablatekit.report.language import captions, leads
from ablatekit.report.language.notes import FEW_CONTEXTS, MARK_FOOTER, answer_warnings
from ablatekit.report.language.numbers import Scale, absent, scale_of, sentence
from ablatekit.report.language.reading import Unit, confidence, subject_of
from ablatekit.report.language.sentences import footers_of, in_unit, say, say_all, told
from ablatekit.report.language.verdicts import (
    Judged,
    Room,
    VerdictLine,
    because,
    needed_for,
    no_broad_verdict,
)

VERDICT_ORDER: tuple[Verdict, ...] = (
    "helps", "hurts", "widens", "narrows",
    "equivalent", "inconclusive", "identical", "not_estimated",
)  # fmt: skip
UNJUDGED: tuple[Verdict, ...] = ("identical", "not_estimated")
ATTRIBUTES: tuple[Literal["method", "family", "averaged_over"], ...] = (
    "method", "family", "averaged_over",
)  # fmt: skip
NO_EFFECT = Badge("not_estimated", captions.NO_EFFECT)


def answer_section(analysis: Analysis) -> Section | None:
    """Verdicts first, then the table, then what limits them; nothing where nothing was compared."""
    if not comparisons(analysis):
        return None
    blocks: list[Block] = [Verdicts(verdict_lines(analysis)), answer_table(analysis)]
    warnings = answer_warnings(analysis)
    if warnings:
        blocks.append(Warnings(warnings))
    return Section("answer", leads.ANSWER, _lead(analysis), blocks)


def _lead(analysis: Analysis) -> str:
    broad = any(_judged_broadly(question.effects) for question in questions(analysis))
    return leads.answer_lead(subject_of(analysis), confidence(analysis), broad=broad)


def _judged_broadly(effects: Sequence[Effect]) -> bool:
    """Whether a level has a broad verdict."""
    return any(
        effect["inference"] == "broad" and effect["verdict"] not in UNJUDGED for effect in effects
    )


def verdict_lines(analysis: Analysis) -> list[VerdictLine]:
    """For each response and gap: the narrow verdicts, each with its levels, as in the study."""
    levels = comparisons(analysis)
    return [_verdict_line(question, levels) for question in questions(analysis)]


def _verdict_line(question: Question, levels: Sequence[Comparison]) -> VerdictLine:
    broad = [find_effect(question.effects, level, "broad") for level in levels]
    reason = _shared_reason([effect for effect in broad if effect is not None], question.room.unit)
    groups: dict[Verdict, list[Judged]] = {}
    for level, beside in zip(levels, broad, strict=True):
        effect = find_effect(question.effects, level, "narrow")
        if effect is None:
            effect, beside = beside, None
        if effect is not None:
            wide = beside if beside is not None and beside["verdict"] not in UNJUDGED else None
            judged = Judged(
                level.name, wide["verdict"] if wide else None, question.mark(level) if wide else ""
            )
            groups.setdefault(effect["verdict"], []).append(judged)
    ordered = [(verdict, groups[verdict]) for verdict in VERDICT_ORDER if verdict in groups]
    return VerdictLine(question.title, ordered, no_broad_verdict(reason) if reason else "")


def _shared_reason(effects: Sequence[Effect], unit: Unit) -> str:
    """The reason why none of the effects has an estimate, if it is one."""
    reasons = {
        told(effect["reason"], unit) for effect in effects if effect["verdict"] == "not_estimated"
    }
    known = any(effect["verdict"] not in UNJUDGED for effect in effects)
    return reasons.pop().rstrip(".") if len(reasons) == 1 and not known else ""


def answer_table(analysis: Analysis) -> Table:
    """One line per non-baseline level: effect, narrow and broad verdicts, and the gap."""
    asked = questions(analysis)
    levels = comparisons(analysis)
    columns = [Column("factor"), Column("level")]
    for question in asked:
        columns += _question_columns(question)
    rows = [_answer_row(asked, level) for level in levels]
    repeated = _repeated_reasons(rows)
    return Table(
        id="answer-table",
        caption=captions.ANSWER_TABLE,
        columns=columns,
        rows=[_without_notes(row, repeated) for row in rows],
        keys=[[("factor", level.factor), ("level", level.level)] for level in levels],
        footer="\n".join(
            [*_footer_reasons(repeated), *_footer_mark(rows), _answer_footer(analysis)]
        ),
        style="answer",
    )


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


def _footer_mark(rows: Sequence[Sequence[Entry]]) -> list[str]:
    """What the mark of a broad verdict means, where one is marked."""
    marked = any(isinstance(entry, Badge) and FEW_CONTEXTS in entry.note for row in rows
                 for entry in row)  # fmt: skip
    return [MARK_FOOTER] if marked else []


@dataclass(frozen=True, slots=True)
class Question:
    """One group of columns: the effects on a response, or on a gap."""

    title: str
    effects: Sequence[Effect]
    scale: Scale
    room: Room
    spread: Sequence[HeterogeneityRow]

    def mark(self, level: Comparison) -> str:
        """What weakens the broad verdict on a level; empty if nothing is known to."""
        key = (level.factor, level.level)
        rows = [row for row in self.spread if (row["factor"], row["level"]) == key]
        return FEW_CONTEXTS if any(row["warning"] for row in rows) else ""

    @property
    def broad(self) -> bool:
        """Whether broad inference was asked for."""
        return any(effect["inference"] == "broad" for effect in self.effects)


def questions(analysis: Analysis) -> list[Question]:
    """Every response, then every gap."""
    asked = [
        Question(
            sentence(response["label"]),
            response["effects"],
            scale_of(response),
            room(analysis, response),
            response.get("heterogeneity", []),
        )
        for response in analysis["responses"].values()
    ]
    for name, gap in analysis.get("comparisons", {}).items():
        scale, available = gap_scale(analysis, name), gap_room(analysis, name)
        asked.append(Question("Gap", gap["effects"], scale, available, []))
    return asked


def room(analysis: Analysis, response: ResponseAnalysis) -> Room:
    """What the study has, for remarks on what more it would need."""
    design, smallest = analysis.get("design"), response["smallest_effect"]
    return Room(
        design["replicates"] if design else 0,
        len(design["contexts"]) if design else 0,
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


def _question_columns(question: Question) -> list[Column]:
    effect = captions.with_unit("effect", question.scale.unit)
    columns = [
        Column(effect, question.title, numeric=True),
        Column("verdict", question.title),
    ]
    return [*columns, Column("broad", question.title)] if question.broad else columns


def _answer_row(asked: Sequence[Question], level: Comparison) -> list[Entry]:
    row: list[Entry] = [
        Text(level.label),
        Text(level.level, note=f"vs {level.baseline}", strong=True),
    ]
    for question in asked:
        row += _question_entries(question, level)
    return _said_once(row)


def _question_entries(question: Question, level: Comparison) -> list[Entry]:
    narrow = find_effect(question.effects, level, "narrow")
    broad = find_effect(question.effects, level, "broad")
    judged = badge(narrow, question.room) if narrow or not broad else Text("")
    entries: list[Entry] = [estimate_entry(narrow or broad, question.scale), judged]
    if question.broad:
        entries.append(_marked(badge(broad, question.room), question.mark(level)))
    return entries


def _marked(entry: Badge, mark: str) -> Badge:
    """A broad verdict with what weakens it, where there is a verdict."""
    if not mark or entry.verdict in UNJUDGED:
        return entry
    return replace(entry, note="; ".join(filter(None, (entry.note, mark))))


def _said_once(row: Sequence[Entry]) -> list[Entry]:
    """The row with a reason for a missing estimate said only at its first verdict."""
    told: list[Entry] = []
    for entry in row:
        repeated = isinstance(entry, Badge) and entry.verdict in UNJUDGED and entry in told
        told.append(Badge(entry.verdict) if isinstance(entry, Badge) and repeated else entry)
    return told


def estimate_entry(effect: Effect | None, scale: Scale) -> Entry:
    """An estimate over its interval; a dash when there is none."""
    if effect is None or absent(effect["estimate"]):
        return EstimateEntry(scale.effect(None), "", None, None, None)
    low, high = effect["low"], effect["high"]
    text = scale.effect(effect["estimate"])
    interval = "" if absent(low) or absent(high) else scale.interval(low, high)
    return EstimateEntry(text, interval, effect["estimate"], low, high)


def effect_entry(effect: Effect | None, scale: Scale) -> Entry:
    """The estimate of an effect."""
    value = effect["estimate"] if effect else None
    return Quantity(scale.effect(value), value)


def interval_entry(effect: Effect | None, scale: Scale) -> Entry:
    """The interval of an effect."""
    low, high = (effect["low"], effect["high"]) if effect else (None, None)
    return Interval(scale.interval(low, high), low, high)


def badge(effect: Effect | None, available: Room) -> Badge:
    """The verdict on an effect with its remark."""
    return NO_EFFECT if effect is None else Badge(effect["verdict"], remark(effect, available))


def remark(effect: Effect, available: Room) -> str:
    """Why there is no estimate, or what an inconclusive one would need; empty otherwise."""
    return told(effect["reason"], available.unit) or needed_for(effect, available)


def _answer_footer(analysis: Analysis) -> str:
    """What holds for each response, said once for all that share it; then for the gaps."""
    sharing: dict[str, list[str]] = {}
    unit = subject_of(analysis).unit
    for response in analysis["responses"].values():
        sharing.setdefault(_response_footer(response, unit), []).append(response["label"])
    lines = [
        text if len(sharing) == 1 else f"{sentence(', '.join(labels))}: {text}"
        for text, labels in sharing.items()
    ]
    gaps = [gap_footer(analysis, name) for name in analysis.get("comparisons", {})]
    return "\n".join([*lines, *filter(None, gaps)])


def _response_footer(response: ResponseAnalysis, unit: Unit) -> str:
    footers = footers_of(response, unit)
    names = ("average", "narrow", "broad", "matched") if "average" in footers else ("effects",)
    known = [footers.get(name) for name in names]
    note = " ".join(filter(None, known)) or effect_footer(response["effects"], unit)
    smallest = response["smallest_effect"]
    amount = scale_of(response).amount(smallest) if smallest else ""
    return f"{note} {captions.smallest_effect(amount)}"


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
