"""Comparisons of several means with one baseline: Dunnett's adjusted p and critical values.

The estimates D_i = m_i - m_0 share the baseline's error, so that corr(D_i, D_j) = b_i b_j with
b_i = sqrt(v_0 / (v_0 + v_i)) for var(m_i) = sigma^2 v_i: unequal numbers of runs included. Given
the shared normal variable Z and the estimated sigma the comparisons are independent, so the
distribution of their maximum is an integral over two variables, whatever their number.

Sources: Dunnett 1955, 1964; Dunnett & Sobel 1955 (product correlation); Hochberg & Tamhane 1987,
Multiple Comparison Procedures, section 5.2 and appendix 3; Trefethen & Weideman 2014 (the
trapezoid rule); Trefethen 2013, Approximation Theory and Approximation Practice (the series).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias

import numpy as np
from numpy.polynomial import chebyshev
from scipy import special

from ablatekit.analysis.core.arrays import Booleans, Floats
from ablatekit.analysis.core.roots import bracketed_roots
from ablatekit.analysis.core.student import t_quantile, two_sided, upper_tail
from ablatekit.analysis.stats.quadrature import scale_quadrature

Sides: TypeAlias = Literal["one", "two"]

EXACT_NODES = 24
DEGREES = (48, 96, 192, 384, 768)
SERIES_TOLERANCE = 1e-12
SMALLEST_CHANCE = 1e-13
FURTHEST_SHARED = 10.0
NODES_AT_ONCE = 4_000_000


def shared_parts(variance: Floats, baseline_variance: float) -> Floats:
    """b (k,): how much of each comparison's error is the baseline's, as a correlation.

    variance (k,) > 0 and baseline_variance >= 0 are factors of sigma^2 (1 / n for means of n runs).
    Raises ValueError for others; NaN stays NaN.
    """
    if baseline_variance < 0.0 or np.any(variance <= 0.0):
        raise ValueError("variance factors must be > 0, the baseline's >= 0")
    return np.asarray(np.sqrt(baseline_variance / (baseline_variance + variance)))


def product_bound(correlation: Floats, own: Floats, extent: Floats) -> Floats:
    """b (k,) with b_i b_j <= correlation (k, k) for i != j: equal to it where it is a product.

    own (k,): each comparison's correlation with the part that all share, which b does not exceed;
    extent (k,): how much of that part it rests on, the larger ones are fitted first and equal ones
    together, whatever their order. Comparisons of smaller correlation have larger maxima (Slepian
    1962), so that tests by b are conservative.
    """
    shared = np.zeros(len(own))
    for size in np.unique(extent)[::-1]:
        group = extent == size
        before = (extent > size) & (shared > 0.0)
        limits = correlation[np.ix_(group, before)] / shared[before]
        first = np.minimum(own[group], limits.min(axis=1, initial=np.inf))
        shared[group] = first * _within(correlation[np.ix_(group, group)], first)
    return shared


def _within(correlation: Floats, shared: Floats) -> Floats:
    """By what to shrink b (k,) for its products not to exceed the correlations (k, k)."""
    product = np.outer(shared, shared)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(product > 0.0, correlation / product, 1.0)
    np.fill_diagonal(ratio, 1.0)
    return np.asarray(np.sqrt(np.clip(ratio, 0.0, 1.0).min(axis=1)))


def dunnett_p(statistic: Floats, shared: Floats, df: float, sides: Sides = "two") -> Floats:
    """Adjusted p (k,): P(max_j |T_j| >= |t_i|), or P(max_j T_j >= t_i) of one-sided tests.

    statistic (k,) with df degrees of freedom (infinite allowed); shared (k,) of `shared_parts`,
    with its sign turned where a one-sided comparison is turned. Below `SMALLEST_CHANCE`, where the
    integral ends, p is Bonferroni's. Members whose statistic is NaN belong to no family: they stay
    NaN and the others are adjusted as if they were not there.
    """
    p = np.full(len(statistic), np.nan)
    valid = ~np.isnan(statistic)
    members = int(valid.sum())
    if members == 0:
        return p
    t = np.abs(statistic[valid]) if sides == "two" else statistic[valid]
    alone = two_sided(t, df) if sides == "two" else upper_tail(t, df)
    if members > 1:
        exceedance = _exceedance(shared[valid][None, :], sides)
        together = _over_scales(exceedance, t[:, None], df)[:, 0]
        bonferroni = np.minimum(members * alone, 1.0)
        together = np.where(together < SMALLEST_CHANCE, bonferroni, together)
        p[valid] = np.clip(together, alone, bonferroni)
    else:
        p[valid] = alone
    return p


def dunnett_critical(shared: Floats, df: float, level: float, sides: Sides = "two") -> Floats:
    """Critical values (f,) that the maxima of f families, shared (f, k), stay below at `level`.

    Estimate +- critical value x standard error are simultaneous intervals; one-sided ones bound
    from one side.
    """
    members = shared.shape[1]
    tail = (1.0 - level) / (2.0 if sides == "two" else 1.0)
    low, high = t_quantile(1.0 - tail, df), t_quantile(1.0 - tail / members, df)
    if members == 1:
        return np.full(len(shared), low)
    exceedance = _exceedance(shared, sides)

    def excess(t: Floats) -> Floats:
        return np.asarray(_over_scales(exceedance, t[None, :], df)[0] - (1.0 - level))

    room = 1e-6 * (1.0 + abs(high))
    return bracketed_roots(
        excess, np.full(len(shared), low - room), np.full(len(shared), high + room)
    )


@dataclass(frozen=True)
class _Exceedance:
    """log P(max > u) of f families with known sigma: Chebyshev series (degree + 1, f) in u."""

    series: Floats
    low: float
    high: float

    def at(self, u: Floats) -> Floats:
        """P(max > u), for u (..., f): 1 below the domain of the series and 0 above it."""
        place = (2.0 * u - self.low - self.high) / (self.high - self.low)
        inside = np.exp(chebyshev.chebval(np.clip(place, -1.0, 1.0), self.series, tensor=False))
        return np.where(place > 1.0, 0.0, np.where(place < -1.0, 1.0, inside))


def _over_scales(exceedance: _Exceedance, t: Floats, df: float) -> Floats:
    """P(max > t) (m, f) with sigma estimated on df degrees of freedom, t (m, f)."""
    if np.isinf(df):
        return exceedance.at(t)
    scale, weight = scale_quadrature(np.array([df], dtype=np.float64))
    chances = exceedance.at(t[:, None, :] * scale[0][:, None])
    return np.asarray(np.einsum("s,msf->mf", weight[0], chances))


def _exceedance(shared: Floats, sides: Sides) -> _Exceedance:
    """The series of f families, shared (f, k), kept: zero, margins and limits ask for the same."""
    values = np.asarray(shared, dtype=np.float64)
    return _series_of(values.tobytes(), (values.shape[0], values.shape[1]), sides)


@lru_cache(maxsize=8)
def _series_of(content: bytes, shape: tuple[int, int], sides: Sides) -> _Exceedance:
    """The series of a degree at which its last terms are nothing."""
    shared = np.frombuffer(content).reshape(shape)
    members = shape[1]
    high = -float(special.ndtri(1e-18 / members))
    low = 0.0 if sides == "two" else -8.5
    angle, weight = _angles(np.arcsin(shared))
    for degree in DEGREES:
        place = chebyshev.chebpts1(degree + 1)
        u = 0.5 * (low + high) + 0.5 * (high - low) * place
        chance = _known_sigma(u, angle, weight, members, sides)
        series = chebyshev.chebvander(place, degree).T @ np.log(chance)
        series *= 2.0 / (degree + 1)
        series[0] /= 2.0
        if np.abs(series[-3:]).max() < SERIES_TOLERANCE:
            break
    return _Exceedance(np.asarray(series, dtype=np.float64), low, high)


def _angles(angle: Floats) -> tuple[Floats, Floats]:
    """Angles (m,) and weights (f, m) whose sums of a smooth function are those over each family.

    The distinct angles themselves with their counts where they are few; else Chebyshev points of
    the range, on either side of zero, with the sums of their Lagrange polynomials as weights.
    """
    distinct = np.unique(np.round(angle, 13))
    if len(distinct) <= EXACT_NODES:
        nearest = np.abs(angle[:, :, None] - distinct).argmin(axis=2)
        return distinct, (nearest[:, :, None] == np.arange(len(distinct))).sum(axis=1) * 1.0
    parts = [_interpolating(angle, side) for side in (angle >= 0.0, angle < 0.0) if side.any()]
    nodes, weights = zip(*parts, strict=True)
    return np.concatenate(nodes), np.concatenate(weights, axis=1)


def _interpolating(angle: Floats, side: Booleans) -> tuple[Floats, Floats]:
    """Chebyshev points of the angles on one side (m,) and their weights (f, m)."""
    low, high = angle[side].min(), angle[side].max()
    place = chebyshev.chebpts1(EXACT_NODES)
    width = high - low if high > low else 1.0
    terms = chebyshev.chebvander((2.0 * angle - low - high) / width, EXACT_NODES - 1)
    sums = (terms * side[:, :, None]).sum(axis=1)
    transform = chebyshev.chebvander(place, EXACT_NODES - 1) * (2.0 / EXACT_NODES)
    transform[:, 0] /= 2.0
    return 0.5 * (low + high) + 0.5 * width * place, sums @ transform.T


def _known_sigma(u: Floats, angle: Floats, weight: Floats, members: int, sides: Sides) -> Floats:
    """P(max > u) (n, f) for standard normal comparisons: the integral over what they share."""
    z, density = _shared_nodes(angle, members, sides)
    out = np.zeros((len(u), len(weight)))
    block = max(1, NODES_AT_ONCE // (len(u) * max(len(angle), len(weight))))
    for start in range(0, len(z), block):
        nodes = slice(start, start + block)
        log_inside = np.stack([_log_inside(u, z[nodes], value, sides) for value in angle], axis=-1)
        out += np.einsum("z,uzf->uf", density[nodes], -np.expm1(log_inside @ weight.T))
    return np.minimum(out, 1.0)


def _shared_nodes(angle: Floats, members: int, sides: Sides) -> tuple[Floats, Floats]:
    """Nodes and weights of the trapezoid rule for the shared normal variable.

    The maximum of k values turns over within 1 / (its size) of a place, in units of the slope with
    which the shared variable enters. Two-sided chances are even in it.
    """
    slope = max(1.0, float(np.abs(np.tan(angle)).max()))
    sharpness = max(1.0, float(special.ndtri(members / (members + 1.0))))
    step = 0.3 / (sharpness * slope)
    count = int(np.ceil(FURTHEST_SHARED / step))
    z = step * np.arange(0 if sides == "two" else -count, count + 1, dtype=np.float64)
    density = step * np.exp(-(z**2) / 2.0) / np.sqrt(2.0 * np.pi)
    if sides == "two":
        density = np.where(z > 0.0, 2.0, 1.0) * density
    return z, np.asarray(density, dtype=np.float64)


def _log_inside(u: Floats, z: Floats, angle: float, sides: Sides) -> Floats:
    """log P(T < u), or log P(|T| < u), (n, m) of one comparison given the shared z (m,)."""
    cosine, slope = np.cos(angle), np.tan(abs(angle) if sides == "two" else angle)
    upper = special.log_ndtr(u[:, None] / cosine - slope * z)
    if sides == "one":
        return np.asarray(upper)
    lower = special.log_ndtr(-u[:, None] / cosine - slope * z)
    return np.asarray(upper + np.log1p(-np.exp(lower - upper)))
