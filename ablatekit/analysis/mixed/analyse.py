"""One table and one formula -> one response of `analysis.json` (DESIGN 3.5), as plain values.

The keys are those of `ablatekit.analysis.schema.ResponseAnalysis`, with three more: `means` (the
marginal means of every factor), `explained` (marginal and conditional R2) and `convergence`.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import asdict
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd
from scipy import stats

from ablatekit.analysis.mixed.anova import AnovaType, anova
from ablatekit.analysis.mixed.design import Array, Coding
from ablatekit.analysis.mixed.fit import Method, MixedFit, fit_mixed
from ablatekit.analysis.mixed.formula import parse_formula, variables_of
from ablatekit.analysis.mixed.frame import ModelFrame, build_frame
from ablatekit.analysis.mixed.glmm import LogisticFit, fit_logistic
from ablatekit.analysis.mixed.marginal import marginal_effects
from ablatekit.analysis.mixed.ols import LeastSquares, fit_ols, ols_anova
from ablatekit.analysis.mixed.rows import (
    anova_row,
    effect_shell,
    effect_tables,
    fixed_rows,
    holm_rows,
    plain,
    verdict,
)
from ablatekit.analysis.mixed.tests import DfMethod, LinearModel, TTest, linear_model
from ablatekit.analysis.mixed.variance import variance_explained
from ablatekit.errors import Problem, UsageError, nearest

FamilyName: TypeAlias = Literal["gaussian", "binomial"]
RESIDUAL_ROWS = 5000


def analyse_formula(
    frame: pd.DataFrame,
    formula: str,
    method: Method = "reml",
    df: DfMethod = "satterthwaite",
    family: FamilyName = "gaussian",
    weights: str | None = None,
    contrasts: Sequence[str] = (),
    *,
    factors: Collection[str] = (),
    coding: Coding = "treatment",
    anova_type: AnovaType = "III",
    direction: Literal["higher", "lower"] = "higher",
    smallest_effect: float | None = None,
    alpha: float = 0.05,
) -> dict[str, Any]:
    """Fit a formula in lme4 syntax and report it.

    contrasts: `FACTOR` or `FACTOR:BASELINE`; by default every categorical variable against its
    first level. factors: numeric columns to read as categorical. Without random terms the model is
    least squares with residual df. Raises TableError, UsageError or NotEstimableError with the
    reason.
    """
    parsed = parse_formula(formula)
    model = build_frame(frame, parsed, weights=weights, factors=factors, coding=coding)
    wanted = _wanted(model, contrasts)
    if family == "binomial":
        report = _logistic_report(fit_logistic(model), wanted, alpha)
    elif parsed.random:
        fit = fit_mixed(model, method)
        report = _mixed_report(fit, linear_model(fit, df), anova_type, wanted, alpha)
    else:
        report = _ols_report(fit_ols(model), anova_type, wanted, alpha)
    for effect in report["effects"]:
        effect["verdict"] = verdict(effect, direction, smallest_effect, alpha)
    report["footers"] = {**_footers(), **report["footers"]}
    shell: dict[str, Any] = {
        "label": parsed.response,
        "metric": parsed.response,
        "summary": "as given",
        "direction": direction,
        "smallest_effect": smallest_effect,
        "unit": "log odds" if family == "binomial" else "",
        "contexts": [],
        "heterogeneity": [],
        "missing": _missing(model),
    }
    out: dict[str, Any] = plain({**shell, **report})
    return out


def _wanted(frame: ModelFrame, contrasts: Sequence[str]) -> list[tuple[str, str | None]]:
    """(factor, baseline level or None) for every requested contrast."""
    fixed = variables_of(frame.formula.terms)
    known = [name for name in fixed if frame.variables[name].categorical]
    if not contrasts:
        return [(name, None) for name in known]
    out: list[tuple[str, str | None]] = []
    for text in contrasts:
        name, _, baseline = text.partition(":")
        matches = [n for n in known if n == name or n.startswith((f"C({name})", f"C({name},"))]
        if not matches:
            raise UsageError(
                Problem(
                    "contrasts need a categorical variable of the formula",
                    name,
                    nearest(name, known),
                )
            )
        levels = frame.variables[matches[0]].levels
        if baseline and baseline not in levels:
            raise UsageError(
                Problem(f"{name} has no such level", baseline, nearest(baseline, levels))
            )
        out.append((matches[0], baseline or None))
    return out


def _mixed_report(
    fit: MixedFit,
    model: LinearModel,
    kind: AnovaType,
    wanted: list[tuple[str, str | None]],
    alpha: float,
) -> dict[str, Any]:
    explained = variance_explained(fit)
    effects, means = effect_tables(model, wanted, alpha)
    return {
        "model": {
            "formula": fit.frame.formula.text,
            "method": fit.method,
            "n": fit.n,
            "criterion": fit.criterion,
            "converged": fit.convergence.converged,
            "singular": fit.singular,
            "messages": [*_messages(fit.frame), *_fit_messages(fit, model)],
        },
        "residual_sd": fit.sigma,
        "random": [
            {"group": c.group, "name": c.name, "variance": c.variance, "sd": c.sd}
            for c in fit.components
            if c.other is None
        ],
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
        "fixed": fixed_rows(model.coefficients, fit.names, alpha),
        "anova": [anova_row(term) for term in anova(model, kind)],
        "anova_note": f"type {kind}, {model.method}",
        "effects": effects,
        "means": means,
        "explained": {
            "marginal": explained.marginal,
            "conditional": explained.conditional,
            "icc": explained.icc_adjusted,
        },
        "convergence": asdict(fit.convergence),
        "log_likelihood": fit.log_likelihood,
        "aic": fit.aic,
        "bic": fit.bic,
        "diagnostics": _diagnostics(fit.frame, fit.fitted()),
        "footers": {},
    }


def _ols_report(
    fit: LeastSquares, kind: AnovaType, wanted: list[tuple[str, str | None]], alpha: float
) -> dict[str, Any]:
    model = fit.model
    effects, means = effect_tables(model, wanted, alpha)
    rows = ols_anova(fit, kind)
    total = sum(row.sum_squares for row in rows if not math.isnan(row.sum_squares))
    total += fit.sigma**2 * fit.df
    return {
        "model": {
            "formula": fit.frame.formula.text,
            "method": "ols",
            "n": len(fit.frame.y),
            "criterion": -2.0 * fit.log_likelihood,
            "converged": True,
            "singular": False,
            "messages": _messages(fit.frame),
        },
        "residual_sd": fit.sigma,
        "fixed": fixed_rows(model.coefficients, fit.names, alpha),
        "anova": [
            {
                "term": row.term,
                "num_df": row.num_df,
                "den_df": fit.df,
                "statistic": row.statistic,
                "p": row.p,
                "partial_eta2": row.eta2_partial.value,
                "partial_omega2": row.omega2_partial.value,
                "share": row.sum_squares / total,
                "reason": None if row.num_df else "the term is aliased with earlier ones",
            }
            for row in rows
        ],
        "anova_note": f"type {kind}, residual df",
        "effects": effects,
        "means": means,
        "explained": {"marginal": fit.r2, "conditional": fit.r2, "icc": None},
        "log_likelihood": fit.log_likelihood,
        "aic": fit.aic,
        "bic": fit.bic,
        "diagnostics": _diagnostics(fit.frame, fit.frame.y - fit.residuals),
        "footers": {},
    }


def _logistic_report(
    fit: LogisticFit, wanted: list[tuple[str, str | None]], alpha: float
) -> dict[str, Any]:
    size = len(fit.beta)
    normal = TTest(fit.beta, fit.se, np.full(size, np.inf), fit.beta / fit.se, fit.p)
    asked = dict(wanted)
    effects = [
        {
            **effect_shell(e.factor, e.level, e.baseline, "average", "asymptotic"),
            "estimate": e.estimate,
            "se": e.se,
            "low": e.low,
            "high": e.high,
            "p": e.p,
        }
        for e in marginal_effects(fit, 1.0 - alpha)
        if e.factor in asked
    ]
    holm_rows(effects)
    return {
        "model": {
            "formula": fit.frame.formula.text,
            "method": "laplace",
            "n": len(fit.frame.y),
            "criterion": fit.minus2ll,
            "converged": fit.converged,
            "singular": fit.singular,
            "messages": _messages(fit.frame),
        },
        "residual_sd": None,
        "random": [
            {"group": name.rpartition(".")[0], "name": name.rpartition(".")[2],
             "variance": float(value**2), "sd": float(value)}
            for name, value in zip(fit.theta_names, fit.theta, strict=True)
        ],
        "fixed": fixed_rows(normal, fit.names, alpha),
        "anova": [],
        "anova_note": "no ANOVA table for a logistic mixed model",
        "effects": effects,
        "means": [],
        "explained": {},
        "log_likelihood": -fit.minus2ll / 2.0,
        "diagnostics": _diagnostics(fit.frame, 1.0 / (1.0 + np.exp(-fit.linear_predictor))),
        "footers": {
            "effects": "average marginal effects in probability, random effects at their modes;"
            " intervals are normal; coefficients are log odds"
        },
    }  # fmt: skip


def _messages(frame: ModelFrame) -> list[str]:
    out = []
    if frame.rows_dropped:
        out.append(f"{frame.rows_dropped} rows with a missing value were left out")
    if frame.aliased:
        out.append(
            "rank-deficient fixed effects: dropped "
            + ", ".join(frame.aliased)
            + " (the design cannot separate them from earlier terms)"
        )
    return out


def _fit_messages(fit: MixedFit, model: LinearModel) -> list[str]:
    out = list(fit.convergence.messages)
    if fit.singular:
        zero = [
            f"{c.group} {c.name}"
            for c in fit.components
            if c.other is None and c.sd < 1e-4 * fit.sigma
        ]
        detail = f" ({', '.join(zero)} estimated as zero)" if zero else ""
        out.append(f"singular fit: the variance parameters lie on their boundary{detail}")
    few = [
        f"{term.spec.grouping} ({len(term.levels)})"
        for term in fit.frame.random
        if len(term.levels) < 5
    ]
    if few:
        out.append(f"variances of groupings with < 5 levels are hardly estimable: {', '.join(few)}")
    if model.method == "kenward-roger" and np.any(model.coefficients.df < 2.0):
        out.append("some Kenward-Roger df are below 2: those tests say next to nothing")
    return out


def _footers() -> dict[str, str]:
    return {
        "effects": "equal-weight marginal means; p adjusted by Holm within the family of all"
        " level-against-baseline effects; intervals are per comparison",
    }


def _missing(frame: ModelFrame) -> dict[str, Any]:
    return {
        "policy": "rows with a missing value are left out",
        "runs": [],
        "by_level": [],
        "messages": _messages(frame)[:1] if frame.rows_dropped else [],
    }


def _diagnostics(frame: ModelFrame, fitted: Array) -> dict[str, Any]:
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
