from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy import special, stats
from statsmodels.stats.multitest import multipletests

from ablatekit.analysis.core.student import two_sided
from ablatekit.analysis.stats.adjust import adjusted_p, critical_values, max_t_cdf, tukey_cdf


@pytest.mark.parametrize("df", [1.0, 2.0, 7.5, 40.0, 5000.0, np.inf])
@pytest.mark.parametrize("means", [2.0, 3.0, 9.0])
def test_tukey_against_scipy(means: float, df: float) -> None:
    q = np.array([0.3, 2.0, 4.5, 9.0])
    ours = tukey_cdf(q, means, np.full(4, df))
    assert ours == pytest.approx(stats.studentized_range.cdf(q, means, df), abs=2e-9)


def test_two_means_are_a_t_test() -> None:
    df = np.array([1.0, 3.0, 25.0, np.inf, np.nan])
    p = two_sided(np.full(5, 1.7), df)
    q = np.full(5, 1.7 * np.sqrt(2.0))
    assert 1.0 - tukey_cdf(q, 2.0, df) == pytest.approx(p, abs=1e-10, nan_ok=True)


@pytest.mark.parametrize("means", [2.56, 4.0, 60.0, 200.0])
def test_range_of_normal_values(means: float) -> None:
    """The interpolated distribution against a quadrature of its own at random places."""
    q = np.random.default_rng(0).uniform(0.0, 17.0, 50)
    z, step = np.linspace(-9.0, 9.0, 2001, retstep=True)
    inner = special.ndtr(z) - special.ndtr(z - q[:, None])
    exact = means * inner ** (means - 1.0) @ (step * stats.norm.pdf(z))
    ours = tukey_cdf(q, means, np.full(50, np.inf))
    assert ours == pytest.approx(exact, abs=2e-11)


@pytest.mark.parametrize(
    ("means", "df", "quantile"),
    [
        (3, 15.5, 3.66083543),
        (12, 40.0, 4.90393013),
        (25, 200.0, 5.24736544),
        (8, np.inf, 4.28630951),
    ],
)
def test_critical_values_are_r_qtukey(means: int, df: float, quantile: float) -> None:
    """R's qtukey stops its secant search within 2e-7 of the root."""
    ours = critical_values(np.full(means, df), "tukey", means=means) * np.sqrt(2.0)
    assert ours == pytest.approx(np.full(means, quantile), rel=5e-7)


def test_critical_values_of_many_df_at_once() -> None:
    """Each is the root of its own distribution; a missing member stays missing."""
    df = np.concatenate([np.linspace(1.5, 400.0, 65), [np.inf, np.nan]])
    for method in ("tukey", "dunnettx"):
        critical = critical_values(df, method, 0.99)
        p = adjusted_p(critical, df, method)
        assert p[:-1] == pytest.approx(np.full(66, 0.01), abs=1e-9)
        assert np.isnan(critical[-1])


@pytest.mark.parametrize(
    ("method", "theirs"), [("holm", "holm"), ("bh", "fdr_bh"), ("sidak", "sidak")]
)
def test_stepwise_against_statsmodels(method: str, theirs: str) -> None:
    rng = np.random.default_rng(0)
    statistic, df = rng.normal(0, 2, 12), np.full(12, 9.0)
    ours = adjusted_p(statistic, df, method)  # type: ignore[arg-type]
    raw = two_sided(statistic, df)
    assert ours == pytest.approx(multipletests(raw, method=theirs)[1], abs=1e-12)


def test_missing_members_count_in_the_family() -> None:
    """R's p.adjust with n = the family size, as emmeans calls it."""
    statistic, df = np.array([3.0, np.nan, 2.0]), np.array([10.0, np.nan, 10.0])
    raw = two_sided(statistic, df)
    holm = adjusted_p(statistic, df, "holm")
    assert holm[0] == pytest.approx(3 * raw[0])
    assert holm[2] == pytest.approx(2 * raw[2])
    assert np.isnan(holm[1])


@pytest.mark.parametrize("df", [6.0, np.inf])
def test_max_t_with_equal_correlation(df: float) -> None:
    """Equal correlation 1/2 (Dunnett): one-dimensional quadrature over the shared part."""
    k, t = 4, 2.3
    correlation = np.full((k, k), 0.5) + 0.5 * np.eye(k)
    nodes, weights = np.polynomial.legendre.leggauss(200)
    z = 8.0 * nodes

    def given(scale: float) -> float:
        upper = stats.norm.cdf((scale * t - np.sqrt(0.5) * z) / np.sqrt(0.5))
        lower = stats.norm.cdf((-scale * t - np.sqrt(0.5) * z) / np.sqrt(0.5))
        return float((8.0 * weights * stats.norm.pdf(z) * (upper - lower) ** k).sum())

    if np.isinf(df):
        exact = given(1.0)
    else:
        s, ws = 2.5 * (nodes + 1.0), 2.5 * weights
        density = stats.chi.pdf(s * np.sqrt(df), df) * np.sqrt(df)
        exact = float((ws * density * np.array([given(v) for v in s])).sum())
    assert max_t_cdf(t, df, correlation) == pytest.approx(exact, abs=2e-5)


def test_max_t_of_dependent_contrasts() -> None:
    """The third contrast repeats the first: the maximum over three is the maximum over two."""
    full = np.array([[1.0, 0.3, 1.0], [0.3, 1.0, 0.3], [1.0, 0.3, 1.0]])
    assert max_t_cdf(2.0, 12.0, full) == pytest.approx(max_t_cdf(2.0, 12.0, full[:2, :2]), abs=5e-5)


@pytest.mark.parametrize("df", [8.0, np.inf])
@pytest.mark.parametrize("means", [3, 5])
def test_max_t_of_all_pairs_is_tukey(means: int, df: float) -> None:
    """Pairs of equally precise means: a singular correlation, whose answer is known."""
    pairs = np.array(
        [np.eye(means)[i] - np.eye(means)[j] for i, j in combinations(range(means), 2)]
    )
    size, own = len(pairs), np.full(len(pairs), df)
    correlation = pairs @ pairs.T / 2.0
    t = np.linspace(1.0, 4.0, size)
    mvt = adjusted_p(t, own, "mvt", correlation=correlation)
    assert mvt == pytest.approx(adjusted_p(t, own, "tukey", means=means), abs=1e-4)
    critical = critical_values(own, "mvt", correlation=correlation)
    assert critical == pytest.approx(critical_values(own, "tukey", means=means), abs=1e-3)


@pytest.mark.parametrize("method", ["bonferroni", "sidak", "tukey", "dunnettx", "mvt"])
def test_critical_values_invert_p(method: str) -> None:
    k = 3
    correlation = np.array([[1.0, 0.5, -0.5], [0.5, 1.0, 0.5], [-0.5, 0.5, 1.0 + 1e-9]])
    df = np.full(k, 11.0)
    options = {"means": 3, "correlation": correlation}
    critical = critical_values(df, method, 0.9, **options)  # type: ignore[arg-type]
    p = adjusted_p(critical, df, method, **options)  # type: ignore[arg-type]
    assert p == pytest.approx(np.full(k, 0.1), abs=2e-3 if method == "mvt" else 1e-7)


def test_ordering_of_methods() -> None:
    df = np.full(3, 20.0)
    values = {
        name: critical_values(df, name, means=3, correlation=np.eye(3))[0]
        for name in ("none", "tukey", "mvt", "sidak", "bonferroni")
    }
    assert values["none"] < values["tukey"] < values["sidak"] < values["bonferroni"]
    assert values["mvt"] <= values["sidak"] + 1e-3
