"""Leave one run out: how far one run moves each effect, beside the effect's own interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ablatekit.analysis.core.schema.effects import Effect
from ablatekit.report.figures.panel import Box, Panel, canvas
from ablatekit.report.figures.style import floats, padded, shortened
from ablatekit.report.language.alternatives import between, moved
from ablatekit.report.language.numbers import Scale

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LABELS, WIDTH, ROW, TOP, FOOT, EDGE = 160.0, 296.0, 24.0, 8.0, 44.0, 12.0


@dataclass(frozen=True, slots=True)
class MovedEffect:
    """An effect with all runs, and its extremes over all analyses with one run left out."""

    name: str
    effect: Effect
    low: float
    high: float
    run: str


def draw_influence(
    rows: Sequence[MovedEffect], smallest: float | None, scale: Scale, unit: str
) -> Figure:
    """Thin: interval with all runs; thick: estimates with one run left out; point: all runs.

    `unit` is what was left out, a run or a row.
    """
    values: list[float | None] = [0.0]
    for row in rows:
        values += [row.effect["low"], row.effect["high"], row.low, row.high]
    height = ROW * len(rows)
    figure = canvas(LABELS + WIDTH + EDGE, TOP + height + FOOT)
    box = Box(LABELS, TOP, WIDTH, height)
    panel = Panel(figure, box, padded(values), (len(rows) - 0.5, -0.5))
    if smallest:
        panel.area(
            [max(-smallest, panel.x[0]), min(smallest, panel.x[1])],
            [panel.y[0]] * 2, [panel.y[1]] * 2, "band", 1.0, order=0.5,
        )  # fmt: skip
    panel.x_numbers(scale)
    panel.vertical(0, "rule", 1.2)
    panel.y_names([shortened(row.name, 25) for row in rows])
    for y, row in enumerate(rows):
        panel.interval(row.effect["low"], row.effect["high"], y, "muted", 1.0)
        panel.interval(row.low, row.high, y, "series-1", 5.0)
        ends = f"{between(row.low, row.high, scale)} {scale.unit}"
        tip = moved(row.name, ends, unit, row.run)
        panel.marks(floats([row.effect["estimate"]]), [y], "ink", "o", 4.0, tip=tip)
    panel.x_label(f"effect, {scale.unit}" if scale.unit else "effect", "muted", 32)
    return figure
