"""What is missing where, and that a mirror which repeats or stamps is noticed."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from ablatekit.errors import PluginError, WorkspaceError
from ablatekit.runs.locks import file_lock
from ablatekit.runs.records import MetricEvent
from ablatekit.runs.runlog import ResultRecord
from ablatekit.testing.runs import write_attempt
from ablatekit.testing.tracker_suite import StoredRun, TrackerSuite
from ablatekit.tracking import mirror as mirror_module
from ablatekit.tracking.base import Point, TrackerError
from ablatekit.tracking.mirror import (
    Add,
    Attach,
    Create,
    Cursor,
    Delete,
    Kept,
    Mirror,
    MirrorOutcome,
    SetStatus,
    face_of,
    missing_writes,
    run_points,
    sole_mirror,
    sync,
    view_run,
)


@pytest.mark.usefixtures("json_tracker")
class TestJsonTracker(TrackerSuite):
    """The smallest tracker fulfils the contract, so the contract is no image of MLflow."""

    tracker_name = "json"

    def stored(self, plan, workspace):
        tracker = self.tracker(plan, workspace)
        return [
            StoredRun(
                run_id=kept["run_id"],
                name=kept["name"],
                status=kept["status"],
                params=kept["params"],
                tags=kept["tags"],
                points=[tuple(point) for point in kept["points"]],
                files=kept["files"],
            )
            for kept in tracker._read().values()
        ]

    def wipe(self, plan, workspace):
        Path(self.tracker(plan, workspace).place).unlink()


class _Forgetting(TestJsonTracker):
    __test__ = False

    def tracker(self, plan, workspace):
        tracker = super().tracker(plan, workspace)
        tracker.open = tuple
        return tracker


class _Stamping(TestJsonTracker):
    __test__ = False

    def tracker(self, plan, workspace):
        tracker = super().tracker(plan, workspace)
        add = tracker.add

        def stamped(key, content):
            late = [replace(point, time=point.time + 1) for point in content.points]
            add(key, content)
            add(key, replace(content, points=late))

        tracker.add = stamped
        return tracker


@pytest.mark.parametrize(
    ("broken", "finding"),
    [(_Forgetting, "more than one record"), (_Stamping, "points twice")],
)
def test_the_suite_sees_a_tracker_that_repeats_itself(json_tracker, tmp_path, broken, finding):
    assert json_tracker == "json"
    with pytest.raises(AssertionError, match=finding):
        broken().test_a_resumed_run_has_no_point_twice(tmp_path)


def kinds(writes):
    return [type(write) for write in writes]


@pytest.fixture
def missing(plan, workspace):
    """What the first run's record lacks, and what a tracker that has done it all would hold."""

    def compute(kept=None, at_once=100):
        planned = plan.runs[0]
        face = face_of(plan, plan.cells[0], planned)
        writes = missing_writes(face, view_run(workspace.run(planned.run_id)), kept, at_once)
        for write in writes:
            match write:
                case Create():
                    kept = Kept("key", Cursor.parse(write.record.cursor), "running")
                case Add():
                    kept = replace(kept, cursor=Cursor.parse(write.content.cursor))
                case SetStatus():
                    kept = replace(kept, status=write.status)
        return writes, kept

    return compute


def test_a_record_is_made_filled_and_ended_in_this_order(plan, workspace, missing):
    write_attempt(workspace, plan.runs[0], [0, 1])
    writes, kept = missing(at_once=2)
    assert kinds(writes) == [Create, Attach, Add, Add, Add, SetStatus]
    contents = [write.content for write in writes if isinstance(write, Add)]
    assert [len(content.points) for content in contents] == [2, 2, 1]
    assert [bool(content.params) for content in contents] == [True, False, False]
    assert [Cursor.parse(content.cursor).points for content in contents] == [2, 4, 5]
    assert [Cursor.parse(content.cursor).ended is None for content in contents] == [1, 1, 0]
    assert missing(kept) == ([], kept)


def test_a_run_that_goes_on_adds_its_new_points_alone(plan, workspace, missing):
    with ExitStack() as alive:
        write_attempt(workspace, plan.runs[0], [0, 1], status=None, alive=alive)
        writes, kept = missing()
    assert kinds(writes) == [Create, Add]
    assert kinds(missing(kept)[0]) == [SetStatus]
    write_attempt(workspace, plan.runs[0], [2], status=None, resumed_at=1)
    assert kinds(missing(replace(kept, cursor=replace(kept.cursor, attempt=2)))[0]) == [
        Add,
        SetStatus,
    ]


def test_points_of_an_attempt_that_was_repeated_are_void(plan, workspace, missing):
    write_attempt(workspace, plan.runs[0], [0, 1], status=None)
    _, kept = missing()
    write_attempt(workspace, plan.runs[0], [0, 1])
    writes, _ = missing(kept)
    assert kinds(writes) == [Delete, Create, Attach, Add, SetStatus]


def test_a_cursor_survives_its_text():
    cursor = Cursor(identity="a/b", attempt=3, points=-1, ended=None)
    assert Cursor.parse(cursor.text()) == cursor


def test_a_final_metric_that_was_logged_is_not_a_point_again():
    history = [MetricEvent(step=4, time=1.0, metrics={"a": 1.0})]
    result = ResultRecord(
        run_id="r",
        status="finished",
        metrics={"a": 1.0, "b": 2.0},
        message="",
        started=0.0,
        ended=2.5,
        attempts=(),
    )
    assert run_points(history, result) == [Point("a", 1.0, 1000, 4), Point("b", 2.0, 2500, 4)]


class Unreachable:
    """A tracker that is down."""

    place = "the tracker"
    closed = 0

    def open(self):
        raise TrackerError("no route")

    def close(self):
        self.closed += 1


def test_a_tracker_that_is_down_is_a_warning_and_is_tried_again(plan, workspace):
    tracker = Unreachable()
    mirror = Mirror(plan, workspace, tracker)
    mirror.update()
    mirror.update()
    warning = "the tracker is incomplete: no route"
    assert mirror.outcome == MirrorOutcome(warning=warning, place="the tracker")
    assert tracker.closed == 2


def test_an_unknown_tracker_is_refused_by_name(plan, workspace):
    with pytest.raises(PluginError, match=r"'no-such'.*mlflow"):
        sync(plan, workspace, "no-such", {})


def test_a_tracker_that_lacks_a_method_is_refused(plan, workspace, json_tracker, monkeypatch):
    monkeypatch.delattr("jsontracker.JsonTracker.attach")
    with pytest.raises(PluginError, match="does not fulfil the contract"):
        sync(plan, workspace, json_tracker, {})


def test_a_study_has_one_mirror_at_a_time(plan, workspace):
    with (
        file_lock(workspace.study(plan.study).mirror_lock),
        pytest.raises(WorkspaceError, match="mirrored already"),
        sole_mirror(plan, workspace, timeout=0),
    ):
        raise AssertionError("there are two mirrors")


def test_a_mirror_waits_for_another_writer_of_the_workspace(plan, workspace, monkeypatch):
    monkeypatch.setattr(mirror_module, "_LOCK_SECONDS", 0.0)
    mirror = Mirror(plan, workspace, Unreachable())
    with file_lock(workspace.tracking_lock):
        mirror.update()
    assert "locked" in mirror.outcome.warning
