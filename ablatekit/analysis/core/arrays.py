"""The array types of the analysis, and which columns of a table hold text."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]
Index: TypeAlias = NDArray[np.intp]
Booleans: TypeAlias = NDArray[np.bool_]
Codes: TypeAlias = NDArray[Any]
"""Whole numbers of any width: codes of levels are stored as narrowly as they fit."""

TEXT_COLUMNS = "text columns"


def summed_products(left: Floats, right: Floats) -> Floats:
    """sum_l left_l' right_l (a, b) for left (q, p, a) and right (q, p, b), through BLAS."""
    rows = left.shape[0] * left.shape[1]
    return np.asarray(left.reshape(rows, -1).T @ right.reshape(rows, -1))
