"""Advisory file locks that the kernel releases when their holder dies, however it dies."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ablatekit.errors import Problem, WorkspaceError

_RETRY_SECONDS = 0.1


class LockHeldError(WorkspaceError):
    """Another process holds the lock; `pid` is the holder as it wrote itself into the file."""

    def __init__(self, path: Path, pid: int | None) -> None:
        self.pid = pid
        holder = f"process {pid}" if pid else "another process"
        super().__init__(Problem(f"{path} is locked", f"a lock held by {holder}"))


@contextmanager
def file_lock(path: Path, *, timeout: float | None = 0.0) -> Iterator[None]:
    """Hold the exclusive lock of a file, made if it is missing, with this process's id inside.

    Waits at most `timeout` seconds, for ever if None. Raises LockHeldError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        _acquire(descriptor, path, timeout)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def directory_lock(path: Path) -> Iterator[None]:
    """Hold the exclusive lock of an existing directory, waiting for it; it leaves no file."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def is_locked(path: Path) -> bool:
    """Whether some process holds the lock of `path`."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _acquire(descriptor: int, path: Path, timeout: float | None) -> None:
    if timeout is None:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return
    deadline = time.monotonic() + timeout
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise LockHeldError(path, _written_pid(descriptor)) from None
            time.sleep(_RETRY_SECONDS)
        else:
            return


def _written_pid(descriptor: int) -> int | None:
    text = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
    return int(text) if text.isdigit() else None
