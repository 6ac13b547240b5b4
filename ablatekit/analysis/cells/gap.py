"""Learning against generalization: effects on the gap, paired within the run (DESIGN 5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ablatekit.analysis.cells.carry_over import carry_over
from ablatekit.analysis.cells.effects import effect_rows, fit, infer_all, plain_rows
from ablatekit.analysis.cells.prices import pricing
from ablatekit.analysis.core.layout import Layout
from ablatekit.analysis.core.schema.effects import GapComparison
from ablatekit.analysis.core.schema.vocabulary import InferenceName, Statement, statement
from ablatekit.analysis.core.values import RunValues
from ablatekit.analysis.stats.verdict import VerdictRule
from ablatekit.analysis.tables.costs import Prices
from ablatekit.analysis.tables.responses import Response
from ablatekit.design.plan import PlannedAnalysis, PlannedResponse

LEARNING, GENERALIZATION = "learning", "generalization"
NO_PAIRS = statement("no_run_of_both")


def smallest_gap_effect(*responses: PlannedResponse) -> float | None:
    """The smaller of the two responses' smallest effects: equivalence must satisfy both."""
    known = [r.smallest_effect for r in responses if r.smallest_effect is not None]
    return min(known) if len(known) == len(responses) else None


def why_not_comparable(
    learning: PlannedResponse, generalization: PlannedResponse
) -> Statement | None:
    """Why the difference of two responses means nothing: None where it means something."""
    parts = ("direction", "unit", "summary")
    values = {part: (getattr(learning, part), getattr(generalization, part)) for part in parts}
    differing = {part: pair for part, pair in values.items() if pair[0] != pair[1]}
    if not differing:
        return None
    return statement(
        "unlike_responses",
        parts=list(differing),
        learning=[str(pair[0]) for pair in differing.values()],
        generalization=[str(pair[1]) for pair in differing.values()],
    )


def gap_comparisons(
    responses: Mapping[str, Response],
    layout: Layout,
    analysis: PlannedAnalysis,
    inferences: Sequence[InferenceName],
    costs: Prices | None = None,
) -> dict[str, GapComparison]:
    """The comparison `gap`, if the study has the responses `learning` and `generalization`.

    The gap is how far generalization lies behind learning in the direction that is better, so that
    a positive effect widens it. Responses that cannot be subtracted give rows with the reason.
    """
    planned = {response.name: response for response in analysis.responses}
    if not {LEARNING, GENERALIZATION} <= responses.keys():
        return {}
    margin = smallest_gap_effect(planned[LEARNING], planned[GENERALIZATION])
    refused = why_not_comparable(planned[LEARNING], planned[GENERALIZATION])
    paired = _paired(responses, lower=planned[LEARNING].direction == "lower")
    rule = VerdictRule(
        alpha=analysis.alpha,
        adjust=analysis.adjust,
        smallest_effect=margin,
        rise="widens",
        fall="narrows",
    )
    fitted = fit(_none_of(paired) if refused else paired, layout, analysis.interactions)
    fitted = replace(fitted, refused=refused or (fitted.refused and NO_PAIRS))
    footer = _footer(fitted.model.error.method, margin, analysis, planned[LEARNING].direction)
    families = infer_all(fitted, inferences, analysis.alpha)
    comparison = GapComparison(
        learning=LEARNING,
        generalization=GENERALIZATION,
        effects=effect_rows(families, "gap", rule, layout, pricing(costs, fitted)),
        plain_contexts=plain_rows(families, layout, analysis.alpha),
        footer=[statement("no_gap", reason=refused)] if refused else footer,
        messages=[refused] if refused else _messages(responses[LEARNING].values, paired),
    )
    if refused is None:
        both = (responses[LEARNING].values, responses[GENERALIZATION].values)
        order, alpha = analysis.interactions, analysis.alpha
        comparison["carry_over"] = carry_over(*both, layout, order, alpha, inferences)
    return {"gap": comparison}


def _paired(responses: Mapping[str, Response], *, lower: bool) -> RunValues:
    """How far generalization lies behind learning in every run that has both."""
    values = (responses[LEARNING].values, responses[GENERALIZATION].values)
    ahead, behind = reversed(values) if lower else values
    return ahead.minus(behind)


def _none_of(values: RunValues) -> RunValues:
    return replace(values, y=values.y[:0], unit=values.unit[:0], context=values.context[:0], run=())


def _messages(learning: RunValues, paired: RunValues) -> list[Statement]:
    unpaired = len(learning.run) - len(paired.run)
    messages = [statement("unpaired_runs", runs=unpaired)] if unpaired else []
    constant = len(paired.y) > 0 and np.ptp(paired.y) == 0
    return [*messages, statement("constant_gap")] if constant else messages


def _footer(
    method: Statement, margin: float | None, analysis: PlannedAnalysis, direction: str
) -> list[Statement]:
    return [
        statement("gap", direction=direction),
        statement("gap_method", method=method),
        statement("gap_adjustment", adjust=analysis.adjust),
        statement("gap_rule", alpha=analysis.alpha, smallest_effect=margin),
    ]
