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
from numpy.polynomial import Chebyshev
from scipy import special

from ablatekit.analysis.core.arrays import Floats
from ablatekit.analysis.core.roots import bracketed_roots
from ablatekit.analysis.core.student import t_quantile, two_sided
from ablatekit.analysis.stats.quadrature import scale_quadrature

Adjustment: TypeAlias = Literal[
    "none", "holm", "bh", "bonferroni", "sidak", "tukey", "dunnettx", "mvt"
]

LATTICE = 20011
WIDEST_RANGE, RANGE_DEGREE = 17.0, 160


def applicable(method: Adjustment, kind: str) -> Adjustment:
    """The method, or Sidak's where the family is not the one that it was made for.

    Tukey's is for all pairs of one set of means, `dunnettx` for comparisons with one baseline.
    """
    made_for = {"tukey": "pairwise", "dunnettx": "baseline"}
    return "sidak" if made_for.get(method, kind) != kind else method


def adjusted_p(
    statistic: Floats,
    df: Floats,
    method: Adjustment,
    *,
    means: int | None = None,
    correlation: Floats | None = None,
) -> Floats:
    """Adjusted two-sided p values (k,) of k t statistics; NaN members count in the family size.

    means: the number of means compared (tukey). correlation (k, k) of the estimates (mvt).
    """
    p = two_sided(statistic, df)
    k = len(p)
    if method in ("none", "holm", "bh", "bonferroni"):
        return adjust_p(p, method, k)
    if method == "sidak":
        return np.asarray(-np.expm1(k * np.log1p(-p)))
    if method == "mvt":
        return 1.0 - _inside(np.abs(statistic), df, _required(correlation))
    if k == 1:
        return p
    if method == "dunnettx":
        return np.asarray(1.0 - _dunnettx(np.abs(statistic), k, df))
    groups = float(means) if means is not None else _means_of(k)
    return np.asarray(1.0 - tukey_cdf(np.sqrt(2.0) * np.abs(statistic), groups, df))


def critical_values(
    df: Floats,
    method: Adjustment,
    level: float = 0.95,
    *,
    means: int | None = None,
    correlation: Floats | None = None,
) -> Floats:
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
    groups = float(means) if means is not None else _means_of(k)

    def chance(t: Floats, v: Floats) -> Floats:
        if method == "dunnettx":
            return _dunnettx(t, k, v)
        return tukey_cdf(np.sqrt(2.0) * t, groups, v)

    pairs = groups * (groups - 1.0) / 2.0
    return _per_df(df, lambda distinct: _roots(chance, distinct, pairs, level))


def _required(correlation: Floats | None) -> Floats:
    if correlation is None:
        raise ValueError("mvt needs the correlation of the estimates")
    return correlation


def adjust_p(p: Floats, method: Adjustment, members: int) -> Floats:
    """p.adjust of R (k,): none, Holm, Benjamini-Hochberg or Bonferroni in a family of `members`.

    NaN stay NaN; whether they count as members is for the caller to say.
    """
    out = np.full(len(p), np.nan)
    valid = np.flatnonzero(~np.isnan(p))
    if method == "none" or len(valid) == 0:
        return p.copy()
    if method == "bonferroni":
        return np.minimum(p * members, 1.0)
    order = valid[np.argsort(p[valid], kind="stable")]
    ranks = np.arange(1, len(order) + 1)
    if method == "holm":
        out[order] = np.minimum(np.maximum.accumulate((members - ranks + 1) * p[order]), 1.0)
    else:
        raw = members / ranks * p[order]
        out[order] = np.minimum(np.minimum.accumulate(raw[::-1])[::-1], 1.0)
    return out


@lru_cache(maxsize=16)
def _range_root(means: float) -> Chebyshev:
    """F(r)^(1/(k-1)) for the range r of k standard normal values, 0 <= r <= `WIDEST_RANGE`.

    F = k E[(Phi(Z) - Phi(Z - r))^(k-1)] behaves like r^(k-1) at 0, so its root is smooth there also
    for a k that is not an integer. The interpolant is within 1e-14 of it.
    """
    z, step = np.linspace(-8.5, 8.5, 601, retstep=True)  # the trapezoid rule converges like exp
    density = step * np.exp(-(z**2) / 2.0) / np.sqrt(2.0 * np.pi)

    def root(r: Floats) -> Floats:
        inner = special.ndtr(z)[None, :] - special.ndtr(z[None, :] - r[:, None])
        largest = np.maximum(inner.max(axis=1), 1e-300)  # taken out: powers must not underflow
        chance = means * (inner / largest[:, None]) ** (means - 1.0) @ density
        return np.asarray(np.minimum(largest * chance ** (1.0 / (means - 1.0)), 1.0))

    return Chebyshev.interpolate(root, RANGE_DEGREE, domain=[0.0, WIDEST_RANGE])


def tukey_cdf(q: Floats, means: float, df: Floats) -> Floats:
    """P(studentized range <= q) (m,) for `means` means (real > 1) and df (m,), some infinite.

    The range's own distribution is interpolated once per `means`; what is left is one quadrature
    over log s, with s^2 df a chi square (trapezoid rule between its tails of 1e-15).
    """
    root = _range_root(means)

    def within(r: Floats) -> Floats:
        inside = np.clip(root(np.clip(r, 0.0, WIDEST_RANGE)), 0.0, 1.0)
        return np.asarray(inside ** (means - 1.0))

    known = ~(np.isnan(q) | np.isnan(df))
    finite = known & np.isfinite(df)
    out = np.where(known, within(np.where(known, q, 0.0)), np.nan)
    scale, weight = scale_quadrature(df[finite])
    out[finite] = np.minimum((weight * within(q[finite][:, None] * scale)).sum(axis=1), 1.0)
    return out


def _dunnettx(t: Floats, k: int, df: Floats) -> Floats:
    """emmeans' approximation to Dunnett's two-sided distribution for k contrasts."""
    tukey = tukey_cdf(np.sqrt(2.0) * t, _means_of(k), df)
    single = 1.0 - two_sided(t, df)
    return np.asarray((k - 1.0) / k * tukey + single**k / k)


def _means_of(k: int) -> float:
    """The number of means, perhaps not an integer, that have k pairs."""
    return float((1.0 + np.sqrt(1.0 + 8.0 * k)) / 2.0)


def _roots(
    chance: Callable[[Floats, Floats], Floats], df: Floats, family: float, level: float
) -> Floats:
    """t (m,) at which chance(t, df) is `level`: between the unadjusted value and Bonferroni's."""
    low, high = _bracket(df, family, level)
    return bracketed_roots(lambda t: chance(t, df) - level, low, high, 1e-10)


def _bracket(df: Floats, family: float, level: float) -> tuple[Floats, Floats]:
    """The unadjusted critical value and Bonferroni's, with some room."""
    tail = (1.0 - level) / 2.0
    return 0.99 * t_quantile(1.0 - tail, df), 1.05 * t_quantile(1.0 - tail / family, df)


def _per_df(df: Floats, critical: Callable[[Floats], Floats]) -> Floats:
    """critical(distinct df) spread over all members; df that differ by rounding are one."""
    out = np.full(len(df), np.nan)
    valid = ~np.isnan(df)
    if valid.any():
        digits = np.array([float(f"{value:.10g}") for value in df[valid]])
        _, first, which = np.unique(digits, return_index=True, return_inverse=True)
        out[valid] = critical(df[valid][first])[which]
    return out


def _inside(statistic: Floats, df: Floats, correlation: Floats) -> Floats:
    """P(max_j |T_j| <= t_i) for every i; members that are NaN are left out of the maximum."""
    valid = ~np.isnan(statistic)
    out = np.full(len(statistic), np.nan)
    sub = correlation[np.ix_(valid, valid)]
    for i in np.flatnonzero(valid):
        out[i] = max_t_cdf(float(statistic[i]), float(df[i]), sub)
    return out


def max_t_cdf(t: float, df: float, correlation: Floats, points: int = LATTICE) -> float:
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
    for pivot, members in _bounded_by(factor).items():
        low, high = np.full(points, -np.inf), np.full(points, np.inf)
        for j in members:
            slope, mean = factor[j, pivot], y[:, :pivot] @ factor[j, :pivot]
            half = scale / abs(slope)
            low = np.maximum(low, -mean / slope - half)
            high = np.minimum(high, half - mean / slope)
        below = special.ndtr(low)
        width = np.maximum(special.ndtr(high) - below, 0.0)
        probability *= width
        inside = np.clip(below + lattice[:, pivot + 1] * width, 1e-16, 1.0 - 1e-16)
        y[:, pivot] = special.ndtri(inside)
    return float(probability.mean())


def _bounded_by(factor: Floats) -> dict[int, list[int]]:
    """The members that each pivot's variable is the last to decide; dependent ones join in."""
    pivots = np.flatnonzero(factor.diagonal() > 1e-9)
    out: dict[int, list[int]] = {int(pivot): [] for pivot in pivots}
    for j, row in enumerate(factor):
        out[int(pivots[np.abs(row[pivots]) > 1e-9].max())].append(j)
    return out


@lru_cache(maxsize=4)
def _lattice(k: int, points: int) -> Floats:
    """A Richtmyer lattice with the baker's transform, (points, k + 1) in (0, 1)."""
    candidates = np.arange(2, 600)
    primes = [c for c in candidates if np.all(c % np.arange(2, int(c**0.5) + 1) != 0)][: k + 1]
    steps = np.sqrt(np.array(primes, dtype=np.float64))
    raw = np.modf(np.arange(1, points + 1)[:, None] * steps + 0.5)[0]
    return np.asarray(np.clip(np.abs(2.0 * raw - 1.0), 1e-12, 1.0 - 1e-12))


def _cholesky(correlation: Floats) -> Floats:
    """A lower factor of a positive semidefinite correlation, zero pivots kept."""
    factor = np.zeros_like(correlation)
    for j in range(len(correlation)):
        rest = correlation[j, j] - factor[j, :j] @ factor[j, :j]
        factor[j, j] = np.sqrt(rest) if rest > 1e-12 else 0.0
        if factor[j, j] > 0.0:
            column = correlation[j + 1 :, j] - factor[j + 1 :, :j] @ factor[j, :j]
            factor[j + 1 :, j] = column / factor[j, j]
    return factor


def _mvt_critical(df: Floats, correlation: Floats, level: float) -> Floats:
    """Roots on a coarse lattice, each moved by one Newton step on the fine one."""
    valid = ~np.isnan(df)
    sub = correlation[np.ix_(valid, valid)]

    def chance(t: Floats, v: Floats, points: int = LATTICE // 5) -> Floats:
        return np.array([max_t_cdf(*pair, sub, points) for pair in zip(t, v, strict=True)])

    def refined(distinct: Floats) -> Floats:
        t = _roots(chance, distinct, len(sub), level)
        slope = (chance(t + 0.01, distinct) - chance(t - 0.01, distinct)) / 0.02
        return np.asarray(t - (chance(t, distinct, LATTICE) - level) / slope)

    return _per_df(df, refined)
