"""Products with Z'V^-1Z and Z'PZ, the average information, and the Jacobian of G = L L'."""

from __future__ import annotations

import numpy as np
from scipy.linalg import lapack

from ablatekit.analysis.core.arrays import Floats, summed_products
from ablatekit.analysis.engine.criterion import Criterion, Factors, Slope, State


def apply_v(criterion: Criterion, state: State, v1: Floats, v2: Floats) -> tuple[Floats, Floats]:
    """Z'V^-1Z v for v1 (q1, p1, c), v2 (R, c), without forming the matrix.

    s = A21 E'v1 + B v2; o2 = s - B T s; o1 = E A11 v1 + E A12 (v2 - T s).
    """
    return _apply(criterion, state, v1, v2, 0)


def apply_p(criterion: Criterion, state: State, v1: Floats, v2: Floats) -> tuple[Floats, Floats]:
    """Z'PZ v with P = V^-1 - V^-1 X Phi X'V^-1."""
    return _apply(criterion, state, v1, v2, criterion.blocks.p)


def _apply(
    criterion: Criterion, state: State, v1: Floats, v2: Floats, p: int
) -> tuple[Floats, Floats]:
    """Z'V^-1Z v less its projection on the first p fixed effects.

    With Y = Lam S^-1 Lam'Bx, Z'V^-1X is E (A1x - A12 Y) and Bx - B Y, so that the projection needs
    no product of all levels with all fixed effects: u = Phi (A1x'E'v1 + Bx'v2 - Y's).
    """
    elimination, s = criterion.elimination, state.b @ v2
    e = state.e[criterion.of_level] if criterion.first else state.e
    turned = e.transpose(0, 2, 1) @ v1 if criterion.first else v1
    if elimination is not None:
        s = s + elimination.cross(turned)
    bx, lam_x = state.bx[:, :p], state.lam_y[:, :p]
    inner = bx.T @ v2 - lam_x.T @ s
    a1x = criterion.blocks.a1x[:, :, :p]
    if criterion.first:
        inner += summed_products(a1x, turned)
    u = state.phi[:p, :p] @ inner
    ts = -(lam_x @ u)
    if criterion.rows:
        solved, _ = lapack.dpotrs(state.c, criterion.lam_t(state.factors, s), lower=1)
        ts += criterion.lam(state.factors, solved)
    o2 = s - state.b @ ts - bx @ u if criterion.rows else v2
    if not criterion.first:
        return v1, o2
    rest = -(a1x @ u)
    if elimination is not None:
        rest += elimination.back(v2 - ts)
    return (state.e @ criterion.a11)[criterion.of_level] @ v1 + e @ rest, o2


def parameter_vectors(criterion: Criterion, r1: Floats, r2: Floats) -> tuple[Floats, Floats]:
    """E_i r for every entry i of every G_k: (q1, p1, c) and (R, c), c = number of entries.

    r1 (q1, p1), r2 (R,) hold one vector per (level, column); E_i has ones at (a, b) and (b, a).
    """
    size = criterion.size
    v1 = np.zeros((*r1.shape, size)) if criterion.first else np.empty((0, 0, size))
    v2 = np.zeros((len(r2), size))
    for position, direction in enumerate(criterion.directions):
        v1[:, :, position] = r1 @ direction
    position = len(criterion.directions)
    columns = criterion.columns[criterion.first :]
    for (rows, cols), slices in zip(columns, criterion.slices, strict=True):
        for a, b in zip(rows.tolist(), cols.tolist(), strict=True):
            v2[slices[a], position] = r2[slices[b]]
            v2[slices[b], position] = r2[slices[a]]
            position += 1
    return v1, v2


def inner(left: tuple[Floats, Floats], right: tuple[Floats, Floats]) -> Floats:
    """left' right over both parts: (c, d)."""
    total = left[1].T @ right[1]
    if left[0].size:
        total = total + summed_products(left[0], right[0])
    return np.asarray(total)


def average_information(criterion: Criterion, state: State, slope: Slope) -> Floats:
    """y'P V_i P V_j P y / sigma^2 with sigma profiled out, in the entries of G (c, c).

    With sigma^2 = r2/df and q_i = y'P V_i P y: H_ij = y'PV_iPV_jPy/sigma^2 - q_i q_j/(df sigma^4).
    """
    vectors = parameter_vectors(criterion, slope.residual1, slope.residual2)
    products = apply_p(criterion, state, *vectors)
    sigma2 = state.r2 / criterion.df
    q = inner(vectors, (slope.residual1[..., None], slope.residual2[:, None]))[:, 0]
    return inner(vectors, products) / sigma2 - np.outer(q, q) / (criterion.df * sigma2**2)


def jacobian(criterion: Criterion, factors: Factors) -> Floats:
    """d vech(G) / d theta, block diagonal over terms (c, c)."""
    if criterion.size == len(factors):
        return np.diag([2.0 * factor[0, 0] for factor in factors])
    out = np.zeros((criterion.size, criterion.size))
    position = 0
    for factor, (rows, cols) in zip(factors, criterion.columns, strict=True):
        size = len(rows)
        for j, (c, d) in enumerate(zip(rows, cols, strict=True)):
            change = np.zeros_like(factor)
            change[c] += factor[:, d]
            change[:, c] += factor[:, d]
            out[position : position + size, position + j] = change[rows, cols]
        position += size
    return out


def bend(criterion: Criterion, normal: Factors) -> Floats:
    """sum_i (dF/dG_i) d2G_i/dtheta2 (c, c): 2 N[c, c'] between entries of one column of L."""
    if criterion.size == len(normal):
        return np.diag([2.0 * matrix[0, 0] for matrix in normal])
    out = np.zeros((criterion.size, criterion.size))
    position = 0
    for matrix, (rows, cols) in zip(normal, criterion.columns, strict=True):
        size = len(rows)
        same = cols[:, None] == cols[None, :]
        out[position : position + size, position : position + size] = np.where(
            same, 2.0 * matrix[np.ix_(rows, rows)], 0.0
        )
        position += size
    return out
