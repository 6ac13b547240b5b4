"""MLflow: a tracking database or an `mlruns` folder, read as they are; servers by its client.

This module alone imports mlflow, once it is used. Files are read without it: its client
would refuse a database of another version, and could write to it.
"""

from __future__ import annotations

import logging
import math
import os
import sqlite3
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import unquote, urlparse

import yaml

from ablatekit.errors import Location, Problem, TableError, nearest
from ablatekit.logs.base import LoggedRun, RunEnd
from ablatekit.logs.sqlite import opened_database, tables_of
from ablatekit.logs.values import LoggedPoint, distinctly_named, in_order, plain_value
from ablatekit.runs.workspace import DEFAULT_TRACKING, SQLITE, find_workspace

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}
"""MLflow's own defaults block for minutes when a server is down."""

TABLES = frozenset({"experiments", "runs", "params", "metrics", "tags"})
URI_VARIABLE = "MLFLOW_TRACKING_URI"
USUAL_NAMES = ("mlflow.db", "mlruns")
PAGE = 1000
LARGEST = 1.7976931348623157e308
"""What MLflow's database keeps for infinity."""
OWN_TAGS = ("mlflow.", "ablatekit.")
PARENT_TAG = "mlflow.parentRunId"
ENDS: Mapping[str, RunEnd] = MappingProxyType(
    {"FINISHED": "finished", "FAILED": "crashed", "KILLED": "crashed", "RUNNING": "running"}
)
ENDS_BY_NUMBER = ("", "RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED")


@dataclass(slots=True)
class _MlflowRecord:
    """What is kept of one run: params and tags as text, metrics in the order of logging."""

    run_id: str
    name: str
    status: str
    started: float | None
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    points: list[LoggedPoint] = field(default_factory=list)


class MlflowLog:
    """A tracking database (.db, .sqlite), an `mlruns` folder, or a folder that holds either."""

    name: ClassVar[str] = "mlflow"

    def claims(self, path: Path) -> bool:
        """Whether a file has MLflow's tables, or a folder experiments of MLflow's file store."""
        store = _store(path)
        if store.is_dir():
            return bool(_experiment_folders(store)) or _holds_runs(store)
        return store.is_file() and tables_of(store) >= TABLES

    def runs(self, path: Path) -> Iterator[LoggedRun]:
        """The runs of the only experiment that has runs; deleted ones are left out."""
        yield from _logged(_records_of(_store(path), None))


def _store(path: Path) -> Path:
    """The store that lies in a folder under its usual name, or the path itself."""
    inside = (path / name for name in USUAL_NAMES)
    return next((store for store in inside if store.exists()), path) if path.is_dir() else path


def experiment_runs(experiment: str) -> Sequence[LoggedRun]:
    """The runs of an experiment by its name.

    It is looked for where $MLFLOW_TRACKING_URI says; without it in the workspace's database, in
    ./mlflow.db and in ./mlruns. TableError, with the nearest name, where it is not found.
    """
    uri = os.environ.get(URI_VARIABLE)
    if uri and (path := _local(uri)) is None:
        return list(_logged(_records_of_server(uri, experiment)))
    if uri:
        return list(_logged(_records_of(_present(path, uri), experiment)))
    places = [path for path in _usual_places() if path.exists()]
    for place in places[:-1]:
        if experiment in _experiment_names(place):
            return list(_logged(_records_of(place, experiment)))
    if not places:
        looked = ", ".join(map(str, _usual_places()))
        remedy = f"Set ${URI_VARIABLE}; looked for {looked}"
        raise TableError(Problem("there is no MLflow store", "", remedy))
    return list(_logged(_records_of(places[-1], experiment)))


def _usual_places() -> list[Path]:
    workspace = find_workspace().resolve_uri(DEFAULT_TRACKING).removeprefix(SQLITE)
    return [Path(workspace), *map(Path, USUAL_NAMES)]


def _local(uri: str) -> Path | None:
    """The file or folder of a tracking URI; None for a server."""
    if uri.startswith(SQLITE):
        return Path(uri.removeprefix(SQLITE))
    parts = urlparse(uri)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return Path(uri) if not parts.scheme else None


def _present(path: Path | None, uri: str) -> Path:
    if path is None or not path.exists():
        rule = "there is no such MLflow store"
        raise TableError(Problem(rule, uri, f"Correct ${URI_VARIABLE}"))
    return path


def _logged(records: Sequence[_MlflowRecord]) -> Iterator[LoggedRun]:
    """The runs of an experiment; one that only holds others has no metrics and is none."""
    parents = {record.tags.get(PARENT_TAG) for record in records}
    runs = [_run(r) for r in records if r.points or r.run_id not in parents]
    return distinctly_named(runs)


def _run(record: _MlflowRecord) -> LoggedRun:
    tags = {k: v for k, v in record.tags.items() if not k.startswith(OWN_TAGS)}
    config = {name: plain_value(text) for name, text in {**tags, **record.params}.items()}
    return LoggedRun(
        name=record.name or record.tags.get("mlflow.runName", "") or record.run_id,
        config={name: None if value == "None" else value for name, value in config.items()},
        history=in_order(record.points),
        end=ENDS.get(record.status, "unknown"),
        started=record.started,
    )


def _records_of(path: Path, experiment: str | None) -> list[_MlflowRecord]:
    if not path.is_dir():
        return _records_of_database(path, experiment)
    if experiment is None and _holds_runs(path):
        return _records_of_folder(path)
    folders = {name: folder for folder, name in _experiment_folders(path).items()}
    used = [name for name, folder in folders.items() if _holds_runs(folder)]
    return _records_of_folder(folders[_chosen(experiment, folders, used, path)])


def _chosen(
    experiment: str | None, names: Mapping[str, Any], used: Sequence[str], path: Path
) -> str:
    """The experiment that is meant: the named one, or the only one with runs."""
    where = Location(str(path))
    if experiment is not None:
        if experiment not in names:
            rule = "MLflow has no such experiment"
            raise TableError(Problem(rule, experiment, nearest(experiment, names), where))
        return experiment
    if len(used) == 1:
        return used[0]
    rule = "it holds several experiments" if used else "it holds no runs"
    remedy = f"Set ${URI_VARIABLE} to it and name one: mlflow:EXPERIMENT" if used else ""
    raise TableError(Problem(rule, ", ".join(used), remedy, where))


def _experiment_names(path: Path) -> Sequence[str]:
    if path.is_dir():
        return list(_experiment_folders(path).values())
    with opened_database(path) as connection:
        return list(_experiment_ids(connection))


# The database


def _experiment_ids(connection: sqlite3.Connection) -> dict[str, object]:
    rows = connection.execute(
        "SELECT name, experiment_id FROM experiments WHERE lifecycle_stage = 'active'"
    )
    return {str(name): number for name, number in rows}


def _records_of_database(path: Path, experiment: str | None) -> list[_MlflowRecord]:
    with opened_database(path) as connection:
        names = _experiment_ids(connection)
        alive = "SELECT DISTINCT experiment_id FROM runs WHERE lifecycle_stage = 'active'"
        busy = {number for (number,) in connection.execute(alive)}
        used = [name for name, number in names.items() if number in busy]
        return _database_records(connection, names[_chosen(experiment, names, used, path)])


def _database_records(connection: sqlite3.Connection, experiment: object) -> list[_MlflowRecord]:
    rows = connection.execute(
        "SELECT run_uuid, name, status, start_time FROM runs"
        " WHERE experiment_id = ? AND lifecycle_stage = 'active'",
        (experiment,),
    )
    records = {
        run: _MlflowRecord(run, name or "", status, None if start is None else start / 1000)
        for run, name, status, start in rows
    }
    chosen = "run_uuid IN (SELECT run_uuid FROM runs WHERE experiment_id = ?)"
    for table in ("params", "tags"):
        found = connection.execute(
            f"SELECT run_uuid, key, value FROM {table} WHERE {chosen} ORDER BY key", (experiment,)
        )
        for run, key, value in found:
            if run in records:
                getattr(records[run], table)[key] = value
    points = connection.execute(
        f"SELECT run_uuid, key, value, is_nan, step, timestamp FROM metrics WHERE {chosen}"
        " ORDER BY timestamp",
        (experiment,),
    )
    for run, key, value, is_nan, step, time in points:
        if run in records:
            number = math.nan if is_nan or value is None else _stored_number(value)
            records[run].points.append(LoggedPoint(step or 0, (time or 0) / 1000, {key: number}))
    return list(records.values())


def _stored_number(value: float) -> float:
    return math.copysign(math.inf, value) if abs(value) >= LARGEST else float(value)


# The file store


def _experiment_folders(path: Path) -> dict[Path, str]:
    """Folders of experiments with their names; deleted ones lie elsewhere."""
    folders = {}
    for meta in sorted(path.glob("*/meta.yaml")):
        content = _meta(meta)
        if "experiment_id" in content and "run_id" not in content:
            folders[meta.parent] = str(content.get("name", meta.parent.name))
    return folders


def _holds_runs(folder: Path) -> bool:
    return any("run_id" in _meta(path) for path in folder.glob("*/meta.yaml"))


def _meta(path: Path) -> Mapping[str, Any]:
    """What describes an experiment or a run; nothing where it cannot be read."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return content if isinstance(content, dict) else {}


def _records_of_folder(folder: Path) -> list[_MlflowRecord]:
    metas = {path.parent: _meta(path) for path in sorted(folder.glob("*/meta.yaml"))}
    return [
        _folder_record(path, meta)
        for path, meta in metas.items()
        if "run_id" in meta and meta.get("lifecycle_stage", "active") == "active"
    ]


def _folder_record(folder: Path, meta: Mapping[str, Any]) -> _MlflowRecord:
    status, start = meta.get("status"), meta.get("start_time")
    known = isinstance(status, int) and 0 <= status < len(ENDS_BY_NUMBER)
    return _MlflowRecord(
        run_id=str(meta["run_id"]),
        name=str(meta.get("run_name") or ""),
        status=ENDS_BY_NUMBER[status] if known and isinstance(status, int) else str(status),
        started=start / 1000 if isinstance(start, int | float) else None,
        params=dict(_texts(folder / "params")),
        tags=dict(_texts(folder / "tags")),
        points=sorted(_folder_points(folder / "metrics"), key=lambda point: point.time),
    )


def _texts(folder: Path) -> Iterator[tuple[str, str]]:
    """Every file of a folder as its name, which may have slashes, and its content."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        try:
            yield path.relative_to(folder).as_posix(), path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            rule = f"cannot be read ({error})"
            raise TableError(Problem(rule, "", "", Location(str(path)))) from error


def _folder_points(folder: Path) -> Iterator[LoggedPoint]:
    """One line a value: milliseconds, value, and the step in all but early versions."""
    for name, text in _texts(folder):
        for number, line in enumerate(text.splitlines(), 1):
            words = line.split()
            try:
                step = int(words[2]) if len(words) > 2 else number - 1
                yield LoggedPoint(step, int(words[0]) / 1000, {name: float(words[1])})
            except (ValueError, IndexError) as error:
                where = Location(str(folder / name), number)
                rule = "a line is no time, value and step"
                raise TableError(Problem(rule, line, "", where)) from error


# Servers


def _records_of_server(uri: str, experiment: str) -> list[_MlflowRecord]:
    with quiet_mlflow():
        from mlflow.exceptions import MlflowException

        try:
            return list(_server_records(mlflow_client(uri), experiment))
        except MlflowException as error:
            told = str(error).splitlines()[0]
            rule = f"MLflow's server did not answer ({told})"
            raise TableError(Problem(rule, uri, f"${URI_VARIABLE} names it")) from error


def _server_records(client: MlflowClient, experiment: str) -> Iterator[_MlflowRecord]:
    kept = client.get_experiment_by_name(experiment)
    if kept is None:
        names = [other.name for other in client.search_experiments()]
        rule = "MLflow has no such experiment"
        raise TableError(Problem(rule, experiment, nearest(experiment, names)))
    token: str | None = None
    while True:
        page = client.search_runs([kept.experiment_id], max_results=PAGE, page_token=token)
        for run in page:
            yield _server_record(client, run)
        token = page.token
        if not token:
            return


def _server_record(client: MlflowClient, run: Any) -> _MlflowRecord:
    start = run.info.start_time
    points: dict[int, list[LoggedPoint]] = defaultdict(list)
    for key in run.data.metrics:
        for value in client.get_metric_history(run.info.run_id, key):
            points[value.timestamp].append(
                LoggedPoint(value.step, value.timestamp / 1000, {key: value.value})
            )
    return _MlflowRecord(
        run_id=run.info.run_id,
        name=run.info.run_name or "",
        status=run.info.status,
        started=None if start is None else start / 1000,
        params=dict(sorted(run.data.params.items())),
        tags=dict(sorted(run.data.tags.items())),
        points=[point for time in sorted(points) for point in points[time]],
    )


@contextmanager
def quiet_mlflow() -> Iterator[None]:
    """MLflow whose failures come soon, and whose own deprecations and notes are not the user's."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def mlflow_client(uri: str) -> MlflowClient:
    """A client for a tracking URI; to be used inside `quiet_mlflow`."""
    from mlflow.tracking import MlflowClient

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return MlflowClient(tracking_uri=uri)
