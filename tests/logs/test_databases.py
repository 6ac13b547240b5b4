"""Trackio's and MLflow's databases that are damaged, half written, or hold odd runs."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from ablatekit.errors import TableError
from ablatekit.logs import mlflow
from ablatekit.logs.base import LoggedRun
from ablatekit.logs.formats import load_log
from ablatekit.logs.mlflow import experiment_runs

Unpacked = Callable[[str], Path]


def runs_of(log: str, path: Path) -> list[LoggedRun]:
    return list(load_log(log).runs(path))


def changed(path: Path, *statements: str) -> Path:
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)
    return path


@pytest.fixture
def project(unpacked: Unpacked) -> Path:
    return unpacked("trackio/planted") / "planted.db"


@pytest.fixture
def store(unpacked: Unpacked) -> Path:
    return unpacked("mlflow/database") / "mlflow.db"


@pytest.mark.parametrize("log", ["trackio", "mlflow"])
def test_a_database_that_was_cut_or_damaged_is_refused_with_the_file(
    log: str, project: Path, store: Path
) -> None:
    path = project if log == "trackio" else store
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(TableError, match=rf"{path.name}: cannot be read .*damaged"):
        runs_of(log, path)
    path.write_bytes(b"SQLite format 3\0" + b"?" * 4096)
    assert not load_log(log).claims(path)
    with pytest.raises(TableError, match="cannot be read"):
        runs_of(log, path)


def test_reading_leaves_a_database_as_it_is(project: Path) -> None:
    before = project.read_bytes()
    runs_of("trackio", project)
    assert project.read_bytes() == before
    assert [path.name for path in project.parent.iterdir()] == ["planted.db"]


def test_runs_of_one_name_are_told_apart_by_their_id(project: Path) -> None:
    for table in ("metrics", "configs"):
        changed(project, f"UPDATE {table} SET run_name = 'same'")
    names = [run.name for run in runs_of("trackio", project)]
    assert names[:2] == ["same", "same (2)"]
    assert len(set(names)) == 16


def test_trackio_keeps_what_is_not_finite_and_runs_without_metrics(project: Path) -> None:
    first = "(SELECT min(id) FROM metrics)"
    changed(
        project,
        f"""UPDATE metrics SET metrics = '{{"a": "NaN", "b": "-Infinity", "t": {{"_type": "x"}}}}'
            WHERE id = {first}""",
        "DELETE FROM metrics WHERE run_name LIKE 'sgd%'",
    )
    runs = {run.name: run for run in runs_of("trackio", project)}
    metrics = runs["adam-0.1-letters-0"].history[0].metrics
    assert math.isnan(metrics["a"])
    assert dict(metrics) == {"a": metrics["a"], "b": -math.inf}
    assert len(runs) == 16
    assert runs["sgd-0.1-letters-0"].final == {}
    assert runs["sgd-0.1-letters-0"].config["optimizer.name"] == "sgd"


def test_early_databases_of_trackio_know_runs_by_name(project: Path) -> None:
    changed(
        project,
        "CREATE TABLE early AS SELECT id, timestamp, run_name, step, metrics FROM metrics",
        "DROP TABLE metrics",
        "ALTER TABLE early RENAME TO metrics",
    )
    runs = runs_of("trackio", project)
    assert len(runs) == 16
    assert all(run.config and run.history for run in runs)


def test_a_row_that_is_no_json_is_refused(project: Path) -> None:
    changed(project, "UPDATE metrics SET metrics = '{\"a\": ' WHERE id = 3")
    with pytest.raises(TableError, match="a row holds no JSON"):
        runs_of("trackio", project)


def test_a_folder_of_several_projects_names_them(project: Path) -> None:
    (project.parent / "other.db").write_bytes(project.read_bytes())
    with pytest.raises(TableError, match=r"several projects; received other\.db, planted\.db"):
        runs_of("trackio", project.parent)


def test_mlflow_tells_how_runs_ended_and_what_is_not_finite(store: Path) -> None:
    changed(
        store,
        "UPDATE runs SET status = 'RUNNING' WHERE name LIKE 'sgd-0.1-%'",
        "UPDATE runs SET status = 'KILLED' WHERE name LIKE 'sgd-0.01-%'",
        "UPDATE metrics SET is_nan = 1, value = 0 WHERE key = 'train/loss' AND step = 3",
        "UPDATE metrics SET value = 1.7976931348623157e308 WHERE key = 'train/loss' AND step = 2",
        "UPDATE runs SET lifecycle_stage = 'deleted' WHERE name = 'adam-0.1-letters-0'",
    )
    runs = {run.name: run for run in runs_of("mlflow", store)}
    assert len(runs) == 15
    assert runs["sgd-0.1-letters-0"].end == "running"
    assert runs["sgd-0.01-letters-0"].end == "crashed"
    losses = [event.metrics["train/loss"] for event in runs["adam-0.01-digits-0"].history]
    assert losses[:2] == [0.5, math.inf]
    assert math.isnan(losses[2])


def test_a_run_that_only_holds_others_is_no_run(store: Path) -> None:
    parent = "(SELECT run_uuid FROM runs WHERE name = 'adam-0.1-letters-0')"
    changed(
        store,
        "INSERT INTO tags (key, value, run_uuid) SELECT 'mlflow.parentRunId',"
        f" {parent}, run_uuid FROM runs WHERE run_uuid != {parent}",
        f"DELETE FROM metrics WHERE run_uuid = {parent}",
        "INSERT INTO tags (key, value, run_uuid) SELECT 'model', 'tiny', run_uuid FROM runs",
    )
    runs = runs_of("mlflow", store)
    assert len(runs) == 15
    assert {run.config["model"] for run in runs} == {"tiny"}


def test_experiments_are_named_where_there_are_several(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed(
        store,
        "UPDATE runs SET experiment_id = 0 WHERE name LIKE 'sgd%'",
    )
    with pytest.raises(TableError, match=r"several experiments; received .*planted"):
        runs_of("mlflow", store)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store}")
    assert len(experiment_runs("planted")) == len(experiment_runs("Default")) == 8


def test_the_workspace_and_the_working_folder_are_looked_through(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("ABLATEKIT_WORKSPACE", raising=False)
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.chdir(empty)
    with pytest.raises(TableError, match=r"there is no MLflow store.*mlruns"):
        experiment_runs("planted")
    monkeypatch.chdir(store.parent)
    assert len(experiment_runs("planted")) == 16
    monkeypatch.chdir(empty)
    monkeypatch.setenv("ABLATEKIT_WORKSPACE", str(store.parent))
    assert len(experiment_runs("planted")) == 16


@pytest.mark.parametrize("uri", ["sqlite:////nowhere/mlflow.db", "/nowhere/mlruns"])
def test_a_store_that_is_not_there_is_refused(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(TableError, match="no such MLflow store"):
        experiment_runs("planted")


def test_a_server_tells_the_same_as_its_database(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = f"sqlite:///{store}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    direct = experiment_runs("planted")
    monkeypatch.setattr(mlflow, "_local", lambda _uri: None)
    assert experiment_runs("planted") == direct
    with pytest.raises(TableError, match="Did you mean 'planted'"):
        experiment_runs("plnted")


def test_a_server_that_does_not_answer_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(TableError, match=r"did not answer .*received http://127\.0\.0\.1:9"):
        experiment_runs("planted")


def test_damaged_files_of_a_run_are_refused_at_their_line(unpacked: Unpacked) -> None:
    folder = unpacked("mlflow/files") / "mlruns"
    path = next(folder.glob("*/*/metrics/eval/accuracy"))
    path.write_text(f"{path.read_text()}17 x\n")
    with pytest.raises(TableError, match=r"accuracy:4: a line is no time, value and step"):
        runs_of("mlflow", folder)


def test_a_run_whose_description_is_damaged_is_none(unpacked: Unpacked) -> None:
    folder = unpacked("mlflow/files")
    next(folder.glob("mlruns/*/*/meta.yaml")).write_text("{")
    assert len(runs_of("mlflow", folder)) == 15
