"""Eliminating the largest random term: sums over its levels l of A21_l K_l A12_l, three ways.

class: few distinct A11_l (complete crossings): the sums per class are formed once and every later
evaluation is independent of the number of levels. pairs: sparse crossings, one sparse product.
dense: everything else, through BLAS. The number of distinct K is `classes`; `of_level` (q1,) maps
levels to them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from scipy import sparse

from ablatekit.analysis.mixed.design import Array, Codes
from ablatekit.analysis.mixed.frame import compress
from ablatekit.analysis.mixed.sufficient import CrossProducts

CLASS_LIMIT = 16
CLASS_BYTES = 1.5e9
PAIR_LIMIT = 6e7
PAIR_FILL = 0.25


class Elimination(Protocol):
    """How the sums over the levels of the eliminated term are formed."""

    mode: str
    classes: int
    of_level: Codes

    def gram(self, k: Array) -> Array:
        """sum_l A21_l K_l A12_l (R, R) for K (classes, p1, p1), not necessarily symmetric."""
        ...

    def quadratic(self, t: Array) -> Array:
        """Sums over the levels of a class of A12_l T A21_l: (classes, p1, p1), T symmetric."""
        ...

    def cross(self, v: Array) -> Array:
        """sum_l A21_l v_l (R, m) for v (q1, p1, m)."""
        ...

    def back(self, v: Array) -> Array:
        """A12_l v (q1, p1, m) for v (R, m)."""
        ...


class _Dense:
    """Sums through BLAS: R^2 q1 operations each."""

    mode = "dense"

    def __init__(self, blocks: CrossProducts, of_level: Codes, classes: int) -> None:
        self.a21 = [a if isinstance(a, np.ndarray) else a.toarray() for a in blocks.a21]
        self.of_level = of_level
        self.classes = classes

    def gram(self, k: Array) -> Array:
        rows = self.a21[0].shape[0]
        total = np.zeros((rows, rows))
        for a, left in enumerate(self.a21):
            weighted = sum(right * k[self.of_level, a, b] for b, right in enumerate(self.a21))
            total += left @ np.asarray(weighted).T
        return total

    def quadratic(self, t: Array) -> Array:
        p = len(self.a21)
        out = np.empty((self.classes, p, p))
        for b, right in enumerate(self.a21):
            product = t @ right
            for a in range(b + 1):
                values = np.einsum("rl,rl->l", self.a21[a], product)
                summed = np.bincount(self.of_level, weights=values, minlength=self.classes)
                out[:, a, b] = out[:, b, a] = summed
        return out

    def cross(self, v: Array) -> Array:
        return np.asarray(sum(a21 @ v[:, a, :] for a, a21 in enumerate(self.a21)))

    def back(self, v: Array) -> Array:
        return np.stack([a21.T @ v for a21 in self.a21], axis=1)


class _Classes(_Dense):
    """Sums per class of levels formed once: R^2 operations per evaluation."""

    mode = "class"

    def __init__(self, blocks: CrossProducts, of_level: Codes, classes: int) -> None:
        super().__init__(blocks, of_level, classes)
        p, rows = len(self.a21), self.a21[0].shape[0]
        self.sums = np.empty((classes, p, p, rows, rows))
        for v in range(classes):
            members = of_level == v
            picked = [a[:, members] if classes > 1 else a for a in self.a21]
            for a in range(p):
                for b in range(a + 1):
                    self.sums[v, a, b] = picked[a] @ picked[b].T
                    self.sums[v, b, a] = self.sums[v, a, b].T

    def gram(self, k: Array) -> Array:
        if k.size == 1:
            return np.asarray(self.sums[0, 0, 0] * k[0, 0, 0])
        rows = self.sums.shape[-1]
        flat = self.sums.reshape(-1, rows * rows)
        return np.asarray((k.reshape(-1) @ flat).reshape(rows, rows))

    def quadratic(self, t: Array) -> Array:
        p = len(self.a21)
        flat = self.sums.reshape(-1, t.size)
        return np.asarray((flat @ t.reshape(-1)).reshape(self.classes, p, p))


class _Pairs:
    """Sums as one sparse product over the nonzero pairs inside every level."""

    mode = "pairs"

    def __init__(self, blocks: CrossProducts) -> None:
        self.a21 = [sparse.csr_matrix(a) for a in blocks.a21]
        self.a12 = [a.T.tocsr() for a in self.a21]
        self.rows, self.classes = self.a21[0].shape
        self.of_level = np.arange(self.classes)
        self.pairs, self.left, self.right = _pair_products(self.a12)

    def gram(self, k: Array) -> Array:
        values = self.pairs @ k.reshape(-1)
        total = np.zeros((self.rows, self.rows))
        total[self.left, self.right] = values
        if len(self.a21) == 1:
            total[self.right, self.left] = values
        return total

    def quadratic(self, t: Array) -> Array:
        values = t[self.left, self.right]
        if len(self.a21) == 1:
            values = np.where(self.left == self.right, values, 2.0 * values)
        p = len(self.a21)
        return np.asarray((self.pairs.T @ values).reshape(self.classes, p, p))

    def cross(self, v: Array) -> Array:
        return np.asarray(sum(a21 @ v[:, a, :] for a, a21 in enumerate(self.a21)))

    def back(self, v: Array) -> Array:
        return np.stack([a12 @ v for a12 in self.a12], axis=1)


def eliminate(blocks: CrossProducts, once: bool = False) -> Elimination | None:
    """Choose how to eliminate the first term; None when it is the only one or nothing is.

    once: the blocks serve one evaluation only, so nothing is prepared for later ones.
    """
    if not blocks.eliminated or not blocks.a21:
        return None
    q, p = blocks.shapes[0]
    if once:
        return _Dense(blocks, np.arange(q), q)
    rows = blocks.a21[0].shape[0]
    distinct, of_level = np.unique(blocks.a11.reshape(q, -1), axis=0, return_inverse=True)
    classes = len(distinct)
    if classes <= min(CLASS_LIMIT, max(q // 4, 1)) and 8 * classes * (p * rows) ** 2 < CLASS_BYTES:
        return _Classes(blocks, of_level.reshape(-1), classes)
    per_level = np.asarray(_pattern(blocks.a21).sum(axis=0), dtype=np.float64).reshape(-1)
    if per_level.sum() < PAIR_FILL * rows * q and p * p * (per_level**2).sum() < PAIR_LIMIT:
        return _Pairs(blocks)
    return _Dense(blocks, np.arange(q), q)


def _pattern(matrices: Sequence[Any]) -> Any:
    """Ones where any of the matrices is nonzero, sparse."""
    total: Any = None
    for matrix in matrices:
        own = sparse.csr_matrix(matrix)
        own = sparse.csr_matrix((np.ones(own.nnz), own.indices, own.indptr), own.shape)
        total = own if total is None else total + own
    total.data[:] = 1.0
    return total


def _pair_products(a12: list[Any]) -> tuple[Any, Codes, Codes]:
    """The products A21[i,l,a] A21[j,l,b] as a sparse matrix (pairs, q1 p1 p1), and i, j per row."""
    p = len(a12)
    q, rows = a12[0].shape
    pattern = _pattern(a12).tocsr()
    pattern.sort_indices()
    level = np.repeat(np.arange(q), np.diff(pattern.indptr))
    values = np.stack([np.asarray(a[level, pattern.indices]).reshape(-1) for a in a12])
    count = np.diff(pattern.indptr)[level]
    first = np.repeat(np.arange(len(level)), count)
    starts = np.concatenate([[0], np.cumsum(count)[:-1]])
    second = pattern.indptr[level[first]] + np.arange(len(first)) - starts[first]
    if p == 1:
        lower = pattern.indices[first] >= pattern.indices[second]
        first, second = first[lower], second[lower]
    key = pattern.indices[first].astype(np.int64) * rows + pattern.indices[second]
    row, present = compress(key, rows * rows)
    parts = [
        (values[a][first] * values[b][second], level[first] * p * p + a * p + b)
        for a in range(p)
        for b in range(p)
    ]
    data = np.concatenate([value for value, _ in parts])
    column = np.concatenate([index for _, index in parts])
    table = sparse.coo_matrix((data, (np.tile(row, len(parts)), column)), (len(present), q * p * p))
    return table.tocsr(), present // rows, present % rows
