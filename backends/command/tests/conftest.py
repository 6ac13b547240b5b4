"""Small programs, and runs of them."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ablatekit_command.backend import CommandBackend

from ablatekit.runs.records import RunResult, RunSpec
from ablatekit.runs.seeds import Seeds
from ablatekit.testing.backend_suite import MemoryContext
from ablatekit.testing.specs import run_spec

PROGRAMS = Path(__file__).with_name("programs")


class Tried:
    """What one execution left."""

    def __init__(self, context: MemoryContext, result: RunResult) -> None:
        self.context, self.result = context, result


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a study, with a program and a file of data."""
    place = tmp_path / "study"
    place.mkdir()
    for program in PROGRAMS.iterdir():
        shutil.copy(program, place)
    return place


@pytest.fixture
def context(tmp_path: Path) -> Callable[..., MemoryContext]:
    """Makes contexts of attempts at one run."""

    def made(**options: Any) -> MemoryContext:
        places = (tmp_path / "run" / "checkpoint", tmp_path / "cache")
        for place in places:
            place.mkdir(parents=True, exist_ok=True)
        return MemoryContext(Seeds("r" * 16, "c"), *places, **options)

    return made


@pytest.fixture
def spec(folder: Path) -> Callable[[Mapping[str, Any]], RunSpec]:
    def made(settings: Mapping[str, Any]) -> RunSpec:
        places = {"cwd": str(folder), "study_dir": str(folder)}
        return run_spec(CommandBackend(), {**places, **settings})

    return made


@pytest.fixture
def tried(
    folder: Path,
    spec: Callable[[Mapping[str, Any]], RunSpec],
    context: Callable[..., MemoryContext],
) -> Callable[..., Tried]:
    """Executes a script, or a command, once: `tried(script, command=..., lr=1)`."""

    def execute(
        script: str | None = None, where: MemoryContext | None = None, **settings: Any
    ) -> Tried:
        if script is not None:
            (folder / "script.py").write_text(script, encoding="utf-8")
            settings = {"command": "python script.py", **settings}
        place = where or context()
        return Tried(place, CommandBackend().run(spec(settings), place))

    return execute


@dataclass
class StoppedAt(MemoryContext):
    """Asks to stop once the program has written a checkpoint of this step."""

    step: int = 0

    def should_stop(self) -> bool:
        place = self.checkpoint_dir / "step"
        return place.exists() and place.read_text() == str(self.step)


@pytest.fixture
def stopped_at(context: Callable[..., MemoryContext]) -> Callable[[int], MemoryContext]:
    def made(step: int) -> MemoryContext:
        plain = context()
        return StoppedAt(plain.seeds, plain.checkpoint_dir, plain.cache_dir, step=step)

    return made


@pytest.fixture
def ended() -> Callable[[int], bool]:
    """Whether a process ends soon; one that nobody has waited for has ended."""

    def looked_for(pid: int) -> bool:
        for _ in range(3000):
            try:
                status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
            except FileNotFoundError:
                return True
            if status.rpartition(")")[2].split()[0] == "Z":
                return True
            time.sleep(0.01)
        return False

    return looked_for
