"""Learning against generalization: effects on the gap, paired within the run (DESIGN 5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ablatekit.analysis.effects import effect_rows, fit
from ablatekit.analysis.layout import Layout, counted
from ablatekit.analysis.responses import Response
from ablatekit.analysis.schema import GapComparison, InferenceName
from ablatekit.analysis.verdict import Rule
from ablatekit.design.plan import PlannedAnalysis, PlannedResponse

LEARNING, GENERALIZATION = "learning", "generalization"


def smallest_gap_effect(*responses: PlannedResponse) -> float | None:
    """The smaller of the two responses' smallest effects: equivalence must satisfy both."""
    known = [r.smallest_effect for r in responses if r.smallest_effect is not None]
    return min(known) if len(known) == len(responses) else None


def gap_comparisons(
    responses: Mapping[str, Response],
    layout: Layout,
    analysis: PlannedAnalysis,
    inferences: Sequence[InferenceName],
) -> dict[str, GapComparison]:
    """The comparison `gap`, if the study has the responses `learning` and `generalization`."""
    planned = {response.name: response for response in analysis.responses}
    if not {LEARNING, GENERALIZATION} <= responses.keys():
        return {}
    margin = smallest_gap_effect(planned[LEARNING], planned[GENERALIZATION])
    learning = responses[LEARNING].values
    difference = learning.minus(responses[GENERALIZATION].values)
    rule = Rule(
        alpha=analysis.alpha,
        adjust=analysis.adjust,
        smallest_effect=margin,
        rise="widens",
        fall="narrows",
    )
    fitted = fit(difference, layout, analysis.interactions)
    unpaired = len(learning.run) - len(difference.run)
    messages = [f"{counted(unpaired, 'run')} without both responses left out"] if unpaired else []
    constant = len(difference.y) > 0 and np.ptp(difference.y) == 0
    messages += ["the gap is the same in every run"] if constant else []
    return {
        "gap": GapComparison(
            learning=LEARNING,
            generalization=GENERALIZATION,
            effects=effect_rows(fitted, "gap", inferences, rule),
            footer=_footer(fitted.model.error.method, margin, analysis),
            messages=messages,
        )
    }


def _footer(method: str, margin: float | None, analysis: PlannedAnalysis) -> str:
    adjusted = "Not adjusted" if analysis.adjust == "none" else "p adjusted by Holm"
    equivalence = (
        "no smallest effect is declared for both responses, so no row is called equivalent"
        if margin is None
        else f"equivalent: the {1 - 2 * analysis.alpha:.0%} interval lies within +-{margin:g}, "
        "the smaller of the two responses' smallest effects"
    )
    return (
        "Gap = learning minus generalization, paired within each run. "
        f"Narrow: {method}. Broad: t over per-context values. {adjusted} "
        "within a family of its own (average effects of one inference); intervals are per "
        f"comparison; {equivalence}."
    )
