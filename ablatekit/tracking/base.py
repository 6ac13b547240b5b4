"""What an experiment tracker is to us: a place that holds a copy of every run.

The run directories are the truth; `mirror` decides what a tracker lacks, and a tracker does what
it is told: it makes, fills, ends and deletes records, one for each run. With every record it keeps
a cursor, a text that it does not read, so that a mirror that was killed goes on where it stood.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, TypeAlias, runtime_checkable

from pydantic import BaseModel

from ablatekit.design.plan import Plan
from ablatekit.errors import AblatekitError
from ablatekit.plugins import load_plugin, made
from ablatekit.runs.workspace import Workspace

Status: TypeAlias = Literal["running", "finished", "failed", "interrupted"]
"""How a tracker shows a run. A diverged run is finished, because it is a result, and has a tag."""


class TrackerError(AblatekitError):
    """A tracker cannot be reached or refuses a call; what it lacks then is sent later."""


@dataclass(frozen=True, slots=True)
class Point:
    """One value of one metric; `time` in milliseconds since the epoch."""

    metric: str
    value: float
    time: int
    step: int


@dataclass(frozen=True, slots=True)
class Dataset:
    """A data set that a run uses, by name and content."""

    name: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A record as it is made: `user` executes the run since `started` (epoch milliseconds)."""

    run_id: str
    name: str
    user: str
    started: int
    tags: Mapping[str, str]
    cursor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What is added to a record in one call; the first one carries parameters and data set."""

    points: Sequence[Point]
    cursor: str
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    dataset: Dataset | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRecord:
    """A record that a tracker holds, under a key of its own."""

    key: str
    run_id: str
    cursor: str
    status: Status


@runtime_checkable
class Tracker(Protocol):
    """One study's records in one place; registered under `ablatekit.trackers`, for one thread.

    `settings` is its own part of the study file, beside `tracker: <name>`. Every method except
    `close` raises TrackerError when the tracker fails; names and texts that it cannot hold it
    replaces or cuts. Making a tracker connects to nothing and imports nothing heavy.
    """

    name: ClassVar[str]
    settings: ClassVar[type[BaseModel]]
    points_at_once: ClassVar[int]
    """Number of points that one `add` takes at most."""
    place: str
    """Where the records are, as messages say it."""

    def __init__(self, plan: Plan, workspace: Workspace, settings: BaseModel) -> None: ...

    def open(self) -> Sequence[KeptRecord]:
        """Connect, and say what there is of this study; may be called again after `close`.

        A run has two records where an earlier mirror died at the wrong moment; both are named.
        """

    def create(self, record: Record) -> str:
        """Make a running record with its tags and cursor in one step; returns its key."""

    def add(self, key: str, content: Content) -> None:
        """Keep parameters, points and tags, and the cursor last: it never runs ahead of them.

        Adding again what is there changes nothing: a point is its metric, step, time and value.
        """

    def attach(self, key: str, folder: Path) -> None:
        """Keep a copy of every file of a folder; a file of the same name is replaced."""

    def set_status(self, key: str, status: Status, ended: int | None) -> None:
        """Show the run as it stands; `ended` in epoch milliseconds, None while it runs."""

    def delete(self, key: str) -> None:
        """Take a record away: `open` does not name it again."""

    def close(self) -> None:
        """Let go of connections and files."""


def make_tracker(
    name: str, plan: Plan, workspace: Workspace, settings: Mapping[str, Any]
) -> Tracker:
    """The tracker called `name` for one study, with its own part of the study file.

    Raises PluginError when there is none, or when it lacks what the protocol demands.
    """
    stated = load_plugin("tracker", name).settings.model_validate(dict(settings))
    tracker: Tracker = made("tracker", name, Tracker, plan, workspace, stated)
    return tracker
