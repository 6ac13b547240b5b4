"""Which design choices of a training recipe matter, by how much, and would it hold elsewhere?"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ablatekit.version import __version__

if TYPE_CHECKING:
    from ablatekit.api.actions import analyze, compare, plan, run, status, write_report
    from ablatekit.api.function_source import function_backend
    from ablatekit.api.results import (
        ComparedStudies,
        StudyAnalysis,
        StudyPlan,
        StudyRuns,
        StudyStatus,
    )
    from ablatekit.api.study import Study, load_study

__all__ = [
    "ComparedStudies",
    "Study",
    "StudyAnalysis",
    "StudyPlan",
    "StudyRuns",
    "StudyStatus",
    "__version__",
    "analyze",
    "compare",
    "function_backend",
    "load_study",
    "plan",
    "run",
    "status",
    "write_report",
]

_HOMES = {
    "actions": ("analyze", "compare", "plan", "run", "status", "write_report"),
    "function_source": ("function_backend",),
    "results": ("ComparedStudies", "StudyAnalysis", "StudyPlan", "StudyRuns", "StudyStatus"),
    "study": ("Study", "load_study"),
}


def __getattr__(name: str) -> Any:
    """A public name, imported when it is asked for first: the worker and --help need none."""
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"ablatekit.api.{module}"), name)
    raise AttributeError(f"module 'ablatekit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
