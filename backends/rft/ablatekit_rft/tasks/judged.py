"""A task under the verifier that a study chose, without some items, and answers in tags."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ablatekit_rft.settings import RftSettings
from ablatekit_rft.tasks.base import AnswerKind, EndlessSplitError, SplitName, Task, first_items
from ablatekit_rft.tasks.query import Judgement, Query, Verdict
from ablatekit_rft.tasks.registry import find_task
from ablatekit_rft.tasks.rows import Fields
from ablatekit_rft.tasks.verifiers.registry import BatchJudge, build_verifier

TAGGED = re.compile(r".*?</think>\s*<answer>(?P<answer>.*?)</answer>\s*", re.DOTALL)
"""A completion after `<think>`: reasoning, then the answer in its tags, then nothing."""
CLOSING = "</answer>"


def closing_stop(template: str, stops: Sequence[str]) -> str:
    """The stop text that a verifier reads, too: the end of the answer in its tags, if it is one."""
    return CLOSING if template == "r1" and CLOSING in stops else ""


@dataclass(frozen=True, slots=True)
class JudgedTask:
    """A task under a verifier; items are the task's own but for those `left_out`, by their ids."""

    task: Task
    verifier: BatchJudge
    left_out: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        return self.task.name

    @property
    def version(self) -> int:
        return self.task.version

    @property
    def max_new_tokens(self) -> int:
        return self.task.max_new_tokens

    @property
    def answers(self) -> AnswerKind:
        return self.task.answers

    def items(self, split: SplitName, n: int | None) -> tuple[Query, ...]:
        """The task's items; see `Task.items`."""
        if not self.left_out:
            return self.task.items(split, n)
        try:
            there = self.task.items(split, None)
        except EndlessSplitError:
            there = self.task.items(split, None if n is None else n + len(self.left_out))
        kept = [query for query in there if query.item not in self.left_out]
        return first_items(kept, n, f"the {split} split of {self.name!r}")

    def judge(self, queries: Sequence[Query], completions: Sequence[str]) -> list[Judgement]:
        """What the verifier says."""
        return self.verifier(queries, completions)


def in_tags(verifier: BatchJudge) -> BatchJudge:
    """The verifier of what stands in the answer's tags; without them a completion is wrong.

    The form is that of the tags, whatever the form of the answer in them.
    """

    def judge(queries: Sequence[Query], completions: Sequence[str]) -> list[Judgement]:
        matches = [TAGGED.fullmatch(text) for text in completions]
        tagged = [place for place, match in enumerate(matches) if match is not None]
        answers = [match["answer"].strip() for match in matches if match is not None]
        judged = verifier([queries[place] for place in tagged], answers)
        judgements = [Judgement(Verdict.WRONG, format_ok=False)] * len(completions)
        for place, judgement in zip(tagged, judged, strict=True):
            judgements[place] = Judgement(judgement.verdict, format_ok=True, why=judgement.why)
        return judgements

    return judge


def own_task(settings: RftSettings, content: str = "") -> Task:
    """The data set of a run under its own verifier; `content` identifies it in the run."""
    return find_task(settings.dataset, Fields(**settings.fields.model_dump()), content)


def open_task(settings: RftSettings, content: str = "") -> Task:
    """The data set of a run under the verifier of the run, which may read answers in tags."""
    task = own_task(settings, content)
    chosen = task.judge if settings.verifier == "auto" else build_verifier(settings.verifier)
    if settings.template == "r1":
        return JudgedTask(task, in_tags(chosen))
    return task if settings.verifier == "auto" else JudgedTask(task, chosen)
