"""What a log of another tool holds: runs with their configuration and the history of metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, TypeAlias

from ablatekit.runs.records import MetricEvent

RunEnd: TypeAlias = Literal["finished", "crashed", "running", "unknown"]
"""How a run ended as far as its log tells; unknown where the format does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedRun:
    """One run as its tool has logged it.

    `name` is unique in its source. `config` holds single values by dotted name; `history` metrics
    by step, in the order of steps (NaN and infinities as they were logged); `summary` the metrics
    that the tool itself keeps as final. `started` is in seconds since the epoch. `cut`: the end of
    its log is missing or damaged, so that later steps may be lost.
    """

    name: str
    config: Mapping[str, Any] = field(default_factory=dict)
    history: Sequence[MetricEvent] = ()
    summary: Mapping[str, float] = field(default_factory=dict)
    end: RunEnd = "unknown"
    started: float | None = None
    cut: bool = False

    @property
    def final(self) -> dict[str, float]:
        """The last value of every metric; what the tool keeps as final has the last word."""
        last: dict[str, float] = {}
        for event in self.history:
            last |= event.metrics
        return last | dict(self.summary)


class RunLog(Protocol):
    """Reads one format; its own packages are imported where it reads.

    Both methods raise TableError, with the file as its place, for content that is not of the
    format; a file whose end is missing gives the runs and steps before it.
    """

    name: ClassVar[str]

    def claims(self, path: Path) -> bool:
        """Whether an existing file or folder is such a log, by its name and first bytes."""

    def runs(self, path: Path) -> Iterator[LoggedRun]:
        """The runs in a file or folder, in the order of their names."""
