"""Over training: a metric for each level of a factor, and the effect of one level."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ablatekit.analysis.core.schema.companions import Curve, EffectAtStep, Profile
from ablatekit.analysis.core.schema.vocabulary import Number
from ablatekit.report.figures.panel import Box, Panel, canvas
from ablatekit.report.figures.style import (
    PlotValues,
    floats,
    last,
    padded,
    series_style,
    shortened,
    spread,
)
from ablatekit.report.language.numbers import Scale

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEFT, PLOT_WIDTH, RIGHT, TOP, PLOT_HEIGHT, FOOT = 42.0, 310.0, 106.0, 14.0, 150.0, 42.0
STEPS = Scale(1.0, "", 0)
BANDS = ("low", "high", "low_simultaneous", "high_simultaneous", "estimate")


def draw_curves(curves: Sequence[Curve], scale: Scale) -> Figure:
    """Lines are means over cells and contexts, bands pointwise intervals; labels at line ends."""
    limits = limits_of(curves)
    panel = _panel([step for curve in curves for step in curve["step"]], limits, scale)
    for position, curve in enumerate(curves):
        tone, dash = series_style(position)
        panel.area(curve["step"], floats(curve["low"]), floats(curve["high"]), tone)
        panel.line(curve["step"], floats(curve["mean"]), tone, 2, dash)
    ends = [last(floats(curve["mean"]), limits[0]) for curve in curves]
    for position, y in enumerate(_apart(ends, limits)):
        level = shortened(curves[position]["level"], 16)
        panel.text(panel.x[1], y, level, series_style(position)[0], shift=(7, 0))
    return panel.figure


def draw_effects(
    levels: Sequence[Sequence[EffectAtStep]], smallest: Number, scale: Scale
) -> Figure:
    """Effects of levels over training; inner bands pointwise, outer ones simultaneous.

    `levels` holds one sequence of steps per level.
    """
    values: list[Number] = [0.0, smallest, -smallest if smallest else None]
    for rows in levels:
        values += [value for key in BANDS for value in _column(rows, key)]
    limits = padded(values)
    panel = _panel([row["step"] for rows in levels for row in rows], limits, scale)
    if smallest:
        panel.area(panel.x, [-smallest] * 2, [smallest] * 2, "band", 1.0, order=0.5)
    panel.horizontal(0, "rule", 1.2)
    ends = []
    for position, rows in enumerate(levels):
        tone, dash = series_style(position + 1)
        steps = _column(rows, "step")
        low, high, outer_low, outer_high, estimate = (_column(rows, key) for key in BANDS)
        panel.area(steps, outer_low, outer_high, tone, 0.12)
        panel.area(steps, low, high, tone, 0.18)
        panel.line(steps, estimate, tone, 2, dash)
        ends.append(last(estimate, 0.0))
    for position, y in enumerate(_apart(ends, limits)):
        name = shortened(levels[position][0]["level"], 16)
        panel.text(panel.x[1], y, name, series_style(position + 1)[0], shift=(7, 0))
    return panel.figure


def draw_profiles(profiles: Sequence[Profile], label: str, scale: Scale, shares: Scale) -> Figure:
    """Share of runs above every threshold, one line per level with its pointwise band."""
    thresholds = [value for row in profiles for value in row["threshold"]] or [0.0, 1.0]
    figure = canvas(LEFT + PLOT_WIDTH + RIGHT, TOP + PLOT_HEIGHT + FOOT)
    x = (min(thresholds), max(*thresholds, min(thresholds) + 1e-9))
    panel = Panel(figure, Box(LEFT, TOP, PLOT_WIDTH, PLOT_HEIGHT), x, (0.0, 1.0))
    panel.y_numbers(shares, 4)
    panel.x_numbers(scale)
    unit = "%" if scale.unit == "pp" else scale.unit
    panel.x_label(f"{shortened(label, 34)}{f', {unit}' if unit else ''}", "muted", 30)
    for position, row in enumerate(profiles):
        tone, dash = series_style(position)
        panel.area(row["threshold"], floats(row["low"]), floats(row["high"]), tone)
        panel.line(row["threshold"], floats(row["share"]), tone, 2, dash)
        height = 1 - (position + 0.5) * 15 / PLOT_HEIGHT
        key = [x[1] + (x[1] - x[0]) * pixels / PLOT_WIDTH for pixels in (4, 20)]
        panel.line(key, [height, height], tone, 2, dash)
        panel.text(key[1], height, shortened(row["level"], 13), tone, shift=(5, 0))
    return figure


def _column(rows: Sequence[EffectAtStep], key: str) -> PlotValues:
    return floats([row[key] for row in rows])  # type: ignore[literal-required]


def _panel(steps: Sequence[int], limits: tuple[float, float], scale: Scale) -> Panel:
    known = steps or [0, 1]
    x = (float(min(known)), float(max(max(known), min(known) + 1)))
    figure = canvas(LEFT + PLOT_WIDTH + RIGHT, TOP + PLOT_HEIGHT + FOOT)
    panel = Panel(figure, Box(LEFT, TOP, PLOT_WIDTH, PLOT_HEIGHT), x, limits)
    panel.y_numbers(scale, 4)
    panel.x_numbers(STEPS, 5, whole=True)
    panel.x_label("step", "muted", 30)
    return panel


def _apart(ends: Sequence[float], limits: tuple[float, float]) -> list[float]:
    pixel = (limits[1] - limits[0]) / PLOT_HEIGHT
    return spread(ends, 14 * pixel, *limits)


def limits_of(curves: Sequence[Curve]) -> tuple[float, float]:
    """Limits that hold every line and band."""
    values: list[Number] = []
    for curve in curves:
        values += [*curve["mean"], *curve["low"], *curve["high"]]
    return padded(values)
