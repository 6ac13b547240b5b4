"""Gain against price: every configuration a point, the best for each price a line."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ablatekit.analysis.core.schema.vocabulary import Number, Verdict
from ablatekit.report.document import PHONE
from ablatekit.report.figures.dots import DotAxes, DotMark, DotRow, draw_dots, verdict_keys
from ablatekit.report.figures.labels import (
    ELLIPSIS,
    LINE,
    Key,
    draw_keys,
    keys_in,
    sheet,
    wrapped,
    write,
)
from ablatekit.report.figures.panel import PIXELS_PER_INCH, Box, Limits, Panel, round_values
from ablatekit.report.figures.style import fitted, floats, padded, spread, text_width, tick_text
from ablatekit.report.language import alternatives
from ablatekit.report.language.captions import with_unit
from ablatekit.report.language.numbers import Scale
from ablatekit.report.language.verdicts import look, word

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Line: TypeAlias = tuple[tuple[float, float], tuple[float, float]]
SIDE, FOOT, TALLEST, TALLEST_NARROW = 8.0, 36.0, 326.0, 258.0
BEFORE_FIRST, AFTER_LAST, AFTER_LAST_NARROW = 18.0, 72.0, 44.0
"""Pixels left of the cheapest point, and right of the dearest one, where its label goes."""
WORDS, WORDS_NARROW, MOST_LINES = 150.0, 112.0, 4
"""Pixels and lines of a label; tips and data have the full name."""
LABELLED, LABELLED_NARROW = 9, 5
"""With more points only those on the frontier and the extreme ones have a label."""
MARK, SMALL_MARK = 8.5, 6.0
APART, LEAST_APART = 12.0, 5.0
"""Pixels between points of one price, which stand side by side."""
MARGIN, MOST_OF_INTERVALS = 0.06, 1.3
"""Above and below gains, and how far intervals of what is not on the frontier widen the axis."""
SHARE_OF_STEP = 0.6
"""Of the way from one price to the next that points of one price may take."""
SAME_PRICE = 1.5
"""Prices that differ by less than this ratio are no axis; they stand beside the points."""
DISTANCES = (8.0, 14.0, 22.0, 34.0, 50.0, 70.0, 95.0, 125.0, 160.0)
LEADER_FROM, LABELS_APART = 20.0, 5.0
DIRECTIONS = ((1, 0), (1, -1), (1, 1), (-1, 0), (-1, -1), (-1, 1), (0, -1), (0, 1))
CROSSED, ALONG, DEAR, MISSING_LABEL = 30.0, 1.0, 110.0, 1000.0
"""In pixels from its point: what a line under a label costs, and its share for a line that a leader
meets; what labels may and must cost."""


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

    @property
    def title(self) -> str:
        """Its name, or that it is the baseline."""
        return " ".join(self.name.split()) or alternatives.BASELINE


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


@dataclass(frozen=True, slots=True)
class Rect:
    """A rectangle in pixels from the upper left corner."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Rect) -> bool:
        """Whether the two share a pixel."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )

    def wider(self, pixels: float) -> Rect:
        """The same with room left and right of it."""
        return Rect(self.left - pixels, self.top, self.right + pixels, self.bottom)

    def inside(self, other: Rect) -> bool:
        """Whether all of it lies in the other."""
        return (
            other.left <= self.left
            and other.top <= self.top
            and self.right <= other.right
            and self.bottom <= other.bottom
        )


@dataclass(frozen=True, slots=True)
class Label:
    """Words with their place, and where a thin line leads from their point to them."""

    lines: Sequence[str]
    rect: Rect
    leader: Line | None


@dataclass(frozen=True, slots=True)
class Placed:
    """A point with its place in pixels; its interval reaches from `top` to `bottom`."""

    point: FrontierPoint
    x: float
    y: float
    top: float
    bottom: float

    def mark(self) -> Rect:
        """Where its mark is."""
        half = MARK / 2 + 1
        return Rect(self.x - half, self.y - half, self.x + half, self.y + half)


def draw_frontier(points: Sequence[FrontierPoint], axes: FrontierAxes, width: float) -> Figure:
    """Better is up; from left to right the price, on a log axis.

    Without prices, or where all are the same, one row per point from the best to the worst.
    """
    known = [point for point in points if math.isfinite(point.estimate)]
    if axes.price and len(_prices(known)) == len(known) > 1 and _differ(_prices(known)):
        return _scatter(known, axes, width)
    return _dots(known, axes, width)


def _prices(points: Sequence[FrontierPoint]) -> list[float]:
    return [
        point.price for point in points if point.price is not None and 0 < point.price < math.inf
    ]


def _differ(prices: Sequence[float]) -> bool:
    return max(prices) > SAME_PRICE * min(prices)


def _dots(points: Sequence[FrontierPoint], axes: FrontierAxes, width: float) -> Figure:
    sign = 1.0 if axes.lower_is_better else -1.0
    rows = [
        DotRow(
            point.title,
            [] if point.baseline
            else [DotMark(point.estimate, point.low, point.high, point.verdict)],
            point.price,
            point.baseline,
        )
        for point in sorted(points, key=lambda point: sign * point.estimate)
    ]  # fmt: skip
    dots = DotAxes(
        axes.gain, axes.scale, axes.smallest_effect, axes.lower_is_better,
        priced=bool(axes.price) and bool(_prices(points)),
    )  # fmt: skip
    return draw_dots(rows, dots, width, TALLEST_NARROW if width <= PHONE else TALLEST)


def _scatter(points: Sequence[FrontierPoint], axes: FrontierAxes, width: float) -> Figure:
    narrow = width <= PHONE
    page = sheet(width, TALLEST_NARROW if narrow else TALLEST)
    keys = keys_in(list(_keys(points, axes)), width - 2 * SIDE)
    title = wrapped(alternatives.better_up(with_unit(axes.gain, axes.scale.unit)), width - SIDE)
    write(page, title, SIDE, 0)
    draw_keys(page, keys, SIDE, len(title) * LINE + 2)
    panel = _panel(page, points, axes, len(title) * LINE + keys.height + 12)
    placed = _placed(panel, points)
    _background(panel, axes)
    steps = _steps(panel, placed)
    page.line([x for x, _ in steps], [y for _, y in steps], "muted", 1.4)
    for place in placed:
        _draw_point(page, panel, place, axes)
    for label in _labels(panel, placed, steps, axes):
        if label.leader:
            (x, y), (to_x, to_y) = label.leader
            page.line([x, to_x], [y, to_y], "axis", 0.8)
        write(page, label.lines, label.rect.left, label.rect.top)
    write(page, [axes.price], width - SIDE, page.y[0] - LINE - 2, "muted", "right")
    return page.figure


def _keys(points: Sequence[FrontierPoint], axes: FrontierAxes) -> Iterator[Key]:
    """The marks that occur, the line and the shade."""
    yield from verdict_keys({point.verdict for point in points if not point.baseline})
    yield Key(alternatives.FRONTIER, "muted", width=1.4)
    if axes.smallest_effect:
        within = alternatives.within(axes.scale.amount(axes.smallest_effect))
        yield Key(within, "band", kind="shade")


def _panel(page: Panel, points: Sequence[FrontierPoint], axes: FrontierAxes, top: float) -> Panel:
    """Log price from left to right, better upwards."""
    low, high = _gains(points, axes)
    numbers = round_values((low, high), axes.scale.factor, 5)
    left = max(text_width(tick_text(value * axes.scale.factor)) for value in numbers) + SIDE + 6
    box = Box(left, top, page.x[1] - left - 2, page.y[0] - top - FOOT)
    after = AFTER_LAST_NARROW if page.x[1] <= PHONE else AFTER_LAST
    places = [0.0, *map(math.log2, _prices(points))]
    pixel = (max(places) - min(places)) / (box.width - BEFORE_FIRST - after)
    x = min(places) - BEFORE_FIRST * pixel, max(places) + after * pixel
    return Panel(page.figure, box, x, (high, low) if axes.lower_is_better else (low, high))


def _gains(points: Sequence[FrontierPoint], axes: FrontierAxes) -> Limits:
    """Limits that hold every gain; all intervals where they leave the gains room to differ."""
    smallest = axes.smallest_effect or 0.0
    near: list[Number] = [0.0, smallest, -smallest]
    far: list[Number] = []
    for point in points:
        near += [point.estimate, *([point.low, point.high] if point.on_frontier else [])]
        far += [point.low, point.high]
    low, high = padded(near, MARGIN)
    farthest = padded([*near, *far], MARGIN)
    room = (MOST_OF_INTERVALS - 1) * (high - low)
    return max(farthest[0], low - room), min(farthest[1], high + room)


def _placed(panel: Panel, points: Sequence[FrontierPoint]) -> list[Placed]:
    """Points from left to right, those of one price side by side, the best at the right.

    The baseline stands at its price exactly: it is the origin.
    """
    ordered = sorted(points, key=lambda point: (point.price, panel.up(point.estimate)))
    wanted = [_pixels(panel.across(math.log2(point.price or 1.0))) for point in ordered]
    edges = panel.box.left + MARK, panel.box.left + panel.box.width - MARK
    others = [x for x, point in zip(wanted, ordered, strict=True) if not point.baseline]
    aside = iter(spread(others, _apart(others), *edges) if others else ())
    return [
        Placed(
            point, x if point.baseline else next(aside), _down(panel, point.estimate),
            *_interval(panel, point),
        )
        for point, x in zip(ordered, wanted, strict=True)
    ]  # fmt: skip


def _interval(panel: Panel, point: FrontierPoint) -> tuple[float, float]:
    """The ends of its interval in pixels as far as the panel shows it, the upper one first."""
    ends = floats([point.low, point.high])
    if not np.isfinite(ends).all():
        ends = floats([point.estimate] * 2)
    top, bottom = sorted(_down(panel, end) for end in np.clip(ends, min(panel.y), max(panel.y)))
    return top, bottom


def _apart(wanted: Sequence[float]) -> float:
    """Pixels between points of one price: fewer where many would reach the next price."""
    rounded = [round(x / APART) for x in wanted]
    crowd = max(map(rounded.count, rounded))
    steps = [after - before for before, after in pairwise(wanted) if after - before > APART]
    return min(APART, max(LEAST_APART, SHARE_OF_STEP * min(steps, default=APART * crowd) / crowd))


def _pixels(inches: Any) -> float:
    return float(inches) * PIXELS_PER_INCH


def _down(panel: Panel, value: float) -> float:
    """A gain in pixels from the top of the canvas."""
    return float(panel.figure.get_size_inches()[1]) * PIXELS_PER_INCH - _pixels(panel.up(value))


def _background(panel: Panel, axes: FrontierAxes) -> None:
    smallest = axes.smallest_effect
    if smallest:
        panel.area(panel.x, [-smallest] * 2, [smallest] * 2, "band", 1.0, order=0.5)
    panel.y_numbers(axes.scale)
    panel.horizontal(0, "axis", 1.0)
    ticks = _price_ticks(panel.x, 6 if panel.box.width < PHONE else 10)
    names = {math.log2(price): alternatives.times(price) for price in ticks}
    end = panel.box.left + panel.box.width
    inside = [
        place for place, name in names.items()
        if _pixels(panel.across(place)) + text_width(name) / 2 <= end
    ]  # fmt: skip
    panel.x_ticks(inside, [names[place] for place in inside])


def _price_ticks(limits: Limits, most: int) -> list[float]:
    """Powers of two; where fewer than two are in sight, round numbers."""
    first, last = math.ceil(limits[0]), math.floor(limits[1])
    if last - first < 1:
        return [price for price in round_values((2 ** limits[0], 2 ** limits[1]), 1.0, 5) if price]
    step = math.ceil((last - first + 1) / most)
    return [2.0**power for power in range(first, last + 1) if power % step == 0]


def _steps(panel: Panel, placed: Sequence[Placed]) -> list[tuple[float, float]]:
    """The corners of the frontier, in pixels: level from a point to the next one that beats it."""
    corners: list[tuple[float, float]] = []
    for place in placed:
        if not place.point.on_frontier:
            continue
        if corners:
            corners.append((place.x, corners[-1][1]))
        corners.append((place.x, place.y))
    return [*corners, (panel.box.left + panel.box.width, corners[-1][1])] if corners else []


def _draw_point(page: Panel, panel: Panel, place: Placed, axes: FrontierAxes) -> None:
    """Its mark by verdict over its interval; smaller and thinner where a cheaper one is better.

    An arrow ends an interval that leaves the panel.
    """
    point, shape = place.point, look(place.point.verdict)
    tip = alternatives.frontier_point(
        point.title,
        axes.scale.effect(point.estimate),
        axes.scale.interval(point.low, point.high),
        f" {axes.scale.unit}".rstrip(),
        alternatives.times(point.price),
        word(point.verdict),
    )
    if point.baseline:
        page.marks([place.x], [place.y], "ink", "D", MARK - 1, tip=tip)
        return
    leads = point.on_frontier
    ends = [place.top, place.bottom]
    page.line([place.x] * 2, ends, shape.tone, 2.0 if leads else 1.0)
    edges = panel.box.top, panel.box.top + panel.box.height
    for end, edge, marker in zip(ends, edges, "^v", strict=True):
        if abs(end - edge) < 0.5:
            page.marks([place.x], [end], shape.tone, marker, 4.0)
    size = MARK if leads else SMALL_MARK
    hollow = shape.tone == "open"
    page.marks([place.x], [place.y], shape.tone, shape.marker, size, hollow=hollow, tip=tip)


def _labels(
    panel: Panel, placed: Sequence[Placed], steps: Sequence[tuple[float, float]], axes: FrontierAxes
) -> list[Label]:
    """Labels of the frontier, the best or the cheapest first, then those of others."""
    box, narrow = panel.box, panel.box.width < PHONE
    room = Rect(box.left + 3, box.top + 2, box.left + box.width - 3, box.top + box.height - 2)
    zero = _down(panel, 0.0)
    lines = [_between((place.x, place.top), (place.x, place.bottom)) for place in placed]
    lines += [_between(start, end) for start, end in pairwise(steps)]
    lines.append(_between((room.left, zero), (room.right, zero)))
    marks = [place.mark() for place in placed]
    best, others = _notable(placed, LABELLED_NARROW if narrow else LABELLED)
    words = {
        place.point: _words(place.point, axes, WORDS_NARROW if narrow else WORDS)
        for place in best + others
    }
    sides = [
        _placed_labels(order + others, words, room, marks, lines) for order in (best, best[::-1])
    ]
    return min(sides, key=lambda side: side[0])[1]


def _placed_labels(
    order: Sequence[Placed], words: Mapping[FrontierPoint, Sequence[str]], room: Rect,
    marks: Sequence[Rect], lines: Sequence[Rect],
) -> tuple[float, list[Label]]:  # fmt: skip
    """Labels one after the other, with what they cost together.

    Of the best, where the name has no room, the gain alone.
    """
    taken, labels, total = list(marks), [], 0.0
    for place in order:
        name = words[place.point]
        best = place.point.on_frontier or place.point.baseline
        cost, label = _label(place, name, room, taken, lines, MISSING_LABEL if best else DEAR)
        if best and label is None:
            _, label = _label(place, name[-1:], room, taken, lines, MISSING_LABEL)
        total += cost
        if label is not None:
            taken.append(label.rect.wider(LABELS_APART))
            labels.append(label)
    return total, labels


def _notable(placed: Sequence[Placed], most: int) -> tuple[list[Placed], list[Placed]]:
    """Points with a label: the frontier, and the others, of many only the best and the worst."""
    ordered = sorted(placed, key=lambda place: place.y)
    first = [place for place in ordered if place.point.on_frontier or place.point.baseline]
    rest = [place for place in ordered if place not in first]
    return first, rest if len(placed) <= most else rest[:1] + rest[1:][-1:]


def _words(point: FrontierPoint, axes: FrontierAxes, width: float) -> list[str]:
    """The name in lines, of whole parts where possible, and the gain."""
    lines: list[str] = []
    for part in re.split(r"(?<=,) | (?=\+ )", point.title):
        joined = f"{lines[-1]} {part}" if lines else part
        if text_width(joined) <= width:
            lines[-1:] = [joined]
        else:
            lines += wrapped(part, width)
    if len(lines) > MOST_LINES:
        lines = [*lines[: MOST_LINES - 1], fitted(lines[MOST_LINES - 1] + ELLIPSIS, width)]
    return lines if point.baseline else [*lines, axes.scale.effect(point.estimate)]


def _label(
    place: Placed, words: Sequence[str], room: Rect, taken: Sequence[Rect], lines: Sequence[Rect],
    dearest: float,
) -> tuple[float, Label | None]:  # fmt: skip
    """The label near its point that lies on the fewest lines; none that costs too much."""
    size = max(map(text_width, words)), LINE * len(words)
    best: tuple[float, Label | None] = dearest, None
    for distance, direction in product(DISTANCES, DIRECTIONS):
        rect = _beside(place, direction, distance, size, room)
        if not rect.inside(room) or any(map(rect.meets, taken)):
            continue
        label = Label(words, rect, _leader(place, rect))
        crossed: float = sum(map(rect.meets, lines)) + _met(label.leader, taken)
        crossed += ALONG * _met(label.leader, lines)
        cost = distance + DIRECTIONS.index(direction) + CROSSED * crossed
        if cost < best[0]:
            best = cost, label
    return best


def _beside(
    place: Placed, direction: tuple[int, int], distance: float, size: tuple[float, float],
    room: Rect,
) -> Rect:  # fmt: skip
    """A rectangle of that size so far from a point, moved along it into the room."""
    across, down = direction
    reach = distance * (0.75 if across and down else 1.0)
    left = place.x + across * reach - size[0] * (1 - across) / 2
    top = place.y + down * reach - size[1] * (1 - down) / 2
    if down:
        left = max(min(left, room.right - size[0]), room.left)
    if across:
        top = max(min(top, room.bottom - size[1]), room.top)
    return Rect(left, top, left + size[0], top + size[1])


def _leader(place: Placed, rect: Rect) -> Line | None:
    """From a mark to a label that is far from it."""
    to = min(max(place.x, rect.left), rect.right), min(max(place.y, rect.top), rect.bottom)
    length = math.hypot(to[0] - place.x, to[1] - place.y)
    if length < LEADER_FROM:
        return None
    share = MARK / length
    start = place.x + (to[0] - place.x) * share, place.y + (to[1] - place.y) * share
    return start, to


def _met(leader: Line | None, taken: Sequence[Rect]) -> int:
    """How many of the rectangles a leader runs through."""
    if leader is None:
        return 0
    (x, y), (to_x, to_y) = leader
    spots = [
        _between(spot, spot)
        for spot in ((x + (to_x - x) * step / 12, y + (to_y - y) * step / 12) for step in range(12))
    ]
    return sum(any(spot.meets(rect) for spot in spots) for rect in taken)


def _between(start: tuple[float, float], end: tuple[float, float]) -> Rect:
    """The rectangle of an upright or level line, a pixel wide."""
    (left, right), (top, bottom) = sorted((start[0], end[0])), sorted((start[1], end[1]))
    return Rect(left - 0.5, top - 0.5, right + 0.5, bottom + 0.5)
