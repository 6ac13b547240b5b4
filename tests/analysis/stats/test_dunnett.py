"""Dunnett's distribution against R, published tables, Student's t, a quadrature and simulation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import special, stats

from ablatekit.analysis.core.arrays import Floats
from ablatekit.analysis.core.student import two_sided, upper_tail
from ablatekit.analysis.stats.dunnett import Sides, dunnett_critical, dunnett_p, shared_parts

REFERENCE: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "reference" / "dunnett" / "reference.json").read_text()
)


def array(values: list[float]) -> Floats:
    return np.array(values, dtype=np.float64)


@pytest.mark.parametrize("sides", ["one", "two"])
@pytest.mark.parametrize("case", REFERENCE["probabilities"])
def test_p_is_that_of_mvtnorm(case: dict[str, Any], sides: Sides) -> None:
    """pmvt of R, whose randomised lattice is right to about 1e-5."""
    df = np.inf if case["df"] == "infinite" else float(case["df"])
    shared = shared_parts(array(case["variance"]), case["baseline"])
    ours = dunnett_p(array(case["statistic"]), shared, df, sides)
    assert ours == pytest.approx(case[sides], abs=3e-5)


def test_unequal_groups_as_multcomp() -> None:
    """glht with Dunnett's contrasts: single-step p, and the critical value of its intervals."""
    fit = REFERENCE["warpbreaks"]
    mean, variance = array(fit["mean"]), 1.0 / array(fit["count"])
    shared = shared_parts(variance[1:], variance[0])
    statistic = (mean[1:] - mean[0]) / (fit["sigma"] * np.sqrt(variance[1:] + variance[0]))
    assert statistic == pytest.approx(fit["statistic"], rel=1e-9)
    assert dunnett_p(statistic, shared, fit["df"]) == pytest.approx(fit["p"], abs=3e-5)
    critical = dunnett_critical(shared[None, :], fit["df"], 0.95)
    assert critical == pytest.approx([fit["critical"]], abs=1e-3)


@pytest.mark.parametrize(
    ("members", "df", "one", "two"),
    [
        (2, 5, 2.44, 3.03),
        (5, 10, 2.56, 2.99),
        (9, 20, 2.60, 2.95),
        (3, 60, 2.10, 2.41),
        (4, np.inf, 2.16, 2.44),
    ],
)
def test_tables_of_dunnett(members: int, df: float, one: float, two: float) -> None:
    """Upper 5% points for equal groups: Dunnett 1955, table 1a, and 1964, table II."""
    shared = np.full((1, members), np.sqrt(0.5))
    assert dunnett_critical(shared, df, 0.95, "one") == pytest.approx([one], abs=0.0051)
    assert dunnett_critical(shared, df, 0.95, "two") == pytest.approx([two], abs=0.0051)


def quadrature(t: float, shared: Floats, df: float, sides: Sides) -> float:
    """P(max > t) by Gauss-Legendre panels over z and log s, without a series or shared nodes."""
    x, w = np.polynomial.legendre.leggauss(8)

    def panels(low: float, high: float, count: int) -> tuple[Floats, Floats]:
        half = (high - low) / count / 2.0
        middle = low + half * (2.0 * np.arange(count) + 1.0)
        return (middle[:, None] + half * x).ravel(), np.tile(half * w, count)

    z, density = panels(-9.5, 9.5, 60)
    log_s, weight = panels(*np.log(np.sqrt(stats.chi2.ppf([1e-14, 1 - 1e-14], df) / df)), 40)
    s = np.exp(log_s)
    weight = weight * stats.chi.pdf(s * np.sqrt(df), df) * np.sqrt(df) * s
    upper = (t * s[:, None, None] - shared * z[:, None]) / np.sqrt(1.0 - shared**2)
    inside = special.ndtr(upper)
    if sides == "two":
        inside -= special.ndtr(
            (-t * s[:, None, None] - shared * z[:, None]) / np.sqrt(1 - shared**2)
        )
    return float(weight @ (1.0 - inside.prod(axis=2)) @ (density * stats.norm.pdf(z)))


@pytest.mark.parametrize("sides", ["one", "two"])
@pytest.mark.parametrize(("members", "df"), [(2, 3.0), (4, 18.0), (30, 7.5)])
def test_p_and_critical_value_to_ten_digits(members: int, df: float, sides: Sides) -> None:
    rng = np.random.default_rng(members)
    shared = shared_parts(rng.uniform(0.1, 2.0, members), 0.4)
    statistic = np.append(rng.normal(0.0, 2.0, members - 1), 2.5)
    t = np.abs(statistic) if sides == "two" else statistic
    p = dunnett_p(statistic, shared, df, sides)
    for i in (0, members - 1):
        assert p[i] == pytest.approx(quadrature(t[i], shared, df, sides), abs=1e-10)
    critical = float(dunnett_critical(shared[None, :], df, 0.9, sides)[0])
    assert quadrature(critical, shared, df, sides) == pytest.approx(0.1, abs=1e-10)


@pytest.mark.parametrize("sides", ["one", "two"])
def test_independent_comparisons_have_a_product(sides: Sides) -> None:
    """Without error of the baseline and with sigma known the maximum is Sidak's."""
    statistic = np.array([-0.3, 1.4, 2.8, 4.0])
    p = dunnett_p(statistic, np.zeros(4), np.inf, sides)
    tail = two_sided(statistic, np.inf) if sides == "two" else upper_tail(statistic, np.inf)
    assert p == pytest.approx(-np.expm1(4.0 * np.log1p(-tail)), abs=1e-13)


@pytest.mark.parametrize("sides", ["one", "two"])
@pytest.mark.parametrize("df", [1.0, 4.0, 1e4])
def test_p_lies_between_the_unadjusted_and_bonferroni(df: float, sides: Sides) -> None:
    statistic = np.array([-0.3, 2.8, 40.0, 1e9])
    p = dunnett_p(statistic, np.full(4, 0.8), df, sides)
    single = two_sided(statistic, df) if sides == "two" else upper_tail(statistic, df)
    assert np.all(p >= single)
    assert np.all(p <= np.minimum(4.0 * single, 1.0))


@pytest.mark.parametrize("df", [1.0, 2.5, 1e4, np.inf])
def test_a_single_comparison_is_student(df: float) -> None:
    statistic, shared = np.array([-2.3]), np.array([0.6])
    assert dunnett_p(statistic, shared, df) == pytest.approx(two_sided(statistic, df), abs=1e-12)
    one = dunnett_p(statistic, shared, df, "one")
    assert one == pytest.approx(upper_tail(statistic, df), abs=1e-12)
    critical = dunnett_critical(shared[None, :], df, 0.95)
    assert two_sided(critical, df) == pytest.approx([0.05], abs=1e-12)


def test_members_without_a_statistic_belong_to_no_family() -> None:
    shared = np.array([0.5, 0.7, 0.6])
    p = dunnett_p(np.array([2.0, np.nan, 1.0]), shared, 12.0)
    assert p[[0, 2]] == pytest.approx(dunnett_p(np.array([2.0, 1.0]), shared[[0, 2]], 12.0))
    assert np.isnan(p[1])
    assert np.isnan(dunnett_p(np.full(3, np.nan), shared, 12.0)).all()


def test_many_unequal_comparisons_are_interpolated_between_angles() -> None:
    """More distinct correlations than nodes: as exact as few, signs of one-sided ones included."""
    rng = np.random.default_rng(4)
    shared = shared_parts(1.0 / rng.uniform(1.0, 40.0, 60), 0.1)
    shared[::3] *= -1.0
    critical = float(dunnett_critical(shared[None, :], np.inf, 0.95, "one")[0])
    z, step = np.linspace(-9.0, 9.0, 4001, retstep=True)
    inside = special.ndtr((critical - shared * z[:, None]) / np.sqrt(1.0 - shared**2))
    assert 1.0 - step * stats.norm.pdf(z) @ inside.prod(axis=1) == pytest.approx(0.05, abs=1e-10)


def test_critical_values_invert_p_over_families() -> None:
    families = np.array([[0.3, 0.5, 0.9], [0.7, 0.7, 0.7]])
    for critical, shared in zip(dunnett_critical(families, 1.5, 0.99), families, strict=True):
        p = dunnett_p(np.full(3, critical), shared, 1.5)
        assert p == pytest.approx(np.full(3, 0.01), abs=1e-11)


def test_impossible_variances_are_refused() -> None:
    for variance, baseline in (([1.0, 0.0], 1.0), ([1.0, 2.0], -1.0)):
        with pytest.raises(ValueError, match="variance factors"):
            shared_parts(np.array(variance), baseline)
