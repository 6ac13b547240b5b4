"""The CSV that the interface of Weights & Biases exports: status, time and roles."""

from __future__ import annotations

from pathlib import Path

import pytest

from ablatekit.analysis.table import analyse_table
from ablatekit.analysis.tables.read import read_for_formula, read_table
from ablatekit.analysis.tables.readers.base import ROLES

HEADER = (
    '"Name","State","Notes","User","Tags","Created","Runtime","Sweep","opt","seed","_step","acc"'
)


def export(path: Path, states: tuple[str, ...] = ("finished",) * 6) -> Path:
    """Runs of two optimizers, adam .25 better, in which the last may have ended otherwise."""
    rows = [
        f'"run-{n}","{state}","-","me","","2026-11-{n + 10}T10:00:00.000Z","{60 + n}","",'
        f'"{("sgd", "adam")[n % 2]}","{n // 2}","100","{0.5 + 0.25 * (n % 2) + 0.01 * (n // 2)}"'
        for n, state in enumerate(states)
    ]
    path.write_text("\n".join([HEADER, *rows]) + "\n")
    return path


def test_columns_have_roles_and_endings(tmp_path: Path) -> None:
    frame = read_table(export(tmp_path / "wandb_export.csv"))
    roles = frame.attrs[ROLES]
    assert roles["Name"] == "name"
    assert {roles[name] for name in ("State", "User", "Created", "Runtime", "_step")} == {"about"}
    assert (roles["seed"], roles["started"]) == ("seed", "started")
    assert "opt" not in roles
    assert "acc" not in roles
    assert frame["started"].tolist()[0] == 1794304800.0
    assert set(frame["status"]) == {"finished"}


def test_crashed_runs_are_counted_and_not_analysed(tmp_path: Path) -> None:
    path = export(tmp_path / "a.csv", ("finished",) * 6 + ("crashed", "killed"))
    analysis = analyse_table(read_table(path, ["opt"]), "acc", ["opt"])
    assert (analysis["counts"]["analysed"], analysis["counts"]["failed"]) == (6, 2)
    effect = analysis["responses"]["acc"]["effects"][0]
    assert effect["estimate"] == pytest.approx(0.25)


def test_a_time_that_is_none_is_missing(tmp_path: Path) -> None:
    path = export(tmp_path / "a.csv")
    path.write_text(path.read_text().replace("2026-11-10T10:00:00.000Z", "yesterday"))
    assert read_table(path)["started"].isna().tolist() == [True] + [False] * 5


def test_a_formula_reads_its_columns_alone(tmp_path: Path) -> None:
    frame = read_for_formula(export(tmp_path / "a.csv"), "acc ~ opt")
    assert list(frame.columns) == ["opt", "acc"]


def test_a_table_with_a_name_and_a_state_is_no_export(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("Name,State,acc\nx,Ohio,1\ny,Utah,2\n")
    frame = read_table(path)
    assert "status" not in frame
    assert ROLES not in frame.attrs
