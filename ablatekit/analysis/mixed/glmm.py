"""Logistic mixed models: penalised iteratively reweighted least squares inside a Laplace criterion.

    F(theta, beta) = -2 log lik(eta) + |u|^2 + log|Lam'Z'WZ Lam + I|,  eta = X beta + Z Lam u

at the mode u of the first two terms. Every step is a linear mixed model with weights W = m mu(1-mu)
and unit error variance, so the blocks of the linear engine solve it. The gradient is exact,
including the dependence of the mode and of W. Source: Bates et al., lme4 (2015), Laplace
approximation; Konis 2007 (DPhil thesis, Oxford) for the detection of separation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import optimize, special, stats

from ablatekit.analysis.mixed.criterion import Criterion, State
from ablatekit.analysis.mixed.curvature import apply_v
from ablatekit.analysis.mixed.design import Array, model_columns
from ablatekit.analysis.mixed.frame import ModelFrame
from ablatekit.analysis.mixed.sufficient import (
    CrossProducts,
    Layout,
    cell_sums,
    cross_products,
    orthonormal_layout,
)
from ablatekit.errors import NotEstimableError, Problem, TableError

MODE_TOLERANCE = 1e-12
SEPARATION_CELLS = 50_000
EXTREME = 20.0


@dataclass(frozen=True, slots=True)
class LogisticFit:
    """A logistic mixed model by Laplace's approximation.

    beta (p,) log odds; vcov from the Hessian of the criterion in (theta, beta); vcov_conditional
    holds theta fixed. theta: standard deviations of the random terms (lme4's parameters).
    """

    frame: ModelFrame
    names: tuple[str, ...]
    beta: Array
    vcov: Array
    vcov_conditional: Array
    theta: Array
    theta_names: tuple[str, ...]
    minus2ll: float
    linear_predictor: Array
    converged: bool
    singular: bool
    gradient: float
    evaluations: int

    @property
    def se(self) -> Array:
        """Standard errors of the log odds (p,)."""
        return np.sqrt(self.vcov.diagonal())

    @property
    def p(self) -> Array:
        """Two-sided normal p values (p,)."""
        return np.asarray(2.0 * stats.norm.sf(np.abs(self.beta / self.se)))


@dataclass(frozen=True, slots=True)
class MarginalEffect:
    """Average change in probability from the baseline level (or per unit of a covariate)."""

    factor: str
    level: str
    baseline: str
    estimate: float
    se: float
    low: float
    high: float
    p: float


@dataclass(frozen=True, slots=True)
class _Mode:
    """The conditional mode at (theta, beta) and the linear model of its last step."""

    criterion: Criterion
    state: State
    eta: Array
    weights: Array
    effects: list[Array]
    deviance: float
    penalty: float
    beta: Array


class _Laplace:
    """The Laplace criterion of one model."""

    def __init__(self, frame: ModelFrame) -> None:
        self.frame = frame
        self.trials = np.ones(len(frame.y)) if frame.weights is None else frame.weights
        self.layout: Layout = orthonormal_layout(frame, self.trials)
        self.x = self.layout.x
        self.evaluations = 0
        self.eta = np.zeros(len(frame.y))
        self.effects: list[Array] | None = None

    def mode(self, theta: Array, beta: Array | None, eta: Array) -> _Mode:
        """The mode of u at (theta, beta), of (u, beta) when beta is None, starting from eta."""
        current, objective = eta, np.inf
        best: _Mode | None = None
        for _ in range(60):
            step = self._step(theta, beta, current)
            value = step.deviance + step.penalty
            shrink = 1.0
            while value > objective + 1e-9 and shrink > 1e-4 and best is not None:
                shrink /= 2.0
                step = self._mix(best, step, shrink)
                value = step.deviance + step.penalty
            done = objective - value < MODE_TOLERANCE * max(1.0, abs(value))
            best, current, objective = step, step.eta, value
            if done:
                break
        assert best is not None
        return self._final(theta, beta, best)

    def _final(self, theta: Array, beta: Array | None, mode: _Mode) -> _Mode:
        """The same mode with the weights (and so the determinant) taken at it."""
        step = self._step(theta, beta, mode.eta)
        return step

    def _step(self, theta: Array, beta: Array | None, eta: Array) -> _Mode:
        """One reweighted least-squares step from eta; weights are those at eta."""
        mu = special.expit(eta)
        weights = np.maximum(self.trials * mu * (1.0 - mu), 1e-12)
        working = eta + self.trials * (self.frame.y - mu) / weights
        cell = self.frame.cell
        if beta is not None:
            working = working - (self.x @ beta)[cell]
        blocks = self._blocks(weights, working, beta is not None)
        criterion = Criterion(blocks, False, 0.0, once=True)
        state = criterion.evaluate(theta)
        w1, w2 = criterion.scores(state)
        direction = np.append(-state.beta, 1.0)
        fixed = state.beta if beta is None else beta
        new_eta = (self.x @ fixed)[cell]
        effects: list[Array] = []
        penalty = 0.0
        scores = criterion.residual_scores(w1 @ direction, w2 @ direction)
        for k, (score, factor) in enumerate(zip(scores, state.factors, strict=True)):
            u = score @ factor
            penalty += float((u**2).sum())
            effects.append(u)
            term = self.layout.terms[blocks.order[k]]
            b = u @ factor.T
            new_eta = new_eta + np.einsum("np,np->n", b[term.codes], term.columns[cell])
        return _Mode(
            criterion, state, new_eta, weights, effects, self._deviance(new_eta), penalty, fixed
        )

    def _mix(self, old: _Mode, new: _Mode, share: float) -> _Mode:
        eta = old.eta + share * (new.eta - old.eta)
        effects = [a + share * (b - a) for a, b in zip(old.effects, new.effects, strict=True)]
        penalty = float(sum((u**2).sum() for u in effects))
        beta = old.beta + share * (new.beta - old.beta)
        return replace(
            new, eta=eta, effects=effects, deviance=self._deviance(eta), penalty=penalty, beta=beta
        )

    def _deviance(self, eta: Array) -> float:
        """-2 log likelihood without the binomial coefficients."""
        value = self.frame.y * eta - np.logaddexp(0.0, eta)
        return float(-2.0 * (self.trials * value).sum())

    def _blocks(self, weights: Array, working: Array, fixed: bool) -> CrossProducts:
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

    def value(self, parameters: Array) -> tuple[float, Array]:
        """F and its gradient at (theta, beta), beta in working coordinates."""
        self.evaluations += 1
        size = len(parameters) - self.x.shape[1]
        theta, beta = parameters[:size], parameters[size:]
        mode = self.mode(theta, beta, self.eta)
        self.eta = mode.eta
        return self._laplace(mode), self._gradient(mode)

    @staticmethod
    def _log_det(mode: _Mode) -> float:
        """log|Lam'Z'WZ Lam + I|: the criterion without its residual part."""
        df = mode.criterion.df
        return mode.state.value - df * (1.0 + float(np.log(2.0 * np.pi * mode.state.r2 / df)))

    def _laplace(self, mode: _Mode) -> float:
        return mode.deviance + mode.penalty + self._log_det(mode)

    def _gradient(self, mode: _Mode) -> Array:
        """dF/d(theta, beta).

        With g_i = h_i dW_i/deta_i, h_i the leverage of row i, v = Z'g, t = Z'V^-1Z G v and
        c = Lam'(v - t): dF/dbeta = -2 X's + X'g - X'W Z Lam c, dF/dL = sum_l [(v - t - 2 s) u' + s c']
        + 2 (sum Z'V^-1Z) L, s = Z'm(y - mu).
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
            b = c @ state.factors[k].T
            row += np.einsum("np,np->n", b[term.codes], term.columns[cell])
            slope = (v[k] - t[k] - 2.0 * s[k]).T @ mode.effects[k] + s[k].T @ c
            slopes.append(slope + 2.0 * traces[k] @ state.factors[k])
        in_beta = -2.0 * error + g - mode.weights * row
        return np.append(criterion.pack(slopes), self.x.T @ cell_sums(cell, in_beta, len(self.x)))

    def _leverage(self, mode: _Mode) -> Array:
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


def fit_logistic(frame: ModelFrame) -> LogisticFit:
    """Fit a logistic mixed model. The response is 0/1, or a proportion with trials as weights.

    Raises TableError for a response outside [0, 1] or without random terms, NotEstimableError for a
    constant response or one that the fixed effects separate.
    """
    _check_binomial(frame)
    laplace = _Laplace(frame)
    blocks = laplace._blocks(np.ones(len(frame.y)), np.zeros(len(frame.y)), True)
    shape = Criterion(blocks, False, 0.0, once=True)
    theta = shape.start(1.0)
    joint = laplace.mode(theta, None, np.zeros(len(frame.y)))
    laplace.eta = joint.eta
    start = np.append(theta, joint.beta)
    found = optimize.minimize(
        laplace.value, start, jac=True, method="BFGS", options={"gtol": 1e-6, "maxiter": 500}
    )
    parameters = _polish(laplace, found.x)
    value, gradient = laplace.value(parameters)
    size = shape.size
    hessian = _hessian(laplace, parameters, size)
    mode = laplace.mode(parameters[:size], None, laplace.eta)
    back = laplace.layout.back
    covariance = np.linalg.pinv(hessian, hermitian=True)[size:, size:] * 2.0
    names, values = _thetas(frame, shape, parameters[:size], laplace.layout)
    return LogisticFit(
        frame=frame,
        names=frame.names,
        beta=back @ parameters[size:],
        vcov=back @ covariance @ back.T,
        vcov_conditional=back @ _conditional(laplace, parameters, size) @ back.T,
        theta=values,
        theta_names=names,
        minus2ll=value - _binomial_constant(frame),
        linear_predictor=laplace.eta,
        converged=bool(np.abs(gradient).max() < 1e-2 and mode.deviance < np.inf),
        singular=bool(np.any(np.abs(values) < 1e-4)),
        gradient=float(np.abs(gradient).max()),
        evaluations=laplace.evaluations,
    )


def _polish(laplace: _Laplace, parameters: Array) -> Array:
    """One quasi-Newton restart when the line search stopped on rounding noise."""
    value, gradient = laplace.value(parameters)
    if np.abs(gradient).max() < 1e-4:
        return parameters
    again = optimize.minimize(
        laplace.value,
        parameters,
        jac=True,
        method="L-BFGS-B",
        options={"ftol": 1e-15, "gtol": 1e-6},
    )
    return np.asarray(again.x) if again.fun <= value else parameters


def _conditional(laplace: _Laplace, parameters: Array, size: int) -> Array:
    """Cov(beta) at fixed theta: the Schur complement of u in the penalised normal equations."""
    step = laplace._step(parameters[:size], None, laplace.eta)
    return step.state.phi


def _hessian(laplace: _Laplace, parameters: Array, size: int) -> Array:
    """Central differences of the exact gradient, (c + p, c + p)."""
    count = len(parameters)
    out = np.empty((count, count))
    for j in range(count):
        width = 1e-4 * max(1.0, abs(parameters[j]))
        step = np.zeros(count)
        step[j] = width
        out[j] = (laplace.value(parameters + step)[1] - laplace.value(parameters - step)[1]) / (
            2.0 * width
        )
    laplace.value(parameters)
    return (out + out.T) / 2.0


def _stack_terms(criterion: Criterion, values: list[Array]) -> tuple[Array, Array]:
    """Per-term (q, p_k) values as the pair of stacked vectors with one column."""
    if criterion.first:
        first = values[0][:, :, None]
        rest = values[1:]
    else:
        first, rest = np.empty((0, 0, 1)), values
    stacked = [value.T.reshape(-1) for value in rest]
    second = np.concatenate(stacked) if stacked else np.empty(0)
    return first, second[:, None]


def _level_totals(codes: Array, q: int, columns: Array, cell: Array, values: Array) -> Array:
    """Z'v per level: (q, p_k)."""
    parts = [cell_sums(codes, values * columns[cell, a], q) for a in range(columns.shape[1])]
    return np.stack(parts, axis=1)


def _thetas(
    frame: ModelFrame, shape: Criterion, theta: Array, layout: Layout
) -> tuple[tuple[str, ...], Array]:
    """theta with a nonnegative diagonal, in lme4's order (falling number of levels) and scale."""
    factors = shape.factors(theta)
    order = sorted(range(len(frame.random)), key=lambda k: -len(frame.random[k].levels))
    names: list[str] = []
    values: list[float] = []
    for position in order:
        internal = shape.blocks.order.index(position)
        factor = factors[internal] * np.where(factors[internal].diagonal() < 0.0, -1.0, 1.0)
        factor = factor / layout.terms[position].scale[:, None]
        term = frame.random[position]
        for r, c in zip(*shape.columns[internal], strict=True):
            suffix = "" if r == c else f".{term.names[c]}"
            names.append(f"{term.spec.grouping}.{term.names[r]}{suffix}")
            values.append(float(factor[r, c]))
    return tuple(names), np.array(values)


def _binomial_constant(frame: ModelFrame) -> float:
    """2 sum log C(m, m y) for proportions; 0 for 0/1 outcomes."""
    if frame.weights is None:
        return 0.0
    m, successes = frame.weights, frame.weights * frame.y
    terms = (
        special.gammaln(m + 1) - special.gammaln(successes + 1) - special.gammaln(m - successes + 1)
    )
    return float(2.0 * terms.sum())


def _check_binomial(frame: ModelFrame) -> None:
    y = frame.y
    if not frame.random:
        raise TableError(Problem("a logistic mixed model needs a random term"))
    allowed = (y == 0.0) | (y == 1.0) if frame.weights is None else (y >= 0.0) & (y <= 1.0)
    if not allowed.all():
        raise TableError(
            Problem(
                "a binomial response is 0 or 1, or a proportion with its trials as weights",
                f"{y[~allowed][0]:g}",
                "Use --family gaussian for a score",
            )
        )
    if float(np.ptp(y)) == 0.0:
        raise NotEstimableError(f"every outcome is {y[0]:g}; log odds are not estimable")
    names = separated_columns(frame)
    if names:
        raise NotEstimableError(
            "the fixed effects separate the outcomes (a configuration with 0% or 100%), so log odds"
            f" are infinite: {', '.join(names)}; use the linear probability model"
        )


def separated_columns(frame: ModelFrame) -> tuple[str, ...]:
    """Coefficients along which the likelihood rises for ever; empty when there are none.

    A linear programme over the cells: a direction d with x'd >= 0 in all-ones cells, <= 0 in
    all-zeros cells and = 0 in mixed ones, not zero everywhere.
    """
    x, p = frame.x, frame.x.shape[1]
    if not p or len(x) > SEPARATION_CELLS:
        return ()
    share = cell_sums(frame.cell, frame.y, len(x)) / frame.counts
    sign = np.where(share == 1.0, 1.0, np.where(share == 0.0, -1.0, 0.0))
    extreme = sign != 0.0
    if not extreme.any():
        return ()
    directed = x[extreme] * sign[extreme][:, None]
    result = optimize.linprog(
        -directed.sum(axis=0),
        A_ub=-directed,
        b_ub=np.zeros(len(directed)),
        A_eq=x[~extreme] if (~extreme).any() else None,
        b_eq=np.zeros(int((~extreme).sum())) if (~extreme).any() else None,
        bounds=[(-1.0, 1.0)] * p,
        method="highs",
    )
    if result.status != 0 or -result.fun <= 1e-7:
        return ()
    return tuple(name for name, d in zip(frame.names, result.x, strict=True) if abs(d) > 1e-6)


def marginal_effects(fit: LogisticFit, level: float = 0.95) -> tuple[MarginalEffect, ...]:
    """Average marginal effects in probability, over the rows as they are.

    Each row keeps its random effects and its other variables; a factor is set to every level and to
    its first in turn. Standard errors by the delta method in beta.
    """
    frame = fit.frame
    offset = fit.linear_predictor - (frame.x @ fit.beta)[frame.cell]
    out = []
    for name in dict.fromkeys(v for term in frame.formula.terms for v in term):
        variable = frame.variables[name]
        if variable.categorical:
            base = _average(fit, offset, name, variable.baseline)
            for code, label in enumerate(variable.levels):
                if code != variable.baseline:
                    value, slope = _average(fit, offset, name, code)
                    out.append(
                        _effect(fit, name, label, variable.levels[variable.baseline],
                                value - base[0], slope - base[1], level)
                    )  # fmt: skip
        elif variable.width == 1:
            out.append(_covariate_effect(fit, offset, name, level))
    return tuple(out)


def _average(fit: LogisticFit, offset: Array, name: str, code: int) -> tuple[float, Array]:
    """Mean probability with factor `name` at `code`, and its gradient in beta."""
    frame = fit.frame
    points = dict(frame.points)
    points[name] = np.full_like(points[name], code)
    columns = model_columns(frame.formula.intercept, frame.formula.terms, frame.variables, points)
    x = columns.matrix[:, frame.kept]
    mu = special.expit((x @ fit.beta)[frame.cell] + offset)
    slope = cell_sums(frame.cell, mu * (1.0 - mu), len(x)) @ x / len(mu)
    return float(mu.mean()), slope


def _covariate_effect(fit: LogisticFit, offset: Array, name: str, level: float) -> MarginalEffect:
    """Mean derivative of the probability in a covariate, by central differences."""
    frame = fit.frame
    width = 1e-5 * max(float(np.std(frame.points[name])), 1e-8)
    moved = []
    for sign in (1.0, -1.0):
        points = dict(frame.points)
        points[name] = points[name] + sign * width
        columns = model_columns(
            frame.formula.intercept, frame.formula.terms, frame.variables, points
        )
        x = columns.matrix[:, frame.kept]
        mu = special.expit((x @ fit.beta)[frame.cell] + offset)
        slope = cell_sums(frame.cell, mu * (1.0 - mu), len(x)) @ x / len(mu)
        moved.append((float(mu.mean()), slope))
    value = (moved[0][0] - moved[1][0]) / (2.0 * width)
    slope = (moved[0][1] - moved[1][1]) / (2.0 * width)
    return _effect(fit, name, "+1", "0", value, slope, level)


def _effect(
    fit: LogisticFit, name: str, label: str, baseline: str, value: float, slope: Array, level: float
) -> MarginalEffect:
    se = float(np.sqrt(slope @ fit.vcov @ slope))
    half = float(stats.norm.ppf(0.5 + level / 2.0)) * se
    p = float(2.0 * stats.norm.sf(abs(value) / se)) if se > 0.0 else float("nan")
    return MarginalEffect(name, label, baseline, value, se, value - half, value + half, p)
