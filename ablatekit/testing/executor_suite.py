"""What every executor must fulfil, as tests that a plugin's own test suite inherits.

    class TestMyExecutor(ExecutorSuite):
        executor_name = "mine"

Runs of the simulated backend are executed below pytest's `tmp_path`, two at a time. pytest collects
the subclass.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from ablatekit.canonical import write_json
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
from ablatekit.runs.eventlog import read_events
from ablatekit.runs.records import Resources, RunSpec
from ablatekit.runs.runlog import (
    claim_attempt,
    live_attempt,
    read_claim,
    read_end,
    read_history,
    read_result,
    run_state,
)
from ablatekit.runs.workspace import RunDirectory, Workspace
from ablatekit.testing.simulated import SimulatedBackend
from ablatekit.testing.specs import run_spec

ENDLESS: Mapping[str, Any] = {"rounds": 5_000, "evaluate_every": 1, "sleep": 0.02}
"""Settings of a run that logs its rounds and takes longer than any test waits."""


class ExecutorSuite:
    """The conformance tests; subclass it and name the executor."""

    executor_name: ClassVar[str]
    settings: ClassVar[Mapping[str, Any]] = {}
    """The executor's own part of the study file."""
    patience: ClassVar[float] = 120.0
    """Seconds within which whatever is waited for must have happened."""

    @contextmanager
    def executor(self, workers: int = 2, timeout: float | None = None) -> Iterator[Executor]:
        """An executor with places for so many runs at once, closed at the end."""
        workload = Workload(need=Resources(), runs=workers, workers=workers, timeout=timeout)
        executor = make_executor(self.executor_name, workload, self.settings)
        try:
            yield executor
        finally:
            executor.close()

    def events(self, executor: Executor, until: Callable[[], bool]) -> list[Event]:
        """Everything that happens until a condition holds."""
        events: list[Event] = []
        deadline = time.monotonic() + self.patience
        while not until():
            assert time.monotonic() < deadline, f"waited in vain; so far: {events}"
            events += executor.poll(0.2)
        return events

    def finish(self, executor: Executor) -> list[Event]:
        """Everything that happens until no task is left."""
        return self.events(executor, lambda: executor.running == 0)

    def begin(self, executor: Executor, *tasks: Task) -> list[Event]:
        """Submit tasks and wait until each of them has logged something."""
        for task in tasks:
            executor.submit(task)
        return self.events(executor, lambda: all(_has_logged(task.run) for task in tasks))

    def test_runs_finish_and_places_become_free(self, tmp_path: Path) -> None:
        tasks = [_task(tmp_path, number) for number in (1, 2)]
        with self.executor() as executor:
            assert (executor.free, executor.running) == (2, 0)
            for task in tasks:
                executor.submit(task)
            assert (executor.free, executor.running) == (0, 2)
            events = self.finish(executor)
            for task in tasks:
                assert _story(events, task) == [Started, Ended]
                assert _end(events, task) == Ended(task.run.run_id, 1, "finished", "")
                result = read_result(task.run)
                assert result is not None
                assert result.status == "finished"
            assert executor.free == 2
            diverging, known = _task(tmp_path, 3, diverge_rate=1.0), tasks[0]
            for task in (diverging, known):
                executor.submit(task)
            events = self.finish(executor)
            assert _end(events, diverging).outcome == "diverged"
            assert _end(events, known) == Ended(known.run.run_id, None, "done", "")

    def test_with_nothing_to_tell_poll_waits(self) -> None:
        with self.executor() as executor:
            told = list(executor.poll(0.0))
            assert all(isinstance(event, Noted) for event in told)
            before = time.monotonic()
            assert list(executor.poll(0.2)) == []
            assert time.monotonic() - before > 0.1, "a coordinator that polls would be busy"

    def test_a_run_that_another_process_executes_is_left_to_it(self, tmp_path: Path) -> None:
        task = _task(tmp_path)
        with self.executor(workers=1) as executor:
            with claim_attempt(task.run):
                assert not executor.release(task.run)
                executor.submit(task)
                assert _end(self.finish(executor), task).outcome == "busy"
            assert executor.release(task.run)
            executor.submit(task)
            assert _end(self.finish(executor), task).outcome == "finished"

    def test_a_failure_costs_one_attempt_and_no_place(self, tmp_path: Path) -> None:
        crashing, raising = _task(tmp_path, 1, crash_rate=1.0), _broken_task(tmp_path)
        with self.executor(workers=1) as executor:
            for task, kind in ((crashing, "killed"), (raising, "exception")):
                executor.submit(task)
                events = self.finish(executor)
                ended = _end(events, task)
                assert (ended.attempt, ended.outcome, bool(ended.message)) == (1, kind, True)
                assert _story(events, task)[-1] is Ended, "nothing comes after a task's end"
                end = read_end(task.run.attempt(1))
                assert end is not None
                assert (end.kind, end.message) == (kind, ended.message)
                assert run_state(task.run) == "failed"
                assert executor.free == 1
            healthy = _task(tmp_path, 2)
            executor.submit(healthy)
            assert _end(self.finish(executor), healthy).outcome == "finished"

    def test_a_run_that_takes_too_long_is_killed_alone(self, tmp_path: Path) -> None:
        endless = _task(tmp_path, 1, **ENDLESS)
        with self.executor(timeout=1.0) as executor:
            executor.submit(endless)
            ended = _end(self.finish(executor), endless)
            assert (ended.attempt, ended.outcome) == (1, "timeout")
            end = read_end(endless.run.attempt(1))
            assert end is not None
            assert end.kind == "timeout"
            assert _is_dead(endless.run)
            assert executor.free == 2

    def test_a_drained_run_checkpoints_and_continues_there(self, tmp_path: Path) -> None:
        task = _task(tmp_path, **ENDLESS)
        with self.executor(workers=1) as executor:
            self.begin(executor, task)
            executor.drain()
            assert _end(self.finish(executor), task).outcome == "interrupted"
        assert run_state(task.run) == "interrupted"
        logged = len(read_history(task.run))
        with self.executor(workers=1) as executor:
            executor.submit(task)
            self.events(executor, lambda: len(read_history(task.run)) > logged)
            executor.drain()
            self.finish(executor)
        claim = read_claim(task.run.attempt(2))
        assert claim is not None
        assert claim.resumed_at

    def test_killed_runs_end_once_and_say_no_more(self, tmp_path: Path) -> None:
        tasks = [_task(tmp_path, number, **ENDLESS) for number in (1, 2)]
        with self.executor() as executor:
            self.begin(executor, *tasks)
            executor.kill()
            events = self.finish(executor)
            events += executor.poll(0.1)
            for task in tasks:
                assert _end(events, task).outcome == "interrupted"
                assert _story(events, task).count(Ended) == 1
                assert _story(events, task)[-1] is Ended, "nothing comes after a task's end"
                assert _is_dead(task.run)
                assert run_state(task.run) == "interrupted"

    def test_closing_leaves_no_process(self, tmp_path: Path) -> None:
        task = _task(tmp_path, **ENDLESS)
        with self.executor() as executor:
            events = self.begin(executor, task)
            assert Started(task.run.run_id, 1) in events
        assert _is_dead(task.run)
        assert run_state(task.run) == "interrupted"


def _task(root: Path, replicate: int = 1, **settings: Any) -> Task:
    """A run of the simulated backend."""
    return written_task(root, run_spec(SimulatedBackend(), settings, {"model": "m"}, replicate))


def _broken_task(root: Path) -> Task:
    """A run whose backend raises."""
    spec = run_spec(SimulatedBackend(), {}, {"model": "m"})
    return written_task(root, replace(spec, settings={"rounds": -1}))


def written_task(root: Path, spec: RunSpec) -> Task:
    """The task of a run whose directory has been made."""
    workspace = Workspace(root)
    run = workspace.run(spec.run_id)
    run.path.mkdir(parents=True, exist_ok=True)
    workspace.cache.mkdir(exist_ok=True)
    write_json(run.spec, spec.to_json())
    return Task(run=run, cache=str(workspace.cache), study="suite", study_hash="h")


def _has_logged(run: RunDirectory) -> bool:
    attempts = run.attempts()
    return bool(attempts) and attempts[-1].events.exists() and bool(read_events(attempts[-1]))


def _of(events: Sequence[Event], task: Task) -> list[Started | Progressed | Ended]:
    """The events of one task."""
    run_id = task.run.run_id
    return [event for event in events if not isinstance(event, Noted) and event.run_id == run_id]


def _story(events: Sequence[Event], task: Task) -> list[type[Event]]:
    """What kinds of events a task had, in order, without its progress before the end."""
    story: list[type[Event]] = [type(event) for event in _of(events, task)]
    last = len(story) - 1
    return [kind for at, kind in enumerate(story) if kind is not Progressed or at == last]


def _end(events: Sequence[Event], task: Task) -> Ended:
    """The one end of a task."""
    (ended,) = (event for event in _of(events, task) if isinstance(event, Ended))
    return ended


def _is_dead(run: RunDirectory) -> bool:
    """Whether neither the worker nor anything that it started holds the run's lock."""
    return live_attempt(run) is None
