"""Verifiable tasks by name. Importing this package imports no torch."""

from ablatekit_rft.tasks.base import Split, SplitName, Task, UnknownTaskError, rft_split
from ablatekit_rft.tasks.query import Judgement, Query, Verdict
from ablatekit_rft.tasks.registry import find_task, get_task, task_names

__all__ = [
    "Judgement",
    "Query",
    "Split",
    "SplitName",
    "Task",
    "UnknownTaskError",
    "Verdict",
    "find_task",
    "get_task",
    "rft_split",
    "task_names",
]
