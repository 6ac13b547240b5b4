"""Eliminating a block diagonal: sums over its levels l of A21_l K_l A12_l, four ways.

class: few distinct A11_l (complete crossings): the sums per class are formed once and every later
evaluation is independent of the number of levels. pairs: sparse crossings, one sparse product.
complement: crossings with few empty or unusual cells: a constant plus a sparse rest, whose pairs
are few. dense: everything else, through BLAS. The number of distinct K is `classes`; `of_level`
(q1,) maps levels to them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
from scipy import sparse

from ablatekit.analysis.core.arrays import Codes, Floats, Index, summed_products
from ablatekit.analysis.engine.sufficient import CrossProducts

# Above 16 classes the sums per class cost more to form than the evaluations that they save.
CLASS_LIMIT = 16
CLASS_BYTES = 1.5e9
# A pair takes 12 bytes: 6e7 of them stay below the memory that the sums per class may take.
PAIR_LIMIT = 6e7
# Fuller than a quarter, BLAS on all entries is faster than a sparse product on the nonzero ones.
PAIR_FILL = 0.25
PAIR_CHUNK = 1 << 20

Sums: TypeAlias = dict[tuple[int, int], Any]


class Elimination(Protocol):
    """How the sums over the levels of the eliminated block are formed."""

    mode: str
    classes: int
    of_level: Codes

    def gram(self, k: Floats) -> Floats:
        """sum_l A21_l K_l A12_l (R, R) for symmetric K (classes, p1, p1)."""
        ...

    def quadratic(self, t: Floats) -> Floats:
        """Sums over the levels of a class of A12_l T A21_l: (classes, p1, p1), T symmetric."""
        ...

    def cross(self, v: Floats) -> Floats:
        """sum_l A21_l v_l (R, m) for v (q1, p1, m)."""
        ...

    def right(self, k: Floats) -> tuple[Floats, Floats]:
        """sum_l A21_l K_l A1x_l (R, m) and sum_l A1x_l' K_l A1x_l (m, m)."""
        ...

    def spread(self, lam: Floats, phi: Floats) -> Floats:
        """Sums over the levels of a class of D Phi D' (classes, p1, p1), D = A1x_l - A12_l Lam.

        lam (R, p), phi (p, p): D has the first p columns of A1x.
        """
        ...

    def back(self, v: Floats) -> Floats:
        """A12_l v (q1, p1, m) for v (R, m)."""
        ...


class _ByLevel:
    """What is formed level by level where levels have no classes."""

    a1x: Floats
    of_level: Codes

    def cross(self, v: Floats) -> Floats:
        raise NotImplementedError

    def back(self, v: Floats) -> Floats:
        raise NotImplementedError

    def right(self, k: Floats) -> tuple[Floats, Floats]:
        kx = k[self.of_level] @ self.a1x
        return self.cross(kx), summed_products(self.a1x, kx)

    def spread(self, lam: Floats, phi: Floats) -> Floats:
        return products_by_level(self.a1x[:, :, : len(phi)] - self.back(lam), phi)


def products_by_level(d: Floats, phi: Floats) -> Floats:
    """D_l Phi D_l' (q, p1, p1) for D (q, p1, p)."""
    turned = (d.reshape(-1, len(phi)) @ phi).reshape(d.shape)
    return np.asarray(np.einsum("lap,lbp->lab", turned, d))


class _Dense(_ByLevel):
    """Sums through BLAS: R^2 q1 operations each, over the rows that a column has at all."""

    mode = "dense"

    def __init__(self, blocks: CrossProducts, of_level: Codes, classes: int) -> None:
        self.a1x = blocks.a1x
        whole = [a if isinstance(a, np.ndarray) else a.toarray() for a in blocks.a21]
        self.rows = len(whole[0])
        self.used: list[Index] = [np.flatnonzero(a.any(axis=1)) for a in whole]
        pairs = zip(whole, self.used, strict=True)
        self.a21 = [a if len(used) == self.rows else a[used] for a, used in pairs]
        self.of_level = of_level
        self.classes = classes

    def _block(self, k: Floats, a: int, b: int) -> Floats:
        """A21_a K_ab A12_b over the rows that the two columns have."""
        weights = k[self.of_level, a, b]
        if a == b and float(weights.min()) >= 0.0:
            # One product of a matrix with itself: BLAS computes half of it, and symmetry is exact.
            root = self.a21[a] * np.sqrt(weights)
            return np.asarray(root @ root.T)
        return np.asarray((self.a21[a] * weights) @ self.a21[b].T)

    def gram(self, k: Floats) -> Floats:
        if len(self.a21) == 1 and len(self.used[0]) == self.rows:
            return self._block(k, 0, 0)
        total = np.zeros((self.rows, self.rows))
        for a, b in _lower(len(self.a21)):
            block = self._block(k, a, b)
            total[np.ix_(self.used[a], self.used[b])] += block
            if a != b:
                total[np.ix_(self.used[b], self.used[a])] += block.T
        return total

    def quadratic(self, t: Floats) -> Floats:
        p = len(self.a21)
        out = np.empty((self.classes, p, p))
        for a, b in _lower(p):
            product = self._corner(t, a, b) @ self.a21[b]
            values = np.einsum("rl,rl->l", self.a21[a], product)
            summed = np.bincount(self.of_level, weights=values, minlength=self.classes)
            out[:, a, b] = out[:, b, a] = summed
        return out

    def _corner(self, t: Floats, a: int, b: int) -> Floats:
        """T over the rows that columns a and b have."""
        if len(self.used[a]) == len(self.used[b]) == self.rows:
            return t
        return np.asarray(t[np.ix_(self.used[a], self.used[b])])

    def cross(self, v: Floats) -> Floats:
        out = np.zeros((self.rows, v.shape[2]))
        for a, (a21, used) in enumerate(zip(self.a21, self.used, strict=True)):
            out[used] += a21 @ v[:, a, :]
        return out

    def back(self, v: Floats) -> Floats:
        pairs = zip(self.a21, self.used, strict=True)
        return np.stack([a21.T @ v[used] for a21, used in pairs], axis=1)


class _Classes(_Dense):
    """Sums per class of levels formed once: R^2 operations per evaluation."""

    mode = "class"

    def __init__(self, blocks: CrossProducts, of_level: Codes, classes: int) -> None:
        super().__init__(blocks, of_level, classes)
        self.sums: Sums = {}
        members = [of_level == v for v in range(classes)] if classes > 1 else [slice(None)]
        for a, b in _lower(len(self.a21)):
            left, right = self.a21[a], self.a21[b]
            shape = (classes, len(left), len(right))
            self.sums[a, b] = np.empty(shape)
            for v, own in enumerate(members):
                # The same array on both sides lets BLAS take its symmetric product.
                picked = left[:, own]
                other = picked if a == b else right[:, own]
                np.matmul(picked, other.T, out=self.sums[a, b][v])
        self.right_cross: Sums = {}
        self.right_own = np.empty((classes, *_squared(self.a1x.shape[1:])))
        for a, b in np.ndindex(self.right_own.shape[1:3]):
            for v, own in enumerate(members):
                x = self.a1x[own, b]
                self.right_own[v, a, b] = self.a1x[own, a].T @ x
            parts = [self.a21[a][:, own] @ self.a1x[own, b] for own in members]
            self.right_cross[a, b] = np.stack(parts)

    def _block(self, k: Floats, a: int, b: int) -> Floats:
        sums = self.sums[a, b]
        if self.classes == 1:
            return np.asarray(sums[0] * k[0, a, b])
        return np.asarray((k[:, a, b] @ sums.reshape(self.classes, -1)).reshape(sums.shape[1:]))

    def quadratic(self, t: Floats) -> Floats:
        p = len(self.a21)
        out = np.empty((self.classes, p, p))
        for a, b in _lower(p):
            corner = self._corner(t, a, b).reshape(-1)
            out[:, a, b] = out[:, b, a] = self.sums[a, b].reshape(self.classes, -1) @ corner
        return out

    def right(self, k: Floats) -> tuple[Floats, Floats]:
        m = self.a1x.shape[2]
        crossed = np.zeros((self.rows, m))
        for (a, b), sums in self.right_cross.items():
            crossed[self.used[a]] += np.tensordot(k[:, a, b], sums, axes=1)
        own = k.reshape(-1) @ self.right_own.reshape(k.size, -1)
        return crossed, own.reshape(m, m)

    def spread(self, lam: Floats, phi: Floats) -> Floats:
        p = len(phi)
        turned = lam @ phi
        mixed = np.empty((self.classes, *self.right_own.shape[1:3]))
        for (a, b), sums in self.right_cross.items():
            part = turned[self.used[a]].reshape(-1)
            mixed[:, b, a] = sums[:, :, :p].reshape(self.classes, -1) @ part
        own = np.tensordot(self.right_own[..., :p, :p], phi, axes=2)
        return np.asarray(own - mixed - mixed.transpose(0, 2, 1) + self.quadratic(turned @ lam.T))


def _squared(shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    width, columns = shape
    return width, width, columns, columns


class _Pairs(_ByLevel):
    """Sums as one sparse product over the nonzero pairs inside every level."""

    mode = "pairs"

    def __init__(self, a21: Sequence[Any], a1x: Floats) -> None:
        self.a1x = a1x
        self.a21 = [sparse.csr_matrix(a) for a in a21]
        self.a12 = [a.T.tocsr() for a in self.a21]
        self.rows, self.classes = self.a21[0].shape
        self.of_level = np.arange(self.classes)
        self.pairs: Sums = {
            (a, b): _pair_table(self.a12[a], self.a12[b], a == b) for a, b in _lower(len(a21))
        }

    def gram(self, k: Floats) -> Floats:
        total = np.zeros((self.rows, self.rows))
        for (a, b), table in self.pairs.items():
            block = (table @ k[:, a, b]).reshape(self.rows, self.rows)
            total += block
            total += block.T
            # The table of one column holds i >= j only; adding its mirror counts i = j twice.
            if a == b:
                total.flat[:: self.rows + 1] -= block.diagonal()
        return total

    def quadratic(self, t: Floats) -> Floats:
        p = len(self.a21)
        out = np.empty((self.classes, p, p))
        # T and the pairs are symmetric: pairs i > j stand for both orders, i = j for one.
        halved = 2.0 * t
        halved.flat[:: self.rows + 1] *= 0.5
        for (a, b), table in self.pairs.items():
            values = (halved if a == b else t).reshape(-1)
            out[:, a, b] = out[:, b, a] = table.T @ values
        return out

    def cross(self, v: Floats) -> Floats:
        return np.asarray(sum(a21 @ v[:, a, :] for a, a21 in enumerate(self.a21)))

    def back(self, v: Floats) -> Floats:
        return np.stack([a12 @ v for a12 in self.a12], axis=1)


class _Complement(_ByLevel):
    """One column per level, A21 = c 1 1' + S with S sparse: the sums of S and what 1 adds."""

    mode = "complement"

    def __init__(self, a21: Floats, common: float, a1x: Floats) -> None:
        self.a1x, self.common = a1x, common
        self.rest = _Pairs([_sparse_rest(a21, common)], a1x)
        self.classes, self.of_level = self.rest.classes, self.rest.of_level

    def gram(self, k: Floats) -> Floats:
        total = self.rest.gram(k)
        mixed = self.common * self.rest.cross(k)[:, 0]
        total += mixed[:, None] + (mixed + self.common**2 * float(k.sum()))[None, :]
        return total

    def quadratic(self, t: Floats) -> Floats:
        sums = t.sum(axis=1)
        mixed = 2.0 * self.common * self.rest.back(sums[:, None])
        return self.rest.quadratic(t) + mixed + self.common**2 * float(sums.sum())

    def cross(self, v: Floats) -> Floats:
        return np.asarray(self.rest.cross(v) + self.common * v.sum(axis=(0, 1)))

    def back(self, v: Floats) -> Floats:
        return np.asarray(self.rest.back(v) + self.common * v.sum(axis=0))


def eliminate(blocks: CrossProducts, once: bool = False) -> Elimination | None:
    """Choose how to eliminate the first block; None when nothing else is left or nothing is.

    once: the blocks serve one evaluation only, so nothing is prepared for later ones.
    """
    if not blocks.eliminated or not blocks.a21:
        return None
    q = len(blocks.a11)
    if once:
        return _Dense(blocks, np.arange(q), q)
    # Cheapest per evaluation first: sums per class need no levels, pairs only nonzero entries, the
    # complement those that differ from a constant; what is left has no structure to use.
    distinct, of_level = np.unique(blocks.a11.reshape(q, -1), axis=0, return_inverse=True)
    classes = len(distinct)
    used = sum(_used_rows(a) for a in blocks.a21) + blocks.a1x.shape[1] * blocks.a1x.shape[2]
    if classes <= min(CLASS_LIMIT, max(q // 4, 1)) and 8 * classes * used**2 < CLASS_BYTES:
        return _Classes(blocks, of_level.reshape(-1), classes)
    if _worthwhile([_filled(a) for a in blocks.a21], blocks.a21[0].shape[0]):
        return _Pairs(blocks.a21, blocks.a1x)
    first = blocks.a21[0]
    if len(blocks.a21) == 1 and isinstance(first, np.ndarray):
        # The most frequent entry of a crossing is its median; 64 rows tell it as well as all do.
        common = float(np.median(first[:: max(len(first) // 64, 1)]))
        if common and _worthwhile([np.count_nonzero(first != common, axis=0)], len(first)):
            return _Complement(first, common, blocks.a1x)
    return _Dense(blocks, np.arange(q), q)


def _used_rows(a21: Any) -> int:
    """Rows with an entry that is not zero."""
    if isinstance(a21, np.ndarray):
        return int(a21.any(axis=1).sum())
    return int(np.count_nonzero(np.diff(a21.indptr)))


def _filled(a21: Any) -> Index:
    """Nonzero entries per level."""
    if isinstance(a21, np.ndarray):
        return np.asarray(np.count_nonzero(a21, axis=0), dtype=np.intp)
    return np.bincount(a21.indices, minlength=a21.shape[1])


def _worthwhile(filled: Sequence[Index], rows: int) -> bool:
    """Whether the pairs of these entries per level and column are few and fit into memory."""
    counts = np.asarray(filled, dtype=np.float64)
    few = counts.sum() < PAIR_FILL * rows * counts.size
    return bool(few and (counts.sum(axis=0) ** 2).sum() < PAIR_LIMIT)


def _lower(p: int) -> Iterator[tuple[int, int]]:
    return ((a, b) for a in range(p) for b in range(a + 1))


def _sparse_rest(a21: Floats, common: float) -> Any:
    """A21 - c 1 1' without the zeros."""
    rows, levels = np.nonzero(a21 != common)
    return sparse.csr_matrix((a21[rows, levels] - common, (rows, levels)), a21.shape)


def _pair_table(left: Any, right: Any, symmetric: bool) -> Any:
    """The products A21[i,l] A21[j,l] as a sparse matrix (R R, q1), row i R + j.

    left, right: A12 of two columns (q1, R); symmetric: they are one column, so only i >= j is kept.
    """
    q, rows = left.shape
    for matrix in (left, right):
        matrix.sort_indices()
    level = np.repeat(np.arange(q), np.diff(left.indptr))
    start = right.indptr[level]
    partners = np.arange(1, len(level) + 1) if symmetric else right.indptr[level + 1]
    count = np.asarray(partners - start, dtype=np.intp)
    total = int(count.sum())
    # Keys are most of the memory: half the size wherever row numbers and pairs fit into 31 bits.
    small: Any = np.int32 if max(rows * rows, total) < 2**31 else np.int64
    keys, data = np.empty(total, dtype=small), np.empty(total)
    done = 0
    for part in _chunks(count):
        size = int(count[part].sum())
        before = np.cumsum(count[part]) - count[part]
        second = np.arange(size) - np.repeat(before - start[part], count[part])
        filled = slice(done, done + size)
        keys[filled] = np.repeat(left.indices[part].astype(small) * rows, count[part])
        keys[filled] += right.indices[second]
        np.multiply(np.repeat(left.data[part], count[part]), right.data[second], out=data[filled])
        done += size
    indptr = np.concatenate([[0], np.cumsum(count)])[left.indptr].astype(small)
    return sparse.csc_matrix((data, keys, indptr), (rows * rows, q)).tocsr()


def _chunks(count: Index) -> Iterator[slice]:
    """Ranges of entries with about PAIR_CHUNK pairs each."""
    total = np.cumsum(count)
    start = 0
    while start < len(count):
        done = total[start - 1] if start else 0
        stop = max(int(np.searchsorted(total, done + PAIR_CHUNK, side="right")), start + 1)
        yield slice(start, stop)
        start = stop
