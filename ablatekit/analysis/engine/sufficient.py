"""One chunked pass over the rows: the cross-products of a mixed model, nothing of size n.

The response is replaced by its least-squares residual divided by its root mean square, and the
model matrix by an orthonormal basis of its columns, so neither a large offset of the response nor
a covariate far from zero is squared. Both are undone exactly on the coefficients.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy import linalg, sparse

from ablatekit.analysis.core.arrays import Codes, Floats, Index
from ablatekit.analysis.engine.frame import ModelFrame
from ablatekit.analysis.engine.nesting import Nest, TermLayout, find_nest
from ablatekit.errors import NotEstimableError

CHUNK = 1 << 20
DIRECT_LIMIT = 150
DENSE_CROSSTAB = 1 << 26

EXACT = (
    "the fixed effects reproduce the response exactly, so no error variance can be estimated; are"
    " replicates copies of one another (identical seeds)?"
)
EXACT_OUTCOMES = (
    "the fixed effects reproduce the response exactly: outcomes of 0 and 1 that agree within every"
    " combination have no error variance; --factors answers such a table by a permutation test"
)


@dataclass(frozen=True, slots=True)
class WorkingLayout:
    """The rows of a model in working coordinates.

    x: (C, p) orthonormal in the weighted rows; `back` (p, p) and `ols` (p,) bring working
    coefficients b back: beta = ols + sd * back b. `sd` is the root mean square residual of
    the least-squares fit, `residual` (n,) that residual over sd.
    """

    n: int
    cell: Codes
    x: Floats
    back: Floats
    ols: Floats
    residual: Floats
    sd: float
    weights: Floats | None
    log_weights: float
    terms: tuple[TermLayout, ...]


@dataclass(frozen=True, slots=True)
class CrossProducts:
    """Z'W[Z X y] in blocks: what is eliminated first (a11, a21, a1x), all other terms stacked.

    `order[k]` is the formula position of internal term k and `shapes[k]` its (levels, columns); the
    first `eliminated` terms (0, 1 or 2) form the block diagonal. Two are an intercept nested in
    another one: a block is then a level of the outer term, its p1 columns the inner levels in it
    (empty where a level has fewer), and inner level l is column `children[l] % p1` of block
    `children[l] // p1`. Stacked rows are column-major inside a term: column, then level.
    a11 (q1,p1,p1); a21 p1 matrices (R,q1), dense or sparse; a22 (R,R); a1x (q1,p1,m); a2x (R,m);
    axx (m,m) with m = p + 1, the response last.
    """

    n: int
    p: int
    order: tuple[int, ...]
    shapes: tuple[tuple[int, int], ...]
    eliminated: int
    a11: Floats
    a21: tuple[Any, ...]
    a22: Floats
    a1x: Floats
    a2x: Floats
    axx: Floats
    children: Index = field(default_factory=lambda: np.empty(0, dtype=np.intp))


def working_layout(frame: ModelFrame) -> WorkingLayout:
    """Working coordinates of a model frame.

    Raises NotEstimableError when the response is constant, when no residual degree of freedom is
    left, or when the fixed effects reproduce the response exactly.
    """
    n, p = len(frame.y), len(frame.kept)
    _check_response(frame.y, n, p)
    mass = (
        frame.counts
        if frame.weights is None
        else cell_sums(frame.cell, frame.weights, len(frame.x))
    )
    x, basis, triangle = _orthonormal(frame.x, mass, 0 in frame.kept and frame.formula.intercept)
    intercept = frame.formula.intercept and p > 0
    offset = float(frame.y.mean()) if intercept else 0.0
    residual = frame.y - offset
    b = np.zeros(p)
    for _ in range(2):  # the second pass removes what rounding left of the projection
        step = x.T @ cell_sums(frame.cell, _times(residual, frame.weights), len(frame.x))
        residual = residual - (x @ step)[frame.cell]
        b += step
    back = basis @ linalg.solve_triangular(triangle, np.eye(p)) if p else np.empty((0, 0))
    ols = back @ b
    if intercept:
        ols[0] += offset
    sd = float(np.sqrt(np.mean(_times(residual**2, frame.weights))))
    largest = float(np.abs(frame.y).max())
    if sd <= 1e-13 * largest:
        raise NotEstimableError(EXACT_OUTCOMES if np.isin(frame.y, (0.0, 1.0)).all() else EXACT)
    residual /= sd
    log_weights = 0.0 if frame.weights is None else float(np.log(frame.weights).sum())
    terms = tuple(
        _term_layout(term.codes, len(term.levels), term.columns, frame.counts)
        for term in frame.random
    )
    return WorkingLayout(
        n, frame.cell, x, back, ols, residual, sd, frame.weights, log_weights, terms
    )


def orthonormal_layout(frame: ModelFrame, weights: Floats) -> WorkingLayout:
    """A layout without a response: columns orthonormal under `weights` (n,), offsets zero."""
    mass = cell_sums(frame.cell, weights, len(frame.x))
    intercept = frame.formula.intercept and len(frame.kept) > 0
    x, basis, triangle = _orthonormal(frame.x, mass, intercept)
    p = x.shape[1]
    back = basis @ linalg.solve_triangular(triangle, np.eye(p)) if p else np.empty((0, 0))
    return WorkingLayout(
        len(frame.y), frame.cell, x, back, np.zeros(p), np.zeros(len(frame.y)), 1.0, None, 0.0,
        tuple(
            _term_layout(term.codes, len(term.levels), term.columns, frame.counts)
            for term in frame.random
        ),
    )  # fmt: skip


def cross_products(layout: WorkingLayout, nest: bool = False) -> CrossProducts:
    """The blocks of a layout, with the largest term eliminated when the problem is not small.

    nest: eliminate two intercepts together when one is nested in the other and that leaves less.
    """
    size = [term.q * term.p for term in layout.terms]
    order = sorted(range(len(size)), key=lambda k: -size[k])
    eliminated = 1 if sum(size) > DIRECT_LIMIT else 0
    children = np.empty(0, dtype=np.intp)
    found = find_nest(layout.terms, order) if nest and eliminated else None
    if found is not None:
        pair = (found.inner, found.outer)
        order = [*pair, *(k for k in order if k not in pair)]
        eliminated, children = 2, found.children
    terms = [layout.terms[k] for k in order]
    others = terms[eliminated:]
    m = layout.x.shape[1] + 1
    a2x = _stack([_column_major(_level_sums(layout, term)) for term in others], m)
    if found is not None:
        a11, a21, a1x = _nested_blocks(layout, terms[0], found, others)
    else:
        a11, a21, a1x = _first_blocks(layout, terms[:eliminated], others)
    axx = np.eye(m)
    axx[-1, :-1] = axx[:-1, -1] = 0.0
    axx[-1, -1] = float(_times(layout.residual**2, layout.weights).sum())
    return CrossProducts(
        n=layout.n,
        p=m - 1,
        order=tuple(order),
        shapes=tuple((term.q, term.p) for term in terms),
        eliminated=eliminated,
        children=children,
        a11=a11,
        a21=a21,
        a22=_other_blocks(layout, others),
        a1x=a1x,
        a2x=a2x,
        axx=axx,
    )


def _first_blocks(
    layout: WorkingLayout, first: Sequence[TermLayout], others: Sequence[TermLayout]
) -> tuple[Floats, tuple[Any, ...], Floats]:
    """A11, A21 and A1x of the eliminated term, or empty blocks when nothing is eliminated."""
    if not first:
        return np.empty((0, 0, 0)), (), np.empty((0, 0, layout.x.shape[1] + 1))
    a21 = tuple(
        _stack_rows([_pair(layout, term, a, first[0], b) for term in others for a in range(term.p)])
        for b in range(first[0].p if others else 0)
    )
    return _own_block(layout, first[0]), a21, _level_sums(layout, first[0])


def _nested_blocks(
    layout: WorkingLayout, inner: TermLayout, nest: Nest, others: Sequence[TermLayout]
) -> tuple[Floats, tuple[Any, ...], Floats]:
    """A11, A21 and A1x with one block per outer level and one column per inner level in it."""
    width, size = nest.width, nest.blocks * nest.width
    codes = nest.children.astype(np.int32)[inner.codes]
    joint = replace(inner, codes=codes, q=size)
    a11 = np.zeros((nest.blocks, width, width))
    diagonal = np.arange(width)
    a11[:, diagonal, diagonal] = _own_block(layout, joint).reshape(nest.blocks, width)
    a1x = _level_sums(layout, joint).reshape(nest.blocks, width, -1)
    if not others:
        return a11, (), a1x
    whole = _stack_rows(
        [_pair(layout, term, a, joint, 0) for term in others for a in range(term.p)]
    )
    parts = (whole[:, b::width] for b in range(width))
    a21 = tuple(p if sparse.issparse(p) else np.ascontiguousarray(p) for p in parts)
    return a11, a21, a1x


def _check_response(y: Floats, n: int, p: int) -> None:
    if not np.isfinite(y).all():
        raise NotEstimableError("the response has values that are not finite")
    if float(np.ptp(y)) == 0.0:
        raise NotEstimableError(f"the response is constant ({y[0]:g}); nothing can be estimated")
    if n <= p:
        raise NotEstimableError(f"{n} rows cannot estimate {p} fixed effects and an error variance")


def _orthonormal(x: Floats, mass: Floats, intercept: bool) -> tuple[Floats, Floats, Floats]:
    """x = q t with q orthonormal under `mass`; returns q, a change of basis m, t of the centred x.

    beta = m t^-1 b, where m undoes the centring of the columns on the intercept.
    """
    p = x.shape[1]
    basis = np.eye(p)
    if not p:
        return x, basis, np.empty((0, 0))
    centred = x.copy()
    if intercept and p > 1:
        means = mass @ x[:, 1:] / mass.sum()
        centred[:, 1:] -= means
        basis[0, 1:] = -means
    root = np.sqrt(mass)[:, None]
    q, t = linalg.qr(centred * root, mode="economic")
    return np.asarray(q / root), basis, np.asarray(t)


def _term_layout(codes: Codes, q: int, columns: Floats, counts: Floats) -> TermLayout:
    """Scale slope columns to unit mean square; shift those far from zero where possible."""
    total = counts.sum()
    unit = tuple(bool(np.all(columns[:, a] == 1.0)) for a in range(columns.shape[1]))
    mean = counts @ columns / total
    spread = np.sqrt(counts @ (columns - mean) ** 2 / total)
    square = np.sqrt(counts @ columns**2 / total)
    shift = np.where(unit[0] & (np.abs(mean) > 1e3 * spread) & (spread > 0), mean, 0.0)
    scale = np.where(shift != 0.0, spread, square)
    indicator = np.all((columns == 0.0) | (columns == 1.0), axis=0)
    scale[indicator | (scale == 0.0)] = 1.0
    shift[list(unit)] = 0.0
    return TermLayout(codes, q, (columns - shift) / scale, scale, shift, unit)


def cell_sums(codes: Codes, values: Floats, size: int) -> Floats:
    """Sums of `values` by code, in row chunks."""
    if len(codes) <= CHUNK:
        return np.asarray(np.bincount(codes, values, size), dtype=np.float64)
    total = np.zeros(size)
    for start in range(0, len(codes), CHUNK):
        part = slice(start, start + CHUNK)
        total += np.bincount(codes[part], weights=values[part], minlength=size)
    return total


def _crosstab(
    layout: WorkingLayout,
    left: Codes,
    rows: int,
    right: Codes,
    columns: int,
    per_cell: Floats | None,
) -> Floats:
    """sum of w_i v_cell(i) over the rows by (left, right) code: (rows, columns), in row chunks."""
    total: Floats | None = None
    for start in range(0, layout.n, CHUNK):
        part = slice(start, start + CHUNK)
        key = left[part].astype(np.int64) * columns + right[part]
        values = None if layout.weights is None else layout.weights[part]
        if per_cell is not None:
            gathered = per_cell[layout.cell[part]]
            values = gathered if values is None else values * gathered
        counted = np.bincount(key, weights=values, minlength=rows * columns)
        total = counted.astype(np.float64) if total is None else np.add(total, counted, out=total)
    assert total is not None
    return total.reshape(rows, columns)


def _level_sums(layout: WorkingLayout, term: TermLayout) -> Floats:
    """Z_k'W[X y] as (q, p_k, m)."""
    cells, p = layout.x.shape
    out = np.empty((term.q, term.p, p + 1))
    if term.q * cells <= max(4 * layout.n, 1 << 16):
        table = _crosstab(layout, term.codes, term.q, layout.cell, cells, None)
        for a in range(term.p):
            out[:, a, :p] = table @ (term.columns[:, [a]] * layout.x)
    else:
        for a in range(term.p):
            for j in range(p):
                values = (term.columns[:, a] * layout.x[:, j])[layout.cell]
                out[:, a, j] = cell_sums(term.codes, _times(values, layout.weights), term.q)
    for a in range(term.p):
        values = layout.residual if term.unit[a] else layout.residual * term.columns[layout.cell, a]
        out[:, a, p] = cell_sums(term.codes, _times(values, layout.weights), term.q)
    return out


def _times(values: Floats, weights: Floats | None) -> Floats:
    return values if weights is None else values * weights


def _own_block(layout: WorkingLayout, term: TermLayout) -> Floats:
    """Z_k'W Z_k as (q, p, p): levels of one term do not overlap."""
    out = np.empty((term.q, term.p, term.p))
    ones = np.ones(layout.n) if layout.weights is None else layout.weights
    for a in range(term.p):
        for b in range(a + 1):
            if term.unit[a] and term.unit[b]:
                values = ones
            else:
                values = (term.columns[:, a] * term.columns[:, b])[layout.cell] * ones
            out[:, a, b] = out[:, b, a] = cell_sums(term.codes, values, term.q)
    return out


def _pair(layout: WorkingLayout, left: TermLayout, a: int, right: TermLayout, b: int) -> Any:
    """Z_ka'W Z_mb (q_k, q_m): sparse when the crosstab would be large and mostly empty."""
    per_cell = None
    if not (left.unit[a] and right.unit[b]):
        per_cell = left.columns[:, a] * right.columns[:, b]
    size = left.q * right.q
    if size > max(DENSE_CROSSTAB, 16 * layout.n):
        values = np.ones(layout.n) if layout.weights is None else layout.weights
        if per_cell is not None:
            values = values * per_cell[layout.cell]
        return sparse.coo_matrix((values, (left.codes, right.codes)), (left.q, right.q)).tocsr()
    return _crosstab(layout, left.codes, left.q, right.codes, right.q, per_cell)


def _other_blocks(layout: WorkingLayout, others: Sequence[TermLayout]) -> Floats:
    """The dense (R, R) block of all terms that are not eliminated."""
    starts = np.concatenate([[0], np.cumsum([term.q * term.p for term in others])]).astype(int)
    out = np.zeros((starts[-1], starts[-1]))
    for k, left in enumerate(others):
        own = _own_block(layout, left)
        for a in range(left.p):
            for b in range(left.p):
                rows = np.arange(left.q) + starts[k] + a * left.q
                out[rows, np.arange(left.q) + starts[k] + b * left.q] = own[:, a, b]
        for m in range(k):
            right = others[m]
            for a in range(left.p):
                for b in range(right.p):
                    block = _pair(layout, left, a, right, b)
                    block = block if isinstance(block, np.ndarray) else block.toarray()
                    row, column = starts[k] + a * left.q, starts[m] + b * right.q
                    out[row : row + left.q, column : column + right.q] = block
                    out[column : column + right.q, row : row + left.q] = block.T
    return out


def _column_major(block: Floats) -> Floats:
    q, p, m = block.shape
    return block.transpose(1, 0, 2).reshape(q * p, m)


def _stack(blocks: list[Floats], m: int) -> Floats:
    return np.vstack(blocks) if blocks else np.empty((0, m))


def _stack_rows(blocks: list[Any]) -> Any:
    if any(sparse.issparse(block) for block in blocks):
        return sparse.vstack([sparse.csr_matrix(block) for block in blocks]).tocsr()
    return np.vstack(blocks) if len(blocks) > 1 else blocks[0]
