"""The answer: one line per non-baseline level, and the verdicts in one sentence per response."""

from __future__ import annotations

from collections.abc import Sequence

from ablatekit.analysis.schema import Analysis, Effect, ResponseAnalysis, Verdict
from ablatekit.report.document import (
    Badge,
    Block,
    Column,
    Entry,
    Interval,
    Quantity,
    Section,
    Table,
    Text,
    Verdicts,
    Warnings,
)
from ablatekit.report.numbers import Scale, p_value, scale_of
from ablatekit.report.reading import (
    Comparison,
    alpha_of,
    comparisons,
    confidence,
    find_effect,
)
from ablatekit.report.verdicts import remark

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
    return (
        f"Each level is compared with its factor's baseline. The first verdict holds for {where}"
        " (narrow inference); the one marked broad says whether it would hold in contexts like"
        f" these. Intervals are {confidence(analysis)}, per comparison."
    )


def verdict_lines(
    analysis: Analysis,
) -> list[tuple[str, list[tuple[Verdict, list[str]]]]]:
    """For each response and gap: the narrow verdicts, each with its levels, as in the study."""
    levels = comparisons(analysis)
    lines = [
        (response["label"], _grouped(response["effects"], levels))
        for response in analysis["responses"].values()
    ]
    for gap in analysis.get("comparisons", {}).values():
        lines.append((_gap_name(analysis), _grouped(gap["effects"], levels)))
    return lines


def _gap_name(analysis: Analysis) -> str:
    several = len(analysis.get("comparisons", {})) > 1
    return "Gap (learning minus generalization)" if several else "Gap"


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
    columns = [Column("factor"), Column("level")]
    for response in analysis["responses"].values():
        columns += _response_columns(response, scale_of(response))
    for name in analysis.get("comparisons", {}):
        scale = gap_scale(analysis, name)
        columns += [
            Column(f"effect{_unit(scale)}", "Gap", numeric=True),
            Column("verdict", "Gap"),
        ]
    levels = comparisons(analysis)
    return Table(
        id="answer-table",
        caption="Average effect of every level against its baseline, with verdicts",
        columns=columns,
        rows=[_answer_row(analysis, level) for level in levels],
        keys=[_keys(level) for level in levels],
        footer=_answer_footer(analysis),
        style="answer",
    )


def _keys(level: Comparison) -> list[tuple[str, str]]:
    return [("factor", level.factor), ("level", level.level)]


def _unit(scale: Scale) -> str:
    return f", {scale.unit}" if scale.unit else ""


def _response_columns(response: ResponseAnalysis, scale: Scale) -> list[Column]:
    group = response["label"]
    return [
        Column(f"effect{_unit(scale)}", group, numeric=True),
        Column("interval", group, numeric=True),
        Column("verdict", group),
        Column("broad", group),
    ]


def gap_scale(analysis: Analysis, comparison: str) -> Scale:
    """The scale of a gap: that of its learning response."""
    learning = analysis["comparisons"][comparison]["learning"]
    return scale_of(analysis["responses"][learning])


def _answer_row(analysis: Analysis, level: Comparison) -> list[Entry]:
    row: list[Entry] = [
        Text(level.label),
        Text(level.level, note=f"vs {level.baseline}", strong=True),
    ]
    for response in analysis["responses"].values():
        row += _response_entries(response, level)
    for name, gap in analysis.get("comparisons", {}).items():
        effect = find_effect(gap["effects"], level, "narrow")
        scale = gap_scale(analysis, name)
        row.append(effect_entry(effect, scale))
        row.append(badge(effect))
    return row


def _response_entries(response: ResponseAnalysis, level: Comparison) -> list[Entry]:
    scale = scale_of(response)
    narrow = find_effect(response["effects"], level, "narrow")
    broad = find_effect(response["effects"], level, "broad")
    return [
        effect_entry(narrow, scale),
        interval_entry(narrow, scale),
        badge(narrow),
        badge(broad),
    ]


def effect_entry(effect: Effect | None, scale: Scale) -> Entry:
    """The estimate of an effect."""
    value = effect["estimate"] if effect else None
    return Quantity(scale.effect(value), value)


def interval_entry(effect: Effect | None, scale: Scale) -> Entry:
    """The interval of an effect."""
    low, high = (effect["low"], effect["high"]) if effect else (None, None)
    return Interval(scale.interval(low, high), low, high)


def badge(effect: Effect | None) -> Badge:
    """The verdict on an effect with its remark."""
    return NO_EFFECT if effect is None else Badge(effect["verdict"], remark(effect))


def _answer_footer(analysis: Analysis) -> str:
    parts: list[str] = []
    for response in analysis["responses"].values():
        note = response.get("footers", {}).get("effects") or effect_footer(response["effects"])
        smallest = response["smallest_effect"]
        size = (
            f" Smallest effect that matters: {scale_of(response).amount(smallest)}."
            if smallest
            else " No smallest effect was declared, so nothing is called equivalent."
        )
        parts.append(f"{response['label']}: {note}{size}")
    parts += [
        f"{_gap_name(analysis)}: {gap['footer']}"
        for gap in analysis.get("comparisons", {}).values()
        if gap.get("footer")
    ]
    return "\n".join(dict.fromkeys(parts))


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
    found: list[str] = []
    for response in analysis["responses"].values():
        label = response["label"]
        diagnostics = response.get("diagnostics")
        if diagnostics:
            near = len(diagnostics.get("near_bounds", []))
            if near:
                found.append(
                    f"{label}: {near} cell mean{'s lie' if near > 1 else ' lies'} within 0.05 of"
                    " 0 or 1. Unequal room alone makes effects differ there, on the gap too."
                )
            p = diagnostics.get("brown_forsythe_p")
            if p is not None and p < alpha_of(analysis):
                found.append(
                    f"{label}: run-to-run variance differs between cells (Brown-Forsythe"
                    f" p {p_value(p) if p < 0.001 else '= ' + p_value(p)});"
                    " narrow intervals assume that it is common."
                )
        for row in response.get("heterogeneity", []):
            if row["warning"]:
                found.append(f"{label}, {row['factor']} = {row['level']}: {row['warning']}")
    for gap in analysis.get("comparisons", {}).values():
        found += gap.get("messages", [])
    return list(dict.fromkeys(found))
