"""Residuals against fitted values, and against normal quantiles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ablatekit.analysis.core.schema.vocabulary import Number
from ablatekit.report.document import PHONE
from ablatekit.report.figures.labels import LINE, inside, sheet, wrapped, write, x_ticks, y_room
from ablatekit.report.figures.panel import Box, Limits, Panel
from ablatekit.report.figures.style import PlotValues, padded
from ablatekit.report.language.captions import PLACE_IN_ORDER, RESIDUAL, with_unit
from ablatekit.report.language.numbers import Scale, level_unit

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TOP, HEIGHT, FOOT, EDGE = 4.0, 150.0, 24.0, 8.0
FEW, SMALL_DOT, LARGE_DOT = 100, 3.0, 5.0
MOST_POINTS = 600
FITTED = {True: "fitted cell mean", False: "fitted value"}
"""By whether the model has cell means."""


def thinned(values: Sequence[float], most: int = MOST_POINTS) -> NDArray[np.intp]:
    """Positions of at most `most` values, evenly over their ranks, both extremes kept."""
    order: NDArray[np.intp] = np.argsort(np.asarray(values, dtype=float), kind="stable")
    if len(order) <= most:
        return order
    kept = np.unique(np.linspace(0, len(order) - 1, most).round().astype(np.intp))
    return np.take(order, kept)


def residual_limits(residuals: Sequence[Sequence[float]]) -> Limits:
    """Limits that hold the residuals of every response in one unit."""
    return padded([0.0, *(value for part in residuals for value in part)])


def draw_fitted(
    fitted: Sequence[float], residual: Sequence[float], limits: Limits, scale: Scale,
    *, of_cells: bool,
) -> Figure:  # fmt: skip
    """A shapeless cloud around zero is what the model assumes."""
    return _scatter(fitted, residual, limits, FITTED[of_cells], (scale, scale))


def draw_quantiles(
    quantile: Sequence[float], residual: Sequence[float], limits: Limits, scale: Scale
) -> Figure:
    """Points along the line are what normal run-to-run variation looks like."""
    slope = float(np.std(residual)) if len(residual) else 0.0
    scales = (Scale(1.0, "", 1), scale)
    return _scatter(quantile, residual, limits, "normal quantile", scales, slope)


def draw_order(
    order: Sequence[int], residual: Sequence[float], limits: Limits, scale: Scale
) -> Figure:
    """Residuals by place in the run order: a trend would be a drift of the machine or the code."""
    return _scatter(order, residual, limits, PLACE_IN_ORDER, (Scale(1.0, "", 0), scale))


def _scatter(
    across: Sequence[float],
    residual: Sequence[float],
    limits: Limits,
    label: str,
    scales: tuple[Scale, Scale],
    slope: float = 0.0,
) -> Figure:
    kept = thinned(residual)
    x = np.asarray(across, dtype=float)[kept]
    y = np.asarray(residual, dtype=float)[kept]
    head = wrapped(with_unit(RESIDUAL, scales[1].unit), PHONE)
    left, top = y_room(limits, scales[1]), TOP + LINE * len(head)
    foot = wrapped(_with_unit(label, scales[0]), PHONE - left)
    page = sheet(PHONE, top + HEIGHT + FOOT + LINE * len(foot))
    box = Box(left, top, PHONE - left - EDGE, HEIGHT)
    panel = inside(page, box, padded([float(value) for value in x]), limits)
    x_ticks(panel, scales[0])
    panel.y_numbers(scales[1])
    write(page, head, 0, 0, "muted")
    write(page, foot, left + box.width / 2, top + HEIGHT + FOOT - 2, "muted", "center")
    ends = np.array(panel.x)
    along = np.clip(slope * ends, *limits)
    panel.line(along / slope if slope else ends, along, "axis", 1.0)
    _dots(panel, x, y)
    return page.figure


def _dots(panel: Panel, x: PlotValues, y: PlotValues) -> None:
    """Small squares as the strokes of one path, a third of the size of as many marks."""
    size = LARGE_DOT if len(x) <= FEW else SMALL_DOT
    half = size / 2 * (panel.x[1] - panel.x[0]) / panel.box.width
    strokes = np.column_stack([x - half, x + half, np.full(len(x), np.nan)]).ravel()
    panel.line(strokes, np.repeat(y, 3), "series-1", size)


def residual_records(
    name: str, across: Sequence[float], residual: Sequence[float]
) -> list[dict[str, str | Number]]:
    """What the figure shows, of every run or row."""
    return [{name: float(x), "residual": float(y)} for x, y in zip(across, residual, strict=True)]


def _with_unit(label: str, scale: Scale) -> str:
    unit = level_unit(scale) if label in FITTED.values() else scale.unit
    return with_unit(label, unit)
