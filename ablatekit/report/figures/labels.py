"""Words in figures: labels that wrap and are never cut, rows of them, ticks and keys that fit."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ablatekit.report.figures.panel import Box, Limits, Panel, canvas, round_values
from ablatekit.report.figures.style import (
    SMALL,
    series_marker,
    series_style,
    spread,
    text_width,
    tick_text,
)
from ablatekit.report.language.numbers import Scale

LINE = 14.0
"""Pixels from one line of small text to the next."""
ENDS = 16.0
"""Pixels right of a panel before the names of lines: room for their marks."""
MOST_LINES = 12
"""Of one label; only what no one would read is longer."""
SAMPLE, MARK_SAMPLE, AFTER_SAMPLE, BETWEEN_KEYS, EDGE = 22.0, 8.0, 5.0, 14.0, 2.0
ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"


def wrapped(text: str, width: float, size: float = SMALL) -> list[str]:
    """A label in lines of at most `width` pixels: between words, after signs, else anywhere."""
    lines = [""]
    for piece in _pieces(" ".join(text.split()), width, size):
        if text_width((lines[-1] + piece).rstrip(), size) <= width:
            lines[-1] += piece
        else:
            lines.append(piece)
    lines = [line.strip() for line in lines if line.strip()] or [""]
    if len(lines) > MOST_LINES:
        lines = [*lines[: MOST_LINES - 1], ELLIPSIS]
    return lines


def _pieces(text: str, width: float, size: float) -> Iterator[str]:
    """Where a label may break; a part that is too wide breaks anywhere."""
    for piece in re.findall(r"[^\s_\-/.,:;=]*[_\-/.,:;=]+\s*|[^\s_\-/.,:;=]+\s*", text):
        if text_width(piece.rstrip(), size) <= width:
            yield piece
            continue
        part = ""
        for character in piece:
            if part and text_width(part + character, size) > width:
                yield part
                part = ""
            part += character
        yield part


def sheet(width: float, height: float) -> Panel:
    """A canvas as a panel of its own, in pixels from the upper left corner."""
    box = Box(0, 0, width, height)
    return Panel(canvas(width, height), box, (0.0, width), (height, 0.0))


def inside(page: Panel, box: Box, x: Limits, y: Limits | None = None) -> Panel:
    """A panel on a sheet; without limits its y is in pixels from its top."""
    return Panel(page.figure, box, x, y or (box.height, 0.0))


def write(
    page: Panel, lines: Sequence[str], left: float, top: float, tone: str = "ink",
    ha: Literal["left", "center", "right"] = "left", size: float = SMALL,
) -> None:  # fmt: skip
    """Lines of text on a sheet, the first one beginning at `top`."""
    for number, line in enumerate(lines):
        page.text(left, top + (number + 0.5) * LINE, line, tone, size, ha=ha)


def x_ticks(
    panel: Panel, scale: Scale, most: int = 5, *, whole: bool = False, rows: Rows | None = None
) -> None:
    """Round numbers under a panel, none over the edge of the canvas or over its neighbour.

    The grid leaves out the labels that stand above `rows`.
    """
    width = float(panel.figure.get_size_inches()[0]) * 72.0
    free = 0.0
    for value in round_values(panel.x, scale.factor, most, whole=whole):
        upright(panel, value, rows, "grid", order=0.8)
        words = tick_text(value * scale.factor)
        half = text_width(words) / 2
        wanted = float(panel.across(value)) * 72.0
        place = min(max(wanted, half + EDGE), width - half - EDGE)
        if place - half < free:
            continue
        free = place + half + 4
        shift = (place - wanted, -5.0)
        panel.text(value, panel.y[0], words, "muted", ha="center", va="top", shift=shift)
    panel.horizontal(panel.y[0], "rule", 0.8)


def y_room(limits: Limits, scale: Scale, most: int = 5) -> float:
    """Pixels that the numbers along the left side of a panel take."""
    numbers = (
        tick_text(value * scale.factor) for value in round_values(limits, scale.factor, most)
    )
    return max(map(text_width, numbers), default=0.0) + 10


@dataclass(frozen=True, slots=True)
class Key:
    """What a figure explains: a line with its dash and mark, a shade, what `ends` in ticks, a mark.

    A note has words only.
    """

    words: str
    tone: str
    dash: Any = "solid"
    marker: str = ""
    width: float = 2.0
    kind: Literal["line", "shade", "ends", "mark", "note"] = "line"
    hollow: bool = False

    def indent(self) -> float:
        """Pixels before its words."""
        return 0.0 if self.kind == "note" else self.sample() + AFTER_SAMPLE

    def sample(self) -> float:
        """Pixels of what it shows: a mark alone needs few."""
        return MARK_SAMPLE if self.kind == "mark" else SAMPLE


def series_key(words: str, position: int) -> Key:
    """The key of the n-th level."""
    tone, dash = series_style(position)
    return Key(words, tone, dash, series_marker(position))


@dataclass(frozen=True, slots=True)
class Keys:
    """Keys in as many rows as a width needs, and their height."""

    places: Sequence[tuple[Key, float, float, Sequence[str]]] = field(default_factory=tuple)
    height: float = 0.0


def keys_in(keys: Sequence[Key], width: float) -> Keys:
    """Keys side by side while they fit, each with its words wrapped to what is left."""
    places: list[tuple[Key, float, float, Sequence[str]]] = []
    left, top, tallest = 0.0, 0.0, 0
    for key in keys:
        lines = wrapped(key.words, width - key.indent())
        taken = key.indent() + max(map(text_width, lines))
        if left and left + taken > width:
            left, top, tallest = 0.0, top + tallest * LINE + 2, 0
        places.append((key, left, top, lines))
        left, tallest = left + taken + BETWEEN_KEYS, max(tallest, len(lines))
    return Keys(places, top + tallest * LINE if places else 0.0)


def draw_keys(page: Panel, keys: Keys, left: float, top: float) -> None:
    """Every key: its sample, then its words."""
    for key, across, down, lines in keys.places:
        x, y = left + across, top + down + LINE / 2
        if key.kind != "note":
            draw_sample(page, key, x, y, key.sample())
        write(page, lines, x + key.indent(), top + down, "muted")


def draw_sample(page: Panel, key: Key, x: float, y: float, length: float = SAMPLE) -> None:
    """What a key looks like, from x to the right."""
    ends = [x, x + length]
    if key.kind == "shade":
        page.area(ends, [y - 5] * 2, [y + 5] * 2, key.tone, 1.0, order=0.5)
        return
    if key.kind != "mark":
        page.line(ends, [y, y], key.tone, key.width, key.dash)
    if key.kind == "ends":
        ticks(page, ends, y, key.tone)
    if key.marker:
        page.marks([x + length / 2], [y], key.tone, key.marker, 5.5, hollow=key.hollow)


def ticks(panel: Panel, places: Sequence[float], y: float, tone: str, half: float = 4.0) -> None:
    """Short upright strokes at the ends of an interval; y in pixels."""
    for x in places:
        panel.line([x, x], [y - half, y + half], tone, 1.0)


@dataclass(frozen=True, slots=True)
class Row:
    """Where a row's label begins and where its lane is, in pixels from the top of the rows."""

    lines: Sequence[str]
    top: float
    lane: float


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows from top to bottom, labels left of their lanes or above them."""

    rows: Sequence[Row]
    height: float
    lane: float
    labels: float
    """Width left of the lanes; 0 where labels stand above."""


def rows_of(
    labels: Sequence[str], lane: float, width: float, *, above: bool, gap: float = 6.0
) -> Rows:
    """Rows with lanes `lane` pixels high and labels at most `width` wide, wrapped."""
    rows: list[Row] = []
    top, widest = gap / 2, 0.0
    for label in labels:
        lines = wrapped(label, width)
        words = len(lines) * LINE
        widest = max([widest, *map(text_width, lines)])
        if above:
            rows.append(Row(lines, top, top + words + lane / 2))
            top += words + lane + gap
        else:
            height = max(words, lane)
            rows.append(Row(lines, top + (height - words) / 2, top + height / 2))
            top += height + gap
    return Rows(rows, top - gap / 2, lane, 0.0 if above else widest)


def write_rows(page: Panel, rows: Rows, left: float, top: float) -> None:
    """The labels of rows that begin at `top`."""
    for row in rows.rows:
        write(page, row.lines, left, top + row.top)


def upright(
    panel: Panel, x: float, rows: Rows | None, tone: str, dash: Any = "solid", order: float = 1.5
) -> None:
    """A line at one x over the height of a panel; beside the lanes only, under labels above them.

    A panel with rows has its y in pixels.
    """
    if rows is None or rows.labels or not rows.rows:
        panel.line([x, x], panel.y, tone, 1.0, dash, order=order)
        return
    half = rows.lane / 2
    y = [end for row in rows.rows for end in (row.lane - half, row.lane + half, math.nan)]
    panel.line([x] * len(y), y, tone, 1.0, dash, order=order)


def line_ends(
    panel: Panel, names: Sequence[Key], ends: Sequence[tuple[float, float]], *, beside: bool
) -> None:
    """Right of a panel the mark of every line, and its name where names fit `beside` it.

    `ends` are the last points of the lines, which the marks are led to.
    """
    low, high = panel.y
    across = (panel.x[1] - panel.x[0]) / panel.box.width
    mark, pixel = panel.x[1] + 9 * across, (high - low) / panel.box.height
    places = spread([end for _, end in ends], LINE * pixel, low, high)
    for key, y, (at, end) in zip(names, places, ends, strict=True):
        panel.line([at + 3 * across, mark - 5 * across], [end, y], "axis", 0.6, order=1.6)
        panel.marks([mark], [y], key.tone, key.marker, 5.0)
        if beside:
            panel.text(panel.x[1], y, key.words, "ink", shift=(ENDS, 0))
