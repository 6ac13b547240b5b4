"""From a plan to results: which run next, what a failure costs, when to stop.

The run directories are the only state: whatever dies, the same call continues. Runs are never
executed twice at the same time, not even by two studies that share them: the worker's lock on its
attempt decides, and a run that another process executes is looked at again later.
"""

from __future__ import annotations

import shutil
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from ablatekit.canonical import read_json, write_json
from ablatekit.design.plan import Plan, PlannedRun, cells_by_unit, run_label
from ablatekit.dispatch.executors.base import (
    Ended,
    Event,
    Executor,
    Noted,
    Progressed,
    Started,
    Task,
    Workload,
    make_executor,
)
from ablatekit.dispatch.expected import expected_time, measured_seconds
from ablatekit.dispatch.progress import Observer
from ablatekit.dispatch.starts import absence_warnings, start_warnings
from ablatekit.errors import Problem, WorkspaceError
from ablatekit.plugins import answer_of, load_backend
from ablatekit.runs.locks import LockHeldError, file_lock
from ablatekit.runs.records import Resources
from ablatekit.runs.runlog import log_tail, read_result
from ablatekit.runs.workspace import Workspace

_POLL_SECONDS = 0.5
_RECHECK_SECONDS = 1.0
_FREE_BYTES_TO_RESUME = 64 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatchOptions:
    """How to execute: `timeout` in seconds for one attempt, `limit` new runs at most.

    `only` are the ids of the runs to execute, None for all.
    `executor` names what brings runs to workers, `settings` are its own part of the study;
    `python` is the interpreter of the workers, None for this one.
    """

    executor: str = "local"
    settings: Mapping[str, Any] = field(default_factory=dict)
    workers: Literal["auto"] | int = "auto"
    retries: int = 2
    timeout: float | None = None
    limit: int | None = None
    only: frozenset[str] | None = None
    python: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedRun:
    """A run that has no result after its last attempt."""

    run_id: str
    label: str
    attempts: int
    kind: str
    message: str
    signal: str | None
    log_tail: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatchCounts:
    """Runs of the plan by where they stand; `executed` is how many this call brought to a result.

    planned = finished + diverged + failed + remaining.
    """

    planned: int
    finished: int
    diverged: int
    failed: int
    remaining: int
    executed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatchOutcome:
    """What a call of `execute` has achieved."""

    counts: DispatchCounts
    failed: tuple[FailedRun, ...]
    interrupted: bool


@dataclass
class _Entry:
    """A run on its way to a result; `attempts` counts those of this call that failed."""

    planned: PlannedRun
    label: str
    attempts: int = 0


@dataclass
class _Progress:
    """What has become of the runs so far; `begun` are the contexts that have a result."""

    queue: deque[_Entry]
    by_id: dict[str, _Entry]
    begun: set[str]
    elsewhere: dict[str, float] = field(default_factory=dict)
    failed: list[FailedRun] = field(default_factory=list)
    results: Counter[str] = field(default_factory=Counter)
    executed: int = 0
    paused_until: float | None = None


@dataclass
class Stop:
    """How often the user has asked to stop: once drains, twice kills."""

    requests: int = 0


def execute(
    plan: Plan, workspace: Workspace, options: DispatchOptions, observer: Observer
) -> DispatchOutcome:
    """Bring every run of the plan to a result, or report why not.

    Runs that have a result are skipped. A run that crashes, times out or raises is attempted
    `options.retries` times more; one that diverged has a result. The first SIGINT or SIGTERM
    drains (workers checkpoint, nothing new starts), the second kills.

    The caller is `coordinating` the study. Raises PluginError when the backend or the executor is
    unknown or the backend's interpreter cannot run workers.
    """
    with stop_requests() as stop:
        progress = _prepare(plan, workspace, options)
        coordinator = _Coordinator(plan, workspace, options, observer, progress, stop)
        executor = _executor(plan.backend, progress.queue, options)
        done = sum(progress.results.values())
        observer.begin(total=done + len(progress.queue), done=done, workers=executor.free)
        try:
            _foretell(plan, workspace, progress, executor.free, observer)
            coordinator.work(executor)
        finally:
            executor.close()
            observer.close()
        return coordinator.outcome()


@contextmanager
def coordinating(study: str, workspace: Workspace) -> Iterator[None]:
    """Be the only coordinator of a study; WorkspaceError names the one that is already."""
    with ExitStack() as held:
        try:
            held.enter_context(file_lock(workspace.study(study).coordinator_lock))
        except LockHeldError as error:
            raise WorkspaceError(
                Problem(
                    f"study {study!r} is being run already",
                    f"a coordinator with process id {error.pid}",
                    "Wait for it, or stop it with Ctrl-C; one study has one coordinator",
                )
            ) from error
        yield


@contextmanager
def stop_requests() -> Iterator[Stop]:
    """Count SIGINT and SIGTERM instead of dying of them; only the main thread can."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def count(_number: int, _frame: object) -> None:
        stop.requests += 1

    previous = {number: signal.signal(number, count) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _prepare(plan: Plan, workspace: Workspace, options: DispatchOptions) -> _Progress:
    """The queue, and the counts of runs that have a result already."""
    units = cells_by_unit(plan)
    results: Counter[str] = Counter()
    begun: set[str] = set()
    entries = []
    for planned in sorted(plan.runs, key=lambda run: run.order):
        result = read_result(workspace.run(planned.run_id))
        if result is not None:
            results[result.status] += 1
            begun.add(planned.spec.context_id)
        else:
            entries.append(_Entry(planned, run_label(units[planned.unit], planned)))
    if options.only is not None:
        entries = [entry for entry in entries if entry.planned.run_id in options.only]
    entries = entries[: options.limit]
    by_id = {entry.planned.run_id: entry for entry in entries}
    return _Progress(queue=deque(entries), by_id=by_id, begun=begun, results=results)


def _foretell(
    plan: Plan, workspace: Workspace, progress: _Progress, workers: int, observer: Observer
) -> None:
    """Say how long the runs of the queue will take, where finished ones tell."""
    if not progress.queue or not workers:
        return
    measured = measured_seconds(plan, workspace)
    expected = expected_time(plan.runs, measured, progress.by_id)
    if expected is not None:
        observer.note(f"expected: {expected.told(workers)}")


def _executor(backend: str, entries: Sequence[_Entry], options: DispatchOptions) -> Executor:
    """The executor that the options name, with places for all of these runs."""
    workload = Workload(
        need=_largest_need(backend, entries),
        runs=len(entries),
        workers=options.workers,
        timeout=options.timeout,
        python=options.python,
    )
    return make_executor(options.executor, workload, options.settings)


def _largest_need(backend: str, entries: Sequence[_Entry]) -> Resources:
    """What suffices for each of several runs of a backend."""
    if not entries:
        return Resources()
    source = load_backend(backend)
    specs = [entry.planned.spec for entry in entries]
    needs: list[Resources] = [
        answer_of("backend", source, "resources", {**spec.settings, **spec.execution})
        for spec in specs
    ]
    return Resources(
        cpus=max(need.cpus for need in needs),
        gpus=max(need.gpus for need in needs),
        memory=max(need.memory for need in needs),
    )


class _Coordinator:
    """The loop between the queue and the executor."""

    def __init__(
        self,
        plan: Plan,
        workspace: Workspace,
        options: DispatchOptions,
        observer: Observer,
        progress: _Progress,
        stop: Stop,
    ) -> None:
        self._plan = plan
        self._hash = plan.hash
        self._workspace = workspace
        self._options = options
        self._observer = observer
        self._progress = progress
        self._stop = stop
        self._handled_stops = 0

    def work(self, executor: Executor) -> None:
        """Until every run has a result or has failed, or the user has stopped it."""
        while self._unfinished(executor):
            self._obey(executor)
            self._recheck(executor)
            if not self._stop.requests and not self._paused():
                self._fill(executor)
            for event in executor.poll(_POLL_SECONDS):
                self._handle(event)

    def outcome(self) -> DispatchOutcome:
        """The account of this call."""
        progress = self._progress
        finished, diverged = progress.results["finished"], progress.results["diverged"]
        planned, failed = len(self._plan.runs), len(progress.failed)
        counts = DispatchCounts(
            planned=planned,
            finished=finished,
            diverged=diverged,
            failed=failed,
            remaining=planned - finished - diverged - failed,
            executed=progress.executed,
        )
        interrupted = self._stop.requests > 0 and counts.remaining > 0
        return DispatchOutcome(
            counts=counts, failed=tuple(progress.failed), interrupted=interrupted
        )

    def _unfinished(self, executor: Executor) -> bool:
        if self._stop.requests:
            return executor.running > 0
        return bool(executor.running or self._progress.queue or self._progress.elsewhere)

    def _obey(self, executor: Executor) -> None:
        """Pass on what the user has asked for since the last look."""
        if self._handled_stops >= min(self._stop.requests, 2):
            return
        self._handled_stops = min(self._stop.requests, 2)
        if self._handled_stops == 1:
            self._observer.note("stopping: runs checkpoint and end; once more kills them")
            executor.drain()
        else:
            self._observer.note("killing the workers; the same command resumes")
            executor.kill()

    def _fill(self, executor: Executor) -> None:
        while executor.free and self._progress.queue and not self._paused():
            entry = self._progress.queue.popleft()
            try:
                task = self._task(entry)
            except OSError as error:
                self._pause(entry, str(error))
                return
            executor.submit(task)

    def _task(self, entry: _Entry) -> Task:
        run = self._workspace.run(entry.planned.run_id)
        spec = entry.planned.spec.to_json()
        if not run.spec.exists() or read_json(run.spec) != spec:
            run.path.mkdir(parents=True, exist_ok=True)
            write_json(run.spec, spec)
        self._workspace.cache.mkdir(parents=True, exist_ok=True)
        return Task(
            run=run,
            cache=str(self._workspace.cache),
            study=self._plan.study,
            study_hash=self._hash,
        )

    def _handle(self, event: Event) -> None:
        match event:
            case Noted():
                self._observer.note(event.text)
            case Started():
                label = self._progress.by_id[event.run_id].label
                self._observer.started(event.run_id, label, event.attempt)
            case Progressed():
                self._observer.progressed(event.run_id, event.done, event.total)
            case Ended():
                self._settle(self._progress.by_id[event.run_id], event)

    def _settle(self, entry: _Entry, ended: Ended) -> None:
        """Decide what the end of a task means for its run."""
        match ended.outcome:
            case "finished" | "diverged" | "done":
                self._record(entry, executed=ended.outcome != "done")
            case "busy":
                self._progress.elsewhere[entry.planned.run_id] = time.monotonic()
            case "interrupted" if self._stop.requests:
                self._progress.queue.appendleft(entry)
                self._observer.ended(entry.planned.run_id, entry.label, "interrupted", "")
            case "disk" if not self._has_space():
                self._pause(entry, ended.message)
            case _:
                self._fail(entry, ended)

    def _record(self, entry: _Entry, *, executed: bool) -> None:
        result = read_result(self._workspace.run(entry.planned.run_id))
        assert result is not None
        self._progress.results[result.status] += 1
        self._progress.executed += executed
        self._observer.ended(entry.planned.run_id, entry.label, result.status, result.message)
        self._warn_of_start(entry.planned)

    def _warn_of_start(self, run: PlannedRun) -> None:
        """Say once of each context what its first run tells of all the others."""
        context = run.spec.context_id
        if context not in self._progress.begun:
            self._progress.begun.add(context)
            told = (self._plan, run, self._workspace)
            for warning in (*start_warnings(*told), *absence_warnings(*told)):
                self._observer.note(warning)

    def _fail(self, entry: _Entry, ended: Ended) -> None:
        if self._workspace.run(entry.planned.run_id).result.exists():
            self._record(entry, executed=True)
            return
        entry.attempts += 1
        if self._stop.requests:
            self._progress.queue.append(entry)
            self._observer.ended(entry.planned.run_id, entry.label, "interrupted", ended.message)
        elif entry.attempts <= self._options.retries and ended.outcome != "refused":
            self._progress.queue.append(entry)
            self._observer.ended(entry.planned.run_id, entry.label, "retried", ended.message)
        else:
            self._progress.failed.append(self._failed_run(entry, ended))
            self._observer.ended(entry.planned.run_id, entry.label, "failed", ended.message)

    def _failed_run(self, entry: _Entry, ended: Ended) -> FailedRun:
        run = self._workspace.run(entry.planned.run_id)
        tail = log_tail(run.attempt(ended.attempt)) if ended.attempt is not None else ()
        return FailedRun(
            run_id=entry.planned.run_id,
            label=entry.label,
            attempts=entry.attempts,
            kind=ended.outcome,
            message=ended.message,
            signal=ended.signal,
            log_tail=tail,
        )

    def _recheck(self, executor: Executor) -> None:
        """Take back runs that another process was executing and no longer is."""
        now = time.monotonic()
        for run_id, looked in list(self._progress.elsewhere.items()):
            if now - looked < _RECHECK_SECONDS:
                continue
            entry, run = self._progress.by_id[run_id], self._workspace.run(run_id)
            if not executor.release(run):
                self._progress.elsewhere[run_id] = now
                continue
            del self._progress.elsewhere[run_id]
            if run.result.exists():
                self._record(entry, executed=False)
            else:
                self._progress.queue.append(entry)

    def _pause(self, entry: _Entry, message: str) -> None:
        self._progress.queue.appendleft(entry)
        self._progress.paused_until = time.monotonic() + _RECHECK_SECONDS
        self._observer.note(f"paused, no space left in {self._workspace.root}: {message}")

    def _paused(self) -> bool:
        until = self._progress.paused_until
        if until is None:
            return False
        if time.monotonic() >= until:
            self._progress.paused_until = (
                None if self._has_space() else time.monotonic() + _RECHECK_SECONDS
            )
        return self._progress.paused_until is not None

    def _has_space(self) -> bool:
        return shutil.disk_usage(self._workspace.root).free >= _FREE_BYTES_TO_RESUME
