"""Plans of simulated runs, and what a finished workspace holds."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from ablatekit.canonical import content_hash, write_json
from ablatekit.design.plan import Cell, Plan, PlannedAnalysis, PlannedFactor, PlannedRun
from ablatekit.plugins import load_backend
from ablatekit.runs.runlog import read_history, read_items, read_result
from ablatekit.runs.workspace import Workspace
from ablatekit.testing.specs import run_spec


@pytest.fixture(scope="session")
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


FAULTY = """
import ctypes, errno, os, signal, sys, time
from typing import Literal
from pydantic import BaseModel
from ablatekit.errors import RunFailedError, RunInterruptedError
from ablatekit.runs.records import Resources, RunResult

class Settings(BaseModel):
    behaviour: str = "none"
    once: bool = False
    model: str = "m"

class Faulty:
    name = "faulty"
    results_version = 1
    settings = Settings

    def rules(self):
        return ()

    def metrics(self, settings):
        return ()

    def resources(self, settings):
        return Resources(cpus=1)

    def content(self, settings):
        return {"model": settings["model"]}

    def run(self, run, context):
        marker = context.checkpoint_dir / "been-here"
        behaviour = run.settings["behaviour"]
        if run.context["model"] == "model-a" and not (run.settings["once"] and marker.exists()):
            marker.touch()
            getattr(self, behaviour)()
        context.log(0, {"threads": float(os.environ.get("OMP_NUM_THREADS", 0))})
        return RunResult(status="finished", metrics={"m": 1.0})

    def none(self): pass
    def fail(self): raise ValueError("no good\\nsecond line")
    def explain(self): raise RunFailedError("no result, as I say")
    def leave(self): sys.exit(7)
    def die(self): os._exit(3)
    def fault(self): ctypes.string_at(0)
    def hang(self): time.sleep(600)
    def give_up(self): raise RunInterruptedError("on its own")
    def fill(self): raise OSError(errno.ENOSPC, "No space left on device")
    def chatter(self):
        print("hello from print")
        os.write(1, b'{"say": "ended"}\\n')
        os.system("echo hello from a child")
    def abandon(self):
        if os.fork() == 0:
            time.sleep(600)
        os._exit(3)
"""


@pytest.fixture
def faulty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A backend, installed for this test, whose runs on model-a misbehave as they are told."""
    site = tmp_path / "site"
    information = site / "faulty-1.0.dist-info"
    information.mkdir(parents=True)
    (site / "faulty_backend.py").write_text(FAULTY)
    (information / "METADATA").write_text("Name: faulty\nVersion: 1.0\nRequires-Dist: numpy>=2\n")
    entry = "[ablatekit.backends]\nfaulty = faulty_backend:Faulty\n"
    (information / "entry_points.txt").write_text(entry)
    _search_first(monkeypatch, site)
    monkeypatch.delitem(sys.modules, "faulty_backend", raising=False)
    return "faulty"


def _search_first(monkeypatch: pytest.MonkeyPatch, *places: Path) -> None:
    """Let this process and those that it starts import from these folders before any other."""
    for place in places:
        monkeypatch.syspath_prepend(str(place))
        monkeypatch.setenv("PYTHONPATH", str(place), prepend=os.pathsep)


@pytest.fixture
def fork_executor(install_package: Callable[[str], None]) -> str:
    """The name of an executor whose workers are forks of their coordinator.

    It starts no interpreters, so it serves where the coordinator is the point.
    """
    install_package("forkexecutor")
    return "fork"


COORDINATOR = """
import json, sys
from dataclasses import asdict
from pathlib import Path
from ablatekit.canonical import read_json
from ablatekit.design.plan import Plan
from ablatekit.dispatch.coordinator import DispatchOptions, coordinating, execute
from ablatekit.dispatch.progress import SilentObserver
from ablatekit.runs.workspace import Workspace

plan = Plan.from_json(read_json(Path(sys.argv[1])))
options = DispatchOptions(**json.loads(sys.argv[3]))
workspace = Workspace(Path(sys.argv[2]))
with coordinating(plan.study, workspace):
    outcome = execute(plan, workspace, options, SilentObserver())
print(json.dumps(asdict(outcome)))
"""


@pytest.fixture
def coordinator(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Execute a plan in a process of its own; its output is the outcome as JSON."""
    started = []

    def start(plan: Plan, workspace: Workspace, **options: Any) -> subprocess.Popen[bytes]:
        path = tmp_path / f"{plan.study}.json"
        if not path.exists():
            write_json(path, plan.to_json())
        process = subprocess.Popen(
            [sys.executable, "-c", COORDINATOR, path, workspace.root, json.dumps(options)],
            stdout=subprocess.PIPE,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture(scope="session")
def contents() -> Callable[[Plan, Workspace], Mapping[str, Any]]:
    """Everything repeatable that a workspace says about a plan's runs."""

    def read(plan: Plan, workspace: Workspace) -> Mapping[str, Any]:
        by_run = {}
        for planned in plan.runs:
            run = workspace.run(planned.run_id)
            result, items = read_result(run), read_items(run)
            assert result is not None, planned
            by_run[planned.run_id] = {
                "status": result.status,
                "message": result.message,
                "metrics": _repeatable(result.metrics),
                "history": [(e.step, _repeatable(e.metrics)) for e in read_history(run)],
                "items": items.to_pydict() if items is not None else None,
            }
        return by_run

    return read


def _repeatable(metrics: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if name != "cost/seconds"}
