"""Gain against price, rows of dots and dose curves: legible whatever is compared."""

from __future__ import annotations

import copy
import math
import re
from functools import partial
from typing import Any

import pytest

from ablatekit.report.document import PHONE, Picture
from ablatekit.report.figures.dose import dose_pictures
from ablatekit.report.figures.dots import DotAxes, DotMark, DotRow, dots_pictures, draw_dots
from ablatekit.report.figures.frontier import FrontierAxes, FrontierPoint, draw_frontier
from ablatekit.report.figures.panel import PIXELS_PER_INCH
from ablatekit.report.figures.render import svg
from ablatekit.report.figures.style import SMALL, house_style
from ablatekit.report.language.captions import TIMES
from ablatekit.report.language.numbers import MINUS, Scale

VERDICTS = ("helps", "hurts", "equivalent", "inconclusive")
POINTS = Scale(100.0, "pp", 1)
AXES = FrontierAxes("gain in generalization", POINTS, "price: samples", smallest_effect=0.02)
BASELINE = FrontierPoint("", 1.0, 0.0, None, None, "identical", True, baseline=True)
WIDTHS = {620.0: 330.0, PHONE: 260.0}
"""How tall the figure of a brief may be at each of its widths."""


def point(name: str, price: float | None, gain: float, *, best: bool = False) -> FrontierPoint:
    verdict = VERDICTS[len(name) % 4]
    return FrontierPoint(name, price, gain, gain - 0.013, gain + 0.013, verdict, best)


def many(count: int) -> list[FrontierPoint]:
    """Configurations at seven prices, the best of each price better than all cheaper ones."""
    return [
        point(
            f"factor_{number} level_{number}, other_factor x{number % 5}",
            2.0 ** (number % 7),
            0.03 * math.sin(3 * number) + 0.004 * (number % 7) if number % 7 != number
            else 0.04 + 0.01 * number,
            best=number < 7,
        )
        for number in range(count)
    ]  # fmt: skip


def without_price(points: list[FrontierPoint]) -> list[FrontierPoint]:
    return [
        FrontierPoint(one.name, None, one.estimate, one.low, one.high, one.verdict, False,
                      one.baseline)
        for one in points
    ]  # fmt: skip


LONG = [
    point("a" * 60, 2.0, 0.05, best=True),
    point("設定" * 30, 4.0, 0.07, best=True),
    point("<script>alert(1)</script> $x_1$", 8.0, -0.03),
    point("tab\tand\nline", 8.0, 0.001),
]
UNKNOWN = [
    FrontierPoint("no interval", 2.0, 0.03, None, math.nan, "not_estimated", True),
    FrontierPoint("no gain", 2.0, math.nan, None, None, "not_estimated", False),
    FrontierPoint("no price", math.nan, 0.02, 0.01, 0.03, "helps", False),
]
EQUAL = [FrontierPoint(f"same {n}", 2.0, 0.0, 0.0, 0.0, "equivalent", True) for n in range(6)]
CASES = {
    "few": [BASELINE, point("rollouts 4", 4.0, 0.05, best=True), point("queries", 2.0, -0.01)],
    "many": [BASELINE, *many(40)],
    "sixteen": [BASELINE, *many(16)],
    "long": [BASELINE, *LONG],
    "unknown": [BASELINE, *UNKNOWN],
    "equal": [BASELINE, *EQUAL],
    "one price": [BASELINE, point("rollouts 4", 1.01, 0.05), point("queries", 1.0, -0.01)],
    **{
        f"edge {price}": [BASELINE, point("dear", price, 0.05, best=True)]
        for price in (21.0, 38.0, 70.0, 90.0)
    },
    "far": [BASELINE, point("broken", 0.5, -40.0), point("dear", 1e6, 0.02, best=True)],
    "no price": without_price([BASELINE, *many(40)]),
    "baseline": [BASELINE],
    "nothing": [],
}


def drawn(points: list[FrontierPoint], axes: FrontierAxes, width: float) -> Any:
    with house_style():
        return draw_frontier(points, axes, width)


def words(figure: Any) -> list[str]:
    return [text.get_text() for text in figure.texts]


def place(figure: Any, name: str) -> float:
    """How high the words stand that begin a label."""
    return next(text for text in figure.texts if text.get_text().startswith(name)).get_position()[1]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("lower", [False, True])
def test_labels_lie_inside_and_apart(case, width, lower, clashes):
    axes = FrontierAxes(AXES.gain, POINTS, AXES.price, lower, None if lower else 0.02)
    figure = drawn(CASES[case], axes, width)
    across, tall = figure.get_size_inches() * PIXELS_PER_INCH
    assert across == pytest.approx(width)
    assert tall <= WIDTHS[width]
    assert not clashes(figure)
    assert min(text.get_fontsize() for text in figure.texts) >= SMALL


@pytest.mark.parametrize("case", ["few", "sixteen", "many", "far"])
@pytest.mark.parametrize("width", WIDTHS)
def test_the_baseline_and_the_best_for_every_price_have_labels(case, width):
    shown = words(drawn(CASES[case], AXES, width))
    assert "baseline" in shown
    best = [one for one in CASES[case] if one.on_frontier and not one.baseline]
    assert {POINTS.effect(one.estimate) for one in best} <= set(shown)
    assert width == PHONE or all(" ".join(shown).count(one.name) for one in best)


def test_better_is_up_in_either_direction():
    points = [BASELINE, point("more", 4.0, 0.08, best=True), point("less", 4.0, -0.08, best=True)]
    for lower in (False, True):
        figure = drawn(points, FrontierAxes("change", POINTS, "price", lower), 620.0)
        assert (place(figure, "more") > place(figure, "less")) is not lower
        assert any("better ↑" in shown for shown in words(figure))


def test_without_different_prices_rows_go_from_the_best_to_the_worst():
    points = [BASELINE, point("worse", 1.0, -0.04), point("best", 1.01, 0.06)]
    for axes, shown in ((AXES, points), (FrontierAxes("gain", POINTS, ""), without_price(points))):
        figure = drawn(shown, axes, 620.0)
        assert place(figure, "best") > place(figure, "baseline") > place(figure, "worse")
        assert (f"1.01{TIMES}" in words(figure)) is bool(axes.price)


def test_rows_that_do_not_fit_are_counted():
    rows = [DotRow(f"row {n}", [DotMark(-0.01 * n, None, None, "hurts")]) for n in range(40)]
    rows.insert(30, DotRow("baseline", [], baseline=True))
    with house_style():
        figure = draw_dots(rows, DotAxes("gain", POINTS), 620.0, 250.0)
    assert figure.get_size_inches()[1] * PIXELS_PER_INCH <= 250.0
    shown = words(figure)
    names = [name for name in shown if name.startswith("row")]
    assert names[0] == "row 0"
    assert names[-1] == "row 39"
    assert "baseline" in shown
    left_out = next(name for name in shown if name.startswith("…"))
    assert int(re.findall(r"\d+", left_out)[0]) == len(rows) - len(names) - 1


def configured(analysis: Any) -> Any:
    """The analysis with configurations whose narrow rows have intervals, or have none."""
    analysis = copy.deepcopy(analysis)
    for place_of, response in enumerate(analysis["responses"].values()):
        rows = []
        narrow = next(row for row in response["effects"] if row["inference"] == "narrow")
        broad = next(row for row in response["effects"] if row["inference"] == "broad")
        for number in range(5):
            gain = 0.03 - 0.02 * number
            common = {"level": f"a={number}, b=x", "estimate": gain, "price": 2.0**number}
            ends = {"low": gain - 0.01, "high": gain + 0.01}
            if number == 4:
                ends = {"low": None, "high": None, "verdict": "not_estimated"}
            rows.append({**narrow, **common, **ends})
            far = {"low": gain - 0.3 * place_of, "high": gain + 0.3, "verdict": "inconclusive"}
            rows.append({**broad, **common, **far})
        response["configurations"] = {"rows": rows}
    return analysis


def test_dots_show_both_responses_both_intervals_and_the_price(built_analysis, clashes):
    (picture,) = dots_pictures(configured(built_analysis))
    for draw in (picture.draw, picture.narrow):
        with house_style():
            figure = draw()
        assert not clashes(figure)
        shown = words(figure)
        assert shown.count("+3.0") == 2
        assert "[2.0, 4.0]" in shown
        assert f"16{TIMES}" in shown
        assert "over models, on these 2 data sets" in shown
        assert [name for name in shown if name.startswith("a=") or name == "baseline"] == [
            "a=0, b=x", "a=1, b=x", "baseline", "a=2, b=x", "a=3, b=x", "a=4, b=x"
        ]  # fmt: skip
    assert "a=4, b=x: -5.0 [-5.0, 25.0] and -5.0 [-35.0, 25.0]" in picture.alt.replace(MINUS, "-")
    data = picture.data()
    first = dict(zip(data.columns, data.rows[0], strict=True))
    assert first["gain"] == pytest.approx(0.03)
    assert (first["configuration"], first["response"], first["price"]) == (
        "a=0, b=x",
        "Learning",
        1,
    )


def test_responses_in_other_units_have_figures_of_their_own(built_analysis):
    analysis = configured(built_analysis)
    analysis["responses"]["learning"]["unit"] = "nats"
    assert [picture.id for picture in dots_pictures(analysis)] == [
        "dots-learning", "dots-generalization"
    ]  # fmt: skip


def dosed(analysis: Any, levels: list[str], scores: list[float], scale: str = "log") -> Any:
    """The analysis whose factor `rollouts` has those levels, the first one its baseline."""
    analysis = copy.deepcopy(analysis)
    factor = next(one for one in analysis["design"]["factors"] if one["name"] == "rollouts")
    factor.update(levels=levels, baseline=levels[0])
    for response in analysis["responses"].values():
        rows = [row for row in response["effects"] if row["factor"] == "rollouts"]
        response["effects"] = [row for row in response["effects"] if row["factor"] != "rollouts"]
        for number, level in enumerate(levels[1:]):
            for row in rows:
                gain = None if number == 2 else 0.01 * number
                new = {"level": level, "baseline": levels[0], "estimate": gain}
                new |= {"low": gain - 0.01, "high": gain + 0.01} if gain is not None else {}
                response["effects"].append({**row, **new})
        common = {"factor": "rollouts", "scale": scale, "p_adjusted": 0.0123}
        response["dose"] = {
            "tests": [{**common, "scores": scores}],
            "slopes": [{**common, "scope": [], "estimate": 0.0312, "se": 0.004}],
        }
    return analysis


def test_a_dose_curve_has_every_level_in_its_place(built_analysis, clashes):
    analysis = dosed(built_analysis, ["8", "1", "64", "2"], [3.0, 0.0, 6.0, 1.0])
    (picture,) = dose_pictures(analysis)
    with house_style():
        figure = picture.draw()
    places = {
        text.get_text(): text.get_position()[0]
        for text in figure.texts
        if text.get_text() in {"1", "2", "8", "64"} and text.get_position()[1] < 0.7
    }
    steps = [places["2"] - places["1"], places["8"] - places["2"], places["64"] - places["8"]]
    assert steps[1] == pytest.approx(2 * steps[0])
    assert steps[2] == pytest.approx(3 * steps[0])
    assert not clashes(figure)
    assert "Learning +3.1 pp, per doubling, adjusted p 0.012" in picture.alt
    data = picture.data()
    assert {row[data.columns.index("level")] for row in data.rows} == {"1", "2", "8", "64"}


@pytest.mark.parametrize(
    ("levels", "scores"),
    [
        ([str(2**n) for n in range(16)], list(range(16))),
        (["a" * 60, "設定" * 20, "<script>", "$x_1$ & \"q\""], [0.0, 1.0, 2.0, 3.0]),
        (["0.001", "0.002", "0.0021", "5"], [0.001, 0.002, 0.0021, 5.0]),
    ],
)  # fmt: skip
def test_names_of_doses_lie_inside_and_apart(built_analysis, levels, scores, clashes):
    (picture,) = dose_pictures(dosed(built_analysis, levels, scores, "linear"))
    for draw in (picture.draw, picture.narrow):
        with house_style():
            figure = draw()
        assert not clashes(figure)
        assert min(text.get_fontsize() for text in figure.texts) >= SMALL


def test_two_levels_are_no_curve(built_analysis):
    assert not dose_pictures(dosed(built_analysis, ["1", "4"], [0.0, 2.0]))


def test_what_marks_say_is_escaped_and_drawings_repeat():
    picture = Picture(
        id="frontier", title="Gain", alt="Gain.",
        draw=partial(draw_frontier, CASES["long"], AXES, 620.0),
    )  # fmt: skip
    text = svg(picture)
    assert text == svg(picture)
    assert "<script>" not in text
    tip = f"&lt;/script&gt; $x_1$: -3.0 [-4.3, -1.7] pp at 8{TIMES}, inconclusive</title>"
    assert tip in text.replace(MINUS, "-")
