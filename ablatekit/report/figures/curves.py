"""Over training: a metric for each level of a factor, and the effects of its levels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ablatekit.analysis.core.schema.companions import Curve, EffectAtStep, Points, Profile
from ablatekit.analysis.core.schema.vocabulary import Number
from ablatekit.report.document import PHONE
from ablatekit.report.figures.labels import (
    ENDS,
    LINE,
    Key,
    draw_keys,
    inside,
    keys_in,
    line_ends,
    series_key,
    sheet,
    wrapped,
    write,
    x_ticks,
    y_room,
)
from ablatekit.report.figures.panel import Box, Limits, Panel
from ablatekit.report.figures.style import (
    PlotValues,
    floats,
    padded,
    series_marker,
    series_style,
    text_width,
)
from ablatekit.report.language import alternatives
from ablatekit.report.language.numbers import Scale

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TOP, HEIGHT, FOOT = 8.0, 150.0, 38.0
MOST_LABEL = 92.0
"""Pixels of a level's name at the end of its line; longer names stand below the panel."""
MOST_POINTS, MOST_BANDS, MARKS = 25, 4, 3
STEPS = Scale(1.0, "", 0)


@dataclass(frozen=True, slots=True)
class Series:
    """A line with its interval; `outer` is a wider interval around it."""

    name: str
    x: PlotValues
    y: PlotValues
    low: PlotValues
    high: PlotValues
    outer: tuple[PlotValues, PlotValues] | None = None
    whole: Series | None = None
    """The values on all items, where the line is that of a part of them."""

    def has_values(self) -> bool:
        """Whether there is anything to draw."""
        return bool(np.isfinite(self.y).any())

    def end(self) -> tuple[float, float]:
        """Its last point with a value."""
        place = int(np.flatnonzero(np.isfinite(self.y))[-1])
        return float(self.x[place]), float(self.y[place])


def draw_curves(curves: Sequence[Curve], limits: Limits, scale: Scale) -> Figure:
    """Lines are means over cells and contexts; hollow marks beside them: on all items."""
    lines = [_series(curve) for curve in curves]
    keys = [Key(alternatives.ALL_ITEMS, "muted", kind="mark", marker="o", hollow=True)]
    more = keys if any(line.whole for line in lines) else []
    panel = _panel(lines, limits, scale, more)
    _draw_lines(panel, lines)
    for position, line in enumerate(lines):
        if line.whole is not None:
            _draw_whole(panel, line.whole, position, len(lines))
    return panel.figure


def draw_effects(
    levels: Sequence[Sequence[EffectAtStep]], smallest: Number, limits: Limits, scale: Scale
) -> Figure:
    """Effects of levels over training; inner bands pointwise, outer ones simultaneous."""
    lines = [_effects(rows) for rows in levels]
    panel = _panel(lines, limits, scale, [], first=1)
    if smallest:
        shade = [max(-smallest, limits[0])] * 2, [min(smallest, limits[1])] * 2
        panel.area(panel.x, *shade, "band", 1.0, order=0.5)
    panel.horizontal(0, "axis", 1.0)
    _draw_lines(panel, lines, first=1)
    return panel.figure


def draw_profiles(profiles: Sequence[Profile], label: str, scale: Scale, shares: Scale) -> Figure:
    """Share of runs above every threshold, one line per level with its pointwise band."""
    lines = [
        Series(
            row["level"],
            floats(row["threshold"]),
            floats(row["share"]),
            floats(row["low"]),
            floats(row["high"]),
        )
        for row in profiles
    ]
    panel = _panel(lines, (0.0, 1.0), shares, [], axis=(scale, label))
    _draw_lines(panel, lines)
    return panel.figure


def curve_limits(curves: Sequence[Curve]) -> Limits:
    """Limits that hold every line, band and value on all items."""
    values: list[Number] = []
    for curve in curves:
        parts: list[Points] = [curve, curve["full"]] if "full" in curve else [curve]
        for part in parts:
            values += [*part["mean"], *part["low"], *part["high"]]
    return padded(values)


def effect_limits(rows: Sequence[EffectAtStep], smallest: Sequence[Number]) -> Limits:
    """Limits that hold every effect with its intervals, and zero."""
    values: list[Number] = [0.0]
    for row in rows:
        values += [row["estimate"], row["low"], row["high"]]
        values += [row["low_simultaneous"], row["high_simultaneous"]]
    for size in smallest:
        values += [size, -size if size else None]
    return padded(values)


def _series(curve: Curve) -> Series:
    columns = (floats(curve["mean"]), floats(curve["low"]), floats(curve["high"]))
    whole = None
    if "full" in curve and curve["full"]["step"]:
        full = curve["full"]
        sides = (floats(full["mean"]), floats(full["low"]), floats(full["high"]))
        whole = Series(curve["level"], np.asarray(full["step"], dtype=float), *sides)
    return _thinned(Series(curve["level"], np.asarray(curve["step"], float), *columns, whole=whole))


def _effects(rows: Sequence[EffectAtStep]) -> Series:
    columns = (
        floats([row["step"] for row in rows]),
        floats([row["estimate"] for row in rows]),
        floats([row["low"] for row in rows]),
        floats([row["high"] for row in rows]),
    )
    outer = (
        floats([row["low_simultaneous"] for row in rows]),
        floats([row["high_simultaneous"] for row in rows]),
    )
    return _thinned(Series(rows[0]["level"], *columns, outer))


def _thinned(line: Series) -> Series:
    """At most so many points, evenly along the line, its first and its last one kept."""
    if len(line.x) <= MOST_POINTS:
        return line
    kept = np.linspace(0, len(line.x) - 1, MOST_POINTS).round().astype(int)
    outer = None if line.outer is None else (line.outer[0][kept], line.outer[1][kept])
    return replace(
        line, x=line.x[kept], y=line.y[kept], low=line.low[kept], high=line.high[kept], outer=outer
    )


def _panel(
    lines: Sequence[Series], limits: Limits, scale: Scale, more: Sequence[Key],
    *, axis: tuple[Scale, str] = (STEPS, "step"), first: int = 0,
) -> Panel:  # fmt: skip
    """A panel with names at the line ends where they fit, else below it; `first`: line's style."""
    known = [(line, place) for place, line in enumerate(lines, first) if line.has_values()]
    names = [series_key(line.name, place) for line, place in known]
    beside = all(text_width(key.words) <= MOST_LABEL for key in names)
    room = ENDS + (max((text_width(key.words) for key in names), default=0.0) if beside else 0.0)
    left = y_room(limits, scale, 4)
    keys = keys_in([*([] if beside else names), *more, *_notes(lines)], PHONE)
    height = max(HEIGHT, LINE * len(names))
    unit = "%" if axis[0].unit == "pp" else axis[0].unit
    label = wrapped(f"{axis[1]}, {unit}" if unit else axis[1], PHONE - left)
    below = TOP + height + FOOT - LINE + LINE * len(label) + 4
    page = sheet(PHONE, below + keys.height)
    box = Box(left, TOP, PHONE - left - room - 8, height)
    panel = inside(page, box, _span(lines), limits)
    panel.y_numbers(scale, 4)
    x_ticks(panel, axis[0], 5, whole=axis[0] is STEPS)
    write(page, label, left + box.width / 2, TOP + height + FOOT - LINE - 4, "muted", "center")
    draw_keys(page, keys, 0, below)
    line_ends(panel, names, [line.end() for line, _ in known], beside=beside)
    return panel


def _span(lines: Sequence[Series]) -> Limits:
    values = [float(value) for line in lines for value in line.x] or [0.0, 1.0]
    return min(values), max(*values, min(values) + 1e-9)


def _notes(lines: Sequence[Series]) -> list[Key]:
    """What is not drawn: intervals of many lines, and levels without values."""
    empty = [line.name for line in lines if not line.has_values()]
    notes = [alternatives.WITHOUT_BANDS] if len(lines) - len(empty) > MOST_BANDS else []
    notes += [f"{', '.join(empty)}: {alternatives.WITHOUT_VALUES}"] if empty else []
    return [Key(note, "muted", kind="note") for note in notes]


def _draw_lines(panel: Panel, lines: Sequence[Series], first: int = 0) -> None:
    """Every line with its marks; with bands while they can be told apart."""
    few = sum(line.has_values() for line in lines) <= MOST_BANDS
    for position, line in enumerate(lines, first):
        tone, dash = series_style(position)
        if few and line.outer is not None:
            panel.area(line.x, *line.outer, tone, 0.12)
        if few:
            panel.area(line.x, line.low, line.high, tone, 0.18)
        if line.has_values():
            panel.line(line.x, line.y, tone, 2.0 if few else 1.5, dash)
            kept = _marked(len(line.x), position)
            panel.marks(line.x[kept], line.y[kept], tone, series_marker(position), 4.5)


def _marked(points: int, position: int) -> list[int]:
    """Where a line has marks, others than those of its neighbours where it has the points."""
    step = max(1, points // MARKS)
    return sorted({min(points - 1, position % step + step * number) for number in range(MARKS)})


def _draw_whole(panel: Panel, whole: Series, position: int, of: int) -> None:
    """Values on all items: hollow marks with their intervals, apart from the line."""
    tone, _ = series_style(position)
    pixel = (panel.x[1] - panel.x[0]) / panel.box.width
    shift = (position - (of - 1) / 2) * 5 * pixel
    for x, y, low, high in zip(whole.x, whole.y, whole.low, whole.high, strict=True):
        at = min(max(x + shift, panel.x[0]), panel.x[1] - 3 * pixel)
        panel.line([at, at], [low, high], tone, 1.2)
        panel.marks([at], [y], tone, series_marker(position), 5.5, hollow=True)


def curve_records(curves: Sequence[Curve]) -> list[dict[str, str | Number]]:
    """What the curves show, one record for each point."""
    rows: list[dict[str, str | Number]] = []
    for curve in curves:
        parts: list[tuple[str, Points]] = [("", curve)]
        if "full" in curve:
            parts.append(("all", curve["full"]))
        for items, part in parts:
            columns = (part["step"], part["mean"], part["low"], part["high"])
            rows += [
                {
                    "factor": curve["factor"], "level": curve["level"], "metric": curve["metric"],
                    "items": items, "step": step, "mean": mean, "low": low,
                    "high": high,
                }
                for step, mean, low, high in zip(*columns, strict=True)
            ]  # fmt: skip
    return rows


def effect_records(levels: Sequence[Sequence[EffectAtStep]]) -> list[dict[str, str | Number]]:
    """What the figure of effects over training shows."""
    return [
        {
            "factor": row["factor"], "level": row["level"], "step": row["step"],
            "estimate": row["estimate"], "low": row["low"], "high": row["high"],
            "low_simultaneous": row["low_simultaneous"],
            "high_simultaneous": row["high_simultaneous"],
        }
        for rows in levels
        for row in rows
    ]  # fmt: skip


def profile_records(profiles: Sequence[Profile]) -> list[dict[str, str | Number]]:
    """What the profiles show, one record for each threshold."""
    return [
        {"factor": row["factor"], "level": row["level"], "threshold": threshold, "share": share,
         "low": low, "high": high}
        for row in profiles
        for threshold, share, low, high in zip(
            row["threshold"], row["share"], row["low"], row["high"], strict=True
        )
    ]  # fmt: skip
