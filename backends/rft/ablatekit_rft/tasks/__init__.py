"""Verifiable tasks by name. Importing this package imports no torch."""

from ablatekit_rft.tasks.base import SplitName, Task, UnknownTaskError
from ablatekit_rft.tasks.query import Judgement, Query, Verdict
from ablatekit_rft.tasks.registry import find_task, get_task, task_names

__all__ = [
    "Judgement",
    "Query",
    "SplitName",
    "Task",
    "UnknownTaskError",
    "Verdict",
    "find_task",
    "get_task",
    "task_names",
]
