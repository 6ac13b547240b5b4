"""The array types of the analysis, and which columns of a table hold text."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]
Booleans: TypeAlias = NDArray[np.bool_]

Floats: TypeAlias = NDArray[np.float64]
Index: TypeAlias = NDArray[np.intp]
Codes: TypeAlias = NDArray[Any]
Booleans: TypeAlias = NDArray[np.bool_]
TEXT_COLUMNS = "text columns"
