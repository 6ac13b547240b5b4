"""Tasks of the package reasoning-gym (arXiv:2505.24760): generated puzzles with their scorers."""

from __future__ import annotations

import functools
import importlib.metadata
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ablatekit.errors import Problem, UsageError, nearest
from ablatekit_rft.tasks.base import AnswerKind, EndlessSplitError, SplitName
from ablatekit_rft.tasks.query import Judgement, Query, Verdict
from ablatekit_rft.tasks.streams import split_of
from ablatekit_rft.tasks.verifiers.pool import JudgePool
from ablatekit_rft.tasks.verifiers.registry import require_package

PREFIX = "reasoning-gym/"
SEED = 0
BLOCK = 100_000
"""Entries of the one generated sequence that all splits are taken from."""
SOLVED = 0.999
"""A completion is correct from this score of the task's own scorer on; partial credit is wrong."""


@dataclass(frozen=True)
class ReasoningTask:
    """One task of reasoning-gym; the same version of the package gives the same items."""

    name: str
    version: int = 1
    max_new_tokens: int = 512
    pool: JudgePool = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "pool", JudgePool(f"{__name__}:{judge_of.__name__}", self.name))

    @property
    def answers(self) -> AnswerKind:
        return "text"

    def items(self, split: SplitName, n: int | None) -> tuple[Query, ...]:
        """The first `n` items of a split; see `Task.items`. An item's id is its place."""
        if n is None:
            raise EndlessSplitError(self.name)
        queries = tuple(itertools.islice(self._split(split), n))
        if len(queries) < n:
            rule = f"the {split} split of {self.name!r} has too few distinct items"
            raise UsageError(Problem(rule, f"{n} asked for, {len(queries)} there", "Ask for fewer"))
        return queries

    def _split(self, split: SplitName) -> Iterator[Query]:
        seen: set[str] = set()
        for index in range(BLOCK):
            entry = _dataset(self.name)[index]
            question = str(entry["question"])
            if question not in seen and split_of(question) == split:
                seen.add(question)
                yield Query(str(index), question, str(entry["answer"]))

    def judge(self, queries: Sequence[Query], completions: Sequence[str]) -> list[Judgement]:
        """The task's own scorer, in processes of its own."""
        pairs = zip(queries, completions, strict=True)
        return self.pool.judge([(query.item, text) for query, text in pairs])


def reasoning_task(name: str) -> ReasoningTask:
    """The task `reasoning-gym/NAME`. Raises UsageError when package or task do not exist."""
    _dataset(name)
    return ReasoningTask(name)


def package_version() -> str:
    """The installed version: another one may generate other items."""
    require_package("reasoning_gym", "reasoning", "reasoning-gym tasks need its package")
    return importlib.metadata.version("reasoning-gym")


@functools.lru_cache(maxsize=4)
def _dataset(name: str) -> Any:
    package_version()
    from reasoning_gym.factory import DATASETS, create_dataset

    task = name.removeprefix(PREFIX)
    if task not in DATASETS:
        raise UsageError(
            Problem("no such task in reasoning-gym", repr(task), nearest(task, DATASETS))
        )
    return create_dataset(task, size=BLOCK, seed=SEED)


def judge_of(name: str) -> Callable[[str, str], Judgement]:
    """The judge of (index, completion) of one task: what the child process calls."""
    dataset = _dataset(name)

    def judge(index: str, completion: str) -> Judgement:
        score = float(dataset.score_answer(completion.strip(), dataset[int(index)]))
        verdict = Verdict.CORRECT if score >= SOLVED else Verdict.WRONG
        return Judgement(verdict, format_ok=bool(completion.strip()))

    return judge
