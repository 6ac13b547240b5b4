"""Permutation test of a mean difference, labels exchanged within strata (Fisher 1935; Pitman 1937).

Under the hypothesis that the level changes nothing, the runs of a cell and of its partner are
exchangeable within combination and context. Exact where all exchanges can be listed; else a sample
of them, with (1 + hits) / (1 + draws) (Phipson and Smyth 2010).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np

from ablatekit.analysis.core.arrays import Floats
from ablatekit.analysis.core.schema.vocabulary import Statement, statement

DRAWS = 9999
MOST_LISTED = 20_000
MOST_RUNS = 2000
MOST_PER_CELL = 6


@dataclass(frozen=True, kw_only=True)
class PermutationTest:
    """Two-sided p of the statistic among `permutations` exchanges, or the reason for none."""

    statistic: float = np.nan
    p: float = np.nan
    permutations: int = 0
    exact: bool = False
    reason: Statement | None = None


def permutation_test(
    level: list[Floats], baseline: list[Floats], generator: np.random.Generator
) -> PermutationTest:
    """Mean over strata of mean(level) - mean(baseline); every stratum needs r runs on both sides.

    level, baseline: the values of each stratum, (r,) each.
    """
    reason = _refusal(level, baseline)
    if reason:
        return PermutationTest(reason=reason)
    pooled = np.concatenate([np.array(level), np.array(baseline)], axis=1)
    strata, both = pooled.shape
    listed = _splits(both // 2)
    differences = pooled @ listed / (both // 2) / strata
    observed = float(differences[:, 0].sum())
    slack = 1e-12 * max(1e-300, float(np.abs(pooled).max()))
    if listed.shape[1] ** strata <= MOST_LISTED:
        sums = np.zeros(1)
        for row in differences:
            sums = np.add.outer(sums, row).ravel()
        hits = int((np.abs(sums) >= abs(observed) - slack).sum())
        count = len(sums)
        return PermutationTest(statistic=observed, p=hits / count, permutations=count, exact=True)
    picked = generator.integers(0, listed.shape[1], size=(DRAWS, strata))
    sums = differences[np.arange(strata), picked].sum(axis=1)
    hits = int((np.abs(sums) >= abs(observed) - slack).sum())
    return PermutationTest(statistic=observed, p=(1 + hits) / (1 + DRAWS), permutations=DRAWS)


def _refusal(level: list[Floats], baseline: list[Floats]) -> Statement | None:
    sizes = {len(side) for side in (*level, *baseline)}
    if not sizes:
        return statement("no_shared_runs")
    if len(sizes) > 1:
        return statement("unequal_runs")
    runs = sizes.pop()
    if 2 * runs * len(level) > MOST_RUNS or runs > MOST_PER_CELL:
        return statement("too_many_runs", runs=MOST_RUNS, replicates=MOST_PER_CELL)
    return None


def _splits(runs: int) -> Floats:
    """+1 and -1 for every way to label 2 r runs, the observed one first: (2 r, C(2 r, r))."""
    signs = -np.ones((2 * runs, comb(2 * runs, runs)))
    for column, chosen in enumerate(combinations(range(2 * runs), runs)):
        signs[list(chosen), column] = 1.0
    return signs
