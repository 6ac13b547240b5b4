"""Student's t, of numbers or arrays; normal where df is infinite, NaN where it is.

By the special functions: the distributions of scipy.stats check and broadcast for much longer than
they compute, and an analysis asks thousands of times.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtr, stdtrit

Array: TypeAlias = NDArray[np.float64]


def t_quantile(probability: float | Array, df: float | Array) -> Array:
    """Quantiles."""
    return np.where(np.isinf(df), ndtri(probability), stdtrit(df, probability))


def upper_tail(statistic: float | Array, df: float | Array) -> Array:
    """Probabilities of a larger t."""
    below = np.negative(statistic)
    return np.where(np.isinf(df), ndtr(below), stdtr(df, below))


def two_sided(statistic: float | Array, df: float | Array) -> Array:
    """Probabilities of a t at least as far from zero."""
    return 2.0 * upper_tail(np.abs(statistic), df)
