"""Leave one run out: how far one run moves an average effect, from the cell-means residuals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ablatekit.analysis.schema import Analysis, Effect, ResponseAnalysis
from ablatekit.report.document import Column, Entry, Picture, Quantity, Table, Text
from ablatekit.report.figures.influence import MovedEffect, draw_influence
from ablatekit.report.names import slug
from ablatekit.report.numbers import absent, scale_of
from ablatekit.report.reading import Comparison, comparisons, find_effect

Cell = tuple[str, str]
SAME = 1e-9


@dataclass(frozen=True, slots=True)
class Influence:
    """The extremes of one average effect over all analyses with one run left out.

    `low` and `high` are effects in the response's unit; `run` is the run that moves it most.
    """

    low: float
    high: float
    run: str


def influence(
    analysis: Analysis, response: ResponseAnalysis, level: Comparison, effect: Effect
) -> Influence | None:
    """Exact extremes, or nothing where they do not follow from what the analysis holds.

    Leaving out a run with residual e moves the mean of its cell, of n runs, by -e/(n - 1), and so
    the equal-weight effect over k matched cells by -+e/(k (n - 1)) (Cook and Weisberg 1982, 2.2).
    Nothing is returned where the cells do not add up to the reported effect, or where leaving out
    a run would empty a cell.
    """
    columns = _columns(response)
    signs = _signs(analysis, level, {cell for cell, _, _, _ in columns})
    sizes = Counter(cell for cell, _, _, _ in columns)
    fitted = {cell: mean for cell, mean, _, _ in columns}
    if not signs or min(sizes[cell] for cell in signs) < 2:
        return None
    matched = len(signs) / 2
    estimate = sum(sign * fitted[cell] for cell, sign in signs.items()) / matched
    if abs(estimate - (effect["estimate"] or 0.0)) > SAME:
        return None
    used = [(cell, residual, run) for cell, _, residual, run in columns if cell in signs]
    change = np.array(
        [-signs[cell] * residual / (matched * (sizes[cell] - 1)) for cell, residual, _ in used]
    )
    farthest = int(np.argmax(np.abs(change)))
    low, high = estimate + float(change.min()), estimate + float(change.max())
    return Influence(low, high, used[farthest][2])


def _columns(response: ResponseAnalysis) -> list[tuple[Cell, float, float, str]]:
    """Cell, fitted mean, residual and run of every run."""
    residuals: Mapping[str, Sequence[Any]] = response["diagnostics"].get("residuals") or {}
    names = ("unit", "context", "fitted", "residual", "run")
    rows = zip(*(residuals.get(name, ()) for name in names), strict=False)
    return [
        ((str(unit), str(context)), float(mean), float(residual), str(run))
        for unit, context, mean, residual, run in rows
    ]


def _signs(analysis: Analysis, level: Comparison, observed: set[Cell]) -> dict[Cell, int]:
    """+1 for the level's cells and -1 for the baseline's, in every context; empty if any lacks."""
    sides: dict[tuple[tuple[str, str], ...], dict[str, str]] = {}
    for cell in analysis["design"].get("cells", []):
        levels = {name: str(value) for name, value in cell["levels"].items()}
        own = levels.pop(level.factor)
        sides.setdefault(tuple(sorted(levels.items())), {})[own] = cell["unit"]
    contexts = sorted({context for _, context in observed})
    signs: dict[Cell, int] = {}
    for units in sides.values():
        if level.level in units and level.baseline in units:
            for context in contexts:
                signs[units[level.level], context] = 1
                signs[units[level.baseline], context] = -1
    return signs if signs.keys() <= observed else {}


def moved_effects(
    analysis: Analysis, response: ResponseAnalysis
) -> list[tuple[Comparison, MovedEffect]]:
    """Every average effect whose extremes follow from what the analysis holds."""
    found = []
    for level in comparisons(analysis):
        effect = find_effect(response["effects"], level, "narrow")
        if effect is None or absent(effect["estimate"]):
            continue
        moved = influence(analysis, response, level, effect)
        if moved is not None:
            found.append((level, MovedEffect(level.name, effect, moved.low, moved.high, moved.run)))
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
