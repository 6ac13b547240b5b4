"""Stratified bootstrap over runs, and the robust summaries of Agarwal et al. (2021, rliable).

The run is the unit, cell x context the stratum. A stratum of n runs is resampled with n - 1 draws
whose weights add up to n (Rao and Wu 1988): plain resampling would understate the variance by the
factor (n - 1) / n, which is one half for two replicates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ablatekit.analysis.core.arrays import Booleans, Floats, Integers
from ablatekit.analysis.core.values import RunValues

MOST_DRAWS, FEWEST_DRAWS, CELLS = 2000, 500, 4_000_000
BLOCK = 16
TRIMMED = 0.25


@dataclass(frozen=True)
class Resamples:
    """Runs (N,) with their stratum, and bootstrap weights (B, N) that add up to n per stratum."""

    y: Floats
    stratum: Integers
    size: Floats
    weights: Floats

    @property
    def varies(self) -> Booleans:
        """Runs (N,) that share their stratum with another run."""
        return np.asarray(self.size > 1, dtype=bool)


def resample(values: RunValues, contexts: int, generator: np.random.Generator) -> Resamples:
    """Bootstrap weights of all runs; `size` (N,) is the number of runs in each run's stratum."""
    _, stratum = np.unique(values.unit * contexts + values.context, return_inverse=True)
    count = np.bincount(stratum)
    draws = int(np.clip(CELLS // max(1, len(stratum)), FEWEST_DRAWS, MOST_DRAWS))
    weights = _rescaled_weights(stratum, count, draws, generator)
    return Resamples(values.y, stratum, count[stratum].astype(float), weights)


def _rescaled_weights(
    stratum: Integers, count: Integers, draws: int, generator: np.random.Generator
) -> Floats:
    """n / (n - 1) times the multinomial counts of n - 1 draws; 1 for a run alone in its stratum."""
    order = np.argsort(stratum, kind="stable")
    first = np.concatenate([[0], np.cumsum(count)[:-1]])
    slots = np.repeat(np.arange(len(count)), np.maximum(count - 1, 0))
    runs, size = len(stratum), count[stratum]
    weights = np.empty((draws, runs))
    for start in range(0, draws, BLOCK):  # what one block needs stays in the processor's cache
        block = weights[start : start + BLOCK]
        drawn = generator.random((len(block), len(slots)))
        drawn *= count[slots]
        picked = order[drawn.astype(np.int64) + first[slots]]
        picked += runs * np.arange(len(block))[:, None]
        counts = np.bincount(picked.ravel(), minlength=block.size)
        np.multiply(counts.reshape(block.shape), size / np.maximum(size - 1, 1), out=block)
    weights[:, size == 1] = 1.0
    return weights


def interquartile_mean(y: Floats, weights: Floats) -> Floats:
    """Mean of the middle half of weighted values: y (n,), weights (B, n), result (B,).

    With weights of 1 this is rliable's: scipy's trimmed mean that cuts floor(n / 4) at either end.
    """
    order = np.argsort(y, kind="stable")
    cumulative = np.cumsum(weights[:, order], axis=1)
    total = cumulative[:, -1:]
    cut = np.floor(TRIMMED * total + 1e-9)
    inside = np.clip(cumulative, cut, total - cut)
    kept = np.diff(inside, axis=1, prepend=cut)
    return np.asarray(kept @ y[order] / (total - 2 * cut)[:, 0], dtype=float)


def improvement(
    y: Floats, pairs: list[tuple[Integers, Integers]], weights: Floats, sign: float
) -> Floats:
    """P(X > Y) + P(X = Y) / 2 (Mann-Whitney), the mean over strata pairs, (B,).

    `pairs` holds the positions of the runs of either side; sides that are the same runs give 1/2.
    `sign` is -1 where lower values are better.
    """
    total = np.zeros(len(weights))
    for left, right in pairs:
        if len(left) == len(right) and (left == right).all():
            total += 0.5
            continue
        wins = 0.5 + 0.5 * np.sign(sign * (y[left][:, None] - y[right][None, :]))
        beaten = ((weights[:, left] @ wins) * weights[:, right]).sum(axis=1)
        total += beaten / (len(left) * len(right))
    return total / len(pairs)


def profile(y: Floats, size: Floats, threshold: Floats, weights: Floats) -> Floats:
    """Share of runs above every threshold, strata weighing equally: result (B, T)."""
    share = weights / size
    above = (y[:, None] > threshold).astype(float)
    return np.asarray(share @ above / share.sum(axis=1, keepdims=True), dtype=float)


def percentile_interval(draws: Floats, alpha: float) -> tuple[Floats, Floats]:
    """Percentile bootstrap limits at 1 - alpha over the first axis."""
    low, high = np.quantile(draws, [alpha / 2, 1 - alpha / 2], axis=0)
    return low, high
