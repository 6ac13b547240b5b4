"""Starts the program and ends it, with all that it started, when the worker is gone.

Run as a script, by path, with as little of Python as possible: it leads the session in which the
program runs. Standard input comes from the worker and ends with it, however the worker ends; the
program's exit status (negative for a signal) is written to a descriptor that the worker reads.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
_ROUNDS, _SECONDS_OF_A_ROUND = 200, 0.01


def _end_with_worker() -> None:
    while os.read(0, 4096):
        pass
    _end_all()


def _end_all() -> None:
    """Kill all that was started, and this process.

    Launchers (torchrun, Ray, wandb) start processes in sessions of their own, which a signal to
    this session's group does not reach.
    """
    for _ in range(_ROUNDS):
        running = list(_descendants(os.getpid()))
        if not running:
            break
        for pid in running:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_SECONDS_OF_A_ROUND)
    os.killpg(0, signal.SIGKILL)


def _descendants(ancestor: int) -> Iterator[int]:
    """The running processes below one, where /proc tells; none elsewhere."""
    children: dict[int, list[int]] = {}
    for pid, parent in _running():
        children.setdefault(parent, []).append(pid)
    below = children.get(ancestor, [])
    while below:
        yield from below
        below = [child for pid in below for child in children.get(pid, [])]


def _running() -> Iterator[tuple[int, int]]:
    """Every process that has not ended, with its parent."""
    for place in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, parent = place.read_bytes().rpartition(b")")[2].split()[:2]
            if state not in (b"Z", b"X"):
                yield int(place.parent.name), int(parent)


def _adopt_orphans() -> None:
    """Become the parent of whatever loses its own below this process."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _exit_status(pid: int) -> int:
    """Wait for the program; what it left to this process is waited for on the way."""
    while True:
        ended, status = os.waitpid(-1, 0)
        if ended == pid:
            return os.waitstatus_to_exitcode(status)


def _tell(reply: int, line: str) -> None:
    with suppress(BrokenPipeError):  # the worker is gone
        os.write(reply, f"{line}\n".encode())


def main(reply: int, arguments: list[str]) -> None:
    """Run the program; a request to stop (SIGTERM to the group) is the program's to answer."""
    signal.signal(signal.SIGTERM, lambda _number, _frame: None)
    _adopt_orphans()
    threading.Thread(target=_end_with_worker, daemon=True).start()
    try:
        process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL)
    except OSError as error:
        _tell(reply, f"error {error.strerror}")
    else:
        _tell(reply, f"ended {_exit_status(process.pid)}")
    # What the program left behind would hold the worker's pipe open, and a GPU.
    _end_all()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
