"""Metrics as JSON lines: `{"step": 1, "loss": 0.5}`, or verl's `{"step": 1, "data": {...}}`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from ablatekit.errors import Location, Problem, TableError
from ablatekit.logs.base import LoggedRun
from ablatekit.logs.steps import MetricsByStep
from ablatekit.logs.values import number_of


class JsonlLog:
    """A file with one JSON object on each line: a step, and numbers by name.

    Nested objects have their names joined by dots; texts other than names of numbers (`NaN`) are no
    metrics, null is no value. A last line without its end is not there yet.
    """

    name: ClassVar[str] = "jsonl"

    def claims(self, path: Path) -> bool:
        """Whether it is a file called *.jsonl or *.ndjson whose first line is an object."""
        if path.suffix not in (".jsonl", ".ndjson") or not path.is_file():
            return False
        with path.open("rb") as stream:
            return stream.readline(1 << 20).lstrip().startswith(b"{")

    def runs(self, path: Path) -> Iterator[LoggedRun]:
        """The one run of a file. Raises TableError for a line that is no JSON object."""
        metrics = MetricsByStep()
        *lines, last = path.read_bytes().split(b"\n")
        for number, line in enumerate(lines, start=1):
            if line.strip():
                _add(metrics, _object(line, path, number))
        if last.strip():
            # What cannot be read is being written, or its writer was killed.
            with suppress(TableError):
                _add(metrics, _object(last, path, len(lines) + 1))
        yield LoggedRun(name=path.stem, history=metrics.events())


def _object(line: bytes, path: Path, number: int) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError:
        value = None
    if isinstance(value, dict):
        return value
    shown = line[:60].decode(errors="replace").strip()
    remedy = 'Write one object on each line: {"step": 1, "loss": 0.5}'
    where = Location(str(path), number)
    raise TableError(Problem("a line of metrics is no JSON object", shown, remedy, where))


def _add(metrics: MetricsByStep, row: Mapping[str, Any]) -> None:
    data = row.get("data")
    nested = {**row, **data} if isinstance(data, dict) else dict(row)
    if isinstance(data, dict):
        del nested["data"]
    metrics.add(dict(_numbers(nested, "")))


def _numbers(values: Mapping[str, Any], above: str) -> Iterator[tuple[str, float]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _numbers(value, f"{above}{name}.")
        elif (number := number_of(value)) is not None:
            yield f"{above}{name}", number
