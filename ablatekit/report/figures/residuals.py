"""Residuals against fitted values, and against normal quantiles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ablatekit.report.figures.panel import Box, Panel, canvas
from ablatekit.report.figures.style import PlotValues, padded
from ablatekit.report.language.captions import PLACE_IN_ORDER
from ablatekit.report.language.numbers import Scale, level_unit

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEFT, SIDE_WIDTH, TOP, SIDE_HEIGHT, FOOT, EDGE = 54.0, 390.0, 10.0, 160.0, 48.0, 12.0
MOST_POINTS = 1200
FITTED = {True: "fitted cell mean", False: "fitted value"}
"""By whether the model has cell means."""


def thinned(values: Sequence[float], most: int = MOST_POINTS) -> NDArray[np.intp]:
    """Positions of at most `most` values, evenly over their ranks, both extremes kept."""
    order: NDArray[np.intp] = np.argsort(np.asarray(values, dtype=float), kind="stable")
    if len(order) <= most:
        return order
    kept = np.unique(np.linspace(0, len(order) - 1, most).round().astype(np.intp))
    return np.take(order, kept)


def draw_fitted(
    fitted: Sequence[float], residual: Sequence[float], scale: Scale, *, of_cells: bool
) -> Figure:
    """A shapeless cloud around zero is what the model assumes."""
    kept = thinned(residual)
    x = np.asarray(fitted, dtype=float)[kept]
    y = np.asarray(residual, dtype=float)[kept]
    return _scatter(x, y, (FITTED[of_cells], "residual"), (scale, scale))


def draw_quantiles(quantile: Sequence[float], residual: Sequence[float], scale: Scale) -> Figure:
    """Points along the line are what normal run-to-run variation looks like."""
    kept = thinned(residual)
    x = np.asarray(quantile, dtype=float)[kept]
    y = np.asarray(residual, dtype=float)[kept]
    slope = float(y.std()) if len(y) else 0.0
    scales = (Scale(1.0, "", 1), scale)
    return _scatter(x, y, ("normal quantile", "residual"), scales, slope)


def draw_order(order: Sequence[int], residual: Sequence[float], scale: Scale) -> Figure:
    """Residuals by place in the run order: a trend would be a drift of the machine or the code."""
    kept = thinned(residual)
    x = np.asarray(order, dtype=float)[kept]
    y = np.asarray(residual, dtype=float)[kept]
    return _scatter(x, y, (PLACE_IN_ORDER, "residual"), (Scale(1.0, "", 0), scale))


def _scatter(
    x: PlotValues,
    y: PlotValues,
    labels: tuple[str, str],
    scales: tuple[Scale, Scale],
    slope: float = 0.0,
) -> Figure:
    figure = canvas(LEFT + SIDE_WIDTH + EDGE, TOP + SIDE_HEIGHT + FOOT)
    x_limits = padded([float(value) for value in x])
    y_limits = padded([0.0, *(float(value) for value in y)])
    panel = Panel(figure, Box(LEFT, TOP, SIDE_WIDTH, SIDE_HEIGHT), x_limits, y_limits)
    panel.x_numbers(scales[0])
    panel.y_numbers(scales[1])
    ends = np.array(x_limits)
    inside = np.clip(slope * ends, *y_limits)
    panel.line(inside / slope if slope else ends, inside, "muted", 1.2)
    panel.marks(x, y, "series-1", "o", 3.6, alpha=0.55)
    named = [_with_unit(label, scale) for label, scale in zip(labels, scales, strict=True)]
    panel.x_label(named[0], below=34)
    panel.y_label(named[1], 44)
    return figure


def _with_unit(label: str, scale: Scale) -> str:
    unit = level_unit(scale) if label in FITTED.values() else scale.unit
    return f"{label}, {unit}" if unit else label
