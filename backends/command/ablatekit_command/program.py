"""A running program: started behind a guard, what it prints passed on, asked to stop, ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from ablatekit.errors import Problem, UsageError
from ablatekit_command.invocation import Invocation

_GUARD = Path(__file__).with_name("guard.py")
_TAIL_BYTES = 65536
_LEFTOVER_SECONDS = 5.0


class Program:
    """The program of one attempt; a context manager that leaves nothing of it behind.

    What it prints goes to descriptor 1, which is the attempt's log in a worker, and to `copy_to`.
    """

    def __init__(self, invocation: Invocation, copy_to: Path | None = None) -> None:
        self._reply, reply = os.pipe()
        os.set_blocking(self._reply, False)
        self._said = b""
        self._kill_at: float | None = None
        self._tail = bytearray()
        self.print_error: OSError | None = None
        self._copy = copy_to.open("wb", buffering=0) if copy_to is not None else None
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_GUARD), str(reply), *invocation.arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=invocation.cwd,
                env={**os.environ, **invocation.environment},
                pass_fds=(reply,),
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise _not_started(invocation.arguments, why) from None
        finally:
            os.close(reply)
        self._arguments = invocation.arguments
        self._printer = threading.Thread(target=self._pass_on, daemon=True)
        self._printer.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._end()
        try:
            self._process.wait(_LEFTOVER_SECONDS)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self._process.wait()
        self._printer.join(_LEFTOVER_SECONDS)
        assert self._process.stdout is not None
        if not self._printer.is_alive():
            self._process.stdout.close()
            if self._copy is not None:
                self._copy.close()
        os.close(self._reply)

    def exit_status(self) -> int | None:
        """The exit code, negative for the signal that ended it; None while it runs.

        Raises UsageError when it could not be started.
        """
        if self._kill_at is not None and time.monotonic() >= self._kill_at:
            self._end()
        if self._kill_at is not None and time.monotonic() >= self._kill_at + _LEFTOVER_SECONDS:
            self._signal(signal.SIGKILL)
        with suppress(BlockingIOError):
            self._said += os.read(self._reply, 4096)
        if self._said.endswith(b"\n"):
            word, _, rest = self._said.decode().strip().partition(" ")
            if word == "error":
                raise _not_started(self._arguments, rest)
            return int(rest)
        # A guard that was killed with its group cannot say how the program ended.
        return self._process.poll()

    def wait_for_output(self) -> None:
        """Wait until everything that it printed has been passed on.

        Raises OSError where the log could not be written.
        """
        self._process.wait()
        self._printer.join(_LEFTOVER_SECONDS)
        if self.print_error is not None:
            raise self.print_error

    def stop(self, grace: float) -> None:
        """Ask the program, and what it started, to stop; kill it after `grace` seconds."""
        if self._kill_at is None:
            self._kill_at = time.monotonic() + grace
            self._signal(signal.SIGTERM)

    @property
    def last_line(self) -> str:
        """The last line that it printed with anything on it."""
        lines = self._tail.decode(errors="replace").replace("\r", "\n").splitlines()
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def _end(self) -> None:
        """Have the guard kill all that was started, in other sessions too, and itself."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def _pass_on(self) -> None:
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        while chunk := os.read(descriptor, _TAIL_BYTES):
            self._tail = (self._tail + chunk)[-_TAIL_BYTES:]
            try:
                _write_all(1, chunk)
                if self._copy is not None:
                    _write_all(self._copy.fileno(), chunk)
            except OSError as error:
                # The program must not wait for a full pipe: go on reading, and say it at the end.
                self.print_error = error


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _not_started(arguments: Sequence[str], why: str) -> UsageError:
    remedy = "Look at command, cwd and python of the study"
    return UsageError(Problem(f"the program cannot be started: {why}", arguments[0], remedy))
