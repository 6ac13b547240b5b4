"""Gain against price: which configurations the figure of a brief shows, and which are worth it.

The gain is that on the response that matters most, from the row that judges a configuration. A
point is on the frontier when no point that costs as much or less is better; the baseline, with a
gain of 0 for a price of 1, is a point like others. Where no configuration was compared (a formula,
one factor) levels take their place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from ablatekit.analysis.core.lookup import factors_of, priced_metric, ranked_responses
from ablatekit.analysis.core.schema.analysis import Analysis, ResponseAnalysis
from ablatekit.report.brief.headline import (
    configuration_gains,
    configuration_scope,
    level_gains,
)
from ablatekit.report.document import PHONE, FigureData, Picture
from ablatekit.report.figures.frontier import FrontierAxes, FrontierPoint, draw_frontier
from ablatekit.report.language.brief import frontier as said
from ablatekit.report.language.brief.headline import Gain
from ablatekit.report.language.numbers import absent, scale_of

WIDTH = 540.0
"""Half of a page that is 1280 pixels wide."""
MOST = 32
"""Points that the figure shows: those on the frontier, then the largest effects."""


def frontier_picture(analysis: Analysis) -> Picture | None:
    """The figure; nothing where nothing has an estimate."""
    gains, of_levels = _gains(analysis)
    first = analysis["responses"][ranked_responses(analysis)[0]]
    points = frontier_points(gains, lower_is_better=first["direction"] == "lower")
    if len(points) < 2:
        return None
    shown = most_notable(points)
    axes = _axes(analysis, first, shown)
    label, scale = first["label"], axes.scale
    told = [
        said.point(point.name or said.BASELINE, scale, point.estimate,
                   _ends(axes, point), point.price if axes.price else None)
        for point in shown
    ]  # fmt: skip
    return Picture(
        id="frontier",
        title=said.title(
            label,
            "" if of_levels else configuration_scope(first),
            priced=bool(axes.price),
            levels=of_levels,
            numbers=(len(shown) - 1, len(gains)),
        ),
        alt=said.alternative(label, told),
        draw=partial(draw_frontier, shown, axes, WIDTH),
        narrow=partial(draw_frontier, shown, axes, PHONE),
        data=partial(_data, points, of_levels),
    )


def _gains(analysis: Analysis) -> tuple[list[Gain], bool]:
    """Of configurations, or of levels where no configuration or no second factor is compared."""
    varied = sum(len(factor["levels"]) > 1 for factor in factors_of(analysis))
    gains = configuration_gains(analysis) if varied > 1 else []
    return (gains, False) if gains else (level_gains(analysis), True)


def frontier_points(gains: Sequence[Gain], *, lower_is_better: bool = False) -> list[FrontierPoint]:
    """The baseline and every estimated gain; without any price none is on a frontier.

    Where prices make an axis, gains without one are left out: they have no place on it. Where
    those that are known do not differ, gains without one count as much as the others.
    """
    known = [gain for gain in gains if not absent(gain.estimate)]
    priced = [gain for gain in known if gain.price]
    if len(priced) < len(known) and {gain.price for gain in priced} <= {1.0}:
        known, priced = [replace(gain, price=None) for gain in known], []
    chosen = priced or known
    better = -1.0 if lower_is_better else 1.0
    places = [
        (1.0, 0.0),
        *((gain.price or 0.0, better * (gain.estimate or 0.0)) for gain in chosen),
    ]
    worth = [bool(priced) and not _is_beaten(place, places) for place in places]
    baseline = FrontierPoint(
        "", 1.0 if priced else None, 0.0, None, None, "identical", worth[0], baseline=True
    )
    points = [
        FrontierPoint(
            gain.name, gain.price, gain.estimate or 0.0, gain.low, gain.high, gain.verdict, on
        )
        for gain, on in zip(chosen, worth[1:], strict=True)
    ]
    return [baseline, *points]


def _is_beaten(place: tuple[float, float], others: Sequence[tuple[float, float]]) -> bool:
    """Whether another one costs no more and gains no less, and is better in one of the two."""
    price, gain = place
    return any(
        cost <= price and more >= gain and (cost < price or more > gain) for cost, more in others
    )


def most_notable(points: Sequence[FrontierPoint]) -> list[FrontierPoint]:
    """At most `MOST` points, in their order: the frontier first, then the largest effects."""
    if len(points) <= MOST:
        return list(points)
    ranked = sorted(
        range(len(points)),
        key=lambda place: (
            not points[place].baseline, not points[place].on_frontier,
            -abs(points[place].estimate),
        ),
    )  # fmt: skip
    return [points[place] for place in sorted(ranked[:MOST])]


def _axes(
    analysis: Analysis, response: ResponseAnalysis, points: Sequence[FrontierPoint]
) -> FrontierAxes:
    prices = {point.price for point in points}
    priced = None not in prices and len(prices) > 1
    return FrontierAxes(
        gain=said.gain(response["label"]),
        scale=scale_of(response),
        price=said.price(priced_metric(analysis)) if priced else "",
        lower_is_better=response["direction"] == "lower",
        smallest_effect=response["smallest_effect"],
    )


def _ends(axes: FrontierAxes, point: FrontierPoint) -> str:
    return "" if absent(point.low) else axes.scale.interval(point.low, point.high)


def _data(points: Sequence[FrontierPoint], of_levels: bool) -> FigureData:
    """Every point, those that the figure leaves out too."""
    return FigureData(
        said.LEVEL_COLUMNS if of_levels else said.COLUMNS,
        [
            (point.name or said.BASELINE, point.price, point.estimate, point.low, point.high,
             point.verdict, str(point.on_frontier).lower())
            for point in points
        ],
    )  # fmt: skip
