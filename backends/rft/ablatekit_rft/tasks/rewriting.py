"""The shipped tasks: rewrite a string of letters into the one correct other string."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

from ablatekit_rft.tasks.base import AnswerKind, EndlessSplitError, SplitName
from ablatekit_rft.tasks.query import Judgement, Query, Verdict
from ablatekit_rft.tasks.streams import Draws, prompts

ALPHABET = "abcdefghijklmnopqrstuvwxyz"
COUNTED = "abcdef"
SORT_SIGN, COUNT_SIGN = ">", "*"


@dataclass(frozen=True, slots=True)
class RewritingTask:
    """A task whose prompts have exactly one correct answer, compared character by character.

    `form`: what an answer looks like, right or wrong.
    """

    name: str
    version: int
    max_new_tokens: int
    draw: Callable[[Draws], str]
    answer: Callable[[str], str]
    form: re.Pattern[str]

    @property
    def answers(self) -> AnswerKind:
        return "text"

    def items(self, split: SplitName, n: int | None) -> tuple[Query, ...]:
        """The first `n` items of a split; see `Task.items`."""
        if n is None:
            raise EndlessSplitError(self.name)
        return _first_items(self, split, n)

    def judge(self, queries: Sequence[Query], completions: Sequence[str]) -> list[Judgement]:
        """Correct if and only if the completion is the answer, to the character."""
        return [self._judge(*pair) for pair in zip(queries, completions, strict=True)]

    def _judge(self, query: Query, completion: str) -> Judgement:
        verdict = Verdict.CORRECT if completion == query.gold else Verdict.WRONG
        return Judgement(verdict, format_ok=self.form.fullmatch(completion) is not None)


@lru_cache(maxsize=32)  # a worker executes many runs of few tasks
def _first_items(task: RewritingTask, split: SplitName, n: int) -> tuple[Query, ...]:
    stream = prompts(f"{task.name}/{task.version}", split, task.draw)
    return tuple(
        Query(item=prompt, prompt=prompt, gold=task.answer(prompt))
        for prompt in itertools.islice(stream, n)
    )


@cache
def letter_sort() -> RewritingTask:
    """5 to 10 letters, to be sorted: `cabde>` is answered `abcde`."""
    return RewritingTask(
        name="letter-sort",
        version=1,
        max_new_tokens=11,
        draw=lambda draws: draws.text(ALPHABET, draws.between(5, 10)) + SORT_SIGN,
        answer=lambda prompt: "".join(sorted(prompt.removesuffix(SORT_SIGN))),
        form=re.compile("[a-z]+"),
    )


@cache
def letter_count() -> RewritingTask:
    """5 to 10 letters of six, to be counted in order: `bacab*` is answered `a2b2c1`."""
    return RewritingTask(
        name="letter-count",
        version=1,
        max_new_tokens=13,
        draw=lambda draws: draws.text(COUNTED, draws.between(5, 10)) + COUNT_SIGN,
        answer=_counts,
        form=re.compile("([a-f][0-9]+)+"),
    )


def _counts(prompt: str) -> str:
    letters = prompt.removesuffix(COUNT_SIGN)
    return "".join(f"{letter}{letters.count(letter)}" for letter in sorted(set(letters)))
