"""Dose curves: what every level of an ordered factor gains, on the scale of the factor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ablatekit.analysis.core.lookup import Comparison, factors_of, find_effect, label_of
from ablatekit.analysis.core.schema.analysis import Analysis, ResponseAnalysis
from ablatekit.analysis.core.schema.effects import DoseSlope, DoseTest
from ablatekit.analysis.core.schema.vocabulary import Number, Verdict
from ablatekit.report.document import PHONE, FigureData, Picture, figure_data, slug
from ablatekit.report.figures.dots import TONES, axis_groups, verdict_keys
from ablatekit.report.figures.labels import (
    EDGE,
    LINE,
    Key,
    draw_keys,
    inside,
    keys_in,
    sheet,
    wrapped,
    write,
    y_room,
)
from ablatekit.report.figures.panel import Box, Panel
from ablatekit.report.figures.style import floats, padded, text_width
from ablatekit.report.language import alternatives, captions
from ablatekit.report.language.captions import with_unit
from ablatekit.report.language.numbers import (
    Scale,
    absent,
    decimals_for,
    p_value,
    scale_of,
    sentence,
)
from ablatekit.report.language.verdicts import look, word

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH, PLOT, SIDE, ENDS, FOOT, MARK = 470.0, 170.0, 8.0, 14.0, 40.0, 7.5
LEAST_LEVELS = 3
"""Two levels are no curve."""
APART = 3.0
"""Pixels that the marks of a second response stand beside those of the first."""
MOST_LINES, LEAST_NAME = 3, 30.0
"""Lines of a level's name under the axis, and the pixels that it may always take."""


@dataclass(frozen=True, slots=True)
class DosePoint:
    """A level: its place on the scale of the factor, and its effect against the baseline."""

    level: str
    score: float
    estimate: Number
    low: Number
    high: Number
    verdict: Verdict
    baseline: bool = False


@dataclass(frozen=True, slots=True)
class DoseSeries:
    """One response: its label, its points in the order of the scale, and its slope in words."""

    label: str
    points: Sequence[DosePoint]
    slope: str = ""
    test: str = ""

    @property
    def told(self) -> str:
        """The label with the slope."""
        return f"{self.label} {self.slope}" if self.slope else self.label


@dataclass(frozen=True, slots=True)
class Name:
    """A level's name in lines around a pixel of the canvas."""

    score: float
    x: float
    lines: Sequence[str]


@dataclass(frozen=True, slots=True)
class DoseAxes:
    """The factor, and how effects are shown."""

    factor: str
    scale: Scale
    lower_is_better: bool = False
    smallest_effect: Number = None


def dose_pictures(analysis: Analysis) -> list[Picture]:
    """A figure per ordered factor and axis: learning and generalization share one."""
    pictures = [
        _picture(analysis, name, names, test)
        for name, names in axis_groups(analysis, "dose").items()
        for test in _tests(analysis["responses"][names[-1]])
    ]
    return [picture for picture in pictures if picture is not None]


def _tests(response: ResponseAnalysis) -> list[DoseTest]:
    dose = response.get("dose")
    tests = dose["tests"] if dose else []
    return [test for test in tests if len(test["scores"]) >= LEAST_LEVELS]


def _picture(analysis: Analysis, name: str, names: Sequence[str], test: DoseTest) -> Picture | None:
    factor = next((one for one in factors_of(analysis) if one["name"] == test["factor"]), None)
    levels = [str(level) for level in factor["levels"] if str(level)] if factor else []
    if factor is None or len(levels) != len(test["scores"]):
        return None
    responses = [analysis["responses"][one] for one in names]
    baseline, label = str(factor["baseline"]), label_of(factor)
    places = dict(sorted(zip(levels, test["scores"], strict=True), key=lambda pair: pair[1]))
    series = [_series(response, test["factor"], baseline, places) for response in responses]
    if sum(not absent(point.estimate) for part in series for point in part.points) <= len(series):
        return None
    last, scales = responses[-1], [scale_of(response) for response in responses]
    scale = max(scales, key=lambda one: one.decimals)
    axes = DoseAxes(label, scale, last["direction"] == "lower", last["smallest_effect"])
    return Picture(
        id=f"dosecurve-{slug(name)}-{slug(test['factor'])}",
        title=sentence(label),
        alt=alternatives.dose_curve(label, (_spoken(part, scale) for part in series)),
        draw=partial(draw_dose, series, axes),
        narrow=partial(draw_dose, series, axes, PHONE),
        data=partial(_data, series, axes),
    )


def _series(
    response: ResponseAnalysis, factor: str, baseline: str, places: dict[str, float]
) -> DoseSeries:
    points: list[DosePoint] = []
    for level, score in places.items():
        if level == baseline:
            points.append(DosePoint(level, score, 0.0, None, None, "identical", baseline=True))
            continue
        compared = Comparison(factor, level, baseline, factor)
        effect = find_effect(response["effects"], compared, "narrow")
        if effect is None or absent(effect["estimate"]):
            points.append(DosePoint(level, score, None, None, None, "not_estimated"))
            continue
        numbers = effect["estimate"], effect["low"], effect["high"]
        points.append(DosePoint(level, score, *numbers, effect["verdict"]))
    return DoseSeries(response["label"], points, *_trend(response, factor))


def _trend(response: ResponseAnalysis, factor: str) -> tuple[str, str]:
    """The narrow slope and the p value of the test, in words; empty where there are none."""
    dose = response.get("dose")
    slopes: Sequence[DoseSlope] = dose["slopes"] if dose else []
    slope = next((row for row in slopes if row["factor"] == factor and not row["scope"]), None)
    tests = [row for row in _tests(response) if row["factor"] == factor]
    p = next((row["p_adjusted"] for row in tests), None)
    if slope is None or absent(slope["estimate"]):
        return "", alternatives.p_told(p_value(p)) if p is not None else ""
    scale = scale_of(response)
    if slope["se"]:
        scale = replace(scale, decimals=decimals_for([slope["se"]], scale.factor))
    shown = f"{scale.effect(slope['estimate'])} {scale.unit}".strip()
    return captions.slope_of(shown, slope["scale"]), alternatives.p_told(p_value(p))


def _spoken(series: DoseSeries, scale: Scale) -> str:
    levels = (
        alternatives.dose_level(
            point.level,
            scale.effect(point.estimate),
            scale.interval(point.low, point.high),
            word(point.verdict),
        )
        for point in series.points
        if not absent(point.estimate) and not point.baseline
    )
    head = ", ".join(filter(None, (series.told, series.test)))
    return f"{head}: {', '.join(levels)}"


def _data(series: Sequence[DoseSeries], axes: DoseAxes) -> FigureData:
    return figure_data(
        [
            {
                "factor": axes.factor, "level": point.level, "score": point.score,
                "response": part.label, "effect": point.estimate, "low": point.low,
                "high": point.high, "verdict": point.verdict,
            }
            for part in series
            for point in part.points
        ]
    )  # fmt: skip


def draw_dose(series: Sequence[DoseSeries], axes: DoseAxes, width: float = WIDTH) -> Figure:
    """Effects against the baseline with their narrow intervals; better is up."""
    keys = keys_in(list(_keys(series, axes)), width - 2 * SIDE)
    title = with_unit(alternatives.EFFECT, axes.scale.unit)
    heading = wrapped(alternatives.better_up(title), width - 2 * SIDE)
    top = len(heading) * LINE + keys.height + 12
    values = [value for part in series for point in part.points for value in _numbers(point)]
    smallest = axes.smallest_effect or 0.0
    low, high = padded([0.0, smallest, -smallest, *values])
    left = y_room((low, high), axes.scale) + 4
    scores = [point.score for part in series for point in part.points]
    inner = width - left - 2 * ENDS - EDGE
    names = _names(series[0].points, left + ENDS, inner, width)
    page = sheet(width, top + PLOT + FOOT + LINE * (max(len(name.lines) for name in names) - 1))
    pixel = (max(scores) - min(scores)) / inner
    x = min(scores) - ENDS * pixel, max(scores) + ENDS * pixel
    y = (high, low) if axes.lower_is_better else (low, high)
    panel = inside(page, Box(left, top, width - left - EDGE, PLOT), x, y)
    write(page, heading, SIDE, 0)
    draw_keys(page, keys, SIDE, len(heading) * LINE + 2)
    _background(page, panel, axes, names)
    for place, (part, tone) in enumerate(zip(series, TONES[-len(series) :], strict=True)):
        _draw_series(panel, part, tone, (place - (len(series) - 1) / 2) * 2 * APART * pixel)
    return page.figure


def _numbers(point: DosePoint) -> tuple[Number, ...]:
    return point.estimate, point.low, point.high


def _keys(series: Sequence[DoseSeries], axes: DoseAxes) -> Iterator[Key]:
    for part, tone in zip(series, TONES[-len(series) :], strict=True):
        yield Key(part.told, tone, width=2.0)
    points = [point for part in series for point in part.points if not absent(point.estimate)]
    yield from verdict_keys({point.verdict for point in points if not point.baseline})
    if axes.smallest_effect:
        within = alternatives.within(axes.scale.amount(axes.smallest_effect))
        yield Key(within, "band", kind="shade")


def _names(points: Sequence[DosePoint], left: float, inner: float, width: float) -> list[Name]:
    """Levels with their names in lines that fit between neighbours; those in the way are left out.

    What is left out can be read off its neighbours; the data have every name.
    """
    scores = [point.score for point in points]
    pixel = inner / (max(scores) - min(scores))
    room = max(float(np.median(np.diff(scores))) * pixel - 6, LEAST_NAME)
    names: list[Name] = []
    free = EDGE
    for point in points:
        lines = wrapped(point.level, room)[:MOST_LINES]
        half = max(map(text_width, lines)) / 2
        x = left + (point.score - min(scores)) * pixel
        x = min(max(x, half + EDGE), width - half - EDGE)
        if x - half >= free:
            names.append(Name(point.score, x, lines))
            free = x + half + 4
    return names


def _background(page: Panel, panel: Panel, axes: DoseAxes, names: Sequence[Name]) -> None:
    smallest = axes.smallest_effect
    if smallest:
        panel.area(panel.x, [-smallest] * 2, [smallest] * 2, "band", 1.0, order=0.5)
    panel.y_numbers(axes.scale)
    panel.horizontal(0, "axis", 1.0)
    bottom = panel.box.top + panel.box.height
    for name in names:
        panel.line([name.score] * 2, panel.y, "grid", 0.8, order=0.8)
        write(page, name.lines, name.x, bottom + 4, "muted", "center")
    panel.horizontal(panel.y[0], "rule", 0.8)
    write(page, [axes.factor], page.x[1] - SIDE, page.y[0] - LINE - 2, "ink", "right")


def _draw_series(panel: Panel, series: DoseSeries, tone: str, shift: float) -> None:
    """A line from level to level, upright intervals, marks by verdict; the baseline a diamond."""
    known = [point for point in series.points if not absent(point.estimate)]
    x = floats([point.score for point in known]) + shift
    panel.line(x, floats([point.estimate for point in known]), tone, 1.4)
    for place, point in zip(x, known, strict=True):
        shape = look(point.verdict)
        if point.baseline:
            panel.marks([place - shift], [0.0], "ink", "D", MARK)
            continue
        ends = floats([point.low, point.high])
        if np.isfinite(ends).all():
            panel.line([place] * 2, ends, tone, 2.4)
        hollow = shape.tone == "open"
        tip = f"{point.level}, {series.label}: {word(point.verdict)}"
        panel.marks([place], floats([point.estimate]), shape.tone, shape.marker, MARK,
                    hollow=hollow, tip=tip)  # fmt: skip
