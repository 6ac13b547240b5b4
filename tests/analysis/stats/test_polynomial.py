"""Trend contrasts: orthonormal, equal to R's contr.poly, and exact on polynomials."""

from __future__ import annotations

import numpy as np
import pytest

from ablatekit.analysis.stats.polynomial import slope_contrast, trend_contrasts

SPACINGS = [[1.0, 2.0, 3.0], [0.0, 1.0, 10.0, 11.0], [5.0, 1e6, 3e6, 3.1e6, 7e6], [3.0, 1.0, 2.0]]


@pytest.mark.parametrize("score", SPACINGS)
def test_orthonormal_and_orthogonal_to_the_mean(score: list[float]) -> None:
    contrasts = trend_contrasts(np.array(score))
    assert contrasts @ contrasts.T == pytest.approx(np.eye(2), abs=1e-12)
    assert contrasts.sum(axis=1) == pytest.approx([0.0, 0.0], abs=1e-12)


def test_contr_poly_of_unequal_scores() -> None:
    """R: contr.poly(4, scores = c(1, 2, 4, 8))[, 1:2]."""
    linear = [-0.51287764453, -0.32637668288, 0.04662524041, 0.79262908700]
    quadratic = [0.5296271413, -0.1059254283, -0.7679593549, 0.3442576419]
    contrasts = trend_contrasts(np.array([1.0, 2.0, 4.0, 8.0]))
    assert contrasts == pytest.approx(np.array([linear, quadratic]), abs=1e-8)


def test_what_a_polynomial_leaves() -> None:
    score = np.array([1.0, 3.0, 4.0, 9.0])
    contrasts = trend_contrasts(score)
    straight = 2.0 - 5.0 * score
    assert contrasts[1] @ straight == pytest.approx(0.0, abs=1e-12)
    assert contrasts[0] @ straight < 0.0
    curved = (contrasts @ (3.0 * score**2)) @ contrasts + 3.0 * (score**2).mean()
    assert curved == pytest.approx(3.0 * score**2)
    assert slope_contrast(score) @ straight == pytest.approx(-5.0)
    assert slope_contrast(score) @ score**2 == pytest.approx(np.polyfit(score, score**2, 1)[0])


def test_two_levels_have_a_linear_contrast_only() -> None:
    assert trend_contrasts(np.array([1.0, 8.0])) == pytest.approx(np.array([[-1.0, 1.0]]) / 2**0.5)
    with pytest.raises(ValueError, match="two levels"):
        trend_contrasts(np.array([1.0]))
