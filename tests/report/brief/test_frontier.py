"""Gain against price: points, the frontier, and what stands in their place."""

from __future__ import annotations

from typing import Any

import pytest

from ablatekit.report.brief.brief import brief_of
from ablatekit.report.brief.frontier import (
    MOST,
    frontier_picture,
    frontier_points,
    most_notable,
)
from ablatekit.report.compose import compose
from ablatekit.report.language.brief.headline import Gain


def gain(name: str, estimate: float | None, price: float | None) -> Gain:
    return Gain(name, estimate, None, None, "helps", None, None, second_open=False, price=price)


def worth(gains: list[Gain], **changes: Any) -> list[str]:
    return [point.name for point in frontier_points(gains, **changes) if point.on_frontier]


def test_no_cheaper_point_of_the_frontier_is_better() -> None:
    gains = [
        gain("free", 0.02, 1.0), gain("dear", 0.09, 8.0), gain("waste", 0.05, 8.0),
        gain("middle", 0.06, 2.0), gain("worse", 0.06, 4.0), gain("cheap", -0.03, 0.5),
    ]  # fmt: skip
    assert worth(gains) == ["free", "dear", "middle", "cheap"]
    assert worth([gain("a", -0.02, 4.0)]) == [""]


def test_lower_may_be_better() -> None:
    gains = [gain("down", -0.1, 2.0), gain("up", 0.1, 2.0)]
    assert worth(gains, lower_is_better=True) == ["", "down"]


def test_without_prices_there_is_no_frontier() -> None:
    points = frontier_points([gain("a", 0.1, None), gain("b", None, None)])
    assert [(point.name, point.price, point.on_frontier) for point in points] == [
        ("", None, False), ("a", None, False),
    ]  # fmt: skip


def test_what_has_no_price_has_no_place_beside_prices() -> None:
    points = frontier_points([gain("a", 0.1, 2.0), gain("b", 0.2, None)])
    assert [point.name for point in points] == ["", "a"]


def test_prices_that_make_no_axis_leave_nothing_out() -> None:
    points = frontier_points([gain("a", 0.1, 1.0), gain("b", 0.2, None)])
    assert [point.name for point in points] == ["", "a", "b"]
    assert not any(point.on_frontier for point in points)


def test_what_is_left_out_is_counted(with_configurations: Any) -> None:
    cells = [*CELLS, ({"kl": "k3"}, 0.09, 0.08, {"price": None})]
    picture = frontier_picture(with_configurations(cells))
    assert picture is not None
    assert picture.title.endswith(" side by side), 2 of 3 configurations")


def test_of_many_points_the_frontier_and_the_largest_stay_in_their_order() -> None:
    gains = [gain(str(n), 0.001 * n, 2.0) for n in range(60)]
    points = frontier_points([*gains, gain("small", 0.0001, 1.0)])
    shown = most_notable(points)
    assert len(shown) == MOST
    assert shown[0].baseline
    assert shown[-1].name == "small"
    assert [point.name for point in shown[1:-1]] == [str(n) for n in range(30, 60)]


CELLS: list[Any] = [
    ({"rollouts": "4"}, 0.02, 0.04, {"price": 4.0}),
    ({"queries": "q64"}, 0.07, 0.08, {"price": 2.0}),
]


def test_configurations_are_points_with_their_price(with_configurations: Any) -> None:
    picture = frontier_picture(with_configurations(CELLS))
    assert picture is not None
    assert picture.title == "Gain on Generalization for its price (equal prices side by side)"
    assert "queries q64 alone: +7.0 points [5.8, 8.2] at 2 times the price" in picture.alt
    assert picture.data is not None
    rows = picture.data().rows
    assert [row[0] for row in rows] == ["baseline", "rollouts per query 4 alone",
                                        "queries q64 alone"]  # fmt: skip
    assert rows[2][1:5] == (2.0, 0.07, pytest.approx(0.058), pytest.approx(0.082))


def test_intervals_of_another_scope_are_named(with_configurations: Any) -> None:
    analysis = with_configurations(CELLS)
    rows = analysis["responses"]["generalization"]["configurations"]["rows"]
    broad = [{**row, "inference": "broad", "scope": ["model"]} for row in rows]
    for row in rows:
        row.update(low=None, high=None, verdict="not_estimated")
    rows += broad
    picture = frontier_picture(analysis)
    assert picture is not None
    assert picture.title.endswith(
        "for its price (equal prices side by side), intervals over models"
    )


def test_of_a_table_without_prices_gains_alone_are_shown(table_analysis: Any) -> None:
    analysis = table_analysis(
        {"optimizer": ["adam", "sgd"]}, ["a", "b", "c"], 3, lambda cell: 0.1 * (cell != "adam")
    )
    picture = frontier_picture(analysis)
    assert picture is not None
    assert picture.title == "Gain on accuracy of every level"
    assert "price" not in picture.alt
    assert picture.draw().get_size_inches()[0] > 0


def test_a_brief_without_levels_is_a_sentence(analysis: Any) -> None:
    analysis["design"]["factors"] = []
    for response in analysis["responses"].values():
        response["effects"] = []
    brief = brief_of(analysis)
    assert brief.headline[0].startswith("No levels are compared here")
    assert (brief.figure, brief.table) == (None, None)


def test_the_figure_of_the_brief_is_a_picture_of_the_document(built_analysis: Any) -> None:
    assert next(compose(built_analysis).pictures()).id == "frontier"


@pytest.mark.parametrize("narrow", [False, True])
def test_it_is_drawn_for_hostile_names(renamed: Any, analysis: Any, narrow: bool) -> None:
    picture = frontier_picture(renamed(analysis, "batch_norm", "$x_1$ <script>" + "y" * 200))
    assert picture is not None
    draw = picture.narrow if narrow else picture.draw
    assert draw is not None
    assert draw().texts
