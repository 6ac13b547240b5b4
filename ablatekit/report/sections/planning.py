"""What a study of this size can find, and what runs without a value could change."""

from __future__ import annotations

from collections.abc import Sequence

from ablatekit.analysis.core.schema.analysis import Analysis, ResponseAnalysis
from ablatekit.analysis.core.schema.companions import Detectable
from ablatekit.report.document import (
    Block,
    Column,
    Entry,
    Fold,
    Interval,
    Quantity,
    Table,
    Text,
    slug,
)
from ablatekit.report.language import captions
from ablatekit.report.language.numbers import Scale, scale_of
from ablatekit.report.language.reading import Unit, factor_labels, subject_of
from ablatekit.report.language.sentences import say, told

MOST_REPLICATES = 6
"""Columns of the table of detectable effects."""


def detectable_blocks(analysis: Analysis) -> list[Block]:
    """Minimum detectable average effects, now and with more replicates; folded."""
    tables = [
        _detectable_table(analysis, name, response)
        for name, response in analysis["responses"].items()
        if any(row["estimand"] == "average" for row in response.get("detectable", []))
    ]
    return [Fold(captions.DETECTABLE, tables)] if tables else []


def _detectable_table(analysis: Analysis, name: str, response: ResponseAnalysis) -> Table:
    rows = [row for row in response["detectable"] if row["estimand"] == "average"]
    scale, labels = scale_of(response), factor_labels(analysis)
    unit = subject_of(analysis).unit
    counts = sorted({row["replicates"] for row in rows})[:MOST_REPLICATES]
    grouped: dict[tuple[str, str, str], dict[int, Detectable]] = {}
    for row in rows:
        key = (row["factor"], row["level"], row["inference"])
        grouped.setdefault(key, {})[row["replicates"]] = row
    power = f"{100 * rows[0]['power']:g}%"
    caption = captions.detectable(response["label"], power)
    return Table(
        id=f"detectable-{slug(name)}",
        caption=captions.with_unit(caption, scale.unit),
        columns=[Column("factor"), Column("level"), Column("inference")]
        + [Column(captions.replicates(number), numeric=True) for number in counts],
        rows=[
            [Text(labels.get(factor, factor)), Text(level, strong=True), Text(inference)]
            + [_detectable(by_size.get(number), scale, unit) for number in counts]
            for (factor, level, inference), by_size in grouped.items()
        ],
        keys=[
            [("factor", factor), ("level", level), ("inference", inference)]
            for factor, level, inference in grouped
        ],
        footer=captions.DETECTABLE_FOOTER,
    )


def _detectable(row: Detectable | None, scale: Scale, unit: Unit) -> Entry:
    if row is None:
        return Text("")
    value = row["minimum_detectable"]
    return Quantity(scale.plain(value), value, note=told(row["reason"], unit))


def sensitivity_blocks(analysis: Analysis, name: str, response: ResponseAnalysis) -> list[Block]:
    """Bounds over runs without a value, and the policies for diverged runs side by side."""
    scale, missing = scale_of(response), response["missing"]
    labels = factor_labels(analysis)
    blocks: list[Block] = []
    if missing.get("bounds"):
        rows: list[list[Entry]] = [
            [
                Text(labels.get(row["factor"], row["factor"])),
                Text(row["level"], strong=True, note=told(row["reason"])),
                Interval(scale.interval(row["low"], row["high"]), row["low"], row["high"]),
            ]
            for row in missing["bounds"]
        ]
        blocks.append(_levels_table(
            f"bounds-{slug(name)}", captions.with_unit(captions.bounds(), scale.unit),
            ["worst to best"], rows,
            captions.BOUNDS_FOOTER,
        ))  # fmt: skip
    if missing.get("policies"):
        rows = [
            [
                Text(labels.get(row["factor"], row["factor"])),
                Text(row["level"], strong=True),
                *(
                    Quantity(scale.effect(value), value)
                    for value in (row["score"], row["worst"], row["exclude"])
                ),
            ]
            for row in missing["policies"]
        ]
        blocks.append(_levels_table(
            f"policies-{slug(name)}", captions.with_unit(captions.policies(), scale.unit),
            ["last valid score", "worst score", "excluded"], rows,
            captions.policies_footer(say(missing["policy"])),
        ))  # fmt: skip
    return blocks


def _levels_table(
    identifier: str, caption: str, titles: Sequence[str], rows: Sequence[Sequence[Entry]], note: str
) -> Table:
    numbers = [Column(title, numeric=True) for title in titles]
    return Table(
        id=identifier,
        caption=caption,
        columns=[Column("factor"), Column("level"), *numbers],
        rows=rows,
        footer=note,
    )
