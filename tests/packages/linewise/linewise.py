"""A reader of files with one `name=value` per line and an empty line between two runs."""

from __future__ import annotations

import pandas as pd

from ablatekit.analysis.tables.readers.base import has_suffix
from ablatekit.errors import Location, Problem, TableError


class LinewiseReader:
    """Every value is a number where it can be one, unless it is a label."""

    name = "linewise"
    suffixes = (".linewise",)

    def claims(self, path):
        return path.is_file() and has_suffix(path, self.suffixes)

    def columns(self, path):
        return list(dict.fromkeys(name for run in _runs(path) for name in run))

    def read(self, path, labels=(), columns=None):
        frame = pd.DataFrame(_runs(path), columns=list(columns or self.columns(path)), dtype=object)
        for name in frame.columns.difference(list(labels)):
            numbers = pd.to_numeric(frame[name], errors="coerce")
            if (numbers.notna() == frame[name].notna()).all():
                frame[name] = numbers
        return frame


def _runs(path):
    try:
        blocks = path.read_text(encoding="utf-8").strip().split("\n\n")
        return [dict(_pair(line) for line in block.splitlines()) for block in blocks]
    except (OSError, ValueError) as error:
        raise TableError(Problem("no runs", str(error), "", Location(str(path)))) from error


def _pair(line):
    name, value = line.split("=", 1)
    return name, value
