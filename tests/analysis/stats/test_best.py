"""Hsu's comparisons with the best against R, Student's t for two means, and simulation."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ablatekit.analysis.core.student import t_quantile
from ablatekit.analysis.stats.best import compare_with_best

REFERENCE = json.loads(
    (Path(__file__).parents[2] / "reference" / "dunnett" / "reference.json").read_text()
)["warpbreaks"]


@pytest.mark.parametrize(
    ("case", "first", "sigma", "df", "level"),
    [("best", 0, REFERENCE["sigma"], REFERENCE["df"], 0.95), ("best_of_few", 2, 8.0, 9.0, 0.9)],
)
def test_unequal_groups_against_r(
    case: str, first: int, sigma: float, df: float, level: float
) -> None:
    mean = np.array(REFERENCE["mean"][first:])
    variance = 1.0 / np.array(REFERENCE["count"][first:])
    ours = compare_with_best(mean, variance, sigma, df, level)
    theirs = REFERENCE[case]
    assert ours.critical == pytest.approx(theirs["critical"], abs=1e-3)
    assert ours.low == pytest.approx(theirs["low"], abs=0.02)
    assert ours.high == pytest.approx(theirs["high"], abs=0.02)
    candidates = np.atleast_1d(theirs["candidates"]) - 1
    assert np.flatnonzero(ours.may_be_best).tolist() == candidates.tolist()


def test_two_means_are_a_one_sided_t_test() -> None:
    """The difference is 3 with standard error 2 sqrt(1 + 1/4)."""
    half = float(t_quantile(0.95, 10.0)) * 2.0 * np.sqrt(1.25)
    result = compare_with_best(np.array([5.0, 2.0]), np.array([1.0, 0.25]), 2.0, 10.0, 0.95)
    assert result.low == pytest.approx([3.0 - half, -3.0 - half])
    assert result.high == pytest.approx([3.0 + half, half - 3.0])
    assert result.may_be_best.tolist() == [True, True]


def test_a_clear_winner_is_the_only_candidate() -> None:
    result = compare_with_best(np.array([1.0, 9.0, 1.0]), np.ones(3), 0.1, 5.0, 0.99)
    assert result.may_be_best.tolist() == [False, True, False]
    assert result.low[1] == 0.0
    assert result.high[[0, 2]].tolist() == [0.0, 0.0]


def test_lower_is_better_mirrors() -> None:
    mean, variance = np.array([1.0, 2.0, 5.0]), np.array([0.2, 0.3, 0.1])
    low_wins = compare_with_best(mean, variance, 1.0, 8.0, 0.95, higher=False)
    high_wins = compare_with_best(-mean, variance, 1.0, 8.0, 0.95)
    assert low_wins.low == pytest.approx(-high_wins.high)
    assert low_wins.high == pytest.approx(-high_wins.low)
    assert low_wins.may_be_best.tolist() == high_wins.may_be_best.tolist()


def test_the_best_mean_is_in_the_set_as_often_as_stated() -> None:
    """Of four equal means, the hardest case, each stays in the set in 1 - alpha of the draws."""
    rng, draws, level = np.random.default_rng(8), 200_000, 0.8
    variance = np.array([0.5, 0.25, 1.0, 0.1])
    critical = compare_with_best(np.zeros(4), variance, 1.0, 6.0, level).critical
    mean = rng.normal(size=(draws, 4)) * np.sqrt(variance)
    sigma = np.sqrt(rng.chisquare(6, draws) / 6)
    for i in range(4):
        error = sigma[:, None] * np.sqrt(variance[i] + np.delete(variance, i))
        shortfall = np.delete(mean, i, axis=1) - mean[:, i : i + 1]
        kept = (shortfall < critical[i] * error).all(axis=1).mean()
        assert kept == pytest.approx(level, abs=4.0 * np.sqrt(level * (1 - level) / draws))


@pytest.mark.parametrize(("members", "level"), [(1, 0.95), (3, 0.5)])
def test_what_cannot_be_compared_is_refused(members: int, level: float) -> None:
    with pytest.raises(ValueError, match="two means"):
        compare_with_best(np.ones(members), np.ones(members), 1.0, 5.0, level)
