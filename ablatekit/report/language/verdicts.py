"""What each verdict looks like and says: a word, a shape and a tone, never colour alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ablatekit.analysis.core.schema.effects import Effect
from ablatekit.analysis.core.schema.vocabulary import Verdict
from ablatekit.report.language.numbers import count, sentence
from ablatekit.report.language.reading import Unit


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
    """How a verdict is shown: its word, its glyph in plain text, its tone.

    `icon` names a drawing of the page's sprite, `marker` the mark in figures and `mark` that mark's
    name; `together` is the word for an interaction, where it has one of its own.
    """

    word: str
    tone: Tone
    icon: str
    glyph: str
    marker: str
    mark: str
    together: str = ""


LOOKS: dict[Verdict, Look] = {
    "helps": Look(
        "helps", "good", "up", "\N{BLACK UP-POINTING TRIANGLE}", "^", "triangle up",
        together="better than their sum",
    ),
    "hurts": Look(
        "hurts", "bad", "down", "\N{BLACK DOWN-POINTING TRIANGLE}", "v", "triangle down",
        together="worse than their sum",
    ),
    "equivalent": Look("equivalent", "same", "equal", "=", "s", "square", together="as their sum"),
    "inconclusive": Look("inconclusive", "open", "ring", "\N{WHITE CIRCLE}", "o", "hollow circle"),
    "widens": Look(
        "widens", "bad", "widen", "\N{LEFTWARDS ARROW}\N{RIGHTWARDS ARROW}", "D", "diamond"
    ),
    "narrows": Look(
        "narrows", "good", "narrow", "\N{RIGHTWARDS ARROW}\N{LEFTWARDS ARROW}", "X", "cross"
    ),
    "identical": Look("identical", "none", "same", "\N{IDENTICAL TO}", "s", "square"),
    "not_estimated": Look("not estimated", "none", "dash", "\N{EN DASH}", "o", "hollow circle"),
}  # fmt: skip
"""The one place that says how a verdict is called; analysis.json and CSV files hold its code."""
EFFECT_MARKS: tuple[Verdict, ...] = ("helps", "hurts", "equivalent", "inconclusive")
GAP_MARKS: tuple[Verdict, ...] = ("widens", "narrows", "equivalent", "inconclusive")


def look(verdict: Verdict) -> Look:
    """The look of a verdict."""
    return LOOKS[verdict]


def word(verdict: Verdict) -> str:
    """The shown word of a verdict."""
    return LOOKS[verdict].word


def signed(verdict: Verdict) -> str:
    """The word of a verdict after its glyph."""
    return f"{LOOKS[verdict].glyph} {LOOKS[verdict].word}"


def together(verdict: Verdict) -> str:
    """The word of a verdict on an interaction."""
    return LOOKS[verdict].together or LOOKS[verdict].word


def marks(verdicts: Sequence[Verdict]) -> str:
    """Which mark of a figure stands for which verdict."""
    return ", ".join(f"{LOOKS[verdict].mark} {LOOKS[verdict].word}" for verdict in verdicts)


@dataclass(frozen=True, slots=True)
class Room:
    """What an inconclusive verdict could be settled with.

    The replicates and contexts that the study has, the smallest effect that matters, as shown, and
    what values belong to.
    """

    replicates: int
    contexts: int
    smallest: str
    unit: Unit


def needed_for(effect: Effect, room: Room) -> str:
    """What an inconclusive verdict would need; empty for the others."""
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


def because(verdict: Verdict, reason: str) -> str:
    """A verdict that is none, and why."""
    return f"{sentence(word(verdict))}: {reason.rstrip('.')}."


def no_broad_verdict(reason: str) -> str:
    """Why no level has a broad verdict."""
    return f"No broad verdict: {reason}."


def spoken(line: VerdictLine) -> str:
    """The verdicts on one response in words, each with its levels."""
    return "; ".join(
        f"{signed(verdict)}: {', '.join(map(_judged, levels))}" for verdict, levels in line.groups
    )


def _judged(level: Judged) -> str:
    """A level with its broad verdict: rollouts: 4 (broad helps, few contexts)."""
    if level.broad is None:
        return level.name
    broad = ", ".join(filter(None, (f"broad {word(level.broad)}", level.mark)))
    return f"{level.name} ({broad})"
