"""Means and deviations of values by index: what advantages are made of.

Standard deviations are unbiased (n-1). Values that are all equal within their index are exactly 0
after centring, whatever rounding does to their mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ablatekit.errors import Problem, UsageError

if TYPE_CHECKING:
    from torch import Tensor


def sums(values: Tensor, index: Tensor) -> Tensor:
    """(K,): the sum of the values (N,) at each index 0..K-1."""
    return values.new_zeros(int(index.max()) + 1).index_add(0, index, values)


def counts(values: Tensor, index: Tensor) -> Tensor:
    """(K,): how many values each index has. Raises UsageError when one has fewer than two."""
    count = sums(values.new_ones(values.shape), index)
    if int(count.min()) < 2:
        raise UsageError(
            Problem(
                "this advantage needs at least two rollouts to compare",
                "one rollout",
                "Raise rollouts (or queries_per_round), or choose advantage: none",
            )
        )
    return count


def uniform(values: Tensor, index: Tensor) -> Tensor:
    """(N,) bool: whether all values of this one's index are equal."""
    return (extreme(values, index, "amax") == extreme(values, index, "amin"))[index]


def extreme(values: Tensor, index: Tensor, which: str) -> Tensor:
    """(K,): the largest (`amax`) or smallest (`amin`) value of each index."""
    size = int(index.max()) + 1
    start = float("-inf") if which == "amax" else float("inf")
    return values.new_full((size,), start).scatter_reduce(0, index, values, which)


def centred(values: Tensor, index: Tensor) -> Tensor:
    """(N,): values minus the mean of their index, their own included."""
    mean = sums(values, index) / counts(values, index)
    return (values - mean[index]).masked_fill(uniform(values, index), 0.0)


def deviation(values: Tensor, index: Tensor) -> Tensor:
    """(N,): the standard deviation of each value's index."""
    return _spread(centred(values, index), index)


def normalised(values: Tensor, index: Tensor, eps: float) -> Tensor:
    """(N,): centred values over the standard deviation of their index plus `eps`."""
    off = centred(values, index)
    return off / (_spread(off, index) + eps)


def whitened(values: Tensor, weights: Tensor, eps: float) -> Tensor:
    """Values (N, T) with weighted mean 0 and unbiased deviation 1; 0 where no weight is."""
    total = weights.sum()
    present = values[weights > 0]
    if bool((present == present[0]).all()):
        return values.new_zeros(values.shape)
    off = values - (values * weights).sum() / total
    variance = (off.square() * weights).sum() / (total - 1)
    return (off / (variance.sqrt() + eps)) * (weights > 0)


def _spread(off: Tensor, index: Tensor) -> Tensor:
    return (sums(off.square(), index) / (counts(off, index) - 1)).sqrt()[index]


def all_together(index: Tensor) -> Tensor:
    """(N,): the index that puts every value of the round together."""
    return index.new_zeros(index.shape)
