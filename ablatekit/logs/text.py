"""Metrics in what a program printed, found by a regular expression with named groups."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from ablatekit.logs.base import LoggedRun
from ablatekit.logs.steps import STEPS, MetricsByStep


class TextLog:
    """A text whose lines hold metrics.

    Every named group that is a number counts, `step` (or another name of steps) as the step.
    The matches of a line are of one step. Groups `name` and `value` are one metric by its name:
    `(?P<name>\\S+)=(?P<value>\\S+)`.
    """

    name: ClassVar[str] = "stdout_regex"

    def __init__(self, pattern: str) -> None:
        """Raises ValueError for a pattern that is none, or that names no metric."""
        try:
            self._pattern = re.compile(pattern)
        except re.error as error:
            raise ValueError(f"it is no regular expression: {error}") from None
        groups = set(self._pattern.groupindex) - set(STEPS)
        if not groups or groups == {"name"} or groups == {"value"}:
            raise ValueError("it has no named group for a metric, such as (?P<loss>\\S+)")

    def claims(self, path: Path) -> bool:
        """Whether it is a file whose beginning has a match."""
        if not path.is_file():
            return False
        with path.open(encoding="utf-8", errors="replace") as stream:
            return self._pattern.search(stream.read(1 << 20)) is not None

    def runs(self, path: Path) -> Iterator[LoggedRun]:
        """The one run of a text; a last line without its end is not there yet."""
        metrics = MetricsByStep()
        text = path.read_text(encoding="utf-8", errors="replace").replace("\r", "\n")
        for line in text.split("\n")[:-1]:
            matches = (_numbers(match) for match in self._pattern.finditer(line))
            metrics.add(dict(pair for pairs in matches for pair in pairs))
        yield LoggedRun(name=path.stem, history=metrics.events())


def _numbers(match: re.Match[str]) -> Iterator[tuple[str, float]]:
    groups = match.groupdict()
    if groups.keys() >= {"name", "value"}:
        groups[groups.pop("name")] = groups.pop("value")
    for name, text in groups.items():
        try:
            yield name, float(text.rstrip(",;%"))
        except (ValueError, AttributeError):
            continue
