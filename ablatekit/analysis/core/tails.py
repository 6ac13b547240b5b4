"""Tails and quantiles of F, chi-squared and the normal, and ranks: the few that analyses need.

By the special functions, as `student`: importing scipy.stats takes longer than most analyses.
"""

from __future__ import annotations

import numpy as np
from scipy.special import chdtrc, fdtrc, gammaincinv, ndtr, ndtri

from ablatekit.analysis.core.arrays import Floats, Integers


def f_tail(statistic: float, df: float, error_df: float) -> float:
    """The probability of a larger F; NaN where degrees of freedom are not positive and finite."""
    return float(fdtrc(df, error_df, np.maximum(statistic, 0.0)))


def chi2_tail(statistic: float, df: float) -> float:
    """The probability of a larger chi-squared; NaN where `df` is not positive."""
    return float(chdtrc(df, np.maximum(statistic, 0.0))) if df > 0 else float("nan")


def chi2_quantile(probability: float, df: float) -> float:
    """The value that a chi-squared stays below with this probability."""
    return float(2.0 * gammaincinv(df / 2.0, probability))


def normal_two_sided(statistic: Floats) -> Floats:
    """Probabilities of a standard normal at least as far from zero."""
    return np.asarray(2.0 * ndtr(-np.abs(statistic)))


def normal_quantile(probability: Floats) -> Floats:
    """Quantiles of the standard normal."""
    return np.asarray(ndtri(probability))


def ordinal_ranks(values: Floats) -> Integers:
    """Ranks 1, ..., n; equal values in their order."""
    ranks = np.empty(len(values), dtype=np.int64)
    ranks[np.argsort(values, kind="stable")] = np.arange(1, len(values) + 1)
    return ranks


def average_ranks(values: Floats) -> Floats:
    """Ranks from 1 to n; equal values share the mean of theirs."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return np.asarray((last - (count - 1) / 2.0)[place])
