from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from ablatekit_rft.metrics import names as metrics
from ablatekit_rft.metrics.specs import metric_specs
from ablatekit_rft.run.checkpoint import (
    STATE,
    TENSORS,
    CheckpointClock,
    Snapshot,
    load_checkpoint,
    save_checkpoint,
)

from ablatekit.errors import RunInterruptedError


def weights(model: Any) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def history(context: Any, settings: Any) -> Any:
    names = {spec.name for spec in metric_specs(settings) if spec.repeatable}
    return {
        step: {name: value for name, value in logged.items() if name in names}
        for step, logged in context.logged.items()
    }


def interrupt(train_toy: Any, settings: Any, context: Any, at: int) -> None:
    context.stop_at = at
    with pytest.raises(RunInterruptedError, match=f"round {at}"):
        train_toy(settings, context)
    context.stop_at = None
    context.done.clear()


@dataclass(frozen=True)
class Undisturbed:
    """A run that nobody stopped."""

    settings: Any
    context: Any
    result: Any
    weights: torch.Tensor


@pytest.fixture(scope="module")
def undisturbed(train_toy: Any, make_shared_context: Any, make_settings: Any) -> Undisturbed:
    settings = make_settings(kl_place="reward", lr_schedule="cosine")
    context = make_shared_context()
    result, model = train_toy(settings, context)
    return Undisturbed(settings, context, result, weights(model))


@pytest.mark.parametrize("stops", [[0, 5], [1, 2, 4]])
def test_a_resumed_run_equals_an_undisturbed_one(
    undisturbed: Undisturbed, train_toy: Any, make_context: Any, stops: list[int]
) -> None:
    settings, context = undisturbed.settings, make_context()
    for stop in stops:
        interrupt(train_toy, settings, context, stop)
    result, model = train_toy(settings, context)
    assert context.resumed == stops
    assert torch.equal(weights(model), undisturbed.weights)
    assert history(context, settings) == history(undisturbed.context, settings)
    assert context.items == undisturbed.context.items
    expected, cost = undisturbed.result, metrics.SECONDS
    assert {name for name in result.metrics if name != cost} == {
        name for name in expected.metrics if name != cost
    }
    assert result.metrics[metrics.TEST_PASS] == expected.metrics[metrics.TEST_PASS]


def test_a_killed_run_continues_from_its_latest_checkpoint(
    undisturbed: Undisturbed,
    train_toy: Any,
    make_context: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings, context = undisturbed.settings, make_context()
    monkeypatch.setattr(CheckpointClock, "is_due", lambda _clock: True)
    with monkeypatch.context() as patch:
        log = type(context).log

        def log_until_4(self: Any, step: int, values: Any) -> None:
            if step == 4:
                raise KeyboardInterrupt
            log(self, step, values)

        patch.setattr(type(context), "log", log_until_4)
        with pytest.raises(KeyboardInterrupt):
            train_toy(settings, context)
    context.done.clear()
    _, model = train_toy(settings, context)
    assert context.resumed == [3]
    assert torch.equal(weights(model), undisturbed.weights)
    assert history(context, settings) == history(undisturbed.context, settings)


def snapshot(value: float) -> Snapshot:
    return Snapshot({"weights": torch.full((4,), value)}, {"value": value})


def test_the_latest_whole_checkpoint_is_read(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path / "nothing") is None
    save_checkpoint(tmp_path, 3, snapshot(3.0))
    kept = tmp_path / "round-00000003"
    aside = tmp_path.parent / "aside"
    kept.rename(aside)
    save_checkpoint(tmp_path, 12, snapshot(12.0))
    aside.rename(kept)
    found = load_checkpoint(tmp_path)
    assert found is not None
    assert found.state == {"value": 12.0}
    assert found.tensors["weights"].tolist() == [12.0] * 4

    newest = tmp_path / "round-00000012"
    damaged = bytearray((newest / TENSORS).read_bytes())
    damaged[-1] ^= 1
    (newest / TENSORS).write_bytes(bytes(damaged))
    found = load_checkpoint(tmp_path)
    assert found is not None
    assert found.state == {"value": 3.0}
    (kept / STATE).write_text("{")
    assert load_checkpoint(tmp_path) is None


def test_names_of_one_tensor_are_kept_apart(tmp_path: Path) -> None:
    values = torch.arange(6.0)
    tensors = {"whole": values, "again": values, "part": values[2:4], "other": values + 1}
    save_checkpoint(tmp_path, 1, Snapshot(tensors, {}))
    loaded = load_checkpoint(tmp_path)
    assert loaded is not None
    assert {name: value.tolist() for name, value in loaded.tensors.items()} == {
        name: value.tolist() for name, value in tensors.items()
    }


def test_older_and_unfinished_checkpoints_are_removed(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, 1, snapshot(1.0))
    (tmp_path / ".unfinished-00000002").mkdir()
    save_checkpoint(tmp_path, 2, snapshot(2.0))
    save_checkpoint(tmp_path, 2, snapshot(2.5))
    assert [path.name for path in tmp_path.iterdir()] == ["round-00000002"]
    found = load_checkpoint(tmp_path)
    assert found is not None
    assert found.state == {"value": 2.5}


def test_checkpoints_are_spaced_by_what_they_cost() -> None:
    clock = CheckpointClock()
    assert clock.is_due()
    clock.wrote(3600.0)
    assert not clock.is_due()
