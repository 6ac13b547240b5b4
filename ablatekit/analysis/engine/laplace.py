"""The Laplace criterion of a logistic mixed model and its exact gradient.

    F(theta, beta) = -2 log lik(eta) + |u|^2 + log|Lam'Z'WZ Lam + I|,  eta = X beta + Z Lam u

at the mode u of the first two terms. Every step is a linear mixed model with weights W = m mu(1-mu)
and unit error variance, so the blocks of the linear engine solve it. The gradient includes the
dependence of the mode and of W. Source: Bates et al. 2015, Laplace approximation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from ablatekit.analysis.core.arrays import Codes, Floats
from ablatekit.analysis.engine.criterion import Criterion, State
from ablatekit.analysis.engine.curvature import apply_v
from ablatekit.analysis.engine.frame import ModelFrame
from ablatekit.analysis.engine.nesting import TermLayout
from ablatekit.analysis.engine.sufficient import (
    CrossProducts,
    WorkingLayout,
    cell_sums,
    cross_products,
    orthonormal_layout,
)

MODE_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class Mode:
    """The conditional mode at (theta, beta) and the linear model of its last step."""

    criterion: Criterion
    state: State
    eta: Floats
    weights: Floats
    effects: list[Floats]
    deviance: float
    penalty: float
    beta: Floats


class Laplace:
    """The Laplace criterion of one model."""

    def __init__(self, frame: ModelFrame) -> None:
        self.frame = frame
        self.trials = np.ones(len(frame.y)) if frame.weights is None else frame.weights
        self.layout: WorkingLayout = orthonormal_layout(frame, self.trials)
        self.x = self.layout.x
        self.evaluations = 0
        self.eta = np.zeros(len(frame.y))
        self.effects: list[Floats] | None = None

    def mode(self, theta: Floats, beta: Floats | None, eta: Floats) -> Mode:
        """The mode of u at (theta, beta), of (u, beta) when beta is None, starting from eta."""
        current, objective = eta, np.inf
        best: Mode | None = None
        for _ in range(60):
            step = self.step(theta, beta, current)
            value = step.deviance + step.penalty
            shrink = 1.0
            while value > objective + 1e-9 and shrink > 1e-4 and best is not None:
                shrink /= 2.0
                step = self._mix(best, step, shrink)
                value = step.deviance + step.penalty
            done = objective - value < MODE_TOLERANCE
            best, current, objective = step, step.eta, value
            if done:
                break
        assert best is not None
        return self.step(theta, beta, best.eta)  # weights and determinant at the mode

    def step(self, theta: Floats, beta: Floats | None, eta: Floats) -> Mode:
        """One reweighted least-squares step from eta; weights are those at eta."""
        mu = special.expit(eta)
        weights = np.maximum(self.trials * mu * (1.0 - mu), 1e-12)
        working = eta + self.trials * (self.frame.y - mu) / weights
        cell = self.frame.cell
        if beta is not None:
            working = working - (self.x @ beta)[cell]
        blocks = self.blocks(weights, working, beta is not None)
        criterion = Criterion(blocks, False, 0.0, once=True)
        state = criterion.evaluate(theta)
        w1, w2 = criterion.scores(state, np.append(-state.beta, 1.0)[:, None])
        fixed = state.beta if beta is None else beta
        new_eta = (self.x @ fixed)[cell]
        effects: list[Floats] = []
        penalty = 0.0
        scores = criterion.residual_scores(w1[..., 0], w2[:, 0])
        for k, (score, factor) in enumerate(zip(scores, state.factors, strict=True)):
            u = score @ factor
            penalty += float((u**2).sum())
            effects.append(u)
            term = self.layout.terms[blocks.order[k]]
            new_eta += row_effects(u @ factor.T, term, cell)
        return Mode(
            criterion, state, new_eta, weights, effects, self._deviance(new_eta), penalty, fixed
        )

    def _mix(self, old: Mode, new: Mode, share: float) -> Mode:
        eta = old.eta + share * (new.eta - old.eta)
        effects = [a + share * (b - a) for a, b in zip(old.effects, new.effects, strict=True)]
        penalty = float(sum((u**2).sum() for u in effects))
        beta = old.beta + share * (new.beta - old.beta)
        return replace(
            new, eta=eta, effects=effects, deviance=self._deviance(eta), penalty=penalty, beta=beta
        )

    def _deviance(self, eta: Floats) -> float:
        """-2 log likelihood without the binomial coefficients."""
        softplus = np.log1p(np.exp(-np.abs(eta)))
        softplus += np.maximum(eta, 0.0)
        value = self.frame.y * eta - softplus
        return -2.0 * float(self.trials @ value)

    def blocks(self, weights: Floats, working: Floats, fixed: bool) -> CrossProducts:
        layout = replace(self.layout, weights=weights, residual=working)
        if fixed:
            layout = replace(layout, x=self.x[:, :0])
        blocks = cross_products(layout)
        mass = cell_sums(self.frame.cell, weights, len(self.x))
        total = cell_sums(self.frame.cell, weights * working, len(self.x))
        axx = blocks.axx.copy()
        p = blocks.p
        axx[:p, :p] = (layout.x * mass[:, None]).T @ layout.x
        axx[:p, p] = axx[p, :p] = layout.x.T @ total
        return replace(blocks, axx=axx)

    def value(self, parameters: Floats) -> tuple[float, Floats]:
        """F and its gradient at (theta, beta), beta in working coordinates."""
        self.evaluations += 1
        size = len(parameters) - self.x.shape[1]
        theta, beta = parameters[:size], parameters[size:]
        mode = self.mode(theta, beta, self.eta)
        self.eta = mode.eta
        return self._laplace(mode), self._gradient(mode)

    @staticmethod
    def _log_det(mode: Mode) -> float:
        """log|Lam'Z'WZ Lam + I|: the criterion without its residual part."""
        df = mode.criterion.df
        return mode.state.value - df * (1.0 + float(np.log(2.0 * np.pi * mode.state.r2 / df)))

    def _laplace(self, mode: Mode) -> float:
        return mode.deviance + mode.penalty + self._log_det(mode)

    def _gradient(self, mode: Mode) -> Floats:
        """dF/d(theta, beta).

        With g_i = h_i dW_i/deta_i, h_i the leverage of row i, v = Z'g, t = Z'V^-1Z G v and
        c = Lam'(v - t), s = Z'm(y - mu): dF/dbeta = -2 X'm(y - mu) + X'g - X'W Z Lam c,
        dF/dL = sum_l [(v - t - 2 s) u' + s c'] + 2 (sum Z'V^-1Z) L.
        """
        criterion, state = mode.criterion, mode.state
        cell = self.frame.cell
        mu = special.expit(mode.eta)
        error = self.trials * (self.frame.y - mu)
        g = self._leverage(mode) * mode.weights * (1.0 - 2.0 * mu)
        terms = [self.layout.terms[k] for k in criterion.blocks.order]
        v = [_level_totals(term.codes, term.q, term.columns, cell, g) for term in terms]
        s = [_level_totals(term.codes, term.q, term.columns, cell, error) for term in terms]
        gv = [a @ (f @ f.T) for a, f in zip(v, state.factors, strict=True)]
        t1, t2 = apply_v(criterion, state, *_stack_terms(criterion, gv))
        t = criterion.residual_scores(t1[..., 0], t2[:, 0])
        row = np.zeros(len(mu))
        slopes = []
        traces = criterion.traces(state)
        for k, term in enumerate(terms):
            c = (v[k] - t[k]) @ state.factors[k]
            row += row_effects(c @ state.factors[k].T, term, cell)
            slope = (v[k] - t[k] - 2.0 * s[k]).T @ mode.effects[k] + s[k].T @ c
            slopes.append(slope + 2.0 * traces[k] @ state.factors[k])
        in_beta = -2.0 * error + g - mode.weights * row
        return np.append(criterion.pack(slopes), self.x.T @ cell_sums(cell, in_beta, len(self.x)))

    def _leverage(self, mode: Mode) -> Floats:
        """z_i'Lam H^-1 Lam'z_i per row, from the blocks of Lam H^-1 Lam'."""
        criterion, state = mode.criterion, mode.state
        cell = self.frame.cell
        terms = [self.layout.terms[k] for k in criterion.blocks.order]
        t = (
            criterion.t_matrix(state, criterion.inverse(state))
            if criterion.rows
            else np.empty((0, 0))
        )
        out = np.zeros(len(cell))
        others = terms[criterion.first :]
        positions = [
            (term, a, part.start) for term, parts in zip(others, criterion.slices, strict=True)
            for a, part in enumerate(parts)
        ]  # fmt: skip
        if criterion.first:
            first = terms[0]
            k = state.k[criterion.of_level]
            own = k
            if criterion.rows:
                assert criterion.elimination is not None
                crossed = criterion.elimination.back(t)
                quadratic = criterion.elimination.quadratic(t)[criterion.of_level]
                own = k + k @ quadratic @ k
                crossed = -np.einsum("lab,lbr->lar", k, crossed)
            z = first.columns[cell]
            out += np.einsum("na,nab,nb->n", z, own[first.codes], z)
            for term, a, start in positions:
                for b in range(first.p):
                    values = crossed[first.codes, b, start + term.codes]
                    out += 2.0 * z[:, b] * term.columns[cell, a] * values
        for term, a, start in positions:
            for other, b, other_start in positions:
                values = t[start + term.codes, other_start + other.codes]
                out += term.columns[cell, a] * other.columns[cell, b] * values
        return out


def row_effects(b: Floats, term: TermLayout, cell: Codes) -> Floats:
    """z_i'b per row (n,) for b (q, p_k)."""
    if term.unit == (True,):
        return np.asarray(b[term.codes, 0])
    return np.asarray(np.einsum("np,np->n", b[term.codes], term.columns[cell]))


def _stack_terms(criterion: Criterion, values: list[Floats]) -> tuple[Floats, Floats]:
    """Per-term (q, p_k) values as the pair of stacked vectors with one column."""
    if criterion.first:
        first = values[0][:, :, None]
        rest = values[1:]
    else:
        first, rest = np.empty((0, 0, 1)), values
    stacked = [value.T.reshape(-1) for value in rest]
    second = np.concatenate(stacked) if stacked else np.empty(0)
    return first, second[:, None]


def _level_totals(codes: Codes, q: int, columns: Floats, cell: Codes, values: Floats) -> Floats:
    """Z'v per level: (q, p_k)."""
    parts = [cell_sums(codes, values * columns[cell, a], q) for a in range(columns.shape[1])]
    return np.stack(parts, axis=1)
