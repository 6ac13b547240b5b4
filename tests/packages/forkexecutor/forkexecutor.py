"""An executor without interpreters to start: every task is a fork of this process."""

from __future__ import annotations

import gc
import json
import os
import selectors
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import ClassVar

from pydantic import BaseModel

from ablatekit.canonical import read_json
from ablatekit.dispatch.executors.base import (
    Ended,
    Event,
    Noted,
    Progressed,
    Started,
    Task,
    Workload,
)
from ablatekit.runs.runlog import AttemptEnd, EndKind, live_attempt, write_end
from ablatekit.runs.workspace import RunDirectory
from ablatekit.worker import Channel, Worker, base_versions


class ForkSettings(BaseModel):
    """Nothing."""


@dataclass
class Child:
    """A forked worker with its one task; file descriptors lead to it and from it."""

    task: Task
    pid: int
    commands: int
    replies: int
    deadline: float = float("inf")
    attempt: int | None = None
    killed_as: EndKind = "killed"
    ended: Ended | None = None
    pending: bytearray = field(default_factory=bytearray)

    def kill(self, kind: EndKind) -> None:
        self.killed_as = kind
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def close(self) -> int:
        """Let it go, and wait for it; its exit code, negative for a signal."""
        os.close(self.commands)
        os.close(self.replies)
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status)


class ForkExecutor:
    """Two places by default; what it does not do, the coordinator does not need."""

    name: ClassVar[str] = "fork"
    settings: ClassVar[type[BaseModel]] = ForkSettings

    def __init__(self, workload: Workload, settings: BaseModel) -> None:  # noqa: ARG002
        self._places = 2 if workload.workers == "auto" else workload.workers
        self._timeout = workload.timeout
        self._children: list[Child] = []
        self._notes = [Noted("workers are forks")]

    @property
    def free(self) -> int:
        return self._places - len(self._children)

    @property
    def running(self) -> int:
        return len(self._children)

    def submit(self, task: Task) -> None:
        # What is cached before the fork is known to every child; what is frozen is not copied.
        base_versions(read_json(task.run.spec)["backend"])
        gc.freeze()
        (commands_end, commands), (replies, replies_end) = os.pipe(), os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid == 0:
            for child in self._children:
                os.close(child.commands)
            os.close(commands)
            _serve(commands_end, replies_end)
        os.close(commands_end)
        os.close(replies_end)
        os.set_blocking(replies, False)
        os.write(commands, json.dumps(task.command()).encode() + b"\n")
        self._children.append(Child(task, pid, commands, replies))

    def poll(self, seconds: float) -> Iterator[Event]:
        while self._notes:
            yield self._notes.pop()
        with selectors.DefaultSelector() as selector:
            for child in self._children:
                selector.register(child.replies, selectors.EVENT_READ, child)
            nearest = min((child.deadline for child in self._children), default=float("inf"))
            wait = max(0.0, min(seconds, nearest - time.monotonic()))
            ready = [key.data for key, _ in selector.select(wait)]
        for child in ready:
            yield from self._read(child)
        for child in self._children:
            if time.monotonic() >= child.deadline:
                child.deadline = float("inf")
                child.kill("timeout")

    def drain(self) -> None:
        for child in self._children:
            with suppress(BrokenPipeError):
                os.write(child.commands, b'{"do": "stop"}\n')

    def kill(self) -> None:
        for child in self._children:
            child.kill("interrupted")

    def release(self, run: RunDirectory) -> bool:
        return live_attempt(run) is None

    def close(self) -> None:
        self.kill()
        while self._children:
            self._children.pop().close()

    def _read(self, child: Child) -> Iterator[Event]:
        data = os.read(child.replies, 65536)
        *lines, rest = bytes(child.pending + data).split(b"\n")
        child.pending = bytearray(rest)
        for line in lines:
            yield from self._understand(child, json.loads(line))
        if child.ended is not None or not data:
            self._children.remove(child)
            code = child.close()
            yield child.ended or self._death(child, code)

    def _understand(self, child: Child, message: dict) -> Iterator[Event]:
        run_id = child.task.run.run_id
        match message["say"]:
            case "started":
                child.attempt = message["attempt"]
                child.deadline = time.monotonic() + (self._timeout or float("inf"))
                yield Started(run_id, message["attempt"])
            case "progress":
                yield Progressed(run_id, message["done"], message["total"])
            case "ended":
                child.ended = Ended(run_id, child.attempt, message["outcome"], message["message"])

    def _death(self, child: Child, code: int) -> Ended:
        message = f"died with {code}"
        if child.attempt is not None and not child.task.run.result.exists():
            end = AttemptEnd(kind=child.killed_as, message=message, ended=time.time())
            write_end(child.task.run.attempt(child.attempt), end)
        return Ended(child.task.run.run_id, child.attempt, child.killed_as, message)


def _serve(commands: int, replies: int) -> None:
    """What a child does: one task, then nothing of what the parent would do."""
    try:
        os.setsid()
        sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False) for number in (1, 2))
        worker = Worker(Channel(replies))
        threading.Thread(target=worker.listen, args=(commands,), daemon=True).start()
        worker.serve()
    finally:
        os._exit(0)
