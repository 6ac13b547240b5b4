"""Equal variances, step-0 audit, bounds, residuals, curves and costs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ablatekit.analysis.core.schema.vocabulary import statement
from ablatekit.analysis.core.values import RunValues
from ablatekit.analysis.stats.homogeneity import brown_forsythe
from ablatekit.analysis.study import analyse

CONTEXTS = ("model", "dataset")


def _values(groups):
    unit = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    y = np.concatenate(groups)
    return RunValues(y, unit, np.zeros_like(unit), tuple(f"r{i}" for i in range(len(y))))


def test_brown_forsythe_without_structural_zeros_by_hand():
    """Odd groups lose the zero of their median: then it is the plain test of what is left."""
    groups = [np.array([1.0, 2.0, 4.0, 8.0, 9.0]), np.array([3.0, 3.5, 5.0, 5.1, 7.0])]
    deviations = [np.array([3.0, 2.0, 4.0, 5.0]), np.array([2.0, 1.5, 0.1, 2.0])]
    expected = stats.f_oneway(*deviations).pvalue
    assert brown_forsythe(_values(groups)) == pytest.approx(expected)


def test_brown_forsythe_of_even_groups_joins_the_two_middle_deviations():
    groups = [np.array([1.0, 2.0, 4.0, 8.0]), np.array([0.0, 3.0, 4.0, 5.0])]
    joined = [np.array([2.0, np.sqrt(2.0), 5.0]), np.array([3.5, np.sqrt(2.0) / 2, 1.5])]
    expected = stats.f_oneway(*joined).pvalue
    assert brown_forsythe(_values(groups)) == pytest.approx(expected)


def test_brown_forsythe_of_pairs_compares_their_differences():
    groups = [np.array([1.0, 2.0]), np.array([3.0, 9.0])]
    values = _values([np.concatenate([g, g * 1.5]) for g in groups])
    values = replace(values, context=np.array([0, 0, 1, 1] * 2))
    pairs = [np.array([1.0, 1.5]) / np.sqrt(2), np.array([6.0, 9.0]) / np.sqrt(2)]
    assert brown_forsythe(values) == pytest.approx(stats.f_oneway(*pairs).pvalue)


def test_brown_forsythe_agrees_with_scipy_on_large_samples():
    rng = np.random.default_rng(0)
    groups = [rng.normal(size=401), 1.1 * rng.normal(size=401)]
    expected = stats.levene(*groups, center="median").pvalue
    assert brown_forsythe(_values(groups)) == pytest.approx(expected, rel=0.05)


def test_brown_forsythe_holds_its_level_with_two_replicates():
    rng = np.random.default_rng(1)
    unit = np.repeat(np.arange(4), 12)
    context = np.tile(np.repeat(np.arange(6), 2), 4)
    names = tuple(f"r{i}" for i in range(48))
    p = [brown_forsythe(RunValues(rng.normal(size=48), unit, context, names)) for _ in range(600)]
    assert 0.02 <= np.mean(np.array(p) < 0.05) <= 0.08


def test_brown_forsythe_without_replicates_is_no_number():
    assert np.isnan(brown_forsythe(_values([np.array([1.0]), np.array([2.0])])))


def _with_history(plan_and_tables, rows):
    plan, tables = plan_and_tables
    history = pd.DataFrame(rows, columns=["run", "step", "metric", "value"])
    return plan, replace(tables, history=history)


def test_step_zero_scores_must_agree_within_a_context(factorial, study):
    frame = factorial((2,), models=2, datasets=1, replicates=2)
    plan, tables = study(frame, "A", CONTEXTS)
    start = {"m0 / d0": 0.25, "m1 / d0": 0.5}
    rows = [
        (run, step, "y", start[context] + 0.1 * step)
        for run, context in zip(tables.runs["run"], tables.runs["context"], strict=True)
        for step in (0, 1)
    ]
    audit = analyse(*_with_history((plan, tables), rows), {}, [])["responses"]["y"]["diagnostics"]
    assert audit["step_zero"]["equal"]
    assert [row["value"] for row in audit["step_zero"]["contexts"]] == [0.25, 0.5]
    rows[0] = (*rows[0][:3], 0.3)
    broken = analyse(*_with_history((plan, tables), rows), {}, [])["responses"]["y"]["diagnostics"]
    assert not broken["step_zero"]["equal"]
    assert statement("unequal_starts") in broken["messages"]
    without = replace(plan, lacks=("step_zero",))
    told = analyse(*_with_history((without, tables), rows), {}, [])["responses"]["y"]["diagnostics"]
    assert told.get("step_zero") is None
    assert statement("unequal_starts") not in told["messages"]


@pytest.mark.parametrize(
    ("direction", "codes"),
    [
        ("higher", {"starts_at_worst": (0.0, "easier"), "starts_at_best": (1.0, "harder")}),
        ("lower", {"starts_at_worst": (1.0, "harder"), "starts_at_best": (0.0, "easier")}),
    ],
)
def test_a_start_at_an_end_of_the_scale_is_a_warning(factorial, study, response, direction, codes):
    frame = factorial((2,), models=3, datasets=1, replicates=2)
    frame["y"] = 0.5
    advice = {"at_zero": "easier", "at_one": "harder"}
    share = response("y", unit="fraction", direction=direction, **advice)
    plan, tables = study(frame, "A", CONTEXTS, responses=[share])
    start = {"m0 / d0": 0.0, "m1 / d0": 1.0, "m2 / d0": 0.5}
    rows = [
        (run, step, "y", start[context] if step == 0 else 0.5)
        for run, context in zip(tables.runs["run"], tables.runs["context"], strict=True)
        for step in (0, 1)
    ]
    found = analyse(*_with_history((plan, tables), rows), {}, [])["responses"]["y"]["diagnostics"]
    told = {row["code"]: row["arguments"] for row in found["messages"]}
    assert {code: (told[code]["value"], told[code]["remedy"]) for code in codes} == codes
    for code, (value, _) in codes.items():
        assert told[code]["contexts"] == [name for name, at in start.items() if at == value]
        assert told[code]["of_contexts"] == 3


def test_no_start_at_an_end_of_the_scale_is_no_warning(factorial, study):
    frame = factorial((2,), models=1, datasets=1, replicates=2)
    plan, tables = study(frame, "A")
    rows = [(run, step, "y", 7.0 * step) for run in tables.runs["run"] for step in (0, 1)]
    found = analyse(*_with_history((plan, tables), rows), {}, [])["responses"]["y"]["diagnostics"]
    assert not [row for row in found["messages"] if row["code"].startswith("starts_at")]


def test_replicates_that_repeat_each_other_are_a_warning(factorial, study):
    frame = factorial((2,), models=1, datasets=1, replicates=3)
    plan, tables = study(frame, "A")
    rows = [
        (run, step, "y", 0.1 * step + 0.01 * (number if number != 2 else 1) * (step > 0))
        for number, run in enumerate(tables.runs["run"])
        for step in range(4)
    ]
    found = analyse(*_with_history((plan, tables), rows), {}, [])["responses"]["y"]["diagnostics"]
    assert statement("repeated_histories", runs=1) in found["messages"]
    rows[8:12] = [(run, step, name, value + 0.001) for run, step, name, value in rows[8:12]]
    plan_and_tables = _with_history((plan, tables), rows)
    found = analyse(*plan_and_tables, {}, [])["responses"]["y"]["diagnostics"]
    assert "repeated_histories" not in [message["code"] for message in found["messages"]]


def test_cell_means_near_a_bound_are_a_warning(factorial, study, response):
    frame = factorial((2,), models=1, datasets=1, replicates=2)
    frame["y"] = [0.01, 0.03, 0.5, 0.6]
    for unit, count in (("fraction", 1), ("nats", 0)):
        plan_and_tables = study(frame, "A", responses=[response("y", unit=unit)])
        found = analyse(*plan_and_tables, {}, [])["responses"]["y"]["diagnostics"]
        assert len(found["near_bounds"]) == count
        assert (statement("near_bounds", cells=count) in found["messages"]) == bool(count)


def _messages(plan_and_tables, code):
    response = analyse(*plan_and_tables, {}, [])["responses"]["y"]
    return [m["arguments"] for m in response["diagnostics"]["messages"] if m["code"] == code]


def test_cell_means_near_a_bound_are_a_warning_on_the_gap(factorial, study, response):
    frame = factorial((2,), models=1, datasets=1, replicates=2)
    for unit, cells in (("fraction", 2), ("nats", 0)):
        names = {"learning": [0.01, 0.03, 0.5, 0.6], "generalization": [0.4, 0.3, 0.99, 0.97]}
        asked = [response(name, unit=unit) for name in names]
        plan_and_tables = study(frame.assign(**names), "A", responses=asked)
        gap = analyse(*plan_and_tables, {}, [])["comparisons"]["gap"]
        expected = statement("gap_near_bounds", cells=cells)
        assert (expected in gap["messages"]) == bool(cells)


def test_an_error_from_few_cells_is_a_warning(factorial, study):
    frame = factorial((2, 2), replicates=1, seed=4)
    few = pd.concat([frame, frame.iloc[:3].assign(y=lambda rows: rows["y"] + 1.0)])
    told = _messages(study(few, "AB", CONTEXTS), "few_error_cells")
    assert told == [{"replicated": 3, "cells": 24, "df": 3}]
    every = factorial((2, 2), replicates=2, seed=4)
    assert _messages(study(every, "AB", CONTEXTS), "few_error_cells") == []


@pytest.mark.parametrize("replicates", [1, 3])
def test_one_context_with_most_of_the_residual_variation_is_a_warning(factorial, study, replicates):
    frame = factorial((2, 2, 2), replicates=replicates, seed=1)
    assert _messages(study(frame, "ABC", CONTEXTS), "uneven_contexts") == []
    noisy = (frame["model"] == "m1") & (frame["dataset"] == "d0")
    frame.loc[noisy, "y"] *= 20
    (told,) = _messages(study(frame, "ABC", CONTEXTS), "uneven_contexts")
    assert told["context"] == "m1 / d0"
    assert told["share"] > 0.9


def test_contexts_of_equal_variance_are_seldom_called_uneven(factorial, study):
    frames = (factorial((2, 2), models=2, datasets=1, seed=seed) for seed in range(100))
    told = [_messages(study(frame, "AB", CONTEXTS), "uneven_contexts") for frame in frames]
    assert sum(map(bool, told)) <= 5


def test_a_broad_interval_shorter_than_the_narrow_one_is_a_warning(factorial, study):
    frame = factorial((2,), models=4, datasets=1, replicates=2, sd=0.0)
    frame["y"] = (frame["A"] == "l1") * (1 + 0.01 * frame["model"].str[1:].astype(float))
    frame["y"] += np.where(np.arange(len(frame)) % 2, 1.0, -1.0)
    assert _messages(study(frame, "A", ("model",)), "shorter_broad") == [
        {"scope": ["model"], "effects": ["A: l1"]}
    ]
    frame["y"] += 5 * (frame["A"] == "l1") * frame["model"].str[1:].astype(float)
    assert _messages(study(frame, "A", ("model",)), "shorter_broad") == []


def test_residuals_sum_to_zero_in_every_cell_and_name_the_largest(factorial, study):
    frame = factorial((2,), replicates=3)
    frame.loc[4, "y"] += 20
    plan, tables = study(frame, "A", CONTEXTS)
    found = analyse(plan, tables, {}, [])["responses"]["y"]["diagnostics"]
    lists = pd.DataFrame(found["residuals"])
    assert np.allclose(lists.groupby(["unit", "context"])["residual"].sum(), 0)
    assert found["largest_residual"]["run"] == "row-0000004"
    assert lists["quantile"].sum() == pytest.approx(0.0)
    assert lists["residual"].rank().tolist() == lists["quantile"].rank().tolist()


def test_curves_are_equal_weight_means_with_the_pooled_interval(factorial, study):
    frame = factorial((2, 2), models=2, datasets=1, replicates=2, seed=3)
    plan, tables = study(frame, "AB", CONTEXTS)
    rows = [
        (run, step, "y", value * step)
        for run, value in zip(tables.runs["run"], frame["y"], strict=True)
        for step in (1, 2)
    ]
    result = analyse(*_with_history((plan, tables), rows), {}, [])["responses"]["y"]
    curve = next(c for c in result["dynamics"] if (c["factor"], c["level"]) == ("A", "l1"))
    own = frame[frame["A"] == "l1"]
    variance = frame.groupby(["A", "B", *CONTEXTS])["y"].var().mean()
    half = stats.t.ppf(0.975, 8) * np.sqrt(variance / 8)
    assert curve["step"] == [1, 2]
    assert curve["n"] == [8, 8]
    assert curve["mean"] == pytest.approx([own["y"].mean(), 2 * own["y"].mean()])
    assert curve["high"] == pytest.approx(
        [m + s * half for s, m in zip((1, 2), curve["mean"], strict=True)]
    )


def test_costs_per_level_are_matched_and_seconds_go_to_provenance(factorial, study):
    frame = factorial((2, 2), models=1, datasets=1, replicates=1)
    frame = frame[~((frame["A"] == "l1") & (frame["B"] == "l1"))]
    plan, tables = study(frame, "AB")
    plan = replace(plan, cost_metrics=("samples", "seconds"), unrepeatable_metrics=("seconds",))
    costs = {"row-0000000": 10.0, "row-0000001": 50.0, "row-0000002": 30.0}
    extra = pd.DataFrame(
        [(run, m, v) for run, v in costs.items() for m in ("samples", "seconds")],
        columns=["run", "metric", "value"],
    )
    tables = replace(tables, results=pd.concat([tables.results, extra]))
    result = analyse(plan, tables, {"version": "1"}, [])
    found = {(row["factor"], row["level"]): row["mean"] for row in result["design"]["cost"]}
    assert found == {("A", "l0"): 10.0, ("A", "l1"): 30.0, ("B", "l0"): 10.0, ("B", "l1"): 50.0}
    assert {row["metric"] for row in result["provenance"]["cost"]} == {"seconds"}
    assert result["provenance"]["version"] == "1"
