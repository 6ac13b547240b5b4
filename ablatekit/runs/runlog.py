"""Run directories: what a worker writes and every later stage reads (DESIGN 3.3).

The files are append-only or atomic, so that killing any process at any moment leaves a directory
that reads as a prefix of the truth. Readers trust nothing that is not sealed: an event line counts
when it ends in a newline, carries the right CRC-32 and the next sequence number; an item table when
its hash is the one that `result.json` names.
"""

from __future__ import annotations

import getpass
import io
import os
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias

from ablatekit.canonical import file_hash, read_json, write_atomically, write_json
from ablatekit.errors import DamagedFileError, Problem, WorkspaceError
from ablatekit.runs.eventlog import encode_number, read_events
from ablatekit.runs.locks import directory_lock, file_lock, is_locked
from ablatekit.runs.records import MetricEvent, RunResult, RunStatus
from ablatekit.runs.workspace import AttemptDirectory, RunDirectory

if TYPE_CHECKING:
    import pyarrow as pa

EndKind: TypeAlias = Literal["exception", "refused", "killed", "timeout", "disk", "interrupted"]
"""Why an attempt ended without a result; what was refused once is not attempted again."""

RunState: TypeAlias = Literal["planned", "running", "interrupted", "failed", "finished", "diverged"]
"""Where a run stands, judged by its directory alone."""

ADOPTED = "adopted_from"
"""Among the versions of a result: where a run comes from that was made elsewhere."""
_TAIL_BYTES = 65536


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Who executes an attempt, for which study, with which versions; `started` in epoch seconds.

    `resumed_at` is the step of the checkpoint that the attempt continues from, if it does.
    """

    study: str
    study_hash: str
    pid: int
    host: str
    user: str
    started: float
    versions: Mapping[str, str]
    resumed_at: int | None = None

    @classmethod
    def by_this_process(cls, study: str, study_hash: str, versions: Mapping[str, str]) -> Self:
        """The claim of the process that calls this, from this moment on."""
        return cls(
            study=study,
            study_hash=study_hash,
            pid=os.getpid(),
            host=platform.node(),
            user=_user(),
            started=time.time(),
            versions=versions,
        )


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name
        return str(os.getuid())


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptEnd:
    """How an attempt ended that has no result; `signal` is the one that killed its worker."""

    kind: EndKind
    message: str
    ended: float
    signal: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UsedAttempt:
    """An attempt that contributes to a result: its first `events` events and its item rows.

    `until` is the last step that counts, None if all do; `items` the SHA-256 of its items file.
    """

    number: int
    until: int | None
    events: int
    items: str | None = None
    rows: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultRecord:
    """The content of `result.json`; times in epoch seconds, `started` that of the first attempt."""

    run_id: str
    status: RunStatus
    metrics: Mapping[str, float]
    message: str
    started: float
    ended: float
    attempts: tuple[UsedAttempt, ...]
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def items_hash(self) -> str | None:
        """Identity of the item outcomes: the hashes of their files, in order."""
        hashes = [attempt.items for attempt in self.attempts if attempt.items]
        return "+".join(hashes) or None


class ItemsWriter:
    """Keeps the item outcomes of one attempt; the file is whole after every `write`."""

    def __init__(self, attempt: AttemptDirectory) -> None:
        self._path = attempt.items
        self._tables: list[pa.Table] = []

    def write(self, step: int, columns: Mapping[str, Sequence[Any]]) -> None:
        """Add rows measured at `step` and replace the file atomically."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.table(dict(columns))
        steps = pa.array([step] * table.num_rows, pa.int64())
        self._tables.append(table.add_column(0, "step", steps))
        buffer = io.BytesIO()
        pq.write_table(_concatenate(self._tables), buffer, compression="zstd")
        write_atomically(self._path, buffer.getvalue())


@contextmanager
def claim_attempt(run: RunDirectory) -> Iterator[AttemptDirectory | None]:
    """Make and lock the next attempt of a run; None if another is alive or it has a result.

    The lock of the attempts' folder makes check, creation and locking one step for all processes.
    """
    run.attempts_directory.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        with directory_lock(run.attempts_directory):
            taken = live_attempt(run) is not None or run.result.exists()
            attempt = None if taken else _new_attempt(run)
            if attempt is not None:
                held.enter_context(file_lock(attempt.lock, timeout=None))
        yield attempt


def live_attempt(run: RunDirectory) -> AttemptDirectory | None:
    """The attempt that some process is executing now, if there is one."""
    return next((attempt for attempt in run.attempts() if is_locked(attempt.lock)), None)


def write_claim(attempt: AttemptDirectory, claim: Claim) -> None:
    """Write `claim.json` atomically."""
    write_json(attempt.claim, asdict(claim))


def read_claim(attempt: AttemptDirectory) -> Claim | None:
    """The claim of an attempt, None if there is none that can be read."""
    try:
        return Claim(**read_json(attempt.claim))
    except (FileNotFoundError, DamagedFileError, TypeError):
        return None


def write_end(attempt: AttemptDirectory, end: AttemptEnd) -> None:
    """Write `end.json` atomically."""
    write_json(attempt.end, asdict(end))


def read_end(attempt: AttemptDirectory) -> AttemptEnd | None:
    """How an attempt ended without a result, None if nobody was left to say so."""
    try:
        return AttemptEnd(**read_json(attempt.end))
    except (FileNotFoundError, DamagedFileError, TypeError):
        return None


def run_state(run: RunDirectory) -> RunState:
    """Where a run stands. A killed attempt whose coordinator died too counts as interrupted."""
    result = read_result(run)
    if result is not None:
        return result.status
    attempts = run.attempts()
    if not attempts:
        return "planned"
    if live_attempt(run) is not None:
        return "running"
    end = read_end(attempts[-1])
    return "interrupted" if end is None or end.kind == "interrupted" else "failed"


def write_result(
    run: RunDirectory, attempt: AttemptDirectory, result: RunResult, versions: Mapping[str, str]
) -> None:
    """Write `result.json`, the last act of a successful attempt, with the attempts it stands on."""
    used = _chain(run, final=attempt.number)
    first = read_claim(run.attempt(used[0].number))
    record = {
        "run_id": run.run_id,
        "status": result.status,
        "metrics": {name: encode_number(value) for name, value in result.metrics.items()},
        "message": result.message,
        "started": first.started if first else time.time(),
        "ended": time.time(),
        "attempts": [asdict(_seal(run, part)) for part in used],
        "versions": dict(versions),
    }
    write_json(run.result, record)


def read_result(run: RunDirectory) -> ResultRecord | None:
    """The result of a run, None while it has none."""
    try:
        value = read_json(run.result)
    except FileNotFoundError:
        return None
    try:
        attempts = tuple(UsedAttempt(**attempt) for attempt in value.pop("attempts"))
        metrics = {name: float(number) for name, number in value.pop("metrics").items()}
        return ResultRecord(attempts=attempts, metrics=metrics, **value)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DamagedFileError(run.result, f"{type(error).__name__}: {error}") from None


def executed_seconds(run: RunDirectory, result: ResultRecord) -> float:
    """Seconds that the attempts of a result took, without the time between them."""
    if len(result.attempts) < 2:
        return result.ended - result.started
    *earlier, last = (run.attempt(used.number) for used in result.attempts)
    spans = [(attempt, _last_sign(attempt)) for attempt in earlier] + [(last, result.ended)]
    claims = ((read_claim(attempt), until) for attempt, until in spans)
    return sum(max(0.0, until - claim.started) for claim, until in claims if claim is not None)


def _last_sign(attempt: AttemptDirectory) -> float:
    """When an attempt ended; that of its last event where nobody was left to say so."""
    end, events = read_end(attempt), read_events(attempt)
    if end is not None:
        return end.ended
    return events[-1].time if events else 0.0


def used_attempts(run: RunDirectory) -> tuple[UsedAttempt, ...]:
    """The attempts whose logs make up the run's history: the result's, or those so far."""
    result = read_result(run)
    return result.attempts if result is not None else _chain(run)


def read_history(run: RunDirectory) -> tuple[MetricEvent, ...]:
    """What the run logged, in order, without what an earlier attempt logged after a checkpoint.

    Raises WorkspaceError when events that the result counted are gone.
    """
    history: list[MetricEvent] = []
    for used in used_attempts(run):
        attempt = run.attempt(used.number)
        events = read_events(attempt)[: used.events]
        if len(events) < used.events:
            raise _damaged(attempt.events, f"{len(events)} of {used.events} events")
        history += [event for event in events if used.until is None or event.step <= used.until]
    return tuple(history)


def read_items(run: RunDirectory) -> pa.Table | None:
    """Item outcomes with the column `step`, merged as `read_history` merges events.

    Raises WorkspaceError when a file is not the one that the result names.
    """
    tables = []
    for used in used_attempts(run):
        path = run.attempt(used.number).items
        if used.items is not None and (not path.exists() or file_hash(path) != used.items):
            raise _damaged(path, "another content than its result names")
        if path.exists():
            tables.append(_items_until(path, used.until))
    return _concatenate(tables) if tables else None


def log_tail(attempt: AttemptDirectory, lines: int = 20) -> tuple[str, ...]:
    """The last lines that the attempt printed."""
    kept: list[str] = []
    for path in sorted(attempt.logs.glob("*")):
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            kept += stream.read().decode(errors="replace").splitlines()[-lines:]
    return tuple(kept[-lines:])


def _new_attempt(run: RunDirectory) -> AttemptDirectory:
    attempts = run.attempts()
    attempt = run.attempt(attempts[-1].number + 1 if attempts else 1)
    attempt.logs.mkdir(parents=True)
    return attempt


def _chain(run: RunDirectory, final: int | None = None) -> tuple[UsedAttempt, ...]:
    """The attempts since the last one that started afresh, each up to where it was continued.

    An attempt that neither logged nor resumed left no trace, unless it is the `final` one.
    """
    chain: list[UsedAttempt] = []
    for attempt in run.attempts():
        claim, events = read_claim(attempt), len(read_events(attempt))
        resumed_at = claim.resumed_at if claim is not None else None
        if not events and resumed_at is None and attempt.number != final:
            continue
        chain = [] if resumed_at is None else [_limited(part, resumed_at) for part in chain]
        chain.append(UsedAttempt(number=attempt.number, until=None, events=events))
    return tuple(chain)


def _limited(part: UsedAttempt, step: int) -> UsedAttempt:
    until = step if part.until is None else min(step, part.until)
    return UsedAttempt(number=part.number, until=until, events=part.events)


def _seal(run: RunDirectory, part: UsedAttempt) -> UsedAttempt:
    path = run.attempt(part.number).items
    if not path.exists():
        return part
    import pyarrow.parquet as pq

    return UsedAttempt(
        number=part.number,
        until=part.until,
        events=part.events,
        items=file_hash(path),
        rows=pq.read_metadata(path).num_rows,
    )


def _items_until(path: Path, step: int | None) -> pa.Table:
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    return table if step is None else table.filter(pc.field("step") <= step)


def _concatenate(tables: Sequence[pa.Table]) -> pa.Table:
    import pyarrow as pa

    return pa.concat_tables(tables, promote_options="permissive")


def _damaged(path: Path, received: str) -> WorkspaceError:
    remedy = "Delete this run's directory and run the study again"
    return WorkspaceError(
        Problem(f"{path} does not hold what its result counted", received, remedy)
    )
