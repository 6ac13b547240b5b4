"""A worker process: `python -m ablatekit.worker`, long-lived, one run at a time (DESIGN 3.2).

It imports nothing but the bottom layer, so a backend may bring its own interpreter. The protocol
is JSON lines. Coordinator to worker, on standard input: `{"do": "run", ...}`, `{"do": "stop"}`
(finish or checkpoint, take nothing new), end of input (exit; in the middle of a run: die).
Worker to coordinator, on what was standard output: `ready`, `started`, `progress`, `ended`. While
a run executes, file descriptors 1 and 2 lead to the attempt's log, so that nothing a backend or
its libraries print can reach the protocol.
"""

from __future__ import annotations

import ctypes
import errno
import faulthandler
import gc
import json
import os
import platform
import queue
import re
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, TypeAlias

from ablatekit.backend import Backend
from ablatekit.canonical import read_json
from ablatekit.errors import (
    AblatekitError,
    Problem,
    RunFailedError,
    RunInterruptedError,
    UsageError,
    WorkspaceError,
)
from ablatekit.plugins import CONTRACTS, load_backend
from ablatekit.runs.eventlog import EventWriter
from ablatekit.runs.locks import file_lock
from ablatekit.runs.records import MetricEvent, RunResult, RunSpec
from ablatekit.runs.runlog import (
    AttemptEnd,
    Claim,
    EndKind,
    ItemsWriter,
    claim_attempt,
    write_claim,
    write_end,
    write_result,
)
from ablatekit.runs.seeds import Seeds
from ablatekit.runs.workspace import AttemptDirectory, RunDirectory
from ablatekit.version import __version__

Outcome: TypeAlias = Literal["finished", "diverged", "busy", "done"] | EndKind
"""How a run command ended: a result, an end without one, another's run, or an older result."""

_PROGRESS_SECONDS = 0.25
_PR_SET_PDEATHSIG = 1
_DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class Channel:
    """The way back to the coordinator: one JSON object a line, one system call each."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def send(self, say: str, **values: Any) -> None:
        line = json.dumps({"say": say, **values}) + "\n"
        os.write(self._descriptor, line.encode())


@dataclass
class AttemptContext:
    """The `RunContext` of one attempt."""

    seeds: Seeds
    checkpoint_dir: Path
    cache_dir: Path
    attempt: AttemptDirectory
    claim: Claim
    events: EventWriter
    items: ItemsWriter
    channel: Channel
    stop: threading.Event
    _reported: float = field(default=-_PROGRESS_SECONDS)

    @property
    def output_dir(self) -> Path:
        self.attempt.output.mkdir(exist_ok=True)
        return self.attempt.output

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        numbers = {name: float(value) for name, value in metrics.items()}
        self.events.write(MetricEvent(step=int(step), time=time.time(), metrics=numbers))

    def log_items(self, step: int, table: Mapping[str, Sequence[Any]]) -> None:
        self.items.write(int(step), table)

    def resumed_at(self, step: int) -> None:
        if self.events.count:
            raise RuntimeError("resumed_at must be called before anything is logged")
        self.claim = replace(self.claim, resumed_at=int(step))
        write_claim(self.attempt, self.claim)

    def progress(self, done: float, total: float) -> None:
        now = time.monotonic()
        if now - self._reported >= _PROGRESS_SECONDS:
            self._reported = now
            self.channel.send("progress", done=float(done), total=float(total))

    def should_stop(self) -> bool:
        return self.stop.is_set()

    @contextmanager
    def cache_lock(self, name: str) -> Iterator[Path]:
        folder = self.cache_dir / name
        with file_lock(folder / ".lock", timeout=None):
            yield folder


class Worker:
    """Executes run commands one after another; keeps the backends that it has loaded."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.commands: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self.stop = threading.Event()
        self.busy = threading.Event()
        self._backends: dict[str, Backend] = {}

    def listen(self, descriptor: int) -> None:
        """Read commands until the coordinator closes the pipe; its death ends a running run."""
        with os.fdopen(descriptor, encoding="utf-8") as lines:
            for line in lines:
                command = json.loads(line)
                if command["do"] == "stop":
                    self.stop.set()
                else:
                    self.busy.set()
                    self.commands.put(command)
        if self.busy.is_set():
            _die()
        self.commands.put(None)

    def serve(self) -> None:
        """Execute commands until there are no more."""
        self.channel.send("ready")
        while (command := self.commands.get()) is not None:
            outcome, message = self.execute(command)
            self.busy.clear()
            self.channel.send("ended", outcome=outcome, message=message)
            _return_memory()

    def execute(self, command: Mapping[str, Any]) -> tuple[Outcome, str]:
        """One run: claim an attempt, run the backend, leave a result or an end."""
        run = RunDirectory(Path(command["run"]))
        try:
            with claim_attempt(run) as attempt:
                if attempt is None:
                    return ("done" if run.result.exists() else "busy"), ""
                self.channel.send("started", attempt=attempt.number)
                with output_to(attempt.logs / "output.txt"):
                    return self._attempt(run, attempt, command)
        except OSError as error:
            return _end_of(error)

    def _attempt(
        self, run: RunDirectory, attempt: AttemptDirectory, command: Mapping[str, Any]
    ) -> tuple[Outcome, str]:
        try:
            result = self._run_backend(run, attempt, command)
        # A backend is foreign code: whatever it raises fails this attempt, never the worker.
        except (Exception, SystemExit) as error:  # noqa: BLE001
            kind, message = _end_of(error)
            if not isinstance(error, AblatekitError):
                traceback.print_exception(error.with_traceback(_foreign(error.__traceback__)))
            _leave_end(attempt, kind, message)
            return kind, message
        return result.status, result.message

    def _run_backend(
        self, run: RunDirectory, attempt: AttemptDirectory, command: Mapping[str, Any]
    ) -> RunResult:
        spec = RunSpec.from_json(read_json(run.spec))
        if spec.run_id != run.run_id:
            raise WorkspaceError(
                Problem(
                    f"{run.spec} has the id {spec.run_id} in this version of ablatekit",
                    f"ablatekit {__version__} under {sys.executable}",
                    "Install the same version where studies are planned and where they run",
                )
            )
        names = (command["study"], command["study_hash"])
        claim = Claim.by_this_process(*names, base_versions(spec.backend))
        write_claim(attempt, claim)
        run.checkpoint.mkdir(exist_ok=True)
        context = AttemptContext(
            seeds=Seeds(spec.run_id, spec.context_id),
            checkpoint_dir=run.checkpoint,
            cache_dir=Path(command["cache"]),
            attempt=attempt,
            claim=claim,
            events=EventWriter(attempt),
            items=ItemsWriter(attempt),
            channel=self.channel,
            stop=self.stop,
        )
        try:
            result = self._backend(spec.backend).run(spec, context)
            context.events.sync()
        finally:
            context.events.close()
        if not isinstance(result, RunResult):
            raise TypeError(f"the backend returned {type(result).__name__}, not a RunResult")
        write_result(run, attempt, result, {**claim.versions, **loaded_versions(spec.backend)})
        return result

    def _backend(self, name: str) -> Backend:
        if name not in self._backends:
            self._backends[name] = load_backend(name)
        return self._backends[name]


@contextmanager
def output_to(path: Path) -> Iterator[None]:
    """Lead file descriptors 1 and 2, and what faulthandler prints, to a file."""
    saved = [(number, os.dup(number)) for number in (1, 2)]
    target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    for number, _ in saved:
        os.dup2(target, number)
    os.close(target)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, copy in saved:
            os.dup2(copy, number)
            os.close(copy)


def base_versions(backend: str) -> dict[str, str]:
    """What is known before the backend is imported: interpreter, ablatekit, backend, machine."""
    versions = {
        "python": platform.python_version(),
        "ablatekit": __version__,
        "platform": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu_capability(),
        "machine": _machine_size(),
    }
    distribution = _distribution(backend)
    if distribution is not None:
        versions[distribution.name] = distribution.version
    return versions


def loaded_versions(backend: str) -> dict[str, str]:
    """Versions of those requirements of the backend's distribution that this process imported."""
    distribution = _distribution(backend)
    versions = {}
    for requirement in (distribution.requires or ()) if distribution is not None else ():
        name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
        if name.replace("-", "_") in sys.modules:
            versions[name] = _version(name)
    return versions


@cache
def _version(requirement: str) -> str:
    try:
        return metadata.version(requirement)
    except metadata.PackageNotFoundError:
        # The module comes from a distribution of another name: a build of vllm for CPUs.
        module = requirement.replace("-", "_")
        names = metadata.packages_distributions().get(module, ())
        providers = [f"{metadata.version(name)} ({name})" for name in names]
        return ", ".join(providers) or "unknown"


@cache
def _distribution(backend: str) -> metadata.Distribution | None:
    points = metadata.entry_points(group=CONTRACTS["backend"].group, name=backend)
    return next((point.dist for point in points if point.dist is not None), None)


@cache
def _cpu_capability() -> str:
    """The widest vector instructions: results agree bit for bit only between equal ones."""
    information = Path("/proc/cpuinfo")
    text = information.read_text(encoding="utf-8") if information.exists() else ""
    flags = set(text.split())
    return next((name for name in ("avx512f", "avx2", "asimd") if name in flags), "default")


@cache
def _machine_size() -> str:
    """Cores that this process may use and memory of the machine, as far as the system tells."""
    cores, memory = available_cores(), physical_memory()
    return f"{cores} cores" if memory is None else f"{cores} cores, {memory / 2**30:.0f} GiB"


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def physical_memory() -> int | None:
    """Bytes of memory of this machine, None where the system does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return None


def _end_of(error: BaseException) -> tuple[EndKind, str]:
    if isinstance(error, RunInterruptedError):
        return "interrupted", str(error)
    if isinstance(error, UsageError):
        return "refused", str(error)
    if isinstance(error, RunFailedError):
        return "exception", str(error)
    message = f"{type(error).__name__}: {error}".splitlines()[0]
    full = isinstance(error, OSError) and error.errno in _DISK_FULL
    return ("disk" if full else "exception"), message


def _foreign(frames: TracebackType | None) -> TracebackType | None:
    """A traceback from the first frame outside of this package on; all of it where none is."""
    package = str(Path(__file__).parent) + os.sep
    first = frames
    while first is not None and first.tb_frame.f_code.co_filename.startswith(package):
        first = first.tb_next
    return first or frames


def _leave_end(attempt: AttemptDirectory, kind: EndKind, message: str) -> None:
    try:
        write_end(attempt, AttemptEnd(kind=kind, message=message, ended=time.time()))
    except OSError as error:
        sys.stderr.write(f"the end of this attempt could not be written: {error}\n")


def _return_memory() -> None:
    """Give back what the last run freed: kept by the allocator, it grows by megabytes a run."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _die() -> None:
    """End this process and whatever it started, at once."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _die_with(parent: int) -> None:
    """Ask the kernel to kill this process when its parent dies, even by SIGKILL."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        _die()


def _take_over_pipes() -> tuple[int, int]:
    """Private copies of standard input and output; 0 becomes empty and 1 joins 2."""
    commands, replies = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return commands, replies


def main(arguments: Sequence[str]) -> None:
    """Serve the coordinator whose process id is the only argument."""
    _die_with(int(arguments[0]))
    faulthandler.enable()
    commands, replies = _take_over_pipes()
    worker = Worker(Channel(replies))
    threading.Thread(target=worker.listen, args=(commands,), daemon=True).start()
    worker.serve()


if __name__ == "__main__":
    main(sys.argv[1:])
