"""Means of two factors at a time, for pictures of interactions."""

from __future__ import annotations

import numpy as np
import pytest

from ablatekit.analysis.companions.fitted_means import fitted_means, pair_means
from ablatekit.analysis.study import analyse

CONTEXTS = ("model", "dataset")


def test_cells_and_contexts_have_equal_weight(factorial, study):
    frame = factorial((2, 3, 2), models=2, datasets=1, seed=4, mean=lambda a, b, *_: a * b)
    frame = frame[~((frame["A"] == "l1") & (frame["B"] == "l2"))].iloc[1:]
    analysis = analyse(*study(frame, "ABC", CONTEXTS, baselines={"A": "l0"}), {}, [])
    fitted = fitted_means(analysis["responses"]["y"])
    pair = pair_means(analysis, fitted, "A", "B")
    assert pair is not None
    assert (set(pair.first_levels), len(pair.second_levels)) == ({"l0", "l1"}, 3)
    assert pair.per_context.shape == (2, 3, 2)
    cells = frame.groupby(["A", "B", "C", "model"])["y"].mean().groupby(["A", "B"]).mean()
    for row, b in enumerate(pair.second_levels):
        for column, a in enumerate(pair.first_levels):
            expected = cells.get((a, b), np.nan)
            assert pair.means[row, column] == pytest.approx(expected, nan_ok=True)


def test_a_response_without_runs_has_no_picture(factorial, study):
    analysis = analyse(*study(factorial((2, 2)).assign(y=np.nan), "AB", CONTEXTS), {}, [])
    assert pair_means(analysis, fitted_means(analysis["responses"]["y"]), "A", "B") is None


def test_pairs_differ_in_nothing_else(factorial, study):
    """Where B is b1, A's second level was never run with C's second level, which is 10 higher."""
    frame = factorial((2, 2, 2), models=2, datasets=1, mean=lambda *at: 10.0 * at[2], sd=0.01)
    lost = (frame["A"] == "l1") & (frame["B"] == "l1") & (frame["C"] == "l1")
    analysis = analyse(*study(frame[~lost], "ABC", CONTEXTS), {}, [])
    pair = pair_means(analysis, fitted_means(analysis["responses"]["y"]), "A", "B")
    assert pair is not None
    assert np.abs(pair.means).max() < 0.1
