"""Residuals against fitted values, and against normal quantiles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ablatekit.report.figures.style import (
    Box,
    Values,
    canvas,
    colour,
    number_axis,
    padded,
    panel,
    styled,
    to_svg,
)
from ablatekit.report.numbers import Scale

LEFT, SIDE_WIDTH, TOP, SIDE_HEIGHT, FOOT, EDGE = 54.0, 390.0, 10.0, 160.0, 48.0, 12.0
MOST_POINTS = 1200
FITTED = "fitted cell mean"


def thinned(values: Sequence[float], most: int = MOST_POINTS) -> NDArray[np.intp]:
    """Positions of at most `most` values, evenly over their ranks, both extremes kept."""
    order: NDArray[np.intp] = np.argsort(np.asarray(values, dtype=float), kind="stable")
    if len(order) <= most:
        return order
    kept = np.unique(np.linspace(0, len(order) - 1, most).round().astype(np.intp))
    return np.take(order, kept)


@styled
def draw_fitted(
    fitted: Sequence[float], residual: Sequence[float], scale: Scale, name: str, alt: str
) -> str:
    """A shapeless cloud around zero is what the model assumes."""
    kept = thinned(residual)
    return _scatter(
        np.asarray(fitted, dtype=float)[kept],
        np.asarray(residual, dtype=float)[kept],
        (FITTED, "residual"),
        (scale, scale),
        (name, "Residuals against fitted values", alt),
    )


@styled
def draw_quantiles(
    quantile: Sequence[float], residual: Sequence[float], scale: Scale, name: str, alt: str
) -> str:
    """Points along the line are what normal run-to-run variation looks like."""
    kept = thinned(residual)
    x = np.asarray(quantile, dtype=float)[kept]
    y = np.asarray(residual, dtype=float)[kept]
    slope = float(y.std()) if len(y) else 0.0
    return _scatter(
        x,
        y,
        ("normal quantile", "residual"),
        (Scale(1.0, "", 1), scale),
        (name, "Residuals against normal quantiles", alt),
        slope,
    )


def _scatter(
    x: Values,
    y: Values,
    labels: tuple[str, str],
    scales: tuple[Scale, Scale],
    words: tuple[str, str, str],
    slope: float = 0.0,
) -> str:
    figure = canvas(LEFT + SIDE_WIDTH + EDGE, TOP + SIDE_HEIGHT + FOOT)
    axes = panel(figure, Box(LEFT, TOP, SIDE_WIDTH, SIDE_HEIGHT))
    limits = padded([float(value) for value in x])
    axes.set_xlim(*limits)
    axes.set_ylim(*padded([0.0, *(float(value) for value in y)]))
    number_axis(axes, "x", scales[0])
    number_axis(axes, "y", scales[1])
    ends = np.array(limits)
    axes.plot(ends, slope * ends, color=colour("muted"), linewidth=1.2)
    axes.plot(x, y, "o", color=colour("series-1"), markersize=3.6, alpha=0.55, markeredgewidth=0)
    for axis, scale, label in zip((axes.xaxis, axes.yaxis), scales, labels, strict=True):
        shown = "%" if scale.unit == "pp" and label == FITTED else scale.unit
        unit = f", {shown}" if shown else ""
        axis.set_label_text(f"{label}{unit}", color=colour("ink"))
        axis.labelpad = 6
    return to_svg(figure, *words)
