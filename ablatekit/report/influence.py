"""Leave one run out: how far one run moves an average effect."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ablatekit.analysis.schema import Analysis, ResponseAnalysis
from ablatekit.report.document import Column, Entry, Picture, Quantity, Table, Text
from ablatekit.report.figures.influence import MovedEffect, draw_influence
from ablatekit.report.names import slug
from ablatekit.report.numbers import scale_of
from ablatekit.report.reading import Comparison, comparisons, find_effect


def moved_effects(
    analysis: Analysis, response: ResponseAnalysis
) -> list[tuple[Comparison, MovedEffect]]:
    """Every average effect with its extremes, in the order of the study."""
    rows = response["diagnostics"].get("influence", [])
    moved = {(row["factor"], row["level"]): row for row in rows}
    found = []
    for level in comparisons(analysis):
        row, effect = (
            moved.get((level.factor, level.level)),
            find_effect(response["effects"], level, "narrow"),
        )
        if row is not None and effect is not None:
            one = MovedEffect(level.name, effect, row["low"], row["high"], row["run"])
            found.append((level, one))
    return found


def influence_picture(
    name: str, response: ResponseAnalysis, moved: Sequence[tuple[Comparison, MovedEffect]]
) -> Picture:
    """Each average effect with its extremes, drawn."""
    scale, rows = scale_of(response), [row for _, row in moved]
    alt = f"Effects on {response['label']} with one run left out. " + "; ".join(
        f"{row.name}: {scale.effect(row.low)} to {scale.effect(row.high)}" for row in rows
    )
    return Picture(
        id=f"moved-{slug(name)}",
        title="Effects with one run left out",
        alt=alt,
        draw=partial(draw_influence, rows, response["smallest_effect"], scale),
    )


def influence_table(
    name: str, response: ResponseAnalysis, moved: Sequence[tuple[Comparison, MovedEffect]]
) -> Table:
    """Each average effect, and its extremes with one run left out."""
    scale = scale_of(response)
    unit = f", {scale.unit}" if scale.unit else ""
    rows: list[list[Entry]] = []
    for level, row in moved:
        ends = (row.effect["estimate"], row.low, row.high)
        values = [Quantity(scale.effect(value), value) for value in ends]
        rows.append([Text(level.label), Text(level.level, strong=True), *values, Text(row.run)])
    return Table(
        id=f"influence-{slug(name)}",
        caption=f"Average effects on {response['label']} with one run left out",
        columns=[
            Column("factor"), Column("level"), Column(f"all runs{unit}", numeric=True),
            Column(f"smallest{unit}", numeric=True), Column(f"largest{unit}", numeric=True),
            Column("run that moves it most"),
        ],
        rows=rows,
        footer="Smallest and largest estimate over all analyses with one run left out: leaving out"
        " a run with residual e moves the mean of its n runs by e/(n \N{MINUS SIGN} 1).",
    )  # fmt: skip
