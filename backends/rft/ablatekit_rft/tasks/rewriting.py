"""The shipped tasks: rewrite a string of letters into the one correct other string."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

from ablatekit_rft.tasks.base import Query, SplitName, Verdict
from ablatekit_rft.tasks.streams import Draws, prompts

ALPHABET = "abcdefghijklmnopqrstuvwxyz"
COUNTED = "abcdef"
SORT_SIGN, COUNT_SIGN = ">", "*"


@dataclass(frozen=True, slots=True)
class RewritingTask:
    """A task whose prompts have exactly one correct answer, compared character by character."""

    name: str
    version: int
    max_new_tokens: int
    draw: Callable[[Draws], str]
    answer: Callable[[str], str]

    def items(self, split: SplitName, n: int) -> tuple[Query, ...]:
        """The first `n` items of a split; see `Task.items`."""
        stream = prompts(f"{self.name}/{self.version}", split, self.draw)
        return tuple(
            Query(item=prompt, prompt=prompt, gold=self.answer(prompt))
            for prompt in itertools.islice(stream, n)
        )

    def verify(self, query: Query, completion: str) -> Verdict:
        """Correct if and only if the completion is the answer, to the character."""
        return Verdict.CORRECT if completion == query.gold else Verdict.WRONG


def letter_sort() -> RewritingTask:
    """5 to 10 letters, to be sorted: `cabde>` is answered `abcde`."""
    return RewritingTask(
        name="letter-sort",
        version=1,
        max_new_tokens=11,
        draw=lambda draws: draws.text(ALPHABET, draws.between(5, 10)) + SORT_SIGN,
        answer=lambda prompt: "".join(sorted(prompt.removesuffix(SORT_SIGN))),
    )


def letter_count() -> RewritingTask:
    """5 to 10 letters of six, to be counted in order: `bacab*` is answered `a2b2c1`."""
    return RewritingTask(
        name="letter-count",
        version=1,
        max_new_tokens=13,
        draw=lambda draws: draws.text(COUNTED, draws.between(5, 10)) + COUNT_SIGN,
        answer=_counts,
    )


def _counts(prompt: str) -> str:
    letters = prompt.removesuffix(COUNT_SIGN)
    return "".join(f"{letter}{letters.count(letter)}" for letter in sorted(set(letters)))
