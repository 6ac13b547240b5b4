"""How long runs will take, as far as runs of the same plan have been measured here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal, TypeAlias

from ablatekit.design.plan import Plan, PlannedRun
from ablatekit.runs.runlog import ADOPTED, executed_seconds, read_result
from ablatekit.runs.workspace import Workspace

Basis: TypeAlias = Literal["replicate", "unit", "plan"]
"""Which measured runs a run is expected to be like: other replicates of its cell in its context,
its cell in other contexts, or any run of the plan."""

LIKE: Mapping[Basis, str] = {
    "replicate": "as replicates of the same cell and context took",
    "unit": "as the same cell took in other contexts",
    "plan": "as other cells took on average",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedTime:
    """What remains, in seconds of one worker: altogether, and of the longest run.

    `runs` counts the runs that remain by what they are expected to be like, `measured` those that
    were measured.
    """

    seconds: float
    longest: float
    runs: Mapping[Basis, int]
    measured: int

    def with_workers(self, workers: int) -> float:
        """Seconds by the clock: never less than the longest run takes."""
        return max(self.longest, self.seconds / workers)

    def told(self, workers: int | None = None) -> str:
        """In words; of one worker where nobody knows how many there will be."""
        total = sum(self.runs.values())
        if workers is None:
            span = f"{duration(self.seconds)} of one worker"
        else:
            span = f"{duration(self.with_workers(workers))} with {counted(workers, 'worker')}"
        like = ", ".join(
            LIKE[basis] if count == total else f"{count} {LIKE[basis]}"
            for basis, count in self.runs.items()
        )
        measured = f"{counted(self.measured, 'run')} measured"
        return f"about {span} for {counted(total, 'run')}: {like} ({measured})"


def expected_time(
    planned: Sequence[PlannedRun], measured: Mapping[str, float], remaining: Iterable[str]
) -> ExpectedTime | None:
    """The time of the remaining runs from the seconds of measured ones, both by run id.

    None where nothing was measured or nothing remains.
    """
    means = _means(_with_seconds(planned, measured))
    if not means:
        return None
    ids = set(remaining)
    expected = [_nearest(means, run) for run in planned if run.run_id in ids]
    if not expected:
        return None
    counts = Counter(basis for basis, _ in expected)
    return ExpectedTime(
        seconds=sum(seconds for _, seconds in expected),
        longest=max(seconds for _, seconds in expected),
        runs={basis: counts[basis] for basis in LIKE if counts[basis]},
        measured=sum(run.run_id in measured for run in planned),
    )


def measured_seconds(plan: Plan, workspace: Workspace) -> dict[str, float]:
    """Seconds that finished runs of a plan took, by run id; a diverged run may have ended early.

    How long runs took that were made elsewhere is not known.
    """
    seconds = {}
    for planned in plan.runs:
        run = workspace.run(planned.run_id)
        result = read_result(run)
        if result is None or ADOPTED in result.versions:
            continue
        if result.status == "finished":
            seconds[planned.run_id] = executed_seconds(run, result)
    return {run_id: taken for run_id, taken in seconds.items() if taken > 0}


def counted(number: int, noun: str) -> str:
    """A number of things: 1 run, 2 runs."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def duration(seconds: float) -> str:
    """A span of time in its two largest units: 40 s, 12 min, 3 h 20 min, 2 d 4 h."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 36:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(round(hours + minutes / 60), 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


_Key: TypeAlias = tuple[object, ...]


def _keys(run: PlannedRun) -> dict[Basis, _Key]:
    context = tuple(sorted(run.context.items()))
    return {"replicate": (run.unit, context), "unit": (run.unit,), "plan": ()}


def _with_seconds(
    planned: Sequence[PlannedRun], measured: Mapping[str, float]
) -> Iterable[tuple[PlannedRun, float]]:
    return ((run, measured[run.run_id]) for run in planned if run.run_id in measured)


def _means(timed: Iterable[tuple[PlannedRun, float]]) -> dict[_Key, float]:
    """Mean seconds of runs that are alike; empty where none was measured."""
    seconds: dict[_Key, list[float]] = {}
    for run, taken in timed:
        for key in _keys(run).values():
            seconds.setdefault(key, []).append(taken)
    return {key: fmean(taken) for key, taken in seconds.items()}


def _nearest(means: Mapping[_Key, float], run: PlannedRun) -> tuple[Basis, float]:
    """The mean of those that are most like a run."""
    return next((basis, means[key]) for basis, key in _keys(run).items() if key in means)
