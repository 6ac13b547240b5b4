"""Logistic mixed models by Laplace's approximation, with separation detected and refused.

Source: Bates et al. 2015 for the approximation; Konis 2007 (DPhil thesis, Oxford) for separation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from ablatekit.analysis.core.arrays import Floats
from ablatekit.analysis.core.tails import normal_two_sided
from ablatekit.analysis.engine.criterion import Criterion
from ablatekit.analysis.engine.fit import SINGULAR, VarianceComponent, variance_components
from ablatekit.analysis.engine.frame import ModelFrame
from ablatekit.analysis.engine.laplace import Laplace
from ablatekit.analysis.engine.sufficient import WorkingLayout, cell_sums
from ablatekit.errors import NotEstimableError, Problem, TableError

SEPARATION_CELLS = 50_000
MANY_ROWS = 50_000


@dataclass(frozen=True, slots=True)
class LogisticFit:
    """A logistic mixed model by Laplace's approximation.

    beta (p,) log odds; vcov from the Hessian of the criterion in (theta, beta); vcov_conditional
    holds theta fixed. theta: standard deviations of the random terms (lme4's parameters).
    """

    frame: ModelFrame
    names: tuple[str, ...]
    beta: Floats
    vcov: Floats
    vcov_conditional: Floats
    theta: Floats
    theta_names: tuple[str, ...]
    minus2ll: float
    linear_predictor: Floats
    converged: bool
    singular: bool
    gradient: float
    evaluations: int

    @property
    def method(self) -> str:
        """How the likelihood is approximated."""
        return "laplace"

    @property
    def parameters(self) -> int:
        """Fixed effects and variance parameters."""
        return len(self.beta) + len(self.theta)

    @property
    def log_likelihood(self) -> float:
        """-minus2ll/2."""
        return -self.minus2ll / 2.0

    @property
    def components(self) -> tuple[VarianceComponent, ...]:
        """Variances, covariances and correlations on the log-odds scale, in the order of theta."""
        out, start = [], 0
        for term in sorted(self.frame.random, key=lambda term: -len(term.levels)):
            size = len(term.names)
            factor = np.zeros((size, size))
            rows, cols = np.tril_indices(size)
            order = np.lexsort((rows, cols))
            factor[rows[order], cols[order]] = self.theta[start : start + len(rows)]
            start += len(rows)
            out += variance_components(term, factor @ factor.T)
        return tuple(out)

    @property
    def se(self) -> Floats:
        """Standard errors of the log odds (p,)."""
        return np.sqrt(self.vcov.diagonal())

    @property
    def p(self) -> Floats:
        """Two-sided normal p values (p,)."""
        return normal_two_sided(self.beta / self.se)


def fit_logistic(frame: ModelFrame) -> LogisticFit:
    """Fit a logistic mixed model. The response is 0/1, or a proportion with trials as weights.

    Raises TableError for a response outside [0, 1] or without random terms, NotEstimableError for a
    constant response or one that the fixed effects separate.
    """
    from scipy import optimize  # linear models do without its import

    _check_binomial(frame)
    laplace = Laplace(frame)
    blocks = laplace.blocks(np.ones(len(frame.y)), np.zeros(len(frame.y)), True)
    shape = Criterion(blocks, False, 0.0, once=True)
    theta = shape.start(1.0)
    joint = laplace.mode(theta, None, np.zeros(len(frame.y)))
    laplace.eta = joint.eta
    start = np.append(theta, joint.beta)
    tolerance = max(1e-6, 1e-9 * len(frame.y))  # rounding in a sum over the rows grows with them
    minimum = optimize.minimize(
        laplace.value, start, jac=True, method="BFGS", options={"gtol": tolerance, "maxiter": 500}
    )
    parameters = _polish(laplace, minimum.x, 100.0 * tolerance)
    value, gradient = laplace.value(parameters)
    size = shape.size
    hessian = _hessian(laplace, parameters)
    mode = laplace.mode(parameters[:size], None, laplace.eta)
    back = laplace.layout.back
    covariance = np.linalg.pinv(hessian, hermitian=True)[size:, size:] * 2.0
    names, values = _thetas(frame, shape, parameters[:size], laplace.layout)
    spreads = [np.abs(factor.diagonal()) for factor in shape.factors(parameters[:size])]
    return LogisticFit(
        frame=frame,
        names=frame.names,
        beta=back @ parameters[size:],
        vcov=back @ covariance @ back.T,
        vcov_conditional=back @ _conditional(laplace, parameters[:size]) @ back.T,
        theta=values,
        theta_names=names,
        minus2ll=value - _binomial_constant(frame),
        linear_predictor=laplace.eta,
        converged=bool(np.abs(gradient).max() < 1e-2 and mode.deviance < np.inf),
        singular=any(bool((spread < SINGULAR).any()) for spread in spreads),
        gradient=float(np.abs(gradient).max()),
        evaluations=laplace.evaluations,
    )


def _polish(laplace: Laplace, parameters: Floats, tolerance: float) -> Floats:
    """One quasi-Newton restart when the line search stopped on rounding noise."""
    from scipy import optimize  # linear models do without its import

    value, gradient = laplace.value(parameters)
    if np.abs(gradient).max() < tolerance:
        return parameters
    again = optimize.minimize(
        laplace.value,
        parameters,
        jac=True,
        method="L-BFGS-B",
        options={"ftol": 1e-15, "gtol": 1e-6},
    )
    return np.asarray(again.x) if again.fun <= value else parameters


def _conditional(laplace: Laplace, theta: Floats) -> Floats:
    """Cov(beta) at fixed theta: the Schur complement of u in the penalised normal equations."""
    step = laplace.step(theta, None, laplace.eta)
    return step.state.phi


def _hessian(laplace: Laplace, parameters: Floats) -> Floats:
    """Differences of the exact gradient, (c + p, c + p): central, one-sided for many rows.

    The gradient is zero at the optimum, and with many rows the criterion is close to quadratic.
    """
    count = len(parameters)
    out = np.empty((count, count))
    many = len(laplace.eta) > MANY_ROWS
    here = laplace.value(parameters)[1] if many else np.empty(0)
    for j in range(count):
        width = 1e-4 * max(1.0, abs(parameters[j]))
        step = np.zeros(count)
        step[j] = width
        above = laplace.value(parameters + step)[1]
        if many:
            out[j] = (above - here) / width
        else:
            out[j] = (above - laplace.value(parameters - step)[1]) / (2.0 * width)
    laplace.value(parameters)
    return (out + out.T) / 2.0


def _thetas(
    frame: ModelFrame, shape: Criterion, theta: Floats, layout: WorkingLayout
) -> tuple[tuple[str, ...], Floats]:
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
    from scipy import optimize  # linear models do without its import

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
    if result.status != 0 or result.fun is None or result.x is None or result.fun >= -1e-7:
        return ()
    return tuple(name for name, d in zip(frame.names, result.x, strict=True) if abs(d) > 1e-6)
