"""What stands under tables: inferences, rules, estimands, what was held equal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ablatekit.analysis.core.schema.codes import Code
from ablatekit.report.language.numbers import sentence
from ablatekit.report.language.scopes import over
from ablatekit.report.language.statements.phrases import NOT_SET, Words, amount
from ablatekit.report.language.verdicts import SIZES, together, word


def _narrow_inference(
    contexts: int, method: str, df: float, refused: str | None, alpha: float
) -> str:
    basis = f"refused: {refused}" if refused else f"{method} (df = {df})"
    where = f"these {contexts} contexts, which are fixed and crossed with the cells"
    where = where if contexts > 1 else "this one context"
    return f"Narrow: holds in {where}; {basis}; {1 - alpha:.0%} intervals."


def _broad_inference(scopes: list[list[str]], fewest: int, alpha: float) -> str:
    known = [scope for scope in scopes if scope]
    if not known:
        return "Broad: refused, because no blocking variable has two levels."
    text = (
        "Broad: levels like these, each scope a row with a verdict of its own; a t over the"
        f" contrast's value at each of at least {fewest} levels, a level's value being its mean"
        " over the contexts that have the contrast, df = levels - 1."
    )
    if any(len(scope) > 1 for scope in known):
        together_over = sentence(over(max(known, key=len)))
        text += (
            f" {together_over}: the widest of the crossed interval (mean squares of the table of"
            " per-context values, Satterthwaite df) and the t over each variable, p the largest."
        )
    return f"{text} {1 - alpha:.0%} intervals."


def _verdict_rule(alpha: float, smallest_effect: float | str | None) -> str:
    decided = f"Verdict: {word('helps')} / {word('hurts')} if adjusted p < {alpha:g}"
    if smallest_effect is None:
        return (
            f"{decided}, else {word('inconclusive')}; no smallest effect is declared, so that"
            " nothing has a size."
        )
    margin = f"+-{amount(smallest_effect)}"
    return (
        f"{decided}; else {word('equivalent')} if the {1 - 2 * alpha:.0%} interval lies within"
        f" {margin} (not adjusted); else {word('inconclusive')}. {_size_rule(alpha, margin)}"
    )


def _size_rule(alpha: float, margin: str) -> str:
    return (
        f"Size: {SIZES['by_more']} if the test of an effect within {margin}, adjusted alike, has"
        f" p < {alpha / 2:g}; {SIZES['less']} if the {1 - 2 * alpha:.0%} interval lies within it;"
        f" else {SIZES['open']}."
    )


def _adjusted(method: str) -> str:
    return (
        f"p adjusted by {method.capitalize()} within this estimand of this response under one"
        " inference and scope; intervals are per comparison, simultaneous ones by Bonferroni."
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
        f"{adjusted} within a family of its own (average effects under one inference and scope);"
        " intervals are per comparison;"
    )


def _gap_rule(alpha: float, smallest_effect: float | str | None) -> str:
    equivalent = word("equivalent")
    if smallest_effect is None:
        return (
            f"no smallest effect is declared for both responses, so no row is called {equivalent}."
        )
    margin = f"+-{amount(smallest_effect)}"
    return (
        f"{equivalent}: the {1 - 2 * alpha:.0%} interval lies within {margin}, the smaller of the"
        f" two responses' smallest effects. {_size_rule(alpha, margin)}"
    )


SENTENCES: Mapping[Code, Words] = {
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
    "average_effect": "Level minus baseline inside each context, equal weight on the matched"
    " combinations of the other factors that the context has, then on the contexts that have any.",
    "baseline_effect": "Level minus baseline, every other factor at its baseline.",
    "removal_effect": "Level minus baseline, every other factor at a non-baseline level (leave one"
    " out).",
    "shapley_value": "Mean gain over all orders of adding the choices, from every factor at its"
    " baseline to the full configuration; the values add up to that difference.",
    "interaction": lambda: (
        "Difference of differences, level against baseline, over the combinations of the other"
        f" factors that a context has with all four cells; {together('helps')}: the two gain more"
        " than the sum of what each gains alone."
    ),
    "context_effects": "Average effect inside each context; narrow error, not adjusted.",
    "heterogeneity": "tau: sd of the true effects over the levels of the scope (moments);"
    " prediction interval for one new level: mean +- t(levels - 1) s sqrt(1 + 1/levels), s being"
    " the sd of the levels' values; over two variables for a new level of both, approximate.",
    "learning_curves": _learning_curves,
    "part_of_items": "Curves and effects over training are on the part of the items that every"
    " evaluation uses; values on all items, from which the effects elsewhere are estimated, are"
    " marked apart.",
    "metric_meaning": "{metric}: {doc}.",
    "held_equal": _held_equal,
    "matched_cells": _matched_cells,
    "item_model": "Linear probability model of item outcomes, contexts fixed, weighted by samples;"
    " items are nested in their data set. Effects on items like these: equal-weight contrasts of"
    " cell means with the items of each data set as a random sample, from mean squares where every"
    " run of a data set saw the same items and from a mixed model with a random slope per item"
    " elsewhere; Satterthwaite df, never above those of the runs; not adjusted. Item outcomes are"
    " repeated measures of a run, never replicates.",
    "levels_withheld": lambda factors: (
        f"Withheld for {', '.join(factors)}: a mean over the runs at a level would show what goes"
        " along with it, as its levels share no combination of the other factors."
    ),
    "levels_at_shared_cells": lambda factors: (
        f"Levels of {', '.join(factors)} over the combinations of the other factors that a context"
        " has with all of them."
    ),
    "gap": _gap,
    "gap_method": "Narrow: {method}. Broad: the scopes of the effects, by the same rules.",
    "gap_adjustment": _gap_adjustment,
    "gap_rule": _gap_rule,
    "no_gap": "No gap: {reason}.",
    "baselines": lambda factors, levels: (
        "Baselines: "
        + ", ".join(
            f"{name} = {level or NOT_SET}" for name, level in zip(factors, levels, strict=True)
        )
        + " (the first in the table unless named)."
    ),
    "coding_of_satterthwaite": "Satterthwaite's df of an F test with several numerator df depend on"
    " the coding of the factors (here treatment coding against their baselines, as in lmerTest);"
    " Kenward-Roger's do not.",
    "marginal_means": lambda adjustments: (
        f"Equal-weight marginal means; p adjusted by {', '.join(adjustments)} within the family of"
        " all level-against-baseline effects; intervals are per comparison."
    ),
    "probability_effects": "Average marginal effects in probability, random effects at their"
    " modes; coefficients, means and contrasts are log odds; tests are normal, or t with runs"
    " minus coefficients df for effects between runs.",
}
"""The words of every such code."""
