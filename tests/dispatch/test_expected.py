"""How long what remains will take, computed by hand from what was measured."""

from __future__ import annotations

import pytest

from ablatekit.design.plan import PlannedRun
from ablatekit.dispatch.expected import duration, expected_time
from ablatekit.runs.records import RunSpec


def run(run_id: str, unit: str, context: str, replicate: int) -> PlannedRun:
    spec = RunSpec(
        backend="b", results_version=1, settings={}, context={}, content={}, replicate=replicate
    )
    return PlannedRun(
        run_id=run_id, order=0, unit=unit, context={"m": context}, replicate=replicate, spec=spec
    )


RUNS = (
    run("a", "u", "x", 0),
    run("b", "u", "x", 1),
    run("c", "u", "y", 0),
    run("d", "v", "x", 0),
    run("e", "v", "y", 0),
)


def test_nothing_is_said_where_nothing_is_known_or_left() -> None:
    assert expected_time(RUNS, {}, ["a"]) is None
    assert expected_time(RUNS, {"a": 10.0}, []) is None


def test_a_run_takes_what_the_runs_most_like_it_took() -> None:
    """b as its replicate a, d as its cell did elsewhere (e), c as its cell (a), not as e."""
    expected = expected_time(RUNS, {"a": 10.0, "e": 30.0}, ["b", "c", "d"])
    assert expected is not None
    assert expected.seconds == 10.0 + 10.0 + 30.0
    assert expected.longest == 30.0
    assert expected.runs == {"replicate": 1, "unit": 2}
    assert expected.measured == 2


def test_another_cell_is_the_last_resort() -> None:
    expected = expected_time(RUNS, {"a": 10.0, "b": 20.0}, ["d", "e"])
    assert expected is not None
    assert expected.seconds == 2 * 15.0
    assert expected.runs == {"plan": 2}
    assert expected.told(1) == (
        "about 30 s with 1 worker for 2 runs: as other cells took on average (2 runs measured)"
    )


def test_workers_share_the_work_but_not_a_run() -> None:
    expected = expected_time(RUNS, {"a": 10.0, "e": 30.0}, ["b", "c", "d"])
    assert expected is not None
    assert expected.with_workers(1) == 50.0
    assert expected.with_workers(2) == 30.0
    assert expected.with_workers(8) == 30.0
    assert expected.told().startswith("about 50 s of one worker for 3 runs: 1 as replicates")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "1 s"),
        (89, "89 s"),
        (90, "2 min"),
        (89 * 60, "89 min"),
        (3 * 3600, "3 h"),
        (3 * 3600 + 20 * 60, "3 h 20 min"),
        (35 * 3600 + 3599, "1 d 12 h"),
        (48 * 3600, "2 d"),
        (52 * 3600, "2 d 4 h"),
    ],
)
def test_spans_are_shown_in_two_units_at_most(seconds: float, text: str) -> None:
    assert duration(seconds) == text
