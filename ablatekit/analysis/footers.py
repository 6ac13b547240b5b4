"""What stands under every table: df method, adjustment, averaging, what was held equal."""

from __future__ import annotations

from ablatekit.analysis.cells.broad import FEWEST_CONTEXTS
from ablatekit.analysis.cells.contrasts import effect_contrasts
from ablatekit.analysis.cells.effects import UNEQUAL_VARIANCES, Fitted
from ablatekit.analysis.core.layout import Layout
from ablatekit.design.plan import Plan, PlannedAnalysis, PlannedResponse

CONDITIONAL = "Conditional on these evaluation items and draws."


def footers(plan: Plan, fitted: Fitted, response: PlannedResponse, anova: str) -> dict[str, str]:
    """One footer per table of a response."""
    analysis = plan.analysis
    adjustment = _adjustment(analysis)
    notes = {
        "narrow": _narrow(fitted, analysis),
        "broad": _broad(analysis),
        "average": f"Level minus baseline, equal weight on matched combinations of the other "
        f"factors and on contexts. {adjustment} {_verdicts(response, analysis)}",
        "baseline": f"Level minus baseline, every other factor at its baseline. {adjustment}"
        f"{_own_cells(fitted)}",
        "removal": "Level minus baseline, every other factor at a non-baseline level (leave one "
        f"out). {adjustment}{_own_cells(fitted)}",
        "shapley": "Mean gain over all orders of adding the choices, from every factor at its "
        f"baseline to the full configuration; the values add up to that difference. {adjustment}",
        "interaction": f"Difference of differences, level against baseline. {adjustment}",
        "anova": anova,
        "contexts": "Average effect inside each context; narrow error, not adjusted. "
        f"{CONDITIONAL}",
        "heterogeneity": "tau: sd of true effects between contexts (moments); prediction interval "
        "for one new context: mean +- t(contexts - 1) sqrt(tau^2 + se^2).",
        "dynamics": "Equal-weight mean over cells and contexts; pointwise intervals at "
        f"{1 - analysis.alpha:.0%} from the run-to-run variance within cell and context."
        + (f" {response.metric}: {response.doc}." if response.doc else ""),
        "held_equal": _held_equal(plan),
    }
    notes["matched"] = matched_cells(fitted.layout)
    parts = (notes["narrow"], notes["broad"], adjustment, notes["matched"])
    notes["effects"] = " ".join(filter(None, parts))
    return {name: note for name, note in notes.items() if note}


def matched_cells(layout: Layout) -> str:
    """The combinations behind each average effect that does not have all of them; else empty."""
    parts = []
    for contrast in effect_contrasts(layout, layout.codes, "average"):
        factor = contrast.varied[0]
        possible = layout.grid_size // int(layout.sizes[factor])
        if 0 < len(contrast.codes) < possible:
            cells = layout.decode(contrast.codes[:, 0])
            labels = "; ".join(layout.cell_label(cell, contrast.varied) for cell in cells)
            parts.append(
                f"{contrast.factor} {contrast.level} against {contrast.baseline}: {labels}"
            )
    return f"Matched cells. {'. '.join(parts)}." if parts else ""


def _adjustment(analysis: PlannedAnalysis) -> str:
    if analysis.adjust == "none":
        return "p values are not adjusted."
    return (
        f"p adjusted by {analysis.adjust.capitalize()} within this estimand of this response "
        "under one inference; intervals are per comparison, simultaneous ones by Bonferroni."
    )


def _verdicts(response: PlannedResponse, analysis: PlannedAnalysis) -> str:
    decided = f"helps / hurts: adjusted p < {analysis.alpha:g}"
    if response.smallest_effect is None:
        return f"Verdict: {decided}, else inconclusive; no smallest effect is declared."
    return (
        f"Verdict: equivalent if the {1 - 2 * analysis.alpha:.0%} interval lies within "
        f"+-{response.smallest_effect:g} (not adjusted), else {decided}, else inconclusive."
    )


def _narrow(fitted: Fitted, analysis: PlannedAnalysis) -> str:
    error = fitted.model.error
    basis = f"refused: {error.reason}" if error.reason else f"{error.method} (df = {error.df})"
    assumed = f" Assumes no interaction above order {fitted.order}." if fitted.truncated else ""
    contexts = len(fitted.layout.contexts)
    where = f"these {contexts} contexts, which are fixed and crossed with the cells"
    if contexts < 2:
        where = "this one context"
    return (
        f"Narrow: holds in {where}; {basis}; {1 - analysis.alpha:.0%} intervals."
        f"{assumed} {CONDITIONAL}"
    )


def _broad(analysis: PlannedAnalysis) -> str:
    return (
        f"Broad: contexts like these, at least {FEWEST_CONTEXTS}, which count as exchangeable; t "
        "over the contrast's value in each context, df = contexts - 1. Where contexts are "
        "unequally precise or lack the contrast: a mixed model with a random slope per context, "
        "Kenward-Roger df, never above contexts - 1 (rows name their method; analysis.json holds "
        f"both). {1 - analysis.alpha:.0%} intervals."
    )


def _own_cells(fitted: Fitted) -> str:
    if fitted.truncated:
        return f" Assumes no interaction above order {fitted.order}."
    if fitted.brown_forsythe < UNEQUAL_VARIANCES:
        return (
            f" Variances differ between cells (Brown-Forsythe p = {fitted.brown_forsythe:.3g}): "
            "narrow standard errors are Welch's, from the contrast's own cells (pooled where one "
            "of them has a single run)."
        )
    return ""


def _held_equal(plan: Plan) -> str:
    settings = ", ".join(f"{name} = {value}" for name, value in sorted(plan.held_equal.items()))
    return f"Held equal in every run: {settings}." if settings else ""
