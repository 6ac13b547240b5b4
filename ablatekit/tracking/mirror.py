"""The mirror: what a tracker lacks, as a pure function of run directories, plan and tracker.

It is off the path of dispatch: a process of its own follows the directories, and when the tracker
is down, slow or wiped, `sync` makes it whole. A cursor kept with every record says what has been
sent, and sending a point twice changes nothing, because points carry the worker's times. When a
later attempt makes points of an earlier one void, or the study gives a run other parameters, the
record is deleted and made again.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self, TypeAlias

from ablatekit.canonical import content_hash
from ablatekit.design.plan import Cell, Plan, PlannedRun, cells_by_unit, run_label
from ablatekit.errors import Problem, WorkspaceError
from ablatekit.legible import masked
from ablatekit.runs.locks import LockHeldError, file_lock
from ablatekit.runs.records import MetricEvent
from ablatekit.runs.runlog import (
    Claim,
    ResultRecord,
    RunState,
    read_claim,
    read_end,
    read_history,
    read_items,
    read_result,
    run_state,
    used_attempts,
)
from ablatekit.runs.workspace import RunDirectory, Workspace
from ablatekit.tracking.base import (
    Content,
    Dataset,
    KeptRecord,
    Point,
    Record,
    Status,
    Tracker,
    TrackerError,
    make_tracker,
)

_LOCK_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class MirrorOutcome:
    """Records made, points sent, why the mirror is incomplete if it is, and where it is."""

    runs: int = 0
    metrics: int = 0
    warning: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """How far the mirror of a run has come, kept with its record; -1 points: not begun.

    `identity` changes with the run's parameters and tags, `attempt` when a later attempt makes
    points of an earlier one void; `ended` is the result's time in milliseconds, once complete.
    """

    identity: str
    attempt: int
    points: int
    ended: int | None = None

    def text(self) -> str:
        """What the tracker keeps."""
        return json.dumps([self.identity, self.attempt, self.points, self.ended])

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `text` wrote."""
        identity, attempt, points, ended = json.loads(text)
        return cls(identity=identity, attempt=attempt, points=points, ended=ended)


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """What never changes about a run: its levels, its context and its replicate as parameters."""

    run_id: str
    name: str
    params: Mapping[str, str]
    tags: Mapping[str, str]
    dataset: Dataset | None

    @property
    def identity(self) -> str:
        """Hash of all of it."""
        return content_hash([self.name, dict(self.params), dict(self.tags)])


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """A run directory at one moment; times in milliseconds, `attempt` the last one that counts."""

    attempt: int
    status: Status
    user: str
    started: int
    ended: int | None
    points: Sequence[Point]
    tags: Mapping[str, str]
    result: ResultRecord | None


@dataclass(frozen=True, slots=True)
class Kept:
    """What the tracker holds of a run."""

    key: str
    cursor: Cursor
    status: Status


@dataclass(frozen=True, slots=True)
class Delete:
    """The record is no prefix of the truth."""

    key: str


@dataclass(frozen=True, slots=True)
class Create:
    """The run has no record."""

    record: Record


@dataclass(frozen=True, slots=True)
class Attach:
    """The record lacks the run's spec and its item outcomes."""

    run_id: str


@dataclass(frozen=True, slots=True)
class Add:
    """The record lacks points, or says nothing of the run's end."""

    content: Content


@dataclass(frozen=True, slots=True)
class SetStatus:
    """The record shows another status."""

    status: Status
    ended: int | None


Write: TypeAlias = Delete | Create | Attach | Add | SetStatus
"""One call of the tracker; those of a run are made in order, on the record of that run."""


def missing_writes(face: Face, view: RunView, kept: Kept | None, at_once: int) -> list[Write]:
    """What brings the record of a run to what its directory says; `at_once` points a write."""
    writes: list[Write] = []
    if kept is not None and _is_void(kept.cursor, face, view):
        writes.append(Delete(kept.key))
        kept = None
    cursor = kept.cursor if kept is not None else _beginning(face, view)
    if kept is None:
        writes.append(Create(_record(face, view, cursor)))
    ended = _result_time(view.result)
    if cursor.points != len(view.points) or cursor.ended != ended:
        if view.result is not None:
            writes.append(Attach(face.run_id))
        writes += _additions(face, view, cursor, at_once)
    if view.status != (kept.status if kept is not None else "running"):
        writes.append(SetStatus(view.status, view.ended))
    return writes


def is_complete(face: Face, run: RunDirectory, kept: Kept) -> bool:
    """Whether nothing will ever be missing: the record shows the run's result and its end."""
    cursor = kept.cursor
    if cursor.ended is None or kept.status == "running" or cursor.identity != face.identity:
        return False
    return cursor.ended == _result_time(read_result(run))


def face_of(plan: Plan, cell: Cell, run: PlannedRun) -> Face:
    """Name, parameters and tags of a run."""
    return Face(
        run_id=run.run_id,
        name=run_label(cell, run),
        params={**cell.levels, **run.context, "replicate": str(run.replicate)},
        tags={
            "ablatekit.unit": run.unit,
            "ablatekit.backend": plan.backend,
            "ablatekit.replicate": str(run.replicate),
            "ablatekit.context": " | ".join(run.context.values()),
        },
        dataset=_dataset(run),
    )


def view_run(run: RunDirectory) -> RunView | None:
    """The present view of a run, None while it has nothing to show.

    The state is read first: a run that ends meanwhile looks like one that still runs.
    """
    state = run_state(run)
    result = read_result(run) if state in ("finished", "diverged") else None
    used = used_attempts(run)
    first = read_claim(run.attempt(used[0].number)) if used else None
    last = read_claim(run.attempt(used[-1].number)) if used else None
    if first is None or last is None:
        return None
    history = read_history(run)
    return RunView(
        attempt=used[-1].number,
        status=_status(state),
        user=last.user,
        started=_milliseconds(result.started if result else first.started),
        ended=None if state == "running" else _end_time(run, result, history, last.started),
        points=run_points(history, result),
        tags=_claim_tags(last),
        result=result,
    )


def run_points(history: Sequence[MetricEvent], result: ResultRecord | None) -> list[Point]:
    """All points of a run in the order of its log; a result's metrics that were not logged last."""
    points = [
        Point(name, value, _milliseconds(event.time), event.step)
        for event in history
        for name, value in event.metrics.items()
    ]
    if result is None:
        return points
    logged = {name for event in history for name in event.metrics}
    step, time = max((event.step for event in history), default=0), _milliseconds(result.ended)
    rest = ((name, value) for name, value in result.metrics.items() if name not in logged)
    return points + [Point(name, value, time, step) for name, value in rest]


def sync(
    plan: Plan, workspace: Workspace, tracker: str, settings: Mapping[str, Any]
) -> MirrorOutcome:
    """Bring a tracker to what the run directories say; a second call changes nothing.

    Raises PluginError when the tracker is unknown and WorkspaceError while another process mirrors
    the same study. When the tracker cannot be reached the outcome carries a warning.
    """
    with sole_mirror(plan, workspace):
        mirror = open_mirror(plan, workspace, tracker, settings)
        try:
            mirror.update()
        finally:
            mirror.close()
        return mirror.outcome


def open_mirror(
    plan: Plan, workspace: Workspace, tracker: str, settings: Mapping[str, Any]
) -> Mirror:
    """The mirror of a study in the tracker that is called so, with its part of the study file."""
    return Mirror(plan, workspace, make_tracker(tracker, plan, workspace, settings))


@contextmanager
def sole_mirror(
    plan: Plan, workspace: Workspace, timeout: float | None = _LOCK_SECONDS
) -> Iterator[None]:
    """Be the only process that mirrors this study; waits for `timeout` seconds."""
    with ExitStack() as held:
        try:
            held.enter_context(file_lock(workspace.study(plan.study).mirror_lock, timeout=timeout))
        except LockHeldError as error:
            raise WorkspaceError(
                Problem(
                    f"study {plan.study!r} is being mirrored already",
                    f"process {error.pid}",
                    "Wait until it has ended",
                )
            ) from error
        yield


class Mirror:
    """The mirror of one study in one tracker; `update` as often as wanted."""

    def __init__(self, plan: Plan, workspace: Workspace, tracker: Tracker) -> None:
        self.outcome = MirrorOutcome(place=masked(tracker.place))
        self._plan = plan
        self._cells = cells_by_unit(plan)
        self._workspace = workspace
        self._tracker = tracker
        self._kept: dict[str, Kept] | None = None
        self._settled: set[str] = set()

    def update(self) -> None:
        """One pass over all runs; a failing tracker leaves a warning and the rest for later."""
        try:
            with file_lock(self._workspace.tracking_lock, timeout=_LOCK_SECONDS):
                damaged = self._update_runs()
            self.outcome = replace(self.outcome, warning=masked("; ".join(damaged)))
        except (TrackerError, OSError, LockHeldError) as error:
            warning = masked(f"{self._tracker.place} is incomplete: {error}")
            self.outcome = replace(self.outcome, warning=warning)
            self.close()

    def close(self) -> None:
        """Forget what the tracker holds, and let go of it."""
        self._tracker.close()
        self._kept = None
        self._settled.clear()

    def _update_runs(self) -> list[str]:
        """Every run that is not settled; returns what is wrong with damaged run directories."""
        if self._kept is None:
            self._kept = self._recall(self._tracker.open())
        damaged = []
        for planned in self._plan.runs:
            try:
                if planned.run_id not in self._settled:
                    self._update_run(planned, self._kept)
            except WorkspaceError as error:
                damaged.append(str(error))
        return damaged

    def _recall(self, records: Sequence[KeptRecord]) -> dict[str, Kept]:
        """The records that earlier mirrors made, by run id; a second one for the same run goes."""
        kept: dict[str, Kept] = {}
        for record in records:
            if record.run_id not in kept:
                cursor = Cursor.parse(record.cursor)
                kept[record.run_id] = Kept(record.key, cursor, record.status)
            # A tracker may name one record twice: others write to it while it is searched.
            elif kept[record.run_id].key != record.key:
                self._tracker.delete(record.key)
        return kept

    def _update_run(self, planned: PlannedRun, kept: dict[str, Kept]) -> None:
        run = self._workspace.run(planned.run_id)
        face = face_of(self._plan, self._cells[planned.unit], planned)
        known = kept.get(planned.run_id)
        if known is not None and is_complete(face, run, known):
            self._settled.add(planned.run_id)
            return
        view = view_run(run)
        if view is None:
            return
        for write in missing_writes(face, view, known, self._tracker.points_at_once):
            self._make(write, planned.run_id, kept)

    def _make(self, write: Write, run_id: str, kept: dict[str, Kept]) -> None:
        """Let the tracker do one write, and remember what it holds since."""
        match write:
            case Delete():
                self._tracker.delete(write.key)
                del kept[run_id]
            case Create():
                key = self._tracker.create(write.record)
                kept[run_id] = Kept(key, Cursor.parse(write.record.cursor), "running")
                self.outcome = replace(self.outcome, runs=self.outcome.runs + 1)
            case Attach():
                self._attach(kept[run_id].key, self._workspace.run(run_id))
            case Add():
                self._tracker.add(kept[run_id].key, write.content)
                cursor = Cursor.parse(write.content.cursor)
                kept[run_id] = replace(kept[run_id], cursor=cursor)
                sent = self.outcome.metrics + len(write.content.points)
                self.outcome = replace(self.outcome, metrics=sent)
            case SetStatus():
                self._tracker.set_status(kept[run_id].key, write.status, write.ended)
                kept[run_id] = replace(kept[run_id], status=write.status)

    def _attach(self, key: str, run: RunDirectory) -> None:
        """The run's spec and, in one table, its item outcomes."""
        import pyarrow.parquet as pq

        items = read_items(run)
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(run.spec, folder)
            if items is not None:
                pq.write_table(items, Path(folder) / "items.parquet", compression="zstd")
            self._tracker.attach(key, Path(folder))


def _is_void(cursor: Cursor, face: Face, view: RunView) -> bool:
    """Whether what the tracker holds is no prefix of the truth any more."""
    return (
        cursor.identity != face.identity
        or cursor.attempt != view.attempt
        or cursor.points > len(view.points)
        or (cursor.ended is not None and cursor.ended != _result_time(view.result))
    )


def _beginning(face: Face, view: RunView) -> Cursor:
    return Cursor(identity=face.identity, attempt=view.attempt, points=-1)


def _record(face: Face, view: RunView, cursor: Cursor) -> Record:
    return Record(
        run_id=face.run_id,
        name=face.name,
        user=view.user,
        started=view.started,
        tags={**face.tags, **view.tags},
        cursor=cursor.text(),
    )


def _additions(face: Face, view: RunView, cursor: Cursor, at_once: int) -> Iterator[Add]:
    """The points after the cursor, at least one piece; the last one carries the result's tags."""
    begins = cursor.points < 0
    params, dataset = (face.params, face.dataset) if begins else ({}, None)
    first = max(cursor.points, 0)
    for start in range(first, max(len(view.points), first + 1), at_once):
        points = view.points[start : start + at_once]
        sent, tags = start + len(points), {}
        cursor = replace(cursor, points=sent)
        if sent == len(view.points) and view.result is not None:
            cursor = replace(cursor, ended=_result_time(view.result))
            tags = _result_tags(view.result)
        yield Add(
            Content(points=points, cursor=cursor.text(), params=params, tags=tags, dataset=dataset)
        )
        params, dataset = {}, None


def _dataset(run: PlannedRun) -> Dataset | None:
    """The data set that the run's context names, if it names one."""
    name = run.context.get("dataset")
    if name is None:
        return None
    return Dataset(name, run.spec.content.get("dataset", "") or "unknown")


def _claim_tags(claim: Claim) -> dict[str, str]:
    """Where a run is executed, and with which versions."""
    versions = ", ".join(f"{name} {version}" for name, version in sorted(claim.versions.items()))
    return {"ablatekit.host": claim.host, "ablatekit.versions": versions}


def _result_tags(result: ResultRecord) -> dict[str, str]:
    """How a run ended; a diverged one says why."""
    message = {"ablatekit.message": result.message} if result.message else {}
    return {"ablatekit.status": result.status, **message}


def _status(state: RunState) -> Status:
    """How a run that has been started is shown."""
    if state == "diverged":
        return "finished"
    return "running" if state == "planned" else state


def _result_time(result: ResultRecord | None) -> int | None:
    """When the result was written, in milliseconds."""
    return None if result is None else _milliseconds(result.ended)


def _end_time(
    run: RunDirectory,
    result: ResultRecord | None,
    history: Sequence[MetricEvent],
    started: float,
) -> int:
    """The result's time; without one the last sign of life."""
    if result is not None:
        return _milliseconds(result.ended)
    end = read_end(run.attempts()[-1])
    logged = history[-1].time if history else started
    return _milliseconds(end.ended if end is not None else logged)


def _milliseconds(seconds: float) -> int:
    """Seconds since the epoch as trackers count them."""
    return round(seconds * 1000)
