"""Plans of simulated runs, and what a finished workspace holds."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from ablatekit.canonical import content_hash
from ablatekit.design.plan import Cell, Plan, PlannedAnalysis, PlannedFactor, PlannedRun
from ablatekit.plugins import load_backend
from ablatekit.runlog import read_history, read_items, read_result
from ablatekit.testing.specs import run_spec
from ablatekit.workspace import Workspace


@pytest.fixture
def make_plan() -> Callable[..., Plan]:
    """A full factorial in two on/off settings, two contexts, of a backend's runs."""

    def make(
        study: str = "study", backend: str = "simulated", replicates: int = 1, **settings: Any
    ) -> Plan:
        names = ("helps_both", "null") if backend == "simulated" else ()
        cells, runs = [], []
        source = load_backend(backend)
        contexts = ({"model": "model-a"}, {"model": "model-b"})
        for values in itertools.product((False, True), repeat=len(names)):
            levels = dict(zip(names, values, strict=True))
            unit = content_hash(levels)
            cells.append(
                Cell(levels={name: str(value) for name, value in levels.items()}, unit=unit)
            )
            for context, replicate in itertools.product(contexts, range(1, replicates + 1)):
                spec = run_spec(source, {**settings, **levels}, context, replicate)
                runs.append(
                    PlannedRun(
                        run_id=spec.run_id,
                        order=len(runs),
                        unit=unit,
                        context=context,
                        replicate=replicate,
                        spec=spec,
                    )
                )
        return Plan(
            study=study,
            title=study,
            question="",
            backend=backend,
            results_version=source.results_version,
            python=None,
            design="full",
            factors=tuple(
                PlannedFactor(name=name, levels=("False", "True"), baseline="False", label=name)
                for name in names
            ),
            contexts=contexts,
            replicates=replicates,
            cells=tuple(cells),
            excluded=(),
            runs=tuple(runs),
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

    return make


@pytest.fixture
def contents() -> Callable[[Plan, Workspace], Mapping[str, Any]]:
    """Everything repeatable that a workspace says about a plan's runs."""

    def read(plan: Plan, workspace: Workspace) -> Mapping[str, Any]:
        found = {}
        for planned in plan.runs:
            run = workspace.run(planned.run_id)
            result, items = read_result(run), read_items(run)
            assert result is not None, planned
            found[planned.run_id] = {
                "status": result.status,
                "message": result.message,
                "metrics": _repeatable(result.metrics),
                "history": [(e.step, _repeatable(e.metrics)) for e in read_history(run)],
                "items": items.to_pydict() if items is not None else None,
            }
        return found

    return read


def _repeatable(metrics: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if name != "cost/seconds"}
