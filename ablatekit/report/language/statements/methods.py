"""Methods of estimation and tests, and the analysis of variance."""

from __future__ import annotations

from collections.abc import Mapping

from ablatekit.analysis.core.schema.codes import Code
from ablatekit.report.language.numbers import count
from ablatekit.report.language.reading import Unit
from ablatekit.report.language.statements.phrases import ByUnit, Words

CROSS = " \N{MULTIPLICATION SIGN} "


def _cell_anova(unit: Unit, order: int, pure: bool) -> str:
    error = (
        f"{unit}s within cell and context" if pure else f"what terms up to order {order} leave over"
    )
    return (
        f"Type III sums of squares by estimable hypotheses; error: {error}; share = the term's part"
        " of the total sum of squares (the shares add up to 1 in a balanced design)."
    )


def _tests_observed_cells(unit: Unit, terms: list[str], empty: list[int], cells: list[int]) -> str:
    lacking = ", ".join(
        f"{some} of {count(all_of, 'cell')} of {term.replace(':', CROSS)}"
        for term, some, all_of in zip(terms, empty, cells, strict=True)
    )
    return (
        f"without {unit}s: {lacking}; tests the differences that the other cells estimate,"
        " by type III estimable hypotheses"
    )


def _tests_at_mean(covariates: list[str], values: list[list[float]]) -> str:
    places = (
        f"{name} = {value[0]:.4g}" if len(value) == 1 else name
        for name, value in zip(covariates, values, strict=True)
    )
    return f"interacts with covariates, tested at their means: {', '.join(places)}"


def _tests_at_zero(covariates: list[str]) -> str:
    places = ", ".join(f"{name} = 0" for name in covariates)
    return f"tested at {places}: without its main effects the model has no other place"


def _stratified_bootstrap(unit: Unit, draws: int, alpha: float) -> str:
    never = ", never the item" if unit == "run" else ""
    return (
        f"stratified bootstrap over {unit}s within cell and context, {draws} draws, percentile"
        f" intervals at {1 - alpha:.0%}; the {unit} is the unit{never}"
    )


SENTENCES: Mapping[Code, Words] = {
    # methods
    "cell_means_t": "t, residual df of the saturated cell means",
    "welch_t": "Welch-Satterthwaite t from the contrast's own cells",
    "hidden_replication_t": "t, interactions above order {order} as error (hidden replication)",
    "truncated_t": "t, residual df of the model without interactions above order {order}",
    "contexts_t": "t over per-context values",
    "levels_t": "t over means of the variable's levels",
    "widest_t": "the widest of the crossed interval and the t over each variable",
    "independent_t": "Welch t of independent estimates, no context in both studies",
    "shared_contexts_t": "Welch t of the two estimates over the contexts of both studies",
    "satterthwaite": "Satterthwaite df",
    "kenward_roger": "Kenward-Roger df",
    "residual": "residual df",
    "asymptotic": "normal approximation",
    "saturated_cell_means": "saturated cell means",
    "truncated_least_squares": "least squares without interactions above order {order}",
    "reml": "REML",
    "ml": "maximum likelihood",
    "ols": "least squares",
    "laplace": "Laplace approximation",
    "dl": "DerSimonian-Laird",
    "pm": "Paule-Mandel",
    "he": "Hedges",
    "sj": "Sidik-Jonkman",
    "ee": "equal effects",
    "stratified_bootstrap": ByUnit(_stratified_bootstrap),
    # analysis of variance
    "cell_anova": ByUnit(_cell_anova),
    "no_factor_varies": "nothing varies: no factor has two levels with {unit}s",
    "no_response_varies": "nothing varies: the response is constant",
    "aliased_term": "aliased with other terms",
    "is_error": "the error that the other terms are tested against",
    "no_error_to_test": "no residual variation to test against",
    "formula_anova": "type {type}, {method}",
    "residual_anova": "type {type}, residual df",
    "chi_square_anova": "type {type}, Wald chi2 divided by its df",
    "tests_observed_cells": ByUnit(_tests_observed_cells),
    "tests_at_mean": _tests_at_mean,
    "tests_at_zero": _tests_at_zero,
    "empty_size_intervals": "F is too small to go with any effect size: intervals are empty",
    "no_meta_anova": "no ANOVA table for a meta-analysis; `meta` tests the moderators",
}
"""The words of every such code."""
