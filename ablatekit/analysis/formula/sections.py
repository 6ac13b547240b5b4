"""Sections of `analysis.json` that come from one fit: what was estimated, and how well."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from ablatekit.analysis.core.arrays import Floats
from ablatekit.analysis.core.numbers import number, numbers, table
from ablatekit.analysis.core.schema.analysis import ResponseAnalysis
from ablatekit.analysis.core.schema.companions import (
    Diagnostics,
    LargestResidual,
    Missing,
    Residuals,
)
from ablatekit.analysis.core.schema.effects import ContextEffect, Effect, HeterogeneityRow
from ablatekit.analysis.core.schema.formula import (
    ConvergenceRecord,
    Correlation,
    Covariance,
    DescentRecord,
    Explained,
    LikelihoodRatioRow,
    MetaRecord,
    RandomInterval,
    RandomModes,
    RandomTest,
    RobustCovariances,
    TermShare,
)
from ablatekit.analysis.core.schema.model import ModelRecord, RandomRow
from ablatekit.analysis.core.schema.vocabulary import Statement, statement
from ablatekit.analysis.core.tails import average_ranks, normal_quantile
from ablatekit.analysis.engine.fit import MixedFit, VarianceComponent
from ablatekit.analysis.engine.formula import quoted
from ablatekit.analysis.engine.frame import ModelFrame
from ablatekit.analysis.engine.glmm import LogisticFit
from ablatekit.analysis.engine.optimise import Convergence
from ablatekit.analysis.posthoc.likelihood import LikelihoodRatio, RandomTermTest
from ablatekit.analysis.posthoc.ols import LeastSquares, robust_vcov
from ablatekit.analysis.posthoc.variance import VarianceInterval, term_variances, variance_explained
from ablatekit.analysis.stats.meta import MetaAnalysis

RESIDUAL_ROWS = 5000
ZERO_SD = 1e-4
PERFECT = 1e-6
FEWEST_LEVELS = 5
NO_CONTEXTS = statement("no_contexts_in_formula")
NO_TAU2 = statement("ee")
LOGISTIC_VARIANCE = math.pi**2 / 3.0  # of the standard logistic distribution, the residual's


def model_record(
    frame: ModelFrame,
    method: Statement,
    criterion: float,
    messages: Sequence[Statement],
    *,
    converged: bool = True,
    singular: bool = False,
) -> ModelRecord:
    """The model and what to know about its fit."""
    return ModelRecord(
        formula=frame.formula.text,
        method=method,
        n=len(frame.y),
        criterion=number(criterion),
        converged=converged,
        singular=singular,
        messages=list(messages),
    )


def covariance(names: Sequence[str], values: Floats) -> Covariance:
    """A covariance of coefficients with their names."""
    return Covariance(terms=list(names), values=table(values))


def add_likelihood(response: ResponseAnalysis, fit: MixedFit | LogisticFit | LeastSquares) -> None:
    """Log likelihood, parameters, AIC and BIC (with the number of rows)."""
    size = len(fit.beta) + 1 if isinstance(fit, LeastSquares) else fit.parameters
    value = fit.log_likelihood
    response["log_likelihood"] = number(value)
    response["parameters"] = size
    response["aic"] = number(-2.0 * value + 2.0 * size)
    response["bic"] = number(-2.0 * value + float(np.log(len(fit.frame.y))) * size)


def add_variances(response: ResponseAnalysis, fit: MixedFit | LogisticFit) -> None:
    """Variances, correlations, and theta under lme4's names."""
    levels = {term.spec.grouping: len(term.levels) for term in fit.frame.random}
    response["random"] = [
        RandomRow(
            group=c.group,
            name=c.name,
            variance=number(c.variance),
            sd=number(c.sd),
            levels=levels[c.group],
        )
        for c in fit.components
        if c.other is None
    ]
    response["correlations"] = [
        Correlation(
            group=c.group,
            name=c.name,
            other=c.other,
            covariance=number(c.variance),
            correlation=number(c.sd),
        )
        for c in fit.components
        if c.other is not None
    ]
    response["theta"] = dict(zip(fit.theta_names, numbers(fit.theta), strict=True))


def random_effects(fit: MixedFit) -> list[RandomModes]:
    """Conditional modes of every random term, one list per column, in the order of `levels`."""
    return [
        RandomModes(
            group=term.group,
            levels=list(term.levels),
            columns={name: numbers(term.modes[:, j]) for j, name in enumerate(term.names)},
        )
        for term in fit.random_effects()
    ]


def convergence(record: Convergence) -> ConvergenceRecord:
    """What the optimiser did."""
    return ConvergenceRecord(
        starts=[
            DescentRecord(
                theta=numbers(start.theta),
                evaluations=start.evaluations,
                value=number(start.value),
                method=start.method,
            )
            for start in record.starts
        ],
        evaluations=record.evaluations,
        gradient=number(record.gradient),
        zero_tests=record.zero_tests,
        escapes=record.escapes,
        converged=record.converged,
        messages=list(record.messages),
    )


def explained(fit: MixedFit) -> Explained:
    """Marginal and conditional R2, intraclass correlations, and every term's share of variance."""
    parts = variance_explained(fit)
    total = parts.fixed + parts.random + parts.residual
    terms = [("fixed effects", parts.fixed), *term_variances(fit), ("residual", parts.residual)]
    return Explained(
        marginal=number(parts.marginal),
        conditional=number(parts.conditional),
        icc=number(parts.icc_adjusted),
        icc_unadjusted=number(parts.icc_unadjusted),
        fixed_variance=number(parts.fixed),
        random_variance=number(parts.random),
        residual_variance=number(parts.residual),
        shares=[
            TermShare(term=term, variance=number(value), share=number(value / total))
            for term, value in terms
        ],
    )


def logistic_explained(fit: LogisticFit) -> Explained:
    """The same on the log-odds scale, with the variance of the logistic distribution."""
    frame = fit.frame
    linear = frame.x @ fit.beta
    n = len(frame.y)
    fixed = float(frame.counts @ (linear - frame.counts @ linear / n) ** 2 / (n - 1))
    random = 0.0
    for term in frame.random:
        covariances = _covariance(fit.components, term.spec.grouping, term.names)
        per_cell = np.einsum("ca,ab,cb->c", term.columns, covariances, term.columns)
        random += float(frame.counts @ per_cell / n)
    total = fixed + random + LOGISTIC_VARIANCE
    return Explained(marginal=number(fixed / total), conditional=number((fixed + random) / total))


def _covariance(
    components: Sequence[VarianceComponent], group: str, names: Sequence[str]
) -> Floats:
    out = np.zeros((len(names), len(names)))
    for c in components:
        if c.group == group and c.name in names and (c.other is None or c.other in names):
            a, b = names.index(c.name), names.index(c.other or c.name)
            out[a, b] = out[b, a] = c.variance
    return out


def robust_covariances(fit: LeastSquares) -> RobustCovariances:
    """Heteroscedasticity-consistent covariances of the coefficients."""
    return RobustCovariances(
        hc0=table(robust_vcov(fit, "hc0")),
        hc1=table(robust_vcov(fit, "hc1")),
        hc2=table(robust_vcov(fit, "hc2")),
        hc3=table(robust_vcov(fit, "hc3")),
    )


def ratio_record(against: str, test: LikelihoodRatio) -> LikelihoodRatioRow:
    """A likelihood-ratio test; the smaller model's numbers come first in both pairs."""
    return LikelihoodRatioRow(
        against=against,
        statistic=number(test.statistic),
        df=test.df,
        p=number(test.p),
        log_likelihoods=[number(value) for value in test.log_likelihoods],
        parameters=list(test.parameters),
    )


def random_test_rows(tests: Sequence[RandomTermTest]) -> list[RandomTest]:
    """The likelihood-ratio test of every random term; numbers are those of the reduced model."""
    return [
        RandomTest(
            term=test.term,
            parameters=test.parameters,
            log_likelihood=number(test.log_likelihood),
            statistic=number(test.statistic),
            df=test.df,
            p=number(test.p),
        )
        for test in tests
    ]


def interval_rows(
    intervals: Sequence[VarianceInterval], method: Literal["profile", "bootstrap"]
) -> list[RandomInterval]:
    """Limits of standard deviations, the residual's last."""
    return [
        RandomInterval(
            group=interval.group,
            name=interval.name,
            sd=number(interval.estimate),
            low=number(interval.low),
            high=number(interval.high),
            method=method,
            reason=interval.reason,
        )
        for interval in intervals
    ]


def meta_record(fit: MetaAnalysis) -> MetaRecord:
    """Heterogeneity, its tests, the prediction interval and the shrunken effects."""
    limits = fit.heterogeneity
    simple = len(fit.beta) == 1
    return MetaRecord(
        estimator=fit.method,
        test=fit.test,
        tau2=number(fit.tau2),
        tau2_se=number(fit.tau2_se),
        tau2_low=number(limits.tau2[0]) if limits else None,
        tau2_high=number(limits.tau2[1]) if limits else None,
        tau2_reason=limits.reason if limits else NO_TAU2,
        i2=number(fit.i2),
        i2_low=number(limits.i2[0]) if limits else None,
        i2_high=number(limits.i2[1]) if limits else None,
        h2=number(fit.h2),
        q=number(fit.q),
        q_p=number(fit.q_p),
        moderator_statistic=number(fit.moderator_q),
        moderator_p=number(fit.moderator_p),
        r2=number(fit.r2),
        prediction_low=number(fit.prediction_low) if simple else None,
        prediction_high=number(fit.prediction_high) if simple else None,
        blup=numbers(fit.blup),
        blup_se=numbers(fit.blup_se),
    )


def context_rows(effects: Sequence[Effect]) -> list[ContextEffect]:
    """Why the average effects of a formula have no values per context."""
    return [
        ContextEffect(
            factor=row["factor"],
            level=row["level"],
            context="all rows",
            pairs=0,
            estimate=None,
            se=None,
            low=None,
            high=None,
            reason=NO_CONTEXTS,
        )
        for row in effects
        if row["estimand"] == "average"
    ]


def heterogeneity_rows(effects: Sequence[Effect]) -> list[HeterogeneityRow]:
    """Why the average effects of a formula have no heterogeneity over contexts."""
    return [
        HeterogeneityRow(
            factor=row["factor"],
            level=row["level"],
            scope=[],
            tau=None,
            i2=None,
            prediction_low=None,
            prediction_high=None,
            reason=NO_CONTEXTS,
        )
        for row in effects
        if row["estimand"] == "average"
    ]


def missing(frame: ModelFrame) -> Missing:
    """Rows that were left out."""
    told = frame_messages(frame)[:1] if frame.rows_dropped else []
    policy = statement("complete_rows_policy")
    return Missing(policy=policy, runs=[], by_level=[], messages=told)


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
    """Variances and correlations on their boundary, and groupings of few levels."""
    messages = []
    if fit.singular:
        zero = [f"{c.group} {c.name}" for c in _vanished(fit, scale)]
        messages.append(statement("singular", zero=zero, perfect=_perfect(fit)))
    few = [term for term in fit.frame.random if len(term.levels) < FEWEST_LEVELS]
    if few:
        groups = [quoted(term.spec.grouping) for term in few]
        levels = [len(term.levels) for term in few]
        messages.append(statement("few_levels", groups=groups, levels=levels))
    return messages


def _vanished(fit: MixedFit | LogisticFit, scale: float) -> list[VarianceComponent]:
    """Components whose part of the response has an sd below 1e-4 of `scale`, in any unit."""
    sizes = {
        (term.spec.grouping, name): float(np.sqrt((column**2).mean()))
        for term in fit.frame.random
        for name, column in zip(term.names, term.columns.T, strict=True)
    }
    alone = [c for c in fit.components if c.other is None]
    return [c for c in alone if c.sd * sizes[c.group, c.name] < ZERO_SD * scale]


def _perfect(fit: MixedFit | LogisticFit) -> list[str]:
    """Correlations at -1 or 1, whose components are not zero."""
    return [
        f"{c.group} {c.name} and {c.other}"
        for c in fit.components
        if c.other is not None and abs(c.sd) > 1.0 - PERFECT
    ]


def diagnostics(frame: ModelFrame, fitted: Floats) -> Diagnostics:
    """Residuals against normal quantiles, for at most 5000 rows evenly spread over the table."""
    residual = frame.y - fitted
    rows = np.linspace(0, len(residual) - 1, min(len(residual), RESIDUAL_ROWS)).astype(np.intp)
    ranks = average_ranks(residual[rows])
    quantile = normal_quantile((ranks - 0.375) / (len(rows) + 0.25))
    worst = int(np.abs(residual).argmax())
    return Diagnostics(
        residuals=Residuals(
            fitted=fitted[rows].tolist(),
            residual=residual[rows].tolist(),
            quantile=quantile.tolist(),
            row=rows.tolist(),
        ),
        brown_forsythe_p=None,
        largest_residual=LargestResidual(row=worst, residual=float(residual[worst])),
        near_bounds=[],
        step_zero=None,
        influence=[],
        messages=[],
    )
