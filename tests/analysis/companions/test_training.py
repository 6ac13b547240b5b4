"""Effects over training, milestones and stability against hand computation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ablatekit.analysis.companions.training import carried_forward, late_sd, steps_to
from ablatekit.analysis.study import analyse
from ablatekit.analysis.tables.responses import History

CONTEXTS = ("model", "dataset")
NAN = np.nan


@pytest.fixture(scope="module")
def trained(factorial, study, response):
    """Scores start at 0.2 and rise to y over steps 0, 10, ..., 80."""
    frame = factorial((2, 2), seed=4, sd=0.02, mean=lambda a, *_: 0.5 + 0.2 * a)
    plan, tables = study(frame, "AB", CONTEXTS, responses=[response("y", unit="accuracy")])
    rng = np.random.default_rng(0)
    rows = [
        (run, step, "y", 0.2 + (y - 0.2) * step / 80 + 0.001 * rng.normal() * (0 < step < 80))
        for run, y in zip(tables.runs["run"], frame["y"], strict=True)
        for step in range(0, 81, 10)
    ]
    history = pd.DataFrame(rows, columns=["run", "step", "metric", "value"])
    return plan, replace(tables, history=history)


def _rows(plan, tables, key):
    return analyse(plan, tables, {}, [])["responses"]["y"][key]


def test_last_values_are_carried_forward():
    value = np.array([[NAN, 1.0, NAN, 3.0, NAN], [NAN] * 5])
    expected = [[NAN, 1, 1, 3, 3], [NAN] * 5]
    np.testing.assert_array_equal(carried_forward(value), expected)


def test_the_last_step_is_the_effect_table(trained, pick):
    found = analyse(*trained, {}, [])["responses"]["y"]
    last = pick(found["effects_over_training"], factor="A", step=80)
    effect = pick(found["effects"], factor="A", estimand="average", inference="narrow")
    for key in ("estimate", "low", "high"):
        assert last[key] == pytest.approx(effect[key])


def test_step_zero_is_no_effect_without_an_interval(trained, pick):
    row = pick(_rows(*trained, "effects_over_training"), factor="A", step=0)
    assert row["estimate"] == 0.0
    assert row["low"] is None


def test_simultaneous_intervals_share_alpha_between_the_steps_that_vary(trained, pick):
    from scipy import stats

    row = pick(_rows(*trained, "effects_over_training"), factor="A", step=40)
    wider = (row["high_simultaneous"] - row["low_simultaneous"]) / (row["high"] - row["low"])
    ratio = stats.t.ppf(1 - 0.025 / 8, 24) / stats.t.ppf(0.975, 24)
    assert wider == pytest.approx(ratio)


def test_long_histories_are_thinned_with_both_ends(trained):
    plan, tables = trained
    runs = tables.runs["run"].to_list()
    rng = np.random.default_rng(1)
    history = pd.DataFrame(
        {
            "run": np.repeat(runs, 100),
            "step": np.tile(np.arange(100), len(runs)),
            "metric": "y",
            "value": rng.random(100 * len(runs)),
        }
    )
    rows = _rows(plan, replace(tables, history=history), "effects_over_training")
    steps = [row["step"] for row in rows if row["factor"] == "A"]
    assert (len(steps), steps[0], steps[-1]) == (25, 0, 99)


def test_a_diverged_run_keeps_its_last_value(trained, pick):
    plan, tables = trained
    lost = tables.runs["run"][0]
    runs = tables.runs.assign(
        status=np.where(tables.runs["run"] == lost, "diverged", tables.runs["status"])
    )
    history = tables.history[(tables.history["run"] != lost) | (tables.history["step"] <= 30)]
    results = tables.results[tables.results["run"] != lost]
    changed = replace(tables, runs=runs, history=history, results=results)
    found = analyse(plan, changed, {}, [])["responses"]["y"]
    last = pick(found["effects_over_training"], factor="A", step=80)
    effect = pick(found["effects"], factor="A", estimand="average", inference="narrow")
    assert last["estimate"] == pytest.approx(effect["estimate"])
    level = runs.loc[runs["run"] == lost, "A"].item()
    row = pick(found["stability"], factor="A", level=level)
    assert row["collapse_rate"] == pytest.approx(1 / 24)


def test_truncated_models_have_effects_over_training_too(factorial, study, pick):
    frame = factorial((2, 2, 2), replicates=1, seed=5, mean=lambda a, *_: a)
    plan, tables = study(frame, "ABC", CONTEXTS)
    rows = [
        (run, step, "y", y * step / 2)
        for run, y in zip(tables.runs["run"], frame["y"], strict=True)
        for step in range(3)
    ]
    history = pd.DataFrame(rows, columns=["run", "step", "metric", "value"])
    found = analyse(plan, replace(tables, history=history), {}, [])["responses"]["y"]
    effect = pick(found["effects"], factor="A", estimand="average", inference="narrow")
    for step in (1, 2):
        row = pick(found["effects_over_training"], factor="A", step=step)
        assert row["estimate"] == pytest.approx(effect["estimate"] * step / 2)
        assert row["high"] == pytest.approx(effect["high"] * step / 2)


def test_steps_to_a_threshold_by_hand():
    value = np.array([[0.1, 0.4, 0.3], [0.5, NAN, 0.6], [0.1, 0.2, NAN], [NAN] * 3])
    history = History(np.array([0, 10, 20]), value)
    step, reached = steps_to(history, 0.35, higher=True)
    np.testing.assert_array_equal(step, [10, 0, 10, NAN])
    assert reached.tolist() == [True, True, False, False]
    step, reached = steps_to(history, 0.15, higher=False)
    np.testing.assert_array_equal(step, [0, 20, 0, NAN])
    assert reached.tolist() == [True, False, True, False]


def test_milestones_lie_between_the_start_and_the_best_level(trained, pick):
    plan, tables = trained
    rows = _rows(plan, tables, "milestones")
    last = tables.history[tables.history["step"] == 80].set_index("run")["value"]
    level = tables.runs.set_index("run")["A"]
    goal = last[level == "l1"].mean()
    thresholds = sorted({row["threshold"] for row in rows})
    assert thresholds == pytest.approx([0.2 + w * (goal - 0.2) for w in (0.25, 0.5, 0.75)])
    best = pick(rows, factor="A", level="l1", threshold=thresholds[1])
    assert (best["reached"], best["runs"]) == (24, 24)
    assert 30 <= best["mean_step"] <= 50
    slow = pick(rows, factor="A", level="l0", threshold=thresholds[2])
    assert slow["reached"] < 24
    assert slow["mean_step"] <= 80


def test_a_study_that_never_improves_has_no_milestones(trained):
    plan, tables = trained
    history = tables.history.assign(value=0.2)
    assert (
        "milestones"
        not in analyse(plan, replace(tables, history=history), {}, [])["responses"]["y"]
    )


def test_late_sd_is_the_sd_of_the_last_quarter():
    value = np.random.default_rng(0).normal(size=(3, 16))
    value[1, 13] = NAN
    value[2, 13:15] = NAN
    found = late_sd(value)
    assert found[0] == pytest.approx(value[0, 12:].std(ddof=1))
    assert found[1] == pytest.approx(value[1, [12, 14, 15]].std(ddof=1))
    assert np.isnan(found[2])


def test_runs_that_lose_most_of_what_they_gained_have_collapsed(trained, pick):
    plan, tables = trained
    lost = set(tables.runs["run"][tables.runs["A"] == "l1"][:6])
    fallen = tables.history["run"].isin(lost) & (tables.history["step"] == 80)
    history = tables.history.assign(value=np.where(fallen, 0.25, tables.history["value"]))
    rows = _rows(plan, replace(tables, history=history), "stability")
    assert pick(rows, factor="A", level="l1")["collapse_rate"] == pytest.approx(6 / 24)
    assert pick(rows, factor="A", level="l0")["collapse_rate"] == 0.0


def test_a_partial_response_is_the_same_plan(trained):
    plan, _ = trained
    [planned] = plan.analysis.responses
    partly = replace(planned, partial=True)
    changed = replace(plan, analysis=replace(plan.analysis, responses=(partly,)))
    assert changed.hash == plan.hash


def test_residuals_know_their_place_in_the_run_order(trained):
    plan, tables = trained
    residuals = _rows(plan, tables, "diagnostics")["residuals"]
    planned = {run.run_id: run.order for run in plan.runs}
    assert residuals["order"] == [planned[run] for run in residuals["run"]]
