"""The answers of a data set before the verifier of a run: keys in form, and worked solutions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ablatekit.backend import Progress
from ablatekit.references import is_reference
from ablatekit_rft.planning.prompts import reads_answers_alone, shown_answers, tagged
from ablatekit_rft.settings import RftSettings
from ablatekit_rft.tasks import Task
from ablatekit_rft.tasks.forms import OF_ANSWERS, AskedForm, Form, asked_form, in_form
from ablatekit_rft.tasks.judged import open_task
from ablatekit_rft.tasks.query import Judgement, LeftOut, Query, Verdict
from ablatekit_rft.tasks.reasoning import PREFIX
from ablatekit_rft.tasks.verifiers.pool import FAILED
from ablatekit_rft.tasks.verifiers.registry import BY_RULE, BatchJudge

CHUNK = 32
"""Rows that are judged between two words about progress."""
TRIED = 4
"""Rows in which the form is found that a user's function reads, and those judged first: a verifier
that hangs takes its time limit for each."""


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


@dataclass(frozen=True, slots=True)
class Rejected:
    """Rows that cannot be answered, by item, among the first `judged` rows."""

    rows: dict[str, LeftOut]
    judged: int


def compares_text(settings: RftSettings) -> bool:
    """Whether the verifier only looks at text: it is fast and cannot hang."""
    if settings.verifier == "auto":
        return not settings.dataset.startswith(PREFIX)
    return settings.verifier in BY_RULE


def judge_rows(
    settings: RftSettings, content: str, queries: Sequence[Query], most: int, progress: Progress
) -> Rejected:
    """The rows whose key or worked solution is not judged correct.

    A verifier that may be slow is asked no more once `most` rows have failed. `content` identifies
    a data set on the hub.
    """
    bound = None if compares_text(settings) else most
    task = open_task(settings, content)
    asked = asked_form(settings, task.answers)
    plain = settings.model_copy(update={"template": "none"})
    untagged = task if settings.template != "r1" else open_task(plain, content)
    # Where a user's function expects the answer is not known: the key alone is judged.
    alone = is_reference(settings.verifier) or reads_answers_alone(settings, task)
    worked = [] if alone else [query for query in queries if query.solution]
    what = f"answers of {Path(settings.dataset).name} under {settings.verifier}"
    told = _Told(progress, what, len(queries) + len(worked))
    form = _read_form(settings, task, asked, queries[:TRIED])
    keys = [key_completion(settings, form, query.gold) for query in queries]
    judged = _in_chunks(task.judge, queries, keys, told, bound)
    rejected = {
        query.item: _left_out(query, repr(in_form(form, query.gold)), judgement)
        for query, judgement in zip(queries, judged, strict=False)
        if judgement.verdict is not Verdict.CORRECT
    }
    if len(judged) < len(queries) or not worked:
        return Rejected(rejected, len(judged))
    shown = shown_answers(plain, untagged, asked, worked)
    verdicts = _in_chunks(untagged.judge, worked, shown, told, bound)
    for query, judgement in zip(worked, verdicts, strict=False):
        if judgement.verdict is not Verdict.CORRECT:
            why = _left_out(query, "its worked solution", judgement)
            rejected.setdefault(query.item, why)
    return Rejected(rejected, len(queries))


def _read_form(
    settings: RftSettings, task: Task, asked: AskedForm, queries: Sequence[Query]
) -> Form:
    """The form that is asked for; where nothing is, the one that a user's function reads.

    Tried on some rows, that of the data set first.
    """
    if not (asked.setting.startswith("verifier") and is_reference(settings.verifier)):
        return asked.form
    every: tuple[Form, ...] = (OF_ANSWERS[task.answers], "bare", "hash", "boxed")
    accepted: dict[Form, int] = {}
    for form in dict.fromkeys(every):
        texts = [key_completion(settings, form, query.gold) for query in queries]
        judged = task.judge(queries, texts)
        accepted[form] = sum(judgement.verdict is Verdict.CORRECT for judgement in judged)
        hangs = all(judgement.why == FAILED.why for judgement in judged)
        if accepted[form] == len(queries) or hangs:
            return form
    return max(accepted, key=lambda form: accepted[form])


def key_completion(settings: RftSettings, form: Form, gold: str) -> str:
    """The shortest completion that answers as it was asked to."""
    answer = in_form(form, gold)
    return tagged("", answer) if settings.template == "r1" else answer


def _in_chunks(
    judge: BatchJudge,
    queries: Sequence[Query],
    texts: Sequence[str],
    told: _Told,
    most: int | None,
) -> list[Judgement]:
    """The judgements, in order; not all of them where more than `most` rows have failed.

    One that failed for want of time is made again alone: a busy machine is no wrong key.
    """
    judged: list[Judgement] = []
    failed = 0
    for start in (0, *range(TRIED, len(queries), CHUNK)):
        chunk = slice(start, start + CHUNK if start else TRIED)
        for query, text, judgement in zip(
            queries[chunk], texts[chunk], judge(queries[chunk], texts[chunk]), strict=True
        ):
            late = judgement.why == FAILED.why and (most is None or failed <= most)
            judged.append(judge([query], [text])[0] if late else judgement)
            failed += judged[-1].verdict is not Verdict.CORRECT
        told.more(len(queries[chunk]))
        if most is not None and failed > most:
            break
    return judged


def _left_out(query: Query, text: str, judgement: Judgement) -> LeftOut:
    why = f" ({judgement.why})" if judgement.why else ""
    said = f"key {query.gold!r}: {text} is {judgement.verdict.value}{why}"
    return LeftOut(query.where or f"item {query.item!r}", said)
