"""Gains as rows of dots: every configuration with its intervals, its numbers and its price."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np

from ablatekit.analysis.core.lookup import blocking_levels, widest
from ablatekit.analysis.core.schema.analysis import Analysis, ResponseAnalysis
from ablatekit.analysis.core.schema.effects import Configuration
from ablatekit.analysis.core.schema.vocabulary import Number, Verdict
from ablatekit.report.document import PHONE, FigureData, Picture, figure_data, slug
from ablatekit.report.figures.labels import (
    LINE,
    Key,
    Row,
    Rows,
    draw_keys,
    inside,
    keys_in,
    rows_of,
    sheet,
    ticks,
    wrapped,
    write,
    write_rows,
    x_ticks,
)
from ablatekit.report.figures.panel import Box, Limits, Panel
from ablatekit.report.figures.style import fitted, floats, padded, text_width
from ablatekit.report.language import alternatives
from ablatekit.report.language.captions import with_unit
from ablatekit.report.language.numbers import Scale, absent, scale_of, sentence
from ablatekit.report.language.scopes import within
from ablatekit.report.language.verdicts import EFFECT_MARKS, look, word

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 700.0
SIDE, LANE, LOW_LANE, GAP, SMALL_GAP, FOOT, COLUMN_GAP = 8.0, 16.0, 13.0, 6.0, 2.0, 38.0, 8.0
LABELS, CLOSE_LABELS, LEAST_PLOT, LEAST_ROWS, MARK = 0.32, 0.38, 110.0, 3, 7.5
"""Shares of the width that names may take, wrapped or on one line; pixels that the panel has before
intervals are printed; rows that are left, however low a figure must be."""
TONES = ("muted", "ink")
"""Of the intervals of the first and the second response; one alone has the second."""
MOST_OF_SCOPES = 2.0
"""How far intervals over scopes widen the axis, in widths of what the gains here span."""


@dataclass(frozen=True, slots=True)
class DotMark:
    """A gain on one response: its interval here, and the one over the widest scope."""

    estimate: Number
    low: Number
    high: Number
    verdict: Verdict
    wide_low: Number = None
    wide_high: Number = None


@dataclass(frozen=True, slots=True)
class DotRow:
    """One configuration: a gain per response in the order of the axes, and its price.

    The row of the baseline has no gains.
    """

    name: str
    marks: Sequence[DotMark]
    price: Number = None
    baseline: bool = False


@dataclass(frozen=True, slots=True)
class DotAxes:
    """What the axis shows, and how; two `responses` share it where they have one unit.

    `scope` is what the widest scope is called, empty where there is none.
    """

    title: str
    scale: Scale
    smallest_effect: Number = None
    lower_is_better: bool = False
    responses: Sequence[str] = ("",)
    scope: str = ""
    priced: bool = False

    def tones(self) -> Sequence[str]:
        """The tone of every response's intervals."""
        return TONES[-len(self.responses) :]

    def printed(self, mark: DotMark) -> tuple[str, str]:
        """A gain and its interval as written: the one here, else that over the widest scope."""
        if absent(mark.estimate):
            return word(mark.verdict), ""
        ends = (mark.wide_low, mark.wide_high) if absent(mark.low) else (mark.low, mark.high)
        interval = "" if absent(ends[0]) else self.scale.interval(*ends)
        return self.scale.effect(mark.estimate), interval

    def told(self, mark: DotMark) -> str:
        """The same in one line."""
        return " ".join(filter(None, self.printed(mark)))


@dataclass(frozen=True, slots=True)
class PrintedColumns:
    """Pixels of the printed gains, of their intervals and of the prices."""

    gain: float
    interval: float
    price: float

    def width(self) -> float:
        """All of them with the room between them."""
        return sum(part + COLUMN_GAP for part in (self.gain, self.interval, self.price) if part)


def dots_pictures(analysis: Analysis) -> list[Picture]:
    """Every configuration's gains: learning and generalization together, others one by one."""
    groups = axis_groups(analysis, "configurations")
    pictures = [_picture(analysis, name, names) for name, names in groups.items()]
    return [picture for picture in pictures if picture is not None]


def axis_groups(
    analysis: Analysis, part: Literal["configurations", "dose"]
) -> dict[str, list[str]]:
    """Responses that share a figure: those of a comparison in one unit, others one by one."""
    compared = {
        name: [gap["learning"], gap["generalization"]]
        for name, gap in analysis.get("comparisons", {}).items()
        if _in_one_unit(analysis, [gap["learning"], gap["generalization"]], part)
    }
    paired = {name for pair in compared.values() for name in pair}
    single = {name: [name] for name in analysis["responses"] if name not in paired}
    return compared | single


def _in_one_unit(
    analysis: Analysis, names: Sequence[str], part: Literal["configurations", "dose"]
) -> bool:
    """Whether all of them were analysed, have that part and may share an axis."""
    responses = [analysis["responses"].get(name) for name in names]
    kinds = {
        (one["unit"], one["direction"], bool(one.get(part))) if one else None for one in responses
    }
    return len(kinds) == 1 and None not in kinds


def _picture(analysis: Analysis, name: str, names: Sequence[str]) -> Picture | None:
    responses = [analysis["responses"][one] for one in names]
    last = responses[-1]
    scales = [scale_of(response) for response in responses]
    labels = [response["label"] for response in responses]
    axes = DotAxes(
        alternatives.gains_in(labels),
        max(scales, key=lambda scale: scale.decimals),
        last["smallest_effect"],
        last["direction"] == "lower",
        labels,
        _scope(analysis, responses),
        any(row["price"] is not None for row in _rows_of(last)),
    )
    rows = dot_rows(responses)
    if len(rows) < 2:
        return None
    told = (
        alternatives.dots_row(row.name, [axes.told(mark) for mark in row.marks])
        for row in rows
        if not row.baseline
    )
    return Picture(
        id=f"dots-{slug(name)}",
        title=sentence(" and ".join(labels)),
        alt=alternatives.joined(f"{sentence(axes.title)}.", told),
        draw=partial(draw_dots, rows, axes),
        narrow=partial(draw_dots, rows, axes, PHONE),
        data=partial(dots_data, rows, axes),
    )


def _rows_of(response: ResponseAnalysis) -> Sequence[Configuration]:
    configurations = response.get("configurations")
    return configurations["rows"] if configurations else []


def _scope(analysis: Analysis, responses: Sequence[ResponseAnalysis]) -> str:
    """What the thin intervals generalise over, in words; empty where there are none."""
    rows = [row for response in responses for row in _rows_of(response) if row["scope"]]
    known = widest([row for row in rows if row["low"] is not None])
    return within(known["scope"], blocking_levels(analysis)) if known else ""


def dot_rows(responses: Sequence[ResponseAnalysis]) -> list[DotRow]:
    """Every configuration and the baseline, from the best to the worst on the last response."""
    by_cell: dict[str, list[list[Configuration]]] = {}
    for place, response in enumerate(responses):
        for row in _rows_of(response):
            by_cell.setdefault(row["level"], [[] for _ in responses])[place].append(row)
    rows = [
        DotRow(name, [_mark(rows) for rows in cell], next((row["price"] for row in cell[-1]), None))
        for name, cell in by_cell.items()
    ]
    priced = any(row.price is not None for row in rows)
    rows.append(DotRow(alternatives.BASELINE, [], 1.0 if priced else None, baseline=True))
    sign = 1.0 if responses[-1]["direction"] == "lower" else -1.0

    def place_of(row: DotRow) -> tuple[bool, float]:
        gain = 0.0 if row.baseline else row.marks[-1].estimate
        return absent(gain), sign * (gain or 0.0)

    return sorted(rows, key=place_of)


def _mark(rows: Sequence[Configuration]) -> DotMark:
    """The narrow row and the widest broad one; the verdict of the first that has one."""
    here = next((row for row in rows if row["inference"] == "narrow"), None)
    beyond = widest([row for row in rows if row["inference"] == "broad"])
    known = [row for row in (here, beyond) if row is not None and row["estimate"] is not None]
    if not known:
        return DotMark(None, None, None, rows[0]["verdict"] if rows else "not_estimated")
    judged = next((row for row in known if row["verdict"] != "not_estimated"), known[0])
    return DotMark(
        known[0]["estimate"],
        here["low"] if here else None, here["high"] if here else None,
        judged["verdict"],
        beyond["low"] if beyond else None, beyond["high"] if beyond else None,
    )  # fmt: skip


def draw_dots(
    rows: Sequence[DotRow], axes: DotAxes, width: float = WIDTH, tallest: float = math.inf
) -> Figure:
    """Thick: the interval here, mark by verdict; thin with ends: over the widest scope.

    Where rows need more than `tallest` they close up, and those in the middle are counted only.
    """
    columns = _columns(rows, axes)
    keys = keys_in(list(_keys(rows, axes)), width - 2 * SIDE)
    title = wrapped(with_unit(axes.title, axes.scale.unit), width - 2 * SIDE)
    top = len(title) * LINE + keys.height + 8 + (LINE if axes.priced else 0)
    rows, places, lane = _fitting(rows, len(axes.responses), width, tallest - top - FOOT)
    left = SIDE + (places.labels + COLUMN_GAP if places.labels else 0)
    if width - left - SIDE - columns.width() < LEAST_PLOT:
        columns = replace(columns, interval=0.0)
    page = sheet(width, top + max(places.height, LANE) + FOOT)
    write(page, title, SIDE, 0)
    draw_keys(page, keys, SIDE, len(title) * LINE + 2)
    box = Box(left, top, width - left - SIDE - columns.width(), max(places.height, LANE))
    panel = inside(page, box, _limits(rows, axes))
    _background(page, panel, axes)
    write_rows(page, places, SIDE, top)
    for row, place in zip(rows, places.rows, strict=True):
        _draw_row(panel, row, place, axes, columns, lane)
    if axes.priced:
        write(page, [alternatives.PRICE], width - SIDE, top - LINE, "muted", "right")
    return page.figure


def dots_data(rows: Sequence[DotRow], axes: DotAxes) -> FigureData:
    """What the figure shows, one record per configuration and response."""
    return figure_data(
        [
            {
                "configuration": row.name, "response": label, "gain": mark.estimate,
                "low": mark.low, "high": mark.high, "low_over_scope": mark.wide_low,
                "high_over_scope": mark.wide_high, "verdict": mark.verdict, "price": row.price,
            }
            for row in rows
            for label, mark in zip(axes.responses, row.marks, strict=False)
        ]
    )  # fmt: skip


def _columns(rows: Sequence[DotRow], axes: DotAxes) -> PrintedColumns:
    printed = [axes.printed(mark) for row in rows for mark in row.marks]
    prices = [alternatives.times(row.price) for row in rows] if axes.priced else []
    return PrintedColumns(
        max((text_width(gain) for gain, _ in printed), default=0.0),
        max((text_width(interval) for _, interval in printed), default=0.0),
        max(map(text_width, [*prices, alternatives.PRICE])) if axes.priced else 0.0,
    )


def _keys(rows: Sequence[DotRow], axes: DotAxes) -> Iterator[Key]:
    """The responses where there are two, the marks that occur, the thin interval, the shade."""
    if len(axes.responses) > 1:
        for label, tone in zip(axes.responses, axes.tones(), strict=True):
            yield Key(label, tone, width=5.0)
    marks = [mark for row in rows for mark in row.marks if not absent(mark.estimate)]
    yield from verdict_keys({mark.verdict for mark in marks})
    if axes.scope and any(not absent(mark.wide_low) for mark in marks):
        yield Key(axes.scope, "muted", width=1.0, kind="ends")
    if axes.smallest_effect:
        within = alternatives.within(axes.scale.amount(axes.smallest_effect))
        yield Key(within, "band", kind="shade")


def verdict_keys(shown: Set[Verdict]) -> Iterator[Key]:
    """The marks of those verdicts."""
    for verdict in [name for name in EFFECT_MARKS if name in shown]:
        shape = look(verdict)
        hollow = shape.tone == "open"
        yield Key(word(verdict), shape.tone, marker=shape.marker, kind="mark", hollow=hollow)


def _fitting(
    rows: Sequence[DotRow], lanes: int, width: float, height: float
) -> tuple[Sequence[DotRow], Rows, float]:
    """Rows, their places, and how far lanes are apart.

    Names are wrapped; else rows are closer with names of one line; else there are fewer.
    """
    labels, above = LABELS * width, width <= PHONE
    names = [row.name for row in rows]
    places = rows_of(names, LANE * lanes, width - 2 * SIDE if above else labels, above=above)
    if places.height <= height:
        return rows, places, LANE
    lane = max(LOW_LANE, LINE / lanes)
    kept = _extremes(rows, max(int(height / (lane * lanes + SMALL_GAP)), LEAST_ROWS))
    labels = CLOSE_LABELS * width
    names = [fitted(row.name, labels) for row in kept]
    places = rows_of(names, lane * lanes, labels, above=False, gap=SMALL_GAP)
    return kept, places, lane


def _extremes(rows: Sequence[DotRow], most: int) -> Sequence[DotRow]:
    """The first rows, the baseline's and the last one, and how many are between."""
    if len(rows) <= most:
        return rows
    first, last = list(rows[: most - 2]), rows[-1]
    baseline = [row for row in rows[most - 2 : -1] if row.baseline]
    first[len(first) - len(baseline) :] = baseline
    left_out = alternatives.left_out(len(rows) - len(first) - 1)
    return [*first, DotRow(left_out, []), last]


def _limits(rows: Sequence[DotRow], axes: DotAxes) -> Limits:
    """Limits that hold every interval here, and as much of others as leaves those visible."""
    smallest = axes.smallest_effect or 0.0
    near: list[Number] = [0.0, smallest, -smallest]
    far: list[Number] = []
    for mark in (mark for row in rows for mark in row.marks):
        near += [mark.estimate, mark.low, mark.high]
        far += [mark.wide_low, mark.wide_high]
    low, high = padded(near)
    farthest = padded([*near, *far])
    room = (MOST_OF_SCOPES - 1) / 2 * (high - low)
    return max(farthest[0], low - room), min(farthest[1], high + room)


def _background(page: Panel, panel: Panel, axes: DotAxes) -> None:
    if axes.smallest_effect:
        panel.band(-axes.smallest_effect, axes.smallest_effect)
    x_ticks(panel, axes.scale)
    panel.vertical(0, "axis", 1.0)
    bottom = panel.box.top + panel.box.height + 20
    first, last = alternatives.BETTER_WORSE["lower" if axes.lower_is_better else "higher"]
    write(page, [first], panel.box.left, bottom, "muted")
    write(page, [last], panel.box.left + panel.box.width, bottom, "muted", "right")


def _draw_row(
    panel: Panel, row: DotRow, place: Row, axes: DotAxes, columns: PrintedColumns, lane: float
) -> None:
    """The lanes of one configuration, joined where both have a gain, and its price."""
    if axes.priced and row.price is not None:
        price = alternatives.times(row.price)
        panel.text(panel.x[1], place.lane, price, ha="right", shift=(columns.width(), 0))
    if row.baseline:
        panel.marks([0.0], [place.lane], "ink", "D", MARK)
    places: list[tuple[float, float]] = []
    for number, (mark, tone) in enumerate(zip(row.marks, axes.tones(), strict=False)):
        y = place.lane + (number - (len(row.marks) - 1) / 2) * lane
        _print(panel, axes.printed(mark), y, tone, columns)
        if not absent(mark.estimate):
            _draw_scope(panel, mark, y)
            if len(row.marks) > 1:
                panel.interval(mark.low, mark.high, y, tone, 5.0)
            else:
                panel.interval(mark.low, mark.high, y, look(mark.verdict).tone, 2.4)
            places.append((float(mark.estimate or 0.0), y))
    panel.line([x for x, _ in places], [y for _, y in places], "muted", 1.0)
    known = [mark for mark in row.marks if not absent(mark.estimate)]
    for mark, (x, y) in zip(known, places, strict=True):
        shape = look(mark.verdict)
        tip = f"{row.name}: {axes.told(mark)}"
        hollow = shape.tone == "open"
        panel.marks([x], [y], shape.tone, shape.marker, MARK, hollow=hollow, tip=tip)


def _print(
    panel: Panel, printed: tuple[str, str], y: float, tone: str, columns: PrintedColumns
) -> None:
    """The gain and its interval right of the panel; a verdict without a gain from their left."""
    gain, interval = printed
    end = COLUMN_GAP + columns.gain
    panel.text(panel.x[1], y, gain, tone, ha="right", shift=(end, 0))
    if columns.interval:
        panel.text(panel.x[1], y, interval, "muted", shift=(end + COLUMN_GAP, 0))


def _draw_scope(panel: Panel, mark: DotMark, y: float) -> None:
    """A thin line with ticks at its ends; an arrow where it leaves the axis."""
    ends = floats([mark.wide_low, mark.wide_high])
    if not np.isfinite(ends).all():
        return
    shown = np.clip(ends, *panel.x)
    panel.line(shown, [y, y], "muted", 1.0, order=1.8)
    for place, wanted, marker in zip(shown, ends, "<>", strict=True):
        if place == wanted:
            ticks(panel, [place], y, "muted")
        else:
            panel.marks([place], [y], "muted", marker, 4.0)
