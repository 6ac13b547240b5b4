"""Text tables: .csv with commas, .tsv with tabs, both as they are or with .gz."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

import pandas as pd

from ablatekit.analysis.tables.readers.base import file_kind, has_suffix
from ablatekit.errors import Location, Problem, TableError

SEPARATORS: Mapping[str, str] = MappingProxyType({".csv": ",", ".tsv": "\t"})
MISSING = ("", "NA", "NaN", "nan", "<NA>", "#N/A")


class CsvReader:
    """Empty cells, NA and NaN are missing; "none" and "None" are levels."""

    name: ClassVar[str] = "csv"
    suffixes: ClassVar[tuple[str, ...]] = tuple(SEPARATORS)

    def claims(self, path: Path) -> bool:
        """Whether the name ends in .csv or .tsv."""
        return path.is_file() and has_suffix(path, self.suffixes)

    def columns(self, path: Path) -> Sequence[str]:
        """The first line; refuses a name that stands there twice."""
        with _text_table(path):
            header = pd.read_csv(
                path,
                sep=_separator(path),
                header=None,
                nrows=1,
                dtype=str,
                keep_default_na=False,
            )
        names = [str(name) for name in header.iloc[0]]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            where = Location(str(path))
            rule = "two columns have the same name"
            raise TableError(Problem(rule, ", ".join(repeated), "", where))
        return names

    def read(
        self, path: Path, labels: Collection[str] = (), columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """The rows; all are parsed, so that one that does not fit its header is noticed."""
        names = self.columns(path)
        as_text = dict.fromkeys(set(labels) & set(names), str)
        with _text_table(path), warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            try:
                frame = pd.read_csv(
                    path,
                    sep=_separator(path),
                    dtype=as_text,
                    keep_default_na=False,
                    na_values=list(MISSING),
                    low_memory=False,
                    index_col=False,  # else surplus first fields become row names
                )
            except pd.errors.ParserWarning as warning:
                rule = "rows have more fields than the header"
                remedy = "Give every column a name"
                where = Location(str(path))
                problem = Problem(rule, f"{len(names)} names", remedy, where)
                raise TableError(problem) from warning
        return frame if columns is None else frame[list(columns)]


def _separator(path: Path) -> str:
    return SEPARATORS.get(file_kind(path), ",")


@contextmanager
def _text_table(path: Path) -> Iterator[None]:
    """What pandas says about a file that it cannot read, as one message at the file."""
    where = Location(str(path))
    try:
        yield
    except UnicodeDecodeError as error:
        raise TableError(Problem("the file is not UTF-8 text", "", "", where)) from error
    except (pd.errors.EmptyDataError, pd.errors.ParserError) as error:
        raise TableError(Problem(f"not a table ({error})", "", "", where)) from error
    except OSError as error:
        raise TableError(Problem(f"cannot be read ({error})", "", "", where)) from error
