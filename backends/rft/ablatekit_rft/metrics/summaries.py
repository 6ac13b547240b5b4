"""Summaries of many values in one number."""

from __future__ import annotations

from torch import Tensor


def quantile(values: Tensor, level: float) -> float:
    """The smallest value that at least this share of `values` (M,) does not exceed."""
    place = min(len(values), max(1, -int(-level * len(values) // 1)))
    return float(values.kthvalue(place).values)


def effective_share(weights: Tensor) -> float:
    """Effective sample size over sample size, (sum w)^2 / (M sum w^2); 0 when all are 0."""
    square = float(weights.square().sum())
    return float(weights.sum()) ** 2 / (len(weights) * square) if square else 0.0
