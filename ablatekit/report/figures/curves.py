"""A metric over training, one line with its band for each level of a factor."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ablatekit.analysis.schema import Curve, Number
from ablatekit.report.figures.style import (
    SMALL,
    Box,
    Values,
    canvas,
    colour,
    floats,
    number_axis,
    padded,
    panel,
    series_style,
    shortened,
    spread,
    styled,
    tick_text,
    to_svg,
)
from ablatekit.report.numbers import Scale

LEFT, PLOT_WIDTH, RIGHT, TOP, PLOT_HEIGHT, FOOT = 38.0, 310.0, 106.0, 14.0, 150.0, 42.0


@styled
def draw_curves(curves: Sequence[Curve], scale: Scale, name: str, title: str, alt: str) -> str:
    """Lines are means over cells and contexts, bands pointwise intervals; labels at line ends."""
    figure = canvas(LEFT + PLOT_WIDTH + RIGHT, TOP + PLOT_HEIGHT + FOOT)
    axes = panel(figure, Box(LEFT, TOP, PLOT_WIDTH, PLOT_HEIGHT))
    limits = limits_of(curves)
    axes.set_ylim(*limits)
    steps = [step for curve in curves for step in curve["step"]] or [0, 1]
    axes.set_xlim(min(steps), max(max(steps), min(steps) + 1))
    number_axis(axes, "y", scale, ticks=4)
    axes.locator_params(axis="x", nbins=5, integer=True)
    axes.xaxis.set_major_formatter(lambda value, _: tick_text(value))
    axes.set_xlabel("step", color=colour("muted"), labelpad=4)
    for position, curve in enumerate(curves):
        style = series_style(position)
        low, high = floats(curve["low"]), floats(curve["high"])
        axes.fill_between(curve["step"], low, high, color=style["color"], alpha=0.14, linewidth=0)
        axes.plot(curve["step"], floats(curve["mean"]), linewidth=2, clip_on=False, **style)
    pixel = (limits[1] - limits[0]) / PLOT_HEIGHT
    ends = [_last(floats(curve["mean"]), limits[0]) for curve in curves]
    for position, y in enumerate(spread(ends, 14 * pixel, limits[0], limits[1])):
        axes.annotate(
            shortened(curves[position]["level"], 16),
            (1, y),
            xycoords=axes.get_yaxis_transform(),
            xytext=(7, 0),
            textcoords="offset points",
            va="center",
            fontsize=SMALL,
            color=series_style(position)["color"],
        )
    return to_svg(figure, name, title, alt)


def limits_of(curves: Sequence[Curve]) -> tuple[float, float]:
    """Limits that hold every line and band."""
    values: list[Number] = []
    for curve in curves:
        values += [*curve["mean"], *curve["low"], *curve["high"]]
    return padded(values)


def _last(values: Values, default: float) -> float:
    finite = values[np.isfinite(values)]
    return float(finite[-1]) if finite.size else default
