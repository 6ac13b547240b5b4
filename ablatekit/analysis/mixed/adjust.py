"""Multiplicity: adjusted p values and simultaneous critical values of a family of t tests.

Sources: Holm 1979; Benjamini & Hochberg 1995; Sidak 1967; Tukey 1953 and Kramer 1956; Dunnett 1955,
exact by Genz & Bretz 2009 (Computation of Multivariate Normal and t Probabilities, section 4), and
the approximation `dunnettx` of emmeans: a mean of Tukey's and Sidak's with weight (k - 1)/k.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Literal, TypeAlias

import numpy as np
from scipy import optimize, special

from ablatekit.analysis.mixed.design import Array
from ablatekit.analysis.mixed.tests import t_quantile, two_sided

Adjustment: TypeAlias = Literal[
    "none", "holm", "bh", "bonferroni", "sidak", "tukey", "dunnettx", "mvt"
]

LATTICE = 20011


def applicable(method: Adjustment, kind: str) -> Adjustment:
    """The method, or Sidak's where the family is not the one that it was made for.

    Tukey's is for all pairs of one set of means, `dunnettx` for comparisons with one baseline.
    """
    made_for = {"tukey": "pairwise", "dunnettx": "baseline"}
    return "sidak" if made_for.get(method, kind) != kind else method


def adjusted_p(
    statistic: Array,
    df: Array,
    method: Adjustment,
    *,
    means: int | None = None,
    correlation: Array | None = None,
) -> Array:
    """Adjusted two-sided p values (k,) of k t statistics; NaN members count in the family size.

    means: the number of means compared (tukey). correlation (k, k) of the estimates (mvt).
    """
    p = two_sided(statistic, df)
    k = len(p)
    if method in ("none", "holm", "bh", "bonferroni"):
        return _stepwise(p, method)
    if method == "sidak":
        return np.asarray(-np.expm1(k * np.log1p(-p)))
    if method == "mvt":
        return 1.0 - _inside(np.abs(statistic), df, _required(correlation))
    if k == 1:
        return p
    if method == "dunnettx":
        return 1.0 - np.array(
            [_dunnettx(t, k, v) for t, v in zip(np.abs(statistic), df, strict=True)]
        )
    groups = float(means if means is not None else (1 + np.sqrt(1 + 8 * k)) / 2)
    inside = [
        tukey_cdf(np.sqrt(2.0) * t, groups, v) for t, v in zip(np.abs(statistic), df, strict=True)
    ]
    return 1.0 - np.array(inside)


def critical_values(
    df: Array,
    method: Adjustment,
    level: float = 0.95,
    *,
    means: int | None = None,
    correlation: Array | None = None,
) -> Array:
    """Critical |t| (k,) of simultaneous intervals; Holm and BH families take Bonferroni's."""
    k = len(df)
    alpha = 1.0 - level
    if method == "none" or (k == 1 and method not in ("mvt",)):
        return t_quantile(1.0 - alpha / 2.0, df)
    if method in ("holm", "bh", "bonferroni"):
        return t_quantile(1.0 - alpha / (2.0 * k), df)
    if method == "sidak":
        return t_quantile(1.0 - -np.expm1(np.log1p(-alpha) / k) / 2.0, df)
    if method == "mvt":
        return _mvt_critical(df, _required(correlation), level)
    groups = float(means if means is not None else (1 + np.sqrt(1 + 8 * k)) / 2)
    if method == "dunnettx":
        return _per_df(df, lambda v: _root(lambda t: _dunnettx(t, k, v) - level, v, k))
    root2 = np.sqrt(2.0)
    return _per_df(df, lambda v: _root(lambda t: tukey_cdf(root2 * t, groups, v) - level, v, k))


def _required(correlation: Array | None) -> Array:
    if correlation is None:
        raise ValueError("mvt needs the correlation of the estimates")
    return correlation


def _stepwise(p: Array, method: Adjustment) -> Array:
    """p.adjust of R with n the whole family, missing members included."""
    out = np.full(len(p), np.nan)
    valid = np.flatnonzero(~np.isnan(p))
    if method == "none" or len(valid) == 0:
        return p.copy()
    n = len(p)
    if method == "bonferroni":
        return np.minimum(p * n, 1.0)
    order = valid[np.argsort(p[valid], kind="stable")]
    ranks = np.arange(1, len(order) + 1)
    if method == "holm":
        out[order] = np.minimum(np.maximum.accumulate((n - ranks + 1) * p[order]), 1.0)
    else:
        raw = n / ranks * p[order]
        out[order] = np.minimum(np.minimum.accumulate(raw[::-1])[::-1], 1.0)
    return out


@lru_cache(maxsize=8)
def _legendre(count: int) -> tuple[Array, Array]:
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return nodes, weights


def tukey_cdf(q: float, means: float, df: float) -> float:
    """P(studentized range <= q) for `means` means (real > 1) and df (may be infinite).

    Double Gauss-Legendre quadrature over the position of the smallest mean and log s.
    """
    if np.isnan(q) or np.isnan(df):
        return float("nan")
    if q <= 0.0:
        return 0.0
    nodes, weights = _legendre(128)
    z, wz = 8.5 * nodes, 8.5 * weights
    density = wz * np.exp(-(z**2) / 2.0) / np.sqrt(2.0 * np.pi)
    if np.isinf(df):
        inner = special.ndtr(z) - special.ndtr(z - q)
        return float(min(means * density @ inner ** (means - 1.0), 1.0))
    low = 0.5 * np.log(special.chdtri(df, 1.0 - 1e-15) / df + 1e-300)
    high = 0.5 * np.log(special.chdtri(df, 1e-17) / df)
    low = max(low, -40.0)
    s_nodes, s_weights = _legendre(128)
    log_s = (high + low) / 2.0 + (high - low) / 2.0 * s_nodes
    s = np.exp(log_s)
    log_density = (
        np.log(2.0) + df / 2.0 * np.log(df / 2.0) - special.gammaln(df / 2.0)
        + df * log_s - df * s**2 / 2.0
    )  # fmt: skip
    weight = (high - low) / 2.0 * s_weights * np.exp(log_density)
    inner = special.ndtr(z)[None, :] - special.ndtr(z[None, :] - q * s[:, None])
    ranges = means * (inner ** (means - 1.0)) @ density
    return float(min(weight @ ranges, 1.0))


def _dunnettx(t: float, k: int, df: float) -> float:
    """emmeans' approximation to Dunnett's two-sided distribution for k contrasts."""
    if np.isnan(t) or np.isnan(df):
        return float("nan")
    tukey = tukey_cdf(np.sqrt(2.0) * t, (1.0 + np.sqrt(1.0 + 8.0 * k)) / 2.0, df)
    single = 1.0 - float(two_sided(np.array([t]), np.array([df]))[0])
    return (k - 1.0) / k * tukey + single**k / k


def _root(excess: Callable[[float], float], df: float, family: int) -> float:
    """The critical value: it lies between the unadjusted one and Bonferroni's."""
    one = np.array([df])
    tail = 0.025
    low = 0.5 * float(t_quantile(1.0 - 8.0 * tail, one)[0])
    high = 1.2 * float(t_quantile(1.0 - tail / (50.0 * family), one)[0])
    while excess(low) > 0.0:
        low *= 0.5
    while excess(high) < 0.0:
        high *= 2.0
    return float(optimize.brentq(excess, low, high, xtol=1e-9))


def _per_df(df: Array, critical: Callable[[float], float]) -> Array:
    known: dict[float, float] = {}
    for value in df[~np.isnan(df)].tolist():
        if value not in known:
            known[value] = critical(value)
    return np.array([known.get(value, float("nan")) for value in df.tolist()])


def _inside(statistic: Array, df: Array, correlation: Array) -> Array:
    """P(max_j |T_j| <= t_i) for every i; members that are NaN are left out of the maximum."""
    valid = ~np.isnan(statistic)
    out = np.full(len(statistic), np.nan)
    sub = correlation[np.ix_(valid, valid)]
    for i in np.flatnonzero(valid):
        out[i] = max_t_cdf(float(statistic[i]), float(df[i]), sub)
    return out


def max_t_cdf(t: float, df: float, correlation: Array, points: int = LATTICE) -> float:
    """P(all |T_j| <= t) for a multivariate t with this correlation, by a randomised-free lattice.

    Genz's sequential conditioning on the Cholesky factor; the chi factor is the first coordinate.
    """
    k = len(correlation)
    if k == 1:
        return 1.0 - float(two_sided(np.array([t]), np.array([df]))[0])
    lattice = _lattice(k, points)
    factor = _cholesky(correlation)
    scale = np.full(points, t)
    if np.isfinite(df):
        scale = t * np.sqrt(special.chdtri(df, 1.0 - lattice[:, 0]) / df)
    y = np.zeros((points, k))
    probability = np.ones(points)
    for j in range(k):
        mean = y[:, :j] @ factor[j, :j]
        diagonal = factor[j, j]
        if diagonal < 1e-9:
            probability *= np.abs(mean) <= scale * (1.0 + 1e-12)
            continue
        low = special.ndtr((-scale - mean) / diagonal)
        width = special.ndtr((scale - mean) / diagonal) - low
        probability *= width
        inside = np.clip(low + lattice[:, j + 1] * width, 1e-16, 1.0 - 1e-16)
        y[:, j] = special.ndtri(inside)
    return float(probability.mean())


@lru_cache(maxsize=4)
def _lattice(k: int, points: int) -> Array:
    """A Richtmyer lattice with the baker's transform, (points, k + 1) in (0, 1)."""
    candidates = np.arange(2, 600)
    primes = [c for c in candidates if np.all(c % np.arange(2, int(c**0.5) + 1) != 0)][: k + 1]
    steps = np.sqrt(np.array(primes, dtype=np.float64))
    raw = np.modf(np.arange(1, points + 1)[:, None] * steps + 0.5)[0]
    return np.asarray(np.clip(np.abs(2.0 * raw - 1.0), 1e-12, 1.0 - 1e-12))


def _cholesky(correlation: Array) -> Array:
    """A lower factor of a positive semidefinite correlation, zero pivots kept."""
    factor = np.zeros_like(correlation)
    for j in range(len(correlation)):
        rest = correlation[j, j] - factor[j, :j] @ factor[j, :j]
        factor[j, j] = np.sqrt(rest) if rest > 1e-12 else 0.0
        if factor[j, j] > 0.0:
            column = correlation[j + 1 :, j] - factor[j + 1 :, :j] @ factor[j, :j]
            factor[j + 1 :, j] = column / factor[j, j]
    return factor


def _mvt_critical(df: Array, correlation: Array, level: float) -> Array:
    valid = ~np.isnan(df)
    sub = correlation[np.ix_(valid, valid)]

    def critical(value: float) -> float:
        return _root(lambda t: max_t_cdf(t, value, sub, 4001) - level, value, len(sub))

    return _per_df(np.where(valid, df, np.nan), critical)
