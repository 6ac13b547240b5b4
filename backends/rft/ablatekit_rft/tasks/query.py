"""Queries, and what a verifier says about a completion of one: verdict and form, no reward."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Turn:
    """What one side of a conversation says; `role` is system, user or assistant."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Query:
    """One item of a task. `item` identifies it within the task; `gold` is a correct answer.

    `solution` is a completion that deserves the verdict correct: what a few-shot example shows.
    `turns`: the conversation that ends with `prompt`, where it is more than that one turn. `where`:
    the file and line that the item comes from.
    """

    item: str
    prompt: str
    gold: str
    solution: str = ""
    turns: tuple[Turn, ...] = ()
    where: str = field(default="", compare=False)

    @property
    def shown(self) -> str:
        """The worked answer, the gold answer where there is none."""
        return self.solution or self.gold


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A row of a data set that is no item: `where` is its file and line, `why` the reason."""

    where: str
    why: str
    remedy: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"{self.where}: {self.why}"


class Verdict(enum.StrEnum):
    """A verifier's judgement. `ERROR`: it could not judge (a timeout), so nobody is to blame."""

    CORRECT = "correct"
    WRONG = "wrong"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a verifier says about one completion.

    `format_ok`: the completion has the form that the task asks for, whatever its answer. Neither
    the verdict nor the form is a reward: rewards are shaped from them, evaluation is not. `why`:
    what kept the verifier from a verdict, for people to read.
    """

    verdict: Verdict
    format_ok: bool
    why: str = field(default="", compare=False)


def unreadable_key(gold: str, *, format_ok: bool) -> Judgement:
    """No verdict, because the verifier cannot read the answer key."""
    return Judgement(Verdict.ERROR, format_ok, f"it cannot read the answer key {gold[:80]!r}")
