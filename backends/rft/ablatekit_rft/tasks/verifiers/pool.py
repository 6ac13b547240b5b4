"""Judges in processes of their own, each judgement under hard limits of time and memory.

math-verify and a user's function may hang, crash or fill the memory; sympy holds the interpreter's
lock while it does, and signal-based timeouts work in no thread. A process can be killed. Processes
are started by command (never forked: this one has threads of torch) and end when this one does,
because their standard input ends with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import subprocess
import sys
import time
import weakref
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ablatekit_rft.tasks.query import Judgement, Verdict

TIME_LIMIT = 10.0
"""Seconds for one judgement."""
START_LIMIT = 120.0
"""Seconds for a process to start: sympy is slow to import on a busy machine."""
MEMORY_LIMIT = 4 * 2**30
"""Bytes that judgements may take beyond what a process needs to start."""
MOST_PROCESSES = 8

FAILED = Judgement(
    Verdict.ERROR, format_ok=False, why="its process ended, or the time limit of a judgement passed"
)


class VerifierStartError(RuntimeError):
    """The process of a verifier ends before it can judge."""


def default_processes() -> int:
    """Half of the cores, at least one."""
    return max(1, min(MOST_PROCESSES, (os.cpu_count() or 1) // 2))


@dataclass(slots=True)
class _Child:
    """A process that judges, and the place of the judgement that it works on."""

    process: subprocess.Popen[bytes]
    ready: bool = False
    place: int | None = None
    deadline: float = 0.0
    pending: bytearray = field(default_factory=bytearray)


class JudgePool:
    """Judges lists of texts in processes that run `ablatekit_rft.tasks.verifiers.child`.

    `factory` is the function that gives the judge, as `module:function`; it is called with
    `arguments` in each process. Processes start with the first judgement and are reused.
    """

    def __init__(
        self,
        factory: str,
        *arguments: str,
        processes: int | None = None,
        time_limit: float = TIME_LIMIT,
        memory_limit: int = MEMORY_LIMIT,
    ) -> None:
        self._judge = (factory, *arguments)
        self._memory = str(memory_limit)
        self._size = processes or default_processes()
        self._limit = time_limit
        self._children: list[_Child] = []
        self._finalizer = weakref.finalize(self, _end, self._children)

    def close(self) -> None:
        """End the processes."""
        self._finalizer()

    def judge(self, asked: Sequence[Sequence[str]]) -> list[Judgement]:
        """One judgement for each list of texts, in their order.

        ERROR for one that takes longer or more memory than the limit, raises, or ends its process.
        """
        judgements: list[Judgement] = [FAILED] * len(asked)
        waiting = list(reversed(range(len(asked))))
        while waiting or any(child.place is not None for child in self._children):
            self._start(min(self._size, len(waiting)))
            for child in self._children:
                if child.ready and child.place is None and waiting:
                    self._hand_over(child, waiting.pop(), asked)
            self._collect(judgements)
            self._replace_late()
        return judgements

    def _start(self, wanted: int) -> None:
        for _ in range(wanted - len(self._children)):
            command = [sys.executable, "-m", "ablatekit_rft.tasks.verifiers.child", self._memory]
            command += self._judge
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            child = _Child(process, deadline=time.monotonic() + START_LIMIT)
            self._children.append(child)

    def _hand_over(self, child: _Child, place: int, asked: Sequence[Sequence[str]]) -> None:
        child.place = place
        child.deadline = time.monotonic() + self._limit
        line = json.dumps(list(asked[place])).encode() + b"\n"
        # A process that has just died is found by its closed output.
        with contextlib.suppress(BrokenPipeError):
            stream = _stream(child.process.stdin)
            stream.write(line)
            stream.flush()

    def _collect(self, judgements: list[Judgement]) -> None:
        """Read what the processes say, waiting until one speaks or the first deadline."""
        with selectors.DefaultSelector() as selector:
            busy = [child for child in self._children if not child.ready or child.place is not None]
            for child in busy:
                selector.register(_stream(child.process.stdout), selectors.EVENT_READ, child)
            first = min((child.deadline for child in busy), default=time.monotonic())
            for key, _ in selector.select(max(0.0, first - time.monotonic())):
                self._read(key.data, judgements)

    def _read(self, child: _Child, judgements: list[Judgement]) -> None:
        data = os.read(_stream(child.process.stdout).fileno(), 65_536)
        if not data:
            self._drop(child)
            return
        child.pending += data
        while b"\n" in child.pending:
            line, _, rest = child.pending.partition(b"\n")
            child.pending = bytearray(rest)
            if not child.ready:
                child.ready = True
            elif child.place is not None:
                judgements[child.place] = _judgement(bytes(line))
                child.place = None

    def _replace_late(self) -> None:
        now = time.monotonic()
        for child in [one for one in self._children if one.place is not None or not one.ready]:
            if now >= child.deadline:
                self._drop(child)

    def _drop(self, child: _Child) -> None:
        """Kill a process; what it was asked stays an error. One that cannot start is an error."""
        self._children.remove(child)
        _end([child])
        if not child.ready:
            raise VerifierStartError(
                f"the verifier {self._judge[-1]!r} cannot start: see its messages above"
            )


def _judgement(line: bytes) -> Judgement:
    said: dict[str, Any] = json.loads(line)
    return Judgement(Verdict(said["verdict"]), bool(said["format_ok"]), said["why"])


def _stream(pipe: Any) -> Any:
    assert pipe is not None
    return pipe


def _end(children: Iterable[_Child]) -> None:
    for child in children:
        child.process.kill()
        child.process.wait()
        for pipe in (child.process.stdin, child.process.stdout):
            # What a killed process did not read is lost with it.
            with contextlib.suppress(BrokenPipeError):
                _stream(pipe).close()
