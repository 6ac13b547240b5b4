"""SQLite databases of other tools, opened for reading alone."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from ablatekit.errors import Location, Problem, TableError

MAGIC = b"SQLite format 3\0"
HEAD_BYTES = 20
WAL_MODE, WAL = slice(18, 20), b"\x02\x02"
"""Where a database's head says that its changes go to a log first."""


@contextmanager
def opened_database(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that cannot write; TableError for a file that is no sound database."""
    where = Location(str(path))
    try:
        with closing(_connected(path)) as connection:
            yield connection
    except (sqlite3.Error, OSError, UnicodeDecodeError) as error:
        remedy = "The file may be damaged or no SQLite database"
        raise TableError(Problem(f"cannot be read ({error})", "", remedy, where)) from error


def tables_of(path: Path) -> frozenset[str]:
    """Names of the tables in a database; none for any other file, and for a damaged one."""
    try:
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                return frozenset()
        with closing(_connected(path)) as connection:
            rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            return frozenset(str(name) for (name,) in rows)
    except (sqlite3.Error, OSError, UnicodeDecodeError):
        return frozenset()


def columns_of(connection: sqlite3.Connection, table: str) -> Sequence[str]:
    """Names of a table's columns."""
    return [str(row[1]) for row in connection.execute(f"PRAGMA table_info({table})")]


def _connected(path: Path) -> sqlite3.Connection:
    """A connection that leaves no files beside the database.

    One in WAL mode without its log has no writer, but SQLite would make the log anew, which it also
    cannot in a folder without write permission, unless it is told that nobody writes.
    """
    name = f"file:{quote(str(path.resolve()))}?mode=ro"
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    is_resting = head[WAL_MODE] == WAL and not path.with_name(f"{path.name}-wal").exists()
    try:
        return _checked(f"{name}&immutable=1" if is_resting else name)
    except sqlite3.OperationalError:
        return _checked(f"{name}&immutable=1")


def _checked(name: str) -> sqlite3.Connection:
    connection = sqlite3.connect(name, uri=True)
    try:
        connection.execute("SELECT name FROM sqlite_master LIMIT 1").fetchall()
    except (sqlite3.Error, UnicodeDecodeError):
        connection.close()
        raise
    return connection
