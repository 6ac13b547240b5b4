"""The tasks that studies can name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from ablatekit_rft.tasks.base import Task, UnknownTaskError
from ablatekit_rft.tasks.rewriting import letter_count, letter_sort

TASKS: Mapping[str, Callable[[], Task]] = MappingProxyType(
    {"letter-sort": letter_sort, "letter-count": letter_count}
)


def task_names() -> tuple[str, ...]:
    """Every known name, in the order in which documentation lists them."""
    return tuple(TASKS)


def get_task(name: str) -> Task:
    """The task of that name; `UnknownTaskError` lists the known names and the nearest one."""
    if name not in TASKS:
        raise UnknownTaskError(name, task_names())
    return TASKS[name]()
