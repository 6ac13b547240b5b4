"""Contrasts: what they lack, average over, assume and are judged with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ablatekit.analysis.core.schema.codes import Code
from ablatekit.report.language import scopes
from ablatekit.report.language.numbers import count
from ablatekit.report.language.statements.phrases import (
    NOISE,
    ByUnit,
    Words,
    first_few,
    in_contexts,
)


def _over_combinations(combinations: int, contexts: int, grid: bool) -> str:
    shown = f"{count(combinations, 'combination')} of the other factors"
    shown = f"all {shown} (model-based)" if grid else shown
    return f"{shown}, {in_contexts(contexts)}"


def _marginal_family(estimand: str, order: int) -> str:
    return f"{estimand} of {order} factors" if order > 2 else estimand


def _never_in_one_context(level_contexts: list[str], baseline_contexts: list[str]) -> str:
    return (
        "no context has both this level and the baseline: the level is in"
        f" {first_few(level_contexts)}, the baseline in {first_few(baseline_contexts)}"
    )


def _too_few_levels(variable: str, levels: int, fewest: int, of_levels: int) -> str:
    lacking = scopes.needed(variable, levels, fewest, of_levels)
    return f"{lacking} to generalise {scopes.over([variable])}"


def _over_scope(
    scope: list[str],
    levels: list[int],  # noqa: ARG001
    fixed: list[Mapping[str, Any]],
) -> str:
    if not scope:
        return "nothing to generalise over"
    return scopes.within(scope, {part["variable"]: part["levels"] for part in fixed})


def _effect_family(response: str, estimand: str, inference: str, scope: list[str]) -> str:
    reach = scopes.over(scope) if scope else inference
    return f"{response}: {estimand} effects, {reach}"


def _decided_by(by: list[str]) -> str:
    if len(by) == 1:
        return f"decided by the t {scopes.over(by)}"
    return f"decided by the crossed variance of {scopes.listed(map(scopes.variables, by))}"


def _not_crossed(scope: list[str]) -> str:
    return f"{scopes.listed(map(scopes.variables, scope))} are not two fully crossed variables here"


def _widest_of_one_way(scope: list[str]) -> str:
    return f"{_not_crossed(scope)}, so that the widest t over one of them decides"


def _dose_family(response: str, inference: str, scope: list[str]) -> str:
    return f"{response}: slopes, {scopes.over(scope) if scope else inference}"


SENTENCES: Mapping[Code, Words] = {
    # what a contrast lacks
    "no_matched_pair": "no combination of the other factors contains both this level and the"
    " baseline",
    "no_pair_at_baseline": "the design lacks this level or the baseline with every other factor at"
    " its baseline",
    "no_pair_off_baseline": "the design lacks this level or the baseline with no other factor at"
    " its baseline",
    "no_quadruple": "no combination of the other factors has all four cells",
    "incomplete_for_shapley": "Shapley values need a complete design in which every factor has two"
    " levels",
    "shapley_is_average": "equals the average effect when no interaction above order {order} is in"
    " the model",
    "identical_runs": "identical by construction: both levels are the same {unit}s",
    "no_shared_runs": "no matched pair of cells has {unit}s in the same contexts",
    "no_baseline_cell": "the design lacks the cell with every factor at its baseline",
    "no_common_context": "no context has {unit}s in every cell, so their means are of different"
    " contexts",
    "no_full_order": "no combination of the other factors has all levels",
    "no_level_pair": "no combination of the design has both levels",
    "no_pair_in_context": "this context has no matched pair of cells with {unit}s",
    "one_level_inside": lambda level, outer, inside: (
        f"one level only, {level}, inside {outer} {first_few(inside)}: nothing to compare with"
    ),
    "never_in_one_context": _never_in_one_context,
    "no_run_at_level": "no {unit} at {level} has a value",
    "aliased_with": lambda partners: (
        f"aliased: it always changes together with {first_few(partners)}"
    ),
    "not_estimable": "not estimable: it needs a combination of levels that was never observed",
    "aliased": "aliased: the design cannot separate it from earlier terms",
    "aliased_below_order": "not estimable: aliased under no interaction above order {order}",
    "zero_by_assumption": "0 by assumption: the model has no interaction above order {order}",
    # what an error term lacks
    "no_response_value": "no {unit} has a value of this response",
    "no_run_value": "no {unit} has a value",
    "no_replicates": "no cell has two {unit}s in one context, so nothing estimates the {noise};"
    " add replicates",
    "identical_replicates": ByUnit(
        lambda unit: (
            f"replicates are identical, so the {NOISE[unit]} is unknown (the same"
            f" {'seed' if unit == 'run' else unit} twice?)"
        )
    ),
    "constant_response": "the response is constant over all {unit}s",
    "no_error_left": "one {unit} per cell and no interaction left to stand in for the {noise}: a"
    " lower order of interactions would leave some",
    "no_residual_variance": "the {unit}s leave no residual variance (a constant response?)",
    "no_df_left": "no degrees of freedom are left for its test",
    "model_refused": "{message}",
    # what inference over contexts lacks
    "too_few_levels": _too_few_levels,
    "no_blocking_variable": "needs more than one context",
    "same_in_every_level": lambda variable: (
        f"the contrast is the same at every {scopes.variable(variable)}, so that its spread is"
        " unknown"
    ),
    "no_effect_on_learning": "the effect on learning has p = {p:.3g}, not below {alpha:g}: a ratio"
    " to it has no bounds",
    "best_needs_equal_variances": "variances differ between cells (Brown-Forsythe p = {p:.3g}): the"
    " comparison with the best needs one variance",
    "no_contexts_in_formula": "a formula names no contexts: ask by --response, --factors and"
    " --contexts",
    # what a regression on a covariate lacks, and what it reaches for
    "nested_variable": "the levels of {variable} are nested in those of another variable, so they"
    " are no independent sample",
    "constant_covariate": "{covariate} is the same at every level that has the contrast",
    "on_a_line": "the effects at the levels of {variable} lie on a line over log {covariate}, so"
    " their spread around it is unknown",
    "extrapolated": lambda covariate, at, low, high: (
        f"{covariate} = {at:g} lies outside of the {low:g} to {high:g} that was observed: the"
        " prediction holds only if the line goes on"
    ),
    # notes on effects
    "assumes_order": "assumes no interaction above order {order}",
    "model_based": "model-based, 0 matched pairs, assumes no interaction above order {order}",
    "same_runs_in": "in {combinations} of {of_combinations} combinations both levels are the same"
    " {unit}s, a difference of 0 by construction",
    "contexts_left_out": lambda contexts: (
        f"without contexts that lack the contrast: {', '.join(contexts)}"
    ),
    "compared_inside": "compared inside {outer} = {level}, where alone the level exists",
    "goes_along": "{factor} exists at {level} alone and goes along with it, as the mean over the"
    " levels that a context has",
    "own_levels": lambda variable, other: (
        f"each {scopes.variable(variable)} on its own {scopes.variables(other)}"
    ),
    "widest_of_one_way": _widest_of_one_way,
    "not_crossed": _not_crossed,
    "decided_by": _decided_by,
    "dunnett_family": "one family of comparisons with the baseline cell (Dunnett)",
    "dunnett_bound": "cells lie in different contexts: Dunnett's p and intervals are conservative",
    "welch_family": "variances differ between cells (Brown-Forsythe p = {p:.3g}): Welch's t with"
    " Holm's p in place of Dunnett's",
    # what a row averages over, and its family
    "cell_against_baseline": lambda contexts: f"one cell, {in_contexts(contexts)}",
    "over_combinations": _over_combinations,
    "at_baseline": lambda contexts: f"every other factor at its baseline, {in_contexts(contexts)}",
    "off_baseline": lambda contexts: (
        f"every other factor at a non-baseline level, {in_contexts(contexts)}"
    ),
    "over_orders": lambda contexts: f"all orders of adding the choices, {in_contexts(contexts)}",
    "over_factors": lambda factors: ", ".join(factors),
    "over_scope": _over_scope,
    "effect_family": _effect_family,
    "marginal_family": _marginal_family,
    "dose_family": _dose_family,
}
"""The words of every such code."""
