"""Canonical JSON and content hashes: the same content gives the same text and the same id."""

from __future__ import annotations

import functools
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from ablatekit.errors import DamagedFileError


def canonical_json(value: Any) -> str:
    """Sorted keys, no spaces, shortest floats, and integral floats written as floats.

    Raises ValueError for NaN and infinities: they have no canonical JSON form.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def content_hash(value: Any, length: int = 16) -> str:
    """The first `length` hex digits of the SHA-256 of the canonical JSON of `value`."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:length]


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def bytes_hash(path: Path) -> str:
    """`file_hash`, read once per process as long as the file's size and time do not change.

    Planning asks for the content of a cell in a context once for each of its runs.
    """
    status = path.stat()
    return _stamped_hash(path.resolve(), status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=4096)
def _stamped_hash(path: Path, _size: int, _changed_at: int) -> str:
    return file_hash(path)


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` so that `path` holds either all of it or what it held before.

    Temporary file, fsync, rename, fsync of the directory: a killed process or a power cut loses
    nothing.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make the entries of a directory durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: Path, value: Any) -> None:
    """Write readable JSON (sorted keys, two spaces) atomically."""
    text = json.dumps(value, sort_keys=True, indent=2, allow_nan=False, ensure_ascii=False)
    write_atomically(path, text.encode() + b"\n")


def read_json(path: Path) -> Any:
    """Read a JSON file. Raises DamagedFileError when it is not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DamagedFileError(path, str(error)) from None
