from __future__ import annotations

import json

import pytest

from ablatekit.canonical import write_json
from ablatekit.testing.runs import write_attempt
from ablatekit.tracking.process import TrackingOptions, start_mirror


@pytest.fixture
def plan_file(plan, workspace):
    path = workspace.study(plan.study).plan
    path.parent.mkdir()
    write_json(path, plan.to_json())
    return path


def test_the_mirror_process_catches_up_before_it_ends(plan, plan_file, workspace, json_tracker):
    write_attempt(workspace, plan.runs[0], [0, 1], status=None)
    handle = start_mirror(plan_file, workspace, TrackingOptions(json_tracker))
    write_attempt(workspace, plan.runs[0], [1, 2], resumed_at=0, time=2_000.0)
    for planned in plan.runs[1:]:
        write_attempt(workspace, planned, [0, 1])
    outcome = handle.finish()
    assert (outcome.warning, outcome.runs) == ("", len(plan.runs))
    records = json.loads((workspace.root / "records.json").read_text()).values()
    assert [kept["status"] for kept in records] == ["finished"] * len(plan.runs)


def test_a_mirror_that_cannot_start_is_a_warning(workspace, tmp_path, json_tracker):
    handle = start_mirror(tmp_path / "missing.json", workspace, TrackingOptions(json_tracker))
    assert "missing.json" in handle.finish().warning


def test_a_mirror_that_takes_too_long_is_a_warning(plan_file, workspace, json_tracker):
    handle = start_mirror(plan_file, workspace, TrackingOptions(json_tracker))
    assert "0.01 s" in handle.finish(timeout=0.01).warning
