"""Fitting a linear mixed model: `fit_mixed(frame)` -> `MixedFit`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd

from ablatekit.analysis.core.arrays import Floats
from ablatekit.analysis.core.threads import one_thread
from ablatekit.analysis.engine.criterion import Criterion, Slope, State
from ablatekit.analysis.engine.design import Coding
from ablatekit.analysis.engine.formula import Formula, parse_formula
from ablatekit.analysis.engine.frame import ModelFrame, RandomTerm, build_frame
from ablatekit.analysis.engine.optimise import EVERY_START, Convergence, optimise
from ablatekit.analysis.engine.sufficient import WorkingLayout, cross_products, working_layout
from ablatekit.errors import Problem, TableError

Method: TypeAlias = Literal["reml", "ml"]

SMALL_ROWS = 5000
SMALL_LEVELS = 10
SINGULAR = 1e-4


@dataclass(frozen=True, slots=True)
class VarianceComponent:
    """One entry of a random term's covariance: a variance, or a covariance with its correlation."""

    group: str
    name: str
    other: str | None
    variance: float
    sd: float


@dataclass(frozen=True, slots=True)
class RandomEffects:
    """Conditional modes of one random term: (levels, columns)."""

    group: str
    levels: tuple[str, ...]
    names: tuple[str, ...]
    modes: Floats


@dataclass(frozen=True, slots=True)
class Engine:
    """The numerical state that inference needs: working coordinates and the fitted criterion."""

    layout: WorkingLayout
    criterion: Criterion
    state: State
    slope: Slope


@dataclass(frozen=True, slots=True)
class MixedFit:
    """A fitted linear mixed model.

    beta (p,) and vcov (p, p) of the estimable coefficients `names`; `theta` in lme4's order and
    scale (terms by falling number of levels); `criterion` is the REML criterion or the ML deviance.
    """

    frame: ModelFrame
    method: Method
    names: tuple[str, ...]
    beta: Floats
    vcov: Floats
    theta: Floats
    theta_names: tuple[str, ...]
    sigma: float
    components: tuple[VarianceComponent, ...]
    criterion: float
    singular: bool
    convergence: Convergence
    engine: Engine

    @property
    def n(self) -> int:
        """Rows analysed."""
        return len(self.frame.y)

    @property
    def parameters(self) -> int:
        """Fixed effects, variance parameters and the residual variance."""
        return len(self.beta) + len(self.theta) + 1

    @property
    def log_likelihood(self) -> float:
        """-criterion/2: restricted when the method is REML."""
        return -self.criterion / 2.0

    @property
    def aic(self) -> float:
        """-2 log likelihood + 2 parameters."""
        return self.criterion + 2.0 * self.parameters

    @property
    def bic(self) -> float:
        """-2 log likelihood + log(rows) parameters."""
        return self.criterion + float(np.log(self.n)) * self.parameters

    def covariance(self, term: int) -> Floats:
        """Covariance (p_k, p_k) of the random effects of formula term `term`."""
        internal = self.engine.criterion.blocks.order.index(term)
        back = _term_back(self.engine.layout, term)
        factor = back @ self.engine.state.factors[internal]
        return np.asarray(self.sigma**2 * factor @ factor.T)

    def random_effects(self) -> tuple[RandomEffects, ...]:
        """Conditional modes u_k = G_k Z_k'V^-1(y - X beta), in formula order."""
        return tuple(_modes(self, term) for term in range(len(self.frame.random)))

    def fitted(self) -> Floats:
        """Fitted values (n,) including the random effects."""
        values = (self.frame.x @ self.beta)[self.frame.cell]
        for term, effects in zip(self.frame.random, self.random_effects(), strict=True):
            for mode, column in zip(effects.modes.T, term.columns.T, strict=True):
                part = mode[term.codes]
                values += part if np.all(column == 1.0) else part * column[self.frame.cell]
        return np.asarray(values)


def fit_formula(
    data: pd.DataFrame,
    formula: str | Formula,
    *,
    method: Method = "reml",
    weights: str | None = None,
    factors: Collection[str] = (),
    coding: Coding = "treatment",
) -> MixedFit:
    """Fit `formula` (lme4 syntax) to a table; see `build_frame` for weights, factors and errors."""
    parsed = parse_formula(formula) if isinstance(formula, str) else formula
    frame = build_frame(data, parsed, weights=weights, factors=factors, coding=coding)
    return fit_mixed(frame, method)


def fit_mixed(
    frame: ModelFrame, method: Method = "reml", starts: tuple[float, ...] = ()
) -> MixedFit:
    """Fit a linear mixed model by REML or ML.

    starts: diagonals of theta to descend from; by default three for small or slope models and one
    for large intercept models. Raises NotEstimableError where no variance can be estimated
    and TableError for a random term with as many effects as rows.
    """
    _refuse_saturated(frame)
    with one_thread(_largest_matrix(frame)):
        return _fit(frame, method, starts)


def _largest_matrix(frame: ModelFrame) -> int:
    """Rows of the largest dense matrix of a fit: all terms but the largest, or fixed effects."""
    sizes = [len(term.levels) * term.columns.shape[1] for term in frame.random]
    return int(max(sum(sizes) - max(sizes, default=0), len(frame.kept)))


def _fit(frame: ModelFrame, method: Method, starts: tuple[float, ...]) -> MixedFit:
    layout = working_layout(frame)
    blocks = cross_products(layout, nest=True)
    reml = method == "reml"
    criterion = Criterion(blocks, reml, _constant(layout, blocks.p, reml))
    if criterion.size:
        state, slope, convergence = optimise(criterion, starts or _default_starts(frame))
    else:
        state = criterion.evaluate(np.empty(0))
        slope = criterion.slope(state)
        convergence = Convergence((), 1, 0.0, 0, 0, True, ())
    return _assemble(frame, method, Engine(layout, criterion, state, slope), convergence)


def _refuse_saturated(frame: ModelFrame) -> None:
    for term in frame.random:
        effects = len(term.levels) * term.columns.shape[1]
        if effects >= len(frame.y):
            raise TableError(
                Problem(
                    "a random term cannot be told from the residual",
                    f"{term.spec.text}: {effects} random effects for {len(frame.y)} rows",
                    "Remove the term, or add rows per level",
                )
            )


def _default_starts(frame: ModelFrame) -> tuple[float, ...]:
    small = len(frame.y) <= SMALL_ROWS
    few = any(
        term.columns.shape[1] > 1 and len(term.levels) <= SMALL_LEVELS for term in frame.random
    )
    return EVERY_START if small or few else EVERY_START[:1]


def _constant(layout: WorkingLayout, p: int, reml: bool) -> float:
    """What undoing the working scale adds: df log sd^2 - sum log w (- 2 log|back| for REML)."""
    df = layout.n - p if reml else layout.n
    constant = 2.0 * df * float(np.log(layout.sd)) - layout.log_weights
    return constant - 2.0 * float(np.linalg.slogdet(layout.back)[1]) if reml else constant


def _assemble(
    frame: ModelFrame, method: Method, engine: Engine, convergence: Convergence
) -> MixedFit:
    layout, state = engine.layout, engine.state
    sigma = layout.sd * float(np.sqrt(state.r2 / engine.criterion.df))
    beta = layout.ols + layout.sd * (layout.back @ state.beta)
    vcov = sigma**2 * (layout.back @ state.phi @ layout.back.T)
    internal = {term: k for k, term in enumerate(engine.criterion.blocks.order)}
    order = sorted(internal, key=lambda term: -len(frame.random[term].levels))
    theta, names, components = [], [], []
    singular = False
    for term in order:
        factor = _term_back(layout, term) @ state.factors[internal[term]]
        if np.triu(factor, 1).any():
            factor = _lower(factor)
        scaled = np.abs(state.factors[internal[term]].diagonal())
        singular = singular or bool((scaled < SINGULAR).any())
        rows, cols = engine.criterion.columns[internal[term]]
        theta.append(factor[rows, cols])
        names += _theta_names(frame, term, rows.tolist(), cols.tolist())
        components += variance_components(frame.random[term], sigma**2 * factor @ factor.T)
    return MixedFit(
        frame=frame,
        method=method,
        names=frame.names,
        beta=beta,
        vcov=(vcov + vcov.T) / 2.0,
        theta=np.concatenate(theta) if theta else np.empty(0),
        theta_names=tuple(names),
        sigma=sigma,
        components=tuple(components),
        criterion=state.value,
        singular=singular,
        convergence=convergence,
        engine=engine,
    )


def _term_back(layout: WorkingLayout, term: int) -> Floats:
    """(p_k, p_k) that turns working random effects into effects on the original columns."""
    stored = layout.terms[term]
    back = np.diag(1.0 / stored.scale)
    back[0] -= stored.shift / stored.scale
    return np.asarray(back)


def _lower(factor: Floats) -> Floats:
    _, upper = np.linalg.qr(factor.T)
    return np.asarray((upper * np.where(upper.diagonal() < 0.0, -1.0, 1.0)[:, None]).T)


def _theta_names(frame: ModelFrame, term: int, rows: list[int], cols: list[int]) -> list[str]:
    random = frame.random[term]
    return [
        f"{random.spec.grouping}.{random.names[r]}" + ("" if r == c else f".{random.names[c]}")
        for r, c in zip(rows, cols, strict=True)
    ]


def variance_components(random: RandomTerm, covariance: Floats) -> list[VarianceComponent]:
    """Variances first, then covariances with correlations, as lme4's table lists them."""
    sds = np.sqrt(np.maximum(covariance.diagonal(), 0.0))
    group = random.spec.grouping
    out = [
        VarianceComponent(group, name, None, float(covariance[j, j]), float(sds[j]))
        for j, name in enumerate(random.names)
    ]
    for a in range(len(sds)):
        for b in range(a + 1, len(sds)):
            product = sds[a] * sds[b]
            correlation = float(covariance[a, b] / product) if product > 0.0 else float("nan")
            out.append(
                VarianceComponent(
                    group, random.names[a], random.names[b], float(covariance[a, b]), correlation
                )
            )
    return out


def _modes(fit: MixedFit, term: int) -> RandomEffects:
    engine = fit.engine
    criterion = engine.criterion
    internal = criterion.blocks.order.index(term)
    slope = engine.slope
    scores = criterion.residual_scores(slope.residual1, slope.residual2)[internal]
    factor = engine.state.factors[internal]
    back = _term_back(engine.layout, term)
    values = engine.layout.sd * scores @ (factor @ factor.T) @ back.T
    random = fit.frame.random[term]
    return RandomEffects(random.spec.grouping, random.levels, random.names, values)
