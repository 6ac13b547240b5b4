"""Starts the program and ends it, with all that it started, when the worker is gone.

Run as a script, by path, with as little of Python as possible: it leads the session in which the
program runs. Standard input comes from the worker and ends with it, however the worker ends; the
program's exit status (negative for a signal) is written to a descriptor that the worker reads.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading


def _end_with_worker() -> None:
    while os.read(0, 4096):
        pass
    os.killpg(0, signal.SIGKILL)


def main(reply: int, arguments: list[str]) -> None:
    """Run the program; a request to stop (SIGTERM to the group) is the program's to answer."""
    signal.signal(signal.SIGTERM, lambda _number, _frame: None)
    threading.Thread(target=_end_with_worker, daemon=True).start()
    try:
        process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL)
    except OSError as error:
        os.write(reply, f"error {error.strerror}\n".encode())
    else:
        os.write(reply, f"ended {process.wait()}\n".encode())
    # What the program left behind would hold the worker's pipe open, and a GPU.
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
