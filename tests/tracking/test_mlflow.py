from __future__ import annotations

import shutil
import sqlite3
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablatekit.runs.workspace import Workspace
from ablatekit.testing.runs import small_plan, write_attempt
from ablatekit.testing.tracker_suite import CutOffError, StoredRun, TrackerSuite
from ablatekit.tracking.mirror import sync
from ablatekit.tracking.mlflow import (
    MAX_ENTITIES,
    MAX_PARAMS,
    MlflowTracker,
    metric_key,
    mlflow_client,
    param_pieces,
    quiet_mlflow,
)

URI = "sqlite:///mlflow.db"
SETTINGS = {"uri": URI}
STATUSES = {"FINISHED": "finished", "FAILED": "failed", "KILLED": "interrupted"}


def shown(plan, workspace):
    """Every MLflow run of a study with its histories and the names of its artifacts."""
    with quiet_mlflow():
        client = mlflow_client(workspace.resolve_uri(URI))
        experiment = client.get_experiment_by_name(plan.study)
        try:
            for run in client.search_runs([experiment.experiment_id]):
                points = [
                    (key, point.step, repr(point.value), point.timestamp)
                    for key in run.data.metrics
                    for point in client.get_metric_history(run.info.run_id, key)
                ]
                files = [file.path for file in client.list_artifacts(run.info.run_id)]
                yield run, points, files
        finally:
            client._tracking_client.store.engine.dispose()


@pytest.mark.usefixtures("database")
class TestMlflowTracker(TrackerSuite):
    tracker_name = "mlflow"
    settings = SETTINGS

    @pytest.fixture(autouse=True)
    def _know_the_empty_database(self, empty_database):
        self.empty = empty_database

    def stored(self, plan, workspace):
        return [
            StoredRun(
                run_id=run.data.tags["ablatekit.run"],
                name=run.info.run_name,
                status=STATUSES.get(run.info.status, "running"),
                params=run.data.params,
                tags=run.data.tags,
                points=points,
                files=files,
            )
            for run, points, files in shown(plan, workspace)
        ]

    def wipe(self, plan, workspace):  # noqa: ARG002
        shutil.copy(self.empty, workspace.root / "mlflow.db")


def database_rows(path):
    """Every row of every table of MLflow's database."""
    connection = sqlite3.connect(path)
    names = [
        name for (name,) in connection.execute("select name from sqlite_master where type='table'")
    ]
    rows = {name: sorted(map(repr, connection.execute(f"select * from {name}"))) for name in names}
    connection.close()
    return rows


def test_a_finished_run_looks_native_and_a_second_sync_changes_no_row(plan, workspace, database):
    write_attempt(workspace, plan.runs[0], [0, 2, 3], items=True)
    assert sync(plan, workspace, "mlflow", SETTINGS).warning == ""
    ((run, points, _),) = shown(plan, workspace)
    assert run.info.run_name == "f=x | m | d | 1"
    assert run.data.tags["mlflow.user"] == "me"
    assert run.data.tags["mlflow.source.name"] == "ablatekit study run"
    assert (run.info.start_time, run.info.status) == (1_000_000, "FINISHED")
    assert run.info.end_time > 1_000_000
    datasets = [(used.dataset.name, used.dataset.digest) for used in run.inputs.dataset_inputs]
    assert datasets == [("d", "d" * 36)]
    assert ("train/pass_at_1", 2, "0.2", 1_002_000) in points
    before = database_rows(database)
    sync(plan, workspace, "mlflow", SETTINGS)
    assert database_rows(database) == before


@pytest.mark.usefixtures("database")
def test_more_points_and_parameters_than_mlflow_takes_at_once(workspace):
    many = {f"p{number}": "v" * 7000 for number in range(95)}
    plan = small_plan()
    cells = (replace(cell, levels={**cell.levels, **many}) for cell in plan.cells)
    plan = replace(plan, cells=tuple(cells))
    write_attempt(workspace, plan.runs[0], range(500))
    outcome = sync(plan, workspace, "mlflow", SETTINGS)
    assert (outcome.metrics, outcome.warning) == (1001, "")
    ((run, points, _),) = shown(plan, workspace)
    assert len(points) == 1001
    assert len(run.data.params) == 99
    assert len(run.data.params["p0"]) == 6000


@pytest.mark.usefixtures("database")
def test_a_mirror_that_dies_between_data_set_and_points_is_completed(plan, workspace, monkeypatch):
    from mlflow.tracking import MlflowClient

    def cut(*_arguments, **_keywords):
        raise CutOffError

    write_attempt(workspace, plan.runs[0], [0])
    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "log_batch", cut)
        with pytest.raises(CutOffError):
            sync(plan, workspace, "mlflow", SETTINGS)
    sync(plan, workspace, "mlflow", SETTINGS)
    ((run, points, _),) = shown(plan, workspace)
    assert len(points) == 3
    assert [used.dataset.name for used in run.inputs.dataset_inputs] == ["d"]


@pytest.mark.usefixtures("database")
def test_a_page_seen_twice_does_no_harm(plan, workspace, monkeypatch):
    write_attempt(workspace, plan.runs[0], [0])
    sync(plan, workspace, "mlflow", SETTINGS)
    search = MlflowTracker._search
    monkeypatch.setattr(MlflowTracker, "_search", lambda *given: [*search(*given), *search(*given)])
    assert sync(plan, workspace, "mlflow", SETTINGS).runs == 0
    assert len(list(shown(plan, workspace))) == 1


def test_an_unreachable_mlflow_is_a_warning(plan, workspace):
    write_attempt(workspace, plan.runs[0], [0])
    outcome = sync(plan, workspace, "mlflow", {"uri": "http://127.0.0.1:9"})
    assert outcome.runs == 0
    assert outcome.warning.startswith("MLflow at http://127.0.0.1:9 is incomplete: ")


def test_relative_databases_lie_in_the_workspace(plan, tmp_path):
    tracker = MlflowTracker(plan, Workspace(tmp_path), MlflowTracker.settings())
    assert tracker.place == f"MLflow at sqlite:///{tmp_path}/mlflow.db"


@given(params=st.integers(0, 250), room=st.integers(0, MAX_ENTITIES))
def test_parameters_are_sent_once_in_order_and_within_the_limits(params, room):
    sent = {f"p{number}": "v" for number in range(params)}
    pieces = param_pieces(sent, room)
    assert [pair for piece in pieces for pair in piece] == list(sent.items())
    assert all(len(piece) <= MAX_PARAMS for piece in pieces)
    assert len(pieces[-1]) <= room


def test_metric_names_become_what_mlflow_accepts():
    assert metric_key("train/pass@1") == "train/pass_at_1"
    assert metric_key("a(b)%") == "a_b__"
