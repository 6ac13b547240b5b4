"""Rows whose own answer the verifier of a run does not accept: found, remembered, left out.

A key is judged in the form that the run asks for, and the worked solution of its row with its end
in that form. A row that fails one of them cannot be answered: it is named and left out, together
with the rows that cannot be read, up to `MOST_LEFT_OUT` of all rows; above that the data set is
refused under this verifier.
"""

from __future__ import annotations

import functools
import importlib.metadata
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from math import floor
from pathlib import Path
from typing import Any, Self

from ablatekit.backend import Progress
from ablatekit.canonical import content_hash, file_hash
from ablatekit.errors import Problem, UsageError
from ablatekit_rft.planning.conversations import refuse_conversations, unshown
from ablatekit_rft.planning.memory import Memory, user_memory
from ablatekit_rft.planning.prompts import reads_answers_alone, shown_answers, tagged
from ablatekit_rft.settings import RftSettings
from ablatekit_rft.sources.references import is_reference
from ablatekit_rft.tasks import SplitName, Task, registry
from ablatekit_rft.tasks.base import EndlessSplitError
from ablatekit_rft.tasks.forms import OF_ANSWERS, AskedForm, Form, asked_form, in_form
from ablatekit_rft.tasks.judged import JudgedTask, open_task, own_task
from ablatekit_rft.tasks.query import Judgement, LeftOut, Query, Verdict
from ablatekit_rft.tasks.questions import MOST_LEFT_OUT, SHOWN, QuestionTask
from ablatekit_rft.tasks.verifiers.pool import FAILED
from ablatekit_rft.tasks.verifiers.registry import BY_RULE, MATH, BatchJudge, verifier_content

CHUNK = 128
"""Rows that are judged between two words about progress."""
JUDGED_AGAIN = 100
"""Judgements without a verdict that are tried again alone: a busy machine is no wrong key."""

_PACKAGE = Path(__file__).parents[1]
_MATH_PACKAGES = ("math-verify", "latex2sympy2-extended", "sympy")


@dataclass(frozen=True, slots=True)
class Answerable:
    """What was found about a data set under a verifier.

    rows: how many there are. count: how many cannot be answered or read. left_out: these rows, the
    first of them where the data set is refused. items: the ids of those that were read. remedy:
    which verifiers accept them.
    """

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

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """What `asdict` made, after JSON."""
        rows = tuple(LeftOut(**row) for row in value["left_out"])
        return cls(**{**value, "left_out": rows, "items": tuple(value["items"])})


NOTHING_LEFT_OUT = Answerable(rows=0)


@dataclass(frozen=True, slots=True)
class _Question:
    """Which rows of a data set a run's verifier accepts; equal questions have one answer."""

    key: str
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
    question = _Question(_key(settings, named), settings, content, memory, progress)
    if not content and registry.is_on_hub(settings.dataset):
        known = memory.recall(question.key)
        return None if known is None else Answerable.from_json(known)
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
    return f"{found.count:,} of {found.rows:,} rows of {settings.dataset}: {shown}{more}"


@functools.lru_cache(maxsize=32)
def _answered(question: _Question) -> Answerable:
    # In the process, too: every run of a plan asks, whether the memory can be written or not.
    known = question.memory.recall(question.key)
    if known is not None:
        return Answerable.from_json(known)
    found = _judged(question)
    question.memory.keep(question.key, asdict(found))
    return found


def _key(settings: RftSettings, dataset: str) -> str:
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


@dataclass(slots=True)
class _Told:
    """Progress over several passes."""

    progress: Progress
    what: str
    total: int
    done: int = 0

    def more(self, count: int) -> None:
        self.done = min(self.total, self.done + count)
        self.progress(self.what, self.done, self.total)


def _judged(question: _Question) -> Answerable:
    settings = question.settings
    task = own_task(settings, question.content)
    unread = task.left_out if isinstance(task, QuestionTask) else ()
    queries = _rows(task, settings)
    total = max(task.rows if isinstance(task, QuestionTask) else 0, len(queries) + len(unread))
    refuse_conversations(settings, queries, total)
    other_turns = unshown(settings, queries)
    shown = [query for query in queries if query.item not in other_turns]
    rejected = other_turns | _rejected(question, shown)
    found = Answerable(
        rows=total,
        count=len(unread) + len(rejected),
        left_out=(*unread, *rejected.values()),
        items=tuple(rejected),
    )
    if not found.is_refused:
        return found
    remedy = _remedy(question, task, shown) if rejected else "Mend or remove these rows"
    return replace(found, left_out=found.left_out[:SHOWN], items=(), remedy=remedy)


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


def _rejected(question: _Question, queries: Sequence[Query]) -> dict[str, LeftOut]:
    """The rows whose key or worked solution is not judged correct, by item."""
    settings = question.settings
    task = open_task(settings, question.content)
    asked = asked_form(settings, task.answers)
    # Where a user's function expects the answer is not known: the key alone is judged.
    unknown = is_reference(settings.verifier)
    worked = [] if unknown else [query for query in queries if query.solution]
    what = f"answers of {settings.dataset} under {settings.verifier}"
    told = _Told(question.progress, what, len(queries) + len(worked))
    rejected = _rejected_keys(settings, task, asked, queries, told)
    for query, judgement in _judged_solutions(question, asked, worked, told):
        if judgement.verdict is not Verdict.CORRECT and query.item not in rejected:
            rejected[query.item] = _left_out(query, "its worked solution", judgement)
    return rejected


def _rejected_keys(
    settings: RftSettings, task: Task, asked: AskedForm, queries: Sequence[Query], told: _Told
) -> dict[str, LeftOut]:
    """The rows whose key is not accepted in any of the forms that may be judged."""
    rejected: dict[str, LeftOut] = {}
    failing = queries
    for form in _forms(settings, task, asked):
        texts = [key_completion(settings, form, query.gold) for query in failing]
        judged = _in_chunks(task.judge, failing, texts, told)
        wrong = {
            query.item: _left_out(query, repr(in_form(form, query.gold)), judgement)
            for query, judgement in zip(failing, judged, strict=True)
            if judgement.verdict is not Verdict.CORRECT
        }
        # Of several forms the first is the likeliest: what is said of it is what people read.
        rejected = {item: rejected.get(item, why) for item, why in wrong.items()}
        failing = [query for query in failing if query.item in rejected]
    return rejected


def _forms(settings: RftSettings, task: Task, asked: AskedForm) -> list[Form]:
    """The form to judge; any will do for a user's verifier where nothing is asked for."""
    if asked.setting.startswith("verifier") and is_reference(settings.verifier):
        every: tuple[Form, ...] = (OF_ANSWERS[task.answers], "bare", "hash", "boxed")
        return list(dict.fromkeys(every))
    return [asked.form]


def key_completion(settings: RftSettings, form: Form, gold: str) -> str:
    """The shortest completion that answers as it was asked to."""
    answer = in_form(form, gold)
    return tagged("", answer) if settings.template == "r1" else answer


def _judged_solutions(
    question: _Question, asked: AskedForm, queries: Sequence[Query], told: _Told
) -> Iterator[tuple[Query, Judgement]]:
    """What the verifier says of worked solutions, outside of any tags."""
    settings = question.settings.model_copy(update={"template": "none"})
    task = open_task(settings, question.content)
    if not queries or reads_answers_alone(settings, task):
        return
    texts = shown_answers(settings, task, asked, queries)
    yield from zip(queries, _in_chunks(task.judge, queries, texts, told), strict=True)


def _in_chunks(
    judge: BatchJudge, queries: Sequence[Query], texts: Sequence[str], told: _Told
) -> list[Judgement]:
    """All judgements; those that failed for want of time are made again, each alone."""
    judged: list[Judgement] = []
    for start in range(0, len(queries), CHUNK):
        chunk = slice(start, start + CHUNK)
        judged += judge(queries[chunk], texts[chunk])
        told.more(len(queries[chunk]))
    late = [place for place, judgement in enumerate(judged) if judgement.why == FAILED.why]
    for place in late[:JUDGED_AGAIN]:
        (judged[place],) = judge([queries[place]], [texts[place]])
    return judged


def _left_out(query: Query, text: str, judgement: Judgement) -> LeftOut:
    why = f" ({judgement.why})" if judgement.why else ""
    said = f"key {query.gold!r}: {text} is {judgement.verdict.value}{why}"
    return LeftOut(query.where or f"item {query.item!r}", said)


def _remedy(question: _Question, task: Task, queries: Sequence[Query]) -> str:
    """Which verifiers accept these rows: tried, with the form that they read."""
    accepted: dict[str, float] = {}
    for name in BY_RULE:
        chosen = question.settings.model_copy(update={"verifier": name, "instruction": "auto"})
        form = asked_form(chosen, task.answers).form
        judge = open_task(chosen, question.content).judge
        judged = judge(queries, [key_completion(chosen, form, query.gold) for query in queries])
        right = sum(judgement.verdict is Verdict.CORRECT for judgement in judged)
        accepted[name] = right / len(queries)
    enough = {name: share for name, share in accepted.items() if share >= 1 - MOST_LEFT_OUT}
    if not enough:
        return "Mend these rows, or name a function that accepts them: verifier: file.py:function"
    named = ", ".join(f"{name} {floor(1000 * share) / 10:g} %" for name, share in enough.items())
    return f"Set verifier and leave instruction at auto; of the keys accept: {named}"
