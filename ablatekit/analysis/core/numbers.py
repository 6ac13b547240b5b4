"""Numbers for JSON, which knows neither NaN nor infinities."""

from __future__ import annotations

import math

from ablatekit.analysis.core.arrays import Floats


def number(value: float) -> float | None:
    """The value, None where there is none."""
    return float(value) if math.isfinite(value) else None


def numbers(values: Floats) -> list[float | None]:
    """The values of a vector (n,)."""
    return [number(value) for value in values.tolist()]


def table(values: Floats) -> list[list[float | None]]:
    """The values of a matrix (m, n), row by row."""
    return [numbers(row) for row in values]


def whole(value: float) -> float | None:
    """A count as an integer, a fractional df as it is, None where there is none."""
    if not math.isfinite(value):
        return None
    return int(value) if value == int(value) else float(value)


PLAIN = "none"
"""The stated unit of a number that has none; without a statement the values decide."""
