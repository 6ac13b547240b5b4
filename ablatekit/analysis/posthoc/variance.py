"""Variance explained, intraclass correlations, shares of variance, and their uncertainty.

Sources: Nakagawa & Schielzeth 2013 and Johnson 2014 (Methods Ecol. Evol. 4 and 5) for R2; profile
intervals as in Bates et al. 2015, section 5.1, on the fit's own criterion.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ablatekit.analysis.core.arrays import Floats
from ablatekit.analysis.core.roots import bracketed_root
from ablatekit.analysis.core.schema.vocabulary import Statement, statement
from ablatekit.analysis.core.tails import chi2_quantile
from ablatekit.analysis.engine.criterion import Criterion
from ablatekit.analysis.engine.fit import MixedFit, fit_mixed
from ablatekit.errors import NotEstimableError, Problem, UsageError


@dataclass(frozen=True, slots=True)
class VarianceExplained:
    """Variance of the fixed part, of the random terms (mean of Z G Z'), and of the residual."""

    fixed: float
    random: float
    residual: float

    @property
    def marginal(self) -> float:
        """Share of the fixed part."""
        return self.fixed / (self.fixed + self.random + self.residual)

    @property
    def conditional(self) -> float:
        """Share of the fixed and random parts together."""
        return (self.fixed + self.random) / (self.fixed + self.random + self.residual)

    @property
    def icc_adjusted(self) -> float:
        """Random share of the variance that the fixed part leaves."""
        return self.random / (self.random + self.residual)

    @property
    def icc_unadjusted(self) -> float:
        """Random share of the whole variance."""
        return self.random / (self.fixed + self.random + self.residual)


@dataclass(frozen=True, slots=True)
class VarianceInterval:
    """Limits of one standard deviation; `reason` says why limits are missing."""

    group: str
    name: str
    estimate: float
    low: float
    high: float
    reason: Statement | None


def variance_explained(fit: MixedFit) -> VarianceExplained:
    """Variances on the rows of the fit: fixed with divisor n - 1, random averaged over rows."""
    counts = fit.frame.counts
    values = fit.frame.x @ fit.beta
    centre = counts @ values / fit.n
    fixed = float(counts @ (values - centre) ** 2 / (fit.n - 1))
    random = sum(share for _, share in term_variances(fit))
    return VarianceExplained(fixed, random, fit.sigma**2)


def term_variances(fit: MixedFit) -> list[tuple[str, float]]:
    """Per random term, the mean over rows of z'G z."""
    out = []
    for position, term in enumerate(fit.frame.random):
        covariance = fit.covariance(position)
        per_cell = np.einsum("ca,ab,cb->c", term.columns, covariance, term.columns)
        out.append((term.spec.text, float(fit.frame.counts @ per_cell / fit.n)))
    return out


def profile_intervals(fit: MixedFit, level: float = 0.95) -> tuple[VarianceInterval, ...]:
    """Profile intervals of the standard deviations of intercept-like terms and of the residual.

    A limit is where the criterion, minimised over everything else, exceeds its minimum by the chi2
    quantile on 1 df. A lower limit of 0 means that zero is inside. Columns of a correlated slope
    term get no limits here; use `bootstrap_intervals`.
    """
    cutoff = chi2_quantile(level, 1)
    profile = _Profile(fit)
    out = []
    for position, term in enumerate(fit.frame.random):
        group = term.spec.grouping
        sds = np.sqrt(fit.covariance(position).diagonal())
        if len(term.names) > 1:
            out += [
                VarianceInterval(
                    group, name, float(sd), float("nan"), float("nan"),
                    statement("correlated_slope"),
                )
                for name, sd in zip(term.names, sds, strict=True)
            ]  # fmt: skip
            continue
        internal = fit.engine.criterion.blocks.order.index(position)
        low, high = profile.limits(internal, float(sds[0]) * profile.scale(position), cutoff)
        unit = profile.scale(position)
        out.append(
            VarianceInterval(group, term.names[0], float(sds[0]), low / unit, high / unit, None)
        )
    low, high = profile.limits(None, fit.sigma / fit.engine.layout.sd, cutoff)
    sd = fit.engine.layout.sd
    out.append(VarianceInterval("Residual", "", fit.sigma, low * sd, high * sd, None))
    return tuple(out)


class _Profile:
    """The criterion in (theta, log sigma) with one standard deviation held fixed."""

    def __init__(self, fit: MixedFit) -> None:
        self.fit = fit
        self.criterion: Criterion = fit.engine.criterion
        self.minimum = fit.criterion
        self.starts = np.cumsum([0] + [len(rows) for rows, _ in self.criterion.columns])

    def scale(self, position: int) -> float:
        """Working standard deviation per unit of the original one."""
        layout = self.fit.engine.layout
        return float(layout.terms[position].scale[0]) / layout.sd

    def value(self, theta: Floats, log_sigma: float) -> tuple[float, Floats, float]:
        """The unprofiled criterion, its gradient in theta, and in log sigma."""
        state = self.criterion.evaluate(theta)
        df = self.criterion.df
        sigma2 = np.exp(2.0 * log_sigma)
        base = state.value - df * (1.0 + np.log(2.0 * np.pi * state.r2 / df))
        value = base + df * np.log(2.0 * np.pi * sigma2) + state.r2 / sigma2
        slope = self.criterion.slope(state)
        extra = df / state.r2 - 1.0 / sigma2
        outer = [r.T @ r for r in self.criterion.residual_scores(slope.residual1, slope.residual2)]
        gradient = self.criterion.pack(
            [
                2.0 * (n + extra * o) @ f
                for n, o, f in zip(slope.normal, outer, state.factors, strict=True)
            ]
        )
        return float(value), gradient, float(2.0 * df - 2.0 * state.r2 / sigma2)

    def fixed_at(self, internal: int | None, sd: float, guess: Floats) -> tuple[float, Floats]:
        """min of the criterion with the sd of term `internal` (None: residual) held at `sd`."""
        from scipy import optimize

        free = np.ones(len(guess) - 1, dtype=bool)
        held = -1
        if internal is not None:
            held = int(self.starts[internal])
            free[held] = False

        def objective(v: Floats) -> tuple[float, Floats]:
            log_sigma = np.log(sd) if internal is None else v[-1]
            theta = guess[:-1].copy()
            theta[free] = v[: free.sum()]
            if internal is not None:
                theta[held] = sd / np.exp(log_sigma)
            value, gradient, in_sigma = self.value(theta, log_sigma)
            if internal is None:
                return value, gradient[free]
            return value, np.append(gradient[free], in_sigma - gradient[held] * theta[held])

        start = guess[:-1][free] if internal is None else np.append(guess[:-1][free], guess[-1])
        if not len(start):
            return objective(start)[0], guess
        found = optimize.minimize(
            objective, start, jac=True, method="L-BFGS-B", options={"gtol": 1e-7, "ftol": 1e-14}
        )
        best = guess.copy()
        best[:-1][free] = found.x[: free.sum()]
        best[-1] = np.log(sd) if internal is None else found.x[-1]
        return float(found.fun), best

    def limits(self, internal: int | None, estimate: float, cutoff: float) -> tuple[float, float]:
        """Both limits of a working standard deviation."""
        state = self.fit.engine.state
        log_sigma = 0.5 * np.log(state.r2 / self.criterion.df)
        guess = np.append(np.maximum(np.abs(state.theta), 1e-2), log_sigma)

        def excess(sd: float) -> float:
            return self.fixed_at(internal, sd, guess)[0] - self.minimum - cutoff

        base = max(estimate, 1e-2 * float(np.exp(log_sigma)))
        return self._lower(excess, estimate, internal), self._upper(excess, base)

    @staticmethod
    def _upper(excess: Callable[[float], float], base: float) -> float:
        high = base
        for _ in range(60):
            high *= 1.5
            if excess(high) > 0.0:
                return bracketed_root(excess, base, high, 1e-10, 1e-9)
        return float("inf")

    @staticmethod
    def _lower(excess: Callable[[float], float], estimate: float, internal: int | None) -> float:
        if estimate <= 0.0:
            return 0.0
        floor = 1e-8 * estimate if internal is not None else 1e-3 * estimate
        if excess(floor) <= 0.0:
            return 0.0
        return bracketed_root(excess, floor, estimate, 1e-10, 1e-9)


def bootstrap_intervals(
    fit: MixedFit, rng: np.random.Generator, *, draws: int = 500, level: float = 0.95
) -> tuple[VarianceInterval, ...]:
    """Parametric bootstrap: simulate from the fit, refit, percentiles of every standard deviation.

    Raises UsageError for fewer than 100 draws.
    """
    if draws < 100:
        raise UsageError(Problem("too few bootstrap draws", f"{draws}", "Take at least 100"))
    keep = [c for c in fit.components if c.other is None]
    table = np.full((draws, len(keep) + 1), np.nan)
    for draw in range(draws):
        frame = replace(fit.frame, y=simulate(fit, rng))
        try:
            again = fit_mixed(frame, fit.method, starts=(1.0,))
        except NotEstimableError:
            continue
        table[draw] = [c.sd for c in again.components if c.other is None] + [again.sigma]
    alpha = (1.0 - level) / 2.0
    lost = int(np.isnan(table[:, -1]).sum())
    reason = statement("failed_bootstraps", failed=lost, draws=draws) if lost else None
    low, high = np.nanquantile(table, [alpha, 1.0 - alpha], axis=0)
    named = [(c.group, c.name, c.sd) for c in keep] + [("Residual", "", fit.sigma)]
    return tuple(
        VarianceInterval(group, name, sd, float(a), float(b), reason)
        for (group, name, sd), a, b in zip(named, low, high, strict=True)
    )


def simulate(fit: MixedFit, rng: np.random.Generator) -> Floats:
    """One response (n,) drawn from the fitted model."""
    frame = fit.frame
    y = (frame.x @ fit.beta)[frame.cell]
    for position, term in enumerate(frame.random):
        covariance = fit.covariance(position)
        values, vectors = np.linalg.eigh(covariance)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        effects = rng.standard_normal((len(term.levels), len(term.names))) @ root.T
        y = y + np.einsum("np,np->n", effects[term.codes], term.columns[frame.cell])
    noise = fit.sigma * rng.standard_normal(len(y))
    return y + (noise if frame.weights is None else noise / np.sqrt(frame.weights))
