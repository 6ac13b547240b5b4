"""Learning against generalization: the map, and the tests of the gap."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Literal

from ablatekit.analysis.core.lookup import (
    Comparison,
    alpha_of,
    comparisons,
    find_effect,
    find_effects,
)
from ablatekit.analysis.core.schema.analysis import Analysis
from ablatekit.analysis.core.schema.effects import CarryOverRow, Effect
from ablatekit.report.appendix import findings
from ablatekit.report.appendix.below import Unknown, missing_scopes, parted
from ablatekit.report.document import (
    Block,
    Column,
    Entry,
    Gallery,
    Heading,
    IntervalEntry,
    Paragraph,
    Picture,
    Quantity,
    Section,
    Table,
    Text,
    Warnings,
    figure_data,
    slug,
)
from ablatekit.report.figures.gapmap import MapPoint, draw_map, map_records
from ablatekit.report.language import alternatives, captions, leads
from ablatekit.report.language.captions import with_unit
from ablatekit.report.language.numbers import Scale, absent, general, p_value, sentence
from ablatekit.report.language.reading import Unit, factor_labels, subject_of
from ablatekit.report.language.scopes import over
from ablatekit.report.language.sentences import say, told
from ablatekit.report.language.verdicts import Room, look, needed_for, word
from ablatekit.report.sections.answer import (
    badge,
    beyond,
    estimate_entry,
    gap_footer,
    gap_room,
    gap_scale,
)

UNCLEAR = "no_effect_on_learning"
RATIO = Scale(1.0, "", 2)
SIDES: tuple[Literal["learning", "generalization"], ...] = ("learning", "generalization")
TESTED: tuple[Literal["se", "df", "p", "p_adjusted"], ...] = ("se", "df", "p", "p_adjusted")


def map_section(analysis: Analysis) -> Section | None:
    """Learning against generalization, one map per comparison."""
    galleries: list[Block] = []
    for name, gap in analysis.get("comparisons", {}).items():
        picture = _map_picture(analysis, name)
        if picture is not None:
            galleries.append(Gallery(pictures=[picture], wide=True, caption=captions.gap_figure()))
            galleries.append(_gap_table(analysis, name))
            galleries += carry_over_blocks(analysis, name)
        if gap.get("messages"):
            galleries.append(Warnings([f"{sentence(say(part))}." for part in gap["messages"]]))
    if not galleries:
        return None
    lead = leads.gap_lead(word("widens"))
    return Section("gap", leads.GAP, lead, galleries, findings.gap(analysis))


def _map_picture(analysis: Analysis, name: str) -> Picture | None:
    gap = analysis["comparisons"][name]
    learning = analysis["responses"].get(gap["learning"])
    generalization = analysis["responses"].get(gap["generalization"])
    if learning is None or generalization is None:
        return None
    points: list[MapPoint] = []
    for number, level in enumerate(comparisons(analysis), 1):
        x = find_effect(learning["effects"], level, "narrow")
        y = find_effect(generalization["effects"], level, "narrow")
        test = find_effect(gap["effects"], level, "narrow")
        if x and y and test and not absent(x["estimate"]) and not absent(y["estimate"]):
            points.append(MapPoint(number, level, x, y, test["verdict"]))
    if not points:
        return None
    identifier = f"map-{slug(name)}"
    scale = gap_scale(analysis, name)
    parts = (alternatives.gap_point(*point.told(scale), look(point.verdict)) for point in points)
    labels = (learning["label"], generalization["label"])
    return Picture(
        id=identifier,
        title=f"{sentence(labels[0])} against {labels[1]}",
        alt=alternatives.gap_map(parts),
        draw=partial(draw_map, points, labels, scale),
        narrow=partial(draw_map, points, labels, scale, narrow=True),
        data=lambda: figure_data(map_records(points)),
    )


def _gap_table(analysis: Analysis, name: str) -> Table:
    """The effects on the gap with their tests; rows are numbered as in the map."""
    gap, scale, available = (
        analysis["comparisons"][name], gap_scale(analysis, name), gap_room(analysis, name)
    )  # fmt: skip
    broad = any(effect["inference"] == "broad" for effect in gap["effects"])
    levels = list(enumerate(comparisons(analysis), 1))
    rows, below = parted(
        levels,
        lambda row: _has_estimate(find_effect(gap["effects"], row[1], "narrow")),
        lambda row: _unknown(row[1], find_effect(gap["effects"], row[1], "narrow"), available.unit),
        len(levels),
    )
    return Table(
        id=f"gap-{slug(name)}",
        caption=captions.GAP_TABLE,
        columns=[
            Column("no.", numeric=True), Column("factor"), Column("level"),
            Column(with_unit(captions.ON_GAP, scale.unit), numeric=True),
            Column("se", numeric=True), Column("df", numeric=True), Column("p", numeric=True),
            Column("adjusted p", numeric=True),
            Column("verdict"), *([Column(captions.BEYOND)] if broad else []),
        ],
        rows=[
            [
                Quantity(str(number), float(number)), Text(level.label),
                Text(level.level, note=captions.against(level.baseline), strong=True),
                *_gap_entries(find_effect(gap["effects"], level, "narrow"), scale, available),
                *([beyond(find_effects(gap["effects"], level, "broad"), available)]
                  if broad else []),
            ]
            for number, level in rows
        ],
        keys=[[("factor", level.factor), ("level", level.level)] for _, level in rows],
        footer="\n".join(below),
        computed=[gap_footer(analysis, name)],
    )  # fmt: skip


def _has_estimate(effect: Effect | None) -> bool:
    return effect is not None and not absent(effect["estimate"])


def _unknown(level: Comparison, effect: Effect | None, unit: Unit) -> Unknown:
    reason = told(effect["reason"], unit) if effect else captions.NO_EFFECT
    return Unknown(level.label, level.level, reason)


def _gap_entries(effect: Effect | None, scale: Scale, available: Room) -> list[Entry]:
    """Estimate over its interval, standard error, df, both p values and the verdict."""
    se, df, p, adjusted = (effect[key] if effect else None for key in TESTED)
    return [
        estimate_entry(effect, scale),
        Quantity(scale.plain(se), se),
        Quantity(general(df, 3), df),
        Quantity(p_value(p), p),
        Quantity(p_value(adjusted), adjusted),
        replace(badge(effect, available), note=needed_for(effect, available) if effect else ""),
    ]


def carry_over_blocks(analysis: Analysis, name: str) -> list[Block]:
    """The share of what is learnt that carries over to generalization, by level and scope."""
    gap, unit, labels = (
        analysis["comparisons"][name], subject_of(analysis).unit, factor_labels(analysis)
    )  # fmt: skip
    scoped = [(row["scope"], row["reason"]) for row in gap.get("carry_over", [])
              if row["inference"] == "broad"]  # fmt: skip
    refused, sentences = missing_scopes(captions.SCOPED_RATIO, scoped, unit)
    rows, below = parted(
        [row for row in gap.get("carry_over", []) if tuple(row["scope"]) not in refused],
        lambda row: not absent(row["ratio"]),
        lambda row: Unknown(
            labels.get(row["factor"], row["factor"]), row["level"],
            _no_ratio(row, alpha_of(analysis), unit), _carried(row),
        ),
    )  # fmt: skip
    notes = [*below, *sentences]
    if not rows:
        return list(map(Paragraph, notes))
    parts = (analysis["responses"][gap[side]]["label"] for side in SIDES)
    table = Table(
        id=f"carry-over-{slug(name)}",
        caption=captions.carry_over(*parts),
        columns=[
            Column("factor"), Column("level"), Column("inference"), Column("ratio", numeric=True),
            Column("interval", numeric=True), Column("df", numeric=True),
        ],
        rows=[
            [
                Text(labels.get(row["factor"], row["factor"])),
                Text(row["level"], note=captions.against(row["baseline"]), strong=True),
                Text(_carried(row)),
                Quantity(RATIO.plain(row["ratio"]), row["ratio"]),
                IntervalEntry(RATIO.interval(row["low"], row["high"]), row["low"], row["high"]),
                Quantity(general(row["df"], 3), row["df"]),
            ]
            for row in rows
        ],
        keys=[
            [("factor", row["factor"]), ("level", row["level"]), ("inference", row["inference"]),
             ("scope", " ".join(row["scope"]))]
            for row in rows
        ],
        footer="\n".join(notes),
        computed=[captions.CARRY_OVER_FOOTER],
    )  # fmt: skip
    return [Heading(captions.CARRY_OVER), table]


def _no_ratio(row: CarryOverRow, alpha: float, unit: Unit) -> str:
    """Why a level has no ratio; p values, which differ between levels, are in analysis.json."""
    reason = row["reason"]
    if reason is not None and reason["code"] == UNCLEAR:
        return captions.no_ratio(alpha)
    return told(reason, unit)


def _carried(row: CarryOverRow) -> str:
    return over(row["scope"]) if row["scope"] else row["inference"]
