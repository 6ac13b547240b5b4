"""Rows whose own answer the verifier of a run does not accept: found, remembered, left out.

A key is judged in the form that the run asks for, and the worked solution of its row with its end
in that form. A row that fails one of them cannot be answered: it is named and left out, together
with the rows that cannot be read, up to `MOST_LEFT_OUT` of all rows; above that the data set is
refused under this verifier.
"""

from __future__ import annotations

import functools
import importlib.metadata
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from math import floor
from pathlib import Path
from typing import Any, Self

from ablatekit.backend import Progress
from ablatekit.canonical import content_hash, file_hash
from ablatekit.errors import Problem, UsageError
from ablatekit_rft.planning.conversations import refuse_conversations, unshown
from ablatekit_rft.planning.judging import judge_rows, key_completion
from ablatekit_rft.planning.memory import Memory, user_memory
from ablatekit_rft.settings import RftSettings
from ablatekit_rft.tasks import SplitName, Task, registry
from ablatekit_rft.tasks.base import EndlessSplitError
from ablatekit_rft.tasks.forms import asked_form
from ablatekit_rft.tasks.judged import JudgedTask, open_task, own_task
from ablatekit_rft.tasks.query import LeftOut, Query, Verdict
from ablatekit_rft.tasks.questions import MOST_LEFT_OUT, SHOWN, QuestionTask
from ablatekit_rft.tasks.verifiers.pool import VerifierStartError
from ablatekit_rft.tasks.verifiers.registry import BY_RULE, MATH, verifier_content

_MARK = "\0"
_PACKAGE = Path(__file__).parents[1]
_MATH_PACKAGES = ("math-verify", "latex2sympy2-extended", "sympy")


@dataclass(frozen=True, slots=True)
class Answerable:
    """What was found about a data set under a verifier.

    total: how many rows there are. rows: how many were looked at; all, but where many failed.
    count: how many cannot be answered or read. left_out: these rows, the first of them where the
    data set is refused. items: the ids of those that were read. remedy: which verifiers accept
    them.
    """

    total: int
    rows: int
    count: int = 0
    left_out: tuple[LeftOut, ...] = ()
    items: tuple[str, ...] = ()
    remedy: str = ""

    @property
    def is_refused(self) -> bool:
        """Whether more rows are left out than a data set may lose."""
        return self.count > MOST_LEFT_OUT * self.rows

    @property
    def content(self) -> str:
        """What identifies the rows that the verifier does not accept; empty where there is none."""
        return content_hash(sorted(self.items)) if self.items else ""

    def to_json(self, dataset: str) -> dict[str, Any]:
        """As JSON, with a mark for the name of the data set: the same rows may be moved."""
        return self._renamed(dataset, _MARK)

    @classmethod
    def from_json(cls, value: dict[str, Any], dataset: str) -> Self:
        """What `to_json` made, of the data set under its name of today."""
        rows = tuple(LeftOut(**row) for row in value["left_out"])
        found = cls(**{**value, "left_out": rows, "items": tuple(value["items"])})
        named = found._renamed(_MARK, dataset)["left_out"]
        return replace(found, left_out=tuple(LeftOut(**row) for row in named))

    def _renamed(self, old: str, new: str) -> dict[str, Any]:
        value = asdict(self)
        value["left_out"] = [
            {name: text.replace(old, new) for name, text in row.items()}
            for row in value["left_out"]
        ]
        return value


NOTHING_LEFT_OUT = Answerable(total=0, rows=0)


@dataclass(frozen=True, slots=True)
class _Question:
    """Which rows of a data set a run's verifier accepts; equal questions have one answer."""

    key: str
    dataset: str
    settings: RftSettings = field(compare=False)
    content: str = field(compare=False)
    memory: Memory = field(compare=False)
    progress: Progress = field(compare=False)


def is_constant(settings: RftSettings) -> bool:
    """Whether a shipped task is under its own verifier: tests judge its items, once for all."""
    return settings.dataset in registry.TASKS and settings.verifier == "auto"


def find_answerable(
    settings: RftSettings, progress: Progress, memory: Memory | None = None, content: str = ""
) -> Answerable | None:
    """What can be answered; None for a data set on the hub that nobody has judged yet.

    `content` identifies the data set in a run: rows on the hub are then loaded. What is known is
    not judged again. Raises UsageError where the data set or the verifier cannot be used at all.
    """
    if is_constant(settings):
        return NOTHING_LEFT_OUT
    memory = memory or user_memory()
    named = content or registry.dataset_content(settings.dataset)
    key = verdict_key(settings, named)
    question = _Question(key, settings.dataset, settings, content, memory, progress)
    if not content and registry.is_on_hub(settings.dataset):
        known = memory.recall(question.key)
        return None if known is None else Answerable.from_json(known, settings.dataset)
    return _answered(question)


def answerable_task(settings: RftSettings, content: str, found: Answerable) -> Task:
    """The task of a run without the rows that cannot be answered."""
    task = open_task(settings, content)
    return JudgedTask(task, task.judge, frozenset(found.items)) if found.items else task


def refuse_unanswerable(settings: RftSettings, found: Answerable) -> None:
    """Raise UsageError where more rows are left out than a data set may lose."""
    if not found.is_refused:
        return
    rule = (
        f"the verifier does not accept the answers of the data set itself: up to"
        f" {float(MOST_LEFT_OUT):.0%} of its rows are left out, more are refused"
    )
    received = f"verifier: {settings.verifier}, {counted(settings, found)}"
    raise UsageError(Problem(rule, received, found.remedy))


def counted(settings: RftSettings, found: Answerable) -> str:
    """How many rows are left out, and the first of them."""
    shown = "; ".join(str(row) for row in found.left_out[:SHOWN])
    more = f"; and {found.count - SHOWN:,} more" if found.count > SHOWN else ""
    first = "" if found.rows == found.total else f"the first {found.rows:,} of "
    there = f"{first}{found.total:,} rows of {settings.dataset}"
    return f"{found.count:,} of {there}: {shown}{more}"


@functools.lru_cache(maxsize=32)
def _answered(question: _Question) -> Answerable:
    # In the process, too: every run of a plan asks, whether the memory can be written or not.
    known = question.memory.recall(question.key)
    if known is not None:
        return Answerable.from_json(known, question.dataset)
    found = _judged(question)
    question.memory.keep(question.key, found.to_json(question.dataset))
    return found


def verdict_key(settings: RftSettings, dataset: str) -> str:
    """A hash of everything that the verdicts follow from, the code of the verifiers included."""
    packages = _MATH_PACKAGES if settings.verifier == MATH else ()
    asked = ("template", "instruction", "verifier")
    return content_hash(
        {
            "dataset": dataset,
            "fields": settings.fields.model_dump(),
            "asked": {name: getattr(settings, name) for name in asked if name != "verifier"},
            "system_prompt": bool(settings.system_prompt),
            "verifier": verifier_content(settings.verifier) or settings.verifier,
            "packages": {name: _version(name) for name in packages},
            "sizes": _sizes(settings) if _is_generated(settings) else {},
            "code": _code(),
        },
        32,
    )


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


@functools.cache  # an installed package stays as it is
def _code() -> str:
    files = sorted(
        path for part in ("tasks", "planning") for path in (_PACKAGE / part).rglob("*.py")
    )
    return content_hash({str(path.relative_to(_PACKAGE)): file_hash(path) for path in files})


def _is_generated(settings: RftSettings) -> bool:
    from ablatekit_rft.tasks import reasoning

    return settings.dataset in registry.TASKS or settings.dataset.startswith(reasoning.PREFIX)


def _sizes(settings: RftSettings) -> dict[SplitName, int | None]:
    return {"train": settings.train_items, "test": settings.evaluation.test_items}


def _judged(question: _Question) -> Answerable:
    settings = question.settings
    task = own_task(settings, question.content)
    unread = task.left_out if isinstance(task, QuestionTask) else ()
    queries = _rows(task, settings)
    total = max(task.rows if isinstance(task, QuestionTask) else 0, len(queries) + len(unread))
    refuse_conversations(settings, queries, total)
    other_turns = unshown(settings, queries)
    shown = [query for query in queries if query.item not in other_turns]
    most = floor(MOST_LEFT_OUT * total) - len(unread) - len(other_turns)
    try:
        judged = judge_rows(settings, question.content, shown, most, question.progress)
    except VerifierStartError as error:
        received = f"verifier: {settings.verifier}: {error}"
        raise UsageError(Problem("the verifier cannot be asked", received)) from error
    rejected = other_turns | judged.rows
    found = Answerable(
        total=total,
        rows=total - len(shown) + judged.judged,
        count=len(unread) + len(rejected),
        left_out=(*unread, *sorted(rejected.values(), key=_in_file)),
        items=tuple(rejected),
    )
    if not found.is_refused:
        return found
    remedy = _remedy(question, task, shown) if rejected else "Mend or remove these rows"
    return replace(found, left_out=found.left_out[:SHOWN], items=(), remedy=remedy)


def _in_file(row: LeftOut) -> tuple[str, int]:
    """The order of rows: by file and line."""
    file, _, line = row.where.rpartition(":")
    return (file, int(line)) if line.isdigit() else (row.where, 0)


def _rows(task: Task, settings: RftSettings) -> list[Query]:
    """All rows of a finite data set; of an endless one those that a run uses, and some to spare."""
    rows: dict[str, Query] = {}
    for split, size in _sizes(settings).items():
        try:
            there = task.items(split, None)
        except EndlessSplitError:
            spare = None if size is None else size + int(size * MOST_LEFT_OUT) + 1
            there = task.items(split, spare)
        rows |= {query.item: query for query in there}
    return list(rows.values())


def _remedy(question: _Question, task: Task, queries: Sequence[Query]) -> str:
    """Which verifiers accept these rows: tried, with the form that they read."""
    accepted: dict[str, Fraction] = {}
    for name in BY_RULE:
        chosen = question.settings.model_copy(update={"verifier": name, "instruction": "auto"})
        form = asked_form(chosen, task.answers).form
        judge = open_task(chosen, question.content).judge
        judged = judge(queries, [key_completion(chosen, form, query.gold) for query in queries])
        right = sum(judgement.verdict is Verdict.CORRECT for judgement in judged)
        accepted[name] = Fraction(right, len(queries))
    enough = {name: share for name, share in accepted.items() if share >= 1 - MOST_LEFT_OUT}
    if not enough:
        return "Mend these rows, or name a function that accepts them: verifier: file.py:function"
    named = ", ".join(f"{name} accepts {_percent(share)}" for name, share in enough.items())
    return f"Set verifier, with instruction: auto: of these keys {named}"


def _percent(share: Fraction) -> str:
    """Rounded down, so that nothing but all is 100 %."""
    return f"{floor(1000 * share) / 10:g} %"
