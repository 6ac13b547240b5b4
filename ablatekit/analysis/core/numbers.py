"""Numbers for JSON, which knows neither NaN nor infinities."""

from __future__ import annotations

import math


def number(value: float) -> float | None:
    """The value, None where there is none."""
    return float(value) if math.isfinite(value) else None


def whole(value: float) -> float | None:
    """A count as an integer, a fractional df as it is, None where there is none."""
    if not math.isfinite(value):
        return None
    return int(value) if value == int(value) else float(value)
