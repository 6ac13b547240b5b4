"""Parquet files, of any size: what a model needs of them is read in row chunks."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd

from ablatekit.analysis.core.arrays import TEXT_COLUMNS
from ablatekit.analysis.tables.readers.base import has_suffix
from ablatekit.errors import Location, Problem, TableError

if TYPE_CHECKING:
    import pyarrow as pa

CHUNK_ROWS = 1 << 20
BY_NOTES = (ValueError, KeyError, TypeError, AttributeError, IndexError)
"""What pandas raises over notes of its own in a file where they are damaged."""


class ParquetReader:
    """Columns have the types of the file; a dictionary of the file keeps its order."""

    name: ClassVar[str] = "parquet"
    suffixes: ClassVar[tuple[str, ...]] = (".parquet", ".pq")

    def claims(self, path: Path) -> bool:
        """Whether the name ends in .parquet or .pq."""
        return path.is_file() and has_suffix(path, self.suffixes)

    def columns(self, path: Path) -> Sequence[str]:
        """The names in the file's schema."""
        import pyarrow.parquet as pq

        with _parquet_file(path), pq.ParquetFile(path) as file:
            return [str(name) for name in file.schema_arrow.names]

    def read(
        self,
        path: Path,
        labels: Collection[str] = (),  # noqa: ARG002 (types are those of the file)
        columns: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """The rows, what pandas kept as a named index among them as columns, lists as their text.

        With `columns`, text as categories: millions of strings do not fit in memory.

        Text columns are those listed in `attrs[TEXT_COLUMNS]`, their categories in sorted order;
        categories of the file keep their order.
        """
        with _parquet_file(path):
            return _read_whole(path) if columns is None else _read_chunks(path, columns)


@contextmanager
def _parquet_file(path: Path) -> Iterator[None]:
    """What pyarrow says about a file that it cannot read, as one message at the file."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, *BY_NOTES) as error:
        where = Location(str(path))
        raise TableError(Problem(f"cannot be read ({error})", "", "", where)) from error


def _read_whole(path: Path) -> pd.DataFrame:
    import pyarrow.parquet as pq

    frame = pd.read_parquet(path)
    named = [name for name in frame.index.names if name is not None]
    frame = frame.reset_index(drop=not named)
    lists = [field.name for field in pq.read_schema(path) if _is_nested(field.type)]
    return frame.assign(**{name: frame[name].map(_listed) for name in lists if name in frame})


def _is_nested(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_nested(kind))


def _listed(value: object) -> str | None:
    """A list or a mapping as text; None where there is none."""
    if value is None:
        return None
    return str(value.tolist() if isinstance(value, np.ndarray) else value)


def _read_chunks(path: Path, names: Sequence[str]) -> pd.DataFrame:
    table, text = _encoded_table(path, list(names))
    columns: dict[str, Any] = {}
    for name in names:
        column = table.column(name)
        columns[name] = _sorted_categories(column) if name in text else column.to_pandas()
        if _is_nested(column.type):
            columns[name] = columns[name].map(_listed)
        table = table.drop_columns(name)
    frame = pd.DataFrame(columns, copy=False)
    frame.attrs[TEXT_COLUMNS] = text
    return frame


def _encoded_table(path: Path, names: list[str]) -> tuple[pa.Table, list[str]]:
    """The columns with text as codes into one dictionary each, and which of them are text."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as plain:
        schema = plain.schema_arrow
    text = [name for name in names if _is_text(schema.field(name).type)]
    with pq.ParquetFile(path, read_dictionary=text, memory_map=True) as file:
        batches = file.iter_batches(batch_size=CHUNK_ROWS, columns=names, use_threads=False)
        table = pa.Table.from_batches(batches, file.schema_arrow.empty_table().select(names).schema)
    return table.unify_dictionaries(), text


def _is_text(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _sorted_categories(column: pa.ChunkedArray) -> pd.Categorical[str]:
    """A dictionary-encoded text column with its values in sorted order."""
    values = column.chunk(0).dictionary.to_pylist() if column.num_chunks else []
    order = sorted(range(len(values)), key=values.__getitem__)
    rank = np.empty(len(values) + 1, dtype=np.int32)
    rank[order] = np.arange(len(values), dtype=np.int32)
    rank[-1] = -1  # where the column is missing
    codes = np.empty(len(column), dtype=np.int32)
    done = 0
    for chunk in column.chunks:
        indices = chunk.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        codes[done : done + len(indices)] = rank[indices]
        done += len(indices)
    levels: pd.Index[str] = pd.Index([values[code] for code in order])
    return pd.Categorical.from_codes(codes, levels)
