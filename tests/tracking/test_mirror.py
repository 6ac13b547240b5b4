from __future__ import annotations

import sqlite3
from dataclasses import replace

import pytest

from ablatekit.design.plan import Cell
from ablatekit.errors import WorkspaceError
from ablatekit.runs.locks import file_lock
from ablatekit.runs.runlog import AttemptEnd
from ablatekit.tracking import mirror as mirror_module
from ablatekit.tracking.mirror import Mirror, sync

URI = "sqlite:///mlflow.db"


def database_rows(workspace):
    """Every row of every table of MLflow's database."""
    connection = sqlite3.connect(workspace.root / "mlflow.db")
    names = [
        name for (name,) in connection.execute("select name from sqlite_master where type='table'")
    ]
    rows = {name: sorted(map(repr, connection.execute(f"select * from {name}"))) for name in names}
    connection.close()
    return rows


def test_a_finished_run_looks_native(plan, workspace, attempt_run, synchronise, mirrored):
    attempt_run(workspace, plan.runs[0], [0, 2, 3], items=True)
    outcome = synchronise(plan, workspace)
    assert (outcome.runs, outcome.metrics) == (1, 7)
    run = mirrored(plan, workspace)[plan.runs[0].run_id]
    assert run["name"] == "f=x | m | d | 1"
    assert run["status"] == "FINISHED"
    assert run["params"] == {"f": "x", "model": "m", "dataset": "d", "replicate": "1"}
    assert run["tags"]["mlflow.user"] == "me"
    assert run["tags"]["ablatekit.status"] == "finished"
    assert run["times"][0] == 1_000_000
    assert run["datasets"] == [("d", "d" * 36)]
    assert run["artifacts"] == ["items.parquet", "spec.json"]
    assert ("train/pass_at_1", 2, "0.2", 1_002_000) in run["points"]
    assert ("loss", 3, "nan", 1_003_000) in run["points"]
    assert [point[:3] for point in run["points"] if point[0] == "final"] == [("final", 3, "2.0")]


def test_a_second_sync_changes_no_row(plan, workspace, attempt_run, synchronise):
    for planned in plan.runs[:3]:
        attempt_run(workspace, planned, [0, 1], items=True)
    synchronise(plan, workspace)
    before = database_rows(workspace)
    outcome = synchronise(plan, workspace)
    assert (outcome.runs, outcome.metrics) == (0, 0)
    assert database_rows(workspace) == before


def test_a_wiped_experiment_is_rebuilt_identical(
    plan, workspace, empty_database, attempt_run, synchronise, mirrored
):
    attempt_run(workspace, plan.runs[0], [0, 1, 2], status=None)
    synchronise(plan, workspace)
    attempt_run(workspace, plan.runs[0], [2, 3], resumed_at=1, time=2_000.0)
    attempt_run(workspace, plan.runs[1], [0], status="diverged")
    synchronise(plan, workspace)
    before = mirrored(plan, workspace)
    (workspace.root / "mlflow.db").write_bytes(empty_database.read_bytes())
    synchronise(plan, workspace)
    assert mirrored(plan, workspace) == before


def test_a_resumed_run_has_no_point_twice(plan, workspace, attempt_run, synchronise, mirrored):
    planned = plan.runs[0]
    attempt_run(workspace, planned, [0, 1, 2], status=None)
    synchronise(plan, workspace)
    assert mirrored(plan, workspace)[planned.run_id]["status"] == "KILLED"
    attempt_run(workspace, planned, [2, 3], resumed_at=1, time=2_000.0)
    synchronise(plan, workspace)
    points = mirrored(plan, workspace)[planned.run_id]["points"]
    steps = [(step, time) for key, step, _, time in points if key == "loss"]
    assert steps == [(0, 1_000_000), (1, 1_001_000), (2, 2_002_000), (3, 2_003_000)]


@pytest.mark.parametrize(
    ("kind", "status"), [("exception", "FAILED"), ("timeout", "FAILED"), ("interrupted", "KILLED")]
)
def test_a_run_without_a_result_is_never_left_running(
    plan, workspace, attempt_run, synchronise, mirrored, kind, status
):
    end = AttemptEnd(kind=kind, message="m", ended=1_500.0)
    attempt_run(workspace, plan.runs[0], [0], status=None, end=end)
    synchronise(plan, workspace)
    run = mirrored(plan, workspace)[plan.runs[0].run_id]
    assert (run["status"], run["times"]) == (status, (1_000_000, 1_500_000))


def test_a_diverged_run_is_a_result(plan, workspace, attempt_run, synchronise, mirrored):
    attempt_run(workspace, plan.runs[0], [0], status="diverged")
    synchronise(plan, workspace)
    run = mirrored(plan, workspace)[plan.runs[0].run_id]
    assert (run["status"], run["tags"]["ablatekit.status"]) == ("FINISHED", "diverged")


def test_a_new_factor_changes_the_parameters_and_not_the_number_of_runs(
    plan, workspace, attempt_run, synchronise, mirrored
):
    attempt_run(workspace, plan.runs[0], [0, 1])
    synchronise(plan, workspace)
    cells = tuple(Cell(levels={**cell.levels, "g": "off"}, unit=cell.unit) for cell in plan.cells)
    synchronise(replace(plan, cells=cells), workspace)
    runs = mirrored(plan, workspace)
    assert len(runs) == 1
    assert runs[plan.runs[0].run_id]["params"]["g"] == "off"


def test_more_points_than_mlflow_takes_at_once(plan, workspace, attempt_run, synchronise, mirrored):
    attempt_run(workspace, plan.runs[0], range(1200))
    assert synchronise(plan, workspace).metrics == 2401
    assert len(mirrored(plan, workspace)[plan.runs[0].run_id]["points"]) == 2401


@pytest.mark.parametrize("failing_call", range(1, 9))
def test_a_mirror_that_dies_between_two_calls_is_completed(
    plan, workspace, attempt_run, synchronise, mirrored, monkeypatch, failing_call
):
    """The mirror of a multi-batch run is cut off before its n-th write, then run again."""
    from mlflow.tracking import MlflowClient

    planned = plan.runs[0]
    attempt_run(workspace, planned, range(600), items=True)
    calls = []

    class CutOffError(Exception):
        pass

    def cut(name):
        original = getattr(MlflowClient, name)

        def call(self, *arguments, **keywords):
            calls.append(name)
            if len(calls) == failing_call:
                raise CutOffError
            return original(self, *arguments, **keywords)

        return call

    names = (
        "create_experiment",
        "create_run",
        "log_inputs",
        "log_batch",
        "log_artifacts",
        "set_terminated",
    )
    with monkeypatch.context() as patch:
        for name in names:
            patch.setattr(MlflowClient, name, cut(name))
        try:
            sync(plan, workspace, URI)
        except CutOffError:
            assert len(calls) == failing_call
        else:
            assert len(calls) < failing_call
    synchronise(plan, workspace)
    run = mirrored(plan, workspace)[planned.run_id]
    assert len(run["points"]) == 1201
    assert run["status"] == "FINISHED"
    assert run["datasets"] == [("d", "d" * 36)]
    assert run["artifacts"] == ["items.parquet", "spec.json"]


def test_the_run_checker_sees_a_mirror_that_forgets_its_tags(
    plan, workspace, attempt_run, synchronise, mirrored, monkeypatch
):
    """Broken control: without the look-up by tag, every sync makes every run again."""
    attempt_run(workspace, plan.runs[0], [0])
    synchronise(plan, workspace)
    monkeypatch.setattr(Mirror, "_search", lambda *_: iter(()))
    synchronise(plan, workspace)
    with pytest.raises(AssertionError):
        mirrored(plan, workspace)


def test_the_point_checker_sees_a_mirror_that_stamps_its_own_time(
    plan, workspace, attempt_run, synchronise, mirrored, monkeypatch
):
    """Broken control: points sent again with another time are points twice."""
    attempt_run(workspace, plan.runs[0], [0], status=None)
    synchronise(plan, workspace)
    original = mirror_module._log

    def stamped(client, mlflow_id, points, params, tags):
        late = [replace(point, time=point.time + 1) for point in points]
        original(client, mlflow_id, late, params, tags)

    monkeypatch.setattr(mirror_module, "_log", stamped)
    monkeypatch.setattr(
        mirror_module.Cursor, "parse", classmethod(_forgetful(mirror_module.Cursor))
    )
    synchronise(plan, workspace)
    with pytest.raises(AssertionError):
        mirrored(plan, workspace)


def _forgetful(cursor):
    parse = cursor.parse

    def parsed(_cls, text):
        return replace(parse(text), points=-1)

    return parsed


def test_a_second_mlflow_run_of_a_run_goes_and_a_page_seen_twice_does_no_harm(
    plan, workspace, attempt_run, synchronise, mirrored, monkeypatch
):
    attempt_run(workspace, plan.runs[0], [0])
    synchronise(plan, workspace)
    search = Mirror._search
    with monkeypatch.context() as patch:
        patch.setattr(Mirror, "_search", lambda *_: iter(()))
        synchronise(plan, workspace)
    monkeypatch.setattr(Mirror, "_search", lambda *given: [*search(*given), *search(*given)])
    synchronise(plan, workspace)
    assert len(mirrored(plan, workspace)) == 1


def test_an_unreachable_mlflow_is_a_warning(plan, workspace, attempt_run):
    attempt_run(workspace, plan.runs[0], [0])
    outcome = sync(plan, workspace, "http://127.0.0.1:9")
    assert outcome.runs == 0
    assert "127.0.0.1:9" in outcome.warning


def test_a_study_has_one_mirror_at_a_time(plan, workspace, monkeypatch):
    monkeypatch.setattr(mirror_module, "_LOCK_SECONDS", 0.0)
    with (
        file_lock(workspace.study(plan.study).mirror_lock),
        pytest.raises(WorkspaceError, match="mirrored already"),
        mirror_module.sole_mirror(plan, workspace, timeout=0),
    ):
        pass
