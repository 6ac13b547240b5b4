"""The sentences of a headline: which levels help, by how much, at what price.

`HEADLINE` and `SETTLED` hold every template with named places. A template decides nothing:
`ablatekit.report.brief.headline` says which one is filled with which levels, and a page's script
fills the same ones when a reader moves alpha or the smallest effect.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from ablatekit.analysis.core.schema.codes import Code
from ablatekit.analysis.core.schema.vocabulary import Number, Size, Statement, Sufficiency, Verdict
from ablatekit.report.language import captions
from ablatekit.report.language.numbers import POINTS, Scale, absent, general
from ablatekit.report.language.reading import Unit
from ablatekit.report.language.scopes import listed
from ablatekit.report.language.sentences import told
from ablatekit.report.language.statements.phrases import NOT_SET
from ablatekit.report.language.verdicts import word

LONGEST_NAME = 60
"""Characters of the name of a level in a sentence; the table has the whole one."""
LONGEST_CONFIGURATION = 90
SAME_PRICE = 0.05
"""Prices that differ by less than this share are said to be one."""


class Templates(Mapping[str, str]):
    """Templates by name, with the words of verdicts as they are called elsewhere."""

    def __init__(self, templates: Mapping[str, str]) -> None:
        self._templates = templates

    def __getitem__(self, name: str) -> str:
        text = self._templates[name]
        return text.replace("{helps}", word("helps")).replace("{hurts}", word("hurts"))

    def __iter__(self) -> Iterator[str]:
        return iter(self._templates)

    def __len__(self) -> int:
        return len(self._templates)


HEADLINE: Mapping[str, str] = Templates({
    "helps": "What {helps} {response} on average{others}{frame}: {levels}.",
    "hurts": "What {hurts} {response} on average{others}{frame}: {levels}.",
    "hurts_too": "What {hurts}: {levels}.",
    "same": "Too small to matter on {response}{frame}: {levels}.",
    "same_too": "Too small to matter: {levels}.",
    "open": "Open: {levels}.",
    "open_many": "Open: {count} of {all} levels, with effects up to {reach} still possible.",
    "nothing": "Nothing is settled on {response}{frame}: effects up to {reach} remain possible."
    " Largest estimate: {levels}.",
    "untested": "Nothing could be tested on {response}{frame}: {reason}. Largest estimate:"
    " {levels}.",
    "empty": "No effect on {response} could be estimated: {reason}.",
    "identical": "No level changes {response}: all levels are one and the same.",
    "lower": "{response} (lower is better)",
    "others": " over the other choices",
    "equal": ", at equal {metric}",
    "beyond": ", {scope}",
    "additive": ", if choices add up",
    "additive_above": ", if no {number} choices interact",
    "level": "{name}, {gain}{second}{between}{price}{size}",
    "size_by_more": "",
    "size_open": ", anywhere from {low} to {high}",
    "size_less": ", less than matters",
    "second": " ({response} {gain})",
    "second_open": " ({response} {gain}, open)",
    "second_again": " ({gain})",
    "second_again_open": " ({gain}, open)",
    "between": " ({low} to {high})",
    "price": " at {times} times the {metric}",
    "price_again": " at {times} times",
    "free": " at no extra {metric}",
    "unpriced": ", price not known",
    "more": "{levels}; and {count} more",
    "reach": "\N{PLUS-MINUS SIGN}{reach}",
    "with_unit": "{number} {unit}",
})  # fmt: skip
"""The templates of the sentences on levels, which move with alpha and the smallest effect."""
SETTLED: Mapping[str, str] = {
    "best": "Best configuration{where}{among}: {item}{cheaper}.",
    "settled": "Largest gain that is settled{where}: {item}{cheaper}.",
    "largest": "Largest gain measured, not settled{reason}: {item}{cheaper}.",
    "small": "Largest gain, too small to matter: {item}.",
    "no_gain": "None of {count} configurations shows a gain; the nearest: {item}.",
    "no_gain_alone": "The only other configuration shows no gain: {item}.",
    "among": ", one of {count} that may be best",
    "item": "{name}, {gain} on {response}{second}{price}{size}",
    "cheaper": "; {name} reaches {gain}{second}{price}{unsettled}",
    "unsettled": ", not settled",
    "elsewhere": "Also{price}, {name} measured {second} on {learning} and {gain} on {response}.",
    "alone": "{name} alone",
    "because": " ({reason})",
    "remarked": "{name} ({remarks})",
    "inside": "inside {outer} {level}",
    "no": "The baseline does not suffice{on}.",
    "yes": "The baseline suffices{on}: gains above {smallest} are ruled out.",
    "open": "Whether the baseline suffices{on} is open{why}.",
    "up_to": ": gains up to {bound} are not ruled out",
    "on": " on {responses}",
    "not_judged": "Whether the baseline suffices is not judged: no smallest effect is declared.",
}
"""The templates of the sentences on configurations and on the baseline, which never move."""
SHORT_REASONS: Mapping[Code, str] = {"no_replicates": "one {unit} per cell"}
"""Reasons that a sentence says in fewer words than a table."""
NO_LEVELS = "No levels are compared here: the coefficients of the model are the answer."
COST = "cost"
"""What a price counts where nothing says it."""
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

PartKind: TypeAlias = Literal[
    "helps", "hurts", "hurts_too", "same", "same_too", "open", "open_many", "nothing", "untested",
    "empty", "identical",
]  # fmt: skip
BestKind: TypeAlias = Literal["best", "settled", "largest", "small", "no_gain"]


@dataclass(frozen=True, slots=True)
class Gain:
    """A level or a configuration: what it does to the two responses that matter, for which price.

    Numbers are in the responses' own unit. `second` is the estimate on learning, `second_open`
    whether nothing is settled about it, `second_moved` whether it has a direction and is not known
    to be too small to matter; `price` is a multiple of the baseline's. `may_be_best`: Hsu's
    comparison does not exclude that this configuration is the best.
    """

    name: str
    estimate: Number
    low: Number
    high: Number
    verdict: Verdict
    size: Size | None
    second: Number
    second_open: bool
    price: Number
    second_moved: bool = False
    may_be_best: bool = False


@dataclass(frozen=True, slots=True)
class Subjects:
    """What sentences are about: the responses, how numbers are shown, what the price counts.

    `response` and `second` are as they are called in sentences, `second` empty where there is one
    response; `scale` is that of both. `others` says that levels are averaged over other choices,
    where there are any. `frame` is what holds for every number: equal prices, an
    assumption of the model. `metric` is empty where no price is said.
    """

    response: str
    second: str
    scale: Scale
    metric: str
    frame: str
    others: str = ""


@dataclass(frozen=True, slots=True)
class HeadlinePart:
    """One sentence of the headline: its template and the levels that it names.

    `more` levels are like those; `reach` is the largest size that the intervals of `count` of `all`
    levels hold; `reason` says why nothing was tested.
    """

    kind: PartKind
    levels: Sequence[Gain] = ()
    more: int = 0
    reach: Number = None
    count: int = 0
    all: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class BaselineAnswer:
    """Whether the baseline suffices, and what that rests on, in words.

    `responses` is empty where the answer is the same for all.
    """

    answer: Sufficiency
    responses: Sequence[str]
    smallest: str = ""
    bound: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Settled:
    """The configuration that gains most, one that does for less, and the baseline.

    `elsewhere` spends as much as the cheaper one (or the best) on what is learnt and does not carry
    over. `count` configurations were compared, of which `among` (with the baseline) may be the
    best, 0 where that is not known; `where` is the scope that the best one is judged
    over, empty for these contexts; `reason` says why nothing is settled about them.
    """

    kind: BestKind | None
    best: Gain | None
    cheaper: Gain | None
    elsewhere: Gain | None
    count: int
    among: int
    where: str
    reason: str
    answers: Sequence[BaselineAnswer]


def spoken_headline(parts: Sequence[HeadlinePart], subjects: Subjects) -> list[str]:
    """The sentences on levels; the first one says what holds for all of them."""
    return [
        _spoken_part(part, subjects, subjects.frame if place == 0 else "", first=place == 0)
        for place, part in enumerate(parts)
    ]


def _spoken_part(part: HeadlinePart, subjects: Subjects, frame: str, *, first: bool) -> str:
    levels = _levels(part, subjects, first=first)
    if part.more:
        levels = HEADLINE["more"].format(levels=levels, count=part.more)
    reach = HEADLINE["reach"].format(
        reach=in_unit(subjects.scale.plain(part.reach), subjects.scale)
    )
    return HEADLINE[part.kind].format(
        response=subjects.response, others=subjects.others, frame=frame, levels=levels,
        reason=part.reason.rstrip("."), reach=reach, count=part.count, all=part.all,
    )  # fmt: skip


def _levels(part: HeadlinePart, subjects: Subjects, *, first: bool) -> str:
    """The levels of a sentence; units and names are said with the first one of the headline."""
    said: list[str] = []
    priced = False
    for gain in part.levels:
        named = first and not said
        said.append(_level(part.kind, gain, subjects, named=named, priced=priced))
        priced = priced or is_priced(gain)
    return "; ".join(said)


def _level(kind: PartKind, gain: Gain, subjects: Subjects, *, named: bool, priced: bool) -> str:
    number = subjects.scale.effect(gain.estimate)
    moved = kind in ("helps", "hurts", "hurts_too")
    return HEADLINE["level"].format(
        name=gain.name,
        gain=in_unit(number, subjects.scale) if named else number,
        size=_size(gain, subjects.scale) if moved else "",
        second=_second(gain, subjects, named=named or not moved)
        if moved or gain.second_moved
        else "",
        between="" if moved or kind in ("same", "same_too") else _between(gain, subjects.scale),
        price=_price(gain, subjects, free=kind == "helps", again=priced),
    )


def _size(gain: Gain, scale: Scale) -> str:
    """How large an effect with a direction is; where that is open, between which bounds."""
    return HEADLINE[f"size_{gain.size}"].format(**_ends(gain, scale)) if gain.size else ""


def _ends(gain: Gain, scale: Scale) -> dict[str, str]:
    return {"low": scale.effect(gain.low), "high": scale.effect(gain.high)}


def _between(gain: Gain, scale: Scale) -> str:
    if absent(gain.low) or absent(gain.high):
        return ""
    return HEADLINE["between"].format(**_ends(gain, scale))


def _second(gain: Gain, subjects: Subjects, *, named: bool) -> str:
    """The other response's estimate in brackets; whether it is settled."""
    if not subjects.second or absent(gain.second):
        return ""
    template = ("second" if named else "second_again") + ("_open" if gain.second_open else "")
    number = subjects.scale.effect(gain.second)
    return HEADLINE[template].format(response=subjects.second, gain=number)


def is_priced(gain: Gain) -> bool:
    """Whether it is known to cost another amount than the baseline."""
    return gain.price is not None and not same_price(gain.price, 1.0)


def same_price(price: float, other: float) -> bool:
    """Whether two prices are said to be one."""
    return abs(price - other) <= SAME_PRICE * other


def _price(gain: Gain, subjects: Subjects, *, free: bool, again: bool) -> str:
    """What it costs; nothing where no level has a price, or all cost the same."""
    if not subjects.metric:
        return ""
    if absent(gain.price):
        return HEADLINE["unpriced"] if free else ""
    if not is_priced(gain):
        return HEADLINE["free"].format(metric=subjects.metric) if free else ""
    template = "price_again" if again else "price"
    return HEADLINE[template].format(times=general(gain.price, 3), metric=subjects.metric)


def in_unit(number: str, scale: Scale) -> str:
    """A number with its unit as it is said: points, not pp."""
    unit = said_unit(scale)
    return HEADLINE["with_unit"].format(number=number, unit=unit) if unit else number


def said_unit(scale: Scale) -> str:
    """A unit as it is said in a sentence."""
    return "points" if scale.unit == POINTS else scale.unit


def spoken_settled(settled: Settled, subjects: Subjects) -> list[str]:
    """The sentences on configurations, then those on the baseline."""
    said = []
    if settled.kind and settled.best:
        said.append(_spoken_best(settled.kind, settled.best, settled, subjects))
    if settled.elsewhere:
        gain, scale = settled.elsewhere, subjects.scale
        said.append(SETTLED["elsewhere"].format(
            price=_price(gain, subjects, free=False, again=False), name=gain.name,
            second=scale.effect(gain.second),
            learning=subjects.second, gain=scale.effect(gain.estimate), response=subjects.response,
        ))  # fmt: skip
    return [*said, *map(_spoken_answer, settled.answers)]


def _spoken_best(kind: BestKind, best: Gain, settled: Settled, subjects: Subjects) -> str:
    best = replace(best, second_open=best.second_open and kind != "largest")
    item = SETTLED["item"].format(
        name=best.name, gain=in_unit(subjects.scale.effect(best.estimate), subjects.scale),
        response=subjects.response,
        second=_second(best, subjects, named=True),
        size=_size(best, subjects.scale) if kind in ("best", "settled") else "",
        price=_price(best, subjects, free=True, again=False),
    )  # fmt: skip
    alone = kind == "no_gain" and settled.count == 1
    return SETTLED["no_gain_alone" if alone else kind].format(
        item=item, count=settled.count, where=beyond(settled.where),
        among=SETTLED["among"].format(count=settled.among) if settled.among > 1 else "",
        reason=SETTLED["because"].format(reason=settled.reason) if settled.reason else "",
        cheaper=_cheaper(settled.cheaper, subjects, kind) if settled.cheaper else "",
    )  # fmt: skip


def _cheaper(gain: Gain, subjects: Subjects, kind: BestKind) -> str:
    settled = kind != "largest"
    gain = replace(gain, second_open=gain.second_open and settled)
    return SETTLED["cheaper"].format(
        unsettled=SETTLED["unsettled"] if settled and gain.verdict != "helps" else "",
        name=gain.name, gain=subjects.scale.effect(gain.estimate),
        second=_second(gain, subjects, named=False),
        price=_price(gain, subjects, free=True, again=True),
    )  # fmt: skip


def _spoken_answer(answer: BaselineAnswer) -> str:
    why = SETTLED["up_to"].format(bound=answer.bound) if answer.bound else ""
    why = f": {answer.reason}" if answer.reason else why
    on = SETTLED["on"].format(responses=listed(answer.responses)) if answer.responses else ""
    return SETTLED[answer.answer].format(on=on, smallest=answer.smallest, why=why)


def short_reason(reason: Statement | None, unit: Unit) -> str:
    """Why something is not known, inside a sentence."""
    short = SHORT_REASONS.get(reason["code"]) if reason is not None else None
    return short.format(unit=unit) if short else told(reason, unit).rstrip(".")


def level_name(label: str, level: str) -> str:
    """A level as people say it: rollouts 4."""
    return clipped(f"{label} {level or NOT_SET}")


def configuration_name(names: Sequence[str], *, factors: int) -> str:
    """The levels that differ from the baseline; one of several choices is alone."""
    joined = clipped(" + ".join(names), LONGEST_CONFIGURATION)
    return SETTLED["alone"].format(name=joined) if len(names) == 1 and factors > 1 else joined


def remarked(name: str, remarks: Sequence[str]) -> str:
    """A name with what limits the comparison."""
    return SETTLED["remarked"].format(name=name, remarks=", ".join(remarks)) if remarks else name


def compared_inside(outer: str, level: str) -> str:
    """The level of another factor inside which alone a comparison is made."""
    return SETTLED["inside"].format(outer=outer, level=level)


def beside_first(amounts: Sequence[tuple[str, str]]) -> str:
    """The first of labelled amounts, with the others in brackets where they differ from it."""
    known = [(label, amount) for label, amount in amounts if amount]
    if not known:
        return ""
    _, first = known[0]
    _, space, unit = first.partition(" ")
    others = [
        f"{label} {amount.removesuffix(space + unit)}"
        for label, amount in known[1:]
        if amount != first
    ]
    return SETTLED["remarked"].format(name=first, remarks=", ".join(others)) if others else first


def clipped(text: str, most: int = LONGEST_NAME) -> str:
    """A name on one line that leaves room for the rest of a sentence."""
    flat = " ".join(text.split())
    return flat if len(flat) <= most else f"{flat[: most - 1].rstrip()}\N{HORIZONTAL ELLIPSIS}"


def price_noun(metric: str) -> str:
    """What a price counts: samples."""
    return captions.price_of(metric) or COST


def beyond(scope: str) -> str:
    """What something holds for, where that is not these contexts: over models."""
    return HEADLINE["beyond"].format(scope=scope) if scope else ""


def frame(metric: str, order: int | None, scope: str, *, equal: bool) -> str:
    """What holds for every number: a scope, equal prices, up to which order choices interact."""
    said = beyond(scope)
    said += HEADLINE["equal"].format(metric=metric) if equal else ""
    if order == 1:
        return said + HEADLINE["additive"]
    if order is None:
        return said
    number = WORDS[order + 1] if order + 1 < len(WORDS) else str(order + 1)
    return said + HEADLINE["additive_above"].format(number=number)


def asked_response(label: str, direction: str) -> str:
    """A response in a sentence, and which of its values are better where that is not usual."""
    name = clipped(label)
    return HEADLINE["lower"].format(response=name) if direction == "lower" else name
