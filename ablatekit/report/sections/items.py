"""The item level: where outcomes vary, and whether effects would hold on items like these."""

from __future__ import annotations

from ablatekit.analysis.core.lookup import Comparison, comparisons
from ablatekit.analysis.core.schema.analysis import Analysis, ResponseAnalysis
from ablatekit.analysis.core.schema.companions import ItemLevel
from ablatekit.report.document import (
    Block,
    Column,
    Entry,
    EstimateEntry,
    Heading,
    Paragraph,
    Quantity,
    Table,
    Text,
    Warnings,
    slug,
)
from ablatekit.report.language import captions
from ablatekit.report.language.numbers import Scale, general, p_value, percent, scale_of
from ablatekit.report.language.sentences import SOURCES, say, told
from ablatekit.report.language.verdicts import word


def item_blocks(analysis: Analysis) -> list[Block]:
    """Variance shares of item outcomes and effects on items like these, per response."""
    blocks: list[Block] = []
    for name, response in analysis["responses"].items():
        items = response.get("items")
        if items:
            blocks += _blocks(analysis, name, response, items)
    return blocks


def _blocks(
    analysis: Analysis, name: str, response: ResponseAnalysis, items: ItemLevel
) -> list[Block]:
    blocks: list[Block] = [Heading(captions.items(response["label"]))]
    statements = list(items["messages"])
    if "model" in items:
        statements += items["model"]["messages"]
        blocks.append(_shares(name, response, items))
    elif items["reason"]:
        blocks.append(Paragraph(captions.not_decomposed(say(items["reason"]))))
    blocks.append(_effects(analysis, name, response, items))
    return [*blocks, Warnings(list(map(say, statements)))] if statements else blocks


def _shares(name: str, response: ResponseAnalysis, items: ItemLevel) -> Table:
    sizes = items["outcomes"], items["items"], items["runs"]
    return Table(
        id=f"items-{slug(name)}",
        caption=captions.item_shares(response["label"], *sizes),
        columns=[
            Column("source"), Column("variance", numeric=True), Column("share", numeric=True),
        ],
        rows=[
            [
                Text(SOURCES[row["source"]]),
                Quantity(general(row["variance"]), row["variance"]),
                Quantity(percent(row["share"]), row["share"]),
            ]
            for row in items["shares"]
        ],
        keys=[[("source", row["source"])] for row in items["shares"]],
        footer=say(items["footer"]),
    )  # fmt: skip


def _effects(analysis: Analysis, name: str, response: ResponseAnalysis, items: ItemLevel) -> Table:
    scale = scale_of(response)
    levels = comparisons(analysis)
    return Table(
        id=f"item-effects-{slug(name)}",
        caption=captions.item_effects(response["label"]),
        columns=[
            Column("factor"), Column("level"),
            Column(captions.with_unit("effect", scale.unit), numeric=True),
            Column("df", numeric=True), Column("p", numeric=True),
            Column(captions.with_unit("sd over items", scale.unit), numeric=True),
        ],
        rows=[_row(level, items, scale) for level in levels],
        keys=[[("factor", level.factor), ("level", level.level)] for level in levels],
        footer="" if "model" in items else say(items["footer"]),
    )  # fmt: skip


def _row(level: Comparison, items: ItemLevel, scale: Scale) -> list[Entry]:
    names: list[Entry] = [Text(level.label), Text(level.level, strong=True)]
    key = (level.factor, level.level)
    row = next((r for r in items["effects"] if (r["factor"], r["level"]) == key), None)
    if row is None or row["se"] is None:
        reason = "" if row is None else told(row["reason"])
        return [*names, Text(word("not_estimated"), note=reason), Text(""), Text(""), Text("")]
    interval = scale.interval(row["low"], row["high"])
    return [
        *names,
        EstimateEntry(
            scale.effect(row["estimate"]), interval, row["estimate"], row["low"], row["high"]
        ),
        Quantity(general(row["df"]), row["df"]),
        Quantity(p_value(row["p"]), row["p"]),
        Quantity(scale.plain(row["item_sd"]), row["item_sd"]),
    ]
