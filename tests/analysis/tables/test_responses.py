"""Summaries of a metric's history and the policies for diverged runs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ablatekit.analysis.core.schema.vocabulary import statement
from ablatekit.analysis.study import analyse
from ablatekit.analysis.tables.responses import metric_history, summarise
from ablatekit.analysis.tables.study_tables import StudyTables
from ablatekit.study.summaries import parse_summary

HISTORY = {
    "r0": [0.1, 0.5, 0.4, 0.7],
    "r1": [0.2, np.nan, 0.6, np.nan],
    "r2": [0.9, 0.3, np.inf, 0.2],
    "r3": [np.nan] * 4,
}
STEPS = (0, 10, 20, 40)


@pytest.fixture
def tables():
    rows = [
        (run, step, "m", value)
        for run, values in HISTORY.items()
        for step, value in zip(STEPS, values, strict=True)
        if not np.isnan(value)
    ]
    history = pd.DataFrame(rows, columns=["run", "step", "metric", "value"])
    return StudyTables(pd.DataFrame({"run": list(HISTORY)}), history)


@pytest.mark.parametrize(
    ("summary", "direction", "expected"),
    [
        ("final", "higher", [0.7, 0.6, 0.2, np.nan]),
        ("best", "higher", [0.7, 0.6, 0.9, np.nan]),
        ("best", "lower", [0.1, 0.2, 0.2, np.nan]),
        ("mean_last(2)", "higher", [0.55, 0.4, 0.25, np.nan]),
        ("auc", "higher", [(3.0 + 4.5 + 11.0) / 40, 8.0 / 20, (6.0 + 7.5) / 40, np.nan]),
        ("time_to(0.5)", "higher", [10, 20, 10, np.nan]),
        ("time_to(0.65)", "higher", [40, 20, 10, np.nan]),
    ],
)
def test_summaries_by_hand(tables, response, summary, direction, expected):
    planned = response("y", metric="m", summary=summary, direction=direction)
    found, _ = summarise(planned, tables, metric_history(tables, "m"))
    assert found == pytest.approx(np.array(expected, dtype=float), nan_ok=True)


def test_runs_that_never_reach_the_threshold_are_counted(tables, response):
    planned = response("y", metric="m", summary="time_to(0.65)", direction="lower")
    _, messages = summarise(planned, tables, metric_history(tables, "m"))
    assert messages == [statement("never_reached", runs=1, threshold=0.65)]


def test_final_prefers_the_result_over_the_history(tables, response):
    results = pd.DataFrame({"run": ["r0", "r3"], "metric": "m", "value": [0.75, 0.3]})
    tables = StudyTables(tables.runs, tables.history, results)
    found, _ = summarise(response("y", metric="m"), tables, metric_history(tables, "m"))
    assert found == pytest.approx([0.75, 0.6, 0.2, 0.3])


def test_a_summary_that_is_none_is_an_error():
    assert parse_summary("mean_last(3)") == ("mean_last", 3.0)
    with pytest.raises(ValueError, match="has another form"):
        parse_summary("best of three")


@pytest.mark.parametrize(
    ("policy", "unit", "direction", "expected"),
    [
        ("score", "", "higher", 0.40),
        ("worst", "fraction", "higher", 0.0),
        ("worst", "fraction", "lower", 1.0),
        ("worst", "nats", "higher", 0.1),
        ("worst", "nats", "lower", 0.9),
        ("exclude", "fraction", "higher", None),
    ],
)
def test_diverged_runs_enter_by_policy(
    factorial, study, response, policy, unit, direction, expected
):
    frame = factorial((2,), models=1, datasets=1, replicates=3)
    frame["y"] = [0.1, 0.2, 0.3, 0.4, 0.8, 0.9]
    planned = [response("y", unit=unit, direction=direction)]
    plan, tables = study(frame, "A", responses=planned, diverged=policy)
    status = tables.runs["status"].where(tables.runs.index != 3, "diverged")
    tables = StudyTables(tables.runs.assign(status=status), tables.history, tables.results)
    result = analyse(plan, tables, {}, [])
    assert result["counts"]["diverged"] == 1
    assert result["counts"]["analysed"] == (5 if expected is None else 6)
    means = {row["term"]: row["estimate"] for row in result["responses"]["y"]["fixed"]}
    values = [0.8, 0.9] if expected is None else [expected, 0.8, 0.9]
    assert means["A=l1 | all runs"] == pytest.approx(np.mean(values))
    missing = result["responses"]["y"]["missing"]
    assert [row["status"] for row in missing["runs"]] == ["diverged"]
    code = {"score": "with_score", "worst": "with_worst", "exclude": "left_out"}[policy]
    assert missing["messages"][0]["code"] == f"diverged_{code}"
    assert missing["messages"][0]["arguments"]["runs"] == 1
    assert {"factor": "A", "level": "l1", "planned": 3, "finished": 2, "diverged": 1,
            "failed": 0, "missing": 0} in missing["by_level"]  # fmt: skip
