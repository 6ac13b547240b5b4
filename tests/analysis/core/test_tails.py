"""Tails, quantiles and ranks against scipy.stats, which the product does not import."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from ablatekit.analysis.core.tails import (
    average_ranks,
    chi2_quantile,
    chi2_tail,
    f_tail,
    normal_quantile,
    normal_two_sided,
    ordinal_ranks,
)

VALUES = [-1.0, 0.0, 1e-12, 0.3, 1.0, 4.0, 60.0, 1e5, np.inf, np.nan]
CLOSE = {"rel": 1e-12, "abs": 0.0, "nan_ok": True}


@pytest.mark.parametrize("value", VALUES)
def test_tails_are_those_of_scipy(value: float) -> None:
    for df in (1.0, 2.5, 40.0):
        assert chi2_tail(value, df) == pytest.approx(stats.chi2.sf(value, df), **CLOSE)
        for error_df in (1.0, 7.3, 1e4):
            expected = stats.f.sf(value, df, error_df)
            assert f_tail(value, df, error_df) == pytest.approx(expected, **CLOSE)


@pytest.mark.parametrize("df", [0.0, -1.0, np.nan])
def test_without_degrees_of_freedom_there_is_no_p(df: float) -> None:
    assert np.isnan(chi2_tail(1.0, df))
    assert np.isnan(f_tail(1.0, df, 3.0))
    assert np.isnan(f_tail(1.0, 3.0, df))


def test_quantiles_are_those_of_scipy() -> None:
    levels = np.array([0.0, 1e-9, 0.025, 0.5, 0.95, 1.0])
    assert normal_quantile(levels) == pytest.approx(stats.norm.ppf(levels), rel=1e-12)
    for level in levels:
        assert chi2_quantile(level, 3.0) == pytest.approx(stats.chi2.ppf(level, 3.0), rel=1e-12)


def test_a_normal_p_counts_both_sides() -> None:
    values = np.array([-9.0, -0.5, 0.0, 2.0, 40.0])
    expected = 2.0 * stats.norm.sf(np.abs(values))
    assert normal_two_sided(values) == pytest.approx(expected, rel=1e-12)


def test_ranks_of_ties() -> None:
    values = np.array([3.0, 1.0, 3.0, 2.0, 1.0, 3.0])
    assert ordinal_ranks(values).tolist() == stats.rankdata(values, method="ordinal").tolist()
    assert average_ranks(values).tolist() == stats.rankdata(values).tolist()
