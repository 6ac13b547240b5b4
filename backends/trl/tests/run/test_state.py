"""Only whole checkpoints are taken up."""

from __future__ import annotations

from pathlib import Path

from ablatekit_rft.metrics.budget import Costs
from ablatekit_rft.run.divergence import Collapse
from ablatekit_trl.run.state import STATE, RunState, latest_checkpoint, write_state


def state(rounds: int) -> RunState:
    return RunState(Costs(rounds=rounds), Collapse(0.3, 1, 8), rounds, {"train/pass@1": 0.5})


def test_the_latest_whole_checkpoint_is_found(tmp_path: Path) -> None:
    for rounds in (2, 10, 9):
        place = tmp_path / f"checkpoint-{2 * rounds}"
        place.mkdir()
        write_state(place, state(rounds))
    assert latest_checkpoint(tmp_path) == (tmp_path / "checkpoint-20", state(10))


def test_what_is_not_whole_is_removed(tmp_path: Path) -> None:
    whole, unfinished, damaged = (tmp_path / f"checkpoint-{step}" for step in (1, 2, 3))
    for place in (whole, unfinished, damaged):
        place.mkdir()
    write_state(whole, state(1))
    (damaged / STATE).write_text("{")
    found = latest_checkpoint(tmp_path)
    assert found is not None
    assert found[0] == whole
    assert not unfinished.exists()
    assert not damaged.exists()


def test_no_checkpoint_is_none(tmp_path: Path) -> None:
    assert latest_checkpoint(tmp_path) is None
