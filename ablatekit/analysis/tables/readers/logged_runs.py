"""Logged runs as a table: one row a run, what it was given, its last metrics, how it ended."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

import pandas as pd

from ablatekit.analysis.core.schema.vocabulary import Statement, statement
from ablatekit.analysis.tables.readers.base import MESSAGES, NULL, ROLES, Role
from ablatekit.analysis.tables.readers.columns import role_of_setting
from ablatekit.analysis.tables.words import STATUS
from ablatekit.errors import Location, Problem, TableError
from ablatekit.logs.base import LoggedRun, RunEnd
from ablatekit.logs.formats import load_log

RUN, STARTED = "run", "started"
FIXED = frozenset({RUN, STATUS, STARTED, "item", "outcome", "sample"})
"""Names that have a meaning of their own: a setting of such a name is `config.NAME`."""
NOT_LEVELS = frozenset({"nan", "inf", "infinity"})


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
        return frame_of(self.logged(path), str(path), labels, columns)


@runtime_checkable
class NamedRuns(Protocol):
    """What a reader of runs has beside NamedSources: the runs of a name with their history."""

    def logged_named(self, name: str) -> Sequence[LoggedRun]:
        """The runs of what `name` means."""


def frame_of(
    runs: Sequence[LoggedRun],
    source: str,
    labels: Collection[str] = (),
    columns: Sequence[str] | None = None,
) -> pd.DataFrame:
    """The table of runs, shape (runs, columns); TableError, with `source`, where there are none.

    Columns: `run`, what runs were given, the last value of their metrics, `status`, `started`. A
    run of whose log nothing is left is left out, and `attrs[MESSAGES]` says so.
    """
    kept = [run for run in runs if run.config or run.final or not run.cut]
    if not kept:
        rule = "its logs hold no run that can be read" if runs else "it holds no runs"
        raise TableError(Problem(rule, "", "", Location(source)))
    data, roles = _columns(kept, labels)
    frame = pd.DataFrame(data)
    frame = frame if columns is None else frame[list(columns)]
    frame.attrs[ROLES] = {name: role for name, role in roles.items() if name in frame}
    frame.attrs[MESSAGES] = list(_told(runs, kept))
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
        roles[column] = role_of_setting(name)
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


def _status(end: RunEnd) -> str | None:
    return None if end == "unknown" else end


def _setting(values: Sequence[Any], is_label: bool) -> pd.Series[Any]:
    """A column of one kind: whole numbers stay whole where some are missing; else as they are.

    Numbers among which no word stands are numbers, whatever their spelling: 0.1 and "1e-4". One
    number is one level, spelt as it comes first: nobody can mend the spelling in a log.
    """
    column = pd.Series(list(_spelt_alike(values)), dtype=object)
    given = column.dropna()
    if is_label:
        return column.map(str, na_action="ignore")
    if given.empty or not all(_is_number(value) for value in given):
        return column
    if given.map(lambda value: isinstance(value, int)).all():
        exact = given.map(abs).max() < 1 << 63
        if not exact:
            return column.map(str, na_action="ignore")
        return column.astype("Int64") if len(given) < len(column) else column.astype("int64")
    return pd.to_numeric(column)


def _spelt_alike(values: Sequence[Any]) -> Iterator[Any]:
    """The values, equal numbers as the first of them: 1e-4, "1e-4" and 0.0001 are one."""
    first: dict[Any, Any] = {}
    for value in values:
        number = _number_meant(value)
        yield value if number is None else first.setdefault(number, value)


def _number_meant(value: object) -> int | float | None:
    """The number that a setting is; None for other settings, and for text such as "1.10".

    A program that writes a number as text writes it so or with an exponent; the zero at the end of
    a version is none of a number.
    """
    if not _is_number(value):
        return None
    if not isinstance(value, str):
        return value  # type: ignore[return-value]
    number = float(value)
    text = value.strip().casefold()
    if "e" in text or text == repr(number):
        return number
    return int(text) if text == str(int(number)) else None


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


def _told(runs: Sequence[LoggedRun], kept: Sequence[LoggedRun]) -> Iterator[Statement]:
    """Runs of whose logs nothing is left, and those whose logs end early."""
    if lost := [run.name for run in runs if run not in kept]:
        yield statement("unreadable_logs", runs=lost)
    if cut := [run.name for run in kept if run.cut]:
        yield statement("logs_cut", runs=cut)
