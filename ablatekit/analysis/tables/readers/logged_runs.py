"""Logged runs as a table: one row a run, what it was given, its last metrics, how it ended."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd

from ablatekit.analysis.core.schema.vocabulary import Statement, statement
from ablatekit.analysis.tables.readers.base import ROLES, TOLD, Role
from ablatekit.analysis.tables.words import STATUS
from ablatekit.errors import Location, Problem, TableError
from ablatekit.logs.base import LoggedRun, RunEnd
from ablatekit.logs.formats import load_log

RUN, STARTED = "run", "started"
FIXED = frozenset({RUN, STATUS, STARTED, "item", "outcome", "sample"})
"""Names that have a meaning of their own: a setting of such a name is `config.NAME`."""
NULL = "none"
"""The level of a setting that a run was given as null; one that it was not given is missing."""
SEEDS = re.compile(r"(^|[._-])(seed|random_state|randomseed|rngseed)$", re.IGNORECASE)
PLACES = frozenset(
    {
        "output_dir", "logging_dir", "log_dir", "save_dir", "run_dir", "work_dir", "workdir", "cwd",
        "checkpoint_dir", "run_name", "run_id", "exp_name", "experiment_name", "name", "id", "uuid",
        "host", "hostname", "node", "pid", "user", "username", "date", "time", "timestamp",
        "git_commit", "git_sha", "git_hash", "commit", "sha", "version",
    }
)  # fmt: skip
"""Settings that say where, when and under which name a run was made, if their whole name is so."""


class RunsReader:
    """What readers of runs share; a subclass names its format in `ablatekit.logs`."""

    name: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]] = ()
    yields_to: ClassVar[frozenset[str]] = frozenset()

    def claims(self, path: Path) -> bool:
        """Whether the log's format says that it is one of its own."""
        return load_log(self.name).claims(path)

    def logged(self, path: Path) -> Sequence[LoggedRun]:
        """The runs with their history."""
        try:
            return list(load_log(self.name).runs(path))
        except OSError as error:
            where = Location(str(path))
            raise TableError(Problem(f"cannot be read ({error})", "", "", where)) from error

    def columns(self, path: Path) -> Sequence[str]:
        """The columns of the table of runs."""
        return [str(name) for name in self.read(path).columns]

    def read(
        self, path: Path, labels: Collection[str] = (), columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """One row per run; `attrs[ROLES]` says what the columns are."""
        return frame_of(self.logged(path), self.name, str(path), labels, columns)


def frame_of(
    runs: Sequence[LoggedRun],
    log: str,
    source: str,
    labels: Collection[str] = (),
    columns: Sequence[str] | None = None,
) -> pd.DataFrame:
    """The table of runs, shape (runs, columns); TableError, with `source`, where there are none.

    Columns: `run`, what runs were given, the last value of their metrics, `status`, `started`. A
    run of whose log nothing is left is left out. `attrs[TOLD]` says what was recognised and what is
    missing.
    """
    kept = [run for run in runs if run.config or run.final or not run.cut]
    if not kept:
        rule = "its logs hold no run that can be read" if runs else "it holds no runs"
        raise TableError(Problem(rule, "", "", Location(source)))
    data, roles = _columns(kept, labels)
    frame = pd.DataFrame(data)
    frame = frame if columns is None else frame[list(columns)]
    frame.attrs[ROLES] = {name: role for name, role in roles.items() if name in frame}
    frame.attrs[TOLD] = list(_told(runs, kept, roles, log))
    return frame


def _columns(
    runs: Sequence[LoggedRun], labels: Collection[str]
) -> tuple[dict[str, Any], dict[str, Role]]:
    data: dict[str, Any] = {RUN: [run.name for run in runs]}
    roles: dict[str, Role] = {}
    metrics = list(dict.fromkeys(name for run in runs for name in run.final))
    settings = list(dict.fromkeys(name for run in runs for name in run.config))
    for name in settings:
        column = f"config.{name}" if name in FIXED or name in metrics else name
        data[column] = _setting([_given(run, name) for run in runs], column in labels)
        roles[column] = _role(name)
    for metric in metrics:
        column = f"metric.{metric}" if metric in data or metric in FIXED else metric
        data[column] = [run.final.get(metric, float("nan")) for run in runs]
        roles[column] = "metric"
    if (ends := [_status(run.end) for run in runs]) and any(ends):
        data[STATUS] = pd.Series(ends, dtype=object)
    if any(run.started is not None for run in runs):
        data[STARTED] = pd.Series([run.started for run in runs], dtype=float)
        roles[STARTED] = "started"
    return data, roles


def _given(run: LoggedRun, name: str) -> Any:
    value = run.config.get(name)
    return NULL if name in run.config and value is None else value


def _role(name: str) -> Role:
    if SEEDS.search(name):
        return "seed"
    return "about" if name.casefold() in PLACES else "setting"


def _status(end: RunEnd) -> str | None:
    return None if end == "unknown" else end


def _setting(values: Sequence[Any], is_label: bool) -> pd.Series[Any]:
    """A column of one kind: whole numbers stay whole where some are missing; else as they are.

    Numbers among which no word stands are numbers, whatever their spelling: 0.1 and "1e-4".
    """
    column = pd.Series(list(values), dtype=object)
    given = column.dropna()
    if is_label:
        return column.map(str, na_action="ignore")
    if given.empty or not all(_is_number(value) for value in given):
        return column
    if given.map(lambda value: isinstance(value, int)).all():
        exact = given.map(abs).max() < 1 << 63
        kind = "int64" if len(given) == len(column) else "Int64"
        return column.astype(kind) if exact else column.map(str, na_action="ignore")
    return pd.to_numeric(column)


def _is_number(value: object) -> bool:
    if isinstance(value, bool):
        return False
    if isinstance(value, str):
        try:
            float(value)
        except ValueError:
            return False
        return "_" not in value and value.strip().casefold().lstrip("+-") not in NOT_LEVELS
    return isinstance(value, int | float)


NOT_LEVELS = frozenset({"nan", "inf", "infinity"})


def _told(
    runs: Sequence[LoggedRun], kept: Sequence[LoggedRun], roles: Mapping[str, Role], log: str
) -> Iterator[Statement]:
    """What was recognised; then runs whose logs end early, and those of which nothing is left."""
    metrics = sum(role == "metric" for role in roles.values())
    given = sum(role in ("setting", "seed") for role in roles.values())
    yield statement("recognised_runs", log=log, runs=len(kept), settings=given, metrics=metrics)
    if lost := [run.name for run in runs if run not in kept]:
        yield statement("unreadable_logs", runs=lost)
    if cut := [run.name for run in kept if run.cut]:
        yield statement("logs_cut", runs=cut)
