"""Fieller's set against its definition, and each of its three shapes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ablatekit.analysis.core.student import t_quantile
from ablatekit.analysis.stats.ratio import fieller


def statistic(ratio: float, a: float, b: float, v: tuple[float, float], c: float) -> float:
    return abs(a - ratio * b) / math.sqrt(v[0] - 2.0 * ratio * c + ratio**2 * v[1])


@pytest.mark.parametrize(("a", "b"), [(2.0, 5.0), (-2.0, 5.0), (0.0, -4.0), (3.0, 0.9)])
def test_ends_are_where_the_difference_is_just_significant(a: float, b: float) -> None:
    variances, covariance, df = (1.0, 0.5), 0.3, 12.0
    ratio = fieller(a, b, variances, covariance, df)
    critical = float(t_quantile(0.975, df))
    for end in (ratio.low, ratio.high):
        assert statistic(end, a, b, variances, covariance) == pytest.approx(critical, abs=1e-9)
    inside = statistic((ratio.low + ratio.high) / 2.0, a, b, variances, covariance) < critical
    assert inside is (ratio.confidence_set == "interval")
    assert ratio.estimate == pytest.approx(a / b)


def test_published_textbook_form() -> None:
    """Independent estimates: (r +- t/b sqrt(va (1-g) + r^2 vb)) / (1-g), g = t^2 vb / b^2."""
    ratio = fieller(3.0, 4.0, (0.09, 0.16), 0.0, 20.0, 0.9)
    t = float(t_quantile(0.95, 20.0))
    g, r = t**2 * 0.16 / 16.0, 0.75
    half = t / 4.0 * math.sqrt(0.09 * (1.0 - g) + r**2 * 0.16)
    assert ratio.low == pytest.approx((r - half) / (1.0 - g), rel=1e-12)
    assert ratio.high == pytest.approx((r + half) / (1.0 - g), rel=1e-12)


def test_shapes() -> None:
    assert fieller(5.0, 9.0, (1.0, 1.0), 0.0, math.inf).confidence_set == "interval"
    assert fieller(5.0, 1.0, (1.0, 1.0), 0.0, math.inf).confidence_set == "outside"
    nothing = fieller(0.5, 0.5, (1.0, 1.0), 0.0, math.inf)
    assert (nothing.confidence_set, nothing.low, nothing.high) == (
        "everything",
        -math.inf,
        math.inf,
    )
    assert math.isnan(fieller(1.0, 0.0, (1.0, 1.0), 0.0, math.inf).estimate)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_denominator_exactly_at_its_critical_value_leaves_one_ray(sign: float) -> None:
    t = float(t_quantile(0.975, math.inf))
    ratio = fieller(5.0 * sign, t, (1.0, 1.0), 0.0, math.inf)
    end = (25.0 - t**2) / (10.0 * t) * sign
    expected = (-math.inf, end) if sign > 0.0 else (end, math.inf)
    assert (ratio.low, ratio.high) == pytest.approx(expected)
    assert ratio.confidence_set == "outside"


def test_exact_estimates_have_an_exact_ratio() -> None:
    ratio = fieller(3.0, 2.0, (0.0, 0.0), 0.0, 4.0)
    assert (ratio.low, ratio.high, ratio.confidence_set) == (1.5, 1.5, "interval")


def test_impossible_covariance_is_refused() -> None:
    with pytest.raises(ValueError, match="eigenvalue"):
        fieller(1.0, 1.0, (1.0, 1.0), 1.5, 5.0)


def test_coverage() -> None:
    """Over 4,000 draws the true ratio lies in the set in 95%, unbounded sets included."""
    rng = np.random.default_rng(3)
    covered = 0
    draws = rng.multivariate_normal([1.0, 2.0], [[0.5, 0.2], [0.2, 0.8]], 4000)
    for a, b in draws.tolist():
        ratio = fieller(a, b, (0.5, 0.8), 0.2, math.inf)
        inside = ratio.low <= 0.5 <= ratio.high
        whole = ratio.confidence_set == "everything"
        covered += whole or (inside is (ratio.confidence_set == "interval"))
    assert abs(covered / 4000 - 0.95) < 3.0 * math.sqrt(0.95 * 0.05 / 4000)
