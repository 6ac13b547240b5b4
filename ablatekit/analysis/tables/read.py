"""Reading a table of runs or items from whatever an installed reader understands."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import pandas as pd

from ablatekit.analysis.tables.readers.base import Reader, file_kind
from ablatekit.errors import Location, PluginError, Problem, TableError
from ablatekit.plugins import broken_contract, load_plugin, plugin_names


def read_table(path: Path, labels: Collection[str] = (), reader: str | None = None) -> pd.DataFrame:
    """The table in a file, by the reader that is named or the one that knows its suffix.

    Columns named in `labels` stay text as written, so that 1e-4 remains "1e-4". Raises TableError
    for a file that is not there, cannot be read, or holds no row.
    """
    return _with_rows(path, _reader_of(path, reader).read(path, labels))


def read_for_formula(path: Path, mentioned: str, reader: str | None = None) -> pd.DataFrame:
    """As `read_table`, of the columns that the text `mentioned` names, as small as possible.

    Every column is read when a word of `mentioned` is not a column, so that an error can name the
    nearest one.
    """
    chosen = _reader_of(path, reader)
    names = _mentioned_columns(chosen.columns(path), mentioned)
    return _with_rows(path, chosen.read(path, columns=names))


def load_reader(name: str) -> Reader:
    """The reader called `name`; PluginError when there is none or it breaks its contract."""
    reader = load_plugin("reader", name)()
    if not isinstance(reader, Reader):
        raise broken_contract("reader", name)
    return reader


def _reader_of(path: Path, name: str | None) -> Reader:
    where = Location(str(path))
    if not path.exists():
        raise TableError(Problem("there is no such file", "", "", where))
    if name is not None:
        return load_reader(name)
    readers = list(_usable_readers())
    claiming = [reader for reader in readers if reader.claims(path)]
    if len(claiming) == 1:
        return claiming[0]
    if claiming:
        names = ", ".join(reader.name for reader in claiming)
        remedy = "Uninstall all but one"
        raise TableError(Problem("several readers know this kind of file", names, remedy, where))
    if path.is_dir():
        raise TableError(Problem("it is a folder, not a table", "", "", where))
    known = ", ".join(f"{reader.name} ({', '.join(reader.suffixes)})" for reader in readers)
    kind = file_kind(path) or path.name
    raise TableError(Problem("an unknown kind of file", kind, f"Known: {known}", where))


def _usable_readers() -> Iterator[Reader]:
    """All readers but those whose own packages are lacking: another one may know the file."""
    for name in plugin_names("reader"):
        try:
            yield load_reader(name)
        except PluginError:
            continue


def _with_rows(path: Path, frame: pd.DataFrame) -> pd.DataFrame:
    if frame.empty:
        raise TableError(Problem("the table has no rows", "", "", Location(str(path))))
    return frame


def _mentioned_columns(names: Sequence[str], mentioned: str) -> Sequence[str]:
    """The columns whose name occurs in the text; all of them when the text has another name."""
    chosen = [
        name for name in names if re.search(rf"(?<![\w.]){re.escape(name)}(?![\w.])", mentioned)
    ]
    bare = re.sub(r"`[^`]*`|,[^()]*(\([^()]*\))?(?=\))", "", mentioned)  # C(x, Sum): x
    words = re.findall(r"(?<![\w.])[^\W\d][\w.]*(?![\w.]|\s*\()", bare)
    known = {word for name in chosen for word in (name, *name.split())}
    return chosen if chosen and set(words) <= known else names
