"""Levels that remember: golden numbers over several rounds, and what a checkpoint must hold."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from ablatekit_rft.levels.registry import get_level, levels_of
from ablatekit_rft.levels.types import RewardView, Start
from ablatekit_rft.rollouts.item_memory import Memory, updated_rates
from ablatekit_rft.settings import RftSettings

from ablatekit.errors import RunInterruptedError


def view_of(rewards: list[float], items: list[int], drift: list[float] | None = None) -> RewardView:
    """One rollout of each query, or several where items repeat side by side."""
    group = np.cumsum([0, *(a != b for a, b in zip(items[1:], items, strict=False))])
    count = len(rewards)
    return RewardView(
        torch.tensor(rewards),
        torch.from_numpy(group),
        torch.full((count,), 5),
        torch.tensor(items),
        drift=torch.tensor(drift or [0.0] * count),
    )


def rounds(name: str, views: list[RewardView], **settings: Any) -> list[list[float]]:
    chosen, level = RftSettings(**settings), get_level("advantage", name)
    state, found = level.initial_state(Start(4, 0.25), chosen), []
    for view in views:
        advantage, state = level.bound(chosen)(view, state)
        found.append(advantage.tolist())
    return found


def test_a_moving_average_is_scored_before_it_moves() -> None:
    views = [view_of([1.0, 0.0], [0, 1]), view_of([1.0, 1.0], [2, 3])]
    first, second = rounds("ema", views, ema_decay=0.8)
    assert first == pytest.approx([0.75, -0.25], abs=1e-6)
    baseline = 0.64 * 0.25 + 0.36 * 0.5
    assert second == pytest.approx([1 - baseline] * 2, abs=1e-6)
    cold, after = rounds("ema", views, ema_decay=0.8, ema_start="zero")
    assert cold == [1.0, 0.0]
    assert after == pytest.approx([0.82] * 2, abs=1e-6)


def test_a_moving_average_moves_as_single_steps_in_random_order_do_on_average() -> None:
    rewards, decay, start = [1.0, 0.0, 0.5, 0.25], 0.7, 0.25

    def stepwise(order: tuple[float, ...]) -> float:
        baseline = start
        for reward in order:
            baseline = decay * baseline + (1 - decay) * reward
        return baseline

    expected = np.mean([stepwise(order) for order in itertools.permutations(rewards)])
    views = [view_of(rewards, [0, 1, 2, 3]), view_of([0.0, 0.0], [0, 1])]
    _, after = rounds("ema", views, ema_decay=decay)
    assert after == pytest.approx([-expected] * 2, abs=1e-6)


def test_a_tracker_keeps_a_value_per_item_and_forgets_with_the_drift() -> None:
    """Weight 1 / (1 - 0.875) = 8 rollouts of mean 0.25 at the start."""
    views = [view_of([1.0, 0.0], [0, 1]), view_of([1.0, 1.0, 0.0], [0, 2, 1], [0.06, 0.0, 9.0])]
    first, second = rounds("tracker", views)
    centre, spread = 0.5, math.sqrt(0.5)
    assert first == pytest.approx([0.5 / spread, -0.5 / spread], abs=1e-6)
    # Round 1 keeps 0.96 (no drift is 2^0 = 1, bounded), then adds one rollout.
    weight = 8 * 0.96 + 1
    values = [(2 * 0.96 + 1) / weight, 0.25, 2 * 0.96 / weight]
    off = [1 - values[0], 1 - values[1], 0 - values[2]]
    centre = sum(off) / 3
    spread = math.sqrt(sum((one - centre) ** 2 for one in off) / 2)
    assert second == pytest.approx([(one - centre) / spread for one in off], abs=1e-5)


def test_a_tracker_bounds_what_it_forgets() -> None:
    level, chosen = get_level("advantage", "tracker"), RftSettings()
    state = level.initial_state(Start(3, 0.25), chosen)
    view = view_of([1.0, 0.0, 1.0], [0, 1, 2], [0.06, 9.0, 0.006])
    _, after = level.bound(chosen)(view, state)
    kept = [0.875, 0.875, 2**-0.1]
    assert after["weight"].tolist() == pytest.approx([8 * one + 1 for one in kept], abs=1e-5)
    assert after["total"].tolist() == pytest.approx(
        [2 * one + reward for one, reward in zip(kept, [1.0, 0.0, 1.0], strict=True)], abs=1e-5
    )


def test_a_history_window_is_a_group_gathered_over_epochs() -> None:
    views = [view_of([reward], [2]) for reward in (1.0, 0.0, 0.0, 1.0)]
    found = [one[0] for one in rounds("history_window", views, history_window=3)]
    two, three = math.sqrt(0.5), math.sqrt(1 / 3)
    assert found == pytest.approx(
        [1.0, (0 - 0.5) / two, (0 - 1 / 3) / three, (1 - 1 / 3) / three], abs=1e-6
    )


def test_a_window_of_equal_rewards_teaches_nothing_and_takes_in_whole_visits() -> None:
    views = [view_of([1.0, 1.0], [0, 0]), view_of([0.0, 1.0], [0, 0])]
    first, second = rounds("history_window", views, history_window=3)
    assert first == [0.0, 0.0]
    spread = math.sqrt(1 / 3)
    assert second == pytest.approx([-2 / 3 / spread, 1 / 3 / spread], abs=1e-6)


def test_every_level_that_remembers_is_here() -> None:
    stateful = {name for name, level in levels_of("advantage").items() if level.state}
    assert stateful == {"ema", "tracker", "history_window"}


def test_running_pass_rates_start_at_the_first_visit() -> None:
    rates = np.array([np.nan, 0.5, np.nan])
    after = updated_rates(rates, np.array([0, 1, 1]), np.array([1.0, 1.0, np.nan]), 0.5)
    assert after[:2].tolist() == [1.0, 0.75]
    assert np.isnan(after[2])
    assert np.isnan(rates[0])


def test_memory_is_what_a_checkpoint_gives_back() -> None:
    device = torch.device("cpu")
    memory, other = Memory(device), Memory(device)
    memory.keep_sampler(7, np.array([0.5, np.nan]), np.array([0.25, 1.0]))
    memory.keep("advantage", {"baseline": torch.tensor(0.3)})
    other.load_state(memory.state())
    assert other.position == 7
    assert other.difficulty.tolist() == [0.25, 1.0]
    assert torch.equal(other.of("advantage")["baseline"], torch.tensor(0.3))
    assert np.array_equal(other.rates(2), memory.rates(2), equal_nan=True)
    assert Memory(device).position == 0
    assert np.isnan(Memory(device).rates(3)).all()


def weights(model: Any) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


REMEMBERS: dict[str, dict[str, Any]] = {
    "ema": {"advantage": "ema"},
    "tracker": {"advantage": "tracker", "optimizer": "sgd", "learning_rate": 0.1},
    "history_window": {"advantage": "history_window", "history_window": 4},
    "refill": {"group_filter": "refill", "refill_batches": 3},
    "iid": {"sample_policy": "iid"},
    "easy_to_hard": {"sample_policy": "easy_to_hard"},
    "pools": {"sample_policy": "pools", "easy_share": 0.25},
    "priority": {"sample_policy": "priority"},
    "subset": {"sample_policy": "subset", "subset_items": 3},
    "flip": {"reward_noise": "flip"},
    "random": {"downsample": "random", "downsample_to": 1},
    "extra": {"advantage": "extra_baseline", "extra_rollouts": 2},
    "remax": {"advantage": "remax"},
}


@pytest.mark.parametrize("name", REMEMBERS)
def test_a_run_resumed_at_every_round_equals_an_undisturbed_one(
    train_toy: Any, make_context: Any, make_settings: Any, name: str
) -> None:
    settings = make_settings(**{"train_items": 16, **REMEMBERS[name]})
    _, expected = train_toy(settings, make_context(folder="undisturbed"))
    context = make_context()
    for stop in range(6):
        context.stop_at = stop
        with pytest.raises(RunInterruptedError):
            train_toy(settings, context)
        context.stop_at = None
        context.done.clear()
    _, model = train_toy(settings, context)
    assert context.resumed == list(range(6))
    assert torch.equal(weights(model), weights(expected))


@pytest.mark.parametrize("name", ["tracker", "history_window", "priority", "refill"])
def test_replicates_differ_and_repetitions_do_not(
    train_toy: Any, make_context: Any, make_settings: Any, name: str
) -> None:
    settings = make_settings(**REMEMBERS[name])
    models = [
        weights(train_toy(settings, make_context(run, folder=str(place)))[1])
        for place, run in enumerate("aab")
    ]
    assert torch.equal(models[0], models[1])
    assert not torch.equal(models[0], models[2])
