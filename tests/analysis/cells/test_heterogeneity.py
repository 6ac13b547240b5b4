"""Variation between contexts against metafor and the prediction-interval formula."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from ablatekit.analysis.cells.heterogeneity import spread
from ablatekit.analysis.core.schema.vocabulary import statement
from ablatekit.analysis.core.values import ContextValues, ErrorTerm

ERROR = ErrorTerm(variance=1.0, df=90, cells=90, parameters=90, method=statement("cell_means_t"))


def _values(value, variance):
    value = np.asarray(value, dtype=float)
    factor = np.broadcast_to(np.asarray(variance, dtype=float), value.shape)
    used = ~np.isnan(value)
    return ContextValues(value=value, factor=factor, single=factor, used=used, combinations=1)


def test_tau_equals_the_hedges_estimator_of_metafor(reference):
    case = reference("meta_six_contexts")
    found = spread(_values(case["frame"]["yi"], case["frame"]["vi"]), ERROR, {}, 0.05)
    assert found.tau**2 == pytest.approx(case["HE_z"]["tau2"], rel=1e-9)
    mean_noise = case["frame"]["vi"].mean()
    assert found.i2 == pytest.approx(found.tau**2 / (found.tau**2 + mean_noise))


def test_prediction_interval_is_the_formula():
    value = np.array([0.1, 0.3, 0.2, 0.6, 0.4, 0.2])
    found = spread(_values(value, 0.01), ERROR, {}, 0.1)
    tau2 = value.var(ddof=1) - 0.01
    half = stats.t.ppf(0.95, 5) * np.sqrt(tau2 + value.var(ddof=1) / 6)
    assert found.prediction_low == pytest.approx(value.mean() - half)
    assert found.prediction_high == pytest.approx(value.mean() + half)


def test_no_excess_variation_is_zero_and_predicts_the_broad_interval():
    value = np.array([0.1, 0.12, 0.11, 0.1, 0.12])
    found = spread(_values(value, 0.5), ERROR, {}, 0.05)
    assert (found.tau, found.i2) == (0.0, 0.0)
    interval = stats.ttest_1samp(value, 0).confidence_interval()
    assert (found.prediction_low, found.prediction_high) == pytest.approx(tuple(interval))


def test_variation_by_one_blocking_variable_is_a_warning():
    blocks = {"model": tuple("aabbcc"), "dataset": tuple("xyxyxy")}
    by_model = np.array([0.0, 0.01, 0.5, 0.51, 1.0, 0.99])
    found = spread(_values(by_model, 0.001), ERROR, blocks, 0.05)
    assert found.warning == statement("varies_by_variable", variable="model", contexts=6, values=3)
    by_context = np.array([0.0, 0.9, 0.1, 1.0, 0.9, 0.05])
    assert spread(_values(by_context, 0.001), ERROR, blocks, 0.05).warning is None
    assert spread(_values(by_model, 10.0), ERROR, blocks, 0.05).warning is None


def test_few_contexts_or_no_error_are_refused():
    few = statement("few_contexts_for_spread", contexts=3, fewest=5)
    assert spread(_values([1.0, 2.0, 3.0], 0.1), ERROR, {}, 0.05).reason == few
    none = statement("no_replicates")
    unknown = ErrorTerm(
        variance=np.nan, df=0, cells=6, parameters=6, method=ERROR.method, reason=none
    )
    found = spread(_values(np.arange(6.0), 0.1), unknown, {}, 0.05)
    assert found.reason == none
    assert np.isnan(found.tau)
