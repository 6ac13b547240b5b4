"""Cell means of two factors: parallel lines mean that the choices simply add up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

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
    y_room,
)
from ablatekit.report.figures.panel import Box, Limits, Panel
from ablatekit.report.figures.style import (
    PlotValues,
    padded,
    series_marker,
    series_style,
    text_width,
)
from ablatekit.report.language import alternatives
from ablatekit.report.language.numbers import Scale, level_unit

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HEIGHT, MOST_LABEL = 180.0, 110.0
MOST_LINES = 4
"""Lines of one level's name under the axis; where names take more they are listed below."""
MOST_CONTEXT_LINES = 48


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


def means_limits(cells: Sequence[MeansPicture]) -> Limits:
    """Limits that hold every mean, those of single contexts too where they are drawn."""
    values: list[Number] = []
    for picture in cells:
        shown = picture.per_context if _with_contexts(picture) else picture.means
        values += [float(value) for value in shown.ravel()]
        values += [float(value) for value in picture.means.ravel()]
    return padded(values)


def draw_interaction(cells: MeansPicture, limits: Limits, scale: Scale) -> Figure:
    """Bold lines are means over contexts, thin ones single contexts; lines carry their labels."""
    known = [place for place, row in enumerate(cells.means) if np.isfinite(row).any()]
    names = [series_key(cells.line_levels[place], place) for place in known]
    beside = all(text_width(key.words) <= MOST_LABEL for key in names)
    room = ENDS + (max((text_width(key.words) for key in names), default=0.0) if beside else 0.0)
    left = y_room(limits, scale)
    width = PHONE - left - room - 4
    head, title = _titles(cells, scale)
    top = LINE * (len(head) + len(title)) + 6
    height = max(HEIGHT, LINE * len(names))
    slot = width / max(len(cells.axis_levels), 1)
    levels, numbered = _axis_names(cells.axis_levels, slot)
    foot = LINE * max(map(len, levels), default=1) + 10
    axis = wrapped(cells.axis_label, PHONE - left)
    keys = keys_in([*([] if beside else names), *numbered], PHONE)
    below = top + height + foot + LINE * len(axis) + 6
    page = sheet(PHONE, below + keys.height)
    x = (-0.5, len(cells.axis_levels) - 0.5)
    panel = inside(page, Box(left, top, width, height), x, limits)
    panel.y_numbers(scale)
    panel.horizontal(panel.y[0], "rule", 0.8)
    write(page, head, 0, 0, "muted")
    write(page, title, PHONE, LINE * len(head), "muted", "right")
    for place, level in enumerate(levels):
        write(page, level, left + (place + 0.5) * slot, top + height + 4, "muted", "center")
    write(page, axis, left + width / 2, top + height + foot, "ink", "center")
    draw_keys(page, keys, 0, below)
    for place in known:
        _draw_line(panel, cells, place)
    line_ends(panel, names, [_end(cells.means[place]) for place in known], beside=beside)
    return page.figure


def _end(means: PlotValues) -> tuple[float, float]:
    """The last point of a line."""
    place = int(np.flatnonzero(np.isfinite(means))[-1])
    return float(place), float(means[place])


def _titles(cells: MeansPicture, scale: Scale) -> tuple[list[str], list[str]]:
    """What the axis upwards shows, and whose levels the lines are."""
    unit = level_unit(scale)
    return (
        wrapped(f"{alternatives.MEAN}, {unit}" if unit else alternatives.MEAN, PHONE),
        wrapped(alternatives.lines_of(cells.line_label), PHONE),
    )


def _axis_names(levels: Sequence[str], slot: float) -> tuple[list[list[str]], list[Key]]:
    """Names under the axis, wrapped; their numbers and a list where they take too many lines."""
    lines = [wrapped(level, slot - 6) for level in levels]
    if max(map(len, lines), default=0) <= MOST_LINES:
        return lines, []
    notes = [
        Key(f"{place}: {level}", "muted", kind="note") for place, level in enumerate(levels, 1)
    ]
    return [[str(place)] for place in range(1, len(levels) + 1)], notes


def _with_contexts(cells: MeansPicture) -> bool:
    contexts, lines = cells.per_context.shape[:2]
    return bool(contexts * lines <= MOST_CONTEXT_LINES)


def _draw_line(panel: Panel, cells: MeansPicture, position: int) -> None:
    tone, dash = series_style(position)
    x = np.arange(len(cells.axis_levels), dtype=np.float64)
    if _with_contexts(cells):
        for context in cells.per_context[:, position]:
            panel.line(x, context, tone, 0.8, dash, alpha=0.35)
    panel.line(x, cells.means[position], tone, 2.2, dash)
    panel.marks(x, cells.means[position], tone, series_marker(position), 5.0)


def means_records(cells: MeansPicture) -> list[dict[str, str | Number]]:
    """What the figure shows: the mean of every combination."""
    return [
        {
            cells.line_label: line, cells.axis_label: level,
            "mean": float(cells.means[row, column]),
        }
        for row, line in enumerate(cells.line_levels)
        for column, level in enumerate(cells.axis_levels)
    ]  # fmt: skip
