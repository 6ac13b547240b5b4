"""How a run looks in MLflow: names, parameters, tags, points and statuses; no input or output.

One flat MLflow run for each run, the factor levels as parameters under their plain names, the
worker's own times. A diverged run is FINISHED, because it is a result, with the tag
`ablatekit.status = diverged`; FAILED is a run without a result whose attempts are used up, KILLED
one that was interrupted and can be resumed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Self, TypeAlias

from ablatekit.canonical import content_hash
from ablatekit.design.plan import Cell, Plan, PlannedRun, run_label
from ablatekit.runs.records import MetricEvent
from ablatekit.runs.runlog import Claim, ResultRecord, RunState

Status: TypeAlias = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]
"""The statuses of MLflow."""

STUDY_TAG = "ablatekit.study"
RUN_TAG = "ablatekit.run"
CURSOR_TAG = "ablatekit.mirror"
MAX_ENTITIES = 1000
MAX_PARAMS = 90
MAX_TAGS = 3
MAX_PARAM_LENGTH = 6000
MAX_TAG_LENGTH = 8000
_MAX_KEY_LENGTH = 250
_MAX_DIGEST_LENGTH = 36
_FORBIDDEN = re.compile(r"[^/\w.\- :]")


@dataclass(frozen=True, slots=True)
class Point:
    """One value of one metric; `time` in milliseconds since the epoch."""

    key: str
    value: float
    time: int
    step: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """How far the mirror of a run has come, kept with the run in MLflow; -1 points: not begun.

    `identity` changes with the run's parameters and tags, `attempt` when a later attempt makes
    points of an earlier one void; `ended` is the result's time in milliseconds, once complete.
    """

    identity: str
    attempt: int
    points: int
    ended: int | None = None

    def text(self) -> str:
        """The value of the tag."""
        parts = [self.identity, self.attempt, self.points, self.ended]
        return json.dumps(parts)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `text` wrote."""
        identity, attempt, points, ended = json.loads(text)
        return cls(identity=identity, attempt=attempt, points=points, ended=ended)


@dataclass(frozen=True, slots=True)
class Face:
    """What never changes about a run in MLflow."""

    name: str
    params: Mapping[str, str]
    tags: Mapping[str, str]

    @property
    def identity(self) -> str:
        """Hash of all of it."""
        return content_hash([self.name, dict(self.params), dict(self.tags)])


def face_of(plan: Plan, cell: Cell, run: PlannedRun) -> Face:
    """Name, parameters and tags of a run: its levels, its context, its replicate."""
    params = {**cell.levels, **run.context, "replicate": str(run.replicate)}
    tags = {
        STUDY_TAG: plan.study,
        RUN_TAG: run.run_id,
        "ablatekit.unit": run.unit,
        "ablatekit.backend": plan.backend,
        "ablatekit.replicate": str(run.replicate),
        "ablatekit.context": " | ".join(run.context.values()),
        "mlflow.source.name": "ablatekit study run",
        "mlflow.source.type": "LOCAL",
    }
    return Face(run_label(cell, run), _shortened(params, MAX_PARAM_LENGTH), tags)


def dataset_of(run: PlannedRun) -> tuple[str, str] | None:
    """Name and digest of the data set that the run's context names, if it names one."""
    name = run.context.get("dataset")
    digest = run.spec.content.get("dataset", "")
    return None if name is None else (name, digest[:_MAX_DIGEST_LENGTH] or "unknown")


def claim_tags(claim: Claim) -> dict[str, str]:
    """Who executed a run, and with which versions."""
    versions = ", ".join(f"{name} {version}" for name, version in sorted(claim.versions.items()))
    return {
        "mlflow.user": claim.user,
        "ablatekit.host": claim.host,
        "ablatekit.versions": versions[:MAX_TAG_LENGTH],
    }


def status_of(state: RunState) -> Status:
    """MLflow's status for the state of a run that has been started."""
    statuses: dict[RunState, Status] = {
        "finished": "FINISHED",
        "diverged": "FINISHED",
        "failed": "FAILED",
        "interrupted": "KILLED",
    }
    return statuses.get(state, "RUNNING")


def result_tags(result: ResultRecord) -> dict[str, str]:
    """How a run ended; a diverged one says why."""
    tags: dict[str, str] = {"ablatekit.status": result.status}
    if result.message:
        tags["ablatekit.message"] = result.message[:MAX_TAG_LENGTH]
    return tags


def metric_key(name: str) -> str:
    """A metric's name as MLflow accepts it: `pass@1` becomes `pass_at_1`."""
    return _FORBIDDEN.sub("_", name.replace("@", "_at_"))[:_MAX_KEY_LENGTH]


def points_of(history: Sequence[MetricEvent], result: ResultRecord | None) -> list[Point]:
    """All points of a run in the order of its log; a result's metrics that were not logged last."""
    points = [
        Point(metric_key(name), value, milliseconds(event.time), event.step)
        for event in history
        for name, value in event.metrics.items()
    ]
    if result is None:
        return points
    logged = {name for event in history for name in event.metrics}
    step, time = max((event.step for event in history), default=0), milliseconds(result.ended)
    rest = ((name, value) for name, value in result.metrics.items() if name not in logged)
    return points + [Point(metric_key(name), value, time, step) for name, value in rest]


def batches(
    points: Sequence[Point], params: Mapping[str, str]
) -> Iterator[tuple[Sequence[Point], Sequence[tuple[str, str]]]]:
    """Points and parameters in pieces that MLflow takes in one call; at least one piece."""
    rest = list(params.items())
    start = 0
    while True:
        own, rest = rest[:MAX_PARAMS], rest[MAX_PARAMS:]
        end = start + MAX_ENTITIES - MAX_TAGS - len(own)
        yield points[start:end], own
        if end >= len(points) and not rest:
            return
        start = end


def milliseconds(seconds: float) -> int:
    """Seconds since the epoch as MLflow counts them."""
    return round(seconds * 1000)


def _shortened(values: Mapping[str, str], length: int) -> dict[str, str]:
    return {metric_key(name): value[:length] for name, value in values.items()}
