from __future__ import annotations

from ablatekit.dispatch.coordinator import DispatchOptions, execute
from ablatekit.dispatch.progress import SilentObserver
from ablatekit.workspace import Workspace


def test_every_run_of_a_plan_gets_a_result_and_a_second_call_does_nothing(
    make_plan, contents, tmp_path
):
    plan, workspace = make_plan(items=5), Workspace(tmp_path)
    first = execute(plan, workspace, DispatchOptions(workers=2), SilentObserver())
    assert (first.counts.planned, first.counts.finished, first.counts.executed) == (8, 8, 8)
    assert not first.failed
    assert not first.interrupted
    before = contents(plan, workspace)
    second = execute(plan, workspace, DispatchOptions(workers=2), SilentObserver())
    assert (second.counts.finished, second.counts.executed) == (8, 0)
    assert contents(plan, workspace) == before
