"""Student's t, of numbers or arrays; normal where df is infinite, NaN where it is.

By the special functions: the distributions of scipy.stats check and broadcast for much longer than
they compute, and an analysis asks thousands of times.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from ablatekit.analysis.core.arrays import Floats


def t_quantile(probability: float | Floats, df: float | Floats) -> Floats:
    """Quantiles."""
    return np.where(np.isinf(df), ndtri(probability), stdtrit(df, probability))


def upper_tail(statistic: float | Floats, df: float | Floats) -> Floats:
    """Probabilities of a larger t."""
    below = np.negative(statistic)
    return np.where(np.isinf(df), ndtr(below), stdtr(df, below))


def two_sided(statistic: float | Floats, df: float | Floats) -> Floats:
    """Probabilities of a t at least as far from zero."""
    return 2.0 * upper_tail(np.abs(statistic), df)
