"""Meta-analysis of per-context effects: equal effects and seven estimators of tau2, moderators.

y_i = x_i'beta + u_i + e_i, Var(u_i) = tau2, Var(e_i) = v_i known. Sources: Viechtbauer 2005
(J. Educ. Behav. Stat. 30) and 2010 (J. Stat. Softw. 36/3) for DL, HE, SJ, ML, REML, PM; Knapp &
Hartung 2003 (Statistics in Medicine 22); Viechtbauer 2007 (same, 26) for the Q-profile interval;
Riley, Higgins & Deeks 2011 (BMJ 342) for prediction intervals.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from ablatekit.analysis.core.arrays import Floats
from ablatekit.analysis.core.roots import bracketed_root
from ablatekit.analysis.core.schema.vocabulary import Statement, statement
from ablatekit.analysis.core.student import t_quantile, two_sided
from ablatekit.analysis.core.tails import chi2_quantile, chi2_tail, f_tail
from ablatekit.errors import NotEstimableError, Problem, UsageError

TauMethod: TypeAlias = Literal["EE", "DL", "REML", "ML", "PM", "HE", "SJ"]
MetaTest: TypeAlias = Literal["z", "knha"]


@dataclass(frozen=True, slots=True)
class Heterogeneity:
    """Q-profile limits of tau2 and of I2 (percent); NaN with the reason where there are none."""

    tau2: tuple[float, float]
    i2: tuple[float, float]
    reason: Statement | None = None


@dataclass(frozen=True, slots=True)
class MetaAnalysis:
    """A fitted meta-analytic model; arrays (p,) per coefficient, (k,) per study.

    The prediction interval (intercept-only models) is for the true effect in one new study: t with
    k - p df under Knapp-Hartung, normal otherwise. blup, blup_se: shrunken true effects.
    """

    method: TauMethod
    test: MetaTest
    beta: Floats
    se: Floats
    statistic: Floats
    p: Floats
    low: Floats
    high: Floats
    tau2: float
    tau2_se: float
    i2: float
    h2: float
    q: float
    q_p: float
    moderator_q: float
    moderator_p: float
    log_likelihood: float
    r2: float
    prediction_low: float
    prediction_high: float
    blup: Floats
    blup_se: Floats
    heterogeneity: Heterogeneity | None


@dataclass(frozen=True, slots=True)
class _Studies:
    y: Floats
    v: Floats
    x: Floats

    @property
    def df(self) -> int:
        return len(self.y) - int(self.x.shape[1])

    def weighted(self, tau2: float) -> tuple[Floats, Floats, Floats]:
        """Weights (k,), beta (p,), Cov(beta) (p, p) at tau2."""
        w = 1.0 / (self.v + tau2)
        covariance = np.asarray(np.linalg.inv((self.x * w[:, None]).T @ self.x), dtype=np.float64)
        return w, covariance @ (self.x.T @ (w * self.y)), covariance

    def q(self, tau2: float) -> float:
        """The weighted residual sum of squares at tau2."""
        w, beta, _ = self.weighted(tau2)
        return float((w * (self.y - self.x @ beta) ** 2).sum())

    def projection(self, tau2: float) -> Floats:
        """P = W - W X (X'WX)^-1 X'W, (k, k)."""
        w, _, covariance = self.weighted(tau2)
        wx = self.x * w[:, None]
        return np.asarray(np.diag(w) - wx @ covariance @ wx.T)


def meta_analysis(
    y: Floats,
    v: Floats,
    *,
    moderators: Floats | None = None,
    method: TauMethod = "REML",
    test: MetaTest = "knha",
    level: float = 0.95,
) -> MetaAnalysis:
    """Combine k effects y (k,) with known sampling variances v (k,).

    moderators: (k, m) columns besides the intercept. Raises NotEstimableError for no more studies
    than coefficients or, under Knapp-Hartung, effects without any spread; UsageError for variances
    that are not positive.
    """
    y, v = np.asarray(y, dtype=np.float64), np.asarray(v, dtype=np.float64)
    bad = np.flatnonzero(~(np.isfinite(v) & (v > 0.0)))
    if len(bad):
        shown = f"{v[bad[0]]:g} in row {bad[0] + 1}"
        raise UsageError(Problem("sampling variances must be positive and finite", shown))
    columns = np.ones((len(y), 1))
    if moderators is not None:
        columns = np.hstack([columns, np.asarray(moderators, dtype=np.float64).reshape(len(y), -1)])
    studies = _Studies(y, v, columns)
    if studies.df < 1:
        raise NotEstimableError(
            f"{len(y)} studies cannot estimate {columns.shape[1]} coefficients and their spread"
        )
    tau2 = estimate_tau2(studies, method)
    if test == "knha" and studies.q(tau2) < 1e-20 * float((y**2 / v).sum()):
        raise NotEstimableError(
            "the effects do not vary at all around their fit, so Knapp and Hartung's standard error"
            " is 0: use --df asymptotic"
        )
    return _report(studies, method, test, tau2, level)


def estimate_tau2(studies: _Studies, method: TauMethod) -> float:
    """The between-study variance, never negative."""
    y, v, x = studies.y, studies.v, studies.x
    if method == "EE":
        return 0.0
    if method == "DL":
        return max((studies.q(0.0) - studies.df) / float(np.trace(studies.projection(0.0))), 0.0)
    if method in ("HE", "SJ"):
        hat = np.eye(len(y)) - x @ np.linalg.pinv(x)
        plain = float(y @ hat @ y)
        if method == "HE":
            return max((plain - float(np.trace(hat * v))) / studies.df, 0.0)
        start = float(np.var(y))
        # Sidik & Jonkman 2005: Q with weights 1/(v/start + 1), which is start times Q at start.
        return start * studies.q(start) / studies.df if start > 0.0 else 0.0
    if method == "PM":
        return _root_or_zero(lambda t: studies.q(t) - studies.df)
    return _likelihood_tau2(studies, restricted=method == "REML")


def _likelihood_tau2(studies: _Studies, restricted: bool) -> float:
    """The global maximum of the (restricted) likelihood over tau2 >= 0."""
    scale = float(np.var(studies.y)) + float(studies.v.max())
    grid = np.concatenate([[0.0], scale * np.logspace(-6, 2, 60)])
    values = np.array([_deviance(studies, t, restricted) for t in grid])
    best = int(values.argmin())
    low, high = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]

    def score(tau2: float) -> float:
        p = studies.projection(tau2)
        py = p @ studies.y
        w = 1.0 / (studies.v + tau2)
        return float((np.trace(p) if restricted else w.sum()) - py @ py)

    if best == 0 and score(0.0) >= 0.0:
        return 0.0
    if score(low) * score(high) > 0.0:
        return float(grid[best])
    return bracketed_root(score, float(low), float(high), 1e-15, 1e-14)


def _deviance(studies: _Studies, tau2: float, restricted: bool) -> float:
    w, _, covariance = studies.weighted(tau2)
    value = studies.q(tau2) - float(np.log(w).sum())
    return value - float(np.linalg.slogdet(covariance)[1]) if restricted else value


def _root_or_zero(function: Callable[[float], float]) -> float:
    """The root over tau2 >= 0 of a decreasing function; 0 when it is negative there already."""
    if function(0.0) <= 0.0:
        return 0.0
    high = 1.0
    while function(high) > 0.0:
        high *= 4.0
    return bracketed_root(function, 0.0, high, 1e-15, 1e-14)


def _report(
    studies: _Studies, method: TauMethod, test: MetaTest, tau2: float, level: float
) -> MetaAnalysis:
    p = studies.x.shape[1]
    _, beta, covariance = studies.weighted(tau2)
    knapp = test == "knha"
    if knapp:
        covariance = covariance * studies.q(tau2) / studies.df
    se = np.sqrt(covariance.diagonal())
    statistic = beta / se
    df = studies.df if knapp else np.inf
    critical = float(t_quantile(0.5 + level / 2.0, df))
    moderator_q, moderator_p = _moderator_test(studies, beta, covariance, knapp)
    typical = studies.df / float(np.trace(studies.projection(0.0)))
    predictive = critical * float(np.sqrt(tau2 + se[0] ** 2)) if p == 1 else float("nan")
    blup, blup_se = _blups(studies, tau2, beta, covariance)
    q = studies.q(0.0)
    fixed_only = method == "EE"
    h2 = q / studies.df if fixed_only else tau2 / typical + 1.0
    i2 = max(100.0 * (h2 - 1.0) / h2, 0.0) if h2 > 0.0 else 0.0
    return MetaAnalysis(
        method=method,
        test=test,
        beta=beta,
        se=se,
        statistic=statistic,
        p=two_sided(statistic, df),
        low=beta - critical * se,
        high=beta + critical * se,
        tau2=tau2,
        tau2_se=_tau2_se(studies, method, tau2),
        i2=i2,
        h2=h2,
        q=q,
        q_p=chi2_tail(q, studies.df),
        moderator_q=moderator_q,
        moderator_p=moderator_p,
        log_likelihood=_log_likelihood(studies, method, tau2),
        r2=_r2(studies, method, tau2),
        prediction_low=float(beta[0]) - predictive,
        prediction_high=float(beta[0]) + predictive,
        blup=blup,
        blup_se=blup_se,
        heterogeneity=None if fixed_only else q_profile(studies, level, typical),
    )


def _moderator_test(
    studies: _Studies, beta: Floats, covariance: Floats, knapp: bool
) -> tuple[float, float]:
    """Wald test of the moderators, of the intercept when there are none."""
    rows = slice(1, None) if len(beta) > 1 else slice(None)
    count = len(beta[rows])
    value = float(beta[rows] @ np.linalg.solve(covariance[rows, rows], beta[rows]))
    if knapp:
        return value / count, f_tail(value / count, count, studies.df)
    return value, chi2_tail(value, count)


def _blups(
    studies: _Studies, tau2: float, beta: Floats, covariance: Floats
) -> tuple[Floats, Floats]:
    """Shrunken true effects lambda y + (1 - lambda) x'beta and their standard errors."""
    share = tau2 / (tau2 + studies.v)
    fitted = studies.x @ beta
    spread = np.einsum("ka,ab,kb->k", studies.x, covariance, studies.x)
    variance = share * studies.v + (1.0 - share) ** 2 * spread
    return share * studies.y + (1.0 - share) * fitted, np.sqrt(variance)


def _tau2_se(studies: _Studies, method: TauMethod, tau2: float) -> float:
    """The large-sample standard error of tau2 under normality."""
    if method == "EE":
        return float("nan")
    projection = studies.projection(tau2)
    w = 1.0 / (studies.v + tau2)
    total = float((projection * projection.T).sum())
    if method == "ML":
        return float(np.sqrt(2.0 / (w**2).sum()))
    if method == "REML":
        return float(np.sqrt(2.0 / total))
    if method == "PM":
        return float(len(w) * np.sqrt(2.0 / studies.df) / w.sum())
    spread = np.diag(studies.v + tau2)
    if method == "HE":
        weights = np.eye(len(studies.y)) - studies.x @ np.linalg.pinv(studies.x)
        scale = float(studies.df)
    elif method == "SJ":
        start = float(np.var(studies.y))
        weights = studies.projection(start) * start
        scale = float(studies.df)
    else:
        weights = studies.projection(0.0)
        scale = float(np.trace(weights))
    product = weights @ spread
    return float(np.sqrt(2.0 * np.trace(product @ product)) / scale)


def _log_likelihood(studies: _Studies, method: TauMethod, tau2: float) -> float:
    """Maximised log likelihood, restricted under REML (metafor's constants)."""
    k, p = studies.x.shape
    value = _deviance(studies, tau2, restricted=method == "REML")
    if method != "REML":
        return float(-0.5 * (k * np.log(2.0 * np.pi) + value))
    determinant = float(np.linalg.slogdet(studies.x.T @ studies.x)[1])
    return float(-0.5 * ((k - p) * np.log(2.0 * np.pi) + value - determinant))


def _r2(studies: _Studies, method: TauMethod, tau2: float) -> float:
    """Percent of the heterogeneity without moderators that they account for; 0 if there is none."""
    if studies.x.shape[1] == 1:
        return float("nan")
    plain = _Studies(studies.y, studies.v, np.ones((len(studies.y), 1)))
    if method == "EE":
        before, after = plain.q(0.0) / plain.df, studies.q(0.0) / studies.df
        return max(100.0 * (before - after) / before, 0.0)
    before = estimate_tau2(plain, method)
    return max(100.0 * (before - tau2) / before, 0.0) if before > 0.0 else 0.0


def q_profile(studies: _Studies, level: float, typical: float) -> Heterogeneity:
    """The tau2 >= 0 at which the generalised Q statistic lies between the chi2 quantiles.

    None does where the effects differ less than their sampling variances let them.
    """
    tail = (1.0 - level) / 2.0
    high_q = chi2_quantile(1.0 - tail, studies.df)
    low_q = chi2_quantile(tail, studies.df)
    if studies.q(0.0) < low_q:
        nothing = (float("nan"), float("nan"))
        return Heterogeneity(nothing, nothing, statement("empty_q_profile"))
    low = _root_or_zero(lambda t: studies.q(t) - high_q)
    high = _root_or_zero(lambda t: studies.q(t) - low_q)
    return Heterogeneity(
        (low, high), (100.0 * low / (low + typical), 100.0 * high / (high + typical))
    )
