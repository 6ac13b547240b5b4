"""Everything that is looked at before the first run of a study, and what a run looks at again."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

from ablatekit.backend import Progress
from ablatekit.canonical import content_hash
from ablatekit.errors import Problem, UsageError
from ablatekit_rft.planning.answerable import (
    Answerable,
    answerable_task,
    counted,
    find_answerable,
    is_constant,
    refuse_unanswerable,
    verdict_key,
)
from ablatekit_rft.planning.chat_template import refuse_chat
from ablatekit_rft.planning.judging import compares_text, key_completion
from ablatekit_rft.planning.memory import user_memory
from ablatekit_rft.planning.prompts import Prompts, build_prompts
from ablatekit_rft.settings import RftSettings
from ablatekit_rft.tasks import SplitName, Task, registry
from ablatekit_rft.tasks.base import about
from ablatekit_rft.tasks.forms import asked_form
from ablatekit_rft.tasks.judged import JudgedTask, closing_stop, in_tags, open_task, own_task
from ablatekit_rft.tasks.query import Query, Verdict
from ablatekit_rft.tasks.registry import is_on_hub
from ablatekit_rft.tasks.verifiers.registry import BY_RULE, build_verifier

CacheLock: TypeAlias = Callable[[str], AbstractContextManager[Path]]
"""Holds the lock of a folder that runs share, by its name."""

_STAND_IN = Query("key", "key", "12")
"""A question whose key every verifier reads: its form alone decides."""
_SHOWN = 60
_CHANGES: Mapping[str, Sequence[str]] = MappingProxyType(
    {"instruction": ("auto", "hash", "boxed", "none"), "verifier": ("auto", *BY_RULE)}
)
"""What may be changed so that the form which is asked for is read."""


def untold(_what: str, _done: int, _total: int) -> None:
    """Progress that nobody watches."""


def examine(settings: RftSettings, progress: Progress) -> tuple[str, ...]:
    """What to know of a run before it starts: warnings.

    Raises UsageError where the form that is asked for is not read, where the verifier does not
    accept the data set's own answers, or a solved example, and where the chat template of a model
    that is at hand cannot show the first question.
    """
    if is_on_hub(settings.dataset):
        known = find_answerable(settings, progress)
        if settings.template == "chat":
            refuse_chat(Prompts(settings, asked_form(settings, "text"), ()), _STAND_IN)
        return () if known is None else _left_out(settings, known)
    refuse_misfit(settings)
    found = find_answerable(settings, progress)
    assert found is not None
    warnings = (*_left_out(settings, found), *_two_forms(settings))
    if settings.few_shot:
        _examples_are_right(_Examples(_examples_key(settings), settings, found))
    if settings.template == "chat":
        task, prompts = _prompts(settings, found)
        refuse_chat(prompts, task.items("train", 1)[0])
    return warnings


@dataclass(frozen=True, slots=True)
class _Examples:
    """The solved examples of runs with these settings; equal keys have one answer."""

    key: str
    settings: RftSettings = field(compare=False)
    found: Answerable = field(compare=False)


def _examples_key(settings: RftSettings) -> str:
    sizes = [settings.few_shot, settings.train_items]
    stops = {name: list(texts) for name, texts in _stops(settings).items()}
    rows = verdict_key(settings, registry.dataset_content(settings.dataset))
    return content_hash({"rows": rows, "sizes": sizes, "stops": stops}, 32)


@functools.lru_cache(maxsize=64)
def _examples_are_right(examples: _Examples) -> None:
    """Raise UsageError where one is not; those that are right are remembered."""
    memory = user_memory()
    if memory.recall(examples.key) is None:
        task, prompts = _prompts(examples.settings, examples.found)
        refuse_wrong_examples(prompts, task)
        memory.keep(examples.key, "right")


def _prompts(settings: RftSettings, found: Answerable) -> tuple[Task, Prompts]:
    task = answerable_task(settings, "", found)
    return task, build_prompts(settings, task, task.items("train", settings.train_items))


def asked_sizes(settings: RftSettings) -> dict[str, tuple[SplitName, int | None]]:
    """Which settings ask for how many items of a split; None: all there are.

    A probe of a train set with a size lies inside it, by a rule.
    """
    sizes: dict[str, tuple[SplitName, int | None]] = {
        "train_items": ("train", settings.train_items),
        "evaluation.test_items": ("test", settings.evaluation.test_items),
    }
    if settings.train_items is None:
        sizes["evaluation.probe_items"] = ("train", settings.evaluation.probe_items)
    return sizes


def _refuse_small(task: Task, settings: RftSettings) -> None:
    """Raise UsageError where a task has fewer items than a setting asks for."""
    for setting, (split, size) in asked_sizes(settings).items():
        with about(setting, size):
            task.items(split, size)


def planned_rows(settings: RftSettings) -> str:
    """What identifies the rows that planning leaves out; empty for none and for those of the hub.

    A data set on the hub is judged when a run loads it: its commit and the version of the verifier
    decide the same everywhere. Raises UsageError where the data set is refused, or has fewer rows
    left than the settings ask for.
    """
    found = None if is_on_hub(settings.dataset) else find_answerable(settings, untold)
    if found is None:
        return ""
    refuse_unanswerable(settings, found)
    if found.items:
        _refuse_small(answerable_task(settings, "", found), settings)
    return found.content


def ready_task(settings: RftSettings, planned: Mapping[str, str], lock: CacheLock) -> Task:
    """The task of a run, with the rows that its plan has.

    `planned` is the content of the run; `lock` guards a folder that runs share, so that one of them
    judges for all. Raises UsageError where the data set is refused, or other rows are left out than
    when the run was planned.
    """
    if is_constant(settings):
        return open_task(settings)
    on_hub = is_on_hub(settings.dataset)
    content = planned.get("dataset", "") if on_hub else ""
    with lock("answerable") as folder:
        found = find_answerable(settings, untold, user_memory(folder), content)
    if found is None:
        rule = "a run names the commit of its data set on the hub"
        raise UsageError(Problem(rule, settings.dataset, "Plan the study again"))
    if on_hub:
        refuse_misfit(settings, content)
    refuse_unanswerable(settings, found)
    if planned and not on_hub and found.content != planned.get("left_out", ""):
        rule = "the verifier accepts other rows than when the study was planned"
        remedy = "Run the study again with --new, with the packages that this environment has"
        raise UsageError(Problem(rule, counted(settings, found), remedy))
    task = answerable_task(settings, content, found)
    if on_hub:
        _refuse_small(task, settings)
    return task


def _left_out(settings: RftSettings, found: Answerable) -> tuple[str, ...]:
    """The warning of rows that are left out. Raises UsageError where they are too many."""
    refuse_unanswerable(settings, found)
    return (f"left out: {counted(settings, found)}",) if found.count else ()


def _two_forms(settings: RftSettings) -> tuple[str, ...]:
    """The warning of a template that asks for another form than the instruction."""
    if settings.template != "qwen_math" or settings.system_prompt:
        return ()
    asked = asked_form(settings, own_task(settings).answers)
    if asked.form == "boxed":
        return ()
    warning = (
        "two forms are asked for: the system message of template: qwen_math asks for \\boxed{},"
        f" {asked.setting} for another; a system_prompt replaces that message"
    )
    return (warning,)


def refuse_misfit(settings: RftSettings, content: str = "") -> None:
    """Raise UsageError where no answer in the form that is asked for can be right.

    Only verifiers that compare text: what others read is seen in the rows alone.
    """
    if not compares_text(settings):
        return
    if not _fits(settings, content, ()):
        rule = "no completion can be right: the run asks for a form that its verifier does not read"
        asked = asked_form(settings, own_task(settings, content).answers)
        text = key_completion(settings, asked.form, "ANSWER")
        received = f"{asked.setting}, verifier: {settings.verifier}: {text!r} is wrong"
        raise UsageError(Problem(rule, received, _fitting(settings, content)))
    for name, texts in _stops(settings).items():
        stops = tuple(text for text in texts if text not in _STAND_IN.gold)
        if stops and not _fits(settings, content, stops):
            rule = "no completion can be right: a stop text ends it before its answer"
            raise UsageError(Problem(rule, f"{name}: {list(stops)}", f"Leave it out of {name}"))


def _fits(
    settings: RftSettings, content: str, stops: Sequence[str], query: Query = _STAND_IN
) -> bool:
    task = open_task(settings, content)
    text = key_completion(settings, asked_form(settings, task.answers).form, query.gold)
    read = before(text, stops, closing_stop(settings.template, stops))
    return task.judge([query], [read])[0].verdict is Verdict.CORRECT


def _fitting(settings: RftSettings, content: str) -> str:
    """Which single change of the settings asks for a form in which the first row's key is read."""
    (first,) = own_task(settings, content).items("train", 1)
    options = []
    for name, values in _CHANGES.items():
        changed = (settings.model_copy(update={name: value}) for value in values)
        fits = [getattr(one, name) for one in changed if _fits(one, content, (), first)]
        options += [f"{name}: {' or '.join(fits)}"] if fits else []
    if settings.template == "qwen_math" and not settings.system_prompt:
        options.append("a system_prompt of your own")
    if options:
        return f"Set {', or '.join(options)}"
    both = settings.model_copy(update={"instruction": "auto", "verifier": "auto"})
    if _fits(both, content, (), first):
        return "Set instruction: auto and verifier: auto"
    return "Use another template"


def _stops(settings: RftSettings) -> dict[str, tuple[str, ...]]:
    return {"stop": settings.stop, "evaluation.stop": settings.evaluation.stop}


def before(text: str, stops: Sequence[str], closing: str) -> str:
    """What stands before the first of the stop texts that occurs, and `closing`, if that is it."""
    places = (text.find(stop) for stop in stops)
    end = min((place for place in places if place >= 0), default=len(text))
    return text[:end] + (closing if text.startswith(closing, end) else "")


def refuse_wrong_examples(prompts: Prompts, task: Task) -> None:
    """Raise UsageError unless each solved example, drawn as it is shown, is judged correct."""
    settings = prompts.settings
    for name, stops in {"": (), **_stops(settings)}.items():
        wrong = _wrong_examples(prompts, task, stops)
        if not wrong:
            continue
        few = f"few_shot: {len(prompts.examples)}"
        verifier = f"verifier: {settings.verifier}, {len(wrong)} of them, first {wrong[0]}"
        if name:
            rule = "a stop text ends a solved example before its answer"
            received = f"{name}: {list(stops)}, {few}, {verifier}"
            raise UsageError(Problem(rule, received, f"Leave it out of {name}, or few_shot: 0"))
        rule = "a solved example would not be judged correct"
        readers = ", ".join(_readers(prompts, task))
        remedy = (
            f"Set few_shot: 0{f', or verifier to one that reads it: {readers}' * bool(readers)}"
        )
        raise UsageError(Problem(rule, f"{few}, {verifier}", remedy))


def _wrong_examples(prompts: Prompts, task: Task, stops: Sequence[str]) -> list[str]:
    """The examples that are not judged correct, with their place and what is said of them."""
    queries = [example.query for example in prompts.examples]
    closing = closing_stop(prompts.settings.template, stops)
    texts = [before(example.completion, stops, closing) for example in prompts.examples]
    judged = task.judge(queries, texts) if queries else []
    return [
        f"{query.where or repr(query.prompt[:_SHOWN])}: {text[-_SHOWN:]!r} is {said.verdict.value}"
        f"{f' ({said.why})' * bool(said.why)}"
        for query, text, said in zip(queries, texts, judged, strict=True)
        if said.verdict is not Verdict.CORRECT
    ]


def _readers(prompts: Prompts, task: Task) -> list[str]:
    """Verifiers that compare text and accept the examples as they would be shown under them."""
    names = []
    for name in BY_RULE:
        chosen = prompts.settings.model_copy(update={"verifier": name})
        judge = build_verifier(name)
        under = JudgedTask(task, in_tags(judge) if chosen.template == "r1" else judge)
        if not _wrong_examples(build_prompts(chosen, under, ()), under, ()):
            names.append(name)
    return names
