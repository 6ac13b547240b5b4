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
from ablatekit.report.language.numbers import Scale, scale_of
from ablatekit.report.language.reading import factor_labels

MOST_REPLICATES = 6
"""Columns of the table of detectable effects."""


def detectable_blocks(analysis: Analysis) -> list[Block]:
    """Minimum detectable average effects, now and with more replicates; folded."""
    tables = [
        _detectable_table(analysis, name, response)
        for name, response in analysis["responses"].items()
        if any(row["estimand"] == "average" for row in response.get("detectable", []))
    ]
    return (
        [Fold("Minimum detectable effects with the observed variances", tables)] if tables else []
    )


def _detectable_table(analysis: Analysis, name: str, response: ResponseAnalysis) -> Table:
    rows = [row for row in response["detectable"] if row["estimand"] == "average"]
    scale, labels = scale_of(response), factor_labels(analysis)
    counts = sorted({row["replicates"] for row in rows})[:MOST_REPLICATES]
    grouped: dict[tuple[str, str, str], dict[int, Detectable]] = {}
    for row in rows:
        key = (row["factor"], row["level"], row["inference"])
        grouped.setdefault(key, {})[row["replicates"]] = row
    power = f"{100 * rows[0]['power']:g}%"
    unit = f", {scale.unit}" if scale.unit else ""
    return Table(
        id=f"detectable-{slug(name)}",
        caption=f"Smallest true effect on {response['label']} found with power {power}{unit}",
        columns=[Column("factor"), Column("level"), Column("inference")]
        + [Column(f"{count} replicates", numeric=True) for count in counts],
        rows=[
            [Text(labels.get(factor, factor)), Text(level, strong=True), Text(inference)]
            + [_detectable(found.get(count), scale) for count in counts]
            for (factor, level, inference), found in grouped.items()
        ],
        keys=[
            [("factor", factor), ("level", level), ("inference", inference)]
            for factor, level, inference in grouped
        ],
        footer="An unadjusted test at alpha, with the observed variances and these contexts. This"
        " is what another study of that size could find; it is not the power of the effects seen.",
    )


def _detectable(row: Detectable | None, scale: Scale) -> Entry:
    if row is None:
        return Text("")
    value = row["minimum_detectable"]
    return Quantity(scale.plain(value), value, note=row["reason"] or "")


def sensitivity_blocks(analysis: Analysis, name: str, response: ResponseAnalysis) -> list[Block]:
    """Bounds over runs without a value, and the policies for diverged runs side by side."""
    scale, missing = scale_of(response), response["missing"]
    labels = factor_labels(analysis)
    unit = f", {scale.unit}" if scale.unit else ""
    blocks: list[Block] = []
    if missing.get("bounds"):
        rows: list[list[Entry]] = [
            [
                Text(labels.get(row["factor"], row["factor"])),
                Text(row["level"], strong=True, note=row["reason"] or ""),
                Interval(scale.interval(row["low"], row["high"]), row["low"], row["high"]),
            ]
            for row in missing["bounds"]
        ]
        blocks.append(_levels_table(
            f"bounds-{slug(name)}", f"What runs without a value could make of the effects{unit}",
            ["worst to best"], rows,
            "Average effects when every run without a value takes the worst or the best possible"
            " score, the level against its baseline at the other extreme; no sampling error.",
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
            f"policies-{slug(name)}", f"Effects under each policy for diverged runs{unit}",
            ["last valid score", "worst score", "excluded"], rows,
            "Levels at which 20% or more of the runs diverged. Policy of this study:"
            f" {missing['policy']}.",
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
