"""Every statement of an analysis in words: one function or format string for each code."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from ablatekit.analysis.core.schema.analysis import ResponseAnalysis
from ablatekit.analysis.core.schema.codes import Code, VarianceSource
from ablatekit.analysis.core.schema.vocabulary import Statement
from ablatekit.report.language.numbers import Scale, count, scale_of
from ablatekit.report.language.reading import Unit, words
from ablatekit.report.language.verdicts import word

NOISE: Mapping[Unit, str] = {"run": "seed noise", "row": "noise"}
"""What makes two runs of one cell differ."""


@dataclass(frozen=True, slots=True)
class ByUnit:
    """Words that name what values belong to: runs, or the rows of a table."""

    speak: Callable[..., str]


Words: TypeAlias = str | Callable[..., str] | ByUnit


def say(statement: Statement, unit: Unit = "run") -> str:
    """The statement in words; statements among its arguments become words first.

    `unit` is what one value of a response belongs to (`reading.subject_of`).
    """
    arguments = {name: _said(value, unit) for name, value in statement["arguments"].items()}
    sentence = SENTENCES[statement["code"]]
    if isinstance(sentence, str):
        return sentence.format(**arguments, unit=unit, noise=NOISE[unit])
    if isinstance(sentence, ByUnit):
        return sentence.speak(unit=unit, **arguments)
    return sentence(**arguments)


def say_all(statements: Iterable[Statement], separator: str = " ", unit: Unit = "run") -> str:
    """Several statements, one after the other."""
    return separator.join(say(statement, unit) for statement in statements)


def told(statement: Statement | None, unit: Unit = "run") -> str:
    """A statement in words, or nothing where there is none."""
    return "" if statement is None else say(statement, unit)


def footers_of(response: ResponseAnalysis, unit: Unit = "run") -> dict[str, str]:
    """The response's footers in words, its smallest effect in the shown unit."""
    scale = scale_of(response)
    return {
        name: say_all(in_unit(statements, scale), unit=unit)
        for name, statements in response.get("footers", {}).items()
    }


def in_unit(statements: Iterable[Statement], scale: Scale) -> list[Statement]:
    """Statements whose smallest effect is written in the shown unit, as in the tables beside it."""
    return [_in_unit(statement, scale) for statement in statements]


def _in_unit(statement: Statement, scale: Scale) -> Statement:
    smallest = statement["arguments"].get("smallest_effect")
    if smallest is None:
        return statement
    arguments = {**statement["arguments"], "smallest_effect": scale.amount(smallest)}
    return {"code": statement["code"], "arguments": arguments}


def term_words(term: str, unit: Unit) -> str:
    """A term of an ANOVA that is no factor."""
    return NOISE[unit] if term == "seed_noise" else TERMS.get(term, term)


def is_statement(value: Any) -> bool:
    """Whether a JSON value is a statement."""
    return isinstance(value, Mapping) and value.keys() == {"code", "arguments"}


def _said(value: Any, unit: Unit) -> Any:
    return say(value, unit) if is_statement(value) else value


def _contexts(contexts: int) -> str:
    return count(contexts, "context")


def _over_combinations(combinations: int, contexts: int, grid: bool) -> str:
    shown = f"{count(combinations, 'combination')} of the other factors"
    shown = f"all {shown} (model-based)" if grid else shown
    return f"{shown}, {_contexts(contexts)}"


def _marginal_family(estimand: str, order: int) -> str:
    return f"{estimand} of {order} factors" if order > 2 else estimand


def _unlike_responses(parts: list[str], learning: list[str], generalization: list[str]) -> str:
    differing = [
        f"{part} ({first or 'none'} and {second or 'none'})"
        for part, first, second in zip(parts, learning, generalization, strict=True)
    ]
    return f"the two responses differ in {' and in '.join(differing)}, so they have no gap"


def _varies_by_variable(variable: str, contexts: int, values: int) -> str:
    return (
        f"the effect varies more by {variable} than by context: {contexts} contexts of {values}"
        f" {variable} values act like {values}, and the broad interval is too short"
    )


def _cell_anova(unit: Unit, type: str, order: int, pure: bool) -> str:  # noqa: A002
    kinds = {"III": "Type III sums of squares (sum coding)", "II": "Type II sums of squares"}
    why = "" if type == "III" else f" because some combinations have no {unit}"
    error = (
        f"{unit}s within cell and context" if pure else f"what terms up to order {order} leave over"
    )
    return (
        f"{kinds[type]}{why}; error: {error}; share = the term's part of the total sum of squares"
        " (the shares add up to 1 in a balanced design)."
    )


def _narrow_inference(
    contexts: int, method: str, df: float, refused: str | None, alpha: float
) -> str:
    basis = f"refused: {refused}" if refused else f"{method} (df = {df})"
    where = f"these {contexts} contexts, which are fixed and crossed with the cells"
    where = where if contexts > 1 else "this one context"
    return f"Narrow: holds in {where}; {basis}; {1 - alpha:.0%} intervals."


def _broad_inference(fewest: int, alpha: float) -> str:
    return (
        f"Broad: contexts like these, at least {fewest}, which count as exchangeable; t over the"
        " contrast's value in each context, df = contexts - 1. Where contexts are unequally precise"
        " or lack the contrast: a mixed model with a random slope per context, Kenward-Roger df,"
        " never above contexts - 1 (rows name their method; analysis.json holds both)."
        f" {1 - alpha:.0%} intervals."
    )


def _verdict_rule(alpha: float, smallest_effect: float | str | None) -> str:
    decided = f"{word('helps')} / {word('hurts')}: adjusted p < {alpha:g}"
    otherwise = f"else {word('inconclusive')}"
    if smallest_effect is None:
        return f"Verdict: {decided}, {otherwise}; no smallest effect is declared."
    return (
        f"Verdict: {word('equivalent')} if the {1 - 2 * alpha:.0%} interval lies within"
        f" +-{_amount(smallest_effect)} (not adjusted), else {decided}, {otherwise}."
    )


def _amount(size: float | str) -> str:
    """A size as it is shown beside it, else in the unit of the response."""
    return size if isinstance(size, str) else f"{size:g}"


def _adjusted(method: str) -> str:
    return (
        f"p adjusted by {method.capitalize()} within this estimand of this response under one"
        " inference; intervals are per comparison, simultaneous ones by Bonferroni."
    )


def _learning_curves(alpha: float) -> str:
    return (
        "Equal-weight mean over cells and contexts; pointwise intervals at"
        f" {1 - alpha:.0%} from the run-to-run variance within cell and context."
    )


def _held_equal(settings: Mapping[str, Any]) -> str:
    shown = ", ".join(f"{name} = {value}" for name, value in sorted(settings.items()))
    return f"Held equal in every run: {shown}."


def _matched_cells(effects: list[Mapping[str, Any]]) -> str:
    parts = (
        f"{row['factor']} {row['level']} against {row['baseline']}: {'; '.join(row['cells'])}"
        for row in effects
    )
    return f"Matched cells. {'. '.join(parts)}."


def _gap(direction: str) -> str:
    difference = "learning minus generalization"
    if direction == "lower":
        difference = "generalization minus learning (lower is better)"
    return (
        f"Gap = {difference}, paired within each run; it {word('widens')} when generalization falls"
        " further behind learning."
    )


def _gap_adjustment(adjust: str) -> str:
    adjusted = "Not adjusted" if adjust == "none" else "p adjusted by Holm"
    return (
        f"{adjusted} within a family of its own (average effects of one inference); intervals are"
        " per comparison;"
    )


def _gap_rule(alpha: float, smallest_effect: float | str | None) -> str:
    equivalent = word("equivalent")
    if smallest_effect is None:
        return (
            f"no smallest effect is declared for both responses, so no row is called {equivalent}."
        )
    return (
        f"{equivalent}: the {1 - 2 * alpha:.0%} interval lies within +-{_amount(smallest_effect)},"
        " the smaller of the two responses' smallest effects."
    )


def _stratified_bootstrap(unit: Unit, draws: int, alpha: float) -> str:
    never = ", never the item" if unit == "run" else ""
    return (
        f"stratified bootstrap over {unit}s within cell and context, {draws} draws, percentile"
        f" intervals at {1 - alpha:.0%}; the {unit} is the unit{never}"
    )


def _unsteady_cells(cells: int) -> str:
    return (
        f"{count(cells, 'cell')} lost 20% or more of the runs to divergence: intervals of single"
        " cells (effects at the baseline, of removal, Shapley values) are then too short; in"
        " simulation those at 95% covered 80 to 90%, unless diverged runs are excluded"
    )


def _unequal_variances(unit: Unit, p: float, pooled: bool) -> str:
    where = "; the pooled error averages over that" if pooled else ""
    return f"{unit}-to-{unit} variance differs between cells (p = {p:.3g}){where}"


def _absent_words(column: str, words: list[str], rows: list[int]) -> str:
    shown = [f"{word!r} in row {row}" for word, row in zip(words, rows, strict=True)]
    return f"{column}: {_first(shown)} {'counts' if len(rows) == 1 else 'count'} as missing"


def _direction_guessed(direction: str, word: str) -> str:
    why = f"by {word!r} in its name" if word else "as its name says nothing else"
    return f"{direction} is better, {why}; --direction decides"


def _spelling_variants(column: str, spellings: list[str]) -> str:
    known = {2: "two", 3: "three", 4: "four", 5: "five"}
    few = known.get(len(spellings), str(len(spellings)))
    shown = ", ".join(map(repr, spellings))
    return f"{column} has {few} spellings: {shown}; they count as {few} levels"


def _repeated_rows(rows: list[int]) -> str:
    where = f"row{'' if len(rows) == 1 else 's'} {_first([str(row) for row in rows])}"
    return f"{where}: the same as an earlier row in every column (copied?); all are analysed"


def _hidden_factor(column: str, levels: list[str]) -> str:
    shown = ", ".join(map(repr, levels))
    return (
        f"rows that agree in every factor and context differ in {column} ({shown}): if it is a"
        " choice, name it among the factors or contexts; they count as replicates"
    )


def _first(texts: list[str], most: int = 5) -> str:
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more


def _rows_left_out(rows: int) -> str:
    return f"{count(rows, 'row')} with a missing value {'was' if rows == 1 else 'were'} left out"


def _singular(zero: list[str]) -> str:
    detail = f" ({', '.join(zero)} estimated as zero)" if zero else ""
    return f"singular fit: the variance parameters lie on their boundary{detail}"


def _few_levels(groups: list[str], levels: list[int]) -> str:
    few = ", ".join(f"{group} ({size})" for group, size in zip(groups, levels, strict=True))
    return f"variances of groupings with < 5 levels are hardly estimable: {few}"


def _capped_df(limit: float, without: float) -> str:
    return (
        f"df of effects between runs are at most runs minus coefficients = {limit:g} (without this"
        f" limit up to {without:.4g}: the variance of run is estimated near zero)"
    )


def _held_different(names: list[str], first: list[Any], second: list[Any]) -> str:
    shown = (
        f"{name} {words(ours)} against {words(theirs)}"
        for name, ours, theirs in zip(names, first, second, strict=True)
    )
    return f"The studies hold different things equal: {'; '.join(shown)}."


TERMS: Mapping[str, str] = {
    "higher_interactions": "interactions above the order",
}
"""Terms of an ANOVA that are no factors, in words."""

SOURCES: Mapping[VarianceSource, str] = {
    "design": "design choices",
    "contexts": "contexts",
    "runs": "runs (seeds)",
    "items": "items",
    "draws": "draws and run x item",
}
"""Sources of the variance of item outcomes in words."""

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
    # what companions lack
    "one_run_per_cell": "one {unit} per cell and context: nothing to resample",
    "shared_runs": "some {unit}s stand for several combinations, so labels are not free",
    "unequal_runs": "cells have different numbers of {unit}s, so their {unit}s are not exchangeable"
    " alike",
    "too_many_runs": "more than {runs} {unit}s or {replicates} replicates: the t test serves as"
    " well",
    "correlated_slope": "a correlated slope term has no profile limits; use the bootstrap",
    "failed_bootstraps": "{failed} of {draws} bootstrap fits failed",
    # what a comparison of two responses or studies lacks
    "no_run_of_both": "no {unit} has a value of both responses",
    "unlike_responses": _unlike_responses,
    "unlike_studies": "the studies differ in the {part} of {response}: {first!r} and {second!r}",
    "no_standard_error": "one of the studies has no standard error for it",
    "no_variation_in_either": "no run-to-run variation in either study",
    "few_shared_contexts": "{contexts} of at least {fewest} shared contexts hold this contrast",
    "same_difference": "the effects differ by the same amount in every context: shared runs?",
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
    "at_baseline": lambda contexts: f"every other factor at its baseline, {_contexts(contexts)}",
    "off_baseline": lambda contexts: (
        f"every other factor at a non-baseline level, {_contexts(contexts)}"
    ),
    "over_orders": lambda contexts: f"all orders of adding the choices, {_contexts(contexts)}",
    "over_factors": lambda factors: ", ".join(factors),
    "effect_family": "{response}: {estimand} effects, {inference}",
    "marginal_family": _marginal_family,
    # methods
    "cell_means_t": "t, residual df of the saturated cell means",
    "welch_t": "Welch-Satterthwaite t from the contrast's own cells",
    "hidden_replication_t": "t, interactions above order {order} as error (hidden replication)",
    "truncated_t": "t, residual df of the model without interactions above order {order}",
    "contexts_t": "t over per-context values",
    "context_slope": "Kenward-Roger, random context slope",
    "independent_t": "Welch t of independent estimates, no context in both studies",
    "paired_t": "paired t over the contexts of both studies, df = contexts - 1",
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
    "no_meta_anova": "no ANOVA table for a meta-analysis; `meta` tests the moderators",
    # footers of tables
    "narrow_inference": _narrow_inference,
    "broad_inference": _broad_inference,
    "conditional_on_evaluation": "Conditional on these evaluation items and draws.",
    "truncated_model": "Assumes no interaction above order {order}.",
    "own_variances": "Variances differ between cells (Brown-Forsythe p = {p:.3g}): narrow standard"
    " errors are Welch's, from the contrast's own cells (pooled where one of them has a single"
    " {unit}).",
    "not_adjusted": "p values are not adjusted.",
    "adjusted": _adjusted,
    "verdict_rule": _verdict_rule,
    "average_effect": "Level minus baseline, equal weight on matched combinations of the other"
    " factors and on contexts.",
    "baseline_effect": "Level minus baseline, every other factor at its baseline.",
    "removal_effect": "Level minus baseline, every other factor at a non-baseline level (leave one"
    " out).",
    "shapley_value": "Mean gain over all orders of adding the choices, from every factor at its"
    " baseline to the full configuration; the values add up to that difference.",
    "interaction": "Difference of differences, level against baseline.",
    "context_effects": "Average effect inside each context; narrow error, not adjusted.",
    "heterogeneity": "tau: sd of true effects between contexts (moments); prediction interval for"
    " one new context: mean +- t(contexts - 1) sqrt(tau^2 + se^2).",
    "learning_curves": _learning_curves,
    "metric_meaning": "{metric}: {doc}.",
    "held_equal": _held_equal,
    "matched_cells": _matched_cells,
    "item_model": "Linear probability model of item outcomes, contexts fixed, weighted by samples;"
    " items are nested in their data set. Effects on items like these: equal-weight contrasts of"
    " cell means with the items of each data set as a random sample, from mean squares where every"
    " run of a data set saw the same items and from a mixed model with a random slope per item"
    " elsewhere; Satterthwaite df, never above those of the runs; not adjusted. Item outcomes are"
    " repeated measures of a run, never replicates.",
    "gap": _gap,
    "gap_method": "Narrow: {method}. Broad: t over per-context values, Kenward-Roger where contexts"
    " are unequally precise.",
    "gap_adjustment": _gap_adjustment,
    "gap_rule": _gap_rule,
    "no_gap": "No gap: {reason}.",
    "marginal_means": lambda adjustments: (
        f"Equal-weight marginal means; p adjusted by {', '.join(adjustments)} within the family of"
        " all level-against-baseline effects; intervals are per comparison."
    ),
    "probability_effects": "Average marginal effects in probability, random effects at their"
    " modes; coefficients, means and contrasts are log odds; tests are normal, or t with runs"
    " minus coefficients df for effects between runs.",
    # diverged, failed and left-out runs
    "score_policy": "a diverged run enters with its last valid score",
    "worst_policy": "a diverged run enters with the worst possible value",
    "exclude_policy": "diverged runs are left out",
    "complete_rows_policy": "rows with a missing value are left out",
    "diverged_left_out": lambda runs: f"{count(runs, 'diverged run')} left out",
    "diverged_with_score": lambda runs: (
        f"{count(runs, 'diverged run')} entered with the last valid score"
    ),
    "diverged_with_worst": lambda runs, value: (
        f"{count(runs, 'diverged run')} entered with the worst value, {value:g}"
    ),
    "never_reached": lambda runs, threshold: (
        f"{count(runs, 'run')} never reached {threshold:g} and enter at their last step"
    ),
    "without_metric": ByUnit(
        lambda unit, runs, metric: (
            f"{count(runs, 'finished run')} never reported {metric}"
            if unit == "run"
            else f"{count(runs, unit)} without a value of {metric}"
        )
    ),
    "without_area": lambda runs, metric: (
        f"{count(runs, 'finished run')} reported {metric} at fewer than two steps, and an area"
        " needs two"
    ),
    "without_result": ByUnit(
        lambda unit, runs: (
            f"{count(runs, unit)} without a result: cells with fewer {unit}s keep their full"
            f" weight, cells without any {unit} leave their combinations out"
        )
    ),
    "unsteady_cells": _unsteady_cells,
    "unpaired_runs": ByUnit(
        lambda unit, runs: f"{count(runs, unit)} without both responses left out"
    ),
    "constant_gap": "the gap is the same in every {unit}",
    "outcomes_left_out": lambda runs: (
        f"{count(runs, 'run')} left out: the response is not the mean of the run's last item"
        " outcomes"
    ),
    # diagnostics
    "unequal_variances": ByUnit(_unequal_variances),
    "near_bounds": lambda cells: (
        f"{count(cells, 'cell mean')} within 0.05 of 0 or 1: unequal room alone makes effects"
        " differ"
    ),
    "repeated_histories": lambda runs: (
        f"replicates repeat each other exactly in {count(runs, 'run')}: the same seed?"
    ),
    "unequal_starts": "step-0 scores differ within a context although the draws are common",
    # what a table holds
    "absent_words": _absent_words,
    "direction_guessed": _direction_guessed,
    "spelling_variants": _spelling_variants,
    "repeated_rows": _repeated_rows,
    "hidden_factor": _hidden_factor,
    "outcomes_agree": "outcomes of 0 and 1 agree within every cell, so nothing estimates the"
    " {noise}",
    "tested_by_permutation": "outcomes of 0 and 1 agree within every cell: p values of average"
    " effects are those of the permutation test, and there are no intervals",
    "permutation_test": "permutation test, labels exchanged within combination and context",
    # how a fit went
    "gradient_not_zero": "the gradient at the optimum is {gradient:.2g}, not zero",
    "local_minima": "the criterion has several local minima: starts ended up to {spread:.2g} apart"
    " and the lowest was taken",
    "zero_variance": "the variance between {group} levels is estimated as 0",
    "singular": _singular,
    "few_levels": _few_levels,
    "rows_left_out": _rows_left_out,
    "terms_aliased": lambda terms: (
        f"rank-deficient fixed effects: dropped {', '.join(terms)} (the design cannot separate"
        " them from earlier terms)"
    ),
    "written_twice": "{term} is written twice and counts once",
    "items_nested": "item numbers repeat in several data sets: (1 | item) was read as (1 |"
    " dataset:item)",
    "unused_categorical": lambda columns: (
        f"--categorical names columns outside the formula: {', '.join(columns)}"
    ),
    "capped_df": _capped_df,
    "no_df_between_runs": "as many coefficients as runs: effects between runs have no df for error",
    "low_kenward_roger_df": "some Kenward-Roger df are below 2: those tests say next to nothing",
    "normal_tests": "z tests ignore how few groups there are: their p values are too small",
    "residual_df_only": "without random terms every df is the residual one, not {df}",
    "normal_meta_tests": "z tests ignore the uncertainty of tau2: too small p for few rows",
    # two studies side by side
    "held_different": _held_different,
    "averaged_differently": lambda first, second: (
        f"Effects are averaged over other factors too: {', '.join(first)} against"
        f" {', '.join(second)}."
    ),
    "paired_by_context": "{contexts} contexts are in both studies: effects are paired by context,"
    " and speak for contexts like these.",
    "runs_in_both": "{response}: {runs} runs are in both studies, which pulls them together.",
    "no_margin_in_both": "{response}: without a smallest effect in both studies nothing can agree.",
    "unlike_metrics": "{response}: the studies measure it by different metrics, {first} and"
    " {second}.",
    "response_part": "response {response}",
    "level_part": "{factor}: {level} vs {baseline}",
}
"""The words of every code."""
