from __future__ import annotations

from pathlib import Path

import pytest

from ablatekit.backend import Backend
from ablatekit.cli.main import invoke
from ablatekit.design.build import build_plan
from ablatekit.design.starter import starter_study
from ablatekit.plugins import load_backend
from ablatekit.study.load import parse_study


@pytest.mark.parametrize("name", ["fake", "simulated"])
def test_a_starter_study_validates(name: str, backend: Backend) -> None:
    chosen = backend if name == "fake" else load_backend(name)
    text = starter_study(chosen)
    plan = build_plan(parse_study(text, Path("starter.yaml")), chosen)
    assert len(plan.factors) == 2
    assert plan.merged == ()
    assert len(plan.contexts[0]) == 2
    assert plan.replicates == 2


@pytest.mark.parametrize("name", ["function", "command"])
def test_a_program_of_the_users_gets_an_example_that_runs(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert invoke(["study", "init", "--backend", name]) == 0
    assert (tmp_path / "train_example.py").is_file()
    assert invoke(["study", "run", "study.yaml", "--limit", "2", "--workers", "2"]) == 0


def test_files_of_a_starter_are_not_written_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    mine = tmp_path / "train_example.py"
    mine.write_text("mine", encoding="utf-8")
    assert invoke(["study", "init", "--backend", "function"]) == 2
    assert "train_example.py: there is such a file already" in capsys.readouterr().err
    assert mine.read_text(encoding="utf-8") == "mine"
    assert not (tmp_path / "study.yaml").exists()
