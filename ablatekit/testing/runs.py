"""A small plan, and run directories made by hand: what a study leaves behind, without workers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack

from ablatekit.canonical import write_json
from ablatekit.design.plan import Cell, Plan, PlannedAnalysis, PlannedFactor, PlannedRun
from ablatekit.runs.eventlog import EventWriter
from ablatekit.runs.records import MetricEvent, RunResult, RunSpec, RunStatus
from ablatekit.runs.runlog import (
    AttemptEnd,
    Claim,
    ItemsWriter,
    claim_attempt,
    write_claim,
    write_end,
    write_result,
)
from ablatekit.runs.workspace import Workspace


def small_plan(study: str = "demo", levels: Sequence[str] = ("x", "y")) -> Plan:
    """A plan of one factor `f`, one context and two replicates."""
    context = {"model": "m", "dataset": "d"}
    places = [(level, replicate) for replicate in (1, 2) for level in levels]
    return Plan(
        study=study,
        title="",
        question="why?",
        backend="simulated",
        results_version=1,
        python=None,
        design="full",
        factors=(PlannedFactor(name="f", levels=tuple(levels), baseline=levels[0], label="f"),),
        contexts=(context,),
        replicates=2,
        cells=tuple(Cell(levels={"f": level}, unit=level) for level in levels),
        excluded=(),
        runs=tuple(
            _planned(level, replicate, order, context)
            for order, (level, replicate) in enumerate(places)
        ),
        analysis=PlannedAnalysis(
            responses=(),
            interactions=2,
            inference="both",
            alpha=0.05,
            adjust="holm",
            diverged="score",
        ),
        held_equal={},
    )


def _planned(level: str, replicate: int, order: int, context: Mapping[str, str]) -> PlannedRun:
    spec = RunSpec(
        backend="simulated",
        results_version=1,
        settings={"level": level},
        context=context,
        content={"dataset": "d" * 64},
        replicate=replicate,
    )
    return PlannedRun(
        run_id=spec.run_id,
        order=order,
        unit=level,
        context=context,
        replicate=replicate,
        spec=spec,
    )


def write_attempt(
    workspace: Workspace,
    planned: PlannedRun,
    steps: Sequence[int],
    *,
    metrics: Sequence[str] = ("train/pass@1", "loss"),
    resumed_at: int | None = None,
    status: RunStatus | None = "finished",
    end: AttemptEnd | None = None,
    items: bool = False,
    time: float = 1_000.0,
    alive: ExitStack | None = None,
) -> None:
    """One attempt at a run: `steps` are logged, then there is a result, an end or neither.

    Each metric is a tenth of the step, except `loss`, which is NaN at step 3 and else 1; an event's
    time is `time` plus its step. The result has `metrics` and one that was not logged, `final`.
    With `alive` the attempt's lock is held until that stack is closed: the run is executing.
    """
    run = workspace.run(planned.run_id)
    run.path.mkdir(parents=True, exist_ok=True)
    write_json(run.spec, planned.spec.to_json())
    with ExitStack() as own:
        attempt = (alive or own).enter_context(claim_attempt(run))
        assert attempt is not None, "the run is free"
        write_claim(attempt, _claim(time, resumed_at))
        writer = EventWriter(attempt)
        for step in steps:
            values = {name: _value(name, step) for name in metrics}
            writer.write(MetricEvent(step=step, time=time + step, metrics=values))
        writer.close()
        if items:
            ItemsWriter(attempt).write(steps[-1], {"item": ["a"], "outcome": [1]})
        if status is not None:
            values = {**dict.fromkeys(metrics, 0.5), "final": 2.0}
            write_result(run, attempt, RunResult(status=status, metrics=values), {"python": "3"})
        if end is not None:
            write_end(attempt, end)


def _value(metric: str, step: int) -> float:
    if metric != "loss":
        return step / 10
    return float("nan") if step == 3 else 1.0


def _claim(started: float, resumed_at: int | None) -> Claim:
    return Claim(
        study="s",
        study_hash="h",
        pid=1,
        host="elsewhere",
        user="me",
        started=started,
        versions={"python": "3"},
        resumed_at=resumed_at,
    )
