"""Reading a table of runs or items from whatever an installed reader understands."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from pandas.api.types import is_float_dtype

from ablatekit.analysis.tables.readers.base import NamedSources, Reader, file_kind
from ablatekit.analysis.tables.readers.logged_runs import NamedRuns, RunsReader
from ablatekit.errors import Location, PluginError, Problem, TableError
from ablatekit.logs.base import LoggedRun
from ablatekit.plugins import answer_of, broken_contract, made, plugin_names

NAMED = re.compile(r"([A-Za-z][\w+-]*):(?!//)(.+)", re.DOTALL)
"""SCHEME:NAME, such as mlflow:EXPERIMENT; a path wins where one is there."""
MOST_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Source:
    """What a table comes from, with the reader that knows it: a path, or a name of its scheme."""

    reader: Reader
    path: Path | None
    name: str = ""

    def read(
        self, labels: Collection[str] = (), columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """The rows, as the reader's contract has it."""
        way, place = ("read", self.path) if self.path is not None else ("read_named", self.name)
        frame = answer_of("reader", self.reader, way, place, labels, columns)
        if not isinstance(frame, pd.DataFrame):
            wanted = f"{way}() answers {type(frame).__name__}, and not a pandas.DataFrame"
            raise broken_contract("reader", self.reader.name, wanted)
        return frame


def read_table(
    source: Path | str, labels: Collection[str] = (), reader: str | None = None
) -> pd.DataFrame:
    """The table in a file or folder, or of a name such as mlflow:EXPERIMENT.

    It is read by the reader that is named or the one that knows it. Columns named in `labels` stay
    text as written, so that 1e-4 remains "1e-4". Raises TableError for what is not there, cannot be
    read, or holds no row.
    """
    return _with_rows(source, find_source(source, reader).read(labels))


def logged_runs(source: Path | str, reader: str | None = None) -> Sequence[LoggedRun]:
    """The runs with their history, of a source that has runs; TableError for any other."""
    chosen = find_source(source, reader)
    logs = chosen.reader
    if isinstance(logs, RunsReader):
        if chosen.path is not None:
            return logs.logged(chosen.path)
        if isinstance(logs, NamedRuns):
            return logs.logged_named(chosen.name)
    rule = "it holds no logged runs with their history"
    raise TableError(Problem(rule, logs.name, "", Location(str(source))))


def read_for_formula(
    source: Path | str, mentioned: str, reader: str | None = None, labels: Collection[str] = ()
) -> pd.DataFrame:
    """As `read_table`, of the columns that the text `mentioned` names, as small as possible.

    Columns named in `labels`, and groups of a random term that are no whole numbers, stay text as
    written, so that 1.10 is not 1.1. Every column is read when a word of `mentioned` is not a
    column, so that an error can name the nearest one.
    """
    chosen = find_source(source, reader)
    if chosen.path is None:
        return _with_rows(source, chosen.read(labels))
    names = _mentioned_columns(chosen.reader.columns(chosen.path), mentioned)
    frame = chosen.read(labels, columns=names)
    groups = [name for name in _groups(mentioned) & set(frame) if is_float_dtype(frame[name])]
    if groups and not any(_is_calculated(mentioned, name) for name in groups):
        frame = chosen.read([*labels, *groups], columns=names)
    return _with_rows(source, frame)


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


def recognised(source: Path | str, reader: str | None = None) -> str:
    """The name of the reader that reads a source; TableError or PluginError where none does."""
    return find_source(source, reader).reader.name


def load_reader(name: str) -> Reader:
    """The reader called `name`; PluginError when there is none or it breaks its contract."""
    reader: Reader = made("reader", name, Reader)
    return reader


def find_source(source: Path | str, reader: str | None = None) -> Source:
    """The reader that is named, or the one that knows a file, a folder or a SCHEME:NAME.

    Raises TableError for what is not there, what no reader knows, and what several claim.
    """
    path = Path(source)
    try:
        there = path.exists()
    except OSError:  # a name that is too long for a path, or a folder that may not be entered
        there = False
    if there:
        return Source(load_reader(reader) if reader else _claiming(path), path)
    if match := NAMED.fullmatch(str(source)):
        return _named(match.group(1), match.group(2), reader)
    raise TableError(Problem("there is no such file", "", "", Location(str(source))))


def _named(scheme: str, name: str, reader: str | None) -> Source:
    readers, broken = ([load_reader(reader)], []) if reader else _usable_readers()
    schemes = {
        known.scheme: known
        for known in readers
        if isinstance(known, NamedSources) and isinstance(known, Reader)
    }
    if scheme in schemes:
        return Source(schemes[scheme], None, name)
    rule = "there is no such file, and no reader knows names of this kind"
    known = ", ".join(f"{other}:NAME" for other in sorted(schemes))
    remedy = f"Known: {known}" if known else ""
    raise TableError(Problem(rule, f"{scheme}:{name}", remedy), *broken)


def _claiming(path: Path) -> Reader:
    """The one reader that claims a path; a by-product of another tool's logs yields to these."""
    where = Location(str(path))
    readers, broken = _usable_readers()
    claiming: dict[str, Reader] = {}
    for reader in readers:
        try:
            claims = answer_of("reader", reader, "claims", path)
        except OSError as error:
            raise TableError(Problem(f"cannot be read ({error})", "", "", where)) from error
        except PluginError as error:
            broken += error.problems
            continue
        if claims:
            claiming[reader.name] = reader
    decided = [
        reader
        for reader in claiming.values()
        if not claiming.keys() & getattr(reader, "yields_to", frozenset[str]())
    ]
    if len(decided) == 1:
        return decided[0]
    if decided:
        names = ", ".join(reader.name for reader in decided)
        remedy = f"Name one of them: --reader {decided[0].name}"
        kind = "folder" if path.is_dir() else "file"
        raise TableError(Problem(f"several readers know this kind of {kind}", names, remedy, where))
    problem = _unknown_folder(path, readers) if path.is_dir() else _unknown(path, readers)
    raise TableError(problem, *broken)


def _unknown(path: Path, readers: Sequence[Reader]) -> Problem:
    suffixes = {reader.name: ", ".join(reader.suffixes) for reader in readers if reader.suffixes}
    known = ", ".join(f"{name} ({kinds})" for name, kinds in suffixes.items())
    kind = file_kind(path) or path.name
    where = Location(str(path))
    return Problem("an unknown kind of file", kind, f"Known: {known}", where)


def _unknown_folder(path: Path, readers: Sequence[Reader]) -> Problem:
    """What was looked for in a folder, and what lies there."""
    present = sorted(f"{entry.name}{'/' if entry.is_dir() else ''}" for entry in path.iterdir())
    more = f" and {len(present) - MOST_SHOWN} more" if len(present) > MOST_SHOWN else ""
    shown = ", ".join(present[:MOST_SHOWN]) + more if present else "an empty folder"
    names = ", ".join(reader.name for reader in readers)
    remedy = (
        f"Looked for what these read: {names}. Name a table inside, or the reader: --reader NAME"
    )
    rule = "no reader knows what lies in this folder"
    return Problem(rule, shown, remedy, Location(str(path)))


def _usable_readers() -> tuple[list[Reader], list[Problem]]:
    """All readers that can be had, and what is wrong with the others: another may know the file."""
    readers: list[Reader] = []
    broken: list[Problem] = []
    for name in plugin_names("reader"):
        try:
            readers.append(load_reader(name))
        except PluginError as error:
            broken += error.problems
    return readers, broken


def _with_rows(source: Path | str, frame: pd.DataFrame) -> pd.DataFrame:
    if frame.empty:
        raise TableError(Problem("the table has no rows", "", "", Location(str(source))))
    return frame


def _mentioned_columns(names: Sequence[str], mentioned: str) -> Sequence[str]:
    """The columns whose name occurs in the text; all of them when the text has another name."""
    chosen = [name for name in names if re.search(_word(name), mentioned)]
    bare = re.sub(r"`[^`]*`|,[^()]*(\([^()]*\))?(?=\))", "", mentioned)  # C(x, Sum): x
    words = re.findall(r"(?<![\w.])[^\W\d][\w.]*(?![\w.]|\s*\()", bare)
    known = {word for name in chosen for word in (name, *name.split())}
    return chosen if chosen and set(words) <= known else names
