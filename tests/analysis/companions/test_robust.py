"""Robust companions against scipy, brute force and the definitions of rliable."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from ablatekit.analysis.core.schema.vocabulary import statement
from ablatekit.analysis.core.values import RunValues
from ablatekit.analysis.stats.permutation import DRAWS, permutation_test
from ablatekit.analysis.stats.resampling import improvement, interquartile_mean, profile, resample
from ablatekit.analysis.study import analyse

CONTEXTS = ("model", "dataset")


def _values(strata, seed=0):
    """Runs in strata of the given sizes, one context."""
    rng = np.random.default_rng(seed)
    unit = np.repeat(np.arange(len(strata)), strata)
    y = rng.normal(size=len(unit)) + unit
    return RunValues(y, unit, np.zeros(len(unit), dtype=np.int64), tuple(map(str, range(len(y)))))


@pytest.mark.parametrize("runs", [1, 2, 3, 4, 5, 7, 8, 11, 40])
def test_the_interquartile_mean_is_scipys_trimmed_mean(runs):
    y = np.random.default_rng(runs).normal(size=runs)
    found = interquartile_mean(y, np.ones((1, runs)))
    assert found == pytest.approx([stats.trim_mean(y, 0.25)], rel=1e-12)


def test_whole_weights_count_as_repeated_runs():
    y = np.random.default_rng(3).normal(size=9)
    weights = np.array([3, 0, 1, 2, 0, 1, 1, 2, 2])
    found = interquartile_mean(y, weights[None, :].astype(float))
    assert found == pytest.approx([stats.trim_mean(np.repeat(y, weights), 0.25)], rel=1e-12)


def test_bootstrap_variance_of_a_mean_is_unbiased_even_with_two_replicates():
    strata = [2, 3, 5, 2, 4]
    values = _values(strata)
    drawn = resample(values, 1, np.random.default_rng(1))
    np.testing.assert_allclose(drawn.weights.sum(axis=1), sum(strata))
    expected = 0.0
    for stratum, size in enumerate(strata):
        own = values.unit == stratum
        np.testing.assert_allclose(drawn.weights[:, own].sum(axis=1), size)
        expected += size**2 * np.var(values.y[own], ddof=1) / size
    found = np.var(drawn.weights @ values.y, ddof=1)
    # The sd of a variance over B draws is about sqrt(2 / B) of it.
    assert found == pytest.approx(expected, rel=5 * np.sqrt(2 / len(drawn.weights)))


def test_a_run_alone_in_its_stratum_never_moves():
    drawn = resample(_values([1, 4]), 1, np.random.default_rng(0))
    assert (drawn.weights[:, 0] == 1).all()
    assert not drawn.varies[0]


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_probability_of_improvement_is_the_mean_of_mann_whitney(sign):
    rng = np.random.default_rng(5)
    y = rng.integers(0, 6, size=24).astype(float)
    pairs = [(np.arange(0, 5), np.arange(5, 12)), (np.arange(12, 20), np.arange(20, 24))]
    expected = np.mean(
        [
            stats.mannwhitneyu(sign * y[a], sign * y[b]).statistic / (len(a) * len(b))
            for a, b in pairs
        ]
    )
    found = improvement(y, pairs, np.ones((1, 24)), sign)
    assert found == pytest.approx([expected], rel=1e-12)


def test_weighted_improvement_counts_repeated_runs():
    y = np.random.default_rng(2).normal(size=6)
    weights = np.array([2, 1, 0, 0, 3, 0])
    pairs = [(np.arange(3), np.arange(3, 6))]
    left, right = np.repeat(y[:3], weights[:3]), np.repeat(y[3:], weights[3:])
    expected = np.mean([a > b for a, b in itertools.product(left, right)])
    assert improvement(y, pairs, weights[None, :].astype(float), 1.0) == pytest.approx([expected])


def test_a_profile_is_the_share_of_runs_above_each_threshold():
    y = np.random.default_rng(8).normal(size=30)
    threshold = np.linspace(-2, 2, 9)
    found = profile(y, np.full(30, 5.0), threshold, np.ones((1, 30)))[0]
    np.testing.assert_allclose(found, [(y > t).mean() for t in threshold])


def test_profiles_weigh_strata_equally():
    y, size = np.array([1.0, 1.0, 1.0, 0.0]), np.array([3.0, 3.0, 3.0, 1.0])
    assert profile(y, size, np.array([0.5]), np.ones((1, 4)))[0] == pytest.approx([0.5])


def test_one_stratum_is_scipys_exact_permutation_test():
    rng = np.random.default_rng(4)
    a, b = rng.normal(0.8, 1, size=5), rng.normal(size=5)
    found = permutation_test([a], [b], rng)
    expected = stats.permutation_test(
        (a, b), lambda x, y: abs(x.mean() - y.mean()), alternative="greater", n_resamples=np.inf
    )
    assert found.exact
    assert found.permutations == 252
    assert found.p == pytest.approx(expected.pvalue, rel=1e-12)
    assert found.statistic == pytest.approx(a.mean() - b.mean())


def test_single_runs_in_pairs_are_the_exact_sign_flip_test():
    rng = np.random.default_rng(6)
    a, b = rng.normal(0.5, 1, size=10), rng.normal(size=10)
    found = permutation_test([x[None] for x in a], [x[None] for x in b], rng)
    expected = stats.permutation_test(
        (a - b,),
        lambda x: abs(x.mean()),
        permutation_type="samples",
        alternative="greater",
        n_resamples=np.inf,
    )
    assert found.exact
    assert found.p == pytest.approx(expected.pvalue, rel=1e-12)


def test_sampled_exchanges_agree_with_all_of_them():
    rng = np.random.default_rng(7)
    level = [rng.normal(0.3, 1, size=2) for _ in range(6)]
    baseline = [rng.normal(size=2) for _ in range(6)]
    sums = np.zeros(1)
    for a, b in zip(level, baseline, strict=True):
        pooled = np.concatenate([a, b])
        total = pooled.sum()
        ways = [
            (2 * pooled[list(i)].sum() - total) / 2 / 6 for i in itertools.combinations(range(4), 2)
        ]
        sums = np.add.outer(sums, ways).ravel()
    observed = np.mean([a.mean() - b.mean() for a, b in zip(level, baseline, strict=True)])
    expected = (np.abs(sums) >= abs(observed) - 1e-12).mean()
    found = permutation_test(level, baseline, rng)
    assert (found.exact, found.permutations) == (False, DRAWS)
    assert found.p == pytest.approx(expected, abs=5 * np.sqrt(expected * (1 - expected) / DRAWS))


@pytest.mark.parametrize(
    ("level", "baseline", "code"),
    [
        ([np.ones(2)], [np.ones(3)], "unequal_runs"),
        ([np.ones(7)], [np.ones(7)], "too_many_runs"),
        ([np.ones(2)] * 600, [np.ones(2)] * 600, "too_many_runs"),
        ([], [], "no_shared_runs"),
    ],
)
def test_permutation_tests_that_are_refused(level, baseline, code):
    found = permutation_test(level, baseline, np.random.default_rng(0))
    assert found.reason is not None
    assert found.reason["code"] == code
    assert np.isnan(found.p)


@pytest.fixture(scope="module")
def planted(factorial, study):
    frame = factorial((2, 2), seed=3, sd=0.05, mean=lambda a, *_: 0.3 + 0.2 * a)
    plan, tables = study(frame, "AB", CONTEXTS)
    return frame, plan, tables


def test_rows_hold_what_the_parts_compute(planted, pick):
    frame, plan, tables = planted
    found = analyse(plan, tables, {}, [])["responses"]["y"]["robust"]
    row = pick(found["iqm"], factor="A", level="l1")
    own = frame.loc[frame["A"] == "l1", "y"]
    assert (row["iqm"], row["n"]) == (pytest.approx(stats.trim_mean(own, 0.25)), 24)
    assert row["low"] < row["iqm"] < row["high"]
    better = pick(found["improvement"], factor="A")
    assert better["probability"] > 0.9
    share = pick(found["profiles"], factor="A", level="l1")
    assert share["share"][0] == 1.0
    assert share["share"][-1] == 0.0
    test = pick(found["permutation"], factor="A")
    estimate = frame.groupby("A")["y"].mean()
    assert test["statistic"] == pytest.approx(estimate["l1"] - estimate["l0"])
    assert test["p"] == 1 / (1 + DRAWS)


def test_draws_depend_on_the_plan_alone(planted):
    _, plan, tables = planted
    shuffled = replace(tables, runs=tables.runs.sample(frac=1, random_state=1))
    first = analyse(plan, tables, {}, [])["responses"]["y"]["robust"]
    assert analyse(plan, shuffled, {}, [])["responses"]["y"]["robust"] == first
    other = replace(plan, question="another")
    assert analyse(other, tables, {}, [])["responses"]["y"]["robust"]["iqm"] != first["iqm"]


def test_lower_is_better_turns_the_probability(planted, study, response, pick):
    frame, *_ = planted
    tables = study(frame, "AB", CONTEXTS, responses=[response("y", direction="lower")])
    found = analyse(*tables, {}, [])["responses"]["y"]["robust"]
    assert pick(found["improvement"], factor="A")["probability"] < 0.1


def test_one_run_per_cell_has_points_without_intervals(factorial, study, pick):
    frame = factorial((2, 2), replicates=1)
    found = analyse(*study(frame, "AB", CONTEXTS), {}, [])["responses"]["y"]["robust"]
    for row in (*found["iqm"], *found["improvement"]):
        assert row["reason"] == statement("one_run_per_cell")
        assert row["low"] is None
    assert found["iqm"][0]["iqm"] is not None
    assert pick(found["permutation"], factor="A")["exact"]
