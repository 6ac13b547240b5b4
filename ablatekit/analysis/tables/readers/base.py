"""What a reader is: how a table comes out of one kind of file or folder."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import ClassVar, Literal, Protocol, TypeAlias, runtime_checkable

import pandas as pd

ROLES = "ablatekit.roles"
"""Key of `frame.attrs` under which a reader of runs says what its columns are: name -> Role."""

Role: TypeAlias = Literal["setting", "metric", "seed", "name", "started", "about"]
"""setting: what a run was given. metric: what it measured. seed: its randomness alone. name: its
own name. started: when, in seconds since the epoch. about: host, version and the like. Columns of
fixed meaning (`run`, `status`, `item`, `outcome` ...) need no role. Where items have several
metrics, `outcome` repeats the one that their source puts first."""

DIRECTIONS = "ablatekit.directions"
"""Key of `frame.attrs` under which a reader says which side of a metric is better, where its source
knows: column -> "higher" or "lower". Other metrics have no entry."""

MESSAGES = "ablatekit.messages"
"""Key of `frame.attrs` for what a reader has to tell of its source, such as a file it left out: a
list of Statements, which `analyze` puts before what it finds in the table itself."""

FIXED = ("run", "dataset", "item", "sample", "outcome", "status", "started")
"""Columns that have the same meaning in the frames of every reader."""

NULL = "none"
"""The level of a setting that a run was given as null; one that it was not given is missing."""


@runtime_checkable
class Reader(Protocol):
    """Reads tables of one format; registered under `ablatekit.readers`.

    Every installed reader is asked which files are its own, so importing one is cheap: what it
    needs beyond pandas is imported where it reads. Each method raises TableError, with the file as
    its place, for content that is not a table of the format.
    """

    name: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]]
    """Endings of file names, in lower case with their dot; a `.gz` after them does not count."""

    def claims(self, path: Path) -> bool:
        """Whether an existing file or folder looks like this format; its content is not read."""

    def columns(self, path: Path) -> Sequence[str]:
        """Names of the columns in the order of the file, without reading its rows."""

    def read(
        self, path: Path, labels: Collection[str] = (), columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """The rows, shape (rows, columns).

        Columns in `labels` stay text as written, so that 1e-4 remains "1e-4"; names that are no
        columns are ignored. With `columns`, only these, in this order and as small as a model needs
        them: text may come as categories in sorted order, then listed in `attrs[TEXT_COLUMNS]`.
        """


@runtime_checkable
class NamedSources(Protocol):
    """What a reader has beside the contract if its tables have names: `mlflow:EXPERIMENT`."""

    scheme: ClassVar[str]
    """What stands before the colon."""

    def read_named(
        self, name: str, labels: Collection[str] = (), columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """`read` of what `name` (without the scheme) means; TableError where there is none."""


def has_suffix(path: Path, suffixes: Sequence[str]) -> bool:
    """Whether the name of a file ends in one of `suffixes`, compressed or not."""
    return file_kind(path) in suffixes


def file_kind(path: Path) -> str:
    """The suffix of a file name that says what it holds, in lower case; empty without one."""
    kinds = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    return kinds[-1] if kinds else ""
