"""Variation over the levels of a scope against metafor and the prediction-interval formulas."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from ablatekit.analysis.cells.broad import broad
from ablatekit.analysis.cells.heterogeneity import spread
from ablatekit.analysis.core.layout import Layout
from ablatekit.analysis.core.schema.vocabulary import statement
from ablatekit.analysis.core.values import ContextValues, ErrorTerm

ERROR = ErrorTerm(variance=1.0, df=90, cells=90, parameters=90, method=statement("cell_means_t"))


def _values(value, variance):
    value = np.asarray(value, dtype=float)
    factor = np.broadcast_to(np.asarray(variance, dtype=float), value.shape)
    used = ~np.isnan(value)
    pairs = used.astype(np.int64)
    return ContextValues(
        value=value, factor=factor, single=factor, used=used, pairs=pairs, of_pairs=1
    )


def _layout(**blocks):
    contexts = tuple(" / ".join(labels) for labels in zip(*blocks.values(), strict=True))
    nothing = np.zeros((0, 0), dtype=np.int64)
    return Layout((), nothing, nothing, (), contexts, blocks, 2)


def _one_way(count):
    return _layout(model=tuple(f"m{i}" for i in range(count)))


def _crossed(m, d):
    rows = [(f"m{i}", f"d{j}") for i in range(m) for j in range(d)]
    return _layout(model=tuple(row[0] for row in rows), dataset=tuple(row[1] for row in rows))


def test_tau_equals_the_hedges_estimator_of_metafor(reference):
    case = reference("meta_six_contexts")
    values = _values(case["frame"]["yi"], case["frame"]["vi"])
    between = spread(values, ("model",), ERROR, _one_way(6), 0.05)
    assert between.tau**2 == pytest.approx(case["HE_z"]["tau2"], rel=1e-9)
    mean_noise = case["frame"]["vi"].mean()
    assert between.i2 == pytest.approx(between.tau**2 / (between.tau**2 + mean_noise))


def test_prediction_interval_of_one_new_level():
    value = np.array([0.1, 0.3, 0.2, 0.6, 0.4, 0.2])
    between = spread(_values(value, 0.01), ("model",), ERROR, _one_way(6), 0.1)
    half = stats.t.ppf(0.95, 5) * value.std(ddof=1) * np.sqrt(1 + 1 / 6)
    assert between.prediction_low == pytest.approx(value.mean() - half)
    assert between.prediction_high == pytest.approx(value.mean() + half)


def test_prediction_interval_of_a_new_level_of_both():
    table = np.random.default_rng(3).normal(size=(4, 3)) + np.arange(4)[:, None]
    design, values = _crossed(4, 3), _values(table.ravel(), 0.01)
    between = spread(values, ("model", "dataset"), ERROR, design, 0.05)
    by_model = 3 * table.mean(axis=1).var(ddof=1)
    by_dataset = 4 * table.mean(axis=0).var(ddof=1)
    rest = (table.var() * 12 - 3 * by_model - 2 * by_dataset) / 6
    decided = broad(values, ("model", "dataset"), design, 0.05)
    added = max(0, (by_model - rest) / 3) + max(0, (by_dataset - rest) / 4) + rest
    half = stats.t.ppf(0.975, decided.df) * np.sqrt(decided.se**2 + added)
    assert between.prediction_high - between.prediction_low == pytest.approx(2 * half)


def test_no_excess_variation_is_zero():
    value = np.array([0.1, 0.12, 0.11, 0.1, 0.12])
    between = spread(_values(value, 0.5), ("model",), ERROR, _one_way(5), 0.05)
    assert (between.tau, between.i2) == (0.0, 0.0)


def test_few_levels_or_no_error_are_refused():
    few = statement("too_few_levels", variable="model", levels=2, fewest=3, of_levels=2)
    assert spread(_values([1.0, 2.0], 0.1), ("model",), ERROR, _one_way(2), 0.05).reason == few
    none = statement("no_replicates")
    unknown = ErrorTerm(
        variance=np.nan, df=0, cells=6, parameters=6, method=ERROR.method, reason=none
    )
    between = spread(_values(np.arange(6.0), 0.1), ("model",), unknown, _one_way(6), 0.05)
    assert between.reason == none
    assert np.isnan(between.tau)
