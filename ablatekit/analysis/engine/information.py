"""Exact second-order information for Satterthwaite and Kenward-Roger, without n x n matrices.

With V = sum_i g_i V_i linear in the variances and covariances g (V_0 the residual part), everything
that both methods need is a Frobenius product of sub-blocks of M = Z'PZ. The eliminated block of M
is D - U U' with D block diagonal; only R x R sums over its levels are formed, through the same
elimination that the criterion uses. The residual parameter follows from V = g_0 V_0 + sum g_i V_i:
tr(P V_i P V_0) g_0 = tr(P V_i) - sum_j g_j tr(P V_i P V_j), and so on.

Sources: Fai & Cornelius 1996; Kuznetsova, Brockhoff & Christensen 2017 (J. Stat. Softw. 82/13,
Satterthwaite in theta and sigma); Kenward & Roger 1997 (Biometrics 53); Halekoh & Hojsgaard 2014
(J. Stat. Softw. 59/9).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ablatekit.analysis.core.arrays import Floats, summed_products
from ablatekit.analysis.core.threads import one_thread
from ablatekit.analysis.engine.criterion import Criterion, State
from ablatekit.analysis.engine.curvature import apply_p, apply_v, inner, jacobian, parameter_vectors
from ablatekit.analysis.engine.fit import MixedFit

# lmerTest's: smaller eigenvalues of the Hessian belong to variances at zero, which have no slope.
EIGENVALUE_TOLERANCE = 1e-8
# Below it the information of two parameters is the same up to rounding, as in saturated groupings.
INVERSE_TOLERANCE = 1e-10


@dataclass(frozen=True, slots=True)
class Satterthwaite:
    """Covariance of the variance parameters and the derivatives of Cov(beta).

    covariance (c+1, c+1) of (theta, sigma/sigma_hat); vcov_slopes (c+1, p, p): the derivatives of
    Cov(beta) in each.
    """

    covariance: Floats
    vcov_slopes: Floats


@dataclass(frozen=True, slots=True)
class KenwardRoger:
    """The adjusted covariance (p, p) and what the F test needs.

    w (c+1, c+1): covariance of the variance parameters; p_matrices (c+1, p, p).
    """

    vcov: Floats
    w: Floats
    p_matrices: Floats


@dataclass(frozen=True, slots=True)
class _Linear:
    """All quantities in the linear parameters g, the residual first, at sigma = 1.

    traces (c+1, c+1): tr(P V_i P V_j), or with V^-1 for ML; forms: y'P V_i P V_j P y;
    slopes: tr(P V_i) - y'P V_i P y; g_matrices (c+1,p,p): X'V^-1 V_i V^-1 X; g (c+1,): the
    parameters.
    """

    traces: Floats
    forms: Floats
    slopes: Floats
    g_matrices: Floats
    g: Floats


@dataclass(frozen=True)
class Information:
    """The second-order information of one fit; every part is computed once, when first needed."""

    fit: MixedFit

    @cached_property
    def _likelihood(self) -> _Linear:
        criterion = self.fit.engine.criterion
        with one_thread(criterion.rows):
            return _linear(self.fit, self._scores, projected=criterion.reml)

    @cached_property
    def _scores(self) -> tuple[Floats, Floats]:
        """Z'V^-1X: (q1, p1, p) of the eliminated term, (R, p) of the others."""
        engine, p = self.fit.engine, self.fit.engine.criterion.blocks.p
        return engine.criterion.scores(engine.state, np.eye(p + 1, p))

    @cached_property
    def hessian(self) -> Floats:
        """The Hessian of the criterion in (theta, sigma/sigma_hat), working scale, (c+1, c+1)."""
        linear = self._likelihood
        jac, bent = _theta_chain(self.fit, linear)
        hessian = jac.T @ (2.0 * linear.forms - linear.traces) @ jac + bent
        return (hessian + hessian.T) / 2.0

    @cached_property
    def satterthwaite(self) -> Satterthwaite:
        """The pieces of Satterthwaite's approximation from the observed Hessian in (theta, sigma).

        Using theta makes a zero variance drop out, as in lmerTest: its column of the Jacobian
        vanishes.
        """
        engine, linear = self.fit.engine, self._likelihood
        jac, _ = _theta_chain(self.fit, linear)
        values, vectors = np.linalg.eigh(self.hessian)
        # The criterion is minus twice the log likelihood, so its inverse Hessian counts twice.
        used = values > EIGENVALUE_TOLERANCE
        covariance = 2.0 * (vectors[:, used] / values[used]) @ vectors[:, used].T
        phi = engine.state.phi
        slopes = np.einsum("ap,ipq,qb->iab", phi, linear.g_matrices, phi, optimize=True)
        back = engine.layout.back * self.fit.sigma
        in_theta = np.einsum("ij,iab->jab", jac, slopes)
        return Satterthwaite(covariance, back @ in_theta @ back.T)

    @cached_property
    def kenward_roger(self) -> KenwardRoger:
        """Kenward & Roger's adjusted covariance. Raises ValueError unless the fit is REML."""
        if self.fit.method != "reml":
            raise ValueError("Kenward-Roger needs a REML fit")
        engine, linear = self.fit.engine, self._likelihood
        criterion, phi = engine.criterion, engine.state.phi
        with one_thread(criterion.rows):
            q = _crossed_slopes(criterion, engine.state, self._scores, linear.g_matrices)
        smallest = float(np.abs(np.linalg.eigvalsh(linear.traces)).min())
        # inv where it exists: pinv would drop small but real directions and enlarge the df.
        invert = np.linalg.pinv if smallest < INVERSE_TOLERANCE else np.linalg.inv
        w = 2.0 * invert(linear.traces)
        p_matrices = -linear.g_matrices
        products = np.einsum("iab,bc,jcd->ijad", p_matrices, phi, p_matrices, optimize=True)
        middle = np.einsum("ij,ijab->ab", w, q - products)
        adjusted = phi + 2.0 * phi @ middle @ phi
        # P matrices are forms, covariances are not: the scale goes in the other way round.
        back = engine.layout.back
        forward = np.linalg.inv(back) if len(back) else back
        return KenwardRoger(
            self.fit.sigma**2 * back @ ((adjusted + adjusted.T) / 2.0) @ back.T,
            np.asarray(w, dtype=np.float64),
            forward.T @ p_matrices @ forward / self.fit.sigma**2,
        )


def _theta_chain(fit: MixedFit, linear: _Linear) -> tuple[Floats, Floats]:
    """Jacobian of g in (theta, sigma/sigma_hat) and sum_i (dF/dg_i) d2g_i, both (c+1, c+1).

    g_k = sigma^2 L L', g_0 = sigma^2 at sigma = 1; theta in working scale, so that nothing depends
    on the units of the response or of a slope column.
    """
    engine = fit.engine
    criterion = engine.criterion
    size = criterion.size
    jac = np.zeros((size + 1, size + 1))
    jac[1:, :size] = jacobian(criterion, engine.state.factors)
    # Every g is sigma^2 times a function of theta, so its slope in sigma at 1 is 2 g.
    jac[:, size] = 2.0 * linear.g
    bent = np.zeros((size + 1, size + 1))
    position = 0
    for rows, cols in criterion.columns:
        count = len(rows)
        slopes = linear.slopes[1 + position : 1 + position + count]
        normal = _symmetric_slopes(slopes, rows, cols)
        # d2(L L')/dL2 is constant and links entries of one column of L only.
        same = cols[:, None] == cols[None, :]
        part = slice(position, position + count)
        bent[part, part] = np.where(same, 2.0 * normal[np.ix_(rows, rows)], 0.0)
        position += count
    cross = 2.0 * linear.slopes[1:] @ jac[1:, :size]
    bent[size, :size] = bent[:size, size] = cross
    bent[size, size] = 2.0 * linear.slopes @ linear.g
    return jac, bent


def _symmetric_slopes(slopes: Floats, rows: Floats, cols: Floats) -> Floats:
    """dF/dG as a matrix N with dF = tr(N dG): off-diagonal entries count twice in dG."""
    size = int(rows.max()) + 1
    out = np.zeros((size, size))
    for value, a, b in zip(slopes, rows, cols, strict=True):
        out[a, b] = out[b, a] = value if a == b else value / 2.0
    return out


def _linear(fit: MixedFit, x: tuple[Floats, Floats], projected: bool) -> _Linear:
    """Everything in the linear parameters; `projected` takes P in the traces, else V^-1.

    x: Z'V^-1X, (q1, p1, p) of the eliminated term and (R, p) of the others.
    """
    engine = fit.engine
    criterion, state, slope = engine.criterion, engine.state, engine.slope
    df, p, n = criterion.df, criterion.blocks.p, criterion.blocks.n
    size = criterion.size
    sd = np.sqrt(state.r2 / df)
    residual = (slope.residual1 / sd, slope.residual2 / sd)
    vectors = parameter_vectors(criterion, *residual)
    forms = inner(vectors, apply_p(criterion, state, *vectors))
    q = (
        inner(vectors, (residual[0][..., None], residual[1][:, None]))[:, 0]
        if size
        else np.empty(0)
    )
    traces, single = _traces(criterion, state, *x, projected)
    gamma = _linear_parameters(criterion, state)
    total = n - p if projected else n
    return _Linear(
        traces=_with_residual(traces, single, gamma, float(total)),
        forms=_with_residual(forms, q, gamma, float(df)),
        slopes=np.append(total - single @ gamma - (df - q @ gamma), single - q),
        g_matrices=_slopes_of_precision(criterion, state, *x),
        g=np.append(1.0, gamma),
    )


def _linear_parameters(criterion: Criterion, state: State) -> Floats:
    """The entries of every G_k = L L' (c,)."""
    parts = [
        (factor @ factor.T)[rows, cols]
        for factor, (rows, cols) in zip(state.factors, criterion.columns, strict=True)
    ]
    return np.concatenate(parts) if parts else np.empty(0)


def _with_residual(matrix: Floats, single: Floats, gamma: Floats, total: float) -> Floats:
    """Add the residual parameter by homogeneity: first row and column (c+1, c+1)."""
    border = single - matrix @ gamma
    corner = total - single @ gamma - border @ gamma
    return np.block([[np.array([[corner]]), border[None, :]], [border[:, None], matrix]])


def _slopes_of_precision(criterion: Criterion, state: State, x1: Floats, x2: Floats) -> Floats:
    """X'V^-1V_iV^-1X (c+1, p, p), residual first, of x = Z'V^-1X."""
    entries = [_gram_by_level(x1, direction) for direction in criterion.directions]
    columns = criterion.columns[criterion.first :]
    for (rows, cols), slices in zip(columns, criterion.slices, strict=True):
        for a, b in zip(rows.tolist(), cols.tolist(), strict=True):
            product = x2[slices[a]].T @ x2[slices[b]]
            entries.append(product if a == b else product + product.T)
    # What involves the residual follows by homogeneity; computing it would need n x n products.
    rest = np.linalg.inv(state.phi) if criterion.blocks.p else state.phi.copy()
    for parameter, entry in zip(_linear_parameters(criterion, state), entries, strict=True):
        rest -= parameter * entry
    return np.stack([rest, *entries])


def _crossed_slopes(
    criterion: Criterion, state: State, x: tuple[Floats, Floats], g: Floats
) -> Floats:
    """X'V^-1V_iV^-1V_jV^-1X (c+1, c+1, p, p), residual first, of x = Z'V^-1X."""
    p, size = criterion.blocks.p, criterion.size
    q = np.zeros((size + 1, size + 1, p, p))
    x1, x2 = x
    stacked1 = np.empty((*x1.shape[:2], size * p))
    stacked2 = np.empty((len(x2), size * p))
    for j in range(p):
        stacked1[:, :, j::p], stacked2[:, j::p] = parameter_vectors(
            criterion, x1[:, :, j], x2[:, j]
        )
    if size and p:
        products = apply_v(criterion, state, stacked1, stacked2)
        crossed = inner((stacked1, stacked2), products).reshape(size, p, size, p)
        q[1:, 1:] = crossed.transpose(0, 2, 1, 3)
    gamma = _linear_parameters(criterion, state)
    for i in range(size):
        q[i + 1, 0] = g[i + 1] - np.einsum("j,jab->ab", gamma, q[i + 1, 1:])
        q[0, i + 1] = q[i + 1, 0].T
    q[0, 0] = g[0] - np.einsum("j,jab->ab", gamma, q[0, 1:])
    return q


def _traces(
    criterion: Criterion, state: State, x1: Floats, x2: Floats, projected: bool
) -> tuple[Floats, Floats]:
    """tr(P V_i P V_j) (c, c) and tr(P V_i) (c,) over the random parameters; V^-1 unprojected."""
    products = _BlockProducts(criterion, state, x1, x2, projected)
    first = len(criterion.directions)
    columns = criterion.columns[criterion.first :]
    entries = [
        (slices[int(a)], slices[int(b)])
        for (rows, cols), slices in zip(columns, criterion.slices, strict=True)
        for a, b in zip(rows, cols, strict=True)
    ]
    out = np.zeros((first + len(entries), first + len(entries)))
    single = np.zeros(len(out))
    for i in range(first):
        single[i] = products.first_trace(i)
        for j in range(i + 1):
            out[i, j] = out[j, i] = products.first_pair(i, j)
    for position, (a, b) in enumerate(entries):
        i = first + position
        # A covariance stands above and below the diagonal of G: both orders are one parameter.
        orders = [(a, b)] if a == b else [(a, b), (b, a)]
        single[i] = sum(products.trace(x, y) for x, y in orders)
        for j in range(first):
            out[i, j] = out[j, i] = sum(products.mixed_pair(j, x, y) for x, y in orders)
        for other, (c, d) in enumerate(entries[: position + 1]):
            turned = [(c, d)] if c == d else [(c, d), (d, c)]
            total = sum(products.pair(x, y, u, v) for x, y in orders for u, v in turned)
            out[i, first + other] = out[first + other, i] = total
    return out, single


class _BlockProducts:
    """Frobenius products of (term, column) sub-blocks of M = Z'PZ (or Z'V^-1Z).

    With F = E A12, R = I - T B and x = Z'V^-1X Phi^(1/2): M22 = B R - x2 x2',
    M12 = F R - x1 x2', M11 = D - F T F' - x1 x1'. A parameter i of the eliminated block has E_i in
    every level l; only the sums Q_i = sum_l F_l'E_i F_l (R, R) are formed, so the memory that is
    needed does not depend on the number of levels.
    """

    def __init__(
        self, criterion: Criterion, state: State, x1: Floats, x2: Floats, projected: bool
    ) -> None:
        self.criterion = criterion
        p = criterion.blocks.p if projected else 0
        root = np.linalg.cholesky(state.phi) if p else np.empty((0, 0))
        self.x2 = x2[:, :p] @ root
        # p is 0 for V^-1: then x is empty and every product below loses its projection.
        if criterion.rows:
            t = criterion.t_matrix(state, criterion.inverse(state))
            self.rest = -(t @ state.b)
            self.rest.flat[:: criterion.rows + 1] += 1.0
            self.m22 = state.b @ self.rest - self.x2 @ self.x2.T
        else:
            t, self.rest, self.m22 = state.b, state.b, state.b
        if criterion.first:
            self._first_block(state, t, x1[:, :, :p] @ root)

    def _first_block(self, state: State, t: Floats, x1: Floats) -> None:
        """Per class D and the sum of U_l U_l', U = [F T^(1/2), x1]; per parameter the sums Q_i."""
        criterion = self.criterion
        directions = criterion.directions
        # D is shared by the levels of a class; U U' differs by level, but only its sum is needed.
        self.d = state.e @ criterion.a11
        width, classes = self.d.shape[1], len(self.d)
        own = (x1 @ x1.transpose(0, 2, 1)).reshape(len(x1), -1)
        sums = [np.bincount(criterion.of_level, column, minlength=classes) for column in own.T]
        self.class_u = np.stack(sums, axis=1).reshape(classes, width, width)
        self.own = [_gram_by_level(x1, e) for e in directions]
        self.qt: list[Floats] = []
        self.qr: list[Floats] = []
        self.cross: list[Floats] = []
        elimination = criterion.elimination
        if elimination is None:
            return
        quadratic = elimination.quadratic(t)
        self.class_u += np.einsum("vab,vbc,vdc->vad", state.e, quadratic, state.e)
        for direction in directions:
            turned = state.e.transpose(0, 2, 1) @ direction
            q = elimination.gram(turned @ state.e)
            self.qt.append(q @ t)
            self.qr.append(q @ self.rest)
            weighted = turned[criterion.of_level] @ x1
            self.cross.append(elimination.cross(weighted))
        self.tx = [t @ cross for cross in self.cross]
        self.rx = [self.rest.T @ cross for cross in self.cross]

    def first_pair(self, i: int, j: int) -> float:
        """tr(M11 E_i M11 E_j) with M11 = D - U U'; the levels of a class share D."""
        left, right = (self.d @ self.criterion.directions[k] for k in (i, j))
        total = self.criterion.class_size @ np.einsum("vab,vba->v", left, right)
        turned = self.criterion.directions[j] @ left
        total += (self.own[i] * self.own[j]).sum()
        total -= 2.0 * np.einsum("vab,vba->", turned, self.class_u)
        if self.qt:
            total += np.einsum("ij,ji->", self.qt[i], self.qt[j])
            total += 2.0 * (self.cross[i] * self.tx[j]).sum()
        return float(total)

    def mixed_pair(self, i: int, c: slice, d: slice) -> float:
        """sum over the levels j of a term of (M12'E_i M12)[(d, j), (c, j)]."""
        total = (self.rest[:, d] * self.qr[i][:, c]).sum()
        total -= (self.rx[i][d] * self.x2[c]).sum() + (self.x2[d] * self.rx[i][c]).sum()
        return float(total + ((self.x2[d] @ self.own[i]) * self.x2[c]).sum())

    def pair(self, a: slice, b: slice, c: slice, d: slice) -> float:
        """tr(P Z_a Z_b' P Z_c Z_d') of (term, column) rows that are not eliminated."""
        return float((self.m22[a, d] * self.m22[b, c]).sum())

    def first_trace(self, i: int) -> float:
        """tr(P V_i) of a parameter of the eliminated block."""
        direction = self.criterion.directions[i]
        total = np.einsum("v,vab->ab", self.criterion.class_size, self.d) - self.class_u.sum(axis=0)
        return float((total * direction).sum())

    def trace(self, a: slice, b: slice) -> float:
        """tr(P Z_a Z_b')."""
        return float(np.trace(self.m22[a, b]))


def _gram_by_level(x1: Floats, direction: Floats) -> Floats:
    """sum_l x1_l' E x1_l (p, p) for x1 (q1, p1, p)."""
    return summed_products(x1, direction @ x1)
