"""One table and one formula -> one response of `analysis.json` (DESIGN 3.5), as plain values.

The keys are those of `ResponseAnalysis` in `ablatekit.analysis.core.schema.analysis`, with more
for the model: `aliased`, `vcov`, `theta`, `random_effects`, `means`, `contrasts`, `joint_test`,
`explained`, `convergence`, `log_likelihood`, `parameters`, `aic`, `bic`; on request
`likelihood_ratio`, `random_tests`, `random_intervals`; `vcov_robust` for least squares,
`vcov_conditional` for logistic models, `meta` for a meta-analysis.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, cast

import numpy as np
import pandas as pd

from ablatekit.analysis.core.schema.vocabulary import Statement, statement
from ablatekit.analysis.engine.fit import Method, MixedFit, fit_mixed
from ablatekit.analysis.engine.formula import Formula, parse_formula, repeated_summands
from ablatekit.analysis.engine.frame import ModelFrame, build_frame
from ablatekit.analysis.engine.glmm import LogisticFit, fit_logistic
from ablatekit.analysis.formula import sections
from ablatekit.analysis.formula.options import (
    DEFAULTS,
    FormulaOptions,
    refuse_options,
    unused_categorical,
    wanted_of,
)
from ablatekit.analysis.formula.rows import (
    ALIASED,
    METHODS,
    Wanted,
    anova_row,
    contrast_table_rows,
    effect_rows,
    effect_shell,
    fixed_rows,
    margin_tests,
    mean_rows,
    test_row,
    verdict,
)
from ablatekit.analysis.posthoc.anova import anova
from ablatekit.analysis.posthoc.coefficient_tests import (
    LinearModel,
    TTest,
    linear_model,
    no_cap,
    normal_model,
)
from ablatekit.analysis.posthoc.likelihood import likelihood_ratio, random_term_tests
from ablatekit.analysis.posthoc.marginal import marginal_effects
from ablatekit.analysis.posthoc.ols import fit_ols, ols_anova
from ablatekit.analysis.posthoc.units import RunLevel, nested_items, run_level
from ablatekit.analysis.posthoc.variance import bootstrap_intervals, profile_intervals
from ablatekit.analysis.stats.adjust import adjusted_p, applicable
from ablatekit.analysis.stats.meta import TauMethod, meta_analysis
from ablatekit.errors import Problem, UsageError


@dataclass(frozen=True, slots=True)
class _Job:
    """A model on data with its options and what there is to say about reading it."""

    data: pd.DataFrame
    frame: ModelFrame
    options: FormulaOptions
    wanted: Wanted
    messages: list[Statement] = field(default_factory=list)

    @property
    def alpha(self) -> float:
        return self.options.alpha


def analyse_formula(
    data: pd.DataFrame, formula: str, options: FormulaOptions = DEFAULTS
) -> dict[str, Any]:
    """Fit a formula in lme4 syntax and report it.

    Without random terms the model is least squares with residual df. A random term of the column
    `run` makes runs the experimental unit (`ablatekit.analysis.posthoc.units`). Raises TableError,
    UsageError or NotEstimableError with the reason.
    """
    parsed, messages = _read(data, formula)
    refuse_options(parsed, options)
    frame = _frame(data, parsed, options)
    job = _Job(data, frame, options, wanted_of(frame, options), messages)
    messages += sections.frame_messages(frame)
    messages += unused_categorical(parsed, options)
    if options.variances is not None:
        report = _meta_report(job)
    elif options.family == "binomial":
        report = _logistic_report(job)
    elif parsed.random:
        report = _mixed_report(job)
    else:
        report = _ols_report(job)
    _judge(report["effects"], options)
    return _response(job, report)


def _read(data: pd.DataFrame, text: str) -> tuple[Formula, list[Statement]]:
    """The formula with items nested in data sets, and notes about how it was read."""
    parsed = parse_formula(text)
    notes = [statement("written_twice", term=term) for term in repeated_summands(text)]
    nested = nested_items(data, parsed)
    if nested is not parsed:
        notes.append(statement("items_nested"))
    return nested, notes


def _frame(data: pd.DataFrame, formula: Formula, options: FormulaOptions) -> ModelFrame:
    return build_frame(
        data,
        formula,
        weights=options.weights or options.variances,
        factors=options.categorical,
        coding=options.coding,
    )


def _tables(model: LinearModel, job: _Job) -> dict[str, Any]:
    """What every linear model reports: coefficients, effects, means, contrasts."""
    names = job.frame.names
    slopes = [j for j, name in enumerate(names) if name != "(Intercept)"]
    out = {
        "fixed": fixed_rows(model.coefficients, names, job.alpha),
        "aliased": [{"term": name, "reason": ALIASED} for name in job.frame.aliased],
        "vcov": sections.matrix(names, model.vcov),
        "effects": effect_rows(model, job.wanted),
        "means": mean_rows(model, job.wanted),
        "contrasts": contrast_table_rows(model, job.wanted),
    }
    if slopes:
        out["joint_test"] = test_row(model.joint(np.eye(len(names))[slopes]))
    return out


def _mixed_report(job: _Job) -> dict[str, Any]:
    options, frame = job.options, job.frame
    method: Method = "ml" if options.method == "ml" else "reml"
    fit = fit_mixed(frame, method)
    level = run_level(frame)
    model = linear_model(fit, options.df or "satterthwaite", cap=level.cap if level else no_cap)
    messages = [*job.messages, *sections.fit_messages(fit), *_df_messages(fit, model, level)]
    record = sections.model_record(frame, statement(fit.method), fit.criterion, messages)
    record |= {"converged": fit.convergence.converged, "singular": fit.singular}
    return {
        "model": record,
        "residual_sd": fit.sigma,
        **sections.variances(fit),
        **_tables(model, job),
        "anova": [anova_row(term, job.alpha) for term in anova(model, options.anova_type)],
        "anova_note": statement(
            "formula_anova", type=options.anova_type, method=METHODS[model.method]
        ),
        "explained": sections.explained(fit),
        "random_effects": sections.random_effects(fit),
        "convergence": asdict(fit.convergence),
        **sections.likelihood(fit),
        **_requested(job, fit),
        "diagnostics": sections.diagnostics(frame, fit.fitted()),
        "footers": {},
    }


def _requested(job: _Job, fit: MixedFit) -> dict[str, Any]:
    """Sections that cost further fits and are only made on request."""
    options = job.options
    out: dict[str, Any] = {}
    if options.against is not None:
        other = fit_mixed(_other_frame(job), fit.method)
        out["likelihood_ratio"] = sections.ratio_record(
            options.against, likelihood_ratio(fit, other)
        )
    if options.random_tests:
        out["random_tests"] = sections.random_test_rows(random_term_tests(fit))
    if options.random_intervals is not None:
        level = 1.0 - options.alpha
        rng = np.random.default_rng(options.seed)
        found = (
            profile_intervals(fit, level)
            if options.random_intervals == "profile"
            else bootstrap_intervals(fit, rng, level=level)
        )
        out["random_intervals"] = sections.interval_rows(found, options.random_intervals)
    return out


def _other_frame(job: _Job) -> ModelFrame:
    assert job.options.against is not None
    return _frame(job.data, _read(job.data, job.options.against)[0], job.options)


def _df_messages(fit: MixedFit, model: LinearModel, level: RunLevel | None) -> list[Statement]:
    """Limits and doubts of the degrees of freedom."""
    out = []
    df = model.coefficients.df
    if level is not None and model.method != "asymptotic":
        free = linear_model(fit, model.method).coefficients.df
        if np.any(free > df * (1.0 + 1e-6)):
            largest = float(np.nanmax(free))
            out.append(statement("capped_df", limit=level.limit, without=largest))
    if level is not None and np.isnan(level.limit):
        out.append(statement("no_df_between_runs"))
    if model.method == "kenward-roger" and np.any(df < 2.0):
        out.append(statement("low_kenward_roger_df"))
    if model.method == "asymptotic":
        out.append(statement("normal_tests"))
    return out


def _ols_report(job: _Job) -> dict[str, Any]:
    options, fit = job.options, fit_ols(job.frame)
    messages = list(job.messages)
    if options.df is not None:
        messages.append(statement("residual_df_only", df=options.df))
    record = sections.model_record(job.frame, statement("ols"), -2.0 * fit.log_likelihood, messages)
    out = {
        "model": record,
        "residual_sd": fit.sigma,
        "residual_df": fit.df,
        **_tables(fit.model, job),
        "vcov_robust": sections.robust_covariances(fit),
        "anova": sections.ols_anova_rows(fit, ols_anova(fit, options.anova_type, 1.0 - job.alpha)),
        "anova_note": statement("residual_anova", type=options.anova_type),
        "explained": {
            "marginal": fit.r2,
            "conditional": fit.r2,
            "adjusted": fit.adjusted_r2,
            "icc": None,
        },
        **sections.likelihood(fit),
        "diagnostics": sections.diagnostics(job.frame, job.frame.y - fit.residuals),
        "footers": {},
    }
    if options.against is not None:
        pair = fit_mixed(job.frame, "ml"), fit_mixed(_other_frame(job), "ml")
        out["likelihood_ratio"] = sections.ratio_record(options.against, likelihood_ratio(*pair))
    return out


def _logistic_report(job: _Job) -> dict[str, Any]:
    options, frame = job.options, job.frame
    fit = fit_logistic(frame)
    level = run_level(frame)
    model = normal_model(frame, fit.beta, fit.vcov, 1.0, level.cap if level else no_cap)
    messages = [*job.messages, *sections.variance_messages(fit, 1.0)]
    record = sections.model_record(frame, statement("laplace"), fit.minus2ll, messages)
    record |= {"converged": fit.converged, "singular": fit.singular}
    tests = anova(model, options.anova_type)
    out = {
        "model": record,
        "residual_sd": None,
        **sections.variances(fit),
        **_tables(model, job),
        "effects": _probability_effects(fit, model, job),
        "vcov_conditional": sections.matrix(frame.names, fit.vcov_conditional),
        "anova": [anova_row(term, job.alpha) for term in tests],
        "anova_note": statement("chi_square_anova", type=options.anova_type),
        "explained": sections.logistic_explained(fit),
        **sections.likelihood(fit),
        "diagnostics": sections.diagnostics(frame, 1.0 / (1.0 + np.exp(-fit.linear_predictor))),
        "footers": {"effects": [statement("probability_effects")]},
    }
    if options.against is not None:
        other = fit_logistic(_other_frame(job))
        out["likelihood_ratio"] = sections.ratio_record(
            options.against, likelihood_ratio(fit, other)
        )
    return out


def _probability_effects(fit: LogisticFit, model: LinearModel, job: _Job) -> list[dict[str, Any]]:
    """Average marginal effects of the wanted factors and of every covariate."""
    frame, wanted = fit.frame, job.wanted
    owners = [
        frame.formula.terms[t] if t >= 0 else () for t in np.array(frame.columns.term)[frame.kept]
    ]

    def df(name: str) -> float:
        rows = [j for j, owner in enumerate(owners) if owner == (name,)]
        return model.df_one(np.eye(len(owners))[rows[0]]) if rows else float("inf")

    rows = []
    for e in marginal_effects(fit, 1.0 - job.alpha, wanted.factors, df):
        if frame.variables[e.factor].categorical and e.factor not in wanted.factors:
            continue
        shell = effect_shell(e.factor, e.level, e.baseline, "average", METHODS["asymptotic"])
        statistic = e.estimate / e.se if e.se > 0.0 else float("nan")
        values = {"estimate": e.estimate, "se": e.se, "df": e.df, "statistic": statistic,
                  "low": e.low, "high": e.high, "p": e.p, "reason": e.reason}  # fmt: skip
        rows.append({**shell, **values})
    method = applicable(wanted.adjust, "probabilities")
    method = "sidak" if method == "mvt" else method
    statistics = np.array([row["statistic"] for row in rows], dtype=np.float64)
    own = adjusted_p(statistics, np.array([row["df"] for row in rows], dtype=np.float64), method)
    for row, p in zip(rows, own, strict=True):
        row |= {"p_adjusted": p, "adjustment": method}
    return rows


def _meta_report(job: _Job) -> dict[str, Any]:
    options, frame = job.options, job.frame
    x = frame.x[frame.cell]
    if "(Intercept)" not in frame.names:
        raise UsageError(Problem("a meta-analysis keeps its intercept", frame.formula.text))
    fit = meta_analysis(
        frame.y,
        cast("np.ndarray[Any, Any]", frame.weights),
        moderators=x[:, 1:] if x.shape[1] > 1 else None,
        method=cast("TauMethod", options.method.upper()),
        test="z" if options.df == "asymptotic" or options.method == "ee" else "knha",
        level=1.0 - job.alpha,
    )
    df = np.full(len(fit.beta), len(frame.y) - len(fit.beta) if fit.test == "knha" else np.inf)
    test = TTest(fit.beta, fit.se, df, fit.statistic, fit.p)
    messages = [*job.messages]
    if fit.test == "z":
        messages.append(statement("normal_meta_tests"))
    record = sections.model_record(
        frame, statement(options.method), -2.0 * fit.log_likelihood, messages
    )
    return {
        "model": record,
        "residual_sd": None,
        "fixed": fixed_rows(test, frame.names, job.alpha),
        "meta": sections.meta_record(fit),
        "anova": [],
        "anova_note": statement("no_meta_anova"),
        "effects": [],
        "log_likelihood": fit.log_likelihood,
        "diagnostics": sections.diagnostics(frame, x @ fit.beta),
        "footers": {},
    }


def _judge(effects: list[dict[str, Any]], options: FormulaOptions) -> None:
    margin = options.smallest_effect
    if margin is not None and effects:
        margin_tests(effects, options.direction, margin)
    for effect in effects:
        effect["verdict"] = verdict(effect, options.direction, margin, options.alpha)


def _response(job: _Job, report: dict[str, Any]) -> dict[str, Any]:
    options, label = job.options, job.frame.formula.response
    adjusted = sorted({str(row.get("adjustment", "none")) for row in report["effects"]})
    effects = [statement("marginal_means", adjustments=adjusted)]
    report["footers"] = {**({"effects": effects} if adjusted else {}), **report["footers"]}
    shell: dict[str, Any] = {
        "label": label,
        "metric": label,
        "summary": "as given",
        "direction": options.direction,
        "smallest_effect": options.smallest_effect,
        "unit": "log odds" if options.family == "binomial" else "",
        **sections.without_contexts(report["effects"]),
        "missing": sections.missing(job.frame),
    }
    out: dict[str, Any] = sections.plain({**shell, **report})
    return out
