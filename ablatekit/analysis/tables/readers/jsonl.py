"""Lines of JSON: .jsonl and .ndjson, one object a row, as they are or with .gz."""

from __future__ import annotations

import gzip
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, ClassVar

import pandas as pd

from ablatekit.analysis.tables.readers.base import has_suffix
from ablatekit.analysis.tables.readers.columns import WrittenNumber, typed_column
from ablatekit.errors import Location, Problem, TableError
from ablatekit.logs.values import leaves


class JsonlReader:
    """One object a line: nested ones become columns with dotted names, lists their JSON text.

    Rows need not have the same keys. A column of numbers and text is text, as it is written.
    """

    name: ClassVar[str] = "jsonl"
    suffixes: ClassVar[tuple[str, ...]] = (".jsonl", ".ndjson")

    def claims(self, path: Path) -> bool:
        """Whether the name ends in .jsonl or .ndjson, samples of lm-eval excepted."""
        samples = path.name.startswith("samples_") and path.name.count("_") > 1
        return path.is_file() and has_suffix(path, self.suffixes) and not samples

    def columns(self, path: Path) -> Sequence[str]:
        """The names in the order in which they first occur; every line is parsed."""
        return list(_columns(path))

    def read(
        self, path: Path, labels: Collection[str] = (), columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """The rows; numbers in `labels` keep their spelling, and a truth value is true or false."""
        read = _columns(path)
        chosen = list(read) if columns is None else list(columns)
        return pd.DataFrame(
            {name: typed_column(read[name], text=name in labels) for name in chosen}
        )


def json_objects(
    path: Path, *, written: bool = False, growing: bool = False
) -> Iterator[tuple[int, dict[str, Any]]]:
    """The object of every line that is not blank, with its line number.

    With `written`, numbers with a point or an exponent are WrittenNumbers. A file that is `growing`
    may end within a line, which is not there yet. Raises TableError at the line that holds no
    object.
    """
    with _json_lines(path) as lines:
        for number, line in enumerate(lines, 1):
            try:
                text = _decoded(path, number, line)
                values = _object(path, number, text, written=written) if text else None
            except TableError:
                if growing and not line.endswith(b"\n"):
                    return
                raise
            if values is not None:
                yield number, values


def _columns(path: Path) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {}
    rows = 0
    for line, row in json_objects(path, written=True):
        for name, value in leaves(row):
            column = columns.setdefault(name, [])
            if len(column) > rows:
                rule = "two columns have the same name"
                problem = Problem(rule, name, "Rename one of them", Location(str(path), line))
                raise TableError(problem)
            column += [None] * (rows - len(column))
            column.append(value)
        rows += 1
    return {name: column + [None] * (rows - len(column)) for name, column in columns.items()}


@contextmanager
def _json_lines(path: Path) -> Iterator[IO[bytes]]:
    try:
        opened = gzip.open if path.suffix.lower() == ".gz" else open
        with opened(path, "rb") as file:
            yield file  # type: ignore[misc]  # both open bytes
    except (OSError, EOFError) as error:
        problem = Problem(f"cannot be read ({error})", "", "", Location(str(path)))
        raise TableError(problem) from error


def _decoded(path: Path, number: int, line: bytes) -> str:
    try:
        return line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
    except UnicodeDecodeError as error:
        where = Location(str(path), number)
        raise TableError(
            Problem("the file is not UTF-8 text", "", "Save it as UTF-8", where)
        ) from error


def _object(path: Path, number: int, text: str, *, written: bool) -> dict[str, Any]:
    where = Location(str(path), number)
    try:
        floats = WrittenNumber if written else float
        value = json.loads(text, parse_float=floats, object_pairs_hook=_pairs)
    except (ValueError, RecursionError) as error:
        told = getattr(error, "msg", "") or str(error).split("\n")[0]
        remedy = "A table has one JSON object a line; a cut-off last line can be removed"
        raise TableError(
            Problem(f"the line is not JSON ({told})", _shown(text), remedy, where)
        ) from error
    if isinstance(value, dict):
        return value
    remedy = 'A table has one JSON object a line: {"lr": 0.1, "accuracy": 0.8}'
    raise TableError(Problem("the line is no JSON object", _shown(text), remedy, where))


def _pairs(pairs: list[tuple[str, Any]]) -> Mapping[str, Any]:
    """An object whose keys differ."""
    values = dict(pairs)
    if len(values) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(k for k in keys if keys.count(k) > 1)!r} stands twice")
    return values


def _shown(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:40]} ..."
