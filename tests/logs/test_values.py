from __future__ import annotations

import math

import pytest

from ablatekit.logs.base import LoggedRun
from ablatekit.logs.values import (
    LoggedPoint,
    distinctly_named,
    flatten,
    in_order,
    metrics_of,
    number_of,
    plain_value,
    seconds_of,
    step_of,
)


def test_nested_values_have_dotted_names_and_lists_are_text() -> None:
    config = {"optimizer": {"name": "adam", "betas": [0.9, 0.99]}, "seed": 0, "warmup": None}
    assert flatten({**config, "empty": {}}) == {
        "optimizer.name": "adam",
        "optimizer.betas": "[0.9, 0.99]",
        "seed": 0,
        "warmup": None,
    }


def test_metrics_are_numbers_alone() -> None:
    logged = {
        "loss": "NaN",
        "top": "-Infinity",
        "eval": {"accuracy": 1, "table": {"_type": "table", "rows": 3}},
        "solved": True,
        "note": "fine",
        "_step": 4,
    }
    metrics = metrics_of(logged)
    assert math.isnan(metrics.pop("loss"))
    assert metrics == {"top": -math.inf, "eval.accuracy": 1.0, "solved": 1.0}


def test_a_whole_number_beyond_doubles_is_infinite() -> None:
    assert number_of(-(10**400)) == -math.inf
    assert number_of([1]) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.1", 0.1),
        ("32", 32),
        ("True", True),
        ("1e-4", "1e-4"),
        ("1.10", "1.10"),
        ("007", "007"),
        ("nan", "nan"),
        ("adam", "adam"),
    ],
)
def test_text_is_a_number_only_where_nothing_of_its_spelling_is_lost(
    text: str, value: object
) -> None:
    assert plain_value(text) == value
    assert type(plain_value(text)) is type(value)


def test_steps_come_in_order_and_the_later_value_of_a_step_stands() -> None:
    points = [
        LoggedPoint(3, 30.0, {"a": 3.0}),
        LoggedPoint(1, 10.0, {"a": 1.0, "b": 0.5}),
        LoggedPoint(2, 20.0, {}),
        LoggedPoint(1, 40.0, {"a": 1.5}),
    ]
    history = in_order(points)
    assert [(event.step, dict(event.metrics)) for event in history] == [
        (1, {"a": 1.5, "b": 0.5}),
        (3, {"a": 3.0}),
    ]


def test_a_point_without_a_step_follows_the_one_before() -> None:
    assert step_of(None, 4) == 5
    assert step_of("NaN", 4) == 5
    assert step_of(7.0, 4) == 7


def test_dates_without_a_zone_are_utc() -> None:
    assert seconds_of("1970-01-01T00:01:00") == 60.0
    assert seconds_of("1970-01-01T00:01:00+00:01") == 0.0
    assert seconds_of("yesterday") is None
    assert seconds_of(5) is None


def test_every_run_has_a_name_of_its_own() -> None:
    runs = [LoggedRun(name=name) for name in ("b", "a", "a", "a (2)", "a")]
    names = [run.name for run in distinctly_named(runs)]
    assert names == ["a", "a (3)", "a (4)", "a (2)", "b"]
