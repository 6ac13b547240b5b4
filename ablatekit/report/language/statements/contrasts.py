"""Contrasts: what they lack, average over, assume and are judged with."""

from __future__ import annotations

from collections.abc import Mapping

from ablatekit.analysis.core.schema.codes import Code
from ablatekit.report.language.numbers import count
from ablatekit.report.language.statements.phrases import NOISE, ByUnit, Words, in_contexts


def _over_combinations(combinations: int, contexts: int, grid: bool) -> str:
    shown = f"{count(combinations, 'combination')} of the other factors"
    shown = f"all {shown} (model-based)" if grid else shown
    return f"{shown}, {in_contexts(contexts)}"


def _marginal_family(estimand: str, order: int) -> str:
    return f"{estimand} of {order} factors" if order > 2 else estimand


def _varies_by_variable(variable: str, contexts: int, values: int) -> str:
    return (
        f"the effect varies more by {variable} than by context: {contexts} contexts of {values}"
        f" {variable} values act like {values}, and the broad interval is too short"
    )


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
    "too_few_contexts": "{contexts} of at least {fewest} contexts: too few to generalise from; add"
    " contexts, or read the narrow row",
    "few_contexts_for_spread": "{contexts} of at least {fewest} contexts",
    "same_in_every_context": "the contrast has the same value in every context, so its spread is"
    " unknown",
    "few_kenward_roger_df": "Kenward-Roger leaves {df:.2g} df, too few to say anything",
    "no_contexts_in_formula": "a formula names no contexts: ask by --response, --factors and"
    " --contexts",
    # notes on effects
    "assumes_order": "assumes no interaction above order {order}",
    "same_runs_in": "in {combinations} of {of_combinations} combinations both levels are the same"
    " {unit}s, a difference of 0 by construction",
    "combinations_left_out": ByUnit(
        lambda unit, cells: (
            f"without the combinations whose {unit}s are missing: {'; '.join(cells)}"
        )
    ),
    "contexts_left_out": lambda contexts: (
        f"without contexts that lack the contrast: {', '.join(contexts)}"
    ),
    "unequal_contexts": "contexts are unequally precise, but {reason}",
    "varies_by_variable": _varies_by_variable,
    # what a row averages over, and its family
    "over_combinations": _over_combinations,
    "at_baseline": lambda contexts: f"every other factor at its baseline, {in_contexts(contexts)}",
    "off_baseline": lambda contexts: (
        f"every other factor at a non-baseline level, {in_contexts(contexts)}"
    ),
    "over_orders": lambda contexts: f"all orders of adding the choices, {in_contexts(contexts)}",
    "over_factors": lambda factors: ", ".join(factors),
    "effect_family": "{response}: {estimand} effects, {inference}",
    "marginal_family": _marginal_family,
}
"""The words of every such code."""
