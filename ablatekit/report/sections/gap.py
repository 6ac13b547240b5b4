"""Learning against generalization: the map, and the tests of the gap."""

from __future__ import annotations

from functools import partial
from typing import Literal

from ablatekit.analysis.core.lookup import comparisons, find_effect, find_effects
from ablatekit.analysis.core.schema.analysis import Analysis
from ablatekit.analysis.core.schema.effects import Effect
from ablatekit.report.document import (
    Block,
    Column,
    Entry,
    Gallery,
    Heading,
    IntervalEntry,
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
from ablatekit.report.language.reading import factor_labels, subject_of
from ablatekit.report.language.scopes import over
from ablatekit.report.language.sentences import say, told
from ablatekit.report.language.verdicts import Room, look, word
from ablatekit.report.sections.answer import (
    badge,
    beyond,
    effect_entry,
    estimate_entry,
    gap_footer,
    gap_room,
    gap_scale,
)

EFFECT_ON = "effect on"
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
            galleries.append(Warnings(list(map(say, gap["messages"]))))
    if not galleries:
        return None
    return Section("gap", leads.GAP, leads.gap_lead(word("widens")), galleries)


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
    gap, scale = analysis["comparisons"][name], gap_scale(analysis, name)
    parts = (analysis["responses"][gap["learning"]], analysis["responses"][gap["generalization"]])
    effects = [(part["effects"], part["label"]) for part in parts]
    broad = any(effect["inference"] == "broad" for effect in gap["effects"])
    columns = [
        Column("no.", numeric=True), Column("factor"), Column("level"),
        *(Column(with_unit(label, scale.unit), EFFECT_ON, numeric=True) for _, label in effects),
        Column(with_unit("gap", scale.unit), EFFECT_ON, numeric=True),
        Column("se", numeric=True), Column("df", numeric=True), Column("p", numeric=True),
        Column("adjusted p", numeric=True),
        Column("verdict"), *([Column(captions.BEYOND)] if broad else []),
    ]  # fmt: skip
    rows: list[list[Entry]] = []
    available = gap_room(analysis, name)
    levels = comparisons(analysis)
    for number, level in enumerate(levels, 1):
        sides = [effect_entry(find_effect(rows, level, "narrow"), scale) for rows, _ in effects]
        row: list[Entry] = [
            Quantity(str(number), float(number)), Text(level.label),
            Text(level.level, note=captions.against(level.baseline), strong=True), *sides,
            *_gap_entries(find_effect(gap["effects"], level, "narrow"), scale, available),
        ]  # fmt: skip
        if broad:
            row.append(beyond(find_effects(gap["effects"], level, "broad"), available))
        rows.append(row)
    return Table(
        id=f"gap-{slug(name)}",
        caption=captions.GAP_TABLE,
        columns=columns,
        rows=rows,
        keys=[[("factor", level.factor), ("level", level.level)] for level in levels],
        footer=gap_footer(analysis, name),
    )


def _gap_entries(effect: Effect | None, scale: Scale, available: Room) -> list[Entry]:
    """Estimate over its interval, standard error, df, both p values and the verdict."""
    se, df, p, adjusted = (effect[key] if effect else None for key in TESTED)
    return [
        estimate_entry(effect, scale),
        Quantity(scale.plain(se), se),
        Quantity(general(df, 3), df),
        Quantity(p_value(p), p),
        Quantity(p_value(adjusted), adjusted),
        badge(effect, available),
    ]


def carry_over_blocks(analysis: Analysis, name: str) -> list[Block]:
    """The share of what is learnt that carries over to generalization, by level and scope."""
    gap, unit = analysis["comparisons"][name], subject_of(analysis).unit
    rows = gap.get("carry_over", [])
    if not rows:
        return []
    labels = factor_labels(analysis)
    parts = (analysis["responses"][gap[side]]["label"] for side in SIDES)
    table = Table(
        id=f"carry-over-{slug(name)}",
        caption=captions.carry_over(*parts),
        columns=[
            Column("factor"), Column("level"), Column("scope"), Column("ratio", numeric=True),
            Column("interval", numeric=True), Column("df", numeric=True), Column("remark"),
        ],
        rows=[
            [
                Text(labels.get(row["factor"], row["factor"])),
                Text(row["level"], note=captions.against(row["baseline"]), strong=True),
                Text(over(row["scope"]) if row["scope"] else row["inference"]),
                Quantity(RATIO.plain(row["ratio"]), row["ratio"]),
                IntervalEntry(RATIO.interval(row["low"], row["high"]), row["low"], row["high"]),
                Quantity(general(row["df"], 3), row["df"]),
                Text(told(row["reason"], unit)),
            ]
            for row in rows
        ],
        keys=[
            [("factor", row["factor"]), ("level", row["level"]), ("inference", row["inference"]),
             ("scope", " ".join(row["scope"]))]
            for row in rows
        ],
        footer=captions.CARRY_OVER_FOOTER,
    )  # fmt: skip
    return [Heading(captions.CARRY_OVER), table]
