"""Metrics as a table: one row per step, a column per metric."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from ablatekit.errors import Location, Problem, TableError
from ablatekit.logs.base import LoggedRun
from ablatekit.logs.steps import STEPS, MetricsByStep


class CsvLog:
    """A table with a header, such as PyTorch Lightning's CSVLogger and Keras write.

    An empty cell is no value; a column of texts is no metric.
    """

    name: ClassVar[str] = "csv"

    def claims(self, path: Path) -> bool:
        """Whether it is a file called *.csv with a column that counts steps."""
        if path.suffix != ".csv" or not path.is_file():
            return False
        with path.open(newline="", encoding="utf-8", errors="replace") as stream:
            return not set(next(csv.reader(stream), ())).isdisjoint(STEPS)

    def runs(self, path: Path) -> Iterator[LoggedRun]:
        """The one run of a table. Raises TableError for a row that is longer than the header."""
        metrics = MetricsByStep()
        text = path.read_text(encoding="utf-8-sig", errors="replace")
        # What stands behind the last line break is being written.
        whole = text[: text.rfind("\n") + 1]
        rows = csv.DictReader(whole.splitlines(keepends=True))
        for row in rows:
            if None in row:
                where = Location(str(path), rows.line_num)
                rule = "a row has more cells than the header has names"
                raise TableError(Problem(rule, where=where))
            cells = ((name, _number(cell)) for name, cell in row.items())
            metrics.add({name: number for name, number in cells if number is not None})
        yield LoggedRun(name=path.stem, history=metrics.events())


def _number(cell: str | None) -> float | None:
    try:
        return float(cell) if cell else None
    except ValueError:
        return None
