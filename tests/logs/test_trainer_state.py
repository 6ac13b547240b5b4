from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from ablatekit.errors import TableError
from ablatekit.logs.base import LoggedRun
from ablatekit.logs.trainer_state import TrainerStateLog


def state(folder: Path, steps: int, **more: Any) -> Path:
    """A trainer_state.json with one loss per step."""
    folder.mkdir(parents=True, exist_ok=True)
    history = [{"step": n, "epoch": n / 2, "loss": 1 / n} for n in range(1, steps + 1)]
    content = {"log_history": history, "global_step": steps, "max_steps": 4, **more}
    path = folder / "trainer_state.json"
    path.write_text(json.dumps(content))
    return path


def runs_of(path: Path) -> list[LoggedRun]:
    return list(TrainerStateLog().runs(path))


def test_the_last_checkpoint_of_every_run_counts(tmp_path: Path) -> None:
    for steps in (2, 4, 10):
        state(tmp_path / "lr=0.1" / f"checkpoint-{steps}", steps)
    state(tmp_path / "lr=0.2" / "checkpoint-3", 3)
    finished, stopped = runs_of(tmp_path)
    assert (finished.name, finished.config["lr"], finished.end) == ("lr=0.1", 0.1, "finished")
    assert len(finished.history) == 10
    assert (stopped.config["lr"], stopped.end, len(stopped.history)) == (0.2, "unknown", 3)
    assert "epoch" not in stopped.final


def test_a_damaged_checkpoint_falls_back_to_the_one_before(tmp_path: Path) -> None:
    state(tmp_path / "checkpoint-2", 2)
    damaged = state(tmp_path / "checkpoint-4", 4)
    damaged.write_text(damaged.read_text()[:50])
    (run,) = runs_of(tmp_path)
    assert (len(run.history), run.cut) == (2, True)
    assert run.name == tmp_path.name


@pytest.mark.parametrize("content", ["", "{", "[]", '{"log_history": 3}', "\x00"])
def test_what_is_no_state_is_refused_with_the_file(tmp_path: Path, content: str) -> None:
    path = tmp_path / "trainer_state.json"
    path.write_text(content)
    with pytest.raises(TableError, match=r"trainer_state\.json: (cannot be read|it has no log)"):
        runs_of(path)


def test_metrics_of_any_kind_and_entries_that_are_none(tmp_path: Path) -> None:
    path = state(
        tmp_path,
        0,
        log_history=[{"step": 1, "loss": math.nan}, 7, {"eval_acc": 0.5}, {"step": 2, "note": "x"}],
        trial_params={"lr": 0.1},
    )
    (run,) = runs_of(path)
    assert [event.step for event in run.history] == [1, 2]
    assert math.isnan(run.history[0].metrics["loss"])
    assert run.config["lr"] == 0.1


def test_a_configuration_beside_the_checkpoints_counts(tmp_path: Path) -> None:
    state(tmp_path / "a" / "checkpoint-1", 1)
    (tmp_path / "a" / "args.json").write_text('{"optimizer": {"lr": 0.5}}')
    (run,) = runs_of(tmp_path / "a")
    assert run.config["optimizer.lr"] == 0.5
