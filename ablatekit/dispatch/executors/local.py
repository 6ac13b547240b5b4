"""Workers on this machine: one long-lived process per slot, supervised over pipes.

A worker that dies costs the run it was executing and nothing else: the slot gets a new process. A
worker, with all that it started, is one process group in a session of its own, so that a Ctrl-C
reaches the coordinator alone and a kill reaches everything.
"""

from __future__ import annotations

import json
import os
import platform
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, ClassVar

from pydantic import BaseModel, ConfigDict

from ablatekit.dispatch.executors.base import (
    Ended,
    Event,
    Noted,
    Progressed,
    Started,
    Task,
    Workload,
)
from ablatekit.dispatch.executors.slots import Machine, Slot, memory_warning, plan_slots
from ablatekit.errors import PluginError, Problem
from ablatekit.runs.runlog import AttemptEnd, EndKind, live_attempt, read_claim, write_end
from ablatekit.runs.workspace import AttemptDirectory, RunDirectory

_CHUNK = 65536
_START_SECONDS = 120.0


class LocalSettings(BaseModel):
    """What a study file says of this executor beside its name: nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)


@dataclass(eq=False)
class _Worker:
    """A worker process, what it is doing, and the bytes of its unfinished line."""

    slot: Slot
    process: subprocess.Popen[bytes]
    errors: IO[bytes]
    ready: bool = False
    task: Task | None = None
    attempt: int | None = None
    deadline: float | None = None
    killed_as: EndKind | None = None
    pending: bytearray = field(default_factory=bytearray)

    def send(self, command: Mapping[str, Any]) -> None:
        """Write one command; a dead worker is noticed by the end of its output."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps(command).encode() + b"\n")
            self.process.stdin.flush()

    def kill(self) -> None:
        """Kill the worker and what it started; its process id is ours until it is waited for."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def error_tail(self) -> str:
        """The last line that the worker printed outside of any run."""
        self.errors.seek(0)
        lines = self.errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""

    def close(self) -> None:
        """Release the process's pipes and its entry in the process table."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
        self.errors.close()


class LocalExecutor:
    """A fixed set of slots, each with at most one worker process; used by one thread."""

    name: ClassVar[str] = "local"
    settings: ClassVar[type[BaseModel]] = LocalSettings

    def __init__(self, workload: Workload, settings: BaseModel) -> None:  # noqa: ARG002
        machine = Machine.here()
        slots = plan_slots(workload, machine) if workload.runs else ()
        warning = memory_warning(workload, machine, len(slots))
        self._notes = [Noted(warning)] if warning else []
        self._idle_slots = list(reversed(slots))
        self._python = workload.python or sys.executable
        self._timeout = workload.timeout
        self._workers: list[_Worker] = []
        self._selector = selectors.DefaultSelector()
        self._proven = False

    @property
    def free(self) -> int:
        """Number of tasks that can be submitted now."""
        return len(self._idle_slots) + sum(worker.task is None for worker in self._workers)

    @property
    def running(self) -> int:
        """Number of tasks in workers."""
        return sum(worker.task is not None for worker in self._workers)

    def submit(self, task: Task) -> None:
        """Hand a task to an idle worker, or to a new one in a free slot."""
        idle = (worker for worker in self._workers if worker.task is None)
        worker = next(idle, None) or self._spawn()
        worker.task, worker.attempt = task, None
        worker.deadline = self._deadline(_START_SECONDS)
        worker.send(task.command())

    def poll(self, seconds: float) -> Iterator[Event]:
        """What happened within the next `seconds`; returns as soon as something did.

        Raises PluginError when the interpreter cannot run workers at all.
        """
        while self._notes:
            yield self._notes.pop()
        for key, _ in self._selector.select(self._patience(seconds)):
            yield from self._read(key.data)
        # What a worker started may outlive it and hold its pipe open: the end of output is not
        # the only sign of death.
        for worker in [worker for worker in self._workers if worker.process.poll() is not None]:
            yield from self._read(worker)
        self._enforce_deadlines()

    def drain(self) -> None:
        """Ask every worker to finish or checkpoint its run."""
        for worker in self._workers:
            worker.send({"do": "stop"})

    def kill(self) -> None:
        """Kill every worker."""
        for worker in self._workers:
            worker.killed_as = worker.killed_as or "interrupted"
            worker.kill()

    def release(self, run: RunDirectory) -> bool:
        """Whether no process holds the lock of an attempt at the run."""
        attempt = live_attempt(run)
        if attempt is not None:
            kill_orphans(attempt)
        return attempt is None

    def close(self) -> None:
        """End idle workers, kill busy ones, and wait for all of them."""
        for worker in self._workers:
            if worker.task is not None:
                worker.kill()
            worker.close()
        self._workers.clear()
        self._selector.close()

    def _spawn(self) -> _Worker:
        slot = self._idle_slots.pop()
        errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with its worker
        try:
            process = subprocess.Popen(
                [self._python, "-u", "-m", "ablatekit.worker", str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**os.environ, **slot.environment},
                start_new_session=True,
            )
        except OSError as error:
            errors.close()
            raise _no_interpreter(self._python, error) from None
        worker = _Worker(slot=slot, process=process, errors=errors)
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        self._selector.register(process.stdout, selectors.EVENT_READ, worker)
        self._workers.append(worker)
        return worker

    def _deadline(self, extra: float) -> float | None:
        return None if self._timeout is None else time.monotonic() + self._timeout + extra

    def _patience(self, seconds: float) -> float:
        deadlines = [worker.deadline for worker in self._workers if worker.deadline is not None]
        nearest = min(deadlines, default=float("inf")) - time.monotonic()
        return max(0.0, min(seconds, nearest))

    def _enforce_deadlines(self) -> None:
        now = time.monotonic()
        for worker in self._workers:
            if worker.task is not None and worker.deadline is not None and now >= worker.deadline:
                worker.deadline, worker.killed_as = None, "timeout"
                worker.kill()

    def _read(self, worker: _Worker) -> Iterator[Event]:
        assert worker.process.stdout is not None
        data = b""
        with suppress(BlockingIOError):
            data = os.read(worker.process.stdout.fileno(), _CHUNK)
        worker.pending += data
        *lines, rest = bytes(worker.pending).split(b"\n")
        worker.pending = bytearray(rest)
        for line in lines:
            event = self._understand(worker, json.loads(line))
            if event is not None:
                yield event
        if not data:
            ended = self._bury(worker)
            if ended is not None:
                yield ended

    def _understand(self, worker: _Worker, message: Mapping[str, Any]) -> Event | None:
        match message["say"]:
            case "ready":
                worker.ready = self._proven = True
            case "started" if worker.task is not None:
                worker.attempt = message["attempt"]
                worker.deadline = self._deadline(0.0)
                return Started(worker.task.run.run_id, message["attempt"])
            case "progress" if worker.task is not None:
                return Progressed(worker.task.run.run_id, message["done"], message["total"])
            case "ended" if worker.task is not None:
                task, worker.task, worker.deadline = worker.task, None, None
                run_id = task.run.run_id
                return Ended(run_id, worker.attempt, message["outcome"], message["message"])
        return None

    def _bury(self, worker: _Worker) -> Ended | None:
        """Clear up after a worker that died; its task, if any, ended without a result."""
        self._selector.unregister(worker.process.stdout)  # type: ignore[arg-type]
        worker.kill()
        code = worker.process.wait()
        last_words = worker.error_tail()
        self._workers.remove(worker)
        self._idle_slots.append(worker.slot)
        worker.close()
        if not self._proven and code > 0:
            raise self._unusable(last_words)
        if worker.task is None:
            return None
        return _death(worker, worker.task, code, self._timeout)

    def _unusable(self, last_words: str) -> PluginError:
        return PluginError(
            Problem(
                f"{self._python} cannot run a worker",
                last_words,
                "Install ablatekit and the backend for that interpreter (backend.python)",
            )
        )


def kill_orphans(attempt: AttemptDirectory) -> None:
    """Kill what a dead worker left behind on this machine and what still holds its lock.

    A worker leads a process group of its own, whose number cannot be reused while it has members.
    """
    claim = read_claim(attempt)
    if claim is None or claim.host != platform.node() or Path(f"/proc/{claim.pid}").exists():
        return
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(claim.pid, signal.SIGKILL)


def _no_interpreter(python: str, error: OSError) -> PluginError:
    remedy = "Set backend.python to an interpreter that has ablatekit and the backend"
    return PluginError(Problem(f"{python} cannot be started", error.strerror or str(error), remedy))


def _death(worker: _Worker, task: Task, code: int, timeout: float | None) -> Ended:
    kind: EndKind = worker.killed_as or "killed"
    name = signal.Signals(-code).name if code < 0 else None
    if kind == "timeout":
        message = f"took longer than {timeout:g} s"
    else:
        message = f"the worker died of {name}" if name else f"the worker exited with code {code}"
    ended = Ended(task.run.run_id, worker.attempt, kind, message, name)
    if worker.attempt is not None and not task.run.result.exists():
        end = AttemptEnd(kind=kind, message=message, ended=time.time(), signal=name)
        with suppress(OSError):
            write_end(task.run.attempt(worker.attempt), end)
    return ended
