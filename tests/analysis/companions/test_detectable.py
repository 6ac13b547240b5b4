"""Minimum detectable effects against statsmodels, R's power.t.test and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats
from statsmodels.stats.power import TTestPower

from ablatekit.analysis.companions.detectable import detectable_in_se
from ablatekit.analysis.study import analyse

CONTEXTS = ("model", "dataset")


@pytest.mark.parametrize("df", [2, 5, 10, 48, 96])
@pytest.mark.parametrize("power", [0.8, 0.9])
def test_statsmodels_agrees(df, power):
    size = TTestPower().solve_power(nobs=df + 1, alpha=0.05, power=power)
    found = detectable_in_se(float(df), 0.05, power)
    assert found == pytest.approx(size * np.sqrt(df + 1), rel=1e-6)


def test_r_agrees():
    # power.t.test(power = .90, delta = 1): n = 22.02110 per group.
    n = 22.02110
    assert detectable_in_se(2 * (n - 1), 0.05, 0.9) == pytest.approx(np.sqrt(n / 2), rel=1e-6)


@pytest.mark.parametrize("df", [1, 2, 30, 1000])
def test_power_is_the_integral_over_the_variance(df):
    critical, found = stats.t.ppf(0.975, df), detectable_in_se(float(df), 0.05)

    def power(u):
        tails = stats.norm.sf(critical * u - found) + stats.norm.cdf(-critical * u - found)
        return tails * stats.chi.pdf(u * np.sqrt(df), df) * np.sqrt(df)

    spread = 10 / np.sqrt(df)
    low, high = max(0.0, 1 - spread), 1 + spread
    assert integrate.quad(power, low, high)[0] == pytest.approx(0.8, abs=1e-7)


@pytest.fixture(scope="module")
def response_of(factorial, study):
    frame = factorial((2, 2), replicates=3, seed=2, mean=lambda a, *_: 0.4 * a)
    return analyse(*study(frame, "AB", CONTEXTS), {}, [])["responses"]["y"]


def test_the_study_itself_is_the_first_row(response_of, pick):
    for scope in ([], ["model"]):
        for estimand in ("average", "baseline", "removal"):
            names = {"factor": "A", "estimand": estimand, "scope": scope}
            row = pick(response_of["detectable"], replicates=3, **names)
            effect = pick(response_of["effects"], **names)
            assert row["half_width"] == pytest.approx((effect["high"] - effect["low"]) / 2)
            expected = detectable_in_se(effect["df"], 0.05) * effect["se"]
            assert row["minimum_detectable"] == pytest.approx(expected)
            assert row["power"] == 0.8


def test_more_replicates_narrow_by_the_residual_variance(response_of, pick):
    names = {"factor": "A", "estimand": "average", "inference": "narrow"}
    row = pick(response_of["detectable"], replicates=7, **names)
    se = response_of["residual_sd"] * np.sqrt(4 / (24 * 7))
    assert row["half_width"] == pytest.approx(stats.t.ppf(0.975, 24 * 6) * se)


def test_more_replicates_shrink_only_the_seed_noise_between_levels(response_of, pick):
    names = {"factor": "A", "estimand": "average", "scope": ["model"]}
    row = pick(response_of["detectable"], replicates=7, **names)
    values = [r["estimate"] for r in response_of["contexts"] if r["factor"] == "A"]
    by_model = np.reshape(values, (3, 2)).mean(axis=1)
    noise = response_of["residual_sd"] ** 2 * (1 / 6 + 1 / 6) / 2
    observed = np.var(by_model, ddof=1)
    expected = observed - min(noise, observed) * (1 - 3 / 7)
    assert row["half_width"] == pytest.approx(stats.t.ppf(0.975, 2) * np.sqrt(expected / 3))
    assert row["contexts"] == 6


def test_without_an_interval_there_is_a_reason(factorial, study):
    frame = factorial((2,), models=1, datasets=2, replicates=1)
    rows = analyse(*study(frame, "A", CONTEXTS), {}, [])["responses"]["y"]["detectable"]
    assert rows
    assert all(row["reason"] and row["minimum_detectable"] is None for row in rows)
