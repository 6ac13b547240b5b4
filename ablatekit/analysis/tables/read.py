"""Reading a table of runs or items from whatever an installed reader understands."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import pandas as pd
from pandas.api.types import is_float_dtype

from ablatekit.analysis.tables.readers.base import Reader, file_kind
from ablatekit.errors import Location, PluginError, Problem, TableError
from ablatekit.plugins import made, plugin_names


def read_table(path: Path, labels: Collection[str] = (), reader: str | None = None) -> pd.DataFrame:
    """The table in a file, by the reader that is named or the one that knows its suffix.

    Columns named in `labels` stay text as written, so that 1e-4 remains "1e-4". Raises TableError
    for a file that is not there, cannot be read, or holds no row.
    """
    return _with_rows(path, _reader_of(path, reader).read(path, labels))


def read_for_formula(
    path: Path, mentioned: str, reader: str | None = None, labels: Collection[str] = ()
) -> pd.DataFrame:
    """As `read_table`, of the columns that the text `mentioned` names, as small as possible.

    Columns named in `labels`, and groups of a random term that are no whole numbers, stay text as
    written, so that 1.10 is not 1.1. Every column is read when a word of `mentioned` is not a
    column, so that an error can name the nearest one.
    """
    chosen = _reader_of(path, reader)
    names = _mentioned_columns(chosen.columns(path), mentioned)
    frame = chosen.read(path, labels, columns=names)
    groups = [name for name in _groups(mentioned) & set(frame) if is_float_dtype(frame[name])]
    if groups and not any(_is_calculated(mentioned, name) for name in groups):
        frame = chosen.read(path, [*labels, *groups], columns=names)
    return _with_rows(path, frame)


def labels_of(formula: str, categorical: Collection[str]) -> list[str]:
    """Columns that a formula takes as text: `categorical` and those inside C() or factor().

    A column that also stands outside as a number, or inside another function, is read as one.
    """
    wrapped = re.compile(
        r"(?:C|factor|as\.factor)\(\s*(`[^`]+`|[\w.]+)[^()]*(?:\([^()]*\))?[^()]*\)"
    )
    inside = {match.group(1).strip("`") for match in wrapped.finditer(formula)}
    plain = wrapped.sub(" ", formula)
    free = {name for name in inside if not re.search(_word(name), plain)}
    named = free | set(categorical)
    return sorted(name for name in named if not _is_calculated(plain, name))


def _groups(text: str) -> set[str]:
    """The names between a vertical bar and its closing parenthesis."""
    parts = re.findall(r"\|([^|()]*)\)", text)
    return {word.strip("`") for part in parts for word in re.findall(r"`[^`]+`|[\w.]+", part)}


def _is_calculated(text: str, name: str) -> bool:
    """Whether a function other than C() and factor() takes the column."""
    calls = re.findall(r"(?<![\w.])(?!C\(|factor\(|as\.factor\()[\w.]+\(([^()]*)\)", text)
    return any(re.search(_word(name), call) for call in calls)


def _word(name: str) -> str:
    return rf"(?<![\w.]){re.escape(name)}(?![\w.])"


def load_reader(name: str) -> Reader:
    """The reader called `name`; PluginError when there is none or it breaks its contract."""
    reader: Reader = made("reader", name, Reader)
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
    chosen = [name for name in names if re.search(_word(name), mentioned)]
    bare = re.sub(r"`[^`]*`|,[^()]*(\([^()]*\))?(?=\))", "", mentioned)  # C(x, Sum): x
    words = re.findall(r"(?<![\w.])[^\W\d][\w.]*(?![\w.]|\s*\()", bare)
    known = {word for name in chosen for word in (name, *name.split())}
    return chosen if chosen and set(words) <= known else names
