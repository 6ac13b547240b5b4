"""Meta-analysis: limits that do not exist, variances that are none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ablatekit.analysis.core.schema.vocabulary import statement
from ablatekit.analysis.stats.meta import meta_analysis
from ablatekit.errors import UsageError

METHODS = ("DL", "REML", "ML", "PM", "HE", "SJ")


@pytest.mark.parametrize("method", METHODS)
def test_effects_that_differ_too_little_have_no_limits(method: Any, corpus: Any) -> None:
    data = pd.read_csv(corpus.estimable / "tau2-limits-empty-set.csv")
    fit = meta_analysis(data["yi"].to_numpy(), data["vi"].to_numpy(), method=method)
    assert method == "SJ" or fit.tau2 == 0.0
    assert fit.heterogeneity is not None
    assert np.isnan([*fit.heterogeneity.tau2, *fit.heterogeneity.i2]).all()
    assert fit.heterogeneity.reason == statement("empty_q_profile")


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 8), st.floats(-8.0, 2.0))
def test_limits_are_where_q_meets_its_quantiles_or_are_not_there(seed, studies, log_spread):
    rng = np.random.default_rng(seed)
    v = rng.uniform(0.1, 1.0, studies)
    y = np.exp(log_spread) * rng.normal(size=studies)
    limits = meta_analysis(y, v, test="z").heterogeneity
    assert limits is not None

    def q(tau2: float) -> float:
        weights = 1.0 / (v + tau2)
        return float(weights @ (y - weights @ y / weights.sum()) ** 2)

    low, high = limits.tau2
    upper, lower = stats.chi2.ppf([0.975, 0.025], studies - 1)
    if q(0.0) < lower:
        assert limits.reason is not None
        assert np.isnan([low, high]).all()
        return
    assert limits.reason is None
    assert 0.0 <= low <= high
    assert q(high) == pytest.approx(lower, rel=1e-6)
    assert low == 0.0 or q(low) == pytest.approx(upper, rel=1e-6)


@pytest.mark.parametrize("value", [0.0, -0.1, np.inf, np.nan])
def test_a_variance_that_is_none_is_named(value: float) -> None:
    message = f"sampling variances must be positive and finite; received {value:g} in row 2"
    with pytest.raises(UsageError, match=message):
        meta_analysis(np.array([1.0, 2.0]), np.array([0.1, value]))
