"""What the coordinator makes of runs and of their failures.

Workers are forks of this process, except where an interpreter of their own is the point.
"""

from __future__ import annotations

import os
import threading
import time

import pytest

from ablatekit.canonical import write_json
from ablatekit.dispatch import coordinator as coordinator_module
from ablatekit.dispatch.coordinator import DispatchOptions, coordinating, execute
from ablatekit.dispatch.progress import SilentObserver
from ablatekit.errors import PluginError, WorkspaceError
from ablatekit.runs.records import RunResult
from ablatekit.runs.runlog import (
    Claim,
    claim_attempt,
    read_claim,
    read_end,
    read_history,
    read_result,
    run_state,
    write_claim,
    write_result,
)
from ablatekit.runs.workspace import Workspace


class Notes(SilentObserver):
    """Remembers what it is told."""

    def __init__(self):
        self.said = []
        self.endings = []

    def note(self, text):
        self.said.append(text)

    def ended(self, run_id, label, outcome, message):  # noqa: ARG002
        self.endings.append((outcome, label, message))


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "out")


@pytest.fixture
def forked(fork_executor):
    """Options for workers that are forks."""

    def options(workers=1, **others):
        return DispatchOptions(executor=fork_executor, workers=workers, **others)

    return options


def one_worker(**options):
    return DispatchOptions(workers=1, **options)


def test_every_run_of_a_plan_gets_a_result_and_a_second_call_does_nothing(
    make_plan, contents, workspace, forked
):
    plan = make_plan()
    first = execute(plan, workspace, forked(workers=2), SilentObserver())
    assert (first.counts.planned, first.counts.finished, first.counts.executed) == (8, 8, 8)
    assert not first.failed
    assert not first.interrupted
    before = contents(plan, workspace)
    second = execute(plan, workspace, forked(workers=2), SilentObserver())
    assert (second.counts.finished, second.counts.executed) == (8, 0)
    assert contents(plan, workspace) == before


def test_a_limit_executes_the_first_runs_in_order(make_plan, workspace, forked):
    plan, notes = make_plan(), Notes()
    outcome = execute(plan, workspace, forked(limit=3), notes)
    assert notes.said == ["workers are forks"]
    assert (outcome.counts.finished, outcome.counts.remaining) == (3, 5)
    assert not outcome.interrupted
    states = [run_state(workspace.run(planned.run_id)) for planned in plan.runs]
    assert states == ["finished"] * 3 + ["planned"] * 5


def test_a_diverged_run_is_a_result_and_not_retried(make_plan, workspace, forked):
    plan = make_plan(diverge_rate=1.0)
    outcome = execute(plan, workspace, forked(limit=2), SilentObserver())
    assert (outcome.counts.diverged, outcome.counts.failed) == (2, 0)
    assert attempts(plan, workspace)[:2] == [1, 1]


def test_a_run_says_who_executed_it_with_what_and_what_it_printed(make_plan, workspace, faulty):
    plan = make_plan(backend=faulty, behaviour="chatter")
    outcome = execute(plan, workspace, one_worker(), SilentObserver())
    assert outcome.counts.finished == 2
    run = workspace.run(plan.runs[0].run_id)
    claim = read_claim(run.attempt(1))
    assert (claim.study, claim.study_hash) == (plan.study, plan.hash)
    assert claim.versions["faulty"] == "1.0"
    assert set(claim.versions) >= {"python", "ablatekit", "platform", "cpu"}
    assert "numpy" in read_result(run).versions
    (event,) = read_history(run)
    assert event.metrics["threads"] == 1
    lines = (run.attempt(1).logs / "output.txt").read_text().splitlines()
    assert lines == ["hello from print", '{"say": "ended"}', "hello from a child"]


@pytest.mark.parametrize("behaviour", ["die", "give_up"])
def test_a_misbehaving_attempt_costs_one_attempt_and_no_other_run(
    make_plan, workspace, faulty, forked, behaviour
):
    plan = make_plan(backend=faulty, behaviour=behaviour, once=True)
    outcome = execute(plan, workspace, forked(retries=1), SilentObserver())
    assert (outcome.counts.finished, outcome.counts.failed) == (2, 0)
    assert attempts(plan, workspace) == [2, 1]


def test_what_outlives_a_dead_worker_is_killed_before_the_next_attempt(
    make_plan, workspace, faulty
):
    plan = make_plan(backend=faulty, behaviour="abandon", once=True)
    outcome = execute(plan, workspace, one_worker(retries=1), SilentObserver())
    assert (outcome.counts.finished, outcome.counts.failed) == (2, 0)
    assert attempts(plan, workspace) == [2, 1]


def attempts(plan, workspace):
    return [len(workspace.run(planned.run_id).attempts()) for planned in plan.runs]


@pytest.mark.parametrize(
    ("behaviour", "kind", "message", "last_words"),
    [
        ("fail", "exception", "ValueError: no good", "second line"),
        ("explain", "exception", "no result, as I say", None),
        ("leave", "exception", "SystemExit: 7", "SystemExit: 7"),
        ("die", "killed", "died with 3", None),
    ],
)
def test_a_run_that_keeps_failing_is_reported_with_its_last_words(
    make_plan, workspace, faulty, forked, behaviour, kind, message, last_words
):
    plan, notes = make_plan(backend=faulty, behaviour=behaviour), Notes()
    outcome = execute(plan, workspace, forked(retries=1), notes)
    assert (outcome.counts.finished, outcome.counts.failed) == (1, 1)
    (failed,) = outcome.failed
    assert failed.run_id == plan.runs[0].run_id
    assert (failed.kind, failed.message, failed.attempts) == (kind, message, 2)
    if last_words:
        assert any(last_words in line for line in failed.log_tail)
        assert not any("worker.py" in line for line in failed.log_tail)
    elif behaviour == "explain":
        assert not failed.log_tail
    run = workspace.run(failed.run_id)
    assert run_state(run) == "failed"
    assert read_end(run.attempt(2)).kind == kind
    assert [ending[0] for ending in notes.endings].count("retried") == 1


def test_a_full_disk_pauses_and_costs_no_attempt(make_plan, workspace, faulty, forked, monkeypatch):
    answers = iter([False, False, True])
    monkeypatch.setattr(
        coordinator_module._Coordinator, "_has_space", lambda _self: next(answers, True)
    )
    plan, notes = make_plan(backend=faulty, behaviour="fill", once=True), Notes()
    outcome = execute(plan, workspace, forked(retries=0), notes)
    assert (outcome.counts.finished, outcome.counts.failed) == (2, 0)
    assert any("no space left" in note for note in notes.said)
    assert next(answers, None) is None


def test_an_interpreter_that_cannot_run_workers_is_a_usage_error(make_plan, workspace):
    with pytest.raises(PluginError, match="cannot run a worker"):
        execute(make_plan(), workspace, one_worker(python="/bin/false"), SilentObserver())


def test_an_unknown_executor_is_a_usage_error(make_plan, workspace):
    with pytest.raises(PluginError, match=r"'no-such'.*local"):
        execute(make_plan(), workspace, one_worker(executor="no-such"), SilentObserver())


def test_an_executor_that_lacks_a_method_is_refused(
    make_plan, workspace, fork_executor, monkeypatch
):
    monkeypatch.delattr("forkexecutor.ForkExecutor.drain")
    with pytest.raises(PluginError, match="does not fulfil the contract"):
        execute(make_plan(), workspace, one_worker(executor=fork_executor), SilentObserver())


def test_a_study_has_one_coordinator(workspace):
    with (
        coordinating("study", workspace),
        pytest.raises(WorkspaceError, match=f"process id {os.getpid()}"),
        coordinating("study", workspace),
    ):
        raise AssertionError("there are two coordinators")


@pytest.mark.parametrize("leaves_result", [True, False])
def test_a_run_that_another_process_executes_is_waited_for(
    make_plan, workspace, faulty, forked, leaves_result
):
    plan = make_plan(backend=faulty)
    run = workspace.run(plan.runs[0].run_id)
    run.path.mkdir(parents=True)
    write_json(run.spec, plan.runs[0].spec.to_json())
    claimed = threading.Event()

    def other():
        with claim_attempt(run) as attempt:
            write_claim(attempt, _foreign_claim())
            claimed.set()
            time.sleep(1.0)
            if leaves_result:
                result = RunResult(status="finished", metrics={"m": 2.0})
                write_result(run, attempt, result, {})

    thread = threading.Thread(target=other)
    thread.start()
    claimed.wait()
    outcome = execute(plan, workspace, forked(), SilentObserver())
    thread.join()
    assert outcome.counts.finished == 2
    assert outcome.counts.executed == (1 if leaves_result else 2)
    assert read_result(run).metrics["m"] == (2.0 if leaves_result else 1.0)


def _foreign_claim():
    return Claim(
        study="other",
        study_hash="h",
        pid=1,
        host="elsewhere",
        user="u",
        started=0.0,
        versions={},
    )
