"""Sum-to-zero coding of factors and their interactions up to an order."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, pairwise, product
from math import prod

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
    mains = [sum_contrasts(int(size))[levels[:, i]].T for i, size in enumerate(sizes)]
    widths = [prod(len(mains[factor]) for factor in term) for term in terms]
    starts = np.cumsum([1, *widths]).tolist()
    slices = tuple(slice(a, b) for a, b in pairwise(starts))
    columns = np.ones((starts[-1], len(levels)))  # a column lies in one piece while it is filled
    for term, part in zip(terms, slices, strict=True):
        for column, chosen in zip(
            columns[part], product(*(mains[factor] for factor in term)), strict=True
        ):
            for main in chosen:
                column *= main
    return CodedTerms(np.ascontiguousarray(columns.T), terms, slices)
