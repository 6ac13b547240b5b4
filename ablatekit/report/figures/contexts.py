"""One level's effect inside every context, for all responses side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ablatekit.analysis.core.schema.effects import ContextEffect, Effect
from ablatekit.analysis.core.schema.vocabulary import Number
from ablatekit.report.figures.panel import Box, Panel, canvas
from ablatekit.report.figures.style import floats, padded, shortened
from ablatekit.report.language.numbers import Scale, absent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LABELS, PANEL, GAP, ROW, TOP, FOOT = 160.0, 136.0, 16.0, 20.0, 26.0, 30.0


@dataclass(frozen=True, slots=True)
class ContextPanel:
    """One response's column: the level's effect in each context, and its mean over contexts."""

    label: str
    rows: Sequence[ContextEffect]
    mean: Effect | None
    limits: tuple[float, float]
    scale: Scale


def limits_of(rows: Sequence[ContextEffect]) -> tuple[float, float]:
    """Limits shared by all levels of a response, so that panels can be compared."""
    values: list[Number] = [0.0]
    for row in rows:
        values += [row["low"], row["high"], row["estimate"]]
    return padded(values)


def draw_contexts(panels: Sequence[ContextPanel]) -> Figure:
    """Points with intervals; the line is the mean over contexts, the band its interval."""
    contexts = list(dict.fromkeys(row["context"] for part in panels for row in part.rows))
    height = ROW * len(contexts)
    figure = canvas(LABELS + (PANEL + GAP) * len(panels), TOP + height + FOOT)
    for position, part in enumerate(panels):
        box = Box(LABELS + position * (PANEL + GAP), TOP, PANEL, height)
        panel = Panel(figure, box, part.limits, (len(contexts) - 0.5, -0.5))
        panel.x_numbers(part.scale, 4)
        _draw_panel(panel, part, contexts)
        if position == 0:
            panel.y_names([shortened(context, 25) for context in contexts])
    return figure


def _draw_panel(panel: Panel, part: ContextPanel, contexts: Sequence[str]) -> None:
    panel.vertical(0, "rule", 1.2)
    if part.mean is not None and not absent(part.mean["estimate"]):
        low, high = floats([part.mean["low"], part.mean["high"]])
        if low < high:
            panel.band(low, high)
        panel.vertical(part.mean["estimate"] or 0.0, "muted")
    for row in part.rows:
        if not absent(row["estimate"]):
            y = contexts.index(row["context"])
            panel.interval(row["low"], row["high"], y, "ink", 1.3)
            numbers = part.scale.effect(row["estimate"])
            numbers += f" {part.scale.interval(row['low'], row['high'])} {part.scale.unit}"
            tip = f"{row['context']}: {numbers}"
            panel.marks(floats([row["estimate"]]), [y], "ink", "o", 4.0, tip=tip)
    unit = f", {part.scale.unit}" if part.scale.unit else ""
    title = shortened(f"{part.label}{unit}", 21)
    panel.text(part.limits[0], -0.5, title, "muted", va="bottom", shift=(0, 6))
