"""trainer_state.json of transformers and TRL: the last checkpoint of every run tells its history.

What a run was given stands in a configuration file beside it, or in the names of its folders.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from ablatekit.errors import Location, Problem, TableError
from ablatekit.logs.adjacent import configuration_beside, configuration_in_names
from ablatekit.logs.base import LoggedRun, RunEnd
from ablatekit.logs.values import (
    LoggedPoint,
    distinctly_named,
    flatten,
    in_order,
    metrics_of,
    number_of,
    step_of,
)

STATE = "trainer_state.json"
FROM_STATE = ("max_steps", "num_train_epochs", "train_batch_size")
PROGRESS = frozenset({"step", "epoch"})
_CHECKPOINT = re.compile(r"checkpoint-(\d+)")


class TrainerStateLog:
    """One trainer_state.json, or a folder with those of one or several runs below it."""

    name: ClassVar[str] = "trainer_state"

    def claims(self, path: Path) -> bool:
        """Whether it is a trainer_state.json, or a folder that has one somewhere below it."""
        if path.is_dir():
            return any(found.is_file() for found in path.rglob(STATE))
        return path.name == STATE

    def runs(self, path: Path) -> Iterator[LoggedRun]:
        """A run for every folder with checkpoints or a state of its own."""
        root = path if path.is_dir() else _run_folder(path)
        states = {_run_folder(path): [path]} if not path.is_dir() else _states(path)
        names = [folder.relative_to(root).as_posix() for folder in states]
        told = configuration_in_names(names) if len(names) > 1 else [{} for _ in names]
        runs = [
            _run(folder, found, root.name if name == "." else name, said)
            for (folder, found), name, said in zip(states.items(), names, told, strict=True)
        ]
        yield from distinctly_named(runs)


def _run_folder(state: Path) -> Path:
    return state.parent.parent if _CHECKPOINT.fullmatch(state.parent.name) else state.parent


def _below(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob(STATE)) if path.is_file())


def _states(root: Path) -> dict[Path, list[Path]]:
    """The files of every run's folder, the latest first: its own, then its checkpoints."""
    states: dict[Path, list[Path]] = {}
    for path in _below(root):
        states.setdefault(_run_folder(path), []).append(path)
    return {folder: sorted(paths, key=_age) for folder, paths in sorted(states.items())}


def _age(path: Path) -> float:
    match = _CHECKPOINT.fullmatch(path.parent.name)
    return -float(match.group(1)) if match else -math.inf


def _run(folder: Path, paths: list[Path], name: str, said: Mapping[str, Any]) -> LoggedRun:
    """A run by the latest state that can be read; one that is damaged was cut while written."""
    problem: TableError | None = None
    for path in paths:
        try:
            state = _state(path)
        except TableError as error:
            problem = problem or error
            continue
        beside = configuration_beside(folder) or configuration_beside(path.parent)
        return LoggedRun(
            name=name,
            config=_stated(state) | dict(said) | beside,
            history=in_order(_points(state)),
            end=_end(state),
            cut=problem is not None,
        )
    assert problem is not None
    raise problem


def _state(path: Path) -> Mapping[str, Any]:
    where = Location(str(path))
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TableError(Problem(f"cannot be read ({error})", "", "", where)) from error
    if not isinstance(state, dict) or not isinstance(state.get("log_history"), list):
        raise TableError(Problem("it has no log_history", "", "", where))
    return state


def _stated(state: Mapping[str, Any]) -> dict[str, Any]:
    """Lengths of training, and the values of a search; what was not set is left out."""
    trial = state.get("trial_params")
    kept = {key: state[key] for key in FROM_STATE if state.get(key) is not None}
    return kept | (flatten(trial) if isinstance(trial, Mapping) else {})


def _points(state: Mapping[str, Any]) -> Iterator[LoggedPoint]:
    before = 0
    for entry in state["log_history"]:
        if isinstance(entry, Mapping):
            before = step_of(entry.get("step"), before)
            metrics = metrics_of(entry)
            kept = {name: value for name, value in metrics.items() if name not in PROGRESS}
            yield LoggedPoint(before, math.nan, kept)


def _end(state: Mapping[str, Any]) -> RunEnd:
    """Finished where the last step was reached; shorter ones may have been stopped on purpose."""
    step, last = number_of(state.get("global_step")), number_of(state.get("max_steps"))
    return "finished" if step and last and step >= last > 0 else "unknown"
