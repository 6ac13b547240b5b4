"""Storages of Optuna: databases and journals alike, states, directions, and what is damaged."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

import pytest

from ablatekit.analysis.table import analyse_table
from ablatekit.analysis.tables.read import load_reader, read_table
from ablatekit.analysis.tables.readers.base import DIRECTIONS, ROLES
from ablatekit.analysis.tables.readers.optuna import OptunaReader
from ablatekit.errors import TableError
from ablatekit.testing.reader_suite import ReaderSuite

REAL = Path(__file__).parents[3] / "reference" / "foreign" / "optuna"
OF_LAYERS = json.dumps({"name": "IntDistribution", "attributes": {"low": 1, "high": 2}})


def journal(path: Path, *operations: dict[str, Any]) -> Path:
    """A journal with the study `s`, which minimises, and further operations."""
    first = {"op_code": 0, "worker_id": "w", "study_name": "s", "directions": [1]}
    text = "".join(json.dumps(operation) + "\n" for operation in (first, *operations))
    path.write_text(text)
    return path


def trial(number: int, layers: float, value: float | None, state: int = 1) -> list[dict[str, Any]]:
    return [
        {"op_code": 4, "study_id": 0, "datetime_start": "2026-11-30T10:00:00+00:00"},
        {"op_code": 5, "trial_id": number, "param_name": "layers", "param_value_internal": layers,
         "distribution": OF_LAYERS},
        {"op_code": 6, "trial_id": number, "state": state,
         "values": None if value is None else [value]},
    ]  # fmt: skip


class TestJournal(ReaderSuite):
    reader_name = "optuna"
    expected: ClassVar = {
        "run": ["trial 0", "trial 1"],
        "status": ["complete", "fail"],
        "started": [1796032800.0] * 2,
        "value": [0.5, None],
        "layers": [1, 2],
    }

    def source(self, folder: Path) -> Path:
        return journal(folder / "journal.log", *trial(0, 1.0, 0.5), *trial(1, 2.0, None, 3))


@pytest.mark.parametrize("name", ["grid.db#grid", "grid.log#grid", "grid.log"])
def test_real_storages_give_the_planted_effects(name: str) -> None:
    frame = OptunaReader().read_named(str(REAL / name), ["layers"])
    assert len(frame) == 18
    assert frame.attrs[DIRECTIONS] == {"loss": "lower"}
    analysis = analyse_table(frame, "loss", ["optimizer", "layers"], baselines={"optimizer": "sgd"})
    rows = analysis["responses"]["loss"]["effects"]
    effects = {r["level"]: r["estimate"] for r in rows if r["estimand"] == "average"}
    assert effects == {"adam": pytest.approx(-0.25), "2": pytest.approx(-0.1)}
    assert {r["verdict"] for r in rows if r["estimand"] == "average" and r["p"]} == {"helps"}
    assert analysis["counts"]["analysed"] == 16, "a failed and a pruned trial have no result"


def test_database_and_journal_hold_the_same() -> None:
    database, log = (OptunaReader().read_named(str(REAL / f"grid.{k}#grid")) for k in ("db", "log"))
    key = ["optimizer", "layers", "seed", "status", "loss", "host"]
    left, right = (frame[key].sort_values(key).reset_index(drop=True) for frame in (database, log))
    assert left.equals(right)
    assert abs(database["started"].min() - log["started"].min()) < 3600


def test_columns_have_roles() -> None:
    frame = read_table(REAL / "grid.log")
    roles = frame.attrs[ROLES]
    assert roles == {
        "run": "name",
        "started": "started",
        "loss": "metric",
        "optimizer": "setting",
        "layers": "setting",
        "seed": "seed",
        "host": "about",
    }
    assert frame["status"].value_counts().to_dict() == {"complete": 16, "fail": 1, "pruned": 1}


def test_objectives_without_names_are_numbered_and_have_their_own_directions() -> None:
    frame = OptunaReader().read_named(f"{REAL / 'grid.db'}#front")
    assert frame.attrs[DIRECTIONS] == {"value_0": "higher", "value_1": "lower"}
    means = frame.groupby("width")[["value_0", "value_1"]].mean()
    assert [means[name][16] - means[name][8] for name in means] == pytest.approx([0.4, 16.0])


def test_several_studies_are_refused_with_their_names() -> None:
    with pytest.raises(TableError, match=r"several studies; received grid, front.*grid\.db#grid"):
        read_table(REAL / "grid.db")
    with pytest.raises(TableError, match="Did you mean 'grid'"):
        OptunaReader().read_named(f"{REAL / 'grid.db'}#gird")
    with pytest.raises(TableError, match="there is no such file"):
        OptunaReader().read_named(str(REAL / "none.db"))


def test_a_study_that_two_workers_began_is_one(tmp_path: Path) -> None:
    again = {"op_code": 0, "worker_id": "v", "study_name": "s", "directions": [1]}
    frame = read_table(journal(tmp_path / "a.log", again, *trial(0, 1.0, 0.5)))
    assert frame["value"].tolist() == [0.5]


def test_a_trial_that_has_ended_is_not_changed(tmp_path: Path) -> None:
    late = {"op_code": 6, "trial_id": 0, "state": 3, "values": [9.0]}
    frame = read_table(journal(tmp_path / "a.log", *trial(0, 1.0, 0.5), late))
    assert frame[["value", "status"]].to_numpy().tolist() == [[0.5, "complete"]]


def test_a_deleted_study_leaves_nothing(tmp_path: Path) -> None:
    path = journal(tmp_path / "a.log", *trial(0, 1.0, 0.5), {"op_code": 1, "study_id": 0})
    with pytest.raises(TableError, match="the storage holds no study"):
        read_table(path)


def test_enqueued_trials_and_infinities_are_read(tmp_path: Path) -> None:
    waiting = {
        "op_code": 4, "study_id": 0, "datetime_start": None, "state": 4, "user_attrs": {"x": 2.5},
        "params": {"layers": 2.0}, "distributions": {"layers": OF_LAYERS},
    }  # fmt: skip
    path = journal(tmp_path / "a.log", *trial(0, 1.0, float("inf")), waiting)
    frame = read_table(path)
    assert frame["status"].tolist() == ["complete", "waiting"]
    assert frame["layers"].tolist() == [1, 2]
    assert frame["value"].tolist()[0] == float("inf")
    assert frame.attrs[ROLES]["x"] == "metric"


def test_a_parameter_with_the_name_of_an_objective_is_told_apart(tmp_path: Path) -> None:
    operations = trial(0, 1.0, 0.5)
    operations[1]["param_name"] = "value"
    frame = read_table(journal(tmp_path / "a.log", *operations))
    assert frame[["values.value", "params.value"]].to_numpy().tolist() == [[0.5, 1.0]]
    assert frame.attrs[DIRECTIONS] == {"values.value": "lower"}


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (
            '{"op_code": 6, "trial_id": 7, "state": 1}',
            "a.log:2: the line is an operation that Optuna does not write",
        ),
        ('{"op_code": 4, "stu\n', "a.log:2: the line is not JSON"),
        ('{"other": 1}', "a.log:2: the line is an operation that Optuna does not write"),
    ],
)
def test_a_damaged_journal_is_refused_at_its_line(line: str, told: str, tmp_path: Path) -> None:
    path = journal(tmp_path / "a.log")
    path.write_text(path.read_text() + line)
    with pytest.raises(TableError) as refused:
        read_table(path)
    assert told in str(refused.value)


def test_a_cut_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "grid.db"
    path.write_bytes((REAL / "grid.db").read_bytes()[:20_000])
    with pytest.raises(TableError, match=r"grid\.db: cannot be read"):
        read_table(path, reader="optuna")


def test_a_line_that_is_being_written_is_not_there_yet(tmp_path: Path) -> None:
    path = journal(tmp_path / "a.log", *trial(0, 1.0, 0.5))
    path.write_text(path.read_text() + '{"op_code": 4, "study_id')
    assert read_table(path)["value"].tolist() == [0.5]


def test_a_row_that_optuna_does_not_write_is_refused(tmp_path: Path) -> None:
    path = Path(shutil.copy(REAL / "grid.db", tmp_path))
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE trial_params SET distribution_json = NULL WHERE param_id = 3")
    with pytest.raises(
        TableError, match=r"grid\.db: the database holds a row that Optuna does not"
    ):
        read_table(path)


def test_names_that_are_no_text_are_taken_as_text(tmp_path: Path) -> None:
    operations = trial(0, 1.0, 0.5)
    operations[1]["param_name"] = 3
    named = {"op_code": 3, "study_id": 0, "system_attr": {"study:metric_names": [7]}}
    frame = read_table(journal(tmp_path / "a.log", named, *operations))
    assert {"3", "7"} <= set(frame.columns)


def test_a_database_of_something_else_is_not_claimed(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE notes (x)")
    assert not load_reader("optuna").claims(path)
    (tmp_path / "train.log").write_text("epoch 1\n")
    assert not load_reader("optuna").claims(tmp_path / "train.log")


def test_a_storage_is_only_read(tmp_path: Path) -> None:
    path = Path(shutil.copy(REAL / "grid.db", tmp_path / "a study #1?.db"))
    before = path.read_bytes()
    path.chmod(0o444)
    assert len(OptunaReader().read(Path(shutil.copy(REAL / "grid.log", tmp_path)))) == 18
    with pytest.raises(TableError, match="several studies"):
        OptunaReader().read(path)
    assert path.read_bytes() == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a study #1?.db", "grid.log"]


def test_none_is_a_choice_and_no_gap(tmp_path: Path) -> None:
    distribution = json.dumps(
        {"name": "CategoricalDistribution", "attributes": {"choices": ["adam", None]}}
    )
    chosen = [
        [dict(operation, distribution=distribution, param_name="opt")
         if operation["op_code"] == 5 else operation
         for operation in trial(number, float(number), 0.5 + number)]
        for number in (0, 1)
    ]  # fmt: skip
    path = journal(tmp_path / "a.log", *chosen[0], *chosen[1])
    assert read_table(path)["opt"].tolist() == ["adam", "none"]
