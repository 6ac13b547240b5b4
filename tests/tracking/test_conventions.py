from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ablatekit.runs.records import MetricEvent
from ablatekit.runs.runlog import ResultRecord
from ablatekit.tracking.conventions import (
    MAX_ENTITIES,
    MAX_PARAMS,
    MAX_TAGS,
    Cursor,
    Point,
    batches,
    metric_key,
    points_of,
)


@given(points=st.integers(0, 3500), params=st.integers(0, 250))
def test_batches_hold_everything_once_in_order_and_within_the_limits(points, params):
    sent = [Point("k", float(number), number, number) for number in range(points)]
    given_params = {f"p{number}": "v" for number in range(params)}
    pieces = list(batches(sent, given_params))
    assert pieces
    assert [point for piece, _ in pieces for point in piece] == sent
    assert dict(pair for _, piece in pieces for pair in piece) == given_params
    for some_points, some_params in pieces:
        assert len(some_params) <= MAX_PARAMS
        assert len(some_points) + len(some_params) + MAX_TAGS <= MAX_ENTITIES


def test_a_cursor_survives_its_text():
    cursor = Cursor(identity="a/b", attempt=3, points=-1, ended=None)
    assert Cursor.parse(cursor.text()) == cursor


def test_metric_names_become_what_mlflow_accepts():
    assert metric_key("train/pass@1") == "train/pass_at_1"
    assert metric_key("a(b)%") == "a_b__"


def test_a_final_metric_that_was_logged_is_not_a_point_again():
    history = [MetricEvent(step=4, time=1.0, metrics={"a": 1.0})]
    result = ResultRecord(
        run_id="r",
        status="finished",
        metrics={"a": 1.0, "b": 2.0},
        message="",
        started=0.0,
        ended=2.5,
        attempts=(),
    )
    assert points_of(history, result) == [Point("a", 1.0, 1000, 4), Point("b", 2.0, 2500, 4)]
