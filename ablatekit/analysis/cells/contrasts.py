"""Every estimand of a design as a linear contrast of cells (DESIGN 5).

A contrast is a set of combinations, averaged with equal weight; each combination is the same small
weighted sum of cells: level minus baseline for an effect, difference of differences for an
interaction. Which cells exist decides the combinations ("matched cells"); how cell means are
estimated is a model's business.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import factorial

import numpy as np

from ablatekit.analysis.core.arrays import Floats, Integers
from ablatekit.analysis.core.layout import Layout
from ablatekit.analysis.core.schema.vocabulary import Estimand, Statement, statement

DIFFERENCE = np.array([1.0, -1.0])
DIFFERENCE_OF_DIFFERENCES = np.array([1.0, -1.0, -1.0, 1.0])


@dataclass(frozen=True)
class Contrast:
    """`codes` (combinations, cells of one) holds cell codes, `weights` those cells' weights.

    `reason` is set when the design contains no combination; `varied` are the positions of the
    factors that the contrast changes; `grid` marks combinations taken from the grid of all levels
    because the design itself contains none.
    """

    factor: str
    level: str
    baseline: str
    estimand: Estimand
    varied: tuple[int, ...]
    codes: Integers
    weights: Floats
    reason: Statement | None = None
    grid: bool = False


def effect_contrasts(layout: Layout, codes: Integers, estimand: Estimand) -> list[Contrast]:
    """One contrast for each non-baseline level of each factor, from the cells in `codes`."""
    build = {"average": average, "baseline": at_baseline, "removal": removal, "shapley": shapley}
    return [
        build[estimand](layout, codes, factor, level)
        for factor in range(len(layout.factors))
        for level in range(int(layout.sizes[factor]))
        if level != layout.baselines[factor]
    ]


def average(layout: Layout, codes: Integers, factor: int, level: int) -> Contrast:
    """Level minus baseline over every combination of the others that has both (matched cells)."""
    pairs = _pairs(layout, codes, factor, level)
    return _effect(layout, "average", factor, level, pairs, statement("no_matched_pair"))


def at_baseline(layout: Layout, codes: Integers, factor: int, level: int) -> Contrast:
    """Level minus baseline with every other factor at its baseline: the marginal gain."""
    pairs = _pairs(layout, codes, factor, level)
    others = np.delete(layout.decode(pairs[:, 0]) == layout.baselines, factor, axis=1)
    reason = statement("no_pair_at_baseline")
    return _effect(layout, "baseline", factor, level, pairs[others.all(axis=1)], reason)


def removal(layout: Layout, codes: Integers, factor: int, level: int) -> Contrast:
    """Level minus baseline with every other factor at a non-baseline level (leave one out).

    A factor with several non-baseline levels enters with equal weight on each of them.
    """
    pairs = _pairs(layout, codes, factor, level)
    others = np.delete(layout.decode(pairs[:, 0]) != layout.baselines, factor, axis=1)
    reason = statement("no_pair_off_baseline")
    return _effect(layout, "removal", factor, level, pairs[others.all(axis=1)], reason)


def shapley(layout: Layout, codes: Integers, factor: int, level: int) -> Contrast:
    """The mean gain of switching the factor on, over all orders of switching all factors on.

    Shapley (1953): subsets S of the other F - 1 factors weigh |S|! (F - 1 - |S|)! / F!.
    """
    count = len(layout.factors)
    if (layout.sizes != 2).any() or len(np.unique(codes)) < layout.grid_size:
        reason = statement("incomplete_for_shapley")
        return _effect(layout, "shapley", factor, level, np.empty((0, 2), dtype=np.int64), reason)
    pairs = _pairs(layout, codes, factor, level)
    on = (layout.decode(pairs[:, 1]) != layout.baselines).sum(axis=1)
    shares = [factorial(s) * factorial(count - 1 - s) / factorial(count) for s in on.tolist()]
    weights = np.outer(shares, DIFFERENCE).ravel()
    return _effect(layout, "shapley", factor, level, pairs.reshape(1, -1), None, weights)


def interaction_contrasts(layout: Layout, codes: Integers) -> list[Contrast]:
    """Every two-way difference of differences between non-baseline levels and baselines."""
    return [
        _interaction(layout, codes, pair, (first, second))
        for pair in combinations(range(len(layout.factors)), 2)
        for first in range(int(layout.sizes[pair[0]]))
        for second in range(int(layout.sizes[pair[1]]))
        if first != layout.baselines[pair[0]] and second != layout.baselines[pair[1]]
    ]


def _interaction(
    layout: Layout, codes: Integers, pair: tuple[int, int], levels: tuple[int, int]
) -> Contrast:
    cells = layout.decode(codes)
    both = codes[(cells[:, pair[0]] == levels[0]) & (cells[:, pair[1]] == levels[1])]
    to_first, to_second = (
        int(layout.baselines[f] - level) * int(layout.strides[f])
        for f, level in zip(pair, levels, strict=True)
    )
    quads = np.stack([both, both + to_first, both + to_second, both + to_first + to_second], axis=1)
    quads = quads[np.isin(quads, codes).all(axis=1)]
    names = [layout.factors[f] for f in pair]
    return Contrast(
        factor=":".join(factor.name for factor in names),
        level=":".join(layout.level(f, level) for f, level in zip(pair, levels, strict=True)),
        baseline=":".join(factor.baseline for factor in names),
        estimand="interaction",
        varied=pair,
        codes=quads,
        weights=DIFFERENCE_OF_DIFFERENCES,
        reason=None if len(quads) else statement("no_quadruple"),
    )


def _pairs(layout: Layout, codes: Integers, factor: int, level: int) -> Integers:
    """Codes (pairs, 2) of the cells at `level` and of their partners at the baseline."""
    at_level = codes[layout.decode(codes)[:, factor] == level]
    partner = at_level + (layout.baselines[factor] - level) * layout.strides[factor]
    return np.stack([at_level, partner], axis=1)[np.isin(partner, codes)]


def _effect(
    layout: Layout,
    estimand: Estimand,
    factor: int,
    level: int,
    codes: Integers,
    reason: Statement | None,
    weights: Floats = DIFFERENCE,
) -> Contrast:
    return Contrast(
        factor=layout.factors[factor].name,
        level=layout.level(factor, level),
        baseline=layout.factors[factor].baseline,
        estimand=estimand,
        varied=(factor,),
        codes=codes,
        weights=weights,
        reason=None if len(codes) else reason,
    )
