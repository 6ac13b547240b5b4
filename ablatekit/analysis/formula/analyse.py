"""One table and one formula: one response of `analysis.json` (DESIGN 3.5).

Its keys are those of every response, with more for the model: coefficients and their covariance,
marginal means and contrasts, variances, likelihood; on request `likelihood_ratio`, `random_tests`
and `random_intervals`; `vcov_robust` for least squares, `vcov_conditional` for logistic models,
`meta` for a meta-analysis.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import pandas as pd

from ablatekit.analysis.core.arrays import Floats
from ablatekit.analysis.core.numbers import number
from ablatekit.analysis.core.schema.analysis import (
    SCHEMA_VERSION,
    Analysis,
    ResponseAnalysis,
)
from ablatekit.analysis.core.schema.effects import Effect
from ablatekit.analysis.core.schema.formula import AliasedTerm, Explained
from ablatekit.analysis.core.schema.model import AnovaRow, FixedRow, ModelRecord
from ablatekit.analysis.core.schema.vocabulary import Statement, statement
from ablatekit.analysis.engine.fit import Method, MixedFit, fit_mixed
from ablatekit.analysis.engine.formula import Formula, parse_formula, repeated_summands
from ablatekit.analysis.engine.frame import ModelFrame, build_frame
from ablatekit.analysis.engine.glmm import LogisticFit, fit_logistic
from ablatekit.analysis.formula import sections
from ablatekit.analysis.formula.options import (
    DEFAULTS,
    FormulaOptions,
    constant_numbers,
    numbers_like_levels,
    refuse_options,
    unused_categorical,
    wanted_of,
)
from ablatekit.analysis.formula.rows import (
    ALIASED,
    METHODS,
    Adjusted,
    Wanted,
    contrast_table_rows,
    effect_rows,
    fixed_rows,
    joint_test,
    judged_effect,
    mean_rows,
    mixed_anova_row,
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
from ablatekit.analysis.posthoc.marginal import MarginalEffect, marginal_effects
from ablatekit.analysis.posthoc.ols import fit_ols, ols_anova
from ablatekit.analysis.posthoc.units import RunLevel, nested_items, run_level
from ablatekit.analysis.posthoc.variance import bootstrap_intervals, profile_intervals
from ablatekit.analysis.stats.adjust import adjusted_p, applicable
from ablatekit.analysis.stats.inference import Estimate
from ablatekit.analysis.stats.meta import TauMethod, meta_analysis
from ablatekit.analysis.stats.rows import EffectName
from ablatekit.analysis.tables.checks import refuse_wide, spelling_variants
from ablatekit.analysis.tables.measures import guess, measured_name, refuse_smallest, unit_of
from ablatekit.analysis.tables.values import with_numbers, without_failed
from ablatekit.analysis.tables.words import direction_of
from ablatekit.errors import Problem, UsageError


@dataclass(frozen=True, slots=True)
class _Job:
    """A model on data with its options and what there is to say about reading it."""

    data: pd.DataFrame
    frame: ModelFrame
    options: FormulaOptions
    wanted: Wanted
    messages: list[Statement] = field(default_factory=list)
    told: list[Statement] = field(default_factory=list)
    """What is odd in the table, and what was guessed of the response."""

    @property
    def alpha(self) -> float:
        return self.options.alpha


def analyse_formula(
    data: pd.DataFrame, formula: str, options: FormulaOptions = DEFAULTS
) -> ResponseAnalysis:
    """Fit a formula in lme4 syntax and report it.

    Without random terms the model is least squares with residual df. A random term of the column
    `run` makes runs the experimental unit (`ablatekit.analysis.posthoc.units`). Raises TableError,
    UsageError or NotEstimableError with the reason.
    """
    return _analysed(_job(data, formula, options))


def formula_analysis(
    data: pd.DataFrame,
    formula: str,
    options: FormulaOptions = DEFAULTS,
    provenance: Mapping[str, Any] | None = None,
) -> Analysis:
    """The whole of `analysis.json` for one formula: a table that no study planned.

    The one response is named as on the left of the formula.
    """
    response = analyse_formula(data, formula, options)
    return Analysis(
        schema_version=SCHEMA_VERSION,
        study={"backend": "table", "alpha": options.alpha, "adjust": options.adjust},
        deviations=[],
        provenance={**(provenance or {}), "formula": formula},
        responses={response["label"]: response},
        comparisons={},
    )


def _job(data: pd.DataFrame, formula: str, options: FormulaOptions) -> _Job:
    parsed, messages = _read(data, formula)
    refuse_wide(data, parsed.response)
    refuse_options(parsed, options)
    data, failed = without_failed(data, f"{formula} {options.named}", parsed.response)
    data, absent = with_numbers(data, [parsed.response])
    frame = _frame(data, parsed, options)
    messages = [
        *messages,
        *sections.frame_messages(frame),
        *unused_categorical(parsed, options),
        *numbers_like_levels(frame),
        *constant_numbers(frame),
    ]
    guessed = [] if options.direction else [guess(measured_name(parsed.response))]
    told = [*guessed, *failed, *absent, *spelling_variants(_levels(frame))]
    return _Job(data, frame, options, wanted_of(frame, options), messages, told)


def _levels(frame: ModelFrame) -> dict[str, tuple[str, ...]]:
    """The levels of every factor and grouping of a formula, by its name."""
    groups = {term.spec.grouping: term.levels for term in frame.random}
    return {**groups, **{name: variable.levels for name, variable in frame.variables.items()}}


def _unit(job: _Job) -> str:
    """The unit of the effects: of a column by its values, of an effect size or a function none.

    Effects on a binary outcome are average differences of its probability.
    """
    options, name = job.options, job.frame.formula.response
    if options.family == "binomial":
        unit = "fraction"
        refuse_smallest(unit, options.smallest_effect)
        return unit
    if options.unit is None and (options.variances or name not in job.data.columns):
        return ""
    values = job.data[name].to_numpy(dtype=float) if name in job.data.columns else job.frame.y
    unit = unit_of(values, name, options.unit)
    refuse_smallest(unit, options.smallest_effect)
    return unit


def _analysed(job: _Job) -> ResponseAnalysis:
    if job.options.variances is not None:
        return _meta_response(job)
    if job.options.family == "binomial":
        return _logistic_response(job)
    if job.frame.formula.random:
        return _mixed_response(job)
    return _ols_response(job)


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
        precision="weights" if options.variances is None else "sampling variances",
        factors=options.categorical,
        coding=options.coding,
    )


def _response(
    job: _Job,
    model: ModelRecord,
    *,
    fixed: list[FixedRow],
    anova: list[AnovaRow],
    anova_note: Statement,
    effects: list[Effect],
    fitted: Floats,
    residual_sd: float | None = None,
) -> ResponseAnalysis:
    """What every kind of model reports."""
    options, label = job.options, job.frame.formula.response
    adjusted = sorted({row["adjustment"] for row in effects})
    diagnostics = sections.diagnostics(job.frame, fitted)
    diagnostics["messages"][:0] = job.told
    told = [statement("marginal_means", adjustments=adjusted), *_baselines(job)]
    return ResponseAnalysis(
        label=label,
        metric=label,
        summary="as given",
        direction=options.direction or direction_of(measured_name(label))[0],
        smallest_effect=options.smallest_effect,
        unit=_unit(job),
        model=model,
        residual_sd=residual_sd,
        fixed=fixed,
        anova=anova,
        anova_note=anova_note,
        effects=effects,
        contexts=sections.context_rows(effects),
        heterogeneity=sections.heterogeneity_rows(effects),
        diagnostics=diagnostics,
        missing=sections.missing(job.frame),
        footers={"effects": told} if effects else {},
    )


def _baselines(job: _Job) -> list[Statement]:
    """What levels are compared with."""
    chosen = job.wanted.factors
    told = {"factors": list(chosen), "levels": list(chosen.values())}
    return [statement("baselines", **told)] if chosen else []


def _add_tables(response: ResponseAnalysis, model: LinearModel, job: _Job) -> None:
    """What every linear model reports beside its coefficients: covariance, means, contrasts."""
    names = job.frame.names
    slopes = [j for j, name in enumerate(names) if name != "(Intercept)"]
    response["aliased"] = [AliasedTerm(term=name, reason=ALIASED) for name in job.frame.aliased]
    response["vcov"] = sections.covariance(names, model.vcov)
    response["means"] = mean_rows(model, job.wanted)
    response["contrasts"] = contrast_table_rows(model, job.wanted)
    if slopes:
        response["joint_test"] = joint_test(model.joint(np.eye(len(names))[slopes]))


def _mixed_response(job: _Job) -> ResponseAnalysis:
    options, frame = job.options, job.frame
    method: Method = "ml" if options.method == "ml" else "reml"
    fit = fit_mixed(frame, method)
    level = run_level(frame)
    model = linear_model(fit, options.df or "satterthwaite", cap=level.cap if level else no_cap)
    note = statement("formula_anova", type=options.anova_type, method=METHODS[model.method])
    response = _response(
        job,
        sections.model_record(
            frame,
            statement(fit.method),
            fit.criterion,
            [*job.messages, *sections.fit_messages(fit), *_df_messages(fit, model, level)],
            converged=fit.convergence.converged,
            singular=fit.singular,
        ),
        fixed=fixed_rows(model.coefficients, frame.names, job.alpha),
        anova=[mixed_anova_row(term, job.alpha) for term in anova(model, options.anova_type)],
        anova_note=note,
        effects=effect_rows(model, job.wanted),
        fitted=fit.fitted(),
        residual_sd=number(fit.sigma),
    )
    if model.method == "satterthwaite" and any(
        (row["num_df"] or 0) > 1 for row in response["anova"]
    ):
        response["footers"]["anova"] = [statement("coding_of_satterthwaite")]
    sections.add_variances(response, fit)
    _add_tables(response, model, job)
    response["explained"] = sections.explained(fit)
    response["random_effects"] = sections.random_effects(fit)
    response["convergence"] = sections.convergence(fit.convergence)
    sections.add_likelihood(response, fit)
    _add_requested(response, job, fit)
    return response


def _add_requested(response: ResponseAnalysis, job: _Job, fit: MixedFit) -> None:
    """Sections that cost further fits and are only made on request."""
    options = job.options
    if options.against is not None:
        other = fit_mixed(_other_frame(job, options.against), fit.method)
        ratio = likelihood_ratio(fit, other)
        response["likelihood_ratio"] = sections.ratio_record(options.against, ratio)
    if options.random_tests:
        response["random_tests"] = sections.random_test_rows(random_term_tests(fit))
    if options.random_intervals is not None:
        level = 1.0 - options.alpha
        rng = np.random.default_rng(options.seed)
        intervals = (
            profile_intervals(fit, level)
            if options.random_intervals == "profile"
            else bootstrap_intervals(fit, rng, level=level)
        )
        rows = sections.interval_rows(intervals, options.random_intervals)
        response["random_intervals"] = rows


def _other_frame(job: _Job, formula: str) -> ModelFrame:
    return _frame(job.data, _read(job.data, formula)[0], job.options)


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


def _ols_response(job: _Job) -> ResponseAnalysis:
    options, fit = job.options, fit_ols(job.frame)
    messages = list(job.messages)
    if options.df is not None:
        messages.append(statement("residual_df_only", df=options.df))
    model = fit.model
    response = _response(
        job,
        sections.model_record(job.frame, statement("ols"), -2.0 * fit.log_likelihood, messages),
        fixed=fixed_rows(model.coefficients, job.frame.names, job.alpha),
        anova=ols_anova(fit, options.anova_type, 1.0 - job.alpha),
        anova_note=statement("residual_anova", type=options.anova_type),
        effects=effect_rows(model, job.wanted),
        fitted=job.frame.y - fit.residuals,
        residual_sd=number(fit.sigma),
    )
    response["residual_df"] = fit.df
    _add_tables(response, model, job)
    response["vcov_robust"] = sections.robust_covariances(fit)
    response["explained"] = Explained(
        marginal=number(fit.r2),
        conditional=number(fit.r2),
        adjusted=number(fit.adjusted_r2),
        icc=None,
    )
    sections.add_likelihood(response, fit)
    if options.against is not None:
        other = _other_frame(job, options.against)
        ratio = likelihood_ratio(fit_mixed(job.frame, "ml"), fit_mixed(other, "ml"))
        response["likelihood_ratio"] = sections.ratio_record(options.against, ratio)
    return response


def _logistic_response(job: _Job) -> ResponseAnalysis:
    options, frame = job.options, job.frame
    fit = fit_logistic(frame)
    level = run_level(frame)
    model = normal_model(frame, fit.beta, fit.vcov, 1.0, level.cap if level else no_cap)
    messages = [*job.messages, *sections.variance_messages(fit, 1.0)]
    response = _response(
        job,
        sections.model_record(
            frame,
            statement("laplace"),
            fit.minus2ll,
            messages,
            converged=fit.converged,
            singular=fit.singular,
        ),
        fixed=fixed_rows(model.coefficients, frame.names, job.alpha),
        anova=[mixed_anova_row(term, job.alpha) for term in anova(model, options.anova_type)],
        anova_note=statement("chi_square_anova", type=options.anova_type),
        effects=_probability_effects(fit, model, job),
        fitted=1.0 / (1.0 + np.exp(-fit.linear_predictor)),
    )
    sections.add_variances(response, fit)
    _add_tables(response, model, job)
    response["vcov_conditional"] = sections.covariance(frame.names, fit.vcov_conditional)
    response["explained"] = sections.logistic_explained(fit)
    sections.add_likelihood(response, fit)
    response["footers"] = {"effects": [statement("probability_effects"), *_baselines(job)]}
    if options.against is not None:
        ratio = likelihood_ratio(fit, fit_logistic(_other_frame(job, options.against)))
        response["likelihood_ratio"] = sections.ratio_record(options.against, ratio)
    return response


def _probability_effects(fit: LogisticFit, model: LinearModel, job: _Job) -> list[Effect]:
    """Average marginal effects of the wanted factors and of every covariate."""
    frame, wanted = fit.frame, job.wanted
    owners = [
        frame.formula.terms[t] if t >= 0 else () for t in np.array(frame.columns.term)[frame.kept]
    ]

    def df(name: str) -> float:
        rows = [j for j, owner in enumerate(owners) if owner == (name,)]
        return model.df_one(np.eye(len(owners))[rows[0]]) if rows else float("inf")

    shown = [
        effect
        for effect in marginal_effects(fit, 1.0 - job.alpha, wanted.factors, df)
        if effect.factor in wanted.factors or not frame.variables[effect.factor].categorical
    ]
    estimates = [_estimated(effect) for effect in shown]
    statistics = [e.estimate / e.se if e.se > 0.0 else np.nan for e in estimates]
    method = applicable(wanted.rule.adjust, "probabilities")
    method = "sidak" if method == "mvt" else method
    p = adjusted_p(np.array(statistics), np.array([e.df for e in estimates]), method)
    return [
        judged_effect(
            _probability_name(effect),
            estimate,
            Adjusted(method=method, p=float(p_adjusted)),
            wanted.rule,
        )
        for effect, estimate, p_adjusted in zip(shown, estimates, p, strict=True)
    ]


def _estimated(effect: MarginalEffect) -> Estimate:
    return Estimate(
        method=METHODS["asymptotic"],
        estimate=effect.estimate,
        se=effect.se,
        df=effect.df,
        low=effect.low,
        high=effect.high,
        p=effect.p,
        reason=effect.reason,
    )


def _probability_name(effect: MarginalEffect) -> EffectName:
    return EffectName(
        factor=effect.factor,
        level=effect.level,
        baseline=effect.baseline,
        estimand="average",
        inference="narrow",
        family=statement("marginal_family", estimand="average", order=1),
        averaged_over=statement("over_factors", factors=[]),
    )


def _meta_response(job: _Job) -> ResponseAnalysis:
    options, frame = job.options, job.frame
    x = frame.x[frame.cell]
    if "(Intercept)" not in frame.names:
        raise UsageError(Problem("a meta-analysis keeps its intercept", frame.formula.text))
    fit = meta_analysis(
        frame.y,
        cast("Floats", frame.weights),
        moderators=x[:, 1:] if x.shape[1] > 1 else None,
        method=cast("TauMethod", options.method.upper()),
        test="z" if options.df == "asymptotic" or options.method == "ee" else "knha",
        level=1.0 - job.alpha,
    )
    df = np.full(len(fit.beta), len(frame.y) - len(fit.beta) if fit.test == "knha" else np.inf)
    test = TTest(fit.beta, fit.se, df, fit.statistic, fit.p)
    told = [statement("normal_meta_tests")] if fit.test == "z" else []
    told += [fit.heterogeneity.reason] if fit.heterogeneity and fit.heterogeneity.reason else []
    response = _response(
        job,
        sections.model_record(
            frame,
            statement(options.method),
            -2.0 * fit.log_likelihood,
            [*job.messages, *told],
        ),
        fixed=fixed_rows(test, frame.names, job.alpha),
        anova=[],
        anova_note=statement("no_meta_anova"),
        effects=[],
        fitted=x @ fit.beta,
    )
    response["meta"] = sections.meta_record(fit)
    response["log_likelihood"] = number(fit.log_likelihood)
    return response
