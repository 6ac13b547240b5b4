"""A run directory as the mirror sees it at one moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ablatekit.runs.records import MetricEvent
from ablatekit.runs.runlog import (
    ResultRecord,
    read_claim,
    read_end,
    read_history,
    read_result,
    run_state,
    used_attempts,
)
from ablatekit.runs.workspace import RunDirectory
from ablatekit.tracking.conventions import (
    Point,
    Status,
    claim_tags,
    milliseconds,
    points_of,
    status_of,
)


@dataclass(frozen=True, slots=True)
class RunView:
    """What there is to mirror; times in milliseconds, `attempt` the last one that counts."""

    attempt: int
    status: Status
    started: int
    ended: int | None
    points: Sequence[Point]
    tags: Mapping[str, str]
    result: ResultRecord | None


def view_run(run: RunDirectory) -> RunView | None:
    """The present view of a run, None while it has nothing to show.

    The state is read first: a run that ends meanwhile looks like one that still runs.
    """
    state = run_state(run)
    result = read_result(run) if state in ("finished", "diverged") else None
    used = used_attempts(run)
    first = read_claim(run.attempt(used[0].number)) if used else None
    last = read_claim(run.attempt(used[-1].number)) if used else None
    if first is None or last is None:
        return None
    history = read_history(run)
    return RunView(
        attempt=used[-1].number,
        status=status_of(state),
        started=milliseconds(result.started if result else first.started),
        ended=None if state == "running" else _end_time(run, result, history, last.started),
        points=points_of(history, result),
        tags=claim_tags(last),
        result=result,
    )


def result_time(result: ResultRecord | None) -> int | None:
    """When the result was written, in milliseconds."""
    return None if result is None else milliseconds(result.ended)


def _end_time(
    run: RunDirectory,
    result: ResultRecord | None,
    history: Sequence[MetricEvent],
    started: float,
) -> int:
    """The result's time; without one the last sign of life."""
    if result is not None:
        return milliseconds(result.ended)
    end = read_end(run.attempts()[-1])
    logged = history[-1].time if history else started
    return milliseconds(end.ended if end is not None else logged)
