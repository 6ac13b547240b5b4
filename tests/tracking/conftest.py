"""Run directories made by hand, and everything an MLflow experiment says about them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

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
from ablatekit.tracking.mirror import quiet_mlflow, sync

URI = "sqlite:///mlflow.db"


def _planned(level: str, replicate: int, order: int) -> PlannedRun:
    context = {"model": "m", "dataset": "d"}
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


@pytest.fixture
def plan() -> Plan:
    """Two cells, two replicates."""
    runs = tuple(
        _planned(level, replicate, order)
        for order, (level, replicate) in enumerate([("x", 1), ("y", 1), ("x", 2), ("y", 2)])
    )
    return Plan(
        study="demo",
        title="",
        question="why?",
        backend="simulated",
        results_version=1,
        python=None,
        design="full",
        factors=(PlannedFactor(name="f", levels=("x", "y"), baseline="x", label="f"),),
        contexts=({"model": "m", "dataset": "d"},),
        replicates=2,
        cells=(Cell(levels={"f": "x"}, unit="x"), Cell(levels={"f": "y"}, unit="y")),
        excluded=(),
        runs=runs,
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


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's schema takes seconds to make, so it is made once."""
    root = tmp_path_factory.mktemp("empty")
    path = root / "mlflow.db"
    with quiet_mlflow():
        from mlflow.tracking import MlflowClient

        client = MlflowClient(tracking_uri=f"sqlite:///{path}")
        client.get_experiment_by_name("none")
        client._tracking_client.store.engine.dispose()
    return path


@pytest.fixture
def workspace(tmp_path: Path, empty_database: Path) -> Workspace:
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    return Workspace(tmp_path)


@pytest.fixture
def attempt_run() -> Callable[..., None]:
    """Execute one attempt of a run by hand: log `steps`, then leave what is asked for."""

    def attempt(
        workspace: Workspace,
        planned: PlannedRun,
        steps: Sequence[int],
        *,
        resumed_at: int | None = None,
        status: RunStatus | None = "finished",
        end: AttemptEnd | None = None,
        items: bool = False,
        time: float = 1_000.0,
    ) -> None:
        run = workspace.run(planned.run_id)
        run.path.mkdir(parents=True, exist_ok=True)
        write_json(run.spec, planned.spec.to_json())
        with claim_attempt(run) as held:
            assert held is not None
            claim = Claim(
                study="s",
                study_hash="h",
                pid=1,
                host="elsewhere",
                user="me",
                started=time,
                versions={"python": "3"},
                resumed_at=resumed_at,
            )
            write_claim(held, claim)
            writer = EventWriter(held)
            for step in steps:
                metrics = {"train/pass@1": step / 10, "loss": float("nan") if step == 3 else 1.0}
                writer.write(MetricEvent(step=step, time=time + step, metrics=metrics))
            writer.close()
            if items:
                ItemsWriter(held).write(steps[-1], {"item": ["a"], "outcome": [1]})
            if status is not None:
                result = RunResult(status=status, metrics={"train/pass@1": 0.5, "final": 2.0})
                write_result(run, held, result, {"python": "3"})
            if end is not None:
                write_end(held, end)

    return attempt


@pytest.fixture
def mirrored() -> Callable[..., Mapping[str, Any]]:
    """By run id: what MLflow holds, whole histories included; one entry per MLflow run."""

    def read(plan: Plan, workspace: Workspace) -> Mapping[str, Any]:
        with quiet_mlflow():
            from mlflow.tracking import MlflowClient

            client = MlflowClient(tracking_uri=workspace.resolve_uri(URI))
            experiment = client.get_experiment_by_name(plan.study)
            try:
                return _contents(client, client.search_runs([experiment.experiment_id]))
            finally:
                client._tracking_client.store.engine.dispose()

    return read


def _contents(client: Any, runs: Any) -> Mapping[str, Any]:
    found: dict[str, Any] = {}
    for run in runs:
        run_id = run.data.tags["ablatekit.run"]
        assert run_id not in found
        points = [
            (key, point.step, repr(point.value), point.timestamp)
            for key in run.data.metrics
            for point in client.get_metric_history(run.info.run_id, key)
        ]
        assert len(points) == len({point[:2] for point in points})
        found[run_id] = {
            "name": run.info.run_name,
            "status": run.info.status,
            "times": (run.info.start_time, run.info.end_time),
            "params": run.data.params,
            "tags": run.data.tags,
            "points": sorted(points),
            "datasets": [
                (one.dataset.name, one.dataset.digest) for one in run.inputs.dataset_inputs
            ],
            "artifacts": sorted(file.path for file in client.list_artifacts(run.info.run_id)),
        }
    return found


@pytest.fixture
def synchronise() -> Callable[..., Any]:
    def run(plan: Plan, workspace: Workspace) -> Any:
        outcome = sync(plan, workspace, URI)
        assert outcome.warning == ""
        return outcome

    return run
