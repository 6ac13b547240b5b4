"""Which levels and configurations a headline names: a rule, so that two people get one sentence.

The response that matters most is the generalization of the first comparison, else the first
response; beside it stands its learning (`ranked_responses`).

**Levels** (`parts_of`; a page's script repeats it for other bounds). Each level has the row that
judges it (`judging_row`): its narrow average effect, or, where that has no verdict, the one over
the widest scope that has. The levels are ordered by |estimate| on the first response, the largest
first, equal ones as in the study, and go by verdict into sentences, each said if it has levels:

1. `helps`: the first 3; 2. `hurts`: the first 2 (`hurts_too` after `helps`); 3. `same`: equivalent
   levels, the first 2 (`same_too` after another); in a study of more than 4 levels, 2, 1 and 1.
   What is left over is counted (`more`).
4. inconclusive levels: up to 2 are named with their intervals (`open`); more are counted
   (`open_many`) with the largest |end| of their intervals. Without any sentence before, `nothing`
   says that largest end and names the first level.
   The second response is said of levels that help or hurt; of others where it moves the second.
5. without any sentence so far: `untested` where a level has an estimate but no level a verdict,
   `identical` where all levels are one, else `empty`; each with the first level's reason.

**Configurations and the baseline** (`settled_of`) do not move. A configuration is judged by its
narrow row, else the widest scope with an interval, else its bare estimate. The largest gain among
those that help is named first, else the largest of all. It is called the best only where Hsu's
comparison does not exclude that it is (`best`), else the largest that is settled. Beside it, of
those that cost at most four fifths as much: the cheapest that is estimated to gain as much less the
smallest effect, else the largest gain. Of those of that one's price, `elsewhere` is the one that
learns most, by the smallest effect at least, and is estimated to generalize by nothing. The answers
on the baseline are those of the narrow `suffices` rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ablatekit.analysis.core.lookup import (
    Comparison,
    comparisons,
    factors_of,
    find_effect,
    label_of,
    price_of,
    priced_metric,
    ranked_responses,
    second_response,
    widest,
)
from ablatekit.analysis.core.schema.analysis import Analysis, ResponseAnalysis
from ablatekit.analysis.core.schema.effects import Configuration, Effect, Suffices
from ablatekit.analysis.core.schema.vocabulary import Sufficiency, Verdict
from ablatekit.report.language.brief.headline import (
    HEADLINE,
    NO_LEVELS,
    BaselineAnswer,
    BestKind,
    Gain,
    HeadlinePart,
    PartKind,
    Settled,
    Subjects,
    asked_response,
    beside_first,
    clipped,
    compared_inside,
    configuration_name,
    frame,
    in_unit,
    is_priced,
    level_name,
    price_noun,
    remarked,
    same_price,
    short_reason,
    spoken_headline,
    spoken_settled,
)
from ablatekit.report.language.numbers import Scale, absent, general, scale_of
from ablatekit.report.language.reading import subject_of
from ablatekit.report.language.scopes import over

FEW_LEVELS = 4
"""A study of more levels names fewer of them."""
NAMED: dict[str, tuple[int, int]] = {"helps": (3, 2), "hurts": (2, 1), "equivalent": (2, 1)}
"""Levels that a sentence names in a study of few levels, and of more."""
NAMED_OPEN = 2
MOVED: tuple[Verdict, ...] = ("helps", "hurts")
UNJUDGED: tuple[Verdict, ...] = ("identical", "not_estimated")
CHEAPER = 0.8
"""HeadlinePart of a price from which on something is called cheaper."""


@dataclass(frozen=True, slots=True)
class Headline:
    """What the headline says: sentences on levels and settled ones, and what they are about."""

    subjects: Subjects
    parts: Sequence[HeadlinePart]
    settled: Settled | None


def headline_sentences(analysis: Analysis) -> tuple[list[str], list[str]]:
    """The sentences on levels, and the settled ones."""
    if not comparisons(analysis):
        return [NO_LEVELS], []
    headline = headline_of(analysis)
    settled = spoken_settled(headline.settled, headline.subjects) if headline.settled else []
    return spoken_headline(headline.parts, headline.subjects), settled


def headline_of(analysis: Analysis) -> Headline:
    """The rule, applied to an analysis that compares levels."""
    subjects, gains = subjects_of(analysis), level_gains(analysis)
    return Headline(subjects, parts_of(gains, first_reason(analysis)), settled_of(analysis))


def subjects_of(analysis: Analysis) -> Subjects:
    """The two responses, their scale, the price, and what holds for every number."""
    first, second = _two_responses(analysis)
    prices = [price_of(analysis, level) for level in comparisons(analysis)]
    priced = [price for price in prices if price is not None]
    equal = len(priced) == len(prices) and all(same_price(price, 1.0) for price in priced)
    noun = price_noun(priced_metric(analysis)) if priced else ""
    model = first["model"]["method"]
    order = model["arguments"]["order"] if model["code"] == "truncated_least_squares" else None
    return Subjects(
        asked_response(first["label"], first["direction"]),
        clipped(second["label"]) if second is not None else "",
        _common_scale(first, second),
        "" if equal else noun,
        frame(_held_equal(analysis, noun), order, _common_scope(analysis, first), equal=equal),
        HEADLINE["others"] if _is_averaged(analysis, first) else "",
    )


def _held_equal(analysis: Analysis, noun: str) -> str:
    """The cost of which all levels have the very same, rather than one that nearly agrees."""
    means: dict[str, set[float | None]] = {}
    for row in analysis.get("design", {}).get("cost", []):
        means.setdefault(row["metric"], set()).add(row["mean"])
    same = [metric for metric, values in means.items() if len(values) == 1]
    return price_noun(same[0]) if same else noun


def _is_averaged(analysis: Analysis, response: ResponseAnalysis) -> bool:
    """Whether some level is compared at more than one combination of other choices."""
    levels = comparisons(analysis)
    rows = [row for level in levels if (row := judging_row(response, level)) is not None]
    return len({level.factor for level in levels}) > 1 and any(
        row["pairs"] is None or row["pairs"] != row["contexts"] for row in rows
    )


def _common_scope(analysis: Analysis, first: ResponseAnalysis) -> str:
    """The scope of all verdicts where none is about these contexts; else nothing."""
    rows = [judging_row(first, level) for level in comparisons(analysis)]
    scopes = {tuple(row["scope"]) for row in rows if row is not None and _is_judged(row)}
    scope = scopes.pop() if len(scopes) == 1 else ()
    return over(scope) if scope else ""


def _common_scale(first: ResponseAnalysis, second: ResponseAnalysis | None) -> Scale:
    """The scale of both responses, with the digits of the coarser one."""
    scale = scale_of(first)
    if second is None:
        return scale
    return replace(scale, decimals=min(scale.decimals, scale_of(second).decimals))


def _two_responses(analysis: Analysis) -> tuple[ResponseAnalysis, ResponseAnalysis | None]:
    responses, second = analysis["responses"], second_response(analysis)
    return responses[ranked_responses(analysis)[0]], responses[second] if second else None


def level_gains(analysis: Analysis) -> list[Gain]:
    """Every level in the order of the study, with the row that judges it on both responses."""
    first, _ = _two_responses(analysis)
    shared = bool(_common_scope(analysis, first))
    return [_level_gain(analysis, level, shared=shared) for level in comparisons(analysis)]


def _level_gain(analysis: Analysis, level: Comparison, *, shared: bool) -> Gain:
    """A level; what its comparison is limited to, unless all share that, stands with its name."""
    first, second = _two_responses(analysis)
    effect = judging_row(first, level)
    beside = judging_row(second, level) if second is not None else None
    remarks = [] if effect is None else _inside(analysis, effect)
    if effect is not None and not shared and _is_judged(effect) and effect["scope"]:
        remarks.append(over(effect["scope"]))
    name = remarked(level_name(level.label, level.level), remarks)
    return _gain(name, effect, beside, price_of(analysis, level))


def _inside(analysis: Analysis, effect: Effect) -> list[str]:
    """The level of another factor inside which alone a level is compared."""
    labels = {factor["name"]: label_of(factor) for factor in factors_of(analysis)}
    return [
        compared_inside(labels.get(outer := str(note["arguments"]["outer"]), outer),
                        str(note["arguments"]["level"]))
        for note in effect["notes"]
        if note["code"] == "compared_inside"
    ]  # fmt: skip


def judging_row(response: ResponseAnalysis, level: Comparison) -> Effect | None:
    """The narrow average effect; where it has no verdict, the widest broad one that has."""
    narrow = find_effect(response["effects"], level, "narrow")
    broad = find_effect(response["effects"], level, "broad")
    if narrow is None or (narrow["verdict"] == "not_estimated" and _is_judged(broad)):
        return broad
    return narrow


def _is_judged(effect: Effect | None) -> bool:
    return effect is not None and effect["verdict"] not in UNJUDGED


def _gain(name: str, effect: Effect | None, beside: Effect | None, price: float | None) -> Gain:
    undecided = beside is not None and beside["verdict"] in ("inconclusive", "not_estimated")
    second = beside["estimate"] if beside is not None else None
    moved = beside is not None and beside["verdict"] in MOVED and beside["size"] != "less"
    if effect is None:
        return Gain(name, None, None, None, "not_estimated", None, second, undecided, price, moved)
    return Gain(
        name, effect["estimate"], effect["low"], effect["high"], effect["verdict"], effect["size"],
        second, undecided, price, moved,
    )  # fmt: skip


def first_reason(analysis: Analysis) -> str:
    """Why the first level that was not tested was not."""
    first, _ = _two_responses(analysis)
    rows = (judging_row(first, level) for level in comparisons(analysis))
    unit = subject_of(analysis).unit
    reasons = (short_reason(row["reason"], unit) for row in rows if row is not None)
    return next(filter(None, reasons), "")


def parts_of(gains: Sequence[Gain], reason: str = "") -> list[HeadlinePart]:
    """The sentences on levels, by the rule above."""
    ranked = sorted(gains, key=lambda gain: -abs(gain.estimate or 0.0))
    parts = [*_moved(ranked)]
    undecided = [gain for gain in ranked if gain.verdict == "inconclusive"]
    if undecided:
        parts.append(_undecided(undecided, len(gains), alone=not parts))
    return parts or [_untested(ranked, reason)]


def _moved(ranked: Sequence[Gain]) -> Iterable[HeadlinePart]:
    """The sentences on levels with a direction, and on those that are too small to matter."""
    many, before = len(ranked) > FEW_LEVELS, False
    kinds: tuple[tuple[Verdict, PartKind, PartKind], ...] = (
        ("helps", "helps", "helps"), ("hurts", "hurts", "hurts_too"),
        ("equivalent", "same", "same_too"),
    )  # fmt: skip
    for verdict, kind, after in kinds:
        levels = [gain for gain in ranked if gain.verdict == verdict]
        most = NAMED[verdict][1 if many else 0]
        if levels:
            yield HeadlinePart(after if before else kind, levels[:most], max(0, len(levels) - most))
            before = True


def _undecided(levels: Sequence[Gain], number: int, *, alone: bool) -> HeadlinePart:
    ends = [abs(end) for gain in levels for end in (gain.low, gain.high) if end is not None]
    reach = max(ends, default=None)
    if alone:
        return HeadlinePart("nothing", levels[:1], reach=reach)
    if len(levels) <= NAMED_OPEN:
        return HeadlinePart("open", levels)
    return HeadlinePart("open_many", reach=reach, count=len(levels), all=number)


def _untested(ranked: Sequence[Gain], reason: str) -> HeadlinePart:
    if any(gain.estimate is not None for gain in ranked):
        return HeadlinePart("untested", ranked[:1], reason=reason)
    if all(gain.verdict == "identical" for gain in ranked):
        return HeadlinePart("identical")
    return HeadlinePart("empty", reason=reason)


def settled_of(analysis: Analysis) -> Settled | None:
    """The best configuration and whether the baseline suffices; nothing where none was compared."""
    first, _ = _two_responses(analysis)
    if not first.get("configurations"):
        return None
    gains = configuration_gains(analysis)
    known = [gain for gain in gains if gain.estimate is not None]
    varied = sum(len(factor["levels"]) > 1 for factor in factors_of(analysis))
    if not known or varied < 2:
        return Settled(None, None, None, None, len(known), 0, "", "", baseline_answers(analysis))
    better = 1.0 if first["direction"] == "higher" else -1.0
    best = _best(known, better)
    kind, smallest = _kind_of(best, known, better), first["smallest_effect"] or 0.0
    beaten = kind in ("best", "settled", "largest")
    cheaper = _cheaper(best, known, better, smallest) if beaten else None
    elsewhere = _elsewhere(cheaper or best, known, better, smallest) if cheaper else None
    reason = _why_unsettled(analysis, first) if kind == "largest" else ""
    answers = baseline_answers(analysis, said=reason)
    where = configuration_scope(first)
    among = _may_be_best(first)
    return Settled(kind, best, cheaper, elsewhere, len(known), among, where, reason, answers)


def _may_be_best(response: ResponseAnalysis) -> int:
    """How many cells, the baseline among them, cannot be excluded as the best; 0 if unknown."""
    configurations = response["configurations"]
    known = [row["may_be_best"] for row in configurations["rows"]]
    return sum(bool(best) for best in [*known, configurations["baseline_may_be_best"]])


def _best(gains: Sequence[Gain], better: float) -> Gain:
    """The largest gain among those that help, else of all; of equal ones the cheapest."""
    return max(
        gains,
        key=lambda gain: (
            gain.verdict == "helps", better * (gain.estimate or 0.0), -(gain.price or 0.0)
        ),
    )  # fmt: skip


def _kind_of(best: Gain, gains: Sequence[Gain], better: float) -> BestKind:
    if best.verdict == "helps":
        largest = max(better * (gain.estimate or 0.0) for gain in gains)
        if best.size == "less" and better * (best.estimate or 0.0) >= largest:
            return "small"
        return "best" if best.may_be_best and best.size != "less" else "settled"
    if better * (best.estimate or 0.0) <= 0:
        return "no_gain"
    return "small" if best.verdict == "equivalent" else "largest"


def _cheaper(best: Gain, gains: Sequence[Gain], better: float, smallest: float) -> Gain | None:
    """The cheapest that gains comparably, else the largest gain for less."""
    if best.price is None:
        return None
    limit = best.price * CHEAPER
    less = [gain for gain in gains if gain.price is not None and gain.price <= limit]
    sizes = {gain.name: better * (gain.estimate or 0.0) for gain in gains}
    enough = [gain for gain in less if sizes[gain.name] >= sizes[best.name] - smallest]
    if enough and smallest:
        return min(enough, key=lambda gain: (gain.price or 0.0, -sizes[gain.name]))
    gaining = [gain for gain in less if sizes[gain.name] > 0]
    return max(gaining, key=lambda gain: sizes[gain.name], default=None)


def _elsewhere(named: Gain, gains: Sequence[Gain], better: float, smallest: float) -> Gain | None:
    """At the same price, what learns most and does not generalize."""
    if named.price is None or not smallest or not is_priced(named):
        return None
    alike = [
        gain
        for gain in gains
        if gain.price is not None
        and same_price(gain.price, named.price)
        and better * (gain.second or 0.0) >= smallest
        and better * (gain.estimate or 0.0) <= 0
    ]
    return max(alike, key=lambda gain: better * (gain.second or 0.0), default=None)


def configuration_gains(analysis: Analysis) -> list[Gain]:
    """Every configuration with the row that judges it on both responses."""
    first, second = _two_responses(analysis)
    rows = rows_by_cell(first)
    beside = rows_by_cell(second) if second is not None else {}
    labels = {factor["name"]: label_of(factor) for factor in factors_of(analysis)}
    baseline = first["configurations"]["baseline"] if first.get("configurations") else {}
    shared = bool(configuration_scope(first))
    gains = []
    for cell, of_cell in rows.items():
        effect = judging_configuration(of_cell)
        other = judging_configuration(beside[cell]) if beside.get(cell) else None
        own = [] if shared or absent(effect["low"]) or not effect["scope"] else effect["scope"]
        name = remarked(_named(effect, baseline, labels), [over(own)] if own else [])
        gain = _gain(name, effect, other, effect["price"])
        gains.append(replace(gain, may_be_best=bool(effect["may_be_best"])))
    return gains


def rows_by_cell(response: ResponseAnalysis) -> dict[str, list[Configuration]]:
    """The rows of every configuration, in the order of the study."""
    by_cell: dict[str, list[Configuration]] = {}
    configurations = response.get("configurations")
    for row in configurations["rows"] if configurations else []:
        by_cell.setdefault(row["level"], []).append(row)
    return by_cell


def judging_configuration(rows: Sequence[Configuration]) -> Configuration:
    """The narrow row; where it has no interval, the widest broad one that has."""
    narrow = next((row for row in rows if row["inference"] == "narrow"), rows[0])
    wide = widest([row for row in rows if row["inference"] == "broad"])
    if absent(narrow["low"]) and wide is not None and not absent(wide["low"]):
        return next(row for row in rows if row is wide)
    return narrow


def configuration_scope(response: ResponseAnalysis) -> str:
    """What the intervals of configurations are over, where none is about these contexts."""
    rows = [judging_configuration(rows) for rows in rows_by_cell(response).values()]
    scopes = {tuple(row["scope"]) for row in rows if not absent(row["low"])}
    scope = scopes.pop() if len(scopes) == 1 else ()
    return over(scope) if scope else ""


def _named(row: Configuration, baseline: dict[str, str], labels: dict[str, str]) -> str:
    changed = [
        level_name(labels.get(factor, factor), level)
        for factor, level in row["levels"].items()
        if level != baseline.get(factor)
    ]
    return configuration_name(changed, factors=len(row["levels"]))


def _why_unsettled(analysis: Analysis, response: ResponseAnalysis) -> str:
    """Why no configuration could be tested here; empty where they were."""
    narrow = [row for row in response["configurations"]["rows"] if row["inference"] == "narrow"]
    refused = [row["reason"] for row in narrow if row["verdict"] == "not_estimated"]
    unit = subject_of(analysis).unit
    return short_reason(refused[0], unit) if len(refused) == len(narrow) > 0 else ""


def baseline_answers(analysis: Analysis, said: str = "") -> list[BaselineAnswer]:
    """Whether the baseline suffices here: on the response that matters most, then on the second.

    Responses with the same answer share one. They are named unless it is the answer on all of the
    analysis. A reason that is `said` before is not said again.
    """
    rows: dict[Sufficiency, list[tuple[ResponseAnalysis, Suffices]]] = {}
    for response in filter(None, _two_responses(analysis)):
        row = _narrow_answer(response)
        if row is not None:
            rows.setdefault(row["answer"], []).append((response, row))
    answers = [_answer(analysis, answer, of) for answer, of in rows.items()]
    answers = [
        replace(answer, reason="") if answer.reason == said else answer for answer in answers
    ]
    every = filter(None, map(_narrow_answer, analysis["responses"].values()))
    judged = sum(row["answer"] != "not_judged" for row in every)
    if len(answers) == 1 and len(answers[0].responses) >= judged:
        return [replace(answers[0], responses=())]
    return answers


def _narrow_answer(response: ResponseAnalysis) -> Suffices | None:
    configurations = response.get("configurations")
    rows = configurations["suffices"] if configurations else []
    return next((row for row in rows if row["inference"] == "narrow"), None)


def _answer(
    analysis: Analysis, answer: Sufficiency, rows: Sequence[tuple[ResponseAnalysis, Suffices]]
) -> BaselineAnswer:
    """One answer for the responses that share it, each with its own bounds."""
    labels = [clipped(response["label"]) for response, _ in rows]
    margins, bounds = [], []
    for response, row in rows:
        scale, margin, bound = scale_of(response), response["smallest_effect"], row["bound"]
        margins.append("" if margin is None else in_unit(general(margin * scale.factor), scale))
        bounds.append("" if bound is None else in_unit(scale.plain(abs(bound)), scale))
    return BaselineAnswer(
        answer,
        labels,
        beside_first(list(zip(labels, margins, strict=True))),
        beside_first(list(zip(labels, bounds, strict=True))),
        short_reason(rows[0][1]["reason"], subject_of(analysis).unit),
    )
