"""Runs that other tools have logged, from their files to effects."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from ablatekit.analysis.table import analyse_table
from ablatekit.analysis.tables.read import logged_runs, read_table, recognised
from ablatekit.analysis.tables.readers.base import MESSAGES, ROLES
from ablatekit.errors import TableError

NESTED = ("optimizer.name", "optimizer.lr", "eval/accuracy")
SOURCES = {
    "mlflow/database": ("mlflow", *NESTED),
    "mlflow/files": ("mlflow", *NESTED),
    "tensorboard/planted": ("tensorboard", *NESTED),
    "trackio/planted": ("trackio", *NESTED),
    "trainer_state/planted": ("trainer_state", "optimizer", "lr", "eval_accuracy"),
    "wandb/planted": ("wandb", *NESTED),
}
"""By archive: the reader that knows it, and the columns of the planted factors and the response."""


SCRIPTS = Path(__file__).parents[3] / "reference" / "foreign"
FRESH = {
    "make_mlflow": ("mlflow/database", ("mlflow-skinny", "sqlalchemy", "alembic")),
    "make_tensorboard": ("tensorboard/planted", ()),
    "make_trackio": ("trackio/planted", ("trackio",)),
    "make_trainer_state": ("trainer_state/planted", ()),
    "make_wandb": ("wandb/planted", ("wandb",)),
}
"""By script: the archive that it made, and what is installed for it; nothing where torch is needed,
whose own environment would take minutes."""


def planted_effects(frame: pd.DataFrame, optimizer: str, rate: str, y: str) -> dict[str, float]:
    """The average effects of a table of planted runs, by factor."""
    analysis = analyse_table(frame, y, [optimizer, rate], ["dataset"], {rate: "0.1"})
    return {
        row["factor"]: row["estimate"]
        for row in analysis["responses"][y]["effects"]
        if row["estimand"] == "average" and row["inference"] == "narrow"
    }


@pytest.mark.parametrize("archive", SOURCES)
def test_effects_of_real_logs_are_those_that_were_planted(
    archive: str, unpacked: Callable[[str], Path]
) -> None:
    reader, optimizer, rate, accuracy = SOURCES[archive]
    folder = unpacked(archive)
    assert recognised(folder) == reader
    frame = read_table(folder)
    assert frame.shape[0] == 16
    assert frame.attrs[MESSAGES] == []
    effects = planted_effects(frame, optimizer, rate, accuracy)
    assert effects == {optimizer: pytest.approx(-0.125, abs=1e-9), rate: pytest.approx(0.0625)}
    roles = frame.attrs[ROLES]
    assert roles["seed"] == "seed"
    assert {roles[optimizer], roles[rate], roles["dataset"]} == {"setting"}
    assert roles[accuracy] == "metric"
    histories = [[event.metrics[accuracy] for event in run.history] for run in logged_runs(folder)]
    assert all(values[:2] == [0.25, 0.375] for values in histories)
    assert [values[2] for values in histories] == list(frame[accuracy])


@pytest.mark.full
@pytest.mark.parametrize("script", FRESH)
def test_logs_made_anew_give_the_planted_effects(
    script: str, fresh_python: Callable[..., Path], tmp_path: Path
) -> None:
    archive, packages = FRESH[script]
    reader, optimizer, rate, accuracy = SOURCES[archive]
    python = fresh_python(*packages) if packages else Path(sys.executable)
    made = tmp_path / "made"
    command = [python, SCRIPTS / f"{script}.py", made]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    assert recognised(made) == reader
    effects = planted_effects(read_table(made), optimizer, rate, accuracy)
    assert effects == {optimizer: pytest.approx(-0.125, abs=1e-9), rate: pytest.approx(0.0625)}


def test_projects_and_experiments_are_read_by_name(
    unpacked: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACKIO_DIR", str(unpacked("trackio/planted")))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{unpacked('mlflow/database')}/mlflow.db")
    for source in ("trackio:planted", "mlflow:planted"):
        assert len(read_table(source)) == 16
        assert len(logged_runs(source)) == 16
    for source, named in (("trackio:plantd", "planted"), ("mlflow:plnted", "planted")):
        with pytest.raises(TableError, match=f"Did you mean '{named}'"):
            read_table(source)


def test_a_name_of_no_kind_is_answered_with_the_kinds() -> None:
    with pytest.raises(TableError, match=r"Known: .*mlflow:NAME.*trackio:NAME.*wandb:NAME"):
        read_table("nothing:planted")


def test_a_path_with_a_colon_is_a_path_where_one_is_there(
    unpacked: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = unpacked("trackio/planted")
    (folder / "mlflow:planted").mkdir()
    (folder / "planted.db").rename(folder / "mlflow:planted" / "planted.db")
    monkeypatch.chdir(folder)
    assert len(read_table("mlflow:planted")) == 16


def test_event_files_beside_the_logs_of_another_tool_are_its_by_product(
    unpacked: Callable[[str], Path],
) -> None:
    folder = unpacked("trainer_state/planted")
    unpacked("tensorboard/planted").rename(folder / "runs")
    assert "eval_accuracy" in read_table(folder)


def test_a_folder_with_logs_of_two_tools_is_refused_by_their_names(
    unpacked: Callable[[str], Path],
) -> None:
    folder = unpacked("trainer_state/planted")
    unpacked("wandb/planted").rename(folder / "wandb")
    with pytest.raises(TableError, match=r"received trainer_state, wandb.*--reader trainer_state"):
        read_table(folder)
    assert "eval/accuracy" in read_table(folder, reader="wandb")


def test_an_unknown_folder_is_answered_with_what_lies_there(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"an empty folder.*Looked for .*trackio"):
        read_table(tmp_path)
    for number in range(10):
        (tmp_path / f"notes{number}").mkdir()
    with pytest.raises(TableError, match=r"notes0/, notes1/.* and 2 more"):
        read_table(tmp_path)


def test_a_table_has_no_history(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    path.write_text("a,y\n1,2\n", encoding="utf-8")
    with pytest.raises(TableError, match="no logged runs"):
        logged_runs(path)


@pytest.mark.parametrize(
    "reader", ["metric_files", "mlflow", "tensorboard", "trackio", "trainer_state", "wandb"]
)
def test_a_reader_that_is_named_for_what_is_not_its_own_refuses_it(
    reader: str, tmp_path: Path
) -> None:
    table = tmp_path / "runs.csv"
    table.write_text("a,y\n1,2\n", encoding="utf-8")
    empty = tmp_path / "empty"
    empty.mkdir()
    for path in (table, empty):
        with pytest.raises(TableError, match=path.name):
            read_table(path, reader=reader)


def test_a_name_too_long_for_a_path_is_no_file() -> None:
    with pytest.raises(TableError, match="there is no such file"):
        read_table("x" * 5000)
