"""Text tables: .csv and .tsv, both as they are or with .gz; the separator is the header's."""

from __future__ import annotations

import csv
import gzip
import io
import re
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, ClassVar

import pandas as pd

from ablatekit.analysis.tables.readers.base import file_kind, has_suffix
from ablatekit.analysis.tables.readers.wandb_export import is_export, with_meaning
from ablatekit.analysis.tables.words import STATUS, is_absent
from ablatekit.errors import Location, Problem, TableError

SEPARATORS: Mapping[str, str] = MappingProxyType({".csv": ",", ".tsv": "\t"})
"""The usual one of every kind of file; others are recognised."""
OTHERS = (",", ";", "\t", "|")
MISSING = ("", "NA", "NaN", "nan", "<NA>", "#N/A")
SAMPLE_LINES = 20
CHUNK_BYTES = 1 << 20
NOT_UTF8, TO_UTF8 = "the file is not UTF-8 text", "Save it as UTF-8"
_DECIMAL_COMMA = re.compile(r"\s*[+-]?\d+(?:,\d+)?(?:[eE][+-]?\d+)?\s*")
_THOUSANDS = re.compile(r"\s*[+-]?[1-9]\d{0,2}(?:,\d{3})*\s*")


class CsvReader:
    """Empty cells, NA and NaN are missing; "none" and "None" are levels.

    Columns are separated by what separates the names in the first line: comma, semicolon, tab or
    vertical bar. Where a column holds numbers with a comma before their decimals, and none of the
    others has a point there, commas are decimal. A table of runs that W&B has exported gets the
    columns `status` and `started`.
    """

    name: ClassVar[str] = "csv"
    suffixes: ClassVar[tuple[str, ...]] = tuple(SEPARATORS)

    def claims(self, path: Path) -> bool:
        """Whether the name ends in .csv or .tsv."""
        return path.is_file() and has_suffix(path, self.suffixes)

    def columns(self, path: Path) -> Sequence[str]:
        """The names in the first line, without blanks around them; refuses one that stands twice.

        A column without a name, such as the row numbers that pandas writes, is `Unnamed: 0`.
        """
        with _text_table(path):
            _refuse_utf16(path)
            header = pd.read_csv(
                path,
                sep=_separator(path),
                header=None,
                nrows=1,
                dtype=str,
                keep_default_na=False,
            )
        words = [str(name).strip() for name in header.iloc[0]]
        names = [name or f"Unnamed: {place}" for place, name in enumerate(words)]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            where = Location(str(path))
            rule = "two columns have the same name"
            raise TableError(Problem(rule, ", ".join(repeated), "Rename one of them", where))
        return names

    def read(
        self, path: Path, labels: Collection[str] = (), columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """The rows; all are parsed, so that one that does not fit its header is noticed."""
        with _text_table(path):
            _refuse_utf16(path)
            _refuse_nul(path)
        names = self.columns(path)
        # nan in the column of endings is the word for a diverged run
        words = {STATUS} & set(names) if columns is None else set[str]()
        text = words | (set(labels) & set(names))
        frame = _parsed(path, names, text, words, ".")
        if any(_has_decimal_commas(frame[name]) for name in names if name not in text):
            commas = _parsed(path, names, text, words, ",")
            if _numeric(frame) <= _numeric(commas):
                frame = commas.assign(**_with_points(commas, text))
        if columns is not None:
            return frame[list(columns)]
        return with_meaning(frame) if is_export(frame) else frame


def _parsed(
    path: Path, names: Sequence[str], text: set[str], words: set[str], decimal: str
) -> pd.DataFrame:
    """The rows; columns in `text` as written, and in those of `words` nothing else is missing."""
    with _text_table(path), warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        try:
            frame: pd.DataFrame = pd.read_csv(
                path,
                sep=_separator(path),
                header=0,
                names=list(names),
                decimal=decimal,
                dtype=dict.fromkeys(text, str),
                keep_default_na=False,
                na_values={name: [""] if name in words else list(MISSING) for name in names},
                low_memory=False,
                index_col=False,  # else surplus first fields become row names
            )
        except pd.errors.ParserWarning as warning:
            rule = "rows have more fields than the header"
            remedy = "The first line names every column; remove what stands before it"
            where = Location(str(path), 1)
            told = f"{len(names)} name{'s' if len(names) > 1 else ''}"
            problem = Problem(rule, told, remedy, where)
            raise TableError(problem) from warning
    return frame


def _numeric(frame: pd.DataFrame) -> set[str]:
    return {str(name) for name in frame.columns if pd.api.types.is_numeric_dtype(frame[name])}


def _has_decimal_commas(column: pd.Series[Any]) -> bool:
    """Whether all values are numbers if a comma is decimal, and not all if it parts thousands."""
    if pd.api.types.is_numeric_dtype(column):
        return False
    words = [word for word in column.dropna() if not is_absent(str(word))]
    if not words or not all(_DECIMAL_COMMA.fullmatch(str(word)) for word in words):
        return False
    return not all(_THOUSANDS.fullmatch(str(word)) for word in words)


def _with_points(frame: pd.DataFrame, text: set[str]) -> dict[str, pd.Series[Any]]:
    """Columns of numbers among which words such as n/a stand, with a point before decimals."""
    return {
        str(name): frame[name].map(_with_point, na_action="ignore")
        for name in frame.columns
        if name not in text and _has_decimal_commas(frame[name])
    }


def _with_point(word: object) -> str:
    return str(word) if is_absent(str(word)) else str(word).replace(",", ".")


def _separator(path: Path) -> str:
    """What separates the names in the header, and as many values in the lines below it.

    The usual separator of the file's kind wherever it does; else the one with most columns.
    """
    usual = SEPARATORS.get(file_kind(path), ",")
    with _opened(path) as file, io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
        lines = list(islice((line for line in text if line.strip()), SAMPLE_LINES))
    widths = {separator: _width(lines, separator) for separator in (usual, *OTHERS)}
    widest = max(widths, key=lambda separator: widths[separator])
    return widest if widths[usual] < 2 <= widths[widest] else usual


def _width(lines: Sequence[str], separator: str) -> int:
    """The number of columns if all lines have as many; else 0."""
    try:
        sizes = {len(row) for row in csv.reader(lines, delimiter=separator) if row}
    except csv.Error:
        return 0
    return sizes.pop() if len(sizes) == 1 else 0


def _refuse_utf16(path: Path) -> None:
    """Text of two bytes a letter, which its first two bytes tell."""
    with _opened(path) as file:
        if file.read(2) in (b"\xff\xfe", b"\xfe\xff"):
            raise TableError(Problem(NOT_UTF8, "UTF-16", TO_UTF8, Location(str(path))))


def _refuse_nul(path: Path) -> None:
    """Bytes of value 0 are in no text; a parser would drop or cut what stands around them."""
    line = 1
    with _opened(path) as file:
        while part := file.read(CHUNK_BYTES):
            at = part.find(b"\0")
            line += part.count(b"\n", 0, at if at >= 0 else len(part))
            if at >= 0:
                remedy = "Save it anew as UTF-8 text; a part of it may be damaged"
                where = Location(str(path), line)
                raise TableError(Problem("the file holds a NUL byte", "", remedy, where))


def _opened(path: Path) -> IO[bytes]:
    """The bytes of a file, uncompressed."""
    return gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb")  # type: ignore[return-value]


@contextmanager
def _text_table(path: Path) -> Iterator[None]:
    """What pandas says about a file that it cannot read, as one message at the file."""
    where = Location(str(path))
    try:
        yield
    except UnicodeDecodeError as error:
        raise TableError(Problem(NOT_UTF8, "", TO_UTF8, where)) from error
    except (pd.errors.EmptyDataError, pd.errors.ParserError) as error:
        told = str(error).removeprefix("Error tokenizing data. C error: ").rstrip()
        raise TableError(Problem(f"not a table ({told})", "", "", where)) from error
    except (OSError, EOFError) as error:
        raise TableError(Problem(f"cannot be read ({error})", "", "", where)) from error
