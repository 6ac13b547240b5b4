"""Studies on the simulated backend, run through the command line as a user would."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from ablatekit.cli.main import invoke

BASE: dict[str, Any] = {
    "version": 1,
    "name": "planted",
    "backend": {"name": "simulated", "settings": {"rounds": 4}},
    "factors": {
        "helps_both": {"baseline": False, "levels": [False, True]},
        "null": {"baseline": False, "levels": [False, True]},
    },
    "contexts": {"model": ["m1", "m2", "m3"], "dataset": ["d1", "d2"]},
    "replicates": 2,
    "responses": {
        "learning": {"metric": "train/pass@1", "smallest_effect": 0.02},
        "generalization": {"metric": "test/pass@1", "smallest_effect": 0.02},
    },
    "tracking": {"uri": None},
}
WITH_ITEMS = {"backend": {"name": "simulated", "settings": {"rounds": 4, "items": 40}}}
ONE_CONTEXT = {"contexts": {"model": ["m1"]}}


class StudyRunner:
    """Writes one study file and runs commands on it in one workspace."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "study.yaml"
        self.workspace = folder / "workspace"

    def write(self, changes: Mapping[str, Any] | None = None) -> Path:
        """The base study with some of its top-level keys replaced."""
        self.file.write_text(yaml.safe_dump({**BASE, **(changes or {})}, sort_keys=False))
        return self.file

    def call(self, command: str, *options: str) -> int:
        """Exit code of `ablatekit study COMMAND` on the study file."""
        words = ["study", command, str(self.file), "--workspace", str(self.workspace), *options]
        return invoke(words)

    @property
    def folder(self) -> Path:
        return self.workspace / "planted"

    def analysis(self) -> dict[str, Any]:
        """The content of analysis.json."""
        content: dict[str, Any] = json.loads((self.folder / "analysis.json").read_text())
        return content

    def runs(self) -> set[str]:
        """The ids of all runs in the workspace."""
        return {path.name for path in (self.workspace / "runs").iterdir()}


@pytest.fixture(scope="session")
def finished_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small study with its runs, its analysis and its report; tests get copies."""
    folder = tmp_path_factory.mktemp("finished")
    study = StudyRunner(folder)
    study.write(ONE_CONTEXT)
    assert study.call("run") == 0
    return folder


@pytest.fixture
def finished(finished_folder: Path, tmp_path: Path, capsys: Any) -> StudyRunner:
    """That study, in a place of its own."""
    shutil.copytree(finished_folder, tmp_path, dirs_exist_ok=True)
    capsys.readouterr()
    return StudyRunner(tmp_path)


@dataclass(frozen=True)
class Whole:
    """The base study of 48 runs with items, executed once, and what `run --json` printed."""

    study: StudyRunner
    printed: str


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """Shared: tests that change it work on `whole_copy`."""
    study = StudyRunner(tmp_path_factory.mktemp("whole"))
    study.write(WITH_ITEMS)
    printed = io.StringIO()
    with redirect_stdout(printed):
        assert study.call("run", "--json") == 0
    return Whole(study, printed.getvalue())


@pytest.fixture
def whole_copy(whole: Whole, tmp_path: Path) -> StudyRunner:
    shutil.copytree(whole.study.workspace.parent, tmp_path, dirs_exist_ok=True)
    return StudyRunner(tmp_path)


@pytest.fixture
def runner(tmp_path: Path) -> Callable[..., StudyRunner]:
    def make(changes: Mapping[str, Any] | None = None) -> StudyRunner:
        made = StudyRunner(tmp_path)
        made.write(changes)
        return made

    return make
