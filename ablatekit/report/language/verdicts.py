"""What each verdict looks like and says: a word, a shape and a tone, never colour alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ablatekit.analysis.core.schema.effects import Effect
from ablatekit.analysis.core.schema.vocabulary import Verdict
from ablatekit.report.language.numbers import count


@dataclass(frozen=True, slots=True)
class Judged:
    """A level under its narrow verdict, with the broad one and what weakens that (`mark`)."""

    name: str
    broad: Verdict | None
    mark: str


@dataclass(frozen=True, slots=True)
class VerdictLine:
    """One response: its levels grouped by narrow verdict, and a note on all of them."""

    title: str
    groups: Sequence[tuple[Verdict, Sequence[Judged]]]
    note: str = ""


Tone: TypeAlias = Literal["good", "bad", "same", "open", "none"]


@dataclass(frozen=True, slots=True)
class Look:
    """`icon` names a drawing of the page's sprite, `glyph` is its character in plain text.

    `marker` is its shape in figures.
    """

    tone: Tone
    icon: str
    glyph: str
    marker: str


LOOKS: dict[Verdict, Look] = {
    "helps": Look("good", "up", "\N{BLACK UP-POINTING TRIANGLE}", "^"),
    "hurts": Look("bad", "down", "\N{BLACK DOWN-POINTING TRIANGLE}", "v"),
    "equivalent": Look("same", "equal", "=", "s"),
    "inconclusive": Look("open", "ring", "\N{WHITE CIRCLE}", "o"),
    "widens": Look("bad", "widen", "\N{LEFTWARDS ARROW}\N{RIGHTWARDS ARROW}", "D"),
    "narrows": Look("good", "narrow", "\N{RIGHTWARDS ARROW}\N{LEFTWARDS ARROW}", "X"),
    "identical": Look("none", "same", "\N{IDENTICAL TO}", "s"),
    "not estimated": Look("none", "dash", "\N{EN DASH}", "o"),
}


def look(verdict: Verdict) -> Look:
    """The look of a verdict."""
    return LOOKS[verdict]


@dataclass(frozen=True, slots=True)
class Room:
    """What an inconclusive verdict could be settled with.

    The replicates and contexts that the study has, and the smallest effect that matters, as shown.
    """

    replicates: int
    contexts: int
    smallest: str


def remark(effect: Effect, room: Room) -> str:
    """Why there is no estimate, or what an inconclusive one would need; empty otherwise."""
    if effect["reason"]:
        return effect["reason"]
    if effect["verdict"] != "inconclusive":
        return ""
    if effect["inference"] == "broad":
        needed, noun, have = effect["contexts_needed"], "context", room.contexts
    else:
        needed, noun, have = effect["replicates_needed"], "replicate", room.replicates
    if needed is None:
        return ""
    if needed <= have:
        margin = f"\N{PLUS-MINUS SIGN}{room.smallest}"
        return f"precise to {margin} already; the estimate lies too near that bound"
    return f"about {count(needed, noun)} for \N{PLUS-MINUS SIGN}{room.smallest}"


def spoken(line: VerdictLine) -> str:
    """The verdicts on one response in words, each with its levels."""
    return "; ".join(
        f"{look(verdict).glyph} {verdict}: {', '.join(map(_judged, levels))}"
        for verdict, levels in line.groups
    )


def _judged(level: Judged) -> str:
    """A level with its broad verdict: rollouts: 4 (broad helps, few contexts)."""
    if level.broad is None:
        return level.name
    broad = ", ".join(filter(None, (f"broad {level.broad}", level.mark)))
    return f"{level.name} ({broad})"
