"""Captions, headings and footers of tables and figures.

Functions take words and numbers that are ready to be shown: `response` and `factor` are labels,
`unit` is what was left out or counted, "run" or "row".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ablatekit.analysis.core.schema.vocabulary import DoseScale, Estimand
from ablatekit.report.language.numbers import MINUS, count, general, sentence
from ablatekit.report.language.reading import Subject
from ablatekit.report.language.statements.phrases import NOT_SET
from ablatekit.report.language.verdicts import EFFECT_MARKS, GAP_MARKS, marks, word

TAU = "\N{GREEK SMALL LETTER TAU}"
I_SQUARED = "I\N{SUPERSCRIPT TWO}"
TIMES = "\N{MULTIPLICATION SIGN}"

NO_EFFECT = "the analysis holds no such effect"
GAP = "Gap"
BEYOND = "beyond"
PRICE = "price"
ANSWER_TABLE = "Average effect of every level against its baseline"
EVERY_CONTEXT = "Every effect in every context"
CONTEXT_TABLE = "Average effect inside each context"
HETEROGENEITY = "How much effects vary over what they are generalised to"
HETEROGENEITY_TABLE = "Heterogeneity of the average effects"
FACTOR_TABLE = "Factors, levels and contexts"
COST = "Cost per level"
CELLS = "Cells"
CELL_LIST = "Cells, by what they have other than the baseline cell"
DIFFERENCE = "other than the baseline"
BASELINE_CELL = "the baseline cell"
IN_DESIGN, NOT_IN_DESIGN = "yes", "no"
ONE_RUN = "cells that are one run"
MERGED = "Merged cells (identical by construction)"
EXCLUDED = "Excluded combinations"
DETECTABLE = "Minimum detectable effects with the observed variances"
DETECTABLE_FOOTER = (
    "An unadjusted test at alpha, with the observed variances and these contexts. This"
    " is what another study of that size could find; it is not the power of the effects seen."
)
ON_GAP = "effect on the gap"
GAP_TABLE = "Effect of every level on the gap"
INTERACTION_FIGURES = (
    "Bold: mean of the cell means over the other factors and contexts, equal weights;"
    " thin: single contexts."
)
NEAR_BOUNDS = "Cell means within 0.05 of 0 or 1"
STEP_ZERO = "Step-0 scores by context"
CHECKS = "What the model leaves over, by response"
FITTED = "Residuals against fitted values"
QUANTILES = "Residuals against normal quantiles"
ORDER = "Residuals in run order"
NEW_LEVEL = "at one new level"
REACHED = "runs that reached it"
RESIDUAL = "residual"
PLACE_IN_ORDER = "place in the run order"
MOVES_MOST = "moves it most"
STEPS_FOOTER = (
    "Steps are those of evaluations. Restricted mean: a run that never reached the"
    " threshold counts with its last step, so the mean is a lower bound where some did not."
)
STEADY_FOOTER = (
    "Late sd: mean standard deviation within a run over the last quarter of its steps."
    " Collapse: diverged, or fell back below half of the way from first to best value."
)
BOUNDS_FOOTER = (
    "Average effects when every run without a value takes the worst or the best possible"
    " score, the level against its baseline at the other extreme; no sampling error."
)


DOSE_SCALES: Mapping[DoseScale, str] = {
    "log": "log of the level",
    "linear": "the level itself",
    "order": "the order of the levels",
}
"""What an ordered factor's levels count as."""
DOSE_FOOTER = (
    "One F test of a linear and a quadratic trend over the levels (linear alone where there are"
    " two), narrow; p adjusted over the ordered factors of a response. It has no verdict: slopes"
    " have a direction."
)
SECOND_OPINION = "What statsmodels recomputed from the same runs"
WORST = "worst relative difference"
BEST_OTHER = "minus the best other"
EVERY_CONFIGURATION = "Standard errors of configurations, and every scope"
SCOPED_GAIN = "gain of a configuration"
SCOPED_RATIO = "ratio"
SCOPED_SPREAD = "spread of effects"
NO_SCOPE = "needs more contexts"
"""In the place of a broad verdict where no variable of the contexts varies."""
PLAIN_CONTEXTS = "Plain t over contexts, as if they were a plain sample"
PLAIN_FOOTER = (
    "As if contexts were a plain sample. Contexts that are a product of blocking variables are not:"
    " where an effect varies by one of them, these intervals are too short. No verdict rests on"
    " them."
)
CARRY_OVER = "How much of what is learnt carries over"
CARRY_OVER_FOOTER = (
    "Effect on generalization divided by effect on learning, Fieller interval; shown where"
    " learning's own p is below alpha, without which the interval would have no bounds. No verdict."
)
COVARIATES = "Effects against size"
COVARIATE_FOOTER = (
    "Least squares of the effect at each level of the variable on the log of its covariate. Slope:"
    " the change of the effect when the covariate grows e-fold. Predictions: the mean effect at"
    " that value, and in brackets after it that of one new level. No verdict."
)


ESTIMANDS: Mapping[Estimand, str] = {
    "average": "average",
    "baseline": "at the baseline",
    "removal": "of removal",
    "shapley": "Shapley value",
}
"""The columns of the table of estimands, in their order."""
ESTIMAND_MEANINGS: Mapping[Estimand, str] = {
    "average": "Average: over all combinations of the other choices.",
    "baseline": "At the baseline: with every other choice at its baseline.",
    "removal": "Of removal: with every other choice at a level other than its baseline.",
    "shapley": "Shapley value: the mean gain over all orders of adding the choices.",
}
SCOPED_EFFECT = "effect"
REST_IN_CSV = "Standard errors, df and all p values are in effects.csv."
TRENDS = "Trends over ordered factors"
MIXED = "Mixed models beside the verdicts"
IQM, IMPROVEMENT, PERMUTATION = "IQM", "probability of improvement", "permutation p"


def with_unit(title: str, unit: str) -> str:
    """A heading with the unit of what stands below it."""
    return f"{title}, {unit}" if unit else title


def versus(level: str, baseline: str) -> str:
    """A level and what it is compared with."""
    return f"{level or NOT_SET} vs {baseline or NOT_SET}"


def held_fixed(scopes: Sequence[str]) -> str:
    """What the verdicts beside generalise over, and on what they stay; nothing without any."""
    return f"Beside: {'; '.join(scopes)}." if scopes else ""


def against(baseline: str) -> str:
    """What a level is compared with."""
    return f"vs {baseline or NOT_SET}"


def price(ratio: float, metric: str) -> str:
    """What a level costs beside its baseline: 4x samples."""
    return f"{general(ratio, 3)}{TIMES} {price_of(metric)}".rstrip()


def price_of(metric: str) -> str:
    """What a price counts: samples; empty where nobody says it."""
    return metric.rsplit("/", maxsplit=1)[-1].replace("_", " ")


def without_estimate(names: Sequence[str], reason: str) -> str:
    """Levels that have no estimate for one reason."""
    return f"{sentence(word('not_estimated'))}: {', '.join(names)} ({reason.rstrip('.')})."


def nothing_beyond(needed: str) -> str:
    """Why no level has a verdict beyond what was run."""
    return f"Beyond what was measured: {needed.rstrip('.')}."


def further_responses(labels: Sequence[str]) -> str:
    """Responses that the answer has no room for."""
    return f"Further responses, under Effects: {'; '.join(labels)}."


def common_pairs(effects: Sequence[str]) -> str:
    """The effects over what all contexts share."""
    return f"Over the pairs that all contexts share: {'; '.join(effects)}."


def dose_tests(response: str) -> str:
    """The caption of the tests of trends."""
    return f"Trends of {response} over ordered factors"


def dose_slopes(response: str) -> str:
    """The caption of the slopes."""
    return f"Slopes of {response} over ordered factors"


def slope_of(factor: str, scale: DoseScale) -> str:
    """A factor and what its slope is for one more of."""
    per = {"log": "per doubling", "linear": "per unit", "order": "per step"}[scale]
    return f"{factor}, {per}"


def configurations(response: str) -> str:
    """The caption of the table of configurations."""
    return f"Configurations against the baseline: {response}"


def configurations_fold(response: str) -> str:
    """The title that opens their verdicts and errors."""
    return f"Every configuration on {response}: verdicts, scopes and errors"


def baseline_cell(levels: str) -> str:
    """What configurations are compared with."""
    return f"Baseline: {levels}."


def configuration_footer(response: str, methods: Sequence[str]) -> str:
    """How configurations are compared and judged."""
    how = f" on {response}: {' / '.join(methods)}." if methods else "."
    return (
        "Configurations: cell minus baseline cell, from raw cell means inside each context; narrow"
        " verdicts in one family of all configurations, beyond by Holm within the scope. May be"
        " best: not excluded by Hsu's multiple comparisons with the best. Narrow errors of gains"
        f"{how}"
    )


def no_best_set(reason: str) -> str:
    """Why nothing is said on which configuration may be the best."""
    return f"No best set: {reason.rstrip('.')}."


def may_be_best(known: bool | None) -> str:
    """Whether a configuration may be the best one."""
    return "" if known is None else ("yes" if known else "no")


def plain_fold(response: str) -> str:
    """The title that opens the t over contexts."""
    return f"{PLAIN_CONTEXTS}: {response}"


def carry_over(learning: str, generalization: str) -> str:
    """The caption of the carry-over."""
    return f"Effect on {generalization} per effect on {learning}"


def no_ratio(alpha: float) -> str:
    """Why nothing is said of what carries over."""
    return (
        f"the effect on learning is not clear of zero (p not below {alpha:g}), so that a ratio to"
        " it has no bounds"
    )


def mixed(response: str) -> str:
    """The caption of the mixed model beside the effects."""
    return f"Mixed model of {response}"


def random_part(group: str, name: str) -> str:
    """What a variance of the mixed companion is of: runs, levels, or the effect over levels."""
    return f"effect by {group}" if name == "c" else group


def mixed_variances(response: str) -> str:
    """The title that opens its variances."""
    return f"Variances of the mixed models of {response}"


def covariates(response: str) -> str:
    """The caption of effects against a covariate."""
    return f"Effects on {response} against a covariate of a blocking variable"


def prediction(at: str, estimate: str, interval: str, new: str) -> str:
    """An effect at one value of a covariate: its mean, and one new level."""
    return f"at {at}: {estimate} {interval}, one new level {new}"


def counted(title: str, number: int) -> str:
    """The title of a fold with the number of rows inside."""
    return f"{title} ({number})"


def effect_figures(confidence: str, *, predicted: bool, margin: bool) -> str:
    """What the marks of a forest plot are."""
    text = (
        f"Thick lines: narrow estimates (these contexts) with {confidence} intervals, marks by"
        f" verdict ({marks(EFFECT_MARKS)}). Largest gain first."
    )
    if predicted:
        text += (
            " Thin lines: prediction interval for one new level of the widest scope; an arrow where"
            " it leaves the axis."
        )
    return text + (" Shaded: within the smallest effect that matters." if margin else "")


def every_estimand(response: str) -> str:
    """The caption of the table of all estimands."""
    return f"Every estimand of {response}"


def estimands_fold(response: str) -> str:
    """The title that opens it."""
    return f"Effects on {response} by what they average over"


def judged(verdict: str, p: str) -> str:
    """A verdict and the adjusted p value that it rests on."""
    return f"{verdict}, p {p}" if p.startswith("<") else f"{verdict}, p = {p}"


def gap_figure() -> str:
    """What the marks of the map are."""
    return (
        f"Marks: narrow estimates with both intervals, shaped by the verdict on the gap"
        f" ({marks(GAP_MARKS)}). Numbers are those of the table below."
    )


def context_figures(confidence: str, left: int) -> str:
    """What the points are; `left` levels are not drawn."""
    more = f" {left} levels with smaller effects are in the table only." if left > 0 else ""
    return (
        f"Points: the average effect inside one context with its {confidence} interval. Line and"
        f" shade: mean over contexts (narrow).{more}"
    )


def rest_of_contexts(rows: int, shown: int) -> str:
    """Where the rows are that the table does not show."""
    return f"The first {shown:,} of {rows:,} rows; the others are in analysis.json."


def shares_figures(subject: Subject) -> str:
    """What the colours of the bars are."""
    rest = "and seeds" if subject.unit == "run" else "and what is left"
    return (
        "Share of the total sum of squares. Blue: factors; orange: interactions (terms with a"
        f" {TIMES}); grey: what varies with contexts, {rest}; contexts on an axis"
        " of their own."
    )


def together(number: int) -> str:
    """The bar of the interactions that are too small for their own."""
    return f"{number} interactions, together"


def anova(response: str) -> str:
    """The caption of an ANOVA table."""
    return f"Analysis of variance of {response}"


def interactions(response: str) -> str:
    """The caption of the matrix of interactions."""
    return f"Interactions on {response}"


def interactions_fold(response: str) -> str:
    """The title that opens the list of interactions."""
    return f"All interactions on {response}"


def every_interaction(response: str) -> str:
    """The caption of that list."""
    return f"Every interaction on {response}"


def clear_interactions(alpha: float) -> str:
    """What is set in bold in the matrix."""
    return f"Bold with an asterisk: adjusted p < {alpha:g}."


def milestones_fold(response: str) -> str:
    """The title that opens the tables over training."""
    return f"Milestones and stability: {response}"


def milestones(response: str) -> str:
    """The caption of the table of milestones."""
    return f"Steps until {response} reaches a threshold"


def stability(response: str) -> str:
    """The caption of the table of stability."""
    return f"How steady {response} is"


def effect_on(response: str) -> str:
    """The title of a figure of effects over training."""
    return f"Effect on {response}"


def items(response: str) -> str:
    """The heading of the item level."""
    return f"Items behind {response}"


def not_decomposed(reason: str) -> str:
    """Why outcomes have no variance components."""
    return f"Not decomposed: {reason}."


def item_shares(response: str, outcomes: int, number: int, runs: int) -> str:
    """The caption of the variance components of item outcomes."""
    sizes = f"{count(outcomes, 'outcome')} of {count(number, 'item')} in {count(runs, 'run')}"
    return f"Where item outcomes behind {response} vary ({sizes})"


def item_effects_fold(response: str) -> str:
    """The title that opens them."""
    return f"Effects on items like these: {response}"


def item_effects(response: str) -> str:
    """The caption of the effects on items like these."""
    return f"Average effects on {response}, on items like these"


def robust(response: str) -> str:
    """The caption of the robust companions."""
    return f"Robust companions of the effects on {response}"


def robust_footer(unit: str, method: str) -> str:
    """How the companions were made."""
    return (
        f"Companions: {method}. Permutation: labels of {unit}s exchanged within combination and"
        " context; not adjusted."
    )


def profiles(unit: str) -> str:
    """The caption of the performance profiles."""
    return f"Performance profiles: share of {unit}s above each score, with pointwise intervals."


def profiles_fold(response: str) -> str:
    """The title that opens them."""
    return f"Performance profiles of {response}"


def cost_table(unit: str) -> str:
    """The caption of the costs."""
    return f"Mean cost of a {unit} at each level"


def cost_footer(unit: str) -> str:
    """How costs were averaged."""
    return (
        f"Means per {unit} over matched cells, as for the average effects. Seconds, where"
        " shown, are of this execution and differ between machines."
    )


def held_equal(number: int) -> str:
    """The title that opens what is equal in all runs."""
    return counted("Held equal in every run", number)


def combination(parts: Sequence[str]) -> str:
    """Factors, or one level of each, in one heading."""
    return ", ".join(part or NOT_SET for part in parts)


def more_cells(left: int) -> str:
    """Where the cells are that the list leaves out."""
    return f"{count(left, 'more cell')} in analysis.json."


def detectable(response: str, power: str) -> str:
    """The caption of the smallest effects that a study of some size finds."""
    return f"Smallest true effect on {response} found with power {power}"


def replicates(number: int) -> str:
    """The heading of a number of replicates."""
    return f"{number} replicates"


def bounds() -> str:
    """The caption of the bounds over runs without a value."""
    return "What runs without a value could make of the effects"


def policies() -> str:
    """The caption of the effects under each policy."""
    return "Effects under each policy for diverged runs"


def policies_footer(policy: str) -> str:
    """Which levels are listed, and what this study does."""
    return f"Levels at which 20% or more of the runs diverged. Policy of this study: {policy}."


def unfinished(unit: str) -> str:
    """The caption of the list of runs without a result."""
    return f"{sentence(unit)}s that did not finish" if unit == "run" else "Rows without a value"


def endings(unit: str) -> str:
    """The caption of how many ended how."""
    return "How runs ended at each level" if unit == "run" else "Values at each level"


def left_out_figure(unit: str) -> str:
    """What the lines of the influence figure are."""
    return (
        f"One {unit} left out: thin lines are the intervals of all {unit}s, thick ones reach from"
        f" the smallest to the largest estimate without one {unit}."
    )


def left_out(unit: str) -> str:
    """The title of the influence figure."""
    return f"Effects with one {unit} left out"


def fitted_model(response: str, formula: str, method: str) -> str:
    """Which model the numbers of a response rest on."""
    return f"Model of {response}: {formula} ({method})."


def step_zero_fold(response: str) -> str:
    """The title that opens the scores before training."""
    return f"{STEP_ZERO}: {response}"


def near_bounds_fold(response: str) -> str:
    """The title that opens the cell means near a bound."""
    return f"{NEAR_BOUNDS}: {response}"


def residuals_fold(response: str) -> str:
    """The title that opens residual plots and influence."""
    return f"Residuals of {response}, and the influence of single values"


def left_out_table(response: str, unit: str) -> str:
    """The caption of the influence table."""
    return f"Average effects on {response} with one {unit} left out"


def left_out_footer(unit: str) -> str:
    """How far one run can move a mean."""
    return (
        f"Smallest and largest estimate over all analyses with one {unit} left out: leaving out a"
        f" {unit} with residual e moves the mean of its n {unit}s by e/(n {MINUS} 1)."
    )


def value_of(unit: str, name: str) -> str:
    """Whose value it is; rows that are named as such need no noun."""
    return name if name.startswith(unit) else f"{unit} {name}"


def step_zero(*, equal: bool) -> str:
    """Whether runs of a context begin alike."""
    return "equal within every context" if equal else "differ within a context"


def smallest_effect(amount: str) -> str:
    """The smallest effect that matters, or what follows from there being none."""
    if amount:
        return f"Smallest effect that matters: {amount}."
    return f"No smallest effect was declared, so nothing is called {word('equivalent')}."
