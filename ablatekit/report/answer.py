"""The answer: one line per non-baseline level, and the verdicts in one sentence per response."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ablatekit.analysis.schema import Analysis, Effect, ResponseAnalysis, Verdict
from ablatekit.report.document import (
    Badge,
    Block,
    Column,
    Entry,
    Estimate,
    Interval,
    Quantity,
    Section,
    Table,
    Text,
    Verdicts,
    Warnings,
)
from ablatekit.report.numbers import (
    Scale,
    absent,
    footers_of,
    in_unit,
    p_value,
    scale_of,
    sentence,
)
from ablatekit.report.reading import (
    Comparison,
    alpha_of,
    comparisons,
    confidence,
    factor_labels,
    find_effect,
)
from ablatekit.report.verdicts import Room, remark

NO_EFFECT = Badge("not estimated", "the analysis holds no such effect")


def answer_section(analysis: Analysis) -> Section:
    """Verdicts first, then the table, then what limits them."""
    blocks: list[Block] = [Verdicts(verdict_lines(analysis)), answer_table(analysis)]
    warnings = answer_warnings(analysis)
    if warnings:
        blocks.append(Warnings(warnings))
    return Section("answer", "The answer", _lead(analysis), blocks)


def _lead(analysis: Analysis) -> str:
    contexts = len(analysis["design"].get("contexts", []))
    where = f"these {contexts} contexts" if contexts > 1 else "these runs"
    text = (
        f"Each level is compared with its factor's baseline. The verdict holds for {where}"
        " (narrow inference)"
    )
    if any(question.broad for question in questions(analysis)):
        text += "; the one marked broad says whether it would hold in contexts like these"
    return f"{text}. Intervals are {confidence(analysis)}, per comparison."


def verdict_lines(
    analysis: Analysis,
) -> list[tuple[str, list[tuple[Verdict, list[str]]]]]:
    """For each response and gap: the narrow verdicts, each with its levels, as in the study."""
    levels = comparisons(analysis)
    return [
        (question.title, _grouped(question.effects, levels)) for question in questions(analysis)
    ]


def _grouped(
    effects: Sequence[Effect], levels: Sequence[Comparison]
) -> list[tuple[Verdict, list[str]]]:
    groups: dict[Verdict, list[str]] = {}
    for level in levels:
        effect = find_effect(effects, level, "narrow") or find_effect(effects, level, "broad")
        if effect is not None:
            groups.setdefault(effect["verdict"], []).append(level.name)
    order: list[Verdict] = [
        "helps", "hurts", "widens", "narrows",
        "equivalent", "inconclusive", "identical", "not estimated",
    ]  # fmt: skip
    return [(verdict, groups[verdict]) for verdict in order if verdict in groups]


def answer_table(analysis: Analysis) -> Table:
    """One line per non-baseline level: effect, narrow and broad verdicts, and the gap."""
    asked = questions(analysis)
    levels = comparisons(analysis)
    columns = [Column("factor"), Column("level")]
    for question in asked:
        columns += _question_columns(question)
    return Table(
        id="answer-table",
        caption="Average effect of every level against its baseline",
        columns=columns,
        rows=[_answer_row(asked, level) for level in levels],
        keys=[[("factor", level.factor), ("level", level.level)] for level in levels],
        footer=_answer_footer(analysis),
        style="answer",
    )


@dataclass(frozen=True, slots=True)
class Question:
    """One group of columns: the effects on a response, or on a gap."""

    title: str
    effects: Sequence[Effect]
    scale: Scale
    room: Room

    @property
    def broad(self) -> bool:
        """Whether broad inference was asked for."""
        return any(effect["inference"] == "broad" for effect in self.effects)


def questions(analysis: Analysis) -> list[Question]:
    """Every response, then every gap."""
    found = [
        Question(
            sentence(response["label"]),
            response["effects"],
            scale_of(response),
            room(analysis, response),
        )
        for response in analysis["responses"].values()
    ]
    for name, gap in analysis.get("comparisons", {}).items():
        parts = [
            analysis["responses"][gap["learning"]],
            analysis["responses"][gap["generalization"]],
        ]
        strict = min(parts, key=lambda part: part["smallest_effect"] or 0.0)
        found.append(
            Question("Gap", gap["effects"], gap_scale(analysis, name), room(analysis, strict))
        )
    return found


def room(analysis: Analysis, response: ResponseAnalysis) -> Room:
    """What the study has, for remarks on what more it would need."""
    design, smallest = analysis["design"], response["smallest_effect"]
    return Room(
        design["replicates"],
        len(design["contexts"]),
        scale_of(response).amount(smallest) if smallest else "",
    )


def gap_scale(analysis: Analysis, comparison: str) -> Scale:
    """The scale of a gap: that of its learning response."""
    learning = analysis["comparisons"][comparison]["learning"]
    return scale_of(analysis["responses"][learning])


def _question_columns(question: Question) -> list[Column]:
    unit = f", {question.scale.unit}" if question.scale.unit else ""
    columns = [
        Column(f"effect{unit}", question.title, numeric=True),
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
    entries: list[Entry] = [estimate_entry(narrow, question.scale), badge(narrow, question.room)]
    if question.broad:
        broad = find_effect(question.effects, level, "broad")
        entries.append(badge(broad, question.room))
    return entries


def _said_once(row: Sequence[Entry]) -> list[Entry]:
    """The row with a reason that all its verdicts share said only at the first."""
    badges = [entry for entry in row if isinstance(entry, Badge)]
    if len(badges) < 2 or len({(entry.verdict, entry.note) for entry in badges}) > 1:
        return list(row)
    first = row.index(badges[0])
    return [
        Badge(entry.verdict) if isinstance(entry, Badge) and place != first else entry
        for place, entry in enumerate(row)
    ]


def estimate_entry(effect: Effect | None, scale: Scale) -> Entry:
    """An estimate over its interval; a dash when there is none."""
    if effect is None or absent(effect["estimate"]):
        return Estimate(scale.effect(None), "", None, None, None)
    low, high = effect["low"], effect["high"]
    text = scale.effect(effect["estimate"])
    interval = "" if absent(low) or absent(high) else scale.interval(low, high)
    return Estimate(text, interval, effect["estimate"], low, high)


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


def _answer_footer(analysis: Analysis) -> str:
    parts: list[str] = []
    for response in analysis["responses"].values():
        footers = footers_of(response)
        known = [footers.get(name) for name in ("average", "narrow", "broad", "matched")]
        note = " ".join(filter(None, known)) or effect_footer(response["effects"])
        smallest = response["smallest_effect"]
        size = (
            f"Smallest effect that matters: {scale_of(response).amount(smallest)}."
            if smallest
            else "No smallest effect was declared, so nothing is called equivalent."
        )
        parts.append(f"{note} {size}")
    lines = {
        f"{response['label']}: {part}" if len(set(parts)) > 1 else part: None
        for response, part in zip(analysis["responses"].values(), parts, strict=True)
    }
    gaps = [gap_footer(analysis, name) for name in analysis.get("comparisons", {})]
    return "\n".join([*lines, *filter(None, gaps)])


def gap_footer(analysis: Analysis, comparison: str) -> str:
    """How the effects on a gap were made, with its margin in the shown unit."""
    gap = analysis["comparisons"][comparison]
    parts = [analysis["responses"].get(gap[name]) for name in ("learning", "generalization")]
    margins = [part["smallest_effect"] for part in parts if part and part["smallest_effect"]]
    scale = gap_scale(analysis, comparison)
    return in_unit(gap.get("footer", ""), min(margins, default=None), scale)


def effect_footer(effects: Sequence[Effect]) -> str:
    """Degrees-of-freedom method, adjustment, family and averaging, as the effects name them."""
    notes: list[str] = []
    for inference in ("narrow", "broad"):
        chosen = [
            effect
            for effect in effects
            if effect["inference"] == inference and effect["estimand"] == "average"
        ]
        for attribute in ("method", "family", "averaged_over"):
            texts = dict.fromkeys(str(effect[attribute]) for effect in chosen)
            said = " / ".join(text for text in texts if text)
            if said:
                notes.append(f"{inference} {attribute.replace('_', ' ')}: {said}")
    return "; ".join(notes) + "." if notes else ""


def answer_warnings(analysis: Analysis) -> list[str]:
    """What must be known before the verdicts are believed."""
    found, names = list(analysis["deviations"]), factor_labels(analysis)
    for response in analysis["responses"].values():
        label = sentence(response["label"])
        found += [f"{label}: {text}" for text in _diagnostic_warnings(analysis, response)]
        for row in response.get("heterogeneity", []):
            if row["warning"]:
                factor = names.get(row["factor"], row["factor"])
                found.append(f"{label}, {factor} {row['level']}: {row['warning']}")
    for gap in analysis.get("comparisons", {}).values():
        found += gap.get("messages", [])
    return list(dict.fromkeys(found))


def _diagnostic_warnings(analysis: Analysis, response: ResponseAnalysis) -> Iterator[str]:
    diagnostics = response.get("diagnostics")
    if not diagnostics:
        return
    near = len(diagnostics.get("near_bounds") or [])
    if near:
        yield (
            f"{near} cell mean{'s lie' if near > 1 else ' lies'} within 0.05 of 0 or 1. Unequal"
            " room alone makes effects differ there, on the gap too."
        )
    p = diagnostics.get("brown_forsythe_p")
    if p is not None and p < alpha_of(analysis):
        yield (
            "run-to-run variance differs between cells (Brown-Forsythe p"
            f" {p_value(p) if p < 0.001 else '= ' + p_value(p)}); average effects pool it."
        )
    start = diagnostics.get("step_zero")
    if start is not None and start.get("equal") is False:
        yield "step-0 scores differ within a context, although evaluation is common to its runs."
