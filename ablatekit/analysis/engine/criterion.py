"""The profiled REML or ML criterion of a linear mixed model, its gradient and average information.

V = sigma^2 (W^-1 + sum_k Z_k G_k Z_k'), G_k = L_k L_k' per level, theta = the lower triangles of
L_k column by column. With the first term (or two nested ones) eliminated per level
(D = I + L'A11 L, K = L D^-1 L', E = I - A11 K) and the others through S = I + Lam'B Lam = c c':

    REML(theta) = log|D| + log|S| + log|X'V^-1 X| + (n - p)(1 + log(2 pi r2/(n - p))) - sum log w

Sources: Bates et al. 2015 (J. Stat. Softw. 67/1, eq. 41); Bates, Alday & Kokandakar 2025
(arXiv 2505.11674) for the blocks; Gilmour, Thompson & Cullis 1995 (Biometrics 51) for the average
information.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from scipy.linalg import blas, lapack

from ablatekit.analysis.core.arrays import Codes, Floats, summed_products
from ablatekit.analysis.engine.schur import Elimination, eliminate, products_by_level
from ablatekit.analysis.engine.sufficient import CrossProducts
from ablatekit.errors import NotEstimableError

Factors: TypeAlias = list[Floats]

EXACT_FIT = 1e-13
# A smaller diagonal entry of L does not divide a trace by itself without loss.
ZERO = 1e-6
# Up to here a product and a triangular inverse stay on one thread.
SMALL = 64
EXACT_MESSAGE = (
    "the random terms reproduce the response exactly, so the residual variance is zero; are rows"
    " copies of one another (identical seeds)?"
)


@dataclass(frozen=True, slots=True)
class State:
    """Everything known at one theta. `k`, `e` (classes,p1,p1); b (R,R); bx, y (R,m); c (R,R) lower.

    `wx1` (q1,p1,m), `wx2` (R,m) are Z'V^-1[X y]; `phi` = (X'V^-1X)^-1; `beta` (p,); all with
    sigma = 1 and in working coordinates.
    """

    theta: Floats
    factors: Factors
    value: float
    r2: float
    k: Floats
    e: Floats
    b: Floats
    bx: Floats
    c: Floats
    lam_y: Floats
    phi: Floats
    beta: Floats
    log_det_x: float


@dataclass(frozen=True, slots=True)
class Slope:
    """First and second order information at a state.

    normal: per term, the derivative of the criterion in G_k (p_k, p_k); gradient: in theta;
    residual1 (q1,p1), residual2 (R,): Z'V^-1(y - X beta).
    """

    normal: list[Floats]
    gradient: Floats
    residual1: Floats
    residual2: Floats


class Criterion:
    """The criterion of one model as a function of theta (internal term order)."""

    def __init__(
        self, blocks: CrossProducts, reml: bool, constant: float, once: bool = False
    ) -> None:
        """constant: what the working scale of the response and the weights add to the value.

        once: the blocks serve one evaluation (a step of a generalised model).
        """
        self.blocks = blocks
        self.reml = reml
        self.constant = constant
        self.df = blocks.n - blocks.p if reml else blocks.n
        self.elimination: Elimination | None = eliminate(blocks, once)
        self.shapes = blocks.shapes
        self.first = blocks.eliminated
        self.of_level, self.a11, self.class_size = _classes(blocks, self.elimination)
        self.columns = [_column_major_lower(p) for _, p in blocks.shapes]
        self.size = sum(len(rows) for rows, _ in self.columns)  # variance parameters
        diagonals = np.concatenate([rows == cols for rows, cols in self.columns] or [[]])
        self.diagonal: list[int] = np.flatnonzero(diagonals).tolist()
        self.slices = _slices(blocks.shapes[self.first :])
        self.scalar = all(p == 1 for _, p in blocks.shapes[self.first :])
        self.rows = len(blocks.a22)
        others = [q * p for q, p in blocks.shapes[self.first :]]
        self.of_row = np.repeat(np.arange(len(others)), others)
        self.directions = _directions(blocks)
        self.evaluations = 0
        self.degenerate = False
        self.smallest_r2 = EXACT_FIT * float(blocks.axx[blocks.p, blocks.p])

    def start(self, value: float | Floats) -> Floats:
        """theta with `value`, or each term's own (terms,), on the diagonals and zeros elsewhere."""
        values = np.broadcast_to(value, len(self.columns))
        return np.concatenate(
            [
                np.where(rows == cols, value, 0.0)
                for value, (rows, cols) in zip(values, self.columns, strict=True)
            ]
        ).astype(np.float64)

    def factors(self, theta: Floats) -> Factors:
        """The lower triangular L_k of theta."""
        out: Factors = []
        position = 0
        for (_, p), (rows, cols) in zip(self.shapes, self.columns, strict=True):
            factor = np.zeros((p, p))
            factor[rows, cols] = theta[position : position + len(rows)]
            out.append(factor)
            position += len(rows)
        return out

    def pack(self, factors: Factors) -> Floats:
        """The inverse of `factors`."""
        pairs = zip(factors, self.columns, strict=True)
        parts = [factor[rows, cols] for factor, (rows, cols) in pairs]
        return np.concatenate(parts) if parts else np.empty(0)

    def lam(self, factors: Factors, v: Floats) -> Floats:
        """Lam2 v for v (R, m)."""
        if self.scalar:
            return v * self._diagonal(factors)[:, None]
        return self._apply(factors[self.first :], v)

    def lam_t(self, factors: Factors, v: Floats) -> Floats:
        """Lam2' v for v (R, m)."""
        if self.scalar:
            return v * self._diagonal(factors)[:, None]
        return self._apply([factor.T for factor in factors[self.first :]], v)

    def _diagonal(self, factors: Factors) -> Floats:
        return np.array([factor[0, 0] for factor in factors[self.first :]])[self.of_row]

    def _apply(self, matrices: Factors, v: Floats) -> Floats:
        out = np.zeros_like(v)
        for matrix, slices in zip(matrices, self.slices, strict=True):
            for a, target in enumerate(slices):
                for b, source in enumerate(slices):
                    if matrix[a, b] != 0.0:
                        out[target] += matrix[a, b] * v[source]
        return out

    def evaluate(self, theta: Floats) -> State:
        """The criterion at theta. Raises NotEstimableError when r2 vanishes."""
        self.evaluations += 1
        p = self.blocks.p
        factors = self.factors(theta)
        log_det, k, e, b, bx, c = self._eliminated(factors)
        chol = np.empty((0, 0))
        lam_y = np.empty((0, p + 1))
        if self.rows:
            s = self.lam_t(factors, self.lam_t(factors, b).T)
            s.flat[:: self.rows + 1] += 1.0
            chol, failed = lapack.dpotrf(s, lower=1, clean=1, overwrite_a=1)
            if failed:
                raise np.linalg.LinAlgError("theta is too large for a Cholesky factor")
            log_det += 2.0 * float(np.log(chol.diagonal()).sum())
            h = _solved(chol, self.lam_t(factors, bx))
            c = c - h.T @ h
            lam_y = self.lam(factors, _solved(chol, h, trans=1))
        cx, failed = lapack.dpotrf(c[:p, :p], lower=1, clean=1)
        if failed:
            raise np.linalg.LinAlgError("the fixed effects are collinear at this theta")
        hx = _solved(cx, c[:p, p:])
        r2 = float(c[p, p] - (hx.T @ hx).item()) if p else float(c[0, 0])
        if r2 <= self.smallest_r2:
            self.degenerate = True
            raise NotEstimableError(EXACT_MESSAGE)
        inverse = _solved(cx, np.eye(p))
        log_det_x = 2.0 * float(np.log(cx.diagonal()).sum())
        value = log_det + self.df * (1.0 + np.log(2.0 * np.pi * r2 / self.df)) + self.constant
        value += log_det_x if self.reml else 0.0
        return State(
            theta, factors, float(value), r2, k, e, b, bx, chol, lam_y,
            inverse.T @ inverse, inverse.T @ hx[:, 0], log_det_x,
        )  # fmt: skip

    def _eliminated(self, factors: Factors) -> tuple[float, Floats, Floats, Floats, Floats, Floats]:
        """log|D|, K, E, and the blocks left after the first term is eliminated."""
        blocks = self.blocks
        empty = np.empty((0, 0, 0))
        if not blocks.eliminated:
            return 0.0, empty, empty, blocks.a22, blocks.a2x, blocks.axx
        factor = self._block_factor(factors)
        p = len(factor)
        if factor.size == 1:
            square = factor[0, 0] ** 2
            d = 1.0 + square * self.a11
            k, e = square / d, 1.0 / d
            log_det = float(self.class_size @ np.log(d[:, 0, 0]))
        else:
            d = np.eye(factor.shape[1]) + factor.T @ self.a11 @ factor
            turned = np.broadcast_to(factor.T, (len(d), *factor.T.shape))
            k = factor @ np.linalg.solve(d, turned)
            e = np.eye(p) - self.a11 @ k
            log_det = float(self.class_size @ np.linalg.slogdet(d)[1])
        if self.elimination is None:
            c = blocks.axx - summed_products(blocks.a1x, k[self.of_level] @ blocks.a1x)
            return log_det, k, e, blocks.a22, blocks.a2x, c
        b = blocks.a22 - self.elimination.gram(k)
        crossed, own = self.elimination.right(k)
        return log_det, k, e, b, blocks.a2x - crossed, blocks.axx - own

    def _block_factor(self, factors: Factors) -> Floats:
        """L (p1, any) with L L' = G of a block: l1^2 I + l2^2 J for two nested intercepts."""
        if self.first == 1:
            return factors[0]
        p = self.a11.shape[1]
        inner, outer = factors[0][0, 0], factors[1][0, 0]
        return np.hstack([inner * np.eye(p), np.full((p, 1), outer)])

    def _block_terms(self, w1: Floats) -> list[Floats]:
        """Scores (q1, p1, m) of the eliminated block per term: (q_k, p_k, m)."""
        if self.first < 2:
            return [w1] if self.first else []
        inner = w1.reshape(-1, 1, w1.shape[-1])[self.blocks.children]
        return [inner, w1.sum(axis=1, keepdims=True)]

    def slope(self, state: State) -> Slope:
        """The derivatives in every G_k and in theta: dREML/dL_k = 2 N_k L_k."""
        residual1, residual2 = self.scores(state, np.append(-state.beta, 1.0)[:, None])
        normal = [
            trace - fitted - self.df / state.r2 * residual.T @ residual
            for trace, fitted, residual in zip(
                self.traces(state),
                self._fitted(state),
                self.residual_scores(residual1[..., 0], residual2[:, 0]),
                strict=True,
            )
        ]
        products = [2.0 * n @ f for n, f in zip(normal, state.factors, strict=True)]
        return Slope(normal, self.pack(products), residual1[..., 0], residual2[:, 0])

    def scores(self, state: State, columns: Floats) -> tuple[Floats, Floats]:
        """Z'V^-1[X y] C for C (m, c): (q1, p1, c) for the eliminated term, (R, c) for others."""
        lam_y = state.lam_y @ columns
        wx2 = state.bx @ columns
        if self.rows:
            wx2 -= state.b @ lam_y
        if not self.first:
            return np.empty((0, 0, columns.shape[1])), wx2
        q, width, m = self.blocks.a1x.shape
        inner = (self.blocks.a1x.reshape(-1, m) @ columns).reshape(q, width, -1)
        if self.elimination is not None:
            inner = inner - self.elimination.back(lam_y)
        return state.e[self.of_level] @ inner, wx2

    def residual_scores(self, r1: Floats, r2: Floats) -> list[Floats]:
        """Residual scores per term as (q, p_k)."""
        out = [scores[..., 0] for scores in self._block_terms(r1[..., None])]
        for slices in self.slices:
            parts = [r2[part] for part in slices]
            out.append(parts[0][:, None] if len(parts) == 1 else np.stack(parts, axis=1))
        return out

    def _fitted(self, state: State) -> list[Floats]:
        """Per term sum_l W Phi W' (p_k, p_k), W = Z'V^-1X: what REML takes off the traces."""
        p = self.blocks.p
        if not self.reml or not p:
            return [np.zeros((width, width)) for _, width in self.shapes]
        out: list[Floats] = []
        if self.first:
            if self.elimination is None:
                sums = products_by_level(self.blocks.a1x[:, :, :p], state.phi)
                e = state.e[self.of_level]
            else:
                sums, e = self.elimination.spread(state.lam_y[:, :p], state.phi), state.e
            out += self._own_terms((e @ sums @ e.transpose(0, 2, 1)).sum(axis=0))
        w = state.bx[:, :p]
        if self.rows:
            w = w - state.b @ state.lam_y[:, :p]
        turned = w @ state.phi
        if self.scalar:
            return out + self._by_term((turned * w).sum(axis=1))
        for slices in self.slices:
            pairs = [[np.vdot(turned[a], w[b]) for b in slices] for a in slices]
            out.append(np.array(pairs))
        return out

    def _own_terms(self, block: Floats) -> list[Floats]:
        """A sum over the levels of the eliminated block (p1, p1), per term of it."""
        if self.first == 1:
            return [block]
        return [np.full((1, 1), (block * direction).sum()) for direction in self.directions]

    def traces(self, state: State) -> list[Floats]:
        """sum over levels of the diagonal blocks of Z'V^-1Z, per term (p_k, p_k)."""
        out: list[Floats] = []
        inverse = self.inverse(state)
        if self.first:
            blocks = np.einsum("v,vab->ab", self.class_size, state.e @ self.a11)
            if self.elimination is not None:
                quadratic = self.elimination.quadratic(self.t_matrix(state, inverse))
                blocks = blocks - np.einsum("vab,vbc,vdc->ad", state.e, quadratic, state.e)
            out += self._own_terms((blocks + blocks.T) / 2.0)
        left = self.lam_t(state.factors, state.b)
        others = state.factors[self.first :]
        if self.scalar and min(abs(factor[0, 0]) for factor in others or [np.ones((1, 1))]) > ZERO:
            sums = self._by_term(np.einsum("ij,ji->i", inverse, left))
            return out + [total / factor for total, factor in zip(sums, others, strict=True)]
        for factor, slices in zip(others, self.slices, strict=True):
            out.append(self._other_trace(state, inverse, left, factor, slices))
        return out

    def _by_term(self, values: Floats) -> list[Floats]:
        """Sums over the rows (R,) of every term of one column, each (1, 1)."""
        sums = np.bincount(self.of_row, values, len(self.slices))
        return [np.full((1, 1), total) for total in sums.tolist()]

    def _other_trace(
        self, state: State, inverse: Floats, left: Floats, factor: Floats, slices: list[slice]
    ) -> Floats:
        p = len(factor)
        out = np.empty((p, p))
        diagonal = np.abs(factor.diagonal())
        if diagonal.min() > max(1e-4 * float(np.abs(factor).max()), ZERO):
            for a in range(p):
                for b in range(p):
                    out[a, b] = np.vdot(inverse[slices[a]], left[:, slices[b]].T)
            out = _solved(factor, out, trans=1)
            return (out + out.T) / 2.0
        columns = np.concatenate([np.arange(s.start, s.stop) for s in slices])
        reduced = _solved(state.c, left[:, columns])
        q = slices[0].stop - slices[0].start
        for a in range(p):
            for b in range(p):
                trace = np.diagonal(state.b[slices[a], slices[b]]).sum()
                used = (reduced[:, a * q : (a + 1) * q] * reduced[:, b * q : (b + 1) * q]).sum()
                out[a, b] = trace - used
        return out

    def inverse(self, state: State) -> Floats:
        """S^-1 (R, R)."""
        if not self.rows:
            return np.empty((0, 0))
        if self.rows <= SMALL:
            # OpenBLAS shares dpotri of any size between threads, which costs more than it saves
            # here, and a hundred times as much where the other cores are busy.
            root, _ = lapack.dtrtri(state.c, lower=1)
            return np.asarray(root.T @ root)
        lower, _ = lapack.dpotri(state.c, lower=1)
        full = lower + lower.T
        full.flat[:: self.rows + 1] *= 0.5
        return np.asarray(full)

    def t_matrix(self, state: State, inverse: Floats) -> Floats:
        """T = Lam2 S^-1 Lam2' (R, R)."""
        return self.lam(state.factors, self.lam(state.factors, inverse).T)


def _solved(lower: Floats, right: Floats, trans: int = 0) -> Floats:
    """x of L x = right, or of L'x = right; scipy's function takes ten times as long to begin."""
    if not right.size:
        return right
    return np.asarray(blas.dtrsm(1.0, lower, right, lower=1, trans_a=trans))


def _classes(
    blocks: CrossProducts, elimination: Elimination | None
) -> tuple[Codes, Floats, Floats]:
    """Class of every level of the eliminated term, A11 per class, and the number of levels."""
    if not blocks.eliminated:
        return np.empty(0, dtype=np.intp), blocks.a11, np.empty(0)
    q = len(blocks.a11)
    if elimination is None:
        flat, of_level, size = np.unique(
            blocks.a11.reshape(q, -1), axis=0, return_inverse=True, return_counts=True
        )
        return of_level.reshape(-1), flat.reshape(-1, *blocks.a11.shape[1:]), size.astype(float)
    first = np.empty(elimination.classes, dtype=np.intp)
    first[elimination.of_level[::-1]] = np.arange(q - 1, -1, -1)
    size = np.bincount(elimination.of_level, minlength=elimination.classes).astype(np.float64)
    return elimination.of_level, blocks.a11[first], np.asarray(size, dtype=np.float64)


def _directions(blocks: CrossProducts) -> list[Floats]:
    """dG/dg_i (p1, p1) of an eliminated block for each of its variance parameters."""
    if not blocks.eliminated:
        return []
    p = blocks.a11.shape[1]
    if blocks.eliminated == 2:
        return [np.eye(p), np.ones((p, p))]
    out = []
    for row, column in zip(*_column_major_lower(p), strict=True):
        direction = np.zeros((p, p))
        direction[row, column] = direction[column, row] = 1.0
        out.append(direction)
    return out


def _slices(shapes: tuple[tuple[int, int], ...]) -> list[list[slice]]:
    """Rows of every (term, column) in the stacked block of the terms that are not eliminated."""
    out: list[list[slice]] = []
    position = 0
    for q, p in shapes:
        out.append([slice(position + a * q, position + (a + 1) * q) for a in range(p)])
        position += q * p
    return out


def _column_major_lower(p: int) -> tuple[Codes, Codes]:
    """Row and column of every entry of theta: lme4's order, down the columns."""
    pairs = [(row, column) for column in range(p) for row in range(column, p)]
    return np.array([r for r, _ in pairs]), np.array([c for _, c in pairs])
