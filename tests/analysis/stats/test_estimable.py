"""Type III hypotheses: Goodnight's worked values, closed forms, and what they cannot depend on."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ablatekit.analysis.stats.estimable import (
    IndicatorModel,
    in_coefficients,
    sum_of_squares,
    type_three,
)


def _cells(levels: Any) -> Any:
    """Indicators of the observed combinations of the columns of `levels`."""
    cell = np.unique(levels, axis=0, return_inverse=True)[1].reshape(-1)
    return (cell[:, None] == np.arange(cell.max() + 1)).astype(float)


def _two_way(a: Any, b: Any) -> IndicatorModel:
    blocks = [np.ones((len(a), 1)), _cells(a[:, None]), _cells(b[:, None]), _cells(np.c_[a, b])]
    owner = np.repeat([-1, 0, 1, 2], [block.shape[1] for block in blocks])
    return IndicatorModel(np.hstack(blocks), owner, ((2,), (2,), ()))


def _squares(model: IndicatorModel, y: Any) -> list[tuple[int, float]]:
    inverse = np.linalg.pinv(model.matrix)
    beta, unscaled = inverse @ y, inverse @ inverse.T
    return [(len(rows), sum_of_squares(rows, beta, unscaled)) for rows in type_three(model)]


def test_a_complete_table_compares_unweighted_means():
    """Yates's weighted squares of means, with cells of 1, 2 and 3 rows."""
    counts = np.array([[1, 3], [2, 1], [3, 2]])
    a, b = (np.repeat(codes.ravel(), counts.ravel()) for codes in np.indices(counts.shape))
    y = np.random.default_rng(1).normal(size=len(a)) + a
    means = np.array([[y[(a == i) & (b == j)].mean() for j in range(2)] for i in range(3)])
    weights = 4.0 / (1.0 / counts).sum(axis=1)
    rows = means.mean(axis=1)
    expected = weights @ (rows - weights @ rows / weights.sum()) ** 2
    df, squares = _squares(_two_way(a, b), y)[0]
    assert df == 2
    assert squares == pytest.approx(expected, rel=1e-12)


def test_an_aliased_term_has_no_hypothesis():
    a = np.array([0, 0, 1, 1])
    assert [df for df, _ in _squares(_two_way(a, a), np.arange(4.0))] == [0, 0, 0]


def test_rows_become_functions_of_any_full_rank_coefficients():
    a, b = np.indices((2, 3)).reshape(2, -1).repeat(2, axis=1)
    model = _two_way(a, b)
    x = _cells(np.c_[a, b])
    y = np.random.default_rng(2).normal(size=len(a))
    means = np.linalg.lstsq(x, y, rcond=None)[0]
    for rows, (_, squares) in zip(type_three(model), _squares(model, y), strict=True):
        own = in_coefficients(rows, model, x)
        assert sum_of_squares(own, means, np.linalg.inv(x.T @ x)) == pytest.approx(squares)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 4), st.integers(2, 4))
def test_nothing_depends_on_names_order_or_rows_per_cell(seed, levels_a, levels_b):
    rng = np.random.default_rng(seed)
    cells = np.array(list(itertools.product(range(levels_a), range(levels_b))))
    kept = cells[rng.permutation(len(cells))[: int(rng.integers(2, len(cells) + 1))]]
    chosen = kept[np.r_[np.arange(len(kept)), rng.integers(0, len(kept), 5)]]
    a, b = chosen.T
    y = rng.normal(size=len(a))
    before = _squares(_two_way(a, b), y)
    order = rng.permutation(len(a))
    renamed_a, renamed_b = rng.permutation(levels_a)[a], rng.permutation(levels_b)[b]
    after = _squares(_two_way(renamed_a[order], renamed_b[order]), y[order])
    for (df, squares), (other_df, other) in zip(before, after, strict=True):
        assert df == other_df
        assert other == pytest.approx(squares, rel=1e-9, abs=1e-9)
    swapped = _squares(_two_way(b, a), y)
    for position, (df, squares) in zip((1, 0, 2), swapped, strict=True):
        assert df == before[position][0]
        assert squares == pytest.approx(before[position][1], rel=1e-9, abs=1e-9)
