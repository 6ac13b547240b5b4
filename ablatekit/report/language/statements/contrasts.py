"""Contrasts: what they lack, average over, assume and are judged with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ablatekit.analysis.core.schema.codes import Code
from ablatekit.report.language.numbers import count
from ablatekit.report.language.statements.phrases import NOISE, NOT_SET, ByUnit, Words, in_contexts


def _over_combinations(combinations: int, contexts: int, grid: bool) -> str:
    shown = f"{count(combinations, 'combination')} of the other factors"
    shown = f"all {shown} (model-based)" if grid else shown
    return f"{shown}, {in_contexts(contexts)}"


def _marginal_family(estimand: str, order: int) -> str:
    return f"{estimand} of {order} factors" if order > 2 else estimand


def _listed(names: Sequence[str], most: int = 6) -> str:
    """The names, of many only the first and how many more."""
    shown = ", ".join(name or NOT_SET for name in names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def _too_few_levels(variable: str, levels: int, fewest: int) -> str:
    missing = {1: "another one", 2: "two more"}.get(fewest - levels, f"{fewest - levels} more")
    return f"{count(levels, 'level')} of {variable}, {fewest} are needed: needs {missing}"


def _over_scope(
    scope: Sequence[str], levels: Sequence[int], fixed: Sequence[Mapping[str, Any]]
) -> str:
    sampled = " and ".join(
        count(size, f"{name} level") for name, size in zip(scope, levels, strict=True)
    )
    held = "; ".join(f"on {part['variable']} {_listed(part['levels'])}" for part in fixed)
    return ", ".join(filter(None, (f"over {sampled}" if scope else "", held)))


def _family(response: str, estimand: str, inference: str, scope: Sequence[str]) -> str:
    over = f" over {' and '.join(scope)}" if scope else ""
    return f"{response}: {estimand} effects, {inference}{over}"


def _dose_family(response: str, inference: str, scope: Sequence[str]) -> str:
    over = f" over {' and '.join(scope)}" if scope else ""
    return f"{response}: slopes, {inference}{over}"


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
    "one_level_inside": lambda level, outer, inside: (
        f"{level} is the only level inside {outer} = {_listed(inside)}; the factor does not exist"
        " elsewhere: nothing to compare it with"
    ),
    "never_in_one_context": lambda level_contexts, baseline_contexts: (
        f"no context has both levels: this one is in {_listed(level_contexts)}, the baseline in"
        f" {_listed(baseline_contexts)}"
    ),
    "no_run_at_level": "no {unit} at {level} has a value",
    "aliased_with": lambda partners: (
        f"always changes together with {_listed(partners)}: their effects cannot be told apart"
    ),
    "no_baseline_cell": "the design lacks the cell with every factor at its baseline",
    "no_common_context": "no context has {unit}s in every cell, so their means are of different"
    " contexts",
    "no_full_order": "no combination of the other factors has all levels",
    "no_level_pair": "no combination of the design has both levels",
    "no_pair_in_context": "this context has no matched pair of cells with {unit}s",
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
    "no_error_left": "one {unit} per cell and no interaction left to stand in for the {noise}",
    "no_residual_variance": "the {unit}s leave no residual variance (a constant response?)",
    "no_df_left": "no degrees of freedom are left for its test",
    "model_refused": "{message}",
    # what inference over contexts lacks
    "no_blocking_variable": "no variable has two levels to generalise over: needs more contexts",
    "too_few_levels": _too_few_levels,
    "same_in_every_level": "the contrast has the same value at every level of {variable}, so its"
    " spread is unknown",
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
    "same_runs_in": "in {combinations} of {of_combinations} combinations both levels are the same"
    " {unit}s, a difference of 0 by construction",
    "contexts_left_out": lambda contexts: (
        f"without contexts that lack the contrast: {', '.join(contexts)}"
    ),
    "model_based": "model-based, 0 matched pairs, assumes no interaction above order {order}",
    "compared_inside": "compared inside {outer} = {level}, where alone the level exists",
    "goes_along": "{factor} exists at {level} only and goes along with it",
    "own_levels": "each {variable} on its own {other}",
    "widest_of_one_way": lambda scope: (
        f"the table of {' and '.join(scope)} is incomplete or has three or more variables: the"
        " widest of the one-way intervals"
    ),
    "decided_by": lambda by: (
        f"decided by the {'crossed interval' if len(by) > 1 else f't over {by[0]}'}"
    ),
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
    "over_scope": _over_scope,
    "over_factors": lambda factors: ", ".join(factors),
    "effect_family": _family,
    "marginal_family": _marginal_family,
    "dose_family": _dose_family,
}
"""The words of every such code."""
