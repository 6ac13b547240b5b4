"""Members of a zip file that may use zstd, which zipfile of Python 3.11 refuses."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ablatekit.errors import Location, Problem, TableError

ZSTD = 93
MOST_BYTES = 1 << 30
"""Of one member, uncompressed: what is larger is no summary."""
_LOCAL_HEADER = struct.Struct("<4s2B4HL2L2H")
"""Signature, versions, flags, method, time, date, checksum, sizes, lengths of name and extra."""


class Archive:
    """Reads members by name, each whole and checked against the directory of the archive.

    Raises TableError, with the file as its place, where the archive or a member is damaged, or a
    member is larger than MOST_BYTES or than its directory says.
    """

    def __init__(self, path: Path, file: IO[bytes], members: zipfile.ZipFile) -> None:
        self._path = path
        self._file = file
        self._zip = members

    def names(self) -> list[str]:
        """The names of all members, in the order of the archive's directory."""
        return list(dict.fromkeys(self._zip.namelist()))

    def read(self, name: str) -> bytes:
        """The content of a member; of two with one name the later."""
        info = self._zip.getinfo(name)
        if info.file_size > MOST_BYTES:
            raise self._damaged(f"{name} has {info.file_size} bytes", "more than can be read")
        try:
            data = self._content(info)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError) as error:
            raise self._damaged(f"{name}: {error}") from error
        except (RuntimeError, struct.error) as error:  # encrypted; a header beyond the end
            raise self._damaged(f"{name}: {error}") from error
        if len(data) != info.file_size or zlib.crc32(data) != info.CRC:
            raise self._damaged(f"{name} is not what was written")
        return data

    def _content(self, info: zipfile.ZipInfo) -> bytes:
        """At most a byte more than the directory says."""
        if info.compress_type != ZSTD:
            with self._zip.open(info) as member:
                return member.read(info.file_size + 1)
        import pyarrow as pa

        self._file.seek(info.header_offset)
        header = _LOCAL_HEADER.unpack(self._file.read(_LOCAL_HEADER.size))
        if header[0] != b"PK\x03\x04":
            raise zipfile.BadZipFile("no member stands where the directory says")
        self._file.seek(header[-2] + header[-1], 1)
        packed = pa.BufferReader(self._file.read(info.compress_size))
        with pa.CompressedInputStream(packed, "zstd") as stream:
            return bytes(stream.read(info.file_size + 1))

    def _damaged(self, told: str, rule: str = "the log is damaged") -> TableError:
        remedy = "Recover it (inspect log recover) or take it out of the folder"
        return TableError(Problem(f"{rule} ({told})", "", remedy, Location(str(self._path))))


@contextmanager
def opened_archive(path: Path) -> Iterator[Archive]:
    """The archive in a file; TableError where it has no directory, as after a cut."""
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as members:
            yield Archive(path, file, members)
    except (zipfile.BadZipFile, OSError) as error:
        rule = f"the log is cut off or damaged ({error})"
        remedy = "Recover it (inspect log recover) or take it out of the folder"
        raise TableError(Problem(rule, "", remedy, Location(str(path)))) from error
