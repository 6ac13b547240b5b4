"""Gain against price: every configuration a point, the frontier a line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ablatekit.analysis.core.schema.vocabulary import Number, Verdict
from ablatekit.report.figures.panel import Box, Panel, canvas
from ablatekit.report.figures.style import floats, padded, shortened, tick_text
from ablatekit.report.language.captions import with_unit
from ablatekit.report.language.numbers import Scale
from ablatekit.report.language.verdicts import look

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEFT, TOP, RIGHT, FOOT, HEIGHT, ROW = 52.0, 12.0, 14.0, 50.0, 240.0, 26.0


@dataclass(frozen=True, slots=True)
class FrontierPoint:
    """A configuration (or a level): what it gains on one response, for which price.

    `name` is short and empty for the baseline, whose gain is 0 and whose price is 1. `estimate`,
    `low` and `high` are in the unit of the response, unscaled; without an interval `low` and
    `high` are null. `price` is a multiple of the baseline's and null where none is known.
    `on_frontier`: no cheaper point is better.
    """

    name: str
    price: Number
    estimate: float
    low: Number
    high: Number
    verdict: Verdict
    on_frontier: bool
    baseline: bool = False


@dataclass(frozen=True, slots=True)
class FrontierAxes:
    """What the axes say: the gain with its unit, and the price, empty where there is none.

    `lower_is_better` responses gain downwards; `smallest_effect` is null where none is declared.
    """

    gain: str
    scale: Scale
    price: str
    lower_is_better: bool = False
    smallest_effect: Number = None


def draw_frontier(points: Sequence[FrontierPoint], axes: FrontierAxes, width: float) -> Figure:
    """Points with intervals over a log axis of prices; without prices one row per point."""
    if axes.price and all(point.price for point in points):
        return _scatter(points, axes, width)
    return _dots(points, axes, width)


def _limits(points: Sequence[FrontierPoint]) -> tuple[float, float]:
    values: list[Number] = [0.0]
    for point in points:
        values += [point.low, point.estimate, point.high]
    return padded(values)


def _scatter(points: Sequence[FrontierPoint], axes: FrontierAxes, width: float) -> Figure:
    figure = canvas(width, TOP + HEIGHT + FOOT)
    places = [math.log2(point.price or 1.0) for point in points]
    box = Box(LEFT, TOP, width - LEFT - RIGHT, HEIGHT)
    panel = Panel(figure, box, padded([*places, 0.0], 0.15), _limits(points))
    panel.y_numbers(axes.scale)
    panel.horizontal(0, "rule")
    for power in range(math.ceil(panel.x[0]), math.floor(panel.x[1]) + 1):
        words = f"{tick_text(2.0**power)}\N{MULTIPLICATION SIGN}"
        panel.text(power, panel.y[0], words, "muted", ha="center", va="top", shift=(0, -5))
    frontier = sorted((place, point.estimate) for place, point in zip(places, points, strict=True)
                      if point.on_frontier)  # fmt: skip
    if frontier:
        panel.line(*zip(*frontier, strict=True), "muted")
    for place, point in zip(places, points, strict=True):
        shape = look(point.verdict)
        panel.line([place] * 2, floats([point.low, point.high]), shape.tone, 1.6)
        panel.marks([place], [point.estimate], shape.tone, shape.marker, 7.0, tip=point.name)
        panel.text(place, point.estimate, shortened(point.name, 16), "ink", shift=(8, 0))
    panel.x_label(axes.price)
    panel.y_label(with_unit(axes.gain, axes.scale.unit), 42)
    return figure


def _dots(points: Sequence[FrontierPoint], axes: FrontierAxes, width: float) -> Figure:
    figure = canvas(width, TOP + ROW * len(points) + FOOT)
    left = width / 3
    box = Box(left, TOP, width - left - RIGHT, ROW * len(points))
    panel = Panel(figure, box, _limits(points), (len(points) - 0.5, -0.5))
    panel.x_numbers(axes.scale)
    panel.vertical(0, "rule")
    for row, point in enumerate(points):
        shape = look(point.verdict)
        panel.interval(point.low, point.high, row, shape.tone, 1.6)
        panel.marks([point.estimate], [row], shape.tone, shape.marker, 7.0, tip=point.name)
        panel.label(shortened(point.name, 20), left=4 - left, y=row, tone="ink")
    panel.x_label(with_unit(axes.gain, axes.scale.unit))
    return figure
