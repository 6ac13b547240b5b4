"""What stands under every table: df method, adjustment, averaging, what was held equal."""

from __future__ import annotations

from ablatekit.analysis.cells.broad import FEWEST_LEVELS, scopes
from ablatekit.analysis.cells.contrasts import effect_contrasts
from ablatekit.analysis.cells.effects import UNEQUAL_VARIANCES, Fitted
from ablatekit.analysis.companions.matched import matched_levels
from ablatekit.analysis.core.layout import Layout
from ablatekit.analysis.core.schema.vocabulary import Statement, statement
from ablatekit.design.plan import Plan, PlannedAnalysis, PlannedResponse

CONDITIONAL = statement("conditional_on_evaluation")
NO_BACKEND = "table"
"""The backend of a table that was brought along: nothing is known of how its values came about."""


def footers(
    plan: Plan, fitted: Fitted, response: PlannedResponse, anova: Statement
) -> dict[str, list[Statement]]:
    """One footer per table of a response; without what would say nothing."""
    analysis = plan.analysis
    adjustment = _adjustment(analysis)
    evaluated = [CONDITIONAL] if plan.backend != NO_BACKEND or response.items else []
    narrow, broad = [*_narrow(fitted, analysis), *evaluated], _broad(fitted, analysis)
    matched, own_cells = matched_cells(fitted.layout), _own_cells(fitted)
    notes = {
        "narrow": narrow,
        "broad": broad,
        "average": [
            statement("average_effect"),
            *_baselines(plan),
            adjustment,
            _verdict_rule(response, analysis),
        ],
        "baseline": [statement("baseline_effect"), adjustment, *own_cells],
        "removal": [statement("removal_effect"), adjustment, *own_cells],
        "shapley": [statement("shapley_value"), adjustment],
        "interaction": [statement("interaction"), adjustment],
        "anova": [anova],
        "contexts": [statement("context_effects"), *evaluated],
        "heterogeneity": [statement("heterogeneity")],
        "dynamics": [*_dynamics(response, analysis), *_shown_levels(fitted)],
        "robust": _shown_levels(fitted),
        "held_equal": _held_equal(plan),
        "matched": matched,
        "effects": [*narrow, *broad, *_baselines(plan), adjustment, *matched],
    }
    return {name: note for name, note in notes.items() if note}


def matched_cells(layout: Layout) -> list[Statement]:
    """The combinations behind each average effect that does not have all of them."""
    effects = []
    for contrast in effect_contrasts(layout, layout.codes, "average"):
        factor = contrast.varied[0]
        possible = layout.grid_size // int(layout.sizes[factor])
        if 0 < contrast.combinations < possible:
            cells = layout.decode(contrast.codes[contrast.first_rows, 0])
            effects.append(
                {
                    "factor": contrast.factor,
                    "level": contrast.level,
                    "baseline": contrast.baseline,
                    "cells": [layout.cell_label(cell, contrast.varied) for cell in cells],
                }
            )
    return [statement("matched_cells", effects=effects)] if effects else []


def _baselines(plan: Plan) -> list[Statement]:
    """The baselines of a table, which no study has named."""
    if plan.backend != NO_BACKEND:
        return []
    told = {
        "factors": [factor.name for factor in plan.factors],
        "levels": [factor.baseline for factor in plan.factors],
    }
    return [statement("baselines", **told)]


def _adjustment(analysis: PlannedAnalysis) -> Statement:
    if analysis.adjust == "none":
        return statement("not_adjusted")
    return statement("adjusted", method=analysis.adjust)


def _verdict_rule(response: PlannedResponse, analysis: PlannedAnalysis) -> Statement:
    return statement("verdict_rule", alpha=analysis.alpha, smallest_effect=response.smallest_effect)


def _narrow(fitted: Fitted, analysis: PlannedAnalysis) -> list[Statement]:
    error = fitted.model.error
    inference = statement(
        "narrow_inference",
        contexts=len(fitted.layout.contexts),
        method=error.method,
        df=error.df,
        refused=error.reason,
        alpha=analysis.alpha,
    )
    assumed = [statement("truncated_model", order=fitted.order)] if fitted.truncated else []
    return [inference, *assumed]


def _broad(fitted: Fitted, analysis: PlannedAnalysis) -> list[Statement]:
    over = [list(scope) for scope in scopes(fitted.layout)]
    return [statement("broad_inference", scopes=over, fewest=FEWEST_LEVELS, alpha=analysis.alpha)]


def _own_cells(fitted: Fitted) -> list[Statement]:
    """What effects of single cells assume, or whose variances they take."""
    if fitted.truncated:
        return [statement("truncated_model", order=fitted.order)]
    if fitted.brown_forsythe < UNEQUAL_VARIANCES:
        return [statement("own_variances", p=fitted.brown_forsythe)]
    return []


def _dynamics(response: PlannedResponse, analysis: PlannedAnalysis) -> list[Statement]:
    meaning = statement("metric_meaning", metric=response.metric, doc=response.doc)
    return [
        statement("learning_curves", alpha=analysis.alpha),
        *([statement("part_of_items")] if response.partial else []),
        *([meaning] if response.doc else []),
    ]


def _shown_levels(fitted: Fitted) -> list[Statement]:
    """Which factors' levels are shown on their own over shared cells only, and which not at all."""
    matched = matched_levels(fitted.layout, fitted.cells.count > 0)
    withheld = [one.factor for one in matched if not one.levels]
    partly = [one.factor for one in matched if one.levels and not one.whole]
    return [
        *([statement("levels_at_shared_cells", factors=partly)] if partly else []),
        *([statement("levels_withheld", factors=withheld)] if withheld else []),
    ]


def _held_equal(plan: Plan) -> list[Statement]:
    settings = dict(plan.held_equal)
    return [statement("held_equal", settings=settings)] if settings else []
