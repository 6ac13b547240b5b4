"""Reading a table of runs from a CSV or Parquet file."""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ablatekit.analysis.core.arrays import TEXT_COLUMNS
from ablatekit.errors import Location, Problem, TableError

SEPARATORS = {".csv": ",", ".tsv": "\t"}
PARQUET = (".parquet", ".pq")
CHUNK_ROWS = 1 << 20
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


def read_for_formula(path: Path, mentioned: str) -> pd.DataFrame:
    """As `read_table`; of a Parquet file the columns that `mentioned` names, read in row chunks.

    Text columns come as categories in sorted order and are listed in `attrs[TEXT_COLUMNS]`: a model
    needs no more of them than integer codes, and millions of strings do not fit into memory.
    Categories of the file keep their order. Every column is read when a word of `mentioned`
    is not a column, so that an error can name the nearest one.
    """
    if _kind(path) not in PARQUET or not path.is_file():
        return read_table(path)
    where = Location(str(path))
    try:
        frame = _read_chunks(path, mentioned)
    except (pa.ArrowException, OSError) as error:
        raise TableError(Problem(f"cannot be read ({error})", "", "", where)) from error
    if frame.empty:
        raise TableError(Problem("the table has no rows", "", "", where))
    return frame


def _read_chunks(path: Path, mentioned: str) -> pd.DataFrame:
    with pq.ParquetFile(path) as plain:
        schema = plain.schema_arrow
    names = _mentioned_columns(schema.names, mentioned)
    text = [name for name in names if _is_text(schema.field(name).type)]
    with pq.ParquetFile(path, read_dictionary=text, memory_map=True) as file:
        batches = file.iter_batches(batch_size=CHUNK_ROWS, columns=names, use_threads=False)
        table = pa.Table.from_batches(batches, file.schema_arrow.empty_table().select(names).schema)
    table = table.unify_dictionaries()
    columns: dict[str, Any] = {}
    for name in names:
        column = table.column(name)
        columns[name] = _sorted_categories(column) if name in text else column.to_pandas()
        table = table.drop_columns(name)
    frame = pd.DataFrame(columns, copy=False)
    frame.attrs[TEXT_COLUMNS] = text
    return frame


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _sorted_categories(column: pa.ChunkedArray) -> pd.Categorical[str]:
    """A dictionary-encoded text column with its values in sorted order."""
    values = column.chunk(0).dictionary.to_pylist() if column.num_chunks else []
    order = sorted(range(len(values)), key=values.__getitem__)
    rank = np.empty(len(values) + 1, dtype=np.int32)
    rank[order] = np.arange(len(values), dtype=np.int32)
    rank[-1] = -1
    codes = np.empty(len(column), dtype=np.int32)
    done = 0
    for chunk in column.chunks:
        own = chunk.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        codes[done : done + len(own)] = rank[own]
        done += len(own)
    levels: pd.Index[str] = pd.Index([values[j] for j in order])
    return pd.Categorical.from_codes(codes, levels)


def _mentioned_columns(names: list[str], mentioned: str) -> list[str]:
    """The columns whose name occurs in the text; all of them when the text has another name."""
    found = [
        name for name in names if re.search(rf"(?<![\w.]){re.escape(name)}(?![\w.])", mentioned)
    ]
    bare = re.sub(r"`[^`]*`|,[^()]*(\([^()]*\))?(?=\))", "", mentioned)  # C(x, Sum): x
    words = re.findall(r"(?<![\w.])[^\W\d][\w.]*(?![\w.]|\s*\()", bare)
    known = {word for name in found for word in (name, *name.split())}
    return found if found and set(words) <= known else names


def _kind(path: Path) -> str:
    kinds = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    return kinds[-1] if kinds else ""


def _read(path: Path, labels: Collection[str], where: Location) -> pd.DataFrame:
    kind = _kind(path)
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
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        try:
            return pd.read_csv(
                path, sep=separator, dtype=text, keep_default_na=False, na_values=MISSING,
                low_memory=False, index_col=False,  # else surplus first fields become row names
            )  # fmt: skip
        except pd.errors.ParserWarning as warning:
            rule = "rows have more fields than the header"
            got, remedy = f"{len(names)} names", "Give every column a name"
            raise TableError(Problem(rule, got, remedy, where)) from warning
