"""Two studies side by side, in words: what the comparison teaches, and how far to trust it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from ablatekit.analysis.core.schema.vocabulary import Number, Size, Verdict
from ablatekit.report.language import captions
from ablatekit.report.language.brief.headline import clipped, in_unit, price_noun, same_price
from ablatekit.report.language.numbers import Scale, absent, count, general, p_value, sentence
from ablatekit.report.language.reading import words
from ablatekit.report.language.scopes import listed
from ablatekit.report.language.sentences import say
from ablatekit.report.language.statements.phrases import NOT_SET, first_few
from ablatekit.report.language.verdicts import SIZES, word

if TYPE_CHECKING:
    from ablatekit.analysis.compare import Agreement, ComparedEffect

QUESTION = "Which effects are the same in both studies?"
TABLE = "Every level that both studies compare"
MOST_TABLE = "Levels that both studies compare: those that differ most"
ALL = "All levels"
DIFFERENCE = "difference"
AGREEMENT = "agreement"
FIGURE = "Both effects of every level, and their difference"
PLANS = "What differs in their plans"
PLANS_TABLE = "Settings, factors, runs, rules and software that are not the same"
CONFIGURATIONS = "Configurations that both have"
CONFIGURATIONS_LEAD = (
    "Cells that differ from the baseline in the same levels. A factor that one study does not vary"
    " is at the other's baseline. Estimates and intervals of each study; no test between them."
)
SAME_PLANS = "Nothing that the analyses record about their plans differs."
NOT_HELD = "varied, or not a setting"
FACTORS = "the factors varied"
ABSENT = "not in this study"
NO_QUESTION = "states no question"
NOT_DECLARED = "not declared"
HELD, FACTOR, CONTEXTS, RUNS, RULES, RESPONSE, SOFTWARE = (
    "held equal", "factor", "contexts", "runs", "analysis", "response", "software",
)  # fmt: skip
"""Parts of two plans that may differ."""
ONLY_THERE = "only in this study"
BASELINE = "baseline"
NOTHING = "Nothing was compared"
ONE_STUDY = "One study, not two"
"""How far to trust a comparison without effects in both, and that of a study with itself."""
MOST_NAMED = 2
"""Levels that a sentence names; more are counted."""
LONGEST_STUDY = 40

Change: TypeAlias = Literal["flips", "larger", "smaller", "one_only", "other"]
TEMPLATES: Mapping[str, str] = {
    "differ": "{level}: {first} {response} {here}, {second} {there}{change}; difference"
    " {difference}{size}.",
    "also": "{response}: {first} becomes {second}, difference {difference}{size}.",
    "by": "{level} on {response} by {difference}{size}",
    "apart": "{level} on {response} ({difference})",
    "values": "{level} on {response}, {first} and {second}",
    "becomes": "{level}: {first} {response} becomes {second}",
    "all": "{level} on {response}, {first} and {second}, difference {difference}{size}",
    "differ_too": "Also different: {levels}.",
    "agree": "Agree within what matters: {levels}.",
    "agree_first": "The studies agree within what matters: {levels}.",
    "undecided": "Undecided: {levels}.",
    "undecided_first": "Whether the studies agree is undecided: {levels}.",
    "not_compared": "Not compared: {count}.",
    "held": "Held equal: {first} in {here}, {second} in {there}.",
}
CHANGES: Mapping[Change, str] = {
    "flips": ": the sign flips",
    "larger": ": the same sign, larger",
    "smaller": ": the same sign, smaller",
    "one_only": "",
    "other": "",
}


@dataclass(frozen=True, slots=True)
class Price:
    """What a level costs in one study, and what that counts."""

    times: Number
    metric: str


@dataclass(frozen=True, slots=True)
class SaidStudy:
    """A study in sentences: its name, and what it holds equal that the other does not.

    `held` is empty where the plans differ in other things than one setting; `amount` is how much
    of it.
    """

    name: str
    held: str = ""
    amount: str = ""


@dataclass(frozen=True, slots=True)
class SaidEffect:
    """One level on one response in both studies, as sentences need it."""

    level: str
    response: str
    scale: Scale
    estimates: tuple[Number, Number]
    verdicts: tuple[Verdict, Verdict]
    prices: tuple[Price, Price]
    difference: Number
    low: Number
    high: Number
    agreement: Agreement
    size: Size | None
    lower_is_better: bool = False

    def change(self) -> Change:
        """How the second effect stands to the first, as far as both verdicts carry it."""
        directed = [verdict in ("helps", "hurts") for verdict in self.verdicts]
        if not all(directed):
            return "one_only" if any(directed) else "other"
        if self.verdicts[0] != self.verdicts[1]:
            return "flips"
        first, second = (abs(value or 0.0) for value in self.estimates)
        return "larger" if second > first else "smaller"


def biggest(effect: SaidEffect, studies: tuple[SaidStudy, SaidStudy]) -> str:
    """The sentence on the biggest disagreement: both effects, where, for which price."""
    scale = effect.scale
    first, second = effect.estimates
    here, there = (
        _where(study, price, priced=_prices_differ(effect.prices))
        for study, price in zip(studies, effect.prices, strict=True)
    )
    response = named_response(effect)
    return TEMPLATES["differ"].format(
        level=sentence(effect.level), first=in_unit(scale.effect(first), scale), response=response,
        here=here, second=scale.effect(second), there=there, change=_change(effect),
        difference=_difference(effect), size=_size(effect),
    )  # fmt: skip


def named_response(effect: SaidEffect) -> str:
    """A response, and which of its values are better where that is not usual."""
    return f"{effect.response} (lower is better)" if effect.lower_is_better else effect.response


def also_on(effect: SaidEffect) -> str:
    """The same level on another response."""
    first, second = effect.estimates
    return TEMPLATES["also"].format(
        response=sentence(effect.response), first=effect.scale.effect(first),
        second=effect.scale.effect(second), difference=_difference(effect), size=_size(effect),
    )  # fmt: skip


def further(
    kind: str, effects: Sequence[SaidEffect], *, template: str, leading: bool = False
) -> str:
    """Further levels of one kind; those that a sentence has no room for are counted.

    A `leading` sentence says the unit with its first number.
    """
    said = [
        _told(effect, template, unit=leading and place == 0)
        for place, effect in enumerate(effects[:MOST_NAMED])
    ]
    left = len(effects) - len(said)
    levels = "; ".join([*said, *([f"{left} more"] if left else [])])
    return TEMPLATES[kind].format(levels=levels)


def _told(effect: SaidEffect, template: str, *, unit: bool = False) -> str:
    first, second = (effect.scale.effect(value) for value in effect.estimates)
    first = in_unit(first, effect.scale) if unit else first
    return TEMPLATES[template].format(
        level=effect.level, response=effect.response, first=first, second=second,
        difference=_difference(effect), size=_size(effect),
    )  # fmt: skip


def _difference(effect: SaidEffect) -> str:
    """A difference with its interval."""
    number = effect.scale.effect(effect.difference)
    if absent(effect.low):
        return number
    return f"{number} {effect.scale.interval(effect.low, effect.high)}"


def _size(effect: SaidEffect) -> str:
    """That a difference is too small to matter; the interval tells the rest."""
    return f", {SIZES['less']}" if effect.size == "less" else ""


def _change(effect: SaidEffect) -> str:
    change = effect.change()
    if change == "one_only":
        first, second = map(word, effect.verdicts)
        return f": {first} against {second}"
    return CHANGES[change]


def _where(study: SaidStudy, price: Price, *, priced: bool) -> str:
    """At what a study's effect holds: its held setting, its name, its price."""
    cost = _cost(price) if priced else ""
    if not study.held:
        return f"in {study.name}{f' ({cost})' if cost else ''}"
    return f"{study.held} ({', '.join(filter(None, [study.name, cost]))})"


def _prices_differ(prices: tuple[Price, Price]) -> bool:
    first, second = (price.times for price in prices)
    return first is not None and second is not None and not same_price(first, second)


def _cost(price: Price) -> str:
    """4 times the samples; no extra cost."""
    assert price.times is not None
    if same_price(price.times, 1.0):
        return "no extra cost"
    return f"{general(price.times, 2)} times the {price_noun(price.metric)}"


def at_equal(unit: str) -> str:
    """What a study holds equal by its budget: at equal rounds."""
    return f"at equal {unit.replace('_', ' ')}"


def at_amount(unit: str, amount: Any) -> str:
    """The size of a budget in a unit that both studies share: at 60 rounds."""
    return f"at {_number(amount)} {unit.replace('_', ' ')}"


def with_setting(name: str, value: Any) -> str:
    """The one setting that two studies hold at different values."""
    return f"with {name} {clipped(words(value), LONGEST_STUDY)}"


def amount_of(unit: str, amount: Any) -> str:
    """How much of its budget a study holds equal: samples (7,680)."""
    return f"{unit.replace('_', ' ')} ({_number(amount)})"


def _number(value: Any) -> str:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return f"{value:,}" if number else clipped(words(value), LONGEST_STUDY)


def held_equal(studies: tuple[SaidStudy, SaidStudy]) -> str:
    """What each study holds equal; nothing where that is no one thing."""
    first, second = studies
    if not first.amount or not second.amount:
        return ""
    return TEMPLATES["held"].format(
        first=first.amount, here=first.name, second=second.amount, there=second.name
    )


def same_study(name: str) -> str:
    """The headline of a study that is compared with itself."""
    return (
        f"Both are one study, {name}: the same plan and the same runs, so there is nothing to"
        " compare."
    )


def nothing_shared(names: tuple[str, str], *, responses: bool) -> str:
    """The headline of studies that have no effect in common."""
    lacking = "level of a factor" if responses else "response"
    return f"Nothing can be compared: {names[0]} and {names[1]} have no {lacking} in common."


def nothing_compared(reason: str) -> str:
    """The headline where every effect was refused."""
    return f"No effect could be compared: {reason.rstrip('.')}."


def not_compared(number: int, reasons: Sequence[str]) -> str:
    """How many effects were not compared, and why."""
    why = "; ".join(reason.rstrip(".") for reason in reasons)
    return f"Not compared: {count(number, 'effect')} ({why})."


def only_one_has(name: str, parts: Sequence[str]) -> str:
    """What one study has and the other lacks."""
    return f"Only {name} has {first_few(parts)}."


def comparison_reasons(effects: Sequence[ComparedEffect]) -> list[str]:
    """Why effects were not compared: each reason once, with the responses that it does not name."""
    concerned: dict[str, list[str]] = {}
    for effect in effects:
        if effect.reason:
            named = "response" in effect.reason["arguments"]
            concerned.setdefault(say(effect.reason), []).append("" if named else effect.response)
    return [
        f"{', '.join(dict.fromkeys(of))}: {why}" if all(of) else why
        for why, of in concerned.items()
    ]


def study_names(names: tuple[str, str]) -> tuple[str, str]:
    """Names that can be told apart and leave room for the rest of a sentence."""
    first, second = (clipped(name or "study", LONGEST_STUDY) for name in names)
    if first != second:
        return first, second
    return f"{first} (first)", f"{second} (second)"


def title(names: tuple[str, str], *, same: bool) -> str:
    """The title of the page."""
    return f"{names[0]} against {'itself' if same else names[1]}"


def key_of(study: SaidStudy) -> str:
    """A study in the key of the figure."""
    return f"{study.name}, {study.held}" if study.held else study.name


def figure_alternative(studies: tuple[str, str], parts: Sequence[str]) -> str:
    """The figure in words."""
    return f"Effects in {studies[0]} and in {studies[1]}. {'; '.join(parts)}"


def figure_row(effect: SaidEffect) -> str:
    """A row of the figure in words."""
    told = _told(effect, "values" if absent(effect.difference) else "all", unit=True)
    return f"{told}, {word(effect.agreement)}"


def more_rows(number: int) -> str:
    """Levels that the figure and the first table have no room for."""
    return f"{sentence(count(number, 'further line'))} below, under {ALL}."


def adjusted(p: Number) -> str:
    """A p value in a cell of the table."""
    return "" if absent(p) else f"p {p_value(p)}"


def rule(alpha: float, smallest: Sequence[str]) -> str:
    """How agreement was decided."""
    inside = f" (here {listed(smallest)})" if smallest else ""
    return (
        f"Difference: the second study minus the first. The studies differ when Holm's adjusted p"
        f" within a response is below {alpha:g}; they agree when the {100 * (1 - 2 * alpha):g}%"
        f" interval of the difference lies inside the smaller of the two smallest effects{inside};"
        " otherwise it is undecided. Intervals are per difference."
    )


def method(said: str) -> str:
    """How the differences were tested."""
    return f"Differences: {said}."


def in_both(number: int) -> tuple[str, str]:
    """How many effects both studies have, for the head of the page."""
    return ("effect in both" if number == 1 else "effects in both"), f"{number:,}"


def shared_contexts(number: int) -> tuple[str, str]:
    """How many contexts both studies have, for the head of the page."""
    return ("shared context" if number == 1 else "shared contexts"), f"{number:,}"


def same_configurations(response: str) -> str:
    """The heading of the gains of configurations in both studies."""
    return f"{response}: the same configuration in both, against the same baseline"


def counted(agreement: Agreement, number: int) -> tuple[str, str]:
    """How many effects agree, differ or are undecided, for the head of the page."""
    return word(agreement), f"{number:,}"


# What limits the comparison


def shared_runs(shares: Mapping[str, int]) -> str:
    """Runs that are in both studies."""
    most = max(shares.values())
    return f"{count(most, 'run is', 'runs are')} in both studies, which pulls them together."


def no_shared_context() -> str:
    """No context is in both studies."""
    return "No context is in both: the models or data may make the difference, not the plans."


def without_contexts() -> str:
    """A study without models or data sets."""
    return "No contexts are told apart: the estimates are compared as independent ones."


def averaged(names: tuple[str, str], only: tuple[Sequence[str], Sequence[str]]) -> str:
    """Factors that only one study averages over."""
    parts = [
        f"only {name} averages over {listed(factors)}"
        for name, factors in zip(names, only, strict=True)
        if factors
    ]
    return "; ".join(parts)


def averaged_unless(averages: str, remaining: SaidEffect) -> str:
    """The same, and what remains where those factors stay at their baseline."""
    told = _told(remaining, "becomes", unit=True)
    return f"{sentence(averages)}; with every other choice at its baseline, {told}."


def several_things(things: Sequence[str]) -> str:
    """Plans that differ in more than one thing."""
    return (
        f"The plans differ in {count(len(things), 'thing')} ({first_few(things)}): no one of them"
        " can be named as the reason."
    )


def backends(first: str, second: str) -> str:
    """Studies whose runs different backends executed."""
    return f"the backend ({first} and {second})"


def one_thing(thing: str) -> str:
    """Plans that differ in one thing."""
    return f"The plans differ in one thing: {thing}."


def weak_study(name: str, reason: str) -> str:
    """A study that is weak evidence by itself."""
    return f"{name} alone is weak evidence: {reason}" if reason else f"{name} is weak evidence."


def unlike_metrics(response: str, metrics: tuple[str, str]) -> str:
    """A response that is measured differently."""
    return (
        f"{sentence(response)} is measured as {metrics[0]} in one and as {metrics[1]} in the other."
    )


def unlike_versions(backend: str) -> str:
    """Runs of backends whose results are not the same."""
    return f"The runs were made by different versions of {backend}."


def no_margin(responses: Sequence[str]) -> str:
    """Responses without a smallest effect in both studies; all of them without names."""
    on = f"{listed(responses)}: " if responses else ""
    return f"{sentence(on + 'without a smallest effect in both studies nothing can agree')}."


NOTHING_BEYOND = "No blocking variable has three levels in both: nothing is said about others."


def paired(contexts: int) -> str:
    """What the differences rest on."""
    shared = count(contexts, "shared context")
    return f"Differences hold in {shared}: only the runs differ by chance."


# What differs in the plans


def levels_of(levels: Sequence[str], baseline: str) -> str:
    """The levels of a factor, its baseline marked."""
    return ", ".join(
        f"{level or NOT_SET} ({BASELINE})" if level == baseline else level or NOT_SET
        for level in levels
    )


def equal_settings(number: int) -> str:
    """Settings that are the same in both studies."""
    return f"{count(number, 'setting')} held equal at the same values in both."


def some_contexts(labels: Sequence[str]) -> str:
    """Contexts that only one study has."""
    return first_few(labels)


def effect_in(unit: str) -> str:
    """The heading of effects."""
    return captions.with_unit("effect", unit)


def both_have(number: int, response: str, told: str) -> str:
    """What the shared configurations show."""
    shared = count(number, "configuration is", "configurations are")
    return f"{shared} in both; {told} on {response}." if told else f"{shared} in both."


def configuration_change(name: str, scale: Scale, estimates: tuple[Number, Number]) -> str:
    """One configuration in both studies."""
    first, second = (scale.effect(value) for value in estimates)
    return f"{name} {first} and {second} {scale.unit}".rstrip()


def plans_finding(parts: Sequence[str]) -> str:
    """What differs, in a sentence."""
    return f"{sentence('; '.join(parts))}." if parts else SAME_PLANS
