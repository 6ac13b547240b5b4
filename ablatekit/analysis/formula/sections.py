"""Sections of `analysis.json` that come from one fit: what was estimated, and how well."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from ablatekit.analysis.core.arrays import Floats
from ablatekit.analysis.core.schema.vocabulary import Statement, statement
from ablatekit.analysis.engine.fit import MixedFit, VarianceComponent
from ablatekit.analysis.engine.formula import quoted
from ablatekit.analysis.engine.frame import ModelFrame
from ablatekit.analysis.engine.glmm import LogisticFit
from ablatekit.analysis.formula.rows import ALIASED, size_keys
from ablatekit.analysis.posthoc.likelihood import LikelihoodRatio, RandomTermTest
from ablatekit.analysis.posthoc.ols import LeastSquares, OlsAnovaRow, RobustCovariance, robust_vcov
from ablatekit.analysis.posthoc.variance import VarianceInterval, term_variances, variance_explained
from ablatekit.analysis.stats.meta import MetaAnalysis

RESIDUAL_ROWS = 5000
ZERO_SD = 1e-4
FEWEST_LEVELS = 5
NO_CONTEXTS = statement("no_contexts_in_formula")
LOGISTIC_VARIANCE = math.pi**2 / 3.0  # of the standard logistic distribution, the residual's


def model_record(
    frame: ModelFrame, method: Statement, criterion: float, messages: Sequence[Statement]
) -> dict[str, Any]:
    """The model and what to know about its fit, before convergence is added."""
    return {
        "formula": frame.formula.text,
        "method": method,
        "n": len(frame.y),
        "criterion": criterion,
        "converged": True,
        "singular": False,
        "messages": list(messages),
    }


def matrix(names: Sequence[str], values: Floats) -> dict[str, Any]:
    """A covariance of coefficients with their names."""
    return {"terms": list(names), "values": values}


def likelihood(fit: MixedFit | LogisticFit | LeastSquares) -> dict[str, Any]:
    """log likelihood, parameters, AIC and BIC (with the number of rows)."""
    size = len(fit.beta) + 1 if isinstance(fit, LeastSquares) else fit.parameters
    value = fit.log_likelihood
    return {
        "log_likelihood": value,
        "parameters": size,
        "aic": -2.0 * value + 2.0 * size,
        "bic": -2.0 * value + float(np.log(len(fit.frame.y))) * size,
    }


def variances(fit: MixedFit | LogisticFit) -> dict[str, Any]:
    """Variances, correlations, and theta under lme4's names."""
    levels = {term.spec.grouping: len(term.levels) for term in fit.frame.random}

    def row(c: VarianceComponent) -> dict[str, Any]:
        return {
            "group": c.group,
            "name": c.name,
            "variance": c.variance,
            "sd": c.sd,
            "levels": levels[c.group],
        }

    return {
        "random": [row(c) for c in fit.components if c.other is None],
        "correlations": [
            {
                "group": c.group,
                "name": c.name,
                "other": c.other,
                "covariance": c.variance,
                "correlation": c.sd,
            }
            for c in fit.components
            if c.other is not None
        ],
        "theta": dict(zip(fit.theta_names, fit.theta.tolist(), strict=True)),
    }


def random_effects(fit: MixedFit) -> list[dict[str, Any]]:
    """Conditional modes of every random term, one list per column, in the order of `levels`."""
    return [
        {
            "group": own.group,
            "levels": list(own.levels),
            "columns": {name: own.modes[:, j] for j, name in enumerate(own.names)},
        }
        for own in fit.random_effects()
    ]


def explained(fit: MixedFit) -> dict[str, Any]:
    """Marginal and conditional R2, intraclass correlations, and every term's share of variance."""
    own = variance_explained(fit)
    total = own.fixed + own.random + own.residual
    parts = [("fixed effects", own.fixed), *term_variances(fit), ("residual", own.residual)]
    return {
        "marginal": own.marginal,
        "conditional": own.conditional,
        "icc": own.icc_adjusted,
        "icc_unadjusted": own.icc_unadjusted,
        "fixed_variance": own.fixed,
        "random_variance": own.random,
        "residual_variance": own.residual,
        "shares": [
            {"term": term, "variance": value, "share": value / total} for term, value in parts
        ],
    }


def logistic_explained(fit: LogisticFit) -> dict[str, Any]:
    """The same on the log-odds scale, with the variance of the logistic distribution."""
    frame = fit.frame
    linear = frame.x @ fit.beta
    n = len(frame.y)
    fixed = float(frame.counts @ (linear - frame.counts @ linear / n) ** 2 / (n - 1))
    random = 0.0
    for term in frame.random:
        own = _covariance(fit.components, term.spec.grouping, term.names)
        per_cell = np.einsum("ca,ab,cb->c", term.columns, own, term.columns)
        random += float(frame.counts @ per_cell / n)
    total = fixed + random + LOGISTIC_VARIANCE
    return {"marginal": fixed / total, "conditional": (fixed + random) / total}


def _covariance(
    components: Sequence[VarianceComponent], group: str, names: Sequence[str]
) -> Floats:
    out = np.zeros((len(names), len(names)))
    for c in components:
        if c.group == group and c.name in names and (c.other is None or c.other in names):
            a, b = names.index(c.name), names.index(c.other or c.name)
            out[a, b] = out[b, a] = c.variance
    return out


def ols_anova_rows(fit: LeastSquares, rows: Sequence[OlsAnovaRow]) -> list[dict[str, Any]]:
    """ANOVA of a least-squares fit, with every effect size and its interval."""
    error = fit.sigma**2 * fit.df
    total = error + sum(row.sum_squares for row in rows if not math.isnan(row.sum_squares))
    return [
        {
            "term": row.term,
            "num_df": row.num_df,
            "den_df": fit.df,
            "statistic": row.statistic,
            "p": row.p,
            "sum_squares": row.sum_squares,
            "mean_square": row.sum_squares / row.num_df if row.num_df else None,
            **size_keys("partial_eta2", row.eta2_partial),
            **size_keys("partial_omega2", row.omega2_partial),
            **size_keys("partial_epsilon2", row.epsilon2_partial),
            **size_keys("eta2", row.eta2),
            **size_keys("cohens_f", row.cohens_f),
            "share": row.sum_squares / total,
            "reason": None if row.num_df else ALIASED,
        }
        for row in rows
    ]


def robust_covariances(fit: LeastSquares) -> dict[str, Any]:
    """Heteroscedasticity-consistent covariances of the coefficients."""
    kinds: tuple[RobustCovariance, ...] = ("hc0", "hc1", "hc2", "hc3")
    return {kind: robust_vcov(fit, kind) for kind in kinds}


def ratio_record(against: str, test: LikelihoodRatio) -> dict[str, Any]:
    """A likelihood-ratio test; the smaller model's numbers come first in both pairs."""
    return {
        "against": against,
        "statistic": test.statistic,
        "df": test.df,
        "p": test.p,
        "log_likelihoods": list(test.log_likelihoods),
        "parameters": list(test.parameters),
    }


def random_test_rows(tests: Sequence[RandomTermTest]) -> list[dict[str, Any]]:
    """The likelihood-ratio test of every random term; numbers are those of the reduced model."""
    return [
        {
            "term": test.term,
            "parameters": test.parameters,
            "log_likelihood": test.log_likelihood,
            "statistic": test.statistic,
            "df": test.df,
            "p": test.p,
        }
        for test in tests
    ]


def interval_rows(intervals: Sequence[VarianceInterval], method: str) -> list[dict[str, Any]]:
    """Limits of standard deviations, the residual's last."""
    return [
        {
            "group": own.group,
            "name": own.name,
            "sd": own.estimate,
            "low": own.low,
            "high": own.high,
            "method": method,
            "reason": own.reason,
        }
        for own in intervals
    ]


def meta_record(fit: MetaAnalysis) -> dict[str, Any]:
    """Heterogeneity, its tests, the prediction interval and the shrunken effects."""
    limits = fit.heterogeneity
    simple = len(fit.beta) == 1
    return {
        "estimator": fit.method,
        "test": fit.test,
        "tau2": fit.tau2,
        "tau2_se": fit.tau2_se,
        "tau2_low": limits.tau2[0] if limits else None,
        "tau2_high": limits.tau2[1] if limits else None,
        "i2": fit.i2,
        "i2_low": limits.i2[0] if limits else None,
        "i2_high": limits.i2[1] if limits else None,
        "h2": fit.h2,
        "q": fit.q,
        "q_p": fit.q_p,
        "moderator_statistic": fit.moderator_q,
        "moderator_p": fit.moderator_p,
        "r2": fit.r2,
        "prediction_low": fit.prediction_low if simple else None,
        "prediction_high": fit.prediction_high if simple else None,
        "blup": fit.blup,
        "blup_se": fit.blup_se,
    }


def without_contexts(effects: Sequence[Mapping[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The sections per context: a row with its reason for every average effect of a formula."""
    rows = [
        {"factor": row["factor"], "level": row["level"], "reason": NO_CONTEXTS}
        for row in effects
        if row["estimand"] == "average"
    ]
    numbers = dict.fromkeys(("estimate", "se", "low", "high"))
    spread = dict.fromkeys(("tau", "i2", "prediction_low", "prediction_high", "warning"))
    return {
        "contexts": [{**row, "context": "all rows", **numbers} for row in rows],
        "heterogeneity": [{**row, **spread} for row in rows],
    }


def missing(frame: ModelFrame) -> dict[str, Any]:
    """Rows that were left out."""
    told = frame_messages(frame)[:1] if frame.rows_dropped else []
    policy = statement("complete_rows_policy")
    return {"policy": policy, "runs": [], "by_level": [], "messages": told}


def frame_messages(frame: ModelFrame) -> list[Statement]:
    """Rows left out and coefficients dropped."""
    messages = []
    if frame.rows_dropped:
        messages.append(statement("rows_left_out", rows=frame.rows_dropped))
    if frame.aliased:
        messages.append(statement("terms_aliased", terms=list(frame.aliased)))
    return messages


def fit_messages(fit: MixedFit) -> list[Statement]:
    """How far the fit can be trusted."""
    return [*fit.convergence.messages, *variance_messages(fit, fit.sigma)]


def variance_messages(fit: MixedFit | LogisticFit, scale: float) -> list[Statement]:
    """Variances at zero, which is an sd below 1e-4 of `scale`, and groupings of few levels."""
    messages = []
    if fit.singular:
        zero = [
            f"{c.group} {c.name}"
            for c in fit.components
            if c.other is None and c.sd < ZERO_SD * scale
        ]
        messages.append(statement("singular", zero=zero))
    few = [term for term in fit.frame.random if len(term.levels) < FEWEST_LEVELS]
    if few:
        groups = [quoted(term.spec.grouping) for term in few]
        levels = [len(term.levels) for term in few]
        messages.append(statement("few_levels", groups=groups, levels=levels))
    return messages


def diagnostics(frame: ModelFrame, fitted: Floats) -> dict[str, Any]:
    """Residuals against normal quantiles, for at most 5000 rows evenly spread over the table."""
    residual = frame.y - fitted
    rows = np.linspace(0, len(residual) - 1, min(len(residual), RESIDUAL_ROWS)).astype(np.intp)
    ranks = stats.rankdata(residual[rows])
    quantile = stats.norm.ppf((ranks - 0.375) / (len(rows) + 0.25))
    worst = int(np.abs(residual).argmax())
    return {
        "residuals": {
            "fitted": fitted[rows],
            "residual": residual[rows],
            "normal_quantile": quantile,
            "row": rows,
        },
        "brown_forsythe_p": None,
        "largest_residual": {"row": worst, "residual": residual[worst]},
        "near_bounds": [],
        "step_zero": None,
        "messages": [],
    }


def plain(value: Any) -> Any:
    """Python values only: arrays to lists, NaN and infinities to None."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return [plain(item) for item in value.tolist()]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
