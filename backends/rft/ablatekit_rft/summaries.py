"""Summaries of many tokens or completions in one number."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from ablatekit_rft.rollout import Rollouts


def quantile(values: Tensor, level: float) -> float:
    """The smallest value that at least this share of `values` (M,) does not exceed."""
    place = min(len(values), max(1, -int(-level * len(values) // 1)))
    return float(values.kthvalue(place).values)


def effective_share(weights: Tensor) -> float:
    """Effective sample size over sample size, (sum w)^2 / (M sum w^2); 0 when all are 0."""
    square = float(weights.square().sum())
    return float(weights.sum()) ** 2 / (len(weights) * square) if square else 0.0


def duplicate_share(rollouts: Rollouts) -> float:
    """Share of completions that are token by token another, earlier one of their query."""
    tokens = rollouts.tokens.masked_fill(~rollouts.mask, -1).cpu().numpy()
    marked = np.column_stack([rollouts.query.cpu().numpy(), tokens])
    rows = np.ascontiguousarray(marked).view(np.dtype((np.void, marked.strides[0])))
    return 1 - len(np.unique(rows)) / len(rows)


def distinct_bigrams(rollouts: Rollouts) -> float | None:
    """Different pairs of neighbouring tokens over all pairs, within completions; None without any.

    1 where no completion repeats itself (distinct-2, Li et al. 2016, arXiv:1510.03055).
    """
    inside = rollouts.mask[:, 1:]
    if not bool(inside.any()):
        return None
    row = inside.nonzero()[:, 0]
    first, second = rollouts.tokens[:, :-1][inside], rollouts.tokens[:, 1:][inside]
    size = int(rollouts.tokens.max()) + 1
    pairs = ((row * size + first) * size + second).cpu().numpy()
    return len(np.unique(pairs)) / len(pairs)
