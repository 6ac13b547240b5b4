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

from ablatekit.analysis.mixed.adjust import critical_values
from ablatekit.analysis.mixed.anova import AnovaTerm, AnovaType, anova
from ablatekit.analysis.mixed.design import Array, Coding
from ablatekit.analysis.mixed.effectsize import partial_size
from ablatekit.analysis.mixed.emm import Family, contrast_table, means_table
from ablatekit.analysis.mixed.fit import Method, MixedFit, fit_mixed
from ablatekit.analysis.mixed.formula import parse_formula, variables_of
from ablatekit.analysis.mixed.frame import ModelFrame, build_frame
from ablatekit.analysis.mixed.glmm import LogisticFit, fit_logistic, marginal_effects
from ablatekit.analysis.mixed.ols import LeastSquares, fit_ols, ols_anova
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

    contrasts: `FACTOR` or `FACTOR:BASELINE`; by default every categorical variable against its first
    level. factors: numeric columns to read as categorical. Without random terms the model is least
    squares with residual df. Raises TableError, UsageError or NotEstimableError with the reason.
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
        effect["verdict"] = _verdict(effect, direction, smallest_effect, alpha)
    report["footers"] = {**_footers(model), **report["footers"]}
    shell = {
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
    out: dict[str, Any] = _plain({**shell, **report})
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
    effects, means = _effects(model, wanted, alpha)
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
        "fixed": _fixed(model.coefficients, fit.names, alpha),
        "anova": [_anova_row(term, model.sigma) for term in anova(model, kind)],
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
    effects, means = _effects(model, wanted, alpha)
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
        "fixed": _fixed(model.coefficients, fit.names, alpha),
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
    asked = {name: baseline for name, baseline in wanted}
    effects = [
        {
            **_effect_shell(e.factor, e.level, e.baseline, "average", "asymptotic"),
            "estimate": e.estimate,
            "se": e.se,
            "low": e.low,
            "high": e.high,
            "p": e.p,
        }
        for e in marginal_effects(fit, 1.0 - alpha)
        if e.factor in asked
    ]
    _holm(effects)
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
        "fixed": _fixed(normal, fit.names, alpha),
        "anova": [],
        "anova_note": "no ANOVA table for a logistic mixed model",
        "effects": effects,
        "means": [],
        "explained": {},
        "log_likelihood": -fit.minus2ll / 2.0,
        "diagnostics": _diagnostics(fit.frame, 1.0 / (1.0 + np.exp(-fit.linear_predictor))),
        "footers": {
            "effects": "average marginal effects in probability, random effects held at their modes;"
            " intervals are normal; coefficients are log odds"
        },
    }  # fmt: skip


def _fixed(test: TTest, names: Sequence[str], alpha: float) -> list[dict[str, Any]]:
    low, high = test.interval(1.0 - alpha)
    columns = (test.estimate, test.se, test.df, test.statistic, test.p, low, high)
    keys = ("estimate", "se", "df", "statistic", "p", "low", "high")
    return [
        {"term": name, **dict(zip(keys, values, strict=True))}
        for name, *values in zip(names, *columns, strict=True)
    ]


def _anova_row(term: AnovaTerm, sigma: float) -> dict[str, Any]:
    test = term.test
    if test is None:
        empty = dict.fromkeys(
            ("num_df", "den_df", "statistic", "p", "partial_eta2", "partial_omega2", "share")
        )
        return {"term": term.term, **empty, "reason": "the term is aliased with earlier ones"}
    size = (test.statistic, float(test.num_df), test.den_df)
    return {
        "term": term.term,
        "num_df": test.num_df,
        "den_df": test.den_df,
        "statistic": test.statistic,
        "p": test.p,
        "partial_eta2": partial_size("eta2", *size),
        "partial_omega2": partial_size("omega2", *size),
        "share": None,
        "sum_squares": test.sum_squares,
        "reason": None,
    }


def _effects(
    model: LinearModel, wanted: list[tuple[str, str | None]], alpha: float
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Level-vs-baseline effects (one Holm family), two-way interactions (another), and means."""
    rows: list[dict[str, Any]] = []
    means: list[dict[str, Any]] = []
    for name, baseline in wanted:
        levels = model.frame.variables[name].levels
        base = baseline or levels[model.frame.variables[name].baseline]
        others = [level for level in levels if level != base]
        table = contrast_table(model, [name], "baseline", baseline=base, level=1.0 - alpha)
        rows += _effect_rows(
            model, table, [(name, level, base) for level in others], "average", alpha
        )
        own = means_table(model, [name], 1.0 - alpha)
        means += _mean_rows(name, own)
    _holm(rows)
    _simultaneous(model, rows, alpha)
    crossed = _interactions(model, {name for name, _ in wanted}, alpha)
    return rows + crossed, means


def _interactions(model: LinearModel, wanted: set[str], alpha: float) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for term in model.frame.formula.terms:
        if len(term) != 2 or not set(term) <= wanted:
            continue
        table = contrast_table(model, list(term), "interaction", level=1.0 - alpha)
        base = ":".join(model.frame.variables[name].levels[0] for name in term)
        labels = [(":".join(term), label, base) for label in table.labels]
        rows += _effect_rows(model, table, labels, "interaction", alpha)
    _holm(rows)
    return rows


def _effect_rows(
    model: LinearModel,
    table: Family,
    labels: list[tuple[str, str, str]],
    estimand: str,
    alpha: float,
) -> list[dict[str, Any]]:
    low, high = table.test.interval(1.0 - 2.0 * alpha)
    out = []
    for i, (factor, level, base) in enumerate(labels):
        row = _effect_shell(factor, level, base, estimand, model.method)
        row["inference"] = _inference(model.frame, factor)
        row["averaged_over"] = _averaged_over(model.frame, factor)
        values = {
            "estimate": table.test.estimate[i],
            "se": table.test.se[i],
            "df": table.test.df[i],
            "low": table.low[i],
            "high": table.high[i],
            "low_equivalence": low[i],
            "high_equivalence": high[i],
            "p": table.test.p[i],
            "reason": table.reason[i],
        }
        out.append({**row, **values})
    return out


def _effect_shell(
    factor: str, level: str, baseline: str, estimand: str, method: str
) -> dict[str, Any]:
    return {
        "factor": factor,
        "level": level,
        "baseline": baseline,
        "estimand": estimand,
        "inference": "narrow",
        "method": method,
        "family": estimand,
        "averaged_over": "",
        "estimate": None,
        "se": None,
        "df": None,
        "low": None,
        "high": None,
        "low_simultaneous": None,
        "high_simultaneous": None,
        "low_equivalence": None,
        "high_equivalence": None,
        "p": None,
        "p_adjusted": None,
        "verdict": "inconclusive",
        "replicates_needed": None,
        "contexts_needed": None,
        "reason": None,
    }


def _holm(rows: list[dict[str, Any]]) -> None:
    """Holm-adjusted p over the rows that could be estimated and those that could not."""
    p = np.array([math.nan if row["p"] is None else row["p"] for row in rows], dtype=np.float64)
    valid = np.flatnonzero(~np.isnan(p))
    order = valid[np.argsort(p[valid], kind="stable")]
    running = 0.0
    for rank, i in enumerate(order.tolist()):
        running = max(running, min((len(p) - rank) * float(p[i]), 1.0))
        rows[i]["p_adjusted"] = running


def _simultaneous(model: LinearModel, rows: list[dict[str, Any]], alpha: float) -> None:
    """Sidak limits over the family: valid for any correlation of the estimates."""
    df = np.array([math.nan if row["df"] is None else row["df"] for row in rows], dtype=np.float64)
    if not len(df):
        return
    for row, critical in zip(rows, critical_values(df, "sidak", 1.0 - alpha), strict=True):
        row["low_simultaneous"] = row["estimate"] - critical * row["se"]
        row["high_simultaneous"] = row["estimate"] + critical * row["se"]


def _mean_rows(name: str, table: Family) -> list[dict[str, Any]]:
    return [
        {
            "factor": name,
            "level": label,
            "estimate": table.test.estimate[i],
            "se": table.test.se[i],
            "df": table.test.df[i],
            "low": table.low[i],
            "high": table.high[i],
            "reason": table.reason[i],
        }
        for i, label in enumerate(table.labels)
    ]


def _inference(frame: ModelFrame, factor: str) -> str:
    """Broad when the factor's effect varies over the levels of some random term."""
    names = set(factor.split(":"))
    for spec in frame.formula.random:
        if names & set(variables_of(spec.terms)) or (
            len(spec.group) > 1 and names & set(spec.group)
        ):
            return "broad"
    return "narrow"


def _averaged_over(frame: ModelFrame, factor: str) -> str:
    own = set(factor.split(":"))
    fixed = variables_of(frame.formula.terms)
    return ", ".join(n for n in fixed if frame.variables[n].categorical and n not in own)


def _verdict(
    effect: dict[str, Any], direction: str, smallest_effect: float | None, alpha: float
) -> str:
    if effect["reason"] is not None or effect["estimate"] is None or math.isnan(effect["estimate"]):
        return "not estimated"
    low, high = effect["low_equivalence"], effect["high_equivalence"]
    if smallest_effect is not None and low is not None and high is not None:
        if -smallest_effect < low and high < smallest_effect:
            return "equivalent"
    adjusted = effect["p_adjusted"]
    if adjusted is None or not adjusted < alpha:
        return "inconclusive"
    better = effect["estimate"] > 0.0 if direction == "higher" else effect["estimate"] < 0.0
    return "helps" if better else "hurts"


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
        out.append(
            f"variances of groupings with fewer than 5 levels are hardly estimable: {', '.join(few)}"
        )
    if model.method == "kenward-roger" and np.any(model.coefficients.df < 2.0):
        out.append("some Kenward-Roger df are below 2: those tests say next to nothing")
    return out


def _footers(frame: ModelFrame) -> dict[str, str]:
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


def _plain(value: Any) -> Any:
    """Python values only: arrays to lists, NaN and infinities to None."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return [_plain(item) for item in value.tolist()]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
