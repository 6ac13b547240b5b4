"""What each verdict looks like and says: a word, a shape and a tone, never colour alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from ablatekit.analysis.core.schema.effects import Effect, Suffices
from ablatekit.analysis.core.schema.vocabulary import Size, Sufficiency, Verdict
from ablatekit.report.language import scopes
from ablatekit.report.language.numbers import Scale, absent, count, sentence
from ablatekit.report.language.reading import Unit

if TYPE_CHECKING:
    from ablatekit.analysis.compare import Agreement

Outcome: TypeAlias = "Verdict | Agreement"
"""What a badge shows: the verdict on an effect, or whether two studies agree on it."""
Tone: TypeAlias = Literal["good", "bad", "same", "open", "none", "shift"]


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


LOOKS: dict[Outcome, Look] = {
    "helps": Look(
        "helps", "good", "up", "\N{BLACK UP-POINTING TRIANGLE}", "^", "triangle up",
        together="more together than apart",
    ),
    "hurts": Look(
        "hurts", "bad", "down", "\N{BLACK DOWN-POINTING TRIANGLE}", "v", "triangle down",
        together="less together than apart",
    ),
    "equivalent": Look(
        "equivalent", "same", "equal", "=", "s", "square",
        together="as much together as apart",
    ),
    "inconclusive": Look("inconclusive", "open", "ring", "\N{WHITE CIRCLE}", "o", "hollow circle"),
    "widens": Look(
        "widens", "shift", "widen", "\N{LEFTWARDS ARROW}\N{RIGHTWARDS ARROW}", "D", "diamond"
    ),
    "narrows": Look(
        "narrows", "shift", "narrow", "\N{RIGHTWARDS ARROW}\N{LEFTWARDS ARROW}", "X", "cross"
    ),
    "identical": Look("identical", "none", "same", "\N{IDENTICAL TO}", "s", "square"),
    "not_estimated": Look("not estimated", "none", "dash", "\N{EN DASH}", "o", "hollow circle"),
}  # fmt: skip
"""The one place that says how a verdict is called; analysis.json and CSV files hold its code."""
AGREEMENTS: dict[Outcome, Look] = {
    "agree": Look("agree", "same", "equal", "=", "s", "square"),
    "differ": Look("differ", "shift", "unequal", "\N{NOT EQUAL TO}", "D", "diamond"),
    "undecided": Look("undecided", "open", "ring", "\N{WHITE CIRCLE}", "o", "hollow circle"),
    "not_compared": Look("not compared", "none", "dash", "\N{EN DASH}", "o", "hollow circle"),
}
"""The same for whether two studies agree; `--json` has its code."""
SIZES: Mapping[Size, str] = {
    "by_more": "by more than matters",
    "less": "less than matters",
    "open": "size open",
}
"""The size of an effect that has a direction, after the word of its verdict."""
EFFECT_MARKS: tuple[Verdict, ...] = ("helps", "hurts", "equivalent", "inconclusive")
GAP_MARKS: tuple[Verdict, ...] = ("widens", "narrows", "equivalent", "inconclusive")


def look(outcome: Outcome) -> Look:
    """The look of a verdict, or of an agreement."""
    return LOOKS.get(outcome) or AGREEMENTS[outcome]


def word(outcome: Outcome) -> str:
    """The shown word of it."""
    return look(outcome).word


def sized(outcome: Outcome, size: Size | None) -> str:
    """Direction and size: helps, by more than matters."""
    return f"{word(outcome)}, {SIZES[size]}" if size else word(outcome)


def signed(outcome: Outcome, size: Size | None = None) -> str:
    """The words of a verdict after its glyph."""
    return f"{look(outcome).glyph} {sized(outcome, size)}"


def together(verdict: Verdict) -> str:
    """The word of a verdict on an interaction."""
    return LOOKS[verdict].together or LOOKS[verdict].word


def marks(verdicts: Sequence[Verdict]) -> str:
    """Which mark of a figure stands for which verdict."""
    return ", ".join(f"{LOOKS[verdict].mark} {LOOKS[verdict].word}" for verdict in verdicts)


@dataclass(frozen=True, slots=True)
class Room:
    """What an inconclusive verdict could be settled with.

    The replicates that the study has, the levels of its blocking variables, the smallest effect
    that matters, as shown, and what values belong to.
    """

    replicates: int
    blocking: Mapping[str, Sequence[str]]
    smallest: str
    unit: Unit

    def over(self, scope: Sequence[str]) -> str:
        """A scope in words, with what stays as it is: over models, on these 2 data sets."""
        return scopes.within(scope, self.blocking)


def needed_for(effect: Effect, room: Room) -> str:
    """What an inconclusive verdict would need; empty for the others."""
    if effect["verdict"] != "inconclusive":
        return ""
    nouns: tuple[str, ...] = ("replicate", "replicates")
    needed, have = effect["replicates_needed"], room.replicates
    if effect["inference"] == "broad":
        name = effect["scope"][0] if effect["scope"] else "context"
        needed, have = effect["contexts_needed"], len(room.blocking.get(name, ()))
        nouns = scopes.variable(name), scopes.variables(name)
    if needed is None:
        return ""
    if needed <= have:
        margin = f"\N{PLUS-MINUS SIGN}{room.smallest}"
        return f"precise to {margin} already; the estimate lies too near that bound"
    return f"needs about {count(needed, *nouns)} for \N{PLUS-MINUS SIGN}{room.smallest}"


def briefly(needed: str) -> str:
    """What a verdict needs, without the margin that it is for."""
    return needed.split(" for ")[0].split(";")[0]


def because(verdict: Verdict, reason: str) -> str:
    """A verdict that is none, and why."""
    return f"{sentence(word(verdict))}: {reason.rstrip('.')}."


SUFFICIENCY: Mapping[Sufficiency, str] = {
    "yes": "yes", "no": "no", "open": "open", "not_judged": "not judged",
}  # fmt: skip


def baseline_suffices(label: str, smallest: str, answers: Sequence[tuple[str, str]]) -> str:
    """Whether the baseline is good enough, for every inference: where, and the answer there."""
    if not smallest:
        asked = f"Whether the baseline suffices on {label} is {SUFFICIENCY['not_judged']}"
        return f"{asked}: no smallest effect is declared."
    told = "; ".join(f"{where}: {answer}" for where, answer in answers)
    return f"The baseline suffices within {smallest} on {label} {told}."


def suffices_there(answer: Suffices, scale: Scale, reason: str) -> str:
    """One answer with what it rests on: no, rollouts 4 gains by more than matters."""
    said = SUFFICIENCY[answer["answer"]]
    name = answer["configuration"]
    if answer["answer"] == "no" and name:
        return f"{said} ({name} helps by more than matters)"
    if reason:
        return f"{said} ({reason.rstrip('.')})"
    if answer["answer"] == "not_judged" or absent(answer["bound"]):
        return said
    bound = f"{scale.plain(answer['bound'])} {scale.unit}".strip()
    if answer["answer"] == "yes":
        return f"{said} (gains above {bound} are excluded)"
    return f"{said} (gains up to {bound} are not excluded{f', {name}' if name else ''})"


def compared_studies(names: tuple[str, str], contexts: str) -> str:
    """Which studies are compared, and whether they share contexts."""
    return f"{names[1]} against {names[0]} ({contexts} contexts); p adjusted by Holm"


def only_in(name: str, parts: str) -> str:
    """What only one of two studies has."""
    return f"only in {name}: {parts}"
