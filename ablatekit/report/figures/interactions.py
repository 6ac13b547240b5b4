"""Cell means of two factors: parallel lines mean that the choices simply add up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ablatekit.report.figures.style import (
    SMALL,
    Box,
    Values,
    canvas,
    colour,
    number_axis,
    padded,
    panel,
    series_style,
    shortened,
    spread,
    styled,
    to_svg,
)
from ablatekit.report.numbers import Scale

LEFT, PLOT_WIDTH, RIGHT, TOP, PLOT_HEIGHT, FOOT = 40.0, 220.0, 122.0, 20.0, 190.0, 46.0


@dataclass(frozen=True, slots=True)
class CellMeans:
    """Fitted means of two factors' level combinations.

    `means` has shape (levels of the line factor, levels of the axis factor); `per_context` has a
    leading axis for contexts. NaN where the design has no cell.
    """

    axis_label: str
    axis_levels: Sequence[str]
    line_label: str
    line_levels: Sequence[str]
    means: Values
    per_context: Values


@styled
def draw_interaction(cells: CellMeans, scale: Scale, name: str, title: str, alt: str) -> str:
    """Bold lines are means over contexts, thin ones single contexts; lines carry their labels."""
    figure = canvas(LEFT + PLOT_WIDTH + RIGHT, TOP + PLOT_HEIGHT + FOOT)
    axes = panel(figure, Box(LEFT, TOP, PLOT_WIDTH, PLOT_HEIGHT))
    x = np.arange(len(cells.axis_levels))
    limits = padded([float(value) for value in cells.per_context.ravel()])
    axes.set_xlim(-0.25, len(x) - 0.75)
    axes.set_ylim(*limits)
    number_axis(axes, "y", scale, ticks=5)
    axes.set_xticks(x, [shortened(level, 16) for level in cells.axis_levels])
    axes.set_xlabel(shortened(cells.axis_label, 34), color=colour("ink"), labelpad=6)
    for position in range(len(cells.line_levels)):
        style = series_style(position)
        for context in cells.per_context[:, position]:
            axes.plot(x, context, linewidth=0.8, alpha=0.35, **style)
        axes.plot(x, cells.means[position], linewidth=2.4, marker="o", markersize=5, **style)
    pixel = (limits[1] - limits[0]) / PLOT_HEIGHT
    ends = [_last(row, limits[0]) for row in cells.means]
    heights = spread(ends, 15 * pixel, limits[0], limits[1])
    axes.text(
        1.03,
        1.0,
        shortened(cells.line_label, 20),
        transform=axes.transAxes,
        va="bottom",
        fontsize=SMALL,
        color=colour("muted"),
    )
    for position, (level, y) in enumerate(zip(cells.line_levels, heights, strict=True)):
        axes.text(
            len(x) - 0.7,
            y,
            shortened(level, 18),
            va="center",
            fontsize=SMALL,
            color=series_style(position)["color"],
            clip_on=False,
        )
    return to_svg(figure, name, title, alt)


def _last(row: Values, default: float) -> float:
    finite = row[np.isfinite(row)]
    return float(finite[-1]) if finite.size else default
