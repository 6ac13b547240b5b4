"""Two studies side by side: both effects of every level on one axis, their difference beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ablatekit.analysis.core.schema.vocabulary import Number
from ablatekit.report.document import PHONE
from ablatekit.report.figures.labels import (
    LINE,
    Key,
    Keys,
    Row,
    Rows,
    draw_keys,
    inside,
    keys_in,
    rows_of,
    sheet,
    upright,
    wrapped,
    write,
    write_rows,
    x_ticks,
)
from ablatekit.report.figures.panel import Box, Limits, Panel
from ablatekit.report.figures.style import padded, text_width
from ablatekit.report.language import alternatives
from ablatekit.report.language.numbers import Scale, absent
from ablatekit.report.language.verdicts import Look

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH, LABELS, SIDE, TICKS, FOOT, BETWEEN = 620.0, 170.0, 10.0, 20.0, 16.0, 8.0
LANE, NARROW_LANE = 18.0, 15.0
"""Height of one study's lane; that of a phone leaves the figure on its first screen."""
LEAST_PLOT = 120.0
"""Pixels that an axis needs before differences are printed beside it."""
TONES, MARKERS = ("series-1", "series-2"), ("o", "D")
"""Of the first and the second study."""


@dataclass(frozen=True, slots=True)
class PairedMark:
    """What one study says of a level; `tip` says it in words."""

    estimate: Number
    low: Number
    high: Number
    tip: str = ""


@dataclass(frozen=True, slots=True)
class PairedRow:
    """A level in both studies; `difference` and `agreement` are printed one above the other."""

    name: str
    marks: tuple[PairedMark, PairedMark]
    difference: str
    agreement: str
    look: Look


@dataclass(frozen=True, slots=True)
class PairedPanel:
    """The levels on one response; those in one unit share the ends of their axis."""

    title: str
    rows: Sequence[PairedRow]
    scale: Scale
    limits: Limits
    smallest_effect: Number = None
    direction: str = "higher"


@dataclass(frozen=True, slots=True)
class Paired:
    """The whole figure: panels one under the other; `studies` are the names of the two."""

    studies: tuple[str, str]
    panels: Sequence[PairedPanel]
    heading: str


def paired_limits(rows: Sequence[PairedRow], smallest_effect: Number) -> Limits:
    """Ends of an axis that holds every interval, zero, and effects too small to matter."""
    ends: list[Number] = [0.0, smallest_effect, -(smallest_effect or 0.0)]
    ends += [end for row in rows for mark in row.marks for end in (mark.low, mark.high)]
    return padded([*ends, *(mark.estimate for row in rows for mark in row.marks)], 0.04)


@dataclass(frozen=True, slots=True)
class _Plan:
    """Where everything goes: the rows of every panel, and the axes' left end and width."""

    width: float
    titles: Sequence[Sequence[str]]
    rows: Sequence[Rows]
    left: float
    across: float
    beside: bool
    keys: Keys

    def height(self, panel: int) -> float:
        """Of a panel with its title and the numbers of its axis."""
        return LINE * len(self.titles[panel]) + 4 + self.rows[panel].height + TICKS


def draw_paired(paired: Paired, *, narrow: bool = False) -> Figure:
    """Two lanes a level, the first study above; where both have a number they are joined."""
    plan = _planned(paired, narrow=narrow)
    top = plan.keys.height + 6
    heights = [plan.height(number) for number in range(len(paired.panels))]
    total = top + sum(heights) + BETWEEN * (len(heights) - 1) + FOOT
    page = sheet(plan.width, total)
    draw_keys(page, plan.keys, 0, 0)
    if plan.beside:
        write(page, [paired.heading], plan.left + plan.across + SIDE, top, "muted")
    for number, height in enumerate(heights):
        _draw_panel(page, paired.panels[number], plan, number, top)
        top += height + BETWEEN
    _foot(page, paired, plan, top - BETWEEN + 2)
    return page.figure


def _planned(paired: Paired, *, narrow: bool) -> _Plan:
    width = PHONE if narrow else WIDTH
    every = [row for panel in paired.panels for row in panel.rows]
    column = max((text_width(line) for row in every for line in _beside(row)), default=0.0)
    beside = width - column - 3 * SIDE - (0 if narrow else LABELS) >= LEAST_PLOT
    lanes, room = (2 * NARROW_LANE, width) if narrow else (2 * LANE, LABELS)
    rows = [
        rows_of(
            [_label(row, paired.heading, beside=beside) for row in panel.rows],
            lanes, room, above=narrow, gap=5.0,
        )
        for panel in paired.panels
    ]  # fmt: skip
    left = SIDE + max(part.labels for part in rows)
    across = width - left - SIDE - (column + SIDE if beside else 0)
    titles = [wrapped(panel.title, left + across) for panel in paired.panels]
    return _Plan(width, titles, rows, left, across, beside, keys_in(list(_keys(paired)), width))


def _beside(row: PairedRow) -> tuple[str, str]:
    return row.difference, f"{row.look.glyph} {row.agreement}"


def _label(row: PairedRow, heading: str, *, beside: bool) -> str:
    """The level, and its difference where there is no room for it on the right."""
    return row.name if beside else f"{row.name}: {heading} {', '.join(_beside(row))}"


def _keys(paired: Paired) -> Iterator[Key]:
    for study, tone, marker in zip(paired.studies, TONES, MARKERS, strict=True):
        yield Key(study, tone, marker=marker, width=3.0)
    sizes = {panel.scale.amount(panel.smallest_effect) for panel in paired.panels
             if panel.smallest_effect}  # fmt: skip
    if len(sizes) == 1:
        yield Key(alternatives.within(sizes.pop()), "band", kind="shade")


def _draw_panel(page: Panel, panel: PairedPanel, plan: _Plan, number: int, top: float) -> None:
    rows, title = plan.rows[number], plan.titles[number]
    write(page, title, 0, top)
    top += LINE * len(title) + 4
    drawn = inside(page, Box(plan.left, top, plan.across, rows.height), panel.limits)
    if panel.smallest_effect:
        drawn.band(
            max(-panel.smallest_effect, panel.limits[0]),
            min(panel.smallest_effect, panel.limits[1]),
        )
    x_ticks(drawn, panel.scale, 6, rows=rows)
    upright(drawn, 0, rows, "axis")
    write_rows(page, rows, 0, top)
    for row, place in zip(panel.rows, rows.rows, strict=True):
        _draw_row(drawn, row, place, rows.lane / 2, beside=plan.beside)


def _draw_row(panel: Panel, row: PairedRow, place: Row, lane: float, *, beside: bool) -> None:
    lanes = [place.lane - lane / 2, place.lane + lane / 2]
    known = [
        (float(mark.estimate or 0.0), y)
        for mark, y in zip(row.marks, lanes, strict=True)
        if not absent(mark.estimate)
    ]
    if len(known) == 2:
        panel.line([x for x, _ in known], lanes, "axis", 1.0)
    for mark, y, tone, marker in zip(row.marks, lanes, TONES, MARKERS, strict=True):
        if not absent(mark.estimate):
            panel.interval(mark.low, mark.high, y, tone, 3.0)
            panel.marks([mark.estimate], [y], tone, marker, 6.0, tip=mark.tip)
    if beside:
        for words, y, tone in zip(_beside(row), lanes, ("ink", "muted"), strict=True):
            panel.text(panel.x[1], y, words, tone, shift=(SIDE, 0))


def _foot(page: Panel, paired: Paired, plan: _Plan, top: float) -> None:
    """Which side is better, where it is the same for all panels."""
    directions = {panel.direction for panel in paired.panels}
    words = alternatives.BETTER_WORSE[directions.pop()] if len(directions) == 1 else ("", "")
    write(page, [words[0]], plan.left, top, "muted")
    write(page, [words[1]], plan.left + plan.across, top, "muted", "right")
