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
from scipy.linalg import lapack, solve_triangular

from ablatekit.analysis.core.arrays import Codes, Floats
from ablatekit.analysis.engine.schur import Elimination, eliminate
from ablatekit.analysis.engine.sufficient import CrossProducts
from ablatekit.errors import NotEstimableError

Factors: TypeAlias = list[Floats]

EXACT_FIT = 1e-13
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
    residual1 (q1,p1), residual2 (R,): Z'V^-1(y - X beta); wx1, wx2: Z'V^-1[X y].
    """

    normal: list[Floats]
    gradient: Floats
    wx1: Floats
    wx2: Floats
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
        self.slices = _slices(blocks.shapes[self.first :])
        self.scalar = all(p == 1 for _, p in blocks.shapes[self.first :])
        self.rows = len(blocks.a22)
        self.directions = _directions(blocks)
        self.evaluations = 0
        self.degenerate = False
        self.smallest_r2 = EXACT_FIT * float(blocks.axx[blocks.p, blocks.p])

    @property
    def size(self) -> int:
        """The number of variance parameters."""
        return sum(len(rows) for rows, _ in self.columns)

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
        return self._apply(list(factors[self.first :]), v)

    def lam_t(self, factors: Factors, v: Floats) -> Floats:
        """Lam2' v for v (R, m)."""
        if self.scalar:
            return v * self._diagonal(factors)[:, None]
        return self._apply([factor.T for factor in factors[self.first :]], v)

    def _diagonal(self, factors: Factors) -> Floats:
        return np.repeat(
            [factor[0, 0] for factor in factors[self.first :]],
            [q for q, _ in self.shapes[self.first :]],
        )

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
            h = solve_triangular(chol, self.lam_t(factors, bx), lower=True, check_finite=False)
            c = c - h.T @ h
            lam_y = self.lam(
                factors, solve_triangular(chol, h, lower=True, trans=1, check_finite=False)
            )
        cx = np.linalg.cholesky(c[:p, :p])
        hx = solve_triangular(cx, c[:p, p:], lower=True, check_finite=False)
        r2 = float(c[p, p] - (hx.T @ hx).item()) if p else float(c[0, 0])
        if r2 <= self.smallest_r2:
            self.degenerate = True
            raise NotEstimableError(EXACT_MESSAGE)
        inverse = solve_triangular(cx, np.eye(p), lower=True, check_finite=False)
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
        kx = np.einsum("lab,lbm->lam", k[self.of_level], blocks.a1x)
        c = blocks.axx - np.einsum("lam,lan->mn", blocks.a1x, kx)
        if self.elimination is None:
            return log_det, k, e, blocks.a22, blocks.a2x, c
        b = blocks.a22 - self.elimination.gram(k)
        return log_det, k, e, b, blocks.a2x - self.elimination.cross(kx), c

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
        wx1, wx2 = self.scores(state)
        direction = np.append(-state.beta, 1.0)
        residual1, residual2 = wx1 @ direction, wx2 @ direction
        normal = [
            trace - self._fitted(state, wx) - self.df / state.r2 * residual.T @ residual
            for trace, wx, residual in zip(
                self.traces(state),
                self.per_term(wx1, wx2),
                self.residual_scores(residual1, residual2),
                strict=True,
            )
        ]
        products = [2.0 * n @ f for n, f in zip(normal, state.factors, strict=True)]
        return Slope(normal, self.pack(products), wx1, wx2, residual1, residual2)

    def scores(self, state: State) -> tuple[Floats, Floats]:
        """Z'V^-1[X y]: (q1, p1, m) for the eliminated term, (R, m) for the others."""
        wx2 = state.bx - state.b @ state.lam_y if self.rows else state.bx
        if not self.first:
            return np.empty((0, 0, self.blocks.p + 1)), wx2
        inner = self.blocks.a1x
        if self.elimination is not None:
            inner = inner - self.elimination.back(state.lam_y)
        return np.einsum("lab,lbm->lam", state.e[self.of_level], inner), wx2

    def per_term(self, w1: Floats, w2: Floats) -> list[Floats]:
        """Scores per term as (q, p_k, m)."""
        out = self._block_terms(w1)
        for slices in self.slices:
            out.append(np.stack([w2[part] for part in slices], axis=1))
        return out

    def residual_scores(self, r1: Floats, r2: Floats) -> list[Floats]:
        """Residual scores per term as (q, p_k)."""
        out = [scores[..., 0] for scores in self._block_terms(r1[..., None])]
        for slices in self.slices:
            out.append(np.stack([r2[part] for part in slices], axis=1))
        return out

    def _fitted(self, state: State, wx: Floats) -> Floats:
        """sum_l Wx Phi Wx', the part of the trace that REML takes off."""
        p, columns = self.blocks.p, wx.shape[1]
        if not self.reml or not p:
            return np.zeros((columns, columns))
        x = wx[:, :, :p]
        return np.asarray(np.einsum("lap,lbp->ab", x @ state.phi, x))

    def traces(self, state: State) -> list[Floats]:
        """sum over levels of the diagonal blocks of Z'V^-1Z, per term (p_k, p_k)."""
        out: list[Floats] = []
        inverse = self.inverse(state)
        if self.first:
            blocks = np.einsum("v,vab->ab", self.class_size, state.e @ self.a11)
            if self.elimination is not None:
                quadratic = self.elimination.quadratic(self.t_matrix(state, inverse))
                blocks = blocks - np.einsum("vab,vbc,vdc->ad", state.e, quadratic, state.e)
            blocks = (blocks + blocks.T) / 2.0
            nested = [np.full((1, 1), (blocks * e).sum()) for e in self.directions]
            out += [blocks] if self.first == 1 else nested
        left = self.lam_t(state.factors, state.b)
        for factor, slices in zip(state.factors[self.first :], self.slices, strict=True):
            out.append(self._other_trace(state, inverse, left, factor, slices))
        return out

    def _other_trace(
        self, state: State, inverse: Floats, left: Floats, factor: Floats, slices: list[slice]
    ) -> Floats:
        p = len(factor)
        out = np.empty((p, p))
        diagonal = np.abs(factor.diagonal())
        if diagonal.min() > 1e-4 * max(float(np.abs(factor).max()), 1e-2):
            for a in range(p):
                for b in range(p):
                    out[a, b] = np.einsum("ij,ji->", inverse[slices[a]], left[:, slices[b]])
            out = solve_triangular(factor, out, lower=True, trans=1)
            return (out + out.T) / 2.0
        columns = np.concatenate([np.arange(s.start, s.stop) for s in slices])
        reduced = solve_triangular(state.c, left[:, columns], lower=True, check_finite=False)
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
        lower, _ = lapack.dpotri(state.c, lower=1)
        full = lower + lower.T
        full.flat[:: self.rows + 1] *= 0.5
        return np.asarray(full)

    def t_matrix(self, state: State, inverse: Floats) -> Floats:
        """T = Lam2 S^-1 Lam2' (R, R)."""
        return self.lam(state.factors, self.lam(state.factors, inverse).T)


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
