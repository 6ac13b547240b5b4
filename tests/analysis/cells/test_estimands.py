"""Every estimand against hand formulas, and the identities that they must obey."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ablatekit.analysis.core.schema.vocabulary import statement
from ablatekit.analysis.study import analyse

CONTEXTS = ("model", "dataset")


def _effects(plan_and_tables, response="y"):
    return analyse(*plan_and_tables, {}, [])["responses"][response]["effects"]


def _cell_means(frame, factors):
    """Mean over contexts of the mean over replicates, by tuple of levels."""
    by_context = frame.groupby([*factors, *CONTEXTS])["y"].mean()
    return by_context.groupby(level=list(factors)).mean().to_dict()


@pytest.fixture(scope="module")
def cube(factorial, study):
    def mean(a, b, c, m, d):
        return 1.0 * a + 0.5 * b - 0.3 * c + 0.7 * a * b + 0.4 * a * b * c + m * 0.2 * a + d

    frame = factorial((2, 2, 2), mean=mean, sd=0.3, seed=3)
    means = {
        tuple(int(level[1]) for level in key): value
        for key, value in _cell_means(frame, ("A", "B", "C")).items()
    }
    return frame, means, _effects(study(frame, "ABC", CONTEXTS))


def test_average_effect_is_the_mean_over_all_combinations(cube, pick):
    _, mean, effects = cube
    expected = np.mean([mean[1, b, c] - mean[0, b, c] for b in (0, 1) for c in (0, 1)])
    row = pick(effects, factor="A", estimand="average", inference="narrow")
    assert row["estimate"] == pytest.approx(expected, abs=1e-12)
    expected = {"combinations": 4, "contexts": 6, "grid": False}
    assert row["averaged_over"] == statement("over_combinations", **expected)


def test_effect_at_the_baseline_and_of_removal(cube, pick):
    _, mean, effects = cube
    baseline = pick(effects, factor="B", estimand="baseline", inference="narrow")
    assert baseline["estimate"] == pytest.approx(mean[0, 1, 0] - mean[0, 0, 0], abs=1e-12)
    removal = pick(effects, factor="B", estimand="removal", inference="broad", scope=["model"])
    assert removal["estimate"] == pytest.approx(mean[1, 1, 1] - mean[1, 0, 1], abs=1e-12)


def test_interaction_is_the_mean_difference_of_differences(cube, pick):
    _, mean, effects = cube
    expected = np.mean(
        [mean[1, 1, c] - mean[0, 1, c] - mean[1, 0, c] + mean[0, 0, c] for c in (0, 1)]
    )
    row = pick(effects, factor="A:B", estimand="interaction", inference="narrow")
    assert row["estimate"] == pytest.approx(expected, abs=1e-12)
    assert (row["level"], row["baseline"]) == ("l1:l1", "l0:l0")


def test_shapley_value_is_the_mean_over_orders_of_adding(cube, pick):
    _, mean, effects = cube
    for position, factor in enumerate("ABC"):
        gains = []
        for order in itertools.permutations(range(3)):
            on = [0, 0, 0]
            for other in order[: order.index(position)]:
                on[other] = 1
            before = mean[tuple(on)]
            on[position] = 1
            gains.append(mean[tuple(on)] - before)
        row = pick(effects, factor=factor, estimand="shapley", inference="narrow")
        assert row["estimate"] == pytest.approx(np.mean(gains), abs=1e-12)


def test_narrow_standard_errors_are_the_closed_forms(cube, pick):
    frame, _, effects = cube
    groups = frame.groupby([*"ABC", *CONTEXTS])["y"]
    variance = groups.var().mean()
    factor = {
        "average": 2 / (4 * 6 * 2),
        "baseline": 2 / (6 * 2),
        "removal": 2 / (6 * 2),
        "shapley": 2 * sum(w**2 for w in (1 / 3, 1 / 6, 1 / 6, 1 / 3)) / (6 * 2),
    }
    for estimand, value in factor.items():
        row = pick(effects, factor="C", estimand=estimand, inference="narrow")
        assert row["se"] == pytest.approx(math.sqrt(variance * value), rel=1e-12)
        assert row["df"] == 48
    interaction = pick(effects, factor="A:C", estimand="interaction", inference="narrow")
    assert interaction["se"] == pytest.approx(math.sqrt(variance * 4 / (2 * 6 * 2)), rel=1e-12)


def test_matched_cells_under_an_exclusion_equal_hand_computation(factorial, study, pick):
    """advantage {none, group_norm} x rollouts {1, 4} without (group_norm, 1)."""
    frame = factorial((2, 2), mean=lambda a, b, m, _: a + 2 * b + m * a, sd=0.2, seed=5)
    frame = frame.rename(columns={"A": "advantage", "B": "rollouts"})
    frame["advantage"] = frame["advantage"].map({"l0": "none", "l1": "group_norm"})
    frame["rollouts"] = frame["rollouts"].map({"l0": "1", "l1": "4"})
    frame = frame[~((frame["advantage"] == "group_norm") & (frame["rollouts"] == "1"))]
    plan, tables = study(frame, ("advantage", "rollouts"), CONTEXTS)
    result = analyse(plan, tables, {}, [])["responses"]["y"]
    mean = _cell_means(frame, ("advantage", "rollouts"))
    advantage = pick(result["effects"], factor="advantage", estimand="average", inference="narrow")
    rollouts = pick(result["effects"], factor="rollouts", estimand="average", scope=["model"])
    assert advantage["estimate"] == pytest.approx(mean["group_norm", "4"] - mean["none", "4"])
    assert rollouts["estimate"] == pytest.approx(mean["none", "4"] - mean["none", "1"])
    variance = frame.groupby(["advantage", "rollouts", *CONTEXTS])["y"].var().mean()
    assert advantage["se"] == pytest.approx(math.sqrt(variance * 2 / 12))
    (matched,) = result["footers"]["matched"]
    assert [(row["level"], row["cells"]) for row in matched["arguments"]["effects"]] == [
        ("group_norm", ["rollouts=4"]),
        ("4", ["advantage=none"]),
    ]
    baseline = pick(result["effects"], factor="advantage", estimand="baseline", inference="narrow")
    assert baseline["estimate"] is None
    assert baseline["verdict"] == "not_estimated"
    assert baseline["reason"] == statement("no_pair_at_baseline")
    interaction = pick(result["effects"], estimand="interaction", inference="narrow")
    assert interaction["reason"] == statement("no_quadruple")
    assert result["anova_note"]["arguments"]["type"] == "II"


def test_removal_averages_over_several_non_baseline_levels(factorial, study, pick):
    frame = factorial((2, 3), mean=lambda a, b, *_: a * (1 + b), sd=0.1)
    mean = _cell_means(frame, ("A", "B"))
    row = pick(
        _effects(study(frame, "AB", CONTEXTS)), factor="A", estimand="removal", inference="narrow"
    )
    expected = np.mean([mean["l1", b] - mean["l0", b] for b in ("l1", "l2")])
    assert row["estimate"] == pytest.approx(expected, abs=1e-12)
    shapley = pick(
        _effects(study(frame, "AB", CONTEXTS)), factor="A", estimand="shapley", inference="narrow"
    )
    assert shapley["reason"] == statement("incomplete_for_shapley")


def _merge(plan, tables, keep, gone):
    """Let the cell `gone` share the unit of the cell `keep`, whose runs alone remain."""
    unit = {tuple(cell.levels.values()): cell.unit for cell in plan.cells}
    cells = tuple(
        replace(cell, unit=unit[keep]) if cell.unit == unit[gone] else cell for cell in plan.cells
    )
    runs = tuple(run for run in plan.runs if run.unit != unit[gone])
    names = {run.run_id for run in runs}
    merged = replace(
        tables,
        runs=tables.runs[tables.runs["run"].isin(names)],
        results=tables.results[tables.results["run"].isin(names)],
    )
    return replace(plan, cells=cells, runs=runs), merged


def test_merged_cells_enter_once_and_are_identical_by_construction(factorial, study, pick):
    """B has no effect where A is at its baseline: the two cells are one unit."""
    frame = factorial((2, 2), mean=lambda a, b, *_: a + a * b, sd=0.1)
    merged = _merge(*study(frame, "AB", CONTEXTS), keep=("l0", "l0"), gone=("l0", "l1"))
    result = analyse(*merged, {}, [])
    assert result["counts"]["analysed"] == 36
    effects = result["responses"]["y"]["effects"]
    baseline = pick(effects, factor="B", estimand="baseline", inference="narrow")
    assert baseline["verdict"] == "identical"
    assert baseline["estimate"] is None
    assert baseline["reason"] == statement("identical_runs")
    left = frame[~((frame["A"] == "l0") & (frame["B"] == "l1"))]
    mean = _cell_means(left, ("A", "B"))
    average = pick(effects, factor="B", estimand="average", inference="narrow")
    assert average["estimate"] == pytest.approx((mean["l1", "l1"] - mean["l1", "l0"]) / 2)
    assert average["notes"] == [statement("same_runs_in", combinations=1, of_combinations=2)]
    other = pick(effects, factor="A", estimand="average", inference="narrow")
    expected = (mean["l1", "l0"] + mean["l1", "l1"]) / 2 - mean["l0", "l0"]
    assert other["estimate"] == pytest.approx(expected)


def test_a_failed_run_of_a_merged_unit_counts_for_all_its_levels(factorial, study, pick):
    frame = factorial((3,), models=1, datasets=1, seed=2)
    frame.loc[0, "y"] = np.nan
    merged = _merge(*study(frame, "A", CONTEXTS), keep=("l0",), gone=("l1",))
    missing = analyse(*merged, {}, [])["responses"]["y"]["missing"]
    for level in ("l0", "l1"):
        row = pick(missing["by_level"], level=level)
        assert (row["planned"], row["failed"]) == (2, 1)
    assert missing["runs"][0]["levels"] == {"A": "l0"}
    assert missing["messages"][0] == statement("without_result", runs=1)


def test_failed_runs_leave_cells_their_full_weight(factorial, study, pick):
    """Unbalanced counts: means weigh cells and contexts equally, not runs."""
    frame = factorial((2, 2), replicates=3, seed=8, mean=lambda a, b, m, _: a * (1 + m + 4 * b))
    frame.loc[[0, 1, 15, 40], "y"] = np.nan
    mean = _cell_means(frame, ("A", "B"))
    plan, tables = study(frame, "AB", CONTEXTS)
    result = analyse(plan, tables, {}, [])
    row = pick(
        result["responses"]["y"]["effects"], factor="A", estimand="average", inference="narrow"
    )
    expected = np.mean([mean["l1", b] - mean["l0", b] for b in ("l0", "l1")])
    assert row["estimate"] == pytest.approx(expected)
    assert result["counts"] == {
        "planned": 72, "started": 72, "finished": 68, "diverged": 0, "failed": 4, "analysed": 68,
    }  # fmt: skip
    assert len(result["responses"]["y"]["missing"]["runs"]) == 4


def test_a_combination_without_runs_is_left_out_of_its_own_context_only(factorial, study, pick):
    frame = factorial((2, 2), seed=9)
    lost = (frame[["A", "B", "model", "dataset"]] == ["l1", "l1", "m0", "d0"]).all(axis=1)
    frame.loc[lost, "y"] = np.nan
    mean = _cell_means(frame, ("A", "B"))
    effects = _effects(study(frame, "AB", CONTEXTS))
    row = pick(effects, factor="A", estimand="average", inference="narrow")
    cells = frame.groupby(["A", *CONTEXTS, "B"])["y"].mean()
    by_context = (cells["l1"] - cells["l0"]).groupby(level=CONTEXTS).mean()
    assert row["estimate"] == pytest.approx(by_context.mean())
    assert (row["contexts"], row["pairs"], row["of_pairs"]) == (6, 11, 12)
    assert row["notes"] == []
    shared = row["common_pairs"]["estimate"]
    assert shared == pytest.approx(mean["l1", "l0"] - mean["l0", "l0"])
    removal = pick(effects, factor="A", estimand="removal", inference="narrow")
    assert removal["notes"] == [statement("contexts_left_out", contexts=["m0 / d0"])]
    assert removal["averaged_over"] == statement("off_baseline", contexts=5)


def test_a_level_whose_runs_all_failed_is_refused(factorial, study, pick):
    frame = factorial((2, 2))
    frame.loc[frame["A"] == "l1", "y"] = np.nan
    row = pick(
        _effects(study(frame, "AB", CONTEXTS)), factor="A", estimand="average", inference="narrow"
    )
    assert row["estimate"] is None
    assert row["reason"] == statement("no_run_at_level", level="l1")


numbers = st.integers(min_value=-50, max_value=50).map(lambda i: i / 10)


@settings(max_examples=8, deadline=None)
@given(effects=st.tuples(numbers, numbers, numbers), seed=st.integers(0, 1000))
@example(effects=(0.0, 0.0, 0.0), seed=6)
def test_an_additive_truth_makes_all_estimands_agree(factorial, study, pick, effects, seed):
    noise = np.random.default_rng(seed).normal(size=(3, 2))

    def mean(a, b, c, m, d):
        return effects[0] * a + effects[1] * b + effects[2] * c + float(noise[m, d])

    frame = factorial((2, 2, 2), mean=mean, sd=0.0)
    rows = _effects(study(frame, "ABC", CONTEXTS, inference="narrow"))
    for position, factor in enumerate("ABC"):
        for estimand in ("average", "baseline", "removal", "shapley"):
            row = pick(rows, factor=factor, estimand=estimand, inference="narrow")
            assert row["estimate"] == pytest.approx(effects[position], abs=1e-9)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), factors=st.integers(2, 4))
def test_shapley_values_add_up_to_full_minus_baseline(factorial, study, seed, factors):
    frame = factorial((2,) * factors, models=2, datasets=1, seed=seed)
    names = "ABCD"[:factors]
    rows = _effects(study(frame, names, CONTEXTS, inference="narrow"))
    total = sum(
        row["estimate"]
        for row in rows
        if row["estimand"] == "shapley" and row["inference"] == "narrow"
    )
    mean = _cell_means(frame, tuple(names))
    assert total == pytest.approx(mean[("l1",) * factors] - mean[("l0",) * factors], abs=1e-12)


def _comparable(rows):
    keys = ("factor", "level", "estimand", "inference")
    values = ("estimate", "se", "df", "p", "p_adjusted", "low", "high")
    return {tuple(row[k] for k in keys): [row[v] for v in values] for row in rows}


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_results_do_not_depend_on_the_order_of_rows_or_levels(factorial, study, seed):
    frame = factorial((2, 3), models=3, datasets=2, seed=seed)
    shuffled = frame.sample(frac=1.0, random_state=seed)
    baselines = {"A": "l0", "B": "l1"}
    first = _comparable(_effects(study(frame, "AB", CONTEXTS, baselines=baselines)))
    second = _comparable(_effects(study(shuffled, "AB", CONTEXTS, baselines=baselines)))
    assert first.keys() == second.keys()
    for key, values in first.items():
        assert values == [
            None if value is None else pytest.approx(value, abs=1e-12) for value in second[key]
        ]


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000), scale=st.sampled_from((-3.0, 0.01, 250.0)))
def test_effects_scale_with_the_response_and_ignore_its_origin(factorial, study, seed, scale):
    frame = factorial((2, 2), models=3, datasets=2, seed=seed)
    moved = frame.assign(y=frame["y"] * scale + 7.0)
    first = _effects(study(frame, "AB", CONTEXTS))
    second = _effects(study(moved, "AB", CONTEXTS))
    for one, two in zip(first, second, strict=True):
        assert two["estimate"] == pytest.approx(one["estimate"] * scale, abs=1e-9 * abs(scale))
        assert two["p"] == pytest.approx(one["p"], abs=1e-9)


def test_analysis_of_a_frame_leaves_the_frame_alone(factorial, study):
    frame = factorial((2, 2))
    before = frame.copy()
    _effects(study(frame, "AB", CONTEXTS))
    pd.testing.assert_frame_equal(frame, before)
