"""What is executed: a command with its placeholders replaced, its environment and its files."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablatekit.study.settings import nest
from ablatekit_command.config_files import written
from ablatekit_command.settings import CommandSettings
from ablatekit_command.templates import (
    as_arguments,
    as_overrides,
    as_text,
    fill,
    only_placeholder,
    placeholders,
)

PYTHONS = ("python", "python3", "{python}")
SEVERAL = ("arguments", "overrides", "resume")
"""Placeholders that become any number of arguments: each stands alone."""
RUN_NAMES: Mapping[str, str] = {
    "seed": "a number of this run alone, below 2**31",
    "context_seed": "a number that all runs of a context share, for a common split of the data",
    "replicate": "the number of the replicate, from 0",
    "run_id": "what identifies the run",
    "run_dir": "the folder of this attempt",
    "checkpoint_dir": "the folder of the run, which a later attempt finds again",
    "study_dir": "the folder of the study file",
    "metrics": "the file or folder of the metrics",
    "items": "the file of item outcomes, where `items` is set",
    "config": "the written file, where `config` is set",
    "python": "the interpreter",
    "parameters": "all parameters as JSON",
    "arguments": "--name value for every parameter that the command does not place itself",
    "overrides": "name=value for every such parameter, as Hydra reads it",
    "resume": "what `resume` says, where there is a checkpoint",
}
"""Placeholders beside the parameters, and what they become."""
VARIABLES = ("seed", "context_seed", "replicate", "run_id", "run_dir", "checkpoint_dir", "metrics",
             "items", "config")  # fmt: skip
"""What a program also finds in its environment, as ABLATEKIT_SEED and so on."""
LOG_VARIABLES: Mapping[str, Mapping[str, str]] = {
    "trackio": {"TRACKIO_DIR": "{}"},
    "wandb": {"WANDB_DIR": "{}", "WANDB_MODE": "offline"},
    "mlflow": {"MLFLOW_TRACKING_URI": "sqlite:///{}"},
}
"""What makes a tracker write to the folder of the metrics."""


def split_words(command: str | Sequence[str | float]) -> list[str]:
    """The arguments of a command, before anything is replaced in them.

    Raises ValueError for a text with an open quotation.
    """
    return shlex.split(command) if isinstance(command, str) else [as_text(word) for word in command]


def resume_words(settings: CommandSettings) -> list[str]:
    """What the command gets where there is a checkpoint; nothing where the program looks itself."""
    return [] if isinstance(settings.resume, bool) else split_words(settings.resume)


def config_name(settings: CommandSettings) -> str:
    """The name of the written file in the run's folder, empty where there is none."""
    return settings.config.file or Path(settings.config.template).name


def filled_values(values: Any, by_name: Mapping[str, Any]) -> Any:
    """Nested values with their placeholders replaced; what is one placeholder keeps its type."""
    if isinstance(values, dict):
        return {name: filled_values(value, by_name) for name, value in values.items()}
    if isinstance(values, list):
        return [filled_values(value, by_name) for value in values]
    if not isinstance(values, str):
        return values
    name = only_placeholder(values)
    return by_name[name] if name else fill(values, by_name)


def config_text(
    settings: CommandSettings, parameters: Mapping[str, Any], values: Mapping[str, Any]
) -> str:
    """The content of the written file."""
    config = settings.config
    if config.template:
        return fill(Path(config.template).read_text(encoding="utf-8"), values)
    beside: dict[str, Any] = filled_values(config.values, values)
    return written(config.file, _merged(nest(parameters), beside))


def _merged(values: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Nested values, those of `over` where both have one."""
    both = dict(values)
    for name, value in over.items():
        below = both.get(name)
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            both[name] = _merged(below, value)
        else:
            both[name] = value
    return both


@dataclass(frozen=True, slots=True)
class Invocation:
    """One execution of a program: everything that is replaced is replaced.

    `metrics` is None where metrics are read from what the program prints.
    """

    arguments: tuple[str, ...]
    cwd: Path
    environment: Mapping[str, str]
    format: str
    metrics: Path | None
    items: Path | None
    config: Path | None
    config_text: str
    steps: int | None


def invocation(
    settings: CommandSettings,
    parameters: Mapping[str, Any],
    run: Mapping[str, Any],
    *,
    resumed: bool,
) -> Invocation:
    """The execution that settings and parameters describe; `run` has the names of the run itself:

    seed, context_seed, replicate, run_id, run_dir and checkpoint_dir.
    """
    folder = Path(run["run_dir"])
    values = {**parameters, **run, "study_dir": str(Path(settings.study_dir).resolve())}
    values |= {"python": settings.python or sys.executable, "parameters": dict(parameters)}
    kind, place = settings.metrics_source
    metrics = None if kind == "stdout_regex" else folder / fill(place, values)
    items = folder / fill(settings.items, values) if settings.items else None
    config = folder / config_name(settings) if config_name(settings) else None
    files = {"metrics": metrics, "items": items, "config": config}
    values |= {name: str(path) for name, path in files.items() if path is not None}
    steps = fill(str(settings.steps), values)
    return Invocation(
        arguments=tuple(_arguments(settings, parameters, values, resumed=resumed)),
        cwd=Path(fill(settings.cwd, values)).resolve(),
        environment=_environment(settings, values, kind, resumed=resumed),
        format=kind,
        metrics=metrics,
        items=items,
        config=config,
        config_text=config_text(settings, parameters, values) if config else "",
        steps=int(steps) if steps.isdigit() else None,
    )


def _arguments(
    settings: CommandSettings,
    parameters: Mapping[str, Any],
    values: Mapping[str, Any],
    *,
    resumed: bool,
) -> Iterator[str]:
    words, more = split_words(settings.command), resume_words(settings) if resumed else []
    if words[0] in PYTHONS:
        words[0] = "{python}"
    if "{resume}" not in words:
        words.append("{resume}")
    placed = {name for word in words for name in placeholders(word)}
    rest = {name: value for name, value in parameters.items() if name not in placed}
    for word in words:
        name = only_placeholder(word)
        if name == "arguments":
            yield from as_arguments(rest)
        elif name == "overrides":
            yield from as_overrides(rest)
        elif name == "resume":
            yield from (fill(part, values) for part in more)
        elif name is not None and isinstance(values[name], list):
            yield from map(as_text, values[name])
        else:
            yield fill(word, values)


def _environment(
    settings: CommandSettings, values: Mapping[str, Any], kind: str, *, resumed: bool
) -> dict[str, str]:
    given = {f"ABLATEKIT_{name.upper()}": as_text(values[name]) for name in VARIABLES
             if name in values}  # fmt: skip
    given["ABLATEKIT_RESUME"] = str(int(resumed))
    for name, text in LOG_VARIABLES.get(kind, {}).items():
        given[name] = text.format(values["metrics"])
    stated = {name: fill(as_text(text), values) for name, text in settings.env.items()}
    return given | stated


def stand_ins(settings: CommandSettings) -> dict[str, Any]:
    """Values of the names of a run that does not exist yet, to see whether texts make sense."""
    values: dict[str, Any] = dict.fromkeys(RUN_NAMES, "x")
    values |= {"seed": 1, "context_seed": 1, "replicate": 1, "parameters": json.dumps({})}
    return {**values, "study_dir": settings.study_dir}
