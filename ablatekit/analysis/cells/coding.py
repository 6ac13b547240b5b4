"""Sum-to-zero coding of factors and their interactions up to an order."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ablatekit.analysis.core.arrays import Floats, Integers


@dataclass(frozen=True)
class CodedTerms:
    """Columns `matrix` (rows, p) and, per term, the factors in it and its columns.

    The first column is the intercept, which is no term.
    """

    matrix: Floats
    terms: tuple[tuple[int, ...], ...]
    slices: tuple[slice, ...]


def sum_contrasts(size: int) -> Floats:
    """R's contr.sum, (size, size - 1): the last level is minus the sum of the others."""
    return np.vstack([np.eye(size - 1), -np.ones((1, size - 1))])


def terms_up_to(factors: int, order: int) -> tuple[tuple[int, ...], ...]:
    """Every set of at most `order` factors, by order, then by position."""
    orders = range(1, min(order, factors) + 1)
    return tuple(term for size in orders for term in combinations(range(factors), size))


def code_terms(levels: Integers, sizes: Integers, terms: tuple[tuple[int, ...], ...]) -> CodedTerms:
    """Code rows of level indices (rows, F) for an intercept and the given terms."""
    mains = [sum_contrasts(int(size))[levels[:, i]] for i, size in enumerate(sizes)]
    blocks = [np.ones((len(levels), 1))]
    slices: list[slice] = []
    start = 1
    for term in terms:
        block = np.ones((len(levels), 1))
        for factor in term:
            block = (block[:, :, None] * mains[factor][:, None, :]).reshape(len(levels), -1)
        blocks.append(block)
        slices.append(slice(start, start + block.shape[1]))
        start += block.shape[1]
    return CodedTerms(np.hstack(blocks), terms, tuple(slices))
