"""What figures show: order, printed values, shared axes, labels that wrap, numbered points."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.lines import Line2D

from ablatekit.analysis.core.lookup import Comparison, comparisons
from ablatekit.report.document import Picture
from ablatekit.report.figures.curves import (
    MOST_POINTS,
    curve_limits,
    curve_records,
    draw_curves,
    draw_effects,
)
from ablatekit.report.figures.forest import (
    MOST_OF_PREDICTION,
    Forest,
    ForestSeries,
    draw_forest,
    forest_limits,
    ranked,
)
from ablatekit.report.figures.gapmap import MapPoint, _cross, draw_map
from ablatekit.report.figures.labels import sheet, wrapped
from ablatekit.report.figures.render import svg
from ablatekit.report.figures.residuals import draw_fitted
from ablatekit.report.figures.shares import Share, draw_shares, largest_of, share_records
from ablatekit.report.figures.style import colour, house_style, text_width
from ablatekit.report.language.numbers import Scale, scale_of
from ablatekit.report.sections.effects import forest_pictures

POINTS = Scale(100.0, "pp", 1)


@pytest.fixture
def drawn() -> Any:
    """Draw in the house style."""

    def draw(function: Any, *arguments: Any, **options: Any) -> Any:
        with house_style():
            return function(*arguments, **options)

    return draw


def lines_of(figure: Any) -> list[Line2D]:
    return figure.findobj(Line2D)  # type: ignore[no-any-return]


def words_of(figure: Any) -> list[str]:
    return [text.get_text() for text in figure.texts]


@given(st.text(min_size=1, max_size=90), st.floats(30, 200))
def test_wrapped_lines_are_no_wider_than_asked_and_lose_nothing(text, width):
    lines = wrapped(text, width)
    if len(lines) < 12:
        assert "".join("".join(lines).split()) == "".join(text.split())
    assert all(len(line) == 1 or text_width(line) <= width + 1e-6 for line in lines)


def test_labels_break_after_words_and_signs_first():
    assert wrapped("advantage: batch_norm of groups", 80) == [
        "advantage:",
        "batch_norm of",
        "groups",
    ]


def series_of(analysis: Any) -> list[ForestSeries]:
    return [ForestSeries(part, scale_of(part)) for part in analysis["responses"].values()]


def test_a_forest_runs_from_the_largest_gain_to_the_largest_harm(built_analysis, drawn):
    series, levels = series_of(built_analysis), comparisons(built_analysis)
    order = ranked(series[1], levels)
    sizes = [effect["estimate"] for level in order if (effect := series[1].effect(level))]
    assert sizes == sorted(sizes, reverse=True)
    forest = Forest(series, order, series)
    words = words_of(drawn(draw_forest, forest))
    for text in ("+6.1", "[4.9, 7.4]", "+4.9", "[3.7, 6.1]", "advantage: batch_norm"):
        assert text in words
    assert words[-1] == "Identical: KL penalty: k3_alias"


def test_where_less_is_better_the_largest_decrease_comes_first(analysis):
    response = analysis["responses"]["generalization"]
    response["direction"] = "lower"
    series = ForestSeries(response, scale_of(response))
    order = ranked(series, comparisons(analysis))
    assert order[0].level == "group_norm"
    assert order[-1].level == "k3_alias"


def test_predictions_leave_narrow_intervals_visible(analysis):
    series, levels = series_of(analysis), comparisons(analysis)
    near = forest_limits([ForestSeries({**part.response, "heterogeneity": []}, part.scale)
                          for part in series], levels)  # fmt: skip
    for part in analysis["responses"].values():
        for row in part["heterogeneity"]:
            if row["prediction_low"] is not None:
                row["prediction_low"] -= 9.0
    low, high = forest_limits(series, levels)
    assert high - low <= MOST_OF_PREDICTION * (near[1] - near[0]) + 1e-9


def test_responses_of_one_unit_share_an_axis(analysis):
    del analysis["comparisons"]
    pictures = forest_pictures(analysis, comparisons(analysis))
    assert [picture.id for picture in pictures] == ["forest-learning", "forest-generalization"]
    limits = {picture.draw.args[0].limits() for picture in pictures}
    assert len(limits) == 1


def test_values_that_are_too_wide_for_a_phone_stand_above_their_lanes(analysis, drawn):
    response = analysis["responses"]["learning"]
    for row in response["effects"]:
        for key in ("estimate", "se", "low", "high"):
            row[key] = None if row[key] is None else row[key] * 1e9
    series = ForestSeries(response | {"unit": "tokens"}, Scale(1.0, "tokens", 2))
    levels = comparisons(analysis)
    forest = Forest([series], levels, [series])
    figure = drawn(draw_forest, forest, narrow=True)
    assert any(word.startswith("+61,342,710.00 [") for word in words_of(figure))


def point(number: int, x: float, y: float) -> MapPoint:
    sides: Any = [
        {"estimate": value, "low": value - 0.01, "high": value + 0.01} for value in (x, y)
    ]
    return MapPoint(number, Comparison("f", f"l{number}", "b", "f"), *sides, "inconclusive")


def segments(figure: Any, tone: str, width: float) -> list[Any]:
    """The lines of a tone and width, as points in pixels."""
    with house_style():
        wanted = colour(tone)
    return [
        72 * np.column_stack([line.get_xdata(), line.get_ydata()])
        for line in lines_of(figure)
        if line.get_color() == wanted
        and line.get_linewidth() == width
        and len(line.get_xdata()) == 2
    ]


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.floats(-0.2, 0.2), st.floats(-0.2, 0.2)), min_size=1, max_size=22))
def test_one_unit_is_as_long_on_both_axes_of_the_map_and_no_leaders_cross(places):
    points = [point(number, x, y) for number, (x, y) in enumerate(places, 1)]
    with house_style():
        figure = draw_map(points, ("learning", "generalization"), POINTS)
    bars = segments(figure, "open", 1.2)
    lengths = [math.dist(*bar) for bar in bars]
    assert max(lengths) == pytest.approx(min(lengths), rel=1e-6)
    leaders = segments(figure, "axis", 0.7)
    pairs = [(first, second) for number, first in enumerate(leaders) for second in leaders[:number]]
    assert not any(_cross(tuple(first), tuple(second)) for first, second in pairs)
    numbers = [word for word in words_of(figure) if word.isdigit()]
    assert {str(number) for number in range(1, len(places) + 1)} <= set(numbers)


def test_shares_are_sorted_with_contexts_on_an_axis_of_their_own(drawn):
    shares = [
        Share("context", 0.9, "context"), Share("a", 0.01, "factor"), Share("b", 0.03, "factor"),
        Share("a x b", 0.02, "interaction"),
    ]  # fmt: skip
    assert [row["term"] for row in share_records(shares)] == ["context", "b", "a x b", "a"]
    words = words_of(drawn(draw_shares, shares, largest_of(shares)))
    assert "share of all variance; the full width is 100%" in words
    assert "share of all variance; the full width is 3%" in words
    places = [words.index(text) for text in ("context", "b", "a x b", "a")]
    assert places == sorted(places)


def curve(level: str, steps: int, gain: float = 0.0) -> Any:
    mean = [0.3 + gain + 0.1 * step / steps for step in range(steps)]
    return {
        "factor": "f", "level": level, "metric": "m", "step": list(range(steps)),
        "n": [4] * steps, "mean": mean, "low": [value - 0.01 for value in mean],
        "high": [value + 0.01 for value in mean],
    }  # fmt: skip


def test_curves_have_few_points_and_marks_of_their_own(drawn):
    curves = [curve(f"l{number}", 400, number / 50) for number in range(16)]
    figure = drawn(draw_curves, curves, curve_limits(curves), POINTS)
    longest = max(len(line.get_xdata()) for line in lines_of(figure))
    assert longest <= MOST_POINTS
    styles = {
        (line.get_marker(), line.get_color())
        for line in lines_of(figure)
        if line.get_linestyle() == "None"
    }
    assert len(styles) == 16
    assert {f"l{number}" for number in range(16)} <= set(words_of(figure))


def test_values_on_all_items_stand_apart_from_the_line(drawn):
    whole = {key: [value[-1]] for key, value in curve("l", 9, 0.2).items() if key in
             ("step", "n", "mean", "low", "high")}  # fmt: skip
    curves = [curve("l", 9) | {"full": whole}]
    low, high = curve_limits(curves)
    assert low < whole["low"][0] < whole["high"][0] < high
    figure = drawn(draw_curves, curves, (low, high), POINTS)
    with house_style():
        hollow = [
            line for line in lines_of(figure) if line.get_markerfacecolor() == colour("paper")
        ]
    assert len(hollow) == 2
    assert "on all items; lines: on a part of them" in words_of(figure)
    assert [row["step"] for row in curve_records(curves) if row["items"] == "all"] == [8]


def test_levels_without_values_are_named(drawn):
    row = {"factor": "f", "step": 0, "estimate": None, "low": None, "high": None,
           "low_simultaneous": None, "high_simultaneous": None}  # fmt: skip
    figure = drawn(draw_effects, [[row | {"level": "lost"}]], 0.02, (-1.0, 1.0), POINTS)
    assert "lost: no values" in words_of(figure)


def test_a_thousand_residuals_are_one_short_path(drawn):
    values = [math.sin(number) for number in range(5000)]
    figure = drawn(draw_fitted, values, values, (-1.1, 1.1), POINTS, of_cells=True)
    assert max(len(line.get_xdata()) for line in lines_of(figure)) <= 3 * 600


def test_lines_of_one_style_are_one_path_unless_they_shine_through():
    def draw(alpha: float | None) -> Any:
        page = sheet(100, 40)
        for y in (10, 20, 30):
            page.line([10, 90], [y, y], "ink", alpha=alpha)
            page.text(10, y, f"line {y}")
        return page.figure

    solid = svg(Picture(id="p", title="t", alt="a", draw=partial(draw, None)))
    assert 'd="M10 10h80M10 20h80M10 30h80"' in solid
    assert solid.count("fill:var(--ink)") == 1
    assert [f"line {y}</text>" in solid for y in (10, 20, 30)] == [True] * 3
    assert svg(Picture(id="p", title="t", alt="a", draw=partial(draw, 0.4))).count("<path") == 3
