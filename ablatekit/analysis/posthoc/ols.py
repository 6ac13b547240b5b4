"""Least squares on the frames of the mixed models: aliasing as in R, robust covariances, ANOVA.

Sources: MacKinnon & White 1985 (Journal of Econometrics 29) for HC1-HC3; Langsrud 2003 (Statistics
and Computing 13) for type II.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from ablatekit.analysis.core.arrays import Floats
from ablatekit.analysis.core.schema.model import AnovaRow
from ablatekit.analysis.core.schema.vocabulary import AnovaType, statement
from ablatekit.analysis.engine.frame import ModelFrame
from ablatekit.analysis.engine.sufficient import working_layout
from ablatekit.analysis.posthoc.anova import AnovaTerm
from ablatekit.analysis.posthoc.coefficient_tests import LinearModel, residual_model
from ablatekit.analysis.posthoc.hypotheses import (
    comparison_hypotheses,
    hypotheses,
    hypothesis_notes,
)
from ablatekit.analysis.stats.effectsize import cohens_f, partial_size, with_interval
from ablatekit.analysis.stats.rows import TermTest, anova_row
from ablatekit.errors import NotEstimableError

RobustCovariance: TypeAlias = Literal["hc0", "hc1", "hc2", "hc3"]


@dataclass(frozen=True, slots=True)
class LeastSquares:
    """A weighted least-squares fit: beta (p,), vcov (p, p), residuals (n,)."""

    frame: ModelFrame
    names: tuple[str, ...]
    beta: Floats
    vcov: Floats
    sigma: float
    df: int
    residuals: Floats
    leverage: Floats
    log_likelihood: float
    r2: float

    @property
    def adjusted_r2(self) -> float:
        """1 - (1 - R2)(n - 1)/df."""
        free = 1 if self.frame.formula.intercept else 0
        return 1.0 - (1.0 - self.r2) * (len(self.frame.y) - free) / self.df

    @property
    def aic(self) -> float:
        """-2 log likelihood + 2 (p + 1)."""
        return -2.0 * self.log_likelihood + 2.0 * (len(self.beta) + 1)

    @property
    def bic(self) -> float:
        """-2 log likelihood + log(n)(p + 1)."""
        size = len(self.beta) + 1
        return -2.0 * self.log_likelihood + float(np.log(len(self.frame.y))) * size

    @property
    def model(self) -> LinearModel:
        """Tests with residual degrees of freedom."""
        return residual_model(self.frame, self.beta, self.vcov, self.sigma, float(self.df))


def fit_ols(frame: ModelFrame) -> LeastSquares:
    """Least squares of a frame without random terms. Raises NotEstimableError as `fit_mixed`."""
    layout = working_layout(frame)
    n, p = layout.n, len(frame.kept)
    df = n - p
    if df < 1:
        raise NotEstimableError("no residual degree of freedom is left")
    residuals = layout.residual * layout.sd
    weights = np.ones(n) if frame.weights is None else frame.weights
    rss = float((weights * residuals**2).sum())
    sigma = float(np.sqrt(rss / df))
    leverage = (layout.x**2).sum(axis=1)[frame.cell] * weights
    centre = float(np.average(frame.y, weights=weights)) if frame.formula.intercept else 0.0
    total = float((weights * (frame.y - centre) ** 2).sum())
    log_likelihood = -n / 2.0 * (np.log(2.0 * np.pi * rss / n) + 1.0) + layout.log_weights / 2.0
    return LeastSquares(
        frame=frame,
        names=frame.names,
        beta=layout.ols,
        vcov=sigma**2 * layout.back @ layout.back.T,
        sigma=sigma,
        df=df,
        residuals=residuals,
        leverage=leverage,
        log_likelihood=float(log_likelihood),
        r2=1.0 - rss / total,
    )


def robust_vcov(fit: LeastSquares, kind: RobustCovariance) -> Floats:
    """A heteroscedasticity-consistent covariance (p, p) of the coefficients."""
    layout = working_layout(fit.frame)
    n = layout.n
    h = fit.leverage
    factor = {
        "hc0": np.ones(n),
        "hc1": np.full(n, n / fit.df),
        "hc2": 1.0 / (1.0 - h),
        "hc3": 1.0 / (1.0 - h) ** 2,
    }[kind]
    weights = np.ones(n) if fit.frame.weights is None else fit.frame.weights
    squares = np.bincount(
        fit.frame.cell, (weights * fit.residuals) ** 2 * factor, minlength=len(layout.x)
    )
    middle = (layout.x * squares[:, None]).T @ layout.x
    return np.asarray(layout.back @ middle @ layout.back.T)


def ols_anova(fit: LeastSquares, kind: AnovaType = "III", level: float = 0.95) -> list[AnovaRow]:
    """ANOVA with effect sizes; type III by estimable hypotheses."""
    rows = hypotheses(fit.frame, kind) if kind == "III" else comparison_hypotheses(fit.frame, kind)
    notes = hypothesis_notes(fit.frame, "III" if kind == "III" else "I")
    model = fit.model
    tests = {name: model.joint(matrix) for name, matrix in rows.items() if len(matrix)}
    residual = fit.sigma**2 * fit.df
    total = residual + sum(test.sum_squares for test in tests.values())
    return [
        _anova_row(AnovaTerm(name, tests.get(name), told), fit, total, level)
        for name, told in zip(rows, notes, strict=True)
    ]


def _anova_row(row: AnovaTerm, fit: LeastSquares, total: float, level: float) -> AnovaRow:
    """The row of one term; `total` is the sum of squares of all terms and the residual."""
    df, test = float(fit.df), row.test
    if test is None:
        aliased = TermTest(
            term=row.term, num_df=0, den_df=df, reason=statement("aliased"), notes=row.notes
        )
        return anova_row(aliased)
    f, k = test.statistic, test.num_df
    eta2 = partial_size("eta2", f, k, df)
    omega2 = partial_size("omega2", f, k, df, len(fit.frame.y))
    epsilon2 = partial_size("epsilon2", f, k, df)
    return anova_row(
        TermTest(
            term=row.term,
            num_df=k,
            den_df=df,
            statistic=f,
            p=test.p,
            notes=row.notes,
            sum_squares=test.sum_squares,
            share=test.sum_squares / total,
            sizes={
                "partial_eta2": with_interval(eta2, k, df, level),
                "partial_omega2": with_interval(omega2, k, df, level),
                "partial_epsilon2": with_interval(epsilon2, k, df, level),
                "eta2": with_interval(test.sum_squares / total, k, df, level),
                "cohens_f": cohens_f(eta2, k, df, level),
            },
        )
    )
