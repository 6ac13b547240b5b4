"""Generated arithmetic: questions in words with whole-number answers, without end or nearly so."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ablatekit_rft.tasks.base import AnswerKind, SplitName, first_items
from ablatekit_rft.tasks.query import Judgement, Query
from ablatekit_rft.tasks.streams import Draws
from ablatekit_rft.tasks.verifiers.numbers import judge_hash, judge_number

_OPERATIONS = {"+": int.__add__, "-": int.__sub__, "*": int.__mul__}
_NAMES = ("Ada", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gina", "Hugo")
_THINGS = ("apples", "books", "coins", "eggs", "pens", "shells", "stamps", "toys")
_STORY_BLOCK = 20_000


@dataclass(frozen=True, slots=True)
class ArithmeticTask:
    """A finite list of questions in a fixed shuffled order, split by the hash of each question."""

    name: str
    version: int
    max_new_tokens: int
    answers: AnswerKind
    questions: Callable[[], Sequence[Query]]

    def items(self, split: SplitName, n: int | None) -> tuple[Query, ...]:
        """The first `n` items of a split; see `Task.items`."""
        there = [query for query in self.questions() if _split_of(query.prompt) == split]
        return first_items(there, n, f"the {split} split of {self.name!r}")

    def judge(self, queries: Sequence[Query], completions: Sequence[str]) -> list[Judgement]:
        """The number that a completion gives: behind `####` in stories, else the last one."""
        judge = judge_hash if self.answers == "hash" else judge_number
        pairs = zip(queries, completions, strict=True)
        return [judge(query.gold, text) for query, text in pairs]


def _split_of(question: str) -> SplitName:
    """Half of the questions train, four tenths test, a tenth for solved examples."""
    place = Draws("arithmetic split", question).below(10)
    return "train" if place < 5 else "test" if place < 9 else "pretrain"


def arithmetic(digits: int) -> ArithmeticTask:
    """`What is 7 - 9?`: two operands of that many digits, one of + - *."""
    questions = functools.partial(_sums, digits)
    return ArithmeticTask(f"arithmetic-{digits}", 2, 32, "number", questions)


def stories() -> ArithmeticTask:
    """Word problems of two or three steps, answered behind `####` as in GSM8K."""
    return ArithmeticTask("number-stories", 2, 96, "hash", _stories)


@functools.cache
def _sums(digits: int) -> Sequence[Query]:
    low = 0 if digits == 1 else 10 ** (digits - 1)
    operands = range(low, 10**digits)
    everything = itertools.product(operands, _OPERATIONS, operands)
    return _shuffled([_sum(left, sign, right) for left, sign, right in everything])


def _sum(left: int, sign: str, right: int) -> Query:
    question, gold = f"What is {left} {sign} {right}?", str(_OPERATIONS[sign](left, right))
    return Query(question, question, gold, f"{left} {sign} {right} = {gold}")


@functools.cache
def _stories() -> Sequence[Query]:
    drawn = (_story(Draws("number-stories/1", index)) for index in range(_STORY_BLOCK))
    return list({query.prompt: query for query in drawn}.values())


def _story(draws: Draws) -> Query:
    who, what = _NAMES[draws.below(len(_NAMES))], _THINGS[draws.below(len(_THINGS))]
    had, boxes, each = draws.between(5, 40), draws.between(2, 6), draws.between(2, 9)
    filled = had + boxes * each
    given = draws.between(1, filled - 1)
    question = (
        f"{who} has {had} {what} and buys {boxes} boxes with {each} {what} in each. "
        f"{who} gives {given} {what} away. How many {what} does {who} have now?"
    )
    solution = (
        f"{boxes} boxes hold {boxes} * {each} = {boxes * each} {what}. "
        f"{had} + {boxes * each} = {filled}. {filled} - {given} = {filled - given}.\n"
        f"#### {filled - given}"
    )
    return Query(question, question, str(filled - given), solution)


def _shuffled(queries: Sequence[Query]) -> Sequence[Query]:
    """An order that follows from the questions alone, so that no prefix is easier than another."""
    return sorted(queries, key=lambda query: Draws("order", query.prompt).below(2**60))
