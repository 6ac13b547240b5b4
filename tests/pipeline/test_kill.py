"""Killing any process at any moment changes nothing: the same command ends with the same bytes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ablatekit.runs.runlog import read_history, read_items, read_result
from ablatekit.runs.workspace import Workspace
from ablatekit.tracking.mlflow import quiet_mlflow

COMMAND = "from ablatekit.cli.main import main; main()"
DEADLINE_SECONDS = 240
KILLS = ["worker", "coordinator"]
UNREPEATABLE = ("cost/seconds", "time/", "memory/")
SIMULATED = {
    "backend": {"name": "simulated", "settings": {"rounds": 12, "sleep": 0.06, "items": 20}},
    "contexts": {"model": ["m1", "m2", "m3"]},
    "dispatch": {"retries": 20, "workers": 4},
    "tracking": {"uri": "sqlite:///mlflow.db"},
}
SHORT = {**SIMULATED, "contexts": {"model": ["m1"]}}
RFT = {
    "backend": {
        "name": "rft",
        "settings": {
            "budget": {"unit": "rounds", "amount": 60},
            "train_items": 32,
            "evaluation": {"points": 2, "probe_items": 32, "test_items": 32},
        },
    },
    "factors": {"advantage": {"baseline": "none", "levels": ["none", "batch_norm"]}},
    "contexts": {"model": ["tiny-llama"]},
    "dispatch": {"retries": 5, "workers": 2},
    "tracking": {"uri": "sqlite:///mlflow.db"},
}


def _start(file: Path, workspace: Path) -> subprocess.Popen[bytes]:
    words = ["study", "run", str(file), "--workspace", str(workspace)]
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _finish(file: Path, workspace: Path) -> None:
    assert _start(file, workspace).wait(DEADLINE_SECONDS) == 0


def _workers(coordinator: subprocess.Popen[bytes]) -> list[int]:
    """Process ids of the coordinator's workers."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            words = (folder / "cmdline").read_text()
        except (OSError, IndexError, ValueError):
            continue
        if parent == coordinator.pid and "ablatekit.worker" in words:
            found.append(int(folder.name))
    return sorted(found)


def _events(workspace: Path) -> int:
    return sum(path.stat().st_size for path in workspace.glob("runs/*/attempts/*/events.jsonl"))


def _wait_for_events(coordinator: subprocess.Popen[bytes], workspace: Path, more: int) -> bool:
    """Wait until the runs have logged so many bytes more; false if the command ended before."""
    target = _events(workspace) + more
    while coordinator.poll() is None:
        if _events(workspace) >= target and _workers(coordinator):
            return True
        time.sleep(0.02)
    return False


def _disturb(file: Path, workspace: Path, rng: np.random.Generator, kills: list[str]) -> int:
    """Run the command again and again, killing its workers and itself; how many were killed."""
    done = 0
    coordinator = _start(file, workspace)
    for victim in kills:
        if not _wait_for_events(coordinator, workspace, int(rng.integers(50, 1500))):
            break
        if victim == "coordinator":
            coordinator.kill()
            coordinator.wait()
            coordinator = _start(file, workspace)
        else:
            os.kill(int(rng.choice(_workers(coordinator))), signal.SIGKILL)
        done += 1
    assert coordinator.wait(DEADLINE_SECONDS) == 0
    return done


def _analysis_bytes(workspace: Path) -> str:
    analysis = json.loads((workspace / "planted" / "analysis.json").read_text())
    analysis.pop("provenance")
    return json.dumps(analysis)


def _reported(workspace: Path) -> dict[str, Any]:
    """By run: its result, every metric it logged with its step, and its item outcomes."""
    found = {}
    for folder in (workspace / "runs").iterdir():
        run = Workspace(workspace).run(folder.name)
        result, items = read_result(run), read_items(run)
        assert result is not None
        assert items is not None
        found[folder.name] = (
            (result.status, _repeatable(result.metrics)),
            [(event.step, _repeatable(event.metrics)) for event in read_history(run)],
            items.to_pydict(),
        )
    return found


def _repeatable(metrics: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if not name.startswith(UNREPEATABLE)}


def _assert_mirror_is_exact(workspace: Path) -> None:
    """Every run once, none RUNNING, every metric point once and only those that were logged."""
    from mlflow.tracking import MlflowClient

    with quiet_mlflow():
        _assert_exact(MlflowClient(f"sqlite:///{workspace / 'mlflow.db'}"), workspace)


def _assert_exact(client: Any, workspace: Path) -> None:
    experiment = client.get_experiment_by_name("planted")
    assert experiment is not None
    runs = list(client.search_runs([experiment.experiment_id], max_results=1000))
    names = Counter(run.data.tags["ablatekit.run"] for run in runs)
    assert set(names) == {path.name for path in (workspace / "runs").iterdir()}
    assert set(names.values()) == {1}
    assert {run.info.status for run in runs} == {"FINISHED"}
    for run in runs:
        logged = read_history(Workspace(workspace).run(run.data.tags["ablatekit.run"]))
        for name in ("train/pass@1", "test/pass@1"):
            key = name.replace("@", "_at_") if name not in run.data.metrics else name
            steps = sorted(event.step for event in logged if name in event.metrics)
            points = client.get_metric_history(run.info.run_id, key)
            assert sorted(point.step for point in points) == steps


@pytest.mark.parametrize(
    ("changes", "kills", "at_least"),
    [
        pytest.param(SHORT, KILLS * 2, 4, id="simulated-4-kills"),
        pytest.param(SIMULATED, KILLS * 10, 20, id="simulated-20-kills", marks=pytest.mark.full),
        pytest.param(RFT, KILLS, 2, id="rft-mid-round", marks=pytest.mark.full),
    ],
)
def test_a_killed_study_ends_like_an_undisturbed_one(runner, tmp_path, changes, kills, at_least):
    study = runner(changes)
    undisturbed = tmp_path / "undisturbed"
    _finish(study.file, undisturbed)
    rng = np.random.default_rng(20260122)
    assert _disturb(study.file, study.workspace, rng, kills) >= at_least
    assert _reported(study.workspace) == _reported(undisturbed)
    assert _analysis_bytes(study.workspace) == _analysis_bytes(undisturbed)
    _assert_mirror_is_exact(study.workspace)
    _assert_mirror_is_exact(undisturbed)
