"""Learning against generalization: each level a numbered point with both intervals."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ablatekit.analysis.core.lookup import Comparison
from ablatekit.analysis.core.schema.effects import Effect
from ablatekit.analysis.core.schema.vocabulary import Number, Verdict
from ablatekit.report.document import PHONE
from ablatekit.report.figures.labels import LINE, inside, sheet, wrapped, write, x_ticks, y_room
from ablatekit.report.figures.panel import Box, Limits, Panel
from ablatekit.report.figures.style import floats, padded, text_width
from ablatekit.report.language.alternatives import gap_point
from ablatekit.report.language.captions import effect_on, with_unit
from ablatekit.report.language.numbers import Scale
from ablatekit.report.language.verdicts import look, word

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH, TOP, FOOT, BETWEEN = 700.0, 10.0, 24.0, 24.0
SHAPES = (0.55, 1.25)
"""Least and largest height of the map in its widths."""
RINGS = (9.0, 13.0, 18.0, 24.0, 31.0, 39.0, 48.0, 58.0)
DIRECTIONS = 16
MARK = 6.5

Place = tuple[float, float]
Corners = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class MapPoint:
    """One level's narrow effects on both responses and its verdict on the gap.

    `number` is that of its row in the table of the gap.
    """

    number: int
    level: Comparison
    learning: Effect
    generalization: Effect
    verdict: Verdict

    def told(self, scale: Scale) -> tuple[str, tuple[str, str]]:
        """Its number and name, and both effects as shown."""
        sides = (self.learning, self.generalization)
        first, second = (scale.effect(effect["estimate"]) for effect in sides)
        return f"{self.number} {self.level.name}", (first, second)

    def estimates(self) -> Place:
        """Where it lies: the effect on learning, and on generalization."""
        return float(self.learning["estimate"] or 0), float(self.generalization["estimate"] or 0)


def draw_map(
    points: Sequence[MapPoint], labels: tuple[str, str], scale: Scale, *, narrow: bool = False
) -> Figure:
    """Points on the diagonal change both alike; a step is as long on one axis as on the other."""
    across, up = (with_unit(effect_on(label), scale.unit) for label in labels)
    x, y = _limits(points)
    left = y_room(y, scale)
    plot = PHONE - left - 6
    title, foot = wrapped(up, PHONE), wrapped(across, plot)
    top = TOP + LINE * len(title)
    height = plot * (y[1] - y[0]) / (x[1] - x[0])
    bottom = top + height + FOOT + LINE * len(foot)
    listing = _listing(points, PHONE if narrow else WIDTH - PHONE - BETWEEN)
    listed = LINE * len(listing)
    total = bottom + 8 + listed if narrow else max(bottom, top + listed)
    page = sheet(PHONE if narrow else WIDTH, total)
    panel = inside(page, Box(left, top, plot, height), x, y)
    write(page, title, 0, 0)
    write(page, foot, left + plot / 2, top + height + FOOT, ha="center")
    _background(panel, scale)
    for point in points:
        _draw_point(panel, point, scale)
    _number(page, panel, points)
    start = (0.0, bottom + 8) if narrow else (PHONE + BETWEEN, top)
    write(page, listing, *start)
    return page.figure


def _limits(points: Sequence[MapPoint]) -> tuple[Limits, Limits]:
    """Limits that hold all intervals, with one length per unit and a shape that a page can hold."""
    sides = [[point.learning for point in points], [point.generalization for point in points]]
    x, y = (padded([0.0, *_ends(effects)]) for effects in sides)
    wide, high = x[1] - x[0], y[1] - y[0]
    return _widened(x, max(wide, high / SHAPES[1])), _widened(y, max(high, wide * SHAPES[0]))


def _ends(effects: Sequence[Effect]) -> Iterator[Number]:
    for effect in effects:
        yield from (effect["low"], effect["high"], effect["estimate"])


def _widened(limits: Limits, span: float) -> Limits:
    middle = sum(limits) / 2
    return middle - span / 2, middle + span / 2


def _background(panel: Panel, scale: Scale) -> None:
    x_ticks(panel, scale)
    panel.y_numbers(scale)
    for draw, limits in ((panel.horizontal, panel.y), (panel.vertical, panel.x)):
        if limits[0] < 0 < limits[1]:
            draw(0, "axis")
    ends = [max(panel.x[0], panel.y[0]), min(panel.x[1], panel.y[1])]
    if ends[0] < ends[1]:
        panel.line(ends, ends, "axis", 1, (0, (4, 3)))
    words = f"gap {word('narrows')}", f"gap {word('widens')}"
    panel.text(panel.x[0], panel.y[1], words[0], "muted", va="top", shift=(6, -4))
    panel.text(panel.x[1], panel.y[0], words[1], "muted", ha="right", va="bottom", shift=(-6, 4))


def _draw_point(panel: Panel, point: MapPoint, scale: Scale) -> None:
    shape = look(point.verdict)
    x, y = (
        floats([effect["low"], effect["estimate"], effect["high"]])
        for effect in (point.learning, point.generalization)
    )
    panel.line(x[[0, 2]], y[[1, 1]], shape.tone, 1.2, alpha=0.6)
    panel.line(x[[1, 1]], y[[0, 2]], shape.tone, 1.2, alpha=0.6)
    tip = gap_point(*point.told(scale), shape, scale.unit)
    hollow = shape.tone == "open"
    panel.marks(x[1:2], y[1:2], shape.tone, shape.marker, MARK, hollow=hollow, tip=tip)


def _listing(points: Sequence[MapPoint], width: float) -> list[str]:
    """Every point's number, name and verdict."""
    return [
        line
        for point in points
        for line in wrapped(f"{point.number}  {point.level.name}: {word(point.verdict)}", width)
    ]


def _number(page: Panel, panel: Panel, points: Sequence[MapPoint]) -> None:
    """Each point's number at the nearest free place, led to where that is not beside it."""
    marks = [_pixels(panel, point) for point in points]
    taken = [_around(place, MARK + 3, MARK + 3) for place in marks]
    taken += _corner_words(panel)
    leaders: list[tuple[Place, Place]] = []
    for point, mark in zip(points, marks, strict=True):
        width = text_width(str(point.number)) + 2
        place = _free(mark, width, panel.box, taken, leaders)
        taken.append(_around(place, width, LINE - 2))
        if math.dist(place, mark) > RINGS[2]:
            leaders.append((mark, place))
            page.line([mark[0], place[0]], [mark[1], place[1]], "axis", 0.7, order=1.9)
        page.text(*place, str(point.number), ha="center")


def _pixels(panel: Panel, point: MapPoint) -> Place:
    x, y = point.estimates()
    share = (x - panel.x[0]) / (panel.x[1] - panel.x[0])
    rise = (y - panel.y[0]) / (panel.y[1] - panel.y[0])
    box = panel.box
    return box.left + share * box.width, box.top + (1 - rise) * box.height


def _around(place: Place, width: float, height: float) -> Corners:
    x, y = place
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def _corner_words(panel: Panel) -> list[Corners]:
    """Where the words in two corners of the map stand."""
    box, width = panel.box, text_width(f"gap {word('narrows')}") + 8
    right, bottom = box.left + box.width, box.top + box.height
    return [
        (box.left, box.top, box.left + width, box.top + LINE + 4),
        (right - width, bottom - LINE - 4, right, bottom),
    ]


def _free(
    mark: Place, width: float, box: Box, taken: Sequence[Corners],
    leaders: Sequence[tuple[Place, Place]],
) -> Place:  # fmt: skip
    """The first place on rings around a mark that hides nothing and crosses no leader."""
    for ring in RINGS:
        for step in range(DIRECTIONS):
            angle = 2 * math.pi * step / DIRECTIONS
            reach = ring + width / 4 * abs(math.cos(angle))
            place = mark[0] + reach * math.cos(angle), mark[1] - reach * math.sin(angle)
            corners = _around(place, width, LINE - 2)
            hidden = any(_overlap(corners, other) for other in taken)
            crossed = any(_cross((mark, place), other) for other in leaders)
            if _within(corners, box) and not hidden and not crossed:
                return place
    return mark[0] + RINGS[0], mark[1] - RINGS[0]


def _within(corners: Corners, box: Box) -> bool:
    left, top, right, bottom = corners
    inside_x = left >= box.left and right <= box.left + box.width
    return inside_x and top >= box.top and bottom <= box.top + box.height


def _overlap(first: Corners, second: Corners) -> bool:
    apart = first[2] <= second[0] or second[2] <= first[0]
    return not (apart or first[3] <= second[1] or second[3] <= first[1])


def _cross(first: tuple[Place, Place], second: tuple[Place, Place]) -> bool:
    def side(a: Place, b: Place, c: Place) -> float:
        return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])

    (a, b), (c, d) = first, second
    return side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0


def map_records(points: Sequence[MapPoint]) -> list[dict[str, str | Number]]:
    """What the map shows: both effects with their intervals, and the verdict on the gap."""
    return [
        {
            "number": point.number, "factor": point.level.factor, "level": point.level.level,
            "baseline": point.level.baseline,
            "learning": point.learning["estimate"], "learning_low": point.learning["low"],
            "learning_high": point.learning["high"],
            "generalization": point.generalization["estimate"],
            "generalization_low": point.generalization["low"],
            "generalization_high": point.generalization["high"], "gap": point.verdict,
        }
        for point in points
    ]  # fmt: skip
