"""Data sets by name: shipped tasks, files, the hub, reasoning-gym; and what identifies them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from types import MappingProxyType

from ablatekit.canonical import content_hash
from ablatekit.errors import UsageError
from ablatekit_rft.sources.hub import HubDataset, parse_hub_dataset, pinned_dataset
from ablatekit_rft.tasks import questions, reasoning
from ablatekit_rft.tasks.arithmetic import arithmetic, stories
from ablatekit_rft.tasks.base import SplitName, Task, UnknownTaskError, about
from ablatekit_rft.tasks.query import Query
from ablatekit_rft.tasks.rewriting import letter_count, letter_sort
from ablatekit_rft.tasks.rows import USUAL_FIELDS, Fields

TASKS: Mapping[str, Callable[[], Task]] = MappingProxyType(
    {
        "letter-sort": letter_sort,
        "letter-count": letter_count,
        "arithmetic-1": lambda: arithmetic(1),
        "arithmetic-2": lambda: arithmetic(2),
        "number-stories": stories,
    }
)

PINNED: Mapping[str, HubDataset] = MappingProxyType(
    {
        "gsm8k": HubDataset("openai/gsm8k", "main", "740312add88f781978c0658806c59bc2815b9866"),
        "math": HubDataset(
            "DigitalLearningGmbH/MATH-lighteval", None, "0530c78699ea5e8eb5530600900e1f328b48acad"
        ),
    }
)
"""Benchmarks on the hub that have a short name, at the commit that the name stands for."""

HASHED_ITEMS = 2048
"""Items of each split that identify a generated data set."""

GENERATED: Mapping[str, str] = MappingProxyType(
    {
        "letter-sort": "395da8d25783f72b",
        "letter-count": "a4aa397f2d8fce7c",
        "arithmetic-1": "4c1babd8a2026948",
        "arithmetic-2": "90a79ee5ab58b5fc",
        "number-stories": "2c0d5b10274e659a",
    }
)
"""`generated_content` of every shipped task: a plan need not generate what never changes."""

_READ_AS = " read as "
"""Between the commit of a data set on the hub and the version of the way its rows are read."""

FEWER_ITEMS = ("arithmetic-1",)
"""Shipped tasks with a split of fewer than `HASHED_ITEMS` items."""


def task_names() -> tuple[str, ...]:
    """Every shipped task, in the order in which documentation lists them."""
    return tuple(TASKS)


def get_task(name: str) -> Task:
    """The shipped task of that name; `UnknownTaskError` lists the known names and the nearest."""
    if name not in TASKS:
        raise UnknownTaskError(name, (*task_names(), *PINNED))
    return TASKS[name]()


def find_task(dataset: str, fields: Fields = USUAL_FIELDS, content: str = "") -> Task:
    """The task that a data set's name stands for, with its own verifier.

    `content` identifies the data set in the run: a hub data set is read at its commit. Raises
    UsageError when there is no such data set, or it cannot be read.
    """
    with about("dataset", dataset):
        return _find_task(dataset, fields, content)


def _find_task(dataset: str, fields: Fields, content: str) -> Task:
    if questions.is_local(dataset):
        return questions.local_task(dataset, fields)
    if dataset.startswith(reasoning.PREFIX):
        return reasoning.reasoning_task(dataset)
    known = content.partition(_READ_AS)[0]
    on_hub = parse_hub_dataset(known) if known.startswith("hub-dataset:") else _on_hub(dataset)
    return get_task(dataset) if on_hub is None else questions.hub_task(on_hub, fields)


def dataset_content(dataset: str) -> str:
    """What identifies a data set: bytes of its files, its commit, or its first items.

    Of rows the version of the way they are read, too.

    Asks no network. Raises UsageError when there is no such data set, or no commit is known here.
    """
    with about("dataset", dataset):
        return _dataset_content(dataset)


def _dataset_content(dataset: str) -> str:
    if questions.is_local(dataset):
        return questions.local_content(dataset)
    if dataset.startswith(reasoning.PREFIX):
        version = reasoning.reasoning_task(dataset).version
        package = reasoning.package_version()
        return content_hash({"name": dataset, "package": package, "version": version})
    on_hub = _on_hub(dataset)
    if on_hub is not None:
        return f"{pinned_dataset(on_hub).content}{_READ_AS}{questions.VERSION}"
    return GENERATED[dataset] if dataset in GENERATED else generated_content(dataset)


def generated_content(dataset: str) -> str:
    """A hash of the first items of a shipped task. Raises UnknownTaskError when there is none."""
    task = get_task(dataset)
    items = {
        split: [[query.item, query.prompt, query.gold] for query in _first(task, split)]
        for split in ("train", "test")
    }
    return content_hash({"name": task.name, "version": task.version, "items": items})


def _first(task: Task, split: SplitName) -> tuple[Query, ...]:
    """The first items of a split, all of them where there are fewer."""
    try:
        return task.items(split, HASHED_ITEMS)
    except UsageError:
        return task.items(split, None)


def _on_hub(dataset: str) -> HubDataset | None:
    if dataset in PINNED:
        return PINNED[dataset]
    return None if dataset in TASKS else parse_hub_dataset(dataset)


def is_on_hub(dataset: str) -> bool:
    """Whether a data set lies on the hub: planning cannot look into it."""
    local = questions.is_local(dataset) or dataset.startswith(reasoning.PREFIX)
    return not local and _on_hub(dataset) is not None


def check_sizes(
    dataset: str, fields: Fields, sizes: Mapping[str, tuple[SplitName, int | None]]
) -> None:
    """Raise UsageError where a data set that is at hand has fewer items than a setting asks for.

    `sizes`: by name of setting, a split and how many of its items; None: all. A data set on the
    hub is first looked at when a run loads it.
    """
    if is_on_hub(dataset):
        return
    for setting, (split, size) in sizes.items():
        task = find_task(dataset, fields)
        with about(setting, size):
            if isinstance(task, questions.QuestionTask):
                task.items(split, size)
            else:
                _check_generated(dataset, split, size)


@functools.cache
def _check_generated(dataset: str, split: SplitName, size: int | None) -> None:
    # Every run of a study asks, and only generating the items shows how many there are.
    enough = dataset in GENERATED and dataset not in FEWER_ITEMS
    if size is None or size > HASHED_ITEMS or not enough:
        find_task(dataset).items(split, size)
