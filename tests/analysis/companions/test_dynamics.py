"""Curves, and all that is computed over training, of one set of items at every step."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ablatekit.analysis.core.schema.vocabulary import statement
from ablatekit.analysis.study import analyse
from ablatekit.runs.records import part_metric

STEPS = (0, 10, 20, 30, 40)
OFFSET = 0.3
"""How much easier the items of the part are than all of them."""


def _training(runs, finals):
    """Rows of a metric that rises evenly from 0.1 to each run's final value."""
    rows = [
        (run, step, "y", 0.1 + (final - 0.1) * step / STEPS[-1])
        for run, final in zip(runs, finals, strict=True)
        for step in STEPS
    ]
    return pd.DataFrame(rows, columns=["run", "step", "metric", "value"])


def _spliced(history):
    """The same where evaluations between the first and the last use the part, without a word."""
    between = ~history["step"].isin((STEPS[0], STEPS[-1]))
    return history.assign(value=history["value"] + OFFSET * between)


def _with_part(history):
    """The same with the values of the part beside those of all items."""
    ends = history[history["step"].isin((STEPS[0], STEPS[-1]))]
    beside = ends.assign(metric=part_metric("y"), value=ends["value"] + OFFSET)
    return pd.concat([_spliced(history), beside], ignore_index=True)


def _partial(plan, **changed):
    [planned] = plan.analysis.responses
    responses = (replace(planned, partial=True, **changed),)
    return replace(plan, analysis=replace(plan.analysis, responses=responses))


@pytest.fixture(scope="module")
def whole(factorial, study, response):
    """Every step on all items."""
    frame = factorial((2, 2), seed=4, sd=0.02, mean=lambda a, *_: 0.3 + 0.2 * a)
    contexts = ("model", "dataset")
    plan, tables = study(frame, "AB", contexts, responses=[response("y", unit="fraction")])
    return plan, replace(tables, history=_training(tables.runs["run"], frame["y"]))


def _answer(plan, tables):
    return analyse(plan, tables, {}, [])["responses"]["y"]


@pytest.fixture(scope="module")
def both(whole):
    """The response when all steps use all items, and when those in between use the part."""
    plan, tables = whole
    parted = replace(tables, history=_with_part(tables.history))
    return _answer(plan, tables), _answer(_partial(plan), parted)


def test_a_curve_has_no_jump_where_all_items_are_evaluated(both, pick):
    plain, parted = both
    assert len(parted["dynamics"]) == len(plain["dynamics"]) == 4
    for curve in parted["dynamics"]:
        same = pick(plain["dynamics"], factor=curve["factor"], level=curve["level"])
        assert "full" not in same
        for name in ("step", "n"):
            assert curve[name] == same[name]
        for name in ("mean", "low", "high"):
            assert np.subtract(curve[name], same[name])[1:] == pytest.approx(OFFSET)
        steps = np.diff(curve["mean"])
        assert steps == pytest.approx(steps[0])
        full = curve["full"]
        assert full["step"] == [0, 40]
        assert full["n"] == [curve["n"][0], curve["n"][-1]]
        for name in ("mean", "low", "high"):
            assert full[name] == pytest.approx([same[name][0], same[name][-1]])


def test_the_effects_themselves_are_those_of_all_items(both):
    plain, parted = both
    assert parted["effects"] == plain["effects"]
    assert parted["diagnostics"]["step_zero"]["contexts"][0]["value"] == pytest.approx(0.1)


def test_effects_milestones_and_stability_follow_the_part(both):
    plain, parted = both
    pairs = zip(parted["effects_over_training"], plain["effects_over_training"], strict=True)
    for row, same in pairs:
        assert row["step"] == same["step"]
        assert row["estimate"] == pytest.approx(same["estimate"], abs=1e-12)
    for row, same in zip(parted["milestones"], plain["milestones"], strict=True):
        assert row["threshold"] == pytest.approx(same["threshold"] + OFFSET)
        assert (row["reached"], row["mean_step"]) == (same["reached"], same["mean_step"])
    for row, same in zip(parted["stability"], plain["stability"], strict=True):
        assert row["late_sd"] == pytest.approx(same["late_sd"])
        assert row["collapse_rate"] == 0.0


@pytest.mark.parametrize("summary", ["auc", "best", "mean_last(2)"])
def test_a_summary_of_several_steps_is_that_of_the_part(whole, summary):
    plan, tables = whole
    [planned] = plan.analysis.responses
    responses = (replace(planned, summary=summary),)
    plain = _answer(replace(plan, analysis=replace(plan.analysis, responses=responses)), tables)
    parted = _answer(
        _partial(plan, summary=summary), replace(tables, history=_with_part(tables.history))
    )
    for row, same in zip(parted["fixed"], plain["fixed"], strict=True):
        assert row["estimate"] == pytest.approx(same["estimate"] + OFFSET)


@pytest.mark.parametrize("summary", ["final", "mean_last(1)"])
def test_a_last_value_is_that_of_all_items(whole, both, summary):
    plan, tables = whole
    parted = _answer(
        _partial(plan, summary=summary), replace(tables, history=_with_part(tables.history))
    )
    assert [row["estimate"] for row in parted["fixed"]] == pytest.approx(
        [row["estimate"] for row in both[0]["fixed"]]
    )


def test_runs_that_tell_nothing_of_the_part_have_no_ends(whole, both, pick):
    plan, tables = whole
    answer = _answer(_partial(plan), replace(tables, history=_spliced(tables.history)))
    for curve in answer["dynamics"]:
        same = pick(both[1]["dynamics"], factor=curve["factor"], level=curve["level"])
        assert curve["step"] == [10, 20, 30]
        assert curve["mean"] == pytest.approx(same["mean"][1:-1])
        assert curve["full"] == same["full"]
    assert {row["step"] for row in answer["effects_over_training"]} == {10, 20, 30}
    told = statement("without_part", runs=len(tables.runs), metric="y")
    assert told in answer["missing"]["messages"]
    assert told["code"] not in {said["code"] for said in both[1]["missing"]["messages"]}


def test_steps_that_only_some_runs_have_of_the_part_are_left_out(whole):
    plan, tables = whole
    history = _with_part(tables.history)
    silent = (history["run"] == tables.runs["run"][0]) & (history["metric"] == part_metric("y"))
    answer = _answer(_partial(plan), replace(tables, history=history[~silent]))
    for curve in answer["dynamics"]:
        assert curve["step"] == [10, 20, 30]
        assert curve["full"]["step"] == [0, 40]
    assert {row["step"] for row in answer["effects_over_training"]} == {10, 20, 30}
    assert statement("without_part", runs=1, metric="y") in answer["missing"]["messages"]


def test_a_diverged_run_may_end_with_the_part(whole):
    plan, tables = whole
    lost = tables.runs["run"][0]
    runs = tables.runs.assign(
        status=np.where(tables.runs["run"] == lost, "diverged", tables.runs["status"])
    )
    history = _with_part(tables.history)
    history = history[(history["run"] != lost) | (history["step"] < STEPS[-1])]
    parted = replace(tables, runs=runs, history=history)
    answer = _answer(_partial(plan), parted)
    level = tables.runs["A"][0]
    [curve] = [c for c in answer["dynamics"] if (c["factor"], c["level"]) == ("A", level)]
    of_level = len(tables.runs[tables.runs["A"] == level])
    assert curve["n"] == [of_level] * 4 + [of_level - 1]
    assert curve["full"]["step"] == [0, 40]
    assert curve["full"]["n"] == [of_level, of_level - 1]
    codes = {said["code"] for said in answer["missing"]["messages"]}
    assert "without_part" not in codes
    assert statement("ended_on_part", runs=1) in answer["missing"]["messages"]
    whole_end = replace(parted, history=_with_part(tables.history))
    told = _answer(_partial(plan), whole_end)["missing"]["messages"]
    assert "ended_on_part" not in {said["code"] for said in told}
