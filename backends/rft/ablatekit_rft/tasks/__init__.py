"""Verifiable tasks by name. Importing this package imports no torch."""

from ablatekit_rft.tasks.base import (
    Query,
    Split,
    SplitName,
    Task,
    UnknownTaskError,
    Verdict,
    rft_split,
)
from ablatekit_rft.tasks.registry import get_task, task_names

__all__ = [
    "Query",
    "Split",
    "SplitName",
    "Task",
    "UnknownTaskError",
    "Verdict",
    "get_task",
    "rft_split",
    "task_names",
]
