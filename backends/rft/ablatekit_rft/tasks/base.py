"""What a verifiable task is: queries with known answers, and a verifier of completions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Literal, Protocol, TypeAlias

from ablatekit.errors import Problem, UsageError, nearest
from ablatekit_rft.tasks.query import Judgement, Query

SplitName: TypeAlias = Literal["pretrain", "train", "test"]
"""`pretrain` items make the shipped base models; `train` and `test` items belong to RFT."""


AnswerKind: TypeAlias = Literal["text", "number", "hash", "latex"]
"""`text`: compared as it is; `number`; `hash`: a number behind `####` as in GSM8K; `latex`."""


class UnknownTaskError(UsageError):
    """No task has the name that was asked for."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(Problem("no such task", repr(name), nearest(name, known)))


class EndlessSplitError(UsageError):
    """All items were asked for of a task that generates items without end."""

    def __init__(self, name: str) -> None:
        remedy = "Say how many: train_items, evaluation.probe_items, evaluation.test_items"
        super().__init__(Problem("a generated task has no end", repr(name), remedy))


@contextmanager
def about(setting: str, value: object) -> Iterator[None]:
    """Name the setting that a UsageError is about: messages then get its line in the study."""
    try:
        yield
    except UsageError as error:
        error.problems = tuple(_about(problem, setting, value) for problem in error.problems)
        error.args = ("\n".join(str(problem) for problem in error.problems),)
        raise


def _about(problem: Problem, setting: str, value: object) -> Problem:
    named = f"{setting}: {'null' if value is None else value}"
    rest = problem.received
    # A field's name is nearer to what is wrong than the data set whose rows lack it.
    if rest.startswith((named, "fields.")):
        return problem
    return replace(problem, received=named if rest in ("", repr(value)) else f"{named}; {rest}")


class Task(Protocol):
    """A family of queries and the verifier that judges their completions."""

    @property
    def name(self) -> str:
        """The name that studies use, such as `letter-sort`."""

    @property
    def version(self) -> int:
        """Raised when the items or the verifier change; part of the dataset's content hash."""

    @property
    def max_new_tokens(self) -> int:
        """Tokens that the longest correct answer needs, end of sequence included."""

    @property
    def answers(self) -> AnswerKind:
        """What gold answers are; the verifier and the instruction `auto` follow from it."""

    def items(self, split: SplitName, n: int | None) -> tuple[Query, ...]:
        """The first `n` items of a split; always the same, and a prefix of any longer request.

        Splits are disjoint. Raises UsageError when the split has fewer, or, for None (all of them),
        when it has no end.
        """

    def judge(self, queries: Sequence[Query], completions: Sequence[str]) -> list[Judgement]:
        """Judge completions (text without the end of sequence), one per query. Never raises.

        A completion that was cut off before its end of sequence is the caller's business.
        """


def first_items(queries: Sequence[Query], n: int | None, where: str) -> tuple[Query, ...]:
    """The first `n` of all that a split has. Raises UsageError when it has fewer."""
    if n is not None and n > len(queries):
        raise UsageError(
            Problem(
                f"{where} has too few items",
                f"{n} asked for, {len(queries)} there",
                "Ask for fewer, or null for all of them",
            )
        )
    return tuple(queries[:n])
