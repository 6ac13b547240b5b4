"""Whatever is killed, the same command brings every run to the result it would have had."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from ablatekit.dispatch.coordinator import DispatchOptions, coordinating, execute
from ablatekit.dispatch.progress import SilentObserver
from ablatekit.errors import WorkspaceError
from ablatekit.runs.runlog import live_attempt, read_claim, run_state
from ablatekit.runs.workspace import Workspace

SETTINGS = {"rounds": 12, "evaluate_every": 1}
PATIENCE = 60.0


def logged_bytes(workspace):
    """How far all runs together are: the size of their event logs."""
    logs = workspace.root.glob("runs/*/attempts/*/events.jsonl")
    return sum(path.stat().st_size for path in logs)


def live_workers(plan, workspace):
    """Process ids of workers that execute runs of the plan."""
    attempts = (live_attempt(workspace.run(planned.run_id)) for planned in plan.runs)
    claims = (read_claim(attempt) for attempt in attempts if attempt is not None)
    return sorted(claim.pid for claim in claims if claim is not None)


def wait_until(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


@pytest.fixture
def undisturbed(make_plan, contents, fork_executor, tmp_path):
    """The same study without any trouble."""
    plan, workspace = make_plan(**SETTINGS), Workspace(tmp_path / "undisturbed")
    execute(plan, workspace, DispatchOptions(executor=fork_executor), SilentObserver())
    return contents(plan, workspace)


def test_workers_die_with_their_coordinator(make_plan, coordinator, tmp_path):
    plan, workspace = make_plan(sleep=5.0), Workspace(tmp_path / "out")
    process = coordinator(plan, workspace, workers=2)
    wait_until(lambda: len(live_workers(plan, workspace)) == 2)
    workers = live_workers(plan, workspace)
    process.kill()
    process.communicate()
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))
    assert live_workers(plan, workspace) == []


def test_one_interrupt_drains_and_the_same_call_resumes(
    make_plan, contents, coordinator, undisturbed, fork_executor, tmp_path
):
    plan, workspace = make_plan(**SETTINGS, sleep=0.1), Workspace(tmp_path / "drained")
    process = coordinator(plan, workspace, workers=2, executor=fork_executor)
    wait_until(lambda: logged_bytes(workspace) > 500)
    with (
        pytest.raises(WorkspaceError, match=f"process id {process.pid}"),
        coordinating(plan.study, workspace),
    ):
        raise AssertionError("there are two coordinators")
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=PATIENCE)
    outcome = json.loads(output)
    assert outcome["interrupted"]
    assert outcome["counts"]["remaining"] > 0
    assert outcome["counts"]["failed"] == 0
    states = {run_state(workspace.run(planned.run_id)) for planned in plan.runs}
    assert states <= {"interrupted", "planned", "finished"}
    assert "interrupted" in states
    fast = make_plan(**SETTINGS)
    execute(fast, workspace, DispatchOptions(executor=fork_executor), SilentObserver())
    assert contents(fast, workspace) == undisturbed
    claims = [read_claim(workspace.run(planned.run_id).attempt(2)) for planned in plan.runs]
    assert any(claim is not None and claim.resumed_at for claim in claims)


def test_a_second_interrupt_kills(make_plan, coordinator, fork_executor, tmp_path):
    plan, workspace = make_plan(sleep=60.0), Workspace(tmp_path / "out")
    process = coordinator(plan, workspace, workers=2, executor=fork_executor)
    wait_until(lambda: len(live_workers(plan, workspace)) == 2)
    process.send_signal(signal.SIGINT)
    time.sleep(1.0)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=PATIENCE)
    outcome = json.loads(output)
    assert outcome["interrupted"]
    assert outcome["counts"]["failed"] == 0
    assert live_workers(plan, workspace) == []


def test_two_studies_that_share_runs_execute_each_once(
    make_plan, coordinator, fork_executor, tmp_path
):
    workspace = Workspace(tmp_path / "out")
    plans = [make_plan(study=name, rounds=4, sleep=0.03) for name in ("first", "second")]
    options = {"workers": 1, "executor": fork_executor}
    processes = [coordinator(plan, workspace, **options) for plan in plans]
    counts = []
    for process in processes:
        output, _ = process.communicate(timeout=PATIENCE)
        counts.append(json.loads(output)["counts"])
    assert [count["finished"] for count in counts] == [8, 8]
    assert sum(count["executed"] for count in counts) == 8
    attempts = [len(workspace.run(planned.run_id).attempts()) for planned in plans[0].runs]
    assert attempts == [1] * 8
