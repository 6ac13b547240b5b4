"""Runs as files of JSON lines: verl's one file a run, or a folder a run with its configuration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from ablatekit.logs.adjacent import (
    configuration_beside,
    configuration_in_names,
    mapping_in,
    text_of,
)
from ablatekit.logs.base import LoggedRun
from ablatekit.logs.jsonl import JsonlLog
from ablatekit.logs.steps import STEPS
from ablatekit.logs.values import distinctly_named, flatten

ENDINGS = (".jsonl", ".ndjson")
CONFIG_ENDINGS = (".json", ".yaml", ".yml")
PLAIN_NAMES = frozenset({"metrics", "log", "logs", "history", "train", "progress", "results"})
"""Names of files that say nothing of their run: its folder does."""


class MetricFilesLog:
    """A folder with one file of metrics per run somewhere below it.

    What a run was given stands in a file of the same name (`exp.yaml` beside `exp.jsonl`), in a
    configuration in its folder, or in the names of files and folders.
    """

    name: ClassVar[str] = "metric_files"

    def claims(self, path: Path) -> bool:
        """Whether a folder holds files of JSON lines whose first line has a step."""
        return path.is_dir() and any(map(_has_steps, path.rglob("*")))

    def runs(self, path: Path) -> Iterator[LoggedRun]:
        """A run for every file. Raises TableError at a line that is no JSON object."""
        files = list(_files(path))
        names = [_name(file, path) for file in files]
        told = configuration_in_names(names) if len(names) > 1 else [{} for _ in names]
        runs = [
            replace(_logged(file), name=name, config=_given(file, path, said))
            for file, name, said in zip(files, names, told, strict=True)
        ]
        yield from distinctly_named(runs)


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if _has_steps(path))


def _has_steps(path: Path) -> bool:
    """Whether the first line is an object with a step: items and samples have none."""
    if path.suffix not in ENDINGS or not JsonlLog().claims(path):
        return False
    with path.open("rb") as stream:
        first = mapping_in(stream.readline(1 << 20).decode("utf-8", errors="replace"), ".json")
    return not first.keys().isdisjoint(STEPS) or isinstance(first.get("data"), Mapping)


def _name(file: Path, root: Path) -> str:
    """The path below the root, without a file name that says nothing."""
    name = file.relative_to(root).with_suffix("")
    parts = name.parts[:-1] if name.name in PLAIN_NAMES and len(name.parts) > 1 else name.parts
    return "/".join(parts)


def _logged(file: Path) -> LoggedRun:
    """The run of a file, cut where its last line does not end."""
    run = next(JsonlLog().runs(file))
    with file.open("rb") as stream:
        stream.seek(max(0, file.stat().st_size - 1))
        return replace(run, cut=stream.read() != b"\n")


def _given(file: Path, root: Path, said: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of the same name, else that of the folder if it is the run's own."""
    for ending in CONFIG_ENDINGS:
        beside = file.with_suffix(ending)
        if beside.is_file() and (content := mapping_in(text_of(beside), ending)):
            return flatten(content)
    is_own = file.parent != root and len(list(file.parent.glob(f"*{file.suffix}"))) == 1
    return (configuration_beside(file.parent) if is_own else {}) or dict(said)
