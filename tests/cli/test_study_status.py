"""`study status`: the counts, the runs, and both as they change."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from ablatekit.cli import study_status
from ablatekit.cli.main import invoke

STUDY = """\
version: 1
name: shown
backend: {name: simulated, settings: {rounds: 2}}
factors: {helps_both: {baseline: false, levels: [false, true]}}
contexts: {model: [model-a]}
replicates: 2
dispatch: {workers: 1, retries: 0}
tracking: {uri: null}
"""


@pytest.fixture(scope="module")
def tried_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run finished, one failed, two planned; tests get copies."""
    folder = tmp_path_factory.mktemp("tried")
    path = folder / "study.yaml"
    path.write_text(STUDY, encoding="utf-8")
    words = [
        "study",
        "run",
        str(path),
        "--limit",
        "1",
        "--workspace",
        str(folder / "ablatekit-out"),
    ]
    assert invoke(words) == 0
    assert invoke([*words, "--set", "backend.settings.crash_rate=1"]) == 1
    return folder


@pytest.fixture
def tried(
    tried_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> str:
    """That study, in a place of its own."""
    shutil.copytree(tried_folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    return str(tmp_path / "study.yaml")


def _finish_all(folder: Path) -> None:
    """Give every run of the plan the result of the finished one."""
    runs = folder / "ablatekit-out" / "runs"
    (finished,) = runs.glob("*/result.json")
    plan = json.loads((folder / "ablatekit-out" / "shown" / "plan.json").read_text())
    for run in plan["runs"]:
        if run["run_id"] != finished.parent.name:
            shutil.rmtree(runs / run["run_id"], ignore_errors=True)
            shutil.copytree(finished.parent, runs / run["run_id"])


def test_every_run_is_listed_with_what_it_has_come_to(
    tried: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke(["study", "status", tried, "--runs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "shown: 4 runs: 1 failed, 1 finished, 2 planned"
    heads = next(line for line in lines if "helps_both" in line).split()
    assert heads == [
        *("run", "helps_both", "model", "replicate", "state", "attempts", "step"),
        *("train/pass@1", "took", "message"),
    ]
    (failed,) = [line for line in lines if " failed " in line and "model-a" in line]
    assert "the worker exited with code 3" in failed
    assert sum("model-a" in line for line in lines) == 4


def test_a_state_chooses_runs(tried: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["study", "status", tried, "--state", "failed", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["runs"] == {"finished": 1, "failed": 1, "planned": 2}
    assert told["coordinator"] is None
    (row,) = told["table"]
    assert (row["state"], row["attempts"], row["context"]) == ("failed", 1, {"model": "model-a"})
    assert invoke(["study", "status", tried, "--state", "finished", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["table"]
    assert (row["state"], row["step"], row["metric"]) == ("finished", 2, "train/pass@1")
    assert 0 < row["value"] < 1
    assert row["seconds"] > 0
    assert invoke(["study", "status", tried, "--state", "lost"]) == 2
    assert "lost" in capsys.readouterr().err


def test_a_watch_tells_changes_and_ends_with_the_last_run(
    tried: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    naps = []

    def nap(_seconds: float) -> None:
        """Other runs end like the finished one."""
        naps.append(len(naps))
        if len(naps) == 2:
            _finish_all(Path(tried).parent)

    monkeypatch.setattr(study_status.time, "sleep", nap)
    assert invoke(["study", "status", tried, "--watch"]) == 0
    told = [line for line in capsys.readouterr().out.splitlines() if "shown: 4 runs" in line]
    assert len(told) == 2
    assert told[0].endswith("1 failed, 1 finished, 2 planned")
    assert told[1].endswith("4 finished")


@pytest.mark.parametrize("options", [[], ["--json"], ["--runs"]])
def test_ctrl_c_leaves_a_watch_without_a_failure(
    tried: str,
    options: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(study_status.time, "sleep", interrupt)
    assert invoke(["study", "status", tried, "--watch", *options]) == 0
    printed = capsys.readouterr().out
    if options == ["--json"]:
        assert json.loads(printed)["runs"]["planned"] == 2
    else:
        assert "2 planned" in printed


def test_a_terminal_is_drawn_over(
    tried: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    _finish_all(Path(tried).parent)
    assert invoke(["study", "status", tried, "--watch", "--runs"]) == 0
    shown = capsys.readouterr().out
    assert "shown: 4 runs: 4 finished" in shown
    assert "\x1b[" in shown


def test_a_study_that_has_changed_is_shown_as_it_was_planned(
    tried: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke(["study", "run", tried]) == 0
    capsys.readouterr()
    assert invoke(["study", "status", tried, "--set", "backend.settings.rounds=3"]) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("shown: 4 runs: 4 finished")
    assert "has changed since it was planned" in shown.err
    assert invoke(["study", "status", tried, "--set", "replicates=3"]) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("shown: 6 runs: 4 finished, 2 planned")
    assert not shown.err
