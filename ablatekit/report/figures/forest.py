"""Forest plot: every level's effect, learning and generalization on one row, values beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ablatekit.analysis.core.lookup import Comparison, find_effect, find_heterogeneity
from ablatekit.analysis.core.schema.analysis import ResponseAnalysis
from ablatekit.analysis.core.schema.effects import Effect
from ablatekit.analysis.core.schema.vocabulary import Number
from ablatekit.report.document import PHONE
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
    upright,
    wrapped,
    write,
    write_rows,
    x_ticks,
)
from ablatekit.report.figures.panel import Box, Limits, Panel
from ablatekit.report.figures.style import padded, text_width
from ablatekit.report.language import alternatives
from ablatekit.report.language.numbers import Scale, absent, sentence
from ablatekit.report.language.verdicts import look, word

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH, LABELS, LEAST_PLOT, SIDE, LANE, FOOT = 700.0, 190.0, 130.0, 12.0, 17.0, 52.0
MOST_OF_PREDICTION = 3.0
"""How far prediction intervals widen the axis, in widths of what narrow intervals span."""
LINES = ("muted", "ink")
"""Tones of the first and the second response of a pair; one alone has the second."""


@dataclass(frozen=True, slots=True)
class ForestSeries:
    """One response of a forest plot."""

    response: ResponseAnalysis
    scale: Scale

    def effect(self, level: Comparison) -> Effect | None:
        """A level's narrow effect, if it has a number."""
        effect = find_effect(self.response["effects"], level, "narrow")
        return None if effect is None or absent(effect["estimate"]) else effect

    def prediction(self, level: Comparison) -> tuple[float, float] | None:
        """What one new level of the widest scope would show."""
        row = find_heterogeneity(self.response, level)
        if row is None or row["prediction_low"] is None or row["prediction_high"] is None:
            return None
        return row["prediction_low"], row["prediction_high"]

    def values(self, effect: Effect) -> tuple[str, str]:
        """Estimate and interval as printed."""
        interval = (
            "" if absent(effect["low"]) else self.scale.interval(effect["low"], effect["high"])
        )
        return self.scale.effect(effect["estimate"]), interval


@dataclass(frozen=True, slots=True)
class Forest:
    """One response, or learning and generalization; levels as ordered.

    The axis and its width are those of all responses in one unit, `alike`.
    """

    series: Sequence[ForestSeries]
    levels: Sequence[Comparison]
    alike: Sequence[ForestSeries]

    def limits(self) -> Limits:
        """The ends of the axis."""
        return forest_limits(self.alike, self.levels)

    def tones(self) -> Sequence[str]:
        """The tone of every response's lines."""
        return LINES[-len(self.series) :]


def ranked(series: ForestSeries, levels: Sequence[Comparison]) -> list[Comparison]:
    """Levels from the largest gain to the largest harm; those without a number come last."""
    sign = -1.0 if series.response["direction"] == "higher" else 1.0

    def place(level: Comparison) -> tuple[bool, float]:
        effect = series.effect(level)
        return effect is None, sign * float(effect["estimate"] or 0.0) if effect else 0.0

    return sorted(levels, key=place)


def forest_limits(series: Sequence[ForestSeries], levels: Sequence[Comparison]) -> Limits:
    """Limits that hold every narrow interval, and as much of predictions as leaves them visible."""
    near: list[Number] = [0.0]
    far: list[Number] = []
    for part in series:
        smallest = part.response["smallest_effect"] or 0.0
        near += [-smallest, smallest]
        for level in levels:
            effect = part.effect(level)
            if effect is not None:
                near += [effect["low"], effect["high"], effect["estimate"]]
            far += part.prediction(level) or ()
    low, high = padded(near, 0.04)
    farthest = padded([*near, *far], 0.04)
    room = (MOST_OF_PREDICTION - 1) / 2 * (high - low)
    return max(farthest[0], low - room), min(farthest[1], high + room)


def draw_forest(forest: Forest, *, narrow: bool = False) -> Figure:
    """Thick: narrow interval, mark by verdict; thin with ends: one new level."""
    width = PHONE if narrow else WIDTH
    levels = [level for level in forest.levels if any(_known(forest, level))]
    columns = _value_columns(forest)
    beside = sum(columns) + 18
    printed = PHONE - beside - 2 * SIDE >= LEAST_PLOT
    lane = LANE if printed else LANE + LINE
    names, room = [level.name for level in levels], width if narrow else LABELS
    rows = rows_of(names, lane * len(forest.series), room, above=narrow)
    keys, notes = keys_in(list(_keys(forest)), width), _without_numbers(forest, width)
    left, top = SIDE + rows.labels, keys.height + 8
    across = width - left - SIDE - (beside if printed else 0)
    page = sheet(width, top + rows.height + FOOT + LINE * len(notes))
    panel = inside(page, Box(left, top, across, rows.height), forest.limits())
    _background(page, panel, forest, rows)
    draw_keys(page, keys, 0, 0)
    write_rows(page, rows, 0, top)
    for level, row in zip(levels, rows.rows, strict=True):
        _draw_row(panel, forest, level, row, columns, lane, printed=printed)
    write(page, notes, 0, top + rows.height + FOOT, "muted")
    return page.figure


def _without_numbers(forest: Forest, width: float) -> list[str]:
    """The levels that have no number for any response, under the word for why."""
    named: dict[str, list[str]] = {}
    for level in forest.levels:
        if not any(_known(forest, level)):
            effect = find_effect(forest.series[-1].response["effects"], level, "narrow")
            verdict = word(effect["verdict"] if effect else "not_estimated")
            named.setdefault(verdict, []).append(level.name)
    return [
        line
        for verdict, names in named.items()
        for line in wrapped(f"{sentence(verdict)}: {', '.join(names)}", width)
    ]


def _value_columns(forest: Forest) -> tuple[float, float]:
    """Widths of the printed estimates and intervals."""
    printed = [
        part.values(effect)
        for part in forest.alike
        for level in forest.levels
        if (effect := part.effect(level)) is not None
    ]
    first = max((text_width(estimate) for estimate, _ in printed), default=0.0)
    return first, max((text_width(interval) for _, interval in printed), default=0.0)


def _keys(forest: Forest) -> Iterator[Key]:
    for part, tone in zip(forest.series, forest.tones(), strict=True):
        alone = len(forest.series) == 1
        words = alternatives.WITH_INTERVAL if alone else part.response["label"]
        yield Key(words, tone, width=5.0, marker="o")
    if any(part.prediction(level) for part in forest.series for level in forest.levels):
        yield Key(alternatives.ONE_NEW_LEVEL, "axis", width=1.0, kind="ends")
    sizes = _smallest(forest)
    if sizes:
        scale = forest.series[0].scale
        yield Key(alternatives.within(scale.amount(min(sizes))), "band", kind="shade")


def _smallest(forest: Forest) -> set[float]:
    sizes = (part.response["smallest_effect"] for part in forest.series)
    return {size for size in sizes if size}


def _background(page: Panel, panel: Panel, forest: Forest, rows: Rows) -> None:
    sizes = _smallest(forest)
    if sizes:
        panel.band(max(-min(sizes), panel.x[0]), min(min(sizes), panel.x[1]))
    x_ticks(panel, forest.series[0].scale, 6, rows=rows)
    upright(panel, 0, rows, "axis")
    bottom = panel.box.top + panel.box.height + 20
    ends = panel.box.left, panel.box.left + panel.box.width
    unit = alternatives.effect_in(forest.series[0].scale.unit)
    directions = {part.response["direction"] for part in forest.series}
    words = alternatives.BETTER_WORSE[directions.pop()] if len(directions) == 1 else ("", "")
    write(page, [words[0]], ends[0], bottom, "muted")
    write(page, [words[1]], ends[1], bottom, "muted", "right")
    taken = 2 * max(map(text_width, words)) + text_width(unit) + 24
    below = bottom if taken <= panel.box.width else bottom + LINE
    write(page, [unit], sum(ends) / 2, below, "muted", "center")


def _draw_row(
    panel: Panel, forest: Forest, level: Comparison, row: Row,
    columns: tuple[float, float], lane: float, *, printed: bool,
) -> None:  # fmt: skip
    """The lanes of one level, one under the other, joined where both have a number."""
    first = row.lane - lane * len(forest.series) / 2
    places: list[tuple[float, float]] = []
    for number, (part, tone) in enumerate(zip(forest.series, forest.tones(), strict=True)):
        y = first + (number + 1) * lane - LANE / 2
        effect = part.effect(level)
        if effect is None:
            continue
        _draw_prediction(panel, part.prediction(level), y)
        panel.interval(effect["low"], effect["high"], y, tone, 5.0)
        words_y = y if printed else y - LINE
        _print(panel, part.values(effect), columns, words_y, tone, beside=printed)
        places.append((float(effect["estimate"] or 0.0), y))
    if len(places) > 1:
        panel.line([x for x, _ in places], [y for _, y in places], "axis", 1.0)
    for (x, y), effect in zip(places, _known(forest, level), strict=True):
        shape = look(effect["verdict"])
        panel.marks([x], [y], shape.tone, shape.marker, 6.0, hollow=shape.tone == "open")


def _known(forest: Forest, level: Comparison) -> Iterator[Effect]:
    return (effect for part in forest.series if (effect := part.effect(level)) is not None)


def _print(
    panel: Panel, values: tuple[str, str], columns: tuple[float, float], y: float, tone: str,
    *, beside: bool,
) -> None:  # fmt: skip
    """Estimate and interval: right of the panel, or above the lane where they are too wide."""
    if beside:
        panel.text(panel.x[1], y, values[0], tone, ha="right", shift=(SIDE + columns[0], 0))
        panel.text(panel.x[1], y, values[1], tone, shift=(SIDE + columns[0] + 6, 0))
    else:
        panel.text(panel.x[0], y, " ".join(values).strip(), tone, shift=(-SIDE, 0))


def _draw_prediction(panel: Panel, ends: tuple[float, float] | None, y: float) -> None:
    """A thin line with ticks at its ends; an arrow where it leaves the axis."""
    if ends is None:
        return
    low, high = max(ends[0], panel.x[0]), min(ends[1], panel.x[1])
    panel.line([low, high], [y, y], "axis", 1.0, order=1.8)
    for shown, wanted, marker in ((low, ends[0], "<"), (high, ends[1], ">")):
        if shown == wanted:
            ticks(panel, [shown], y, "axis")
        else:
            panel.marks([shown], [y], "axis", marker, 3.5)


def forest_records(forest: Forest) -> list[dict[str, str | Number]]:
    """What the figure shows: estimate, interval, prediction and verdict of every level."""
    rows: list[dict[str, str | Number]] = []
    for level in forest.levels:
        for part in forest.series:
            effect = find_effect(part.response["effects"], level, "narrow")
            low, high = part.prediction(level) or (None, None)
            rows.append(
                {
                    "response": part.response["label"], "factor": level.factor,
                    "level": level.level, "baseline": level.baseline,
                    "estimate": effect["estimate"] if effect else None,
                    "low": effect["low"] if effect else None,
                    "high": effect["high"] if effect else None,
                    "prediction_low": low, "prediction_high": high,
                    "verdict": effect["verdict"] if effect else "not_estimated",
                }
            )  # fmt: skip
    return rows
