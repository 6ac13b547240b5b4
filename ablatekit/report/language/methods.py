"""The sentences of the methods texts: what was run, estimated, tested and counted.

A sentence with shorter forms is a list of wordings, the longest first: a text of few words takes
the shorter ones (`report.paste.length`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ablatekit.report.language.numbers import count, general, sentence
from ablatekit.report.language.reading import Subject
from ablatekit.report.language.scopes import listed, variable, variables
from ablatekit.report.language.verdicts import SIZES, word

MOST_LEVELS = 12
"""Levels of all factors together that a sentence names; of more it gives the number."""
MOST_NAMED = 6
"""Factors or exclusions that a short sentence names."""
MOST_WORDS = 30
"""Of a list of names that has no shorter form."""
TIMES = " \N{MULTIPLICATION SIGN} "
MINIMALIST = [
    (
        "The baseline is one rollout per query with the raw outcome reward as its advantage, after"
        " the minimalist baseline of Xie et al. (2026)."
    ),
    "The baseline follows Xie et al. (2026).",
]
SHARED_EVALUATION = [
    (
        "All runs of a context share evaluation items and draws, so results are conditional on"
        " these."
    ),
]
CARRY_OVER = [
    (
        "Carry-over is the effect on generalization divided by that on learning, with Fieller's"
        " (1954) interval."
    ),
    "Carry-over ratios have Fieller's (1954) interval.",
]
SPREAD = [
    (
        "The spread of an effect over the levels of a scope (tau) was estimated by moments;"
        " prediction intervals are for one new level."
    ),
]
DIVERGED = {
    "score": "entered with their last valid score",
    "worst": "entered with the worst possible score",
    "exclude": "were excluded",
}
ESTIMANDS = {
    "baseline": "effects at the baseline (other factors at their baselines)",
    "removal": "effects of removal (other factors off their baselines)",
    "shapley": "Shapley values",
    "interaction": "interactions (differences of differences)",
}
SCHUIRMANN = "two one-sided tests; Schuirmann, 1987"


def kind(named: str, *, complete: bool) -> str:
    """What a design is called: a custom one by its name, a full one only where no cell lacks."""
    if complete:
        return "full factorial"
    return "incomplete factorial" if named == "full" else named


def design(
    subject: Subject, called: str, factors: Sequence[tuple[str, Sequence[str], str]]
) -> list[str]:
    """The factors with their levels: (label, levels, baseline)."""
    number = count(len(factors), "factor")
    article = "an" if called[0] in "aeiou" else "a"
    what = f"We ran {article} {called} design over {number}"
    if subject.unit == "row":
        what = f"The table crosses {number}" if "full" in called else f"The table varies {number}"
    elif not subject.planned:
        what = f"The runs form {article} {called} design over {number}"
    named = ", ".join(label for label, _, _ in factors)
    short = [f"{what}: {named}."] if len(factors) <= MOST_NAMED else []
    last = [] if short and len(short[0].split()) <= MOST_WORDS else [f"{what}."]
    few = sum(len(levels) for _, levels, _ in factors) <= MOST_LEVELS
    shown = "; ".join(_factor(*factor, few=few) for factor in factors)
    return [f"{what}: {shown}.", *short, *last]


def _factor(label: str, levels: Sequence[str], baseline: str, *, few: bool) -> str:
    others = [level for level in levels if level != baseline]
    known = ", ".join(others) if few else count(len(others), "other level")
    return f"{label} (baseline {baseline}; {known})" if others else f"{label} ({baseline})"


def cells(
    subject: Subject, number: int, replicates: int, contexts: str, analysed: str, planned: int
) -> list[str]:
    """How many cells, contexts and replicates there are, and how many were analysed."""
    where = f" in {contexts}" if contexts else ""
    crossed = count(number, "cell")
    if not subject.planned:
        most = count(replicates, subject.unit)
        up_to = f"{f'up to {most}' if replicates > 1 else f'one {subject.unit}'} per cell"
        each = f"{up_to} and context" if subject.contexts > 1 else up_to
        long = f"It has {crossed}{where} with {each}; {analysed}."
        return [long, f"It has {crossed}{where}; {analysed}."]
    each = f"{count(replicates, 'replicate')} of each"
    runs = count(planned, "planned run")
    long = (
        f"Its {crossed}{where} with {each} gave {runs}, executed in randomised order; {analysed}."
    )
    short = (
        f"{sentence(crossed)}{where} gave {count(planned, 'run')} in randomised order; {analysed}."
    )
    return [long, short]


def contexts(levels: Mapping[str, Sequence[str]], number: int) -> str:
    """The contexts as a product of their variables: 6 contexts (3 models x 2 data sets)."""
    if not levels:
        return ""
    if number == 1:
        return f"one context ({', '.join(values[0] for values in levels.values() if values)})"
    sizes = [count(len(values), variable(name), variables(name)) for name, values in levels.items()]
    product = 1
    for values in levels.values():
        product *= len(values)
    crossing = TIMES.join(sizes)
    if product != number:
        crossing = f"of {product:,} combinations of {crossing}"
    return f"{number:,} contexts ({crossing})"


def analysed(unit: str, total: int, entered: int, lost: Sequence[tuple[int, str]]) -> str:
    """How many runs or rows were analysed, and how the others ended."""
    text = "all were analysed" if entered == total else ""
    text = text or f"{entered:,} of {count(total, unit)} were analysed"
    ended = [f"{number:,} {how}" for number, how in lost if number]
    return f"{text} ({', '.join(ended)})" if ended else text


def diverged(policy: str) -> list[str]:
    """How diverged runs enter."""
    return [f"Diverged runs {DIVERGED.get(policy, policy)}."]


def excluded(combinations: Sequence[str]) -> list[str]:
    """Combinations that were left out."""
    number = count(len(combinations), "combination")
    verb = "was" if len(combinations) == 1 else "were"
    short = f"{number} of levels {verb} excluded beforehand."
    if len(combinations) > MOST_NAMED:
        return [short]
    return [f"Excluded beforehand: {'; '.join(combinations)}.", short]


def merged(groups: int) -> list[str]:
    """Cells that are one run."""
    shared = "of cells with identical effective settings shared their runs"
    return [f"{count(groups, 'group')} {shared}."]


def held_equal(amount: str | None, unit: str | None) -> list[str]:
    """What was equal in all runs."""
    if not amount or not unit:
        return ["Every other setting was equal in all runs."]
    budget = f"{amount} {unit.replace('_', ' ')}"
    return [
        f"Every other setting was equal in all runs, among them the budget of {budget}.",
        f"Every run had a budget of {budget}; other settings were equal.",
    ]


def costs(
    subject: Subject, metric: str, ratios: Sequence[tuple[str, float]], *, priced: bool
) -> list[str]:
    """How far levels of a factor differ in what a run costs, and what prices are ratios of."""
    name = cost_name(metric)
    price = f"Prices are ratios of the mean {name} per {subject.unit}, level to baseline."
    tail = [price] if priced else []
    if not ratios:
        return tail
    folds = [f"{general(ratio, 3)}-fold over levels of {label}" for label, ratio in ratios]
    differ = f"Mean {name} per {subject.unit} differed {listed(folds[:MOST_NAMED])}."
    return [" ".join([differ, *tail]), *tail] if tail else [differ]


def cost_name(metric: str) -> str:
    """A cost metric in words: generated tokens."""
    return metric.rsplit("/", maxsplit=1)[-1].replace("_", " ")


def responses(groups: Sequence[tuple[Sequence[tuple[str, str]], str, str]]) -> list[str]:
    """What the responses are: groups of ((label, summary), ...), direction and smallest effect."""
    number = sum(len(members) for members, _, _ in groups)
    verb, noun = ("is", "response") if number == 1 else ("are", "responses")
    long = [_responses(group, summaries=True) for group in groups]
    short = [_responses(group, summaries=False) for group in groups]
    wordings = [f"The {noun} {verb} {'; '.join(told)}." for told in (long, short)]
    if len(wordings[1].split()) <= MOST_WORDS:
        return wordings
    return [*wordings, f"{count(number, 'response')} {'was' if number == 1 else 'were'} analysed."]


def _responses(group: tuple[Sequence[tuple[str, str]], str, str], *, summaries: bool) -> str:
    members, direction, smallest = group
    named = [f"{label} ({summary})" if summaries else label for label, summary in members]
    text = f"{listed(named)}, {direction} is better"
    return f"{text}; the smallest effect that matters is {smallest}" if smallest else text


def summary(name: str, argument: float | None, metric: str) -> str:
    """How the values of a metric over training became one number."""
    return {
        "final": f"the last value of {metric}",
        "best": f"the best value of {metric}",
        "auc": f"the mean of {metric} over training",
        "mean_last": f"the mean of the last {argument or 0:g} values of {metric}",
        "time_to": f"the first step at which {metric} reaches {argument or 0:g}",
    }[name]


COLUMN = "a column of the table"


def saturated(subject: Subject) -> list[str]:
    """The experimental unit, and the average effect from raw cell means."""
    unit = f"The {subject.unit} is the experimental unit"
    if subject.contexts > 1:
        long = (
            f"{unit}; the average effect of a level is its difference in cell means to the baseline"
            " level over the matched cells that a context has, averaged equally over contexts."
        )
        short = "Average effects compare matched cells within contexts, averaged equally."
        return [long, short]
    long = (
        f"{unit}; the average effect of a level is its difference in cell means to the baseline"
        " level, averaged equally over matched cells."
    )
    return [long, "Average effects compare matched cells, averaged equally."]


def truncated(subject: Subject, order: int, unmatched: int, levels: int) -> list[str]:
    """The same from a model without some interactions, an assumption that is named.

    `unmatched` of `levels` have no matched pair of cells, and rest on the assumption alone.
    """
    what = "additivity of the factors" if order == 1 else f"no interaction above order {order}"
    where = " within each context" if subject.contexts > 1 else ""
    averaged = ", averaged equally over contexts" if subject.contexts > 1 else ""
    short = f"Effects are least-squares contrasts that assume {what}{where}."
    long = (
        f"The {subject.unit} is the experimental unit; average effects are least-squares contrasts"
        f" to the baseline level{averaged}, from a model that assumes {what}{where}, an"
        " assumption that the design cannot test in full."
    )
    if not unmatched:
        return [long, short]
    rest = f"{unmatched:,} of {count(levels, 'level')} had no matched pair and rest on it alone."
    return [f"{long} {sentence(rest)}", long, short]


def formulas(fits: Sequence[tuple[str, str, int]], *, levels: bool) -> list[str]:
    """The fitted formulas with method and rows, and the effect of a level where one is compared."""
    named = listed(f"{formula} ({method}, {count(rows, 'row')})" for formula, method, rows in fits)
    fitted = f"We fitted {named}."
    if not levels:
        return [fitted]
    effect = (
        "The effect of a level is the difference of the model's means to the baseline level,"
        " averaged equally over the levels of the other factors."
    )
    return [f"{fitted} {effect}", fitted]


def estimands(kinds: Sequence[str]) -> list[str]:
    """Which other contrasts were estimated."""
    told = listed(ESTIMANDS[name] for name in kinds)
    return [f"{sentence(told)} were estimated alike."]


def narrow(subject: Subject, how: str) -> list[str]:
    """What narrow inference speaks for, and how it was made."""
    these = f"these {subject.contexts} contexts"
    if subject.contexts <= 1:
        these = "this context" if subject.planned else f"these {subject.unit}s"
    what = f"Narrow inference speaks for {these}"
    return [f"{what} ({how}).", f"{what}."]


def fixed_tests(how: str) -> list[str]:
    """How effects of a formula were tested."""
    return [f"Tests of effects use {how}."]


def broad(scopes: Sequence[tuple[str, str]]) -> list[str]:
    """What broad inference generalises over: (scope, how)."""
    long = "; ".join(f"{over} ({how})" for over, how in scopes)
    short = "; ".join(over for over, _ in scopes)
    what = "Broad inference generalises"
    return [f"{what} {long}.", f"{what} {short}."]


def refused(name: str, reason: str) -> list[str]:
    """That there is no inference of a kind, and why."""
    return [
        f"{sentence(name)} inference was not possible ({reason}).",
        f"There is no {name} inference.",
    ]


HIDDEN_REPLICATION = [
    "With one replicate per cell, the error term is what higher interactions leave, no pure noise."
]


def how(methods: Iterable[str], ends: Sequence[str]) -> str:
    """The df methods and the range of df."""
    named = " / ".join(methods)
    return f"{named}, df {' to '.join(ends)}" if ends else named


def intervals(alpha: float) -> str:
    """What the intervals are."""
    return f"Intervals are {100 * (1 - alpha):g}%, per comparison."


def verdicts(alpha: float, adjustments: Sequence[str], family: str, *, margin: bool) -> list[str]:
    """The verdict rule in the words of the verdicts; `family` says what p is adjusted over."""
    by = _judged_by(adjustments, family)
    directed = f"A level {word('helps')} or {word('hurts')} when {by} is below {alpha:g}"
    plain = f"A level {word('helps')} or {word('hurts')} at {_briefly(adjustments)} < {alpha:g}"
    if not margin:
        open_ = f", else it is {word('inconclusive')}."
        return [f"{directed}{open_} {intervals(alpha)}", f"{plain}{open_}"]
    narrowed = f"{100 * (1 - 2 * alpha):g}% interval"
    inside = f"its {narrowed} lies within the smallest effect that matters"
    same = f"it is {word('equivalent')} when {inside}"
    direction = f"{directed}; otherwise {same} ({SCHUIRMANN}), else {word('inconclusive')}."
    size = (
        f"An effect is {SIZES['by_more']} when the test against that margin, adjusted alike, has"
        f" p < {alpha / 2:g}, and {SIZES['less']} when that interval lies inside it."
    )
    least = f"its {narrowed} lies within the smallest effect"
    return [
        f"{direction} {size} {intervals(alpha)}",
        f"{direction} {intervals(alpha)}",
        f"{plain} and is {word('equivalent')} when {least}.",
    ]


def _judged_by(adjustments: Sequence[str], family: str) -> str:
    if adjustments == ["none"]:
        return "the p value"
    if adjustments == ["holm"]:
        return f"the Holm-adjusted p value (Holm, 1979; {family})"
    return f"the adjusted p value ({', '.join(adjustments)}; {family})"


def _briefly(adjustments: Sequence[str]) -> str:
    if adjustments == ["none"]:
        return "p"
    return "Holm-adjusted p" if adjustments == ["holm"] else f"{'/'.join(adjustments)}-adjusted p"


FAMILY = "one family per response, estimand, inference and scope"
FORMULA_FAMILY = "one family per response"


def gap(*, margin: bool) -> list[str]:
    """How a gap between learning and generalization is tested."""
    short = "Effects on the gap between learning and generalization are paired within runs"
    if not margin:
        return [f"{short}, in families of their own.", f"{short}."]
    least = "the smaller of both smallest effects as margin"
    return [f"{short}, in families of their own, with {least}.", f"{short}."]


def equal_variances(tested: Sequence[tuple[str, str]], *, welch: bool) -> list[str]:
    """The test of equal variances by response, and what takes over where it rejects."""
    named = "; ".join(f"{label} p {p if p.startswith('<') else '= ' + p}" for label, p in tested)
    what = "Equal variances of the cells were tested after Brown and Forsythe (1974)"
    rest = " Where they were rejected, contrasts of single cells use Welch's t." if welch else ""
    short = [f"{what}."] if not rest else [f"{what};{rest.lower().replace('welch', 'Welch')}"]
    return [f"{what}: {named}.{rest}", *short]


def configurations(subject: Subject, judged: str, *, best: bool, where_equal: bool) -> list[str]:
    """How whole cells were compared with the baseline cell; `best`: with Hsu's best set.

    `where_equal`: some responses have none, as variances differ there.
    """
    inside = " inside each context" if subject.contexts > 1 else ""
    where = "where they do not, " if where_equal else ""
    rest = f"; {where}those that may be the best are the ones Hsu (1984) does not exclude"
    rest = rest if best else ""
    what = f"Every configuration was compared with the baseline cell from raw cell means{inside}"
    return [
        f"{what} ({judged}){rest}.",
        f"Configurations were compared by raw cell means ({judged}).",
    ]


def judged_configurations(families: Sequence[str]) -> str:
    """The families that configurations were judged in."""
    return "; ".join(families)


DUNNETT = "Dunnett, 1955"
WELCH = "Welch's t with Holm's adjustment where variances differ"
UNADJUSTED = "unadjusted"
BROAD_ONLY = {
    "holm": "under broad inference only, Holm-adjusted",
    "none": "under broad inference only, unadjusted",
}


def dose(*, quadratic: bool, adjusted: bool) -> list[str]:
    """The test of factors with an order."""
    trend = "linear and, beyond two levels, quadratic trend" if quadratic else "linear trend"
    family = ", a Holm family of their own" if adjusted else ""
    return [f"Factors with an order were tested by one F test of a {trend}{family}."]


def variance(kind_: str, error: str) -> list[str]:
    """The sums of squares of the ANOVA and what they were tested against."""
    against = f", tested against {error}" if error else ""
    return [f"The analysis of variance uses {kind_}{against}."]


def beside(subject: Subject, kinds: Sequence[str]) -> list[str]:
    """What stands beside the verdicts, by `BESIDE`."""
    told = listed(BESIDE[name].format(unit=subject.unit) for name in kinds)
    verb = "stand" if len(kinds) > 1 or kinds[0] in PLURAL else "stands"
    return [f"{sentence(told)} {verb} beside the verdicts and {verb_of(verb)} none."]


def verb_of(stands: str) -> str:
    """Decide, in the number of another verb."""
    return "decide" if stands == "stand" else "decides"


BESIDE: Mapping[str, str] = {
    "mixed": "a mixed model with Kenward-Roger df (1997)",
    "permutation": "permutation tests",
    "bootstrap": "interquartile means (Agarwal et al., 2021) with bootstrap intervals over {unit}s",
    "items": "a mixed model of item outcomes with crossed random items and runs",
}
PLURAL = ("permutation", "bootstrap")


def frozen(deviations: int) -> list[str]:
    """The frozen plan, and how often it was left."""
    known = count(deviations, "deviation") if deviations else "no deviation"
    return [
        f"The analysis plan was frozen before the first run, with {known} from it.",
        f"The plan was frozen beforehand ({known}).",
    ]


def second_opinion(recomputed: int, of: int, disagreements: int) -> list[str]:
    """How much of the analysis an independent computation repeated, and how often it differs."""
    differ = f"{disagreements:,} differ" if disagreements else "none differs"
    what = f"{recomputed:,} of {count(of, 'number')} were recomputed with statsmodels"
    return [f"{what}; {differ}."]


def software(subject: Subject, named: Sequence[str], machine: Sequence[str]) -> list[str]:
    """With what runs were executed, or a table analysed."""
    where = f" on {', '.join(machine)}" if machine else ""
    what = "Runs were executed" if subject.planned else "The table was analysed"
    core = [name for name in named if name.startswith("ablatekit")]
    short = [f"{what} with {', '.join(core)}."] if core else []
    return [
        f"{what} with {', '.join(named)}{where}.",
        f"{what} with {', '.join(named)}.",
        *(short if len(core) < len(named) else []),
    ]
