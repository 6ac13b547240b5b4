"""What each section of a report is called, and what it says first."""

from __future__ import annotations

from ablatekit.report.language.numbers import count
from ablatekit.report.language.reading import Subject

EFFECTS = "Effects"
EFFECTS_LEAD = "How large each effect is, here and over the widest scope of levels like these."
CONFIGURATIONS = "Configurations"
CONFIGURATIONS_LEAD = (
    "Every cell of the design against the baseline cell: what a whole recipe gains for its price,"
    " and whether the baseline suffices."
)
GAP = "Learning against generalization"
INTERACTIONS = "Interactions"
INTERACTIONS_LEAD = "Near zero, choices can be made one at a time."
CONTEXTS = "Context by context"
CONTEXTS_LEAD = "Would it hold elsewhere? An effect that flips sign between contexts is no recipe."
DYNAMICS = "Over training"
VARIANCE = "Where the variance goes"
ROBUST = "Robust companions"
ROBUST_LEAD = (
    "The same comparisons by statistics that outliers hardly move (Agarwal et al., 2021). They"
    " accompany the verdicts and decide none."
)
DESIGN = "The design"
DIAGNOSTICS = "Diagnostics"
MODEL = "The model"
MODEL_LEAD = "The formula that was fitted, its coefficients, and what was tested with it."
METHODS = "Methods and results to paste"
RESULTS = "Results in one paragraph"
METHODS_LEAD = "Ready to paste; every number comes from this analysis."
PROVENANCE = "Provenance"


def here(subject: Subject) -> str:
    """What narrow inference holds for."""
    if subject.contexts > 1:
        return f"in these {subject.contexts} contexts"
    return f"in these {subject.unit}s"


def answer_lead(subject: Subject, confidence: str, *, broad: bool, others: bool) -> str:
    """What the answer compares, and for what its verdicts hold; `others` are more factors."""
    averaged = ", averaged over the other choices" if others else ""
    text = f"Each level against its factor's baseline{averaged}. Verdicts hold {here(subject)}"
    if broad:
        text += "; beside them stands the widest scope that the contexts can speak for"
    return f"{text}. Intervals are {confidence}, per comparison."


def effects_lead(*, broad: bool) -> str:
    """How far the effects reach."""
    return EFFECTS_LEAD if broad else "How large each effect is."


def gap_lead(widens: str) -> str:
    """How the map of learning against generalization is read."""
    return (
        "A level on the dashed diagonal changes learning and generalization alike. Below it the"
        f" gap {widens}: more is learnt than carries over. The verdict is a paired test on the gap"
        " within each run, not a comparison of the two intervals."
    )


def dynamics_lead(confidence: str, *, effects: bool, left: int) -> str:
    """What curves and bands are; `left` factors are not drawn."""
    text = (
        "Mean over cells and contexts at each level; bands are pointwise"
        f" {confidence} intervals from the run-to-run variance."
    )
    if effects:
        text += (
            " Effects are against the baseline, narrow; their outer band holds at all steps"
            " together."
        )
    if left > 0:
        verb = "is" if left == 1 else "are"
        text += f" {count(left, 'factor')} with smaller effects {verb} in the tables only."
    return text


def variance_lead(subject: Subject) -> str:
    """What a share of the variance says."""
    beside = "contexts and seeds" if subject.unit == "run" else "what is left"
    return (
        f"How much of the differences between {subject.unit}s each choice explains, next to"
        f" {beside}. A share says how much varies, not what is better."
    )


def design_lead(subject: Subject) -> str:
    """The order of the runs, where it was planned."""
    if not subject.planned:
        return ""
    return (
        "Runs were executed in a randomised order, frozen with the plan (plan.json); Diagnostics"
        " shows residuals along it."
    )


def diagnostics_lead(subject: Subject) -> str:
    """What the section checks."""
    if subject.unit == "run":
        return "What the model assumes about run-to-run variation, and how the runs look under it."
    return "What the model assumes about the variation of rows, and how the rows look under it."


def missing_title(subject: Subject) -> str:
    """Runs end in several ways; a row has a value or none."""
    if subject.unit == "run":
        return "Missing, failed and diverged runs"
    return "Missing values"


def missing_lead(subject: Subject, policy: str, *, complete: bool) -> str:
    """How runs without a result enter, where there are any."""
    return "" if complete else f"No {subject.unit} disappears. Policy: {policy}."


def provenance_lead(subject: Subject) -> str:
    """How numbers lead back to where they come from."""
    if subject.planned:
        return "Report, analysis.json, fit, runs, run directory, spec: each number leads back."
    return "Report, analysis.json, fit, table: each number leads back."


def methods_in(most: int) -> str:
    """The heading of a methods text of at most so many words."""
    return f"Methods in {most} words"
