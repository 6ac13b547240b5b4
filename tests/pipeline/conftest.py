"""Studies on the simulated backend, run through the command line as a user would."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
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


@pytest.fixture
def runner(tmp_path: Path) -> Callable[..., StudyRunner]:
    def make(changes: Mapping[str, Any] | None = None) -> StudyRunner:
        made = StudyRunner(tmp_path)
        made.write(changes)
        return made

    return make
