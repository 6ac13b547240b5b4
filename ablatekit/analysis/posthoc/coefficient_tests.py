"""t and F tests of linear functions of the coefficients: Satterthwaite, Kenward-Roger, residual, z.

`LinearModel` is what estimated marginal means, ANOVA tables and contrasts need of a fit: mixed or
least squares. Sources: Kuznetsova et al. 2017 for Satterthwaite's F; Kenward & Roger 1997,
section 4, with the conventions of pbkrtest for their F.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np

from ablatekit.analysis.core.arrays import Floats
from ablatekit.analysis.core.student import t_quantile, two_sided
from ablatekit.analysis.core.tails import chi2_tail, f_tail
from ablatekit.analysis.engine.fit import MixedFit
from ablatekit.analysis.engine.frame import ModelFrame
from ablatekit.analysis.engine.information import Information, KenwardRoger, Satterthwaite
from ablatekit.errors import Problem, UsageError

DfMethod: TypeAlias = Literal["satterthwaite", "kenward-roger", "residual", "asymptotic"]
DfCap: TypeAlias = Callable[[Floats], float]

SAME_DF = 1e-8


@dataclass(frozen=True, slots=True)
class TTest:
    """Tests of k linear functions, arrays (k,): estimate, se, df (inf for z), statistic, p."""

    estimate: Floats
    se: Floats
    df: Floats
    statistic: Floats
    p: Floats

    def interval(self, level: float = 0.95) -> tuple[Floats, Floats]:
        """Two-sided confidence limits, each at `level`."""
        half = t_quantile(0.5 + level / 2.0, self.df) * self.se
        return self.estimate - half, self.estimate + half


@dataclass(frozen=True, slots=True)
class FTest:
    """A joint test: F on (num_df, den_df), p, and the sum of squares num_df sigma^2 F.

    Kenward-Roger's F is scaled; its sum of squares takes the unscaled one.
    """

    num_df: int
    den_df: float
    statistic: float
    p: float
    sum_squares: float


def no_cap(_row: Floats) -> float:
    """The df of no linear function are limited."""
    return float("inf")


@dataclass(frozen=True)
class LinearModel:
    """Coefficients with a covariance and a rule for degrees of freedom.

    vcov (p, p) is what standard errors come from (Kenward-Roger's adjusted one under that method).
    df_one maps a row l (p,) to its df; joint maps L (k, p) to an F test.
    """

    frame: ModelFrame
    beta: Floats
    vcov: Floats
    sigma: float
    method: DfMethod
    df_one: Callable[[Floats], float]
    joint: Callable[[Floats], FTest]

    @cached_property
    def coefficients(self) -> TTest:
        """The test of every estimable coefficient against zero."""
        return self.test(np.eye(len(self.beta)))

    def test(self, rows: Floats) -> TTest:
        """t tests of rows @ beta = 0 for rows (k, p)."""
        estimate = rows @ self.beta
        se = np.sqrt(np.maximum(np.einsum("ka,ab,kb->k", rows, self.vcov, rows), 0.0))
        df = np.array([self.df_one(row) for row in rows])
        with np.errstate(divide="ignore", invalid="ignore"):
            statistic = np.where(se > 0.0, estimate / np.where(se > 0.0, se, 1.0), np.nan)
        return TTest(estimate, se, df, statistic, two_sided(statistic, df))


def linear_model(
    fit: MixedFit,
    method: DfMethod = "satterthwaite",
    information: Information | None = None,
    cap: DfCap = no_cap,
) -> LinearModel:
    """Tests of a mixed fit under a degrees-of-freedom method.

    information: shared between methods so that it is computed once. cap: an upper limit of the df
    of a linear function.

    Raises UsageError for Kenward-Roger on an ML fit and for residual df of a mixed model.
    """
    if method == "asymptotic":
        return normal_model(fit.frame, fit.beta, fit.vcov, fit.sigma, cap)
    known = information or Information(fit)
    if method == "satterthwaite":
        return _satterthwaite_model(fit, known.satterthwaite, cap)
    if method == "kenward-roger":
        if fit.method != "reml":
            raise UsageError(
                Problem("Kenward-Roger needs a REML fit", "an ML fit", "Use --method reml")
            )
        return _kenward_roger_model(fit, known.kenward_roger, cap)
    raise UsageError(
        Problem("a mixed model has no residual df", method, "Use satterthwaite or kenward-roger")
    )


def normal_model(
    frame: ModelFrame, beta: Floats, vcov: Floats, sigma: float, cap: DfCap = no_cap
) -> LinearModel:
    """Wald tests: normal, or t where `cap` limits the df."""

    def joint(rows: Floats) -> FTest:
        return _wald(beta, vcov, sigma, rows, max(cap(row) for row in rows))

    return LinearModel(frame, beta, vcov, sigma, "asymptotic", cap, joint)


def residual_model(
    frame: ModelFrame, beta: Floats, vcov: Floats, sigma: float, df: float
) -> LinearModel:
    """Tests of a least-squares fit with residual degrees of freedom."""
    return LinearModel(
        frame, beta, vcov, sigma, "residual", lambda _: df,
        lambda rows: _wald(beta, vcov, sigma, rows, df),
    )  # fmt: skip


def _satterthwaite_model(fit: MixedFit, pieces: Satterthwaite, cap: DfCap) -> LinearModel:
    def df_one(row: Floats) -> float:
        return float(np.minimum(satterthwaite_df(row, fit.vcov, pieces), cap(row)))

    def joint(rows: Floats) -> FTest:
        return _satterthwaite_joint(fit, df_one, rows)

    return LinearModel(fit.frame, fit.beta, fit.vcov, fit.sigma, "satterthwaite", df_one, joint)


def satterthwaite_df(row: Floats, vcov: Floats, pieces: Satterthwaite) -> float:
    """2 v^2 / (g'A g) with v = l Cov l' and g its slopes in the variance parameters."""
    variance = float(row @ vcov @ row)
    slopes = np.einsum("a,iab,b->i", row, pieces.vcov_slopes, row)
    spread = float(slopes @ pieces.covariance @ slopes)
    return 2.0 * variance**2 / spread if spread > 0.0 and variance > 0.0 else float("nan")


def _satterthwaite_joint(fit: MixedFit, df_one: Callable[[Floats], float], rows: Floats) -> FTest:
    """Independent one-df tests along the eigenvectors of L Cov L', pooled (lmerTest)."""
    values, vectors = np.linalg.eigh(rows @ fit.vcov @ rows.T)
    used = values > np.sqrt(np.finfo(float).eps) * max(float(values.max()), 0.0)
    values, directions = values[used], vectors[:, used].T @ rows
    statistics = (directions @ fit.beta) ** 2 / values
    df = np.array([df_one(row) for row in directions])
    return _f_test(float(statistics.mean()), len(values), pooled_df(df), fit.sigma)


def pooled_df(df: Floats) -> float:
    """Denominator df of a mean of squared t with these df: E = sum v/(v-2), 2E/(E-q)."""
    if len(df) == 1:
        return float(df[0])
    if np.all(np.abs(np.diff(df)) < SAME_DF):
        return float(df.mean())
    if np.any(df <= 2.0) or np.isnan(df).any():
        return 2.0
    total = float((df / (df - 2.0)).sum())
    return 2.0 * total / (total - len(df))


def _f_test(wald: float, num_df: int, den_df: float, sigma: float, scale: float = 1.0) -> FTest:
    statistic = scale * wald
    if np.isfinite(den_df):
        p = f_tail(statistic, num_df, den_df)
    else:
        p = chi2_tail(statistic * num_df, num_df)
    return FTest(num_df, den_df, statistic, p, wald * num_df * sigma**2)


def _wald(beta: Floats, vcov: Floats, sigma: float, rows: Floats, df: float) -> FTest:
    reduced = full_rank_rows(rows, vcov)
    value = reduced @ beta
    statistic = float(value @ np.linalg.solve(reduced @ vcov @ reduced.T, value)) / len(reduced)
    return _f_test(statistic, len(reduced), df, sigma)


def full_rank_rows(rows: Floats, vcov: Floats) -> Floats:
    """Independent combinations (r, p) of the rows, by the eigenvectors of L Cov L'."""
    values, vectors = np.linalg.eigh(rows @ vcov @ rows.T)
    used = values > 1e-10 * max(float(values.max()), 0.0)
    return np.asarray(vectors[:, used].T @ rows)


def _kenward_roger_model(fit: MixedFit, pieces: KenwardRoger, cap: DfCap) -> LinearModel:
    def df_one(row: Floats) -> float:
        own = kenward_roger_scale(row[None, :], fit.vcov, pieces)[1]
        return float(np.minimum(own, cap(row)))

    def joint(rows: Floats) -> FTest:
        reduced = full_rank_rows(rows, fit.vcov)
        scale, df = kenward_roger_scale(reduced, fit.vcov, pieces)
        df = float(np.minimum(df, max(cap(row) for row in rows)))
        value = reduced @ fit.beta
        wald = float(value @ np.linalg.solve(reduced @ pieces.vcov @ reduced.T, value))
        wald /= len(reduced)
        return _f_test(wald, len(reduced), df, fit.sigma, scale)

    return LinearModel(fit.frame, fit.beta, pieces.vcov, fit.sigma, "kenward-roger", df_one, joint)


def kenward_roger_scale(rows: Floats, vcov: Floats, pieces: KenwardRoger) -> tuple[float, float]:
    """The scale of F and its denominator df for L (q, p) of full rank; vcov is the unadjusted one.

    Kenward & Roger 1997, section 4: A1, A2, B, g, c1..c3, rho.
    """
    q = len(rows)
    theta = rows.T @ np.linalg.solve(rows @ vcov @ rows.T, rows)
    u = theta @ vcov @ pieces.p_matrices @ vcov
    spurs = np.einsum("iaa->i", u)
    a1 = float(spurs @ pieces.w @ spurs)
    a2 = float(np.einsum("ij,iab,jba->", pieces.w, u, u))
    if a2 <= 0.0:
        return 1.0, float("nan")
    b = (a1 + 6.0 * a2) / (2.0 * q)
    g = ((q + 1.0) * a1 - (q + 4.0) * a2) / ((q + 2.0) * a2)
    divisor = 3.0 * q + 2.0 * (1.0 - g)
    v0 = 1.0 + g / divisor * b
    v1 = 1.0 - (q - g) / divisor * b
    v2 = 1.0 - (q + 2.0 - g) / divisor * b
    v0 = 0.0 if abs(v0) < 1e-10 else v0
    shrink = 1.0 - a2 / q
    ratio = 1.0 if abs(shrink) < 1e-14 and abs(v1) < 1e-14 else shrink / v1
    rho = ratio**2 * v0 / v2 / q
    df = 4.0 + (q + 2.0) / (q * rho - 1.0)
    scale = 1.0 if abs(df - 2.0) < 1e-2 else df * shrink / (df - 2.0)
    return scale, df
