"""Trackio: one SQLite database a project, in $TRACKIO_DIR."""

from __future__ import annotations

import json
import math
import os
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from ablatekit.errors import Location, Problem, TableError, nearest
from ablatekit.logs.base import LoggedRun
from ablatekit.logs.sqlite import columns_of, opened_database, tables_of
from ablatekit.logs.values import (
    LoggedPoint,
    distinctly_named,
    flatten,
    in_order,
    metrics_of,
    seconds_of,
    step_of,
)

TABLES = frozenset({"metrics", "configs", "system_metrics"})
CACHE = Path("~/.cache/huggingface/trackio")
FOLDER_VARIABLE = "TRACKIO_DIR"


class TrackioLog:
    """A project's database, or a folder that holds the database of one project."""

    name: ClassVar[str] = "trackio"

    def claims(self, path: Path) -> bool:
        """Whether a .db file has trackio's tables, or a folder holds such files."""
        if path.is_dir():
            return bool(_projects(path))
        return path.suffix == ".db" and tables_of(path) >= TABLES

    def runs(self, path: Path) -> Iterator[LoggedRun]:
        """The runs of the project."""
        database = _single_project(path) if path.is_dir() else path
        with opened_database(database) as connection:
            runs = list(_runs(connection, database))
        yield from distinctly_named(runs)


def project_database(project: str) -> Path:
    """The database of a project by its name; TableError, with the nearest one, without it."""
    folder = Path(os.environ.get(FOLDER_VARIABLE) or CACHE).expanduser()
    kept = "".join(letter for letter in project if letter.isalnum() or letter in "-_").rstrip()
    path = folder / f"{kept or 'default'}.db"
    if path.exists():
        return path
    known = [other.stem for other in _projects(folder)] if folder.is_dir() else []
    remedy = nearest(project, known) + f" in {folder}; ${FOLDER_VARIABLE} names another folder"
    raise TableError(Problem("trackio has no such project", project, remedy))


def _projects(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.glob("*.db")) if tables_of(path) >= TABLES]


def _single_project(folder: Path) -> Path:
    projects = _projects(folder)
    if len(projects) == 1:
        return projects[0]
    names = ", ".join(path.name for path in projects)
    rule = "the folder holds several projects" if projects else "the folder holds no project"
    raise TableError(Problem(rule, names, "Name one of the files", Location(str(folder))))


def _runs(connection: sqlite3.Connection, path: Path) -> Iterator[LoggedRun]:
    """Runs are told apart by their id; databases of early versions have their name alone."""
    key = "run_id" if "run_id" in columns_of(connection, "metrics") else "run_name"
    configs = _configs(connection, key, path)
    points: dict[str, list[LoggedPoint]] = defaultdict(list)
    names = {run: name for run, (name, _, _) in configs.items()}
    rows = connection.execute(
        f"SELECT {key}, run_name, step, timestamp, metrics FROM metrics ORDER BY id"
    )
    for run, name, step, time, payload in rows:
        names[run] = name
        before = points[run][-1].step if points[run] else -1
        metrics = metrics_of(_mapping(payload, path))
        seconds = seconds_of(time)
        when = math.nan if seconds is None else seconds
        points[run].append(LoggedPoint(step_of(step, before), when, metrics))
    for run, name in names.items():
        _, config, created = configs.get(run, ("", {}, None))
        logged = points[run]
        first = logged[0].time if logged else math.nan
        started = created if created is not None else None if math.isnan(first) else first
        history = in_order(logged)
        yield LoggedRun(name=str(name), config=config, history=history, started=started)


def _configs(
    connection: sqlite3.Connection, key: str, path: Path
) -> dict[str, tuple[str, dict[str, Any], float | None]]:
    """Name, configuration and start of every run that was given a configuration."""
    rows = connection.execute(f"SELECT {key}, run_name, created_at, config FROM configs")
    kept = {}
    for run, name, created, payload in rows:
        given = _mapping(payload, path)
        config = {name: value for name, value in given.items() if not str(name).startswith("_")}
        start = seconds_of(given.get("_Created")) or seconds_of(created)
        kept[run] = (str(name), flatten(config), start)
    return kept


def _mapping(payload: str | bytes, path: Path) -> Mapping[str, Any]:
    try:
        value = json.loads(payload)
    except ValueError as error:
        rule = f"a row holds no JSON ({error})"
        raise TableError(Problem(rule, "", "", Location(str(path)))) from error
    return value if isinstance(value, Mapping) else {}
