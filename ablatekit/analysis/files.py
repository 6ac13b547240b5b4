"""Reading a table of runs from a CSV or Parquet file."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pandas as pd
import pyarrow as pa

from ablatekit.errors import Location, Problem, TableError

SEPARATORS = {".csv": ",", ".tsv": "\t"}
PARQUET = (".parquet", ".pq")
MISSING = ["", "NA", "NaN", "nan", "<NA>", "#N/A"]


def read_table(path: Path, labels: Collection[str] = ()) -> pd.DataFrame:
    """The table in a .csv, .tsv (both may be .gz) or .parquet file.

    Columns named in `labels` stay text as written, so that 1e-4 remains "1e-4". Empty cells, NA and
    NaN are missing; "none" and "None" are levels. Raises TableError for a file that is not there,
    cannot be read, or holds no row.
    """
    where = Location(str(path))
    if not path.is_file():
        rule = "it is a folder, not a table" if path.is_dir() else "there is no such file"
        raise TableError(Problem(rule, "", "", where))
    frame = _read(path, labels, where)
    if frame.empty:
        raise TableError(Problem("the table has no rows", "", "", where))
    return frame


def _read(path: Path, labels: Collection[str], where: Location) -> pd.DataFrame:
    kinds = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    kind = kinds[-1] if kinds else ""
    try:
        if kind in PARQUET:
            return pd.read_parquet(path)
        if kind in SEPARATORS:
            return _read_text(path, SEPARATORS[kind], labels, where)
    except UnicodeDecodeError as error:
        raise TableError(Problem("the file is not UTF-8 text", "", "", where)) from error
    except (pd.errors.EmptyDataError, pd.errors.ParserError) as error:
        raise TableError(Problem(f"not a table ({error})", "", "", where)) from error
    except (pa.ArrowException, OSError) as error:
        raise TableError(Problem(f"cannot be read ({error})", "", "", where)) from error
    known = ", ".join((*SEPARATORS, *PARQUET))
    raise TableError(
        Problem("an unknown kind of file", kind or path.name, f"Known: {known}", where)
    )


def _read_text(
    path: Path, separator: str, labels: Collection[str], where: Location
) -> pd.DataFrame:
    first = pd.read_csv(path, sep=separator, header=None, nrows=1, dtype=str, keep_default_na=False)
    names = [str(name) for name in first.iloc[0]]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise TableError(Problem("two columns have the same name", ", ".join(twice), "", where))
    text = dict.fromkeys(set(labels) & set(names), str)
    return pd.read_csv(
        path, sep=separator, dtype=text, keep_default_na=False, na_values=MISSING, low_memory=False
    )
