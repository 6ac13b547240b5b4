"""What a verifiable task is: queries with known answers, and a verifier of completions."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from ablatekit.errors import Problem, UsageError, nearest

SplitName: TypeAlias = Literal["pretrain", "train", "test"]
"""`pretrain` items make the shipped base models; `train` and `test` items belong to RFT."""


class UnknownTaskError(UsageError):
    """No task has the name that was asked for."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(Problem("no such task", repr(name), nearest(name, known)))


@dataclass(frozen=True, slots=True)
class Query:
    """One item of a task. `item` identifies it within the task; `gold` is a correct answer."""

    item: str
    prompt: str
    gold: str


class Verdict(enum.StrEnum):
    """A verifier's judgement. `ERROR`: it could not judge (a timeout), so nobody is to blame."""

    CORRECT = "correct"
    WRONG = "wrong"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Split:
    """The items of one RFT run: disjoint, in the order in which `Task.items` gives them."""

    train: tuple[Query, ...]
    test: tuple[Query, ...]


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

    def items(self, split: SplitName, n: int) -> tuple[Query, ...]:
        """The first `n` items of a split; always the same, and a prefix of any longer request.

        Splits are disjoint. At least 2048 train and 2048 test items are available.
        """

    def verify(self, query: Query, completion: str) -> Verdict:
        """Judge a completion (text without the end of sequence). Never raises.

        A completion that was cut off before its end of sequence is the caller's business.
        """


def rft_split(task: Task, *, train: int, test: int) -> Split:
    """The first `train` and `test` items of a task for one RFT run."""
    return Split(train=task.items("train", train), test=task.items("test", test))
