"""Storages of Optuna: SQLite databases and journals, one row per trial of a study."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Literal, TypeAlias, TypeVar

import pandas as pd

from ablatekit.analysis.tables.readers.base import DIRECTIONS, NULL, ROLES, Role, has_suffix
from ablatekit.analysis.tables.readers.columns import (
    column_names,
    role_of_setting,
    typed_column,
)
from ablatekit.analysis.tables.readers.jsonl import json_objects
from ablatekit.errors import Location, Problem, TableError, nearest
from ablatekit.logs.sqlite import MAGIC, opened_database, tables_of
from ablatekit.logs.values import flatten, seconds_of

JOURNAL = b'{"op_code"'
OF_OPTUNA = frozenset({"studies", "study_directions", "trials", "trial_params"})
"""Tables of its databases."""
METRIC_NAMES = "study:metric_names"
STATES = ("running", "complete", "pruned", "fail", "waiting")
"""By the number that a journal writes."""
ENDED = ("complete", "pruned", "fail")
Side: TypeAlias = Literal["higher", "lower"]
SIDES: Mapping[object, Side] = MappingProxyType(
    {1: "lower", 2: "higher", "MINIMIZE": "lower", "MAXIMIZE": "higher"}
)
Read = TypeVar("Read")
CREATE_STUDY, DELETE_STUDY, STUDY_ATTRIBUTE, CREATE_TRIAL = 0, 1, 3, 4
PARAMETER, STATE_AND_VALUES, USER_ATTRIBUTE = 5, 6, 8


class OptunaReader:
    """One row per trial: parameters, objectives by name (`value` without one), user attributes.

    A storage with several studies is named with one of them: `optuna:PATH#STUDY`. Trials that
    failed, were pruned or still run stay, with their state as status. A journal may be growing.
    """

    name: ClassVar[str] = "optuna"
    suffixes: ClassVar[tuple[str, ...]] = (".db", ".sqlite", ".sqlite3", ".log", ".journal")
    scheme: ClassVar[str] = "optuna"

    def claims(self, path: Path) -> bool:
        """Whether it is a database with the tables of Optuna, or a journal by its first bytes."""
        if not (path.is_file() and has_suffix(path, self.suffixes)):
            return False
        start = _start(path)
        return start.startswith(JOURNAL) or (tables_of(path) >= OF_OPTUNA)

    def columns(self, path: Path) -> Sequence[str]:
        """The names of the columns; the trials are read for them."""
        return [str(name) for name in self.read(path).columns]

    def read(
        self, path: Path, labels: Collection[str] = (), columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """The trials of the only study in a storage."""
        return _frame(_chosen(path, None), labels, columns)

    def read_named(
        self, name: str, labels: Collection[str] = (), columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """The trials of PATH#STUDY; with PATH alone, of the only study there."""
        place, _, study = name.partition("#")
        path = Path(place.removeprefix("sqlite:///"))
        if not path.is_file():
            raise TableError(Problem("there is no such file", "", "", Location(str(path))))
        return _frame(_chosen(path, study or None), labels, columns)


@dataclass
class _Trial:
    number: int
    state: str = "running"
    started: float | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    objectives: dict[int, float] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass
class _Study:
    name: str
    sides: dict[int, Side | None] = field(default_factory=dict)
    """Objective -> which side is better; None where the study does not say."""
    metric_names: list[str] | None = None
    trials: dict[int, _Trial] = field(default_factory=dict)

    def objective(self, place: int) -> str:
        """What an objective is called."""
        if self.metric_names and place < len(self.metric_names):
            return self.metric_names[place]
        return "value" if len(self.sides) < 2 else f"value_{place}"


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(len(MAGIC))


def _chosen(path: Path, name: str | None) -> _Study:
    start = _start(path)
    if start.startswith(MAGIC):
        with opened_database(path) as database:
            database.row_factory = sqlite3.Row
            studies = _sound(Location(str(path)), "", partial(_stored, path, database))
    elif start.startswith(b"{"):
        studies = _replayed(path)
    else:
        raise TableError(Problem("it is no storage of Optuna", "", "", Location(str(path))))
    known = {study.name: study for study in studies}
    if name is None and len(known) == 1:
        return studies[0]
    where = Location(str(path))
    if not known:
        raise TableError(Problem("the storage holds no study", "", "", where))
    if name is None:
        remedy = f"Name one: optuna:{path}#{next(iter(known))}"
        raise TableError(
            Problem("the storage holds several studies", ", ".join(known), remedy, where)
        )
    if name not in known:
        raise TableError(Problem("there is no such study", name, nearest(name, known), where))
    return known[name]


def _stored(path: Path, database: sqlite3.Connection) -> list[_Study]:
    """The studies of a database."""
    studies = {
        row["study_id"]: _Study(str(row["study_name"])) for row in _rows(database, "studies")
    }
    for row in _rows(database, "study_directions"):
        studies[row["study_id"]].sides[row["objective"]] = SIDES.get(row["direction"])
    for row in _rows(database, "study_system_attributes"):
        if row["key"] == METRIC_NAMES:
            studies[row["study_id"]].metric_names = _names(_json(path, row["value_json"]))
    trials: dict[int, _Trial] = {}
    for row in _rows(database, "trials"):
        started = seconds_of(row["datetime_start"])
        trials[row["trial_id"]] = _Trial(row["number"], row["state"].lower(), started)
        studies[row["study_id"]].trials[row["trial_id"]] = trials[row["trial_id"]]
    for row in _rows(database, "trial_params"):
        value = _parameter(path, row["param_value"], row["distribution_json"])
        trials[row["trial_id"]].parameters[str(row["param_name"])] = value
    for row in _rows(database, "trial_values"):
        trials[row["trial_id"]].objectives[row["objective"]] = _value(row)
    for row in _rows(database, "trial_user_attributes"):
        trials[row["trial_id"]].attributes[str(row["key"])] = _json(path, row["value_json"])
    return list(studies.values())


def _rows(database: sqlite3.Connection, table: str) -> Iterator[sqlite3.Row]:
    yield from database.execute(f"SELECT * FROM {table} ORDER BY 1")


def _value(row: sqlite3.Row) -> float:
    kind = row["value_type"] if "value_type" in row.keys() else "FINITE"  # noqa: SIM118
    return float({"INF_POS": "inf", "INF_NEG": "-inf"}.get(kind, row["value"]))


def _parameter(path: Path, internal: float, distribution: str) -> Any:
    """A parameter as it was suggested: a choice, a whole number or a number."""
    told = _json(path, distribution)
    kind, attributes = told.get("name", ""), told.get("attributes", {})
    if kind == "CategoricalDistribution":
        return attributes["choices"][int(internal)]
    return int(internal) if kind.startswith("Int") else internal


def _json(path: Path, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        problem = Problem(f"cannot be read ({error})", "", "", Location(str(path)))
        raise TableError(problem) from error


def _names(value: Any) -> list[str]:
    return [str(name) for name in value]


def _replayed(path: Path) -> list[_Study]:
    """The studies that the operations of a journal amount to."""
    journal = _Journal(path)
    for line, operation in json_objects(path, growing=True):
        shown = json.dumps(operation)[:60]
        _sound(Location(str(path), line), shown, partial(journal.apply, operation))
    return list(journal.studies.values())


def _sound(where: Location, shown: str, read: Callable[[], Read]) -> Read:
    """What `read` gives; TableError where a row or a line is not as Optuna writes it."""
    try:
        return read()
    except (KeyError, TypeError, IndexError, AttributeError, ValueError, OverflowError) as error:
        what = "the database holds a row" if where.line is None else "the line is an operation"
        raise TableError(
            Problem(f"{what} that Optuna does not write there", shown, "", where)
        ) from error


class _Journal:
    """Studies and trials are numbered in the order of their creation, as Optuna counts them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.studies: dict[int, _Study] = {}
        self.trials: dict[int, _Trial] = {}
        self._created = 0

    def apply(self, operation: Mapping[str, Any]) -> None:
        """Takes in one line; what rows do not show is passed over."""
        code = operation["op_code"]
        if code == CREATE_STUDY:
            self._create_study(operation)
        elif code in (PARAMETER, STATE_AND_VALUES, USER_ATTRIBUTE):
            self._change_trial(code, operation)
        elif code in (DELETE_STUDY, STUDY_ATTRIBUTE, CREATE_TRIAL):
            study = self.studies.get(operation["study_id"])
            if study is not None:  # else another worker has deleted it
                self._change_study(code, study, operation)

    def _create_study(self, operation: Mapping[str, Any]) -> None:
        """A second study of one name is none: two workers began it at once."""
        name = str(operation["study_name"])
        if all(study.name != name for study in self.studies.values()):
            sides = {place: SIDES.get(s) for place, s in enumerate(operation["directions"])}
            self.studies[self._created] = _Study(name, sides)
            self._created += 1

    def _change_study(self, code: int, study: _Study, operation: Mapping[str, Any]) -> None:
        if code == DELETE_STUDY:
            del self.studies[operation["study_id"]]
        elif code == CREATE_TRIAL:
            self._create_trial(study.trials, operation)
        else:
            names = operation["system_attr"].get(METRIC_NAMES)
            study.metric_names = study.metric_names if names is None else _names(names)

    def _create_trial(self, trials: dict[int, _Trial], operation: Mapping[str, Any]) -> None:
        trial = _Trial(len(trials), STATES[operation.get("state") or 0])
        trial.started = seconds_of(operation.get("datetime_start"))
        for name, value in (operation.get("params") or {}).items():
            told = operation["distributions"][name]
            trial.parameters[name] = _parameter(self.path, value, told)
        single = operation.get("value")
        values = operation.get("values") or ([] if single is None else [single])
        trial.objectives = dict(enumerate(values))
        trial.attributes = dict(operation.get("user_attrs") or {})
        self.trials[len(self.trials)] = trial
        trials[len(self.trials) - 1] = trial

    def _change_trial(self, code: int, operation: Mapping[str, Any]) -> None:
        """A trial that has ended stays as it is."""
        trial = self.trials[operation["trial_id"]]
        if trial.state in ENDED:
            return
        if code == PARAMETER:
            told, value = operation["distribution"], operation["param_value_internal"]
            trial.parameters[str(operation["param_name"])] = _parameter(self.path, value, told)
        elif code == USER_ATTRIBUTE:
            trial.attributes |= operation["user_attr"]
        else:
            trial.state = STATES[operation["state"]]
            trial.started = seconds_of(operation.get("datetime_start")) or trial.started
            trial.objectives |= dict(enumerate(operation.get("values") or []))


def _frame(study: _Study, labels: Collection[str], columns: Sequence[str] | None) -> pd.DataFrame:
    """The trials of a study in the order of their numbers."""
    trials = sorted(study.trials.values(), key=lambda trial: trial.number)
    objectives = {place: study.objective(place) for place in study.sides}
    rows: list[dict[str, Mapping[str, Any]]] = [
        {
            "params": {n: NULL if v is None else v for n, v in trial.parameters.items()},
            "values": {objectives[place]: v for place, v in trial.objectives.items()},
            "user_attrs": flatten(trial.attributes),
        }
        for trial in trials
    ]
    groups = {
        "values": list(objectives.values()),
        "params": [name for row in rows for name in row["params"]],
        "user_attrs": [name for row in rows for name in row["user_attrs"]],
    }
    names = column_names(groups)
    held = {
        column: [row[group].get(name) for row in rows] for (group, name), column in names.items()
    }
    fixed: dict[str, list[Any]] = {
        "run": [f"trial {trial.number}" for trial in trials],
        "status": [trial.state for trial in trials],
        "started": [trial.started for trial in trials],
    }
    typed = {n: typed_column(v, text=n in labels) for n, v in {**fixed, **held}.items()}
    frame = pd.DataFrame(typed)
    frame.attrs[ROLES] = {"run": "name", "started": "started", **_roles(names, typed)}
    frame.attrs[DIRECTIONS] = {
        names["values", objectives[place]]: side
        for place, side in study.sides.items()
        if side is not None
    }
    return frame if columns is None else frame[list(columns)]


def _roles(
    names: Mapping[tuple[str, str], str], typed: Mapping[str, pd.Series[Any]]
) -> dict[str, Role]:
    """Numbers that a trial was given as attributes are further metrics."""
    roles: dict[str, Role] = {}
    for (group, name), column in names.items():
        numeric = pd.api.types.is_numeric_dtype(typed[column])
        if group == "params":
            roles[column] = role_of_setting(name)
        else:
            roles[column] = "metric" if group == "values" or numeric else "about"
    return roles
