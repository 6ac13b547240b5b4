"""The exception tree: what can go wrong, and the exit code that each kind of failure means.

AblatekitError
├── UsageError                  exit 2: a user's mistake; one message, no traceback
│   ├── StudyError              the study file (with file:line:column)
│   ├── PluginError             a plugin that cannot be found or loaded
│   ├── TableError              a table that cannot be analysed
│   └── WorkspaceError          files on disk that contradict the request
│       └── DamagedFileError    a file that is not what ablatekit wrote
├── RunsFailedError             exit 1: some runs failed after their retries
├── RunFailedError              one run that ended without a result, as its backend explains
├── NotEstimableError           exit 3: no requested effect can be estimated
└── InterruptedStudyError       exit 4: stopped on request, resumable
    └── RunInterruptedError     one run that stopped at a checkpoint because it was asked to
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from types import MappingProxyType

from ablatekit.legible import legible

NO_NAMES: Mapping[str, str] = MappingProxyType({})
LISTED = 24
"""So many known names are listed where none is near."""


@dataclass(frozen=True, slots=True)
class Location:
    """A position in a text file; line and column count from 1."""

    file: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        parts = (self.file, self.line, self.column)
        return ":".join(str(part) for part in parts if part is not None)


@dataclass(frozen=True, slots=True)
class Problem:
    """One violated rule, the value that violates it, and what to do about it."""

    rule: str
    received: str = ""
    remedy: str = ""
    where: Location | None = None

    def at(self, where: Location) -> Problem:
        """The same problem at a place, unless it has one."""
        return self if self.where is not None else replace(self, where=where)

    def to_json(self) -> dict[str, str | int | None]:
        """What programs read: the place and the parts of the message."""
        where = self.where
        return {
            "file": where.file if where else None,
            "line": where.line if where else None,
            "column": where.column if where else None,
            "rule": self.rule,
            "received": self.received,
            "remedy": self.remedy,
        }

    def __str__(self) -> str:
        text = f"{self.where}: {self.rule}" if self.where else self.rule
        if self.received:
            text += f"; received {self.received}"
        if self.remedy:
            text += f". {self.remedy}"
        return legible(text)


class AblatekitError(Exception):
    """Root of every error that ablatekit raises on purpose."""

    exit_code: int = 2

    def _render_traceback_(self) -> list[str]:
        """What IPython shows: the message, with no traceback of a user's mistake."""
        return [f"{type(self).__name__}: {self}"]


class UsageError(AblatekitError):
    """A mistake in what the user asked for: every problem found, none with a traceback."""

    def __init__(self, *problems: Problem | str) -> None:
        self.problems: tuple[Problem, ...] = tuple(
            Problem(problem) if isinstance(problem, str) else problem for problem in problems
        )
        super().__init__("\n".join(str(problem) for problem in self.problems))


class StudyError(UsageError):
    """The study file breaks a rule."""


class PluginError(UsageError):
    """A plugin is unknown, ambiguous, or cannot be loaded."""


class TableError(UsageError):
    """A table lacks what its analysis needs."""


class WorkspaceError(UsageError):
    """What lies in the workspace contradicts what was asked for."""


class DamagedFileError(WorkspaceError):
    """A file of the workspace that is not what ablatekit wrote; `path` names it."""

    def __init__(self, path: object, found: str) -> None:
        remedy = "Move it away and repeat the command"
        super().__init__(Problem(f"{path} is damaged", found, remedy))


class RunsFailedError(AblatekitError):
    """Some runs failed after all their attempts; the report is still written."""

    exit_code = 1


class RunFailedError(AblatekitError):
    """One attempt at a run ended without a result, and its message says all there is to say.

    It is retried like any other failure; nothing of the backend's own code is shown for it.
    """

    exit_code = 1


class NotEstimableError(AblatekitError):
    """No requested effect can be estimated from the runs."""

    exit_code = 3


class InterruptedStudyError(AblatekitError):
    """Stopped on request; the same command resumes."""

    exit_code = 4


class RunInterruptedError(InterruptedStudyError):
    """Raised by a backend that has checkpointed and stops because `should_stop()` was true."""


def nearest(name: str, known: Iterable[str], other_names: Mapping[str, str] = NO_NAMES) -> str:
    """A remedy for an unknown name: what it is called here, else the nearest known names.

    `other_names` maps what others call a thing to its known name. Where nothing is near, the first
    names are listed.
    """
    names: Sequence[str] = sorted(known)
    called = {_plain(other): here for other, here in other_names.items() if here in names}
    if _plain(name) in called:
        return f"Did you mean {called[_plain(name)]!r}?"
    containing = (other for other in names if name and name in other)
    matches = difflib.get_close_matches(name, names, n=1) or list(islice(containing, 1))
    if matches:
        return f"Did you mean {matches[0]!r}?"
    others = difflib.get_close_matches(_plain(name), called, n=1)
    if others:
        return f"Did you mean {called[others[0]]!r}?"
    return _listed(names)


def _plain(name: str) -> str:
    """A name as it sounds: batch-size, Batch_Size and actor.batch_size are batch_size."""
    return re.sub(r"\W+", "_", name.rpartition(".")[2].lower().lstrip("-"))


def _listed(names: Sequence[str]) -> str:
    if not names:
        return "None is known"
    more = len(names) - LISTED
    shown = ", ".join(names[:LISTED])
    return f"Known: {shown} and {more} more" if more > 0 else f"Known: {shown}"
