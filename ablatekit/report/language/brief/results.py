"""The sentences of the results paragraph: what was found, how precisely, and what stays open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ablatekit.analysis.core.schema.codes import Code
from ablatekit.analysis.core.schema.vocabulary import Size, Verdict
from ablatekit.report.language.numbers import count, sentence
from ablatekit.report.language.scopes import listed
from ablatekit.report.language.verdicts import SIZES, word

GAP = "the gap"
MOST_NAMED = 4
"""Levels without a direction that are named; of more the number is given."""
REMARKS: Mapping[Code, str] = {
    "model_based": "model-based",
    "compared_inside": "inside {outer} {level}",
    "goes_along": "with {factor}",
}
"""Notes without which a level would be taken for another comparison, in few words."""
DIRECTED: tuple[Verdict, ...] = ("helps", "hurts", "widens", "narrows")


@dataclass(frozen=True, slots=True)
class Finding:
    """One level on one response, in shown numbers; `price` and `p` are empty where unknown."""

    level: str
    verdict: Verdict
    size: Size | None
    estimate: str
    interval: str
    p: str
    price: str
    remarks: Sequence[str] = ()


def opening(confidence: str, adjusted: str, where: str, order: int | None) -> list[str]:
    """What all numbers are; `order` is that of the interactions that a model leaves out above."""
    tested = {"holm": "Holm-adjusted p", "none": "unadjusted p"}.get(adjusted, "adjusted p")
    assumed = ""
    if order is not None:
        assumed = ", assuming " + ("additivity" if order == 1 else f"no interaction above {order}")
    text = f"Average effects against the baseline {where}, {confidence} intervals, {tested}"
    return [f"{text}{assumed}."]


def directed(title: str, findings: Sequence[Finding]) -> list[str]:
    """The levels of one response with a direction, the largest first; shorter forms name fewer.

    What holds for all of them is said once.
    """
    shared = {_certainty(finding) for finding in findings}
    once = len(findings) > 1 and len(shared) == 1
    told = [_finding(finding, certain=not once) for finding in findings]
    every = f" (all {shared.pop()})" if once else ""
    return [
        f"{sentence(title)}: {'; '.join(told[:some])}{_left(len(told) - some)}{every}."
        for some in sorted({len(told), min(len(told), MOST_NAMED), 1}, reverse=True)
    ]


def _left(levels: int) -> str:
    return f"; {count(levels, 'more level')} with a direction" if levels else ""


def _finding(finding: Finding, *, certain: bool) -> str:
    about = [_certainty(finding)] if certain else []
    about += [f"at {finding.price}"] if finding.price else []
    about += [*finding.remarks]
    shown = ", ".join(filter(None, about))
    beside = f" ({shown})" if shown else ""
    return f"{finding.level} {word(finding.verdict)}, {finding.estimate} {finding.interval}{beside}"


def _certainty(finding: Finding) -> str:
    p = finding.p if finding.p.startswith("<") else f"= {finding.p}"
    about = [f"p {p}"] if finding.p else []
    return ", ".join([*about, *([SIZES[finding.size]] if finding.size else [])])


def without_direction(
    title: str, verdict: Verdict, findings: Sequence[Finding], widths: Sequence[str]
) -> list[str]:
    """The levels of one response that are equivalent or inconclusive, with their precision.

    `widths` are the smallest and the largest half-width of their intervals.
    """
    named = listed(finding.level for finding in findings)
    precise = listed(f"{part.level} ({part.estimate} {part.interval})" for part in findings)
    verb = "is" if len(findings) == 1 else "are"
    what = f"{word(verdict)} on {title}"
    known = (
        f" (intervals \N{PLUS-MINUS SIGN}{' to '.join(dict.fromkeys(widths))})" if widths else ""
    )
    number = f"{count(len(findings), 'level')} {verb} {what}{known}."
    if len(findings) > MOST_NAMED:
        return [number]
    return [f"{sentence(precise)} {verb} {what}.", f"{sentence(named)} {verb} {what}{known}."]


def not_estimated(title: str, levels: Sequence[str]) -> list[str]:
    """The levels of one response without a test."""
    number = count(len(levels), "level")
    return [
        f"No verdict was possible for {listed(levels)} on {title}.",
        f"No verdict was possible for {number} on {title}.",
    ]


def beyond(title: str, over: str, agreeing: Sequence[tuple[str, Verdict]], rest: int) -> list[str]:
    """What keeps its direction over a scope of levels like these, and how many do not."""
    if not agreeing:
        return [f"On {title}, no direction holds {over}."]
    told = listed(f"{level} {word(verdict)}" for level, verdict in agreeing)
    others = f", {count(rest, 'other')} not" if rest else ""
    return [f"On {title}, {told} {over} too{others}."]


def carried(ratios: Sequence[tuple[str, str, str]]) -> list[str]:
    """How much of the effect on learning carries over, per level, with its interval."""
    told = (f"{level} {ratio} {interval}" for level, ratio, interval in ratios)
    return [f"Carry-over to generalization: {'; '.join(told)}."]
