from __future__ import annotations

import pytest

from ablatekit.canonical import write_json
from ablatekit.tracking.process import TrackingOptions, start_mirror

URI = "sqlite:///mlflow.db"


@pytest.fixture
def plan_file(plan, workspace):
    path = workspace.study(plan.study).plan
    path.parent.mkdir()
    write_json(path, plan.to_json())
    return path


def test_the_mirror_process_catches_up_before_it_ends(
    plan, plan_file, workspace, attempt_run, mirrored
):
    attempt_run(workspace, plan.runs[0], [0, 1], status=None)
    handle = start_mirror(plan_file, workspace, TrackingOptions(uri=URI))
    attempt_run(workspace, plan.runs[0], [1, 2], resumed_at=0, time=2_000.0)
    for planned in plan.runs[1:]:
        attempt_run(workspace, planned, [0, 1])
    assert handle.finish().warning == ""
    runs = mirrored(plan, workspace)
    assert {run["status"] for run in runs.values()} == {"FINISHED"}
    assert len(runs) == len(plan.runs)


def test_a_mirror_that_cannot_start_is_a_warning(workspace, tmp_path):
    handle = start_mirror(tmp_path / "missing.json", workspace, TrackingOptions(uri=URI))
    assert "missing.json" in handle.finish().warning


def test_a_mirror_that_takes_too_long_is_a_warning(plan_file, workspace):
    handle = start_mirror(plan_file, workspace, TrackingOptions(uri=URI))
    assert "0.01 s" in handle.finish(timeout=0.01).warning
