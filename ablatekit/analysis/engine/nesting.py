"""Two random intercepts of which one is nested in the other, such as item:model inside item.

Both are eliminated together: a block per outer level with a column per inner level in it, whose
covariance is g_inner I + g_outer J, so that only the other terms are left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ablatekit.analysis.core.arrays import Codes, Floats, Index


@dataclass(frozen=True, slots=True)
class TermLayout:
    """A random term as the pass needs it.

    codes: (n,) level of each row; q levels; columns: (C, p) per cell, scaled by `scale` (p,) and
    shifted by `shift` (p,) times the term's constant column; `unit` marks columns equal to one.
    """

    codes: Codes
    q: int
    columns: Floats
    scale: Floats
    shift: Floats
    unit: tuple[bool, ...]

    @property
    def p(self) -> int:
        """Columns per level."""
        return int(self.columns.shape[1])


ROWS = 1 << 20
MOST_CHILDREN = 8
MOST_PADDING = 2


@dataclass(frozen=True, slots=True)
class Nest:
    """Formula positions of two nested intercepts; `blocks` outer levels of `width` places each.

    children: (q_inner,) block * width + rank of every inner level in its outer level.
    """

    inner: int
    outer: int
    blocks: int
    width: int
    children: Index


def find_nest(terms: Sequence[TermLayout], order: Sequence[int]) -> Nest | None:
    """Two nested intercepts with more levels together than the largest term, if there are any."""
    plain = [k for k in order if terms[k].unit == (True,)]
    largest = max(term.q * term.p for term in terms)
    for inner in plain:
        for outer in plain:
            left, right = terms[inner], terms[outer]
            if not right.q < left.q <= MOST_CHILDREN * right.q or left.q + right.q <= largest:
                continue
            placed = _children(left, right)
            if placed is not None:
                return Nest(inner, outer, right.q, *placed)
    return None


def _children(inner: TermLayout, outer: TermLayout) -> tuple[int, Index] | None:
    """The most children of a level, and the place of each; None if not nested or too uneven."""
    parent = np.zeros(inner.q, dtype=np.intp)
    for start in range(0, len(inner.codes), ROWS):
        part = slice(start, start + ROWS)
        parent[inner.codes[part]] = outer.codes[part]
        if not np.array_equal(parent[inner.codes[part]], outer.codes[part]):
            return None
    count = np.bincount(parent, minlength=outer.q)
    width = int(count.max())
    if width > MOST_CHILDREN or width * outer.q > MOST_PADDING * inner.q:
        return None
    by_parent = np.argsort(parent, kind="stable")
    rank = np.empty(inner.q, dtype=np.intp)
    rank[by_parent] = np.arange(inner.q) - np.repeat(np.cumsum(count) - count, count)
    return width, parent * width + rank
