"""The sentences of the methods paragraph: what was run, estimated, tested and counted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ablatekit.report.language.numbers import count, general, sentence
from ablatekit.report.language.reading import Subject
from ablatekit.report.language.verdicts import SIZES, word

MINIMALIST = (
    "The baseline uses one rollout per query and the raw outcome reward without an"
    " advantage, following the minimalist baseline of Xie et al. (2026)."
)
SHARED_EVALUATION = (
    "All runs of a context share evaluation items and evaluation draws, so results are"
    " conditional on these."
)
AT_BASELINE = "The effect at the baseline holds every other factor at its baseline level."
INTERACTIONS = "Interactions are differences of differences and form families of their own."
WELCH = (
    "Where it was rejected, effects at the baseline and of removal take their standard"
    " errors from their own cells (Welch-Satterthwaite df)."
)
SPREAD = (
    "The spread of effects over the levels of a scope (tau) was estimated by moments; prediction"
    " intervals are for one new level."
)
FAMILY = (
    "A family holds the level-against-baseline average effects of one response under one inference"
    " and scope."
)
FORMULA_FAMILY = "The level-against-baseline effects form one family."
GAP = (
    "Whether a level acts differently on learning and generalization is tested on the gap, paired"
    " within the run, in families of their own, with the smaller of the two smallest effects as"
    " margin."
)
CONFIGURATIONS = (
    "Every configuration was compared with the baseline cell from raw cell means inside each"
    " context."
)
DUNNETT = "The narrow comparisons of configurations form one family (Dunnett, 1955)."
WELCH = (
    "Where variances differ between cells, configurations are compared by Welch's t with"
    " Holm's adjustment."
)
BEST = "Configurations that may be the best are those that Hsu (1984) does not exclude."
CARRY_OVER = (
    "Carry-over is the effect on generalization divided by that on learning, with Fieller's (1954)"
    " interval."
)
DOSE = (
    "Factors with an order were tested by one F test of a linear and, beyond two levels, a"
    " quadratic trend, a Holm family of their own."
)
MIXED = (
    "A mixed model with Kenward-Roger df (1997) stands beside the average effects and decides none."
)
SECOND_OPINION = "The numbers were recomputed from the runs with statsmodels."
DIVERGED = {
    "score": "enter with their last valid score",
    "worst": "enter with the worst possible score",
    "exclude": "are excluded",
}


def factor(label: str, levels: Iterable[object], baseline: object) -> str:
    """A factor with its levels."""
    return f"{label} ({', '.join(map(str, levels))}; baseline {baseline})"


def design(
    subject: Subject,
    kind: str,
    factors: Sequence[str],
    cells: int,
    replicates: int,
    variables: Iterable[str],
) -> str:
    """What was run: factors, cells, contexts and replicates."""
    text = f"We used a {kind} design over {count(len(factors), 'factor')}: {'; '.join(factors)}."
    named = " \N{MULTIPLICATION SIGN} ".join(variables)
    across = f" in {count(subject.contexts, 'context')} ({named})" if named else ""
    where = " in each context" if subject.contexts > 1 else ""
    if subject.unit == "row":
        rows = f"up to {count(replicates, 'row')} of each cell"
        return f"{text} Its {count(cells, 'cell')} were observed{across} with {rows}{where}."
    repeated = f"{count(replicates, 'independent replicate')} of each cell{where}"
    order = ", in randomised order." if subject.planned else "."
    return f"{text} Its {count(cells, 'cell')} were run{across} with {repeated}{order}"


def excluded(cells: Iterable[str]) -> str:
    """Combinations that were left out."""
    return f"Excluded: {'; '.join(cells)}."


def merged(groups: int) -> str:
    """Cells that are one run."""
    shared = "cells with identical effective settings shared their runs"
    return f"{count(groups, 'group')} of {shared}."


def held_equal(amount: str | None, unit: str | None) -> str:
    """What was equal in all runs."""
    text = "Every setting that is not a factor was equal in all runs"
    if amount and unit:
        text += f", among them the budget of {amount} {unit.replace('_', ' ')}"
    return f"{text}."


def unequal_costs(costs: Mapping[str, Mapping[str, Sequence[tuple[str, float]]]]) -> str:
    """What runs cost at the levels of factors that differ in it, by metric and factor."""
    parts = (
        f"{_cost_name(metric)} ({'; '.join(_factor_costs(*pair) for pair in by_factor.items())})"
        for metric, by_factor in costs.items()
    )
    return f"Levels differ in what a run costs on average: {', '.join(parts)}."


def _cost_name(metric: str) -> str:
    return metric.rsplit("/", maxsplit=1)[-1].replace("_", " ")


def _factor_costs(label: str, levels: Sequence[tuple[str, float]]) -> str:
    return f"{label} {', '.join(f'{level}: {general(mean)}' for level, mean in levels)}"


def response(label: str, summary: str, direction: str, smallest: str) -> str:
    """What a response is, and which direction is better."""
    text = f"{sentence(label)} is {summary} ({direction} is better)"
    if smallest:
        text += f"; the smallest effect that matters was set to {smallest}"
    return f"{text}."


def column(label: str, direction: str, smallest: str) -> str:
    """A response that is a column of a table."""
    return response(label, "a column of the table", direction, smallest)


def summary(name: str, argument: float | None, metric: str) -> str:
    """How the values of a metric over training became one number."""
    return {
        "final": f"the last value of {metric}",
        "best": f"the best value of {metric}",
        "auc": f"the mean of {metric} over training (area under its curve)",
        "mean_last": f"the mean of the last {argument or 0:g} values of {metric}",
        "time_to": f"the first step at which {metric} reaches {argument or 0:g}",
    }[name]


def average_effect(subject: Subject) -> str:
    """The experimental unit and the average effect."""
    inside, over = "", ""
    if subject.contexts > 1:
        inside, over = " inside each context", " that the context has, then over contexts"
    return (
        f"The {subject.unit} is the experimental unit. The average effect of a level is the"
        f" difference of cell means to the baseline level{inside}, averaged with equal weight over"
        f" the matched combinations of the other factors{over}."
    )


def adjusted_effect() -> str:
    """The effect of a level in a fitted formula."""
    return (
        "The effect of a level is the difference of the model's means to the baseline level,"
        " averaged with equal weight over the levels of the other factors."
    )


def inference(subject: Subject, name: str, how: str) -> str:
    """What an inference speaks for, and how it was made."""
    if name == "broad":
        return f"Broad inference speaks for levels like these of its scope ({how})."
    these = "this context" if subject.contexts == 1 else "these contexts"
    if not subject.contexts:
        these = f"these {subject.unit}s"
    return f"Narrow inference speaks for {these} ({how})."


def impossible(name: str, reason: str) -> str:
    """Why there is no inference of a kind."""
    return f"{sentence(name)} inference was not possible ({reason})."


def how(methods: Iterable[str], ends: Sequence[str]) -> str:
    """The df methods and the range of df."""
    named = " / ".join(methods)
    return f"{named}, df {' to '.join(ends)}" if ends else named


def models(formulas: Sequence[str]) -> str:
    """Which models were fitted."""
    verb = "model was" if len(formulas) == 1 else "models were"
    return f"The fitted {verb} {' and '.join(formulas)}."


def variance(kind: str, error: str) -> str:
    """The sums of squares of the ANOVA and what they were tested against."""
    against = f", tested against {error}" if error else ""
    return f"The analysis of variance uses {kind}{against}."


def equal_variances(subject: Subject, tested: Iterable[tuple[str, str]]) -> str:
    """The test of equal variances, by response."""
    named = "; ".join(f"{label} p {p if p.startswith('<') else '= ' + p}" for label, p in tested)
    variances = "run-to-run variance" if subject.unit == "run" else "variance"
    return f"Equal {variances} of the cells was tested after Brown and Forsythe (1974): {named}."


def robust(subject: Subject) -> str:
    """The companions without a normal model."""
    return (
        "Interquartile means, probabilities of improvement and performance profiles (Agarwal"
        f" et al., 2021) have bootstrap intervals over {subject.unit}s; permutation tests exchange"
        f" {subject.unit}s within contexts."
    )


def item_model(label: str, outcomes: int, items: int, formula: str) -> str:
    """The item model of one response."""
    return f"{label}, {outcomes:,} outcomes of {count(items, 'item')}: {formula}"


def items(decomposed: Sequence[str]) -> str:
    """The item level, where outcomes were decomposed."""
    return (
        "Item outcomes were decomposed by a mixed model with crossed random items and runs"
        f" ({'; '.join(decomposed)}); effects on items like these (Satterthwaite df) accompany"
        " the verdicts and decide none."
    )


def intervals(alpha: float) -> str:
    """What the intervals are."""
    return f"Intervals are two-sided {100 * (1 - alpha):g}% intervals per comparison."


def verdicts(alpha: float, adjustments: Sequence[str], *, margin: bool) -> str:
    """The verdict rule in the words of the verdicts."""
    by = _judged_by(adjustments)
    text = f"A level {word('helps')} or {word('hurts')} when {by} is below {alpha:g}"
    if not margin:
        return f"{text}, and is {word('inconclusive')} if not."
    inside = f"the {100 * (1 - 2 * alpha):g}% interval lies within the smallest effect that matters"
    return (
        f"{text}. Otherwise it is called {word('equivalent')} when {inside} (two one-sided tests;"
        f" Schuirmann, 1987), and {word('inconclusive')} if not. An effect with a direction is"
        f" {SIZES['by_more']} when the test of an effect within that margin, adjusted alike, has"
        f" p < {alpha / 2:g}, and {SIZES['less']} when {inside}."
    )


def _judged_by(adjustments: Sequence[str]) -> str:
    if adjustments == ["none"]:
        return "the p value"
    if adjustments == ["holm"]:
        return "the Holm-adjusted p value (Holm, 1979)"
    return f"the adjusted p value ({', '.join(adjustments)})"


def counts(subject: Subject, planned: int, ends: Sequence[tuple[int, str]], analysed: int) -> str:
    """How many runs ended how, and how many were analysed."""
    if not subject.planned:
        return f"Of {planned:,} {subject.unit}s, {analysed:,} were analysed."
    *most, last = (f"{number:,} {ending}" for number, ending in ends)
    return f"Of {planned:,} planned runs, {', '.join(most)} and {last}; {analysed:,} were analysed."


def diverged(policy: str) -> str:
    """How diverged runs enter."""
    return f"Diverged runs {DIVERGED.get(policy, policy)}."


def frozen(deviations: int) -> str:
    """The frozen plan, and how often it was left."""
    known = count(deviations, "deviation") if deviations else "no deviation"
    return f"The analysis plan was frozen before the first run, with {known} from it."


def price(metric: str) -> str:
    """What prices count."""
    return f"Prices are ratios of the mean {_cost_name(metric)} of a run, level to baseline."


def software(subject: Subject, named: Sequence[str], machine: Sequence[str]) -> str:
    """With what runs were executed, or a table analysed."""
    where = f" on {', '.join(machine)}" if machine else ""
    if subject.planned:
        return f"Runs were executed with {', '.join(named)}{where}."
    return f"The table was analysed with {', '.join(named)}{where}."
