"""Cell means of two factors: parallel lines mean that the choices simply add up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ablatekit.report.figures.panel import Box, Panel, canvas
from ablatekit.report.figures.style import PlotValues, last, padded, series_style, shortened, spread
from ablatekit.report.language.numbers import Scale, level_unit

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEFT, PLOT_WIDTH, RIGHT, TOP, PLOT_HEIGHT, FOOT = 40.0, 220.0, 122.0, 20.0, 190.0, 46.0


@dataclass(frozen=True, slots=True)
class MeansPicture:
    """Fitted means of two factors' level combinations.

    `means` has shape (levels of the line factor, levels of the axis factor); `per_context` has a
    leading axis for contexts. NaN where the design has no cell.
    """

    axis_label: str
    axis_levels: Sequence[str]
    line_label: str
    line_levels: Sequence[str]
    means: PlotValues
    per_context: PlotValues


def draw_interaction(cells: MeansPicture, scale: Scale) -> Figure:
    """Bold lines are means over contexts, thin ones single contexts; lines carry their labels."""
    figure = canvas(LEFT + PLOT_WIDTH + RIGHT, TOP + PLOT_HEIGHT + FOOT)
    x = np.arange(len(cells.axis_levels), dtype=np.float64)
    limits = padded([float(value) for value in cells.per_context.ravel()])
    box = Box(LEFT, TOP, PLOT_WIDTH, PLOT_HEIGHT)
    panel = Panel(figure, box, (-0.25, len(x) - 0.75), limits)
    panel.y_numbers(scale)
    panel.x_names([shortened(level, 16) for level in cells.axis_levels])
    panel.x_label(shortened(cells.axis_label, 34))
    for position in range(len(cells.line_levels)):
        _draw_line(panel, x, cells, position)
    pixel = (limits[1] - limits[0]) / PLOT_HEIGHT
    ends = [last(row, limits[0]) for row in cells.means]
    heights = spread(ends, 15 * pixel, limits[0], limits[1])
    title = shortened(cells.line_label, 20)
    if unit := level_unit(scale):
        panel.text(panel.x[0], limits[1], f"mean, {unit}", "muted", va="bottom", shift=(-34, 6))
    panel.text(panel.x[1], limits[1], title, "muted", va="bottom", shift=(7, 6))
    for position, (level, y) in enumerate(zip(cells.line_levels, heights, strict=True)):
        panel.text(panel.x[1], y, shortened(level, 18), series_style(position)[0], shift=(7, 0))
    return figure


def _draw_line(panel: Panel, x: PlotValues, cells: MeansPicture, position: int) -> None:
    tone, dash = series_style(position)
    for context in cells.per_context[:, position]:
        panel.line(x, context, tone, 0.8, dash, alpha=0.35)
    panel.line(x, cells.means[position], tone, 2.4, dash)
    panel.marks(x, cells.means[position], tone)
