"""Brent's method takes the steps of scipy's, bit for bit; many roots at once are as exact."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special
from scipy.optimize import brentq

from ablatekit.analysis.core.roots import RELATIVE, bracketed_root, bracketed_roots


@pytest.mark.parametrize(("tolerance", "relative"), [(1e-10, RELATIVE), (1e-15, 1e-14)])
def test_roots_are_those_of_scipy_to_the_bit(tolerance: float, relative: float) -> None:
    rng = np.random.default_rng(0)
    compared = 0
    for cubic, slope, shift, low, high in rng.normal(scale=3.0, size=(400, 5)).tolist():

        def curve(x: float, a: float = cubic, b: float = slope, c: float = shift) -> float:
            return a * x**3 + b * x + c + float(np.sin(3 * x))

        if curve(low) * curve(high) < 0:
            compared += 1
            expected = brentq(curve, low, high, xtol=tolerance, rtol=relative)
            assert bracketed_root(curve, low, high, tolerance, relative) == expected
    assert compared > 100


def test_an_end_may_be_the_root() -> None:
    assert bracketed_root(lambda x: x - 1.0, 1.0, 4.0, 1e-10) == 1.0
    assert bracketed_root(lambda x: x - 4.0, 1.0, 4.0, 1e-10) == 4.0


def test_a_bracket_without_a_change_of_sign_is_refused() -> None:
    with pytest.raises(ValueError, match="same sign"):
        bracketed_root(lambda x: x * x + 1.0, -1.0, 1.0, 1e-10)


def test_many_roots_at_once() -> None:
    target = np.array([0.001, 0.5, 0.999, 0.7])
    low, high = np.full(4, -9.0), np.array([9.0, 9.0, 9.0, 60.0])
    roots = bracketed_roots(lambda x: special.ndtr(x) - target, low, high)
    assert roots == pytest.approx(special.ndtri(target), abs=1e-11)


def test_roots_at_an_end_and_of_steps() -> None:
    ends = bracketed_roots(lambda x: x, np.array([0.0, -1.0]), np.array([2.0, 0.0]))
    assert ends == pytest.approx([0.0, 0.0], abs=1e-12)
    step = bracketed_roots(lambda x: np.where(x < 0.3, -1.0, 1.0), np.zeros(1), np.ones(1))
    assert step == pytest.approx([0.3], abs=1e-11)


def test_many_roots_need_signs_that_differ() -> None:
    with pytest.raises(ValueError, match="same sign"):
        bracketed_roots(lambda x: x + 3.0, np.array([0.0]), np.array([1.0]))
