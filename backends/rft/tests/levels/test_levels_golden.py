"""Every level against numbers worked out by hand from its formula."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from ablatekit_rft.levels.registry import get_level, levels_of
from ablatekit_rft.levels.token_views import MAX_LOG_RATIO, StepView
from ablatekit_rft.levels.types import OptimizerSpec, RewardView
from ablatekit_rft.settings import RftSettings

from ablatekit.errors import UsageError

LENGTHS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]
STATELESS = {name: one for name, one in levels_of("advantage").items() if one.state is None}


def view_of(groups: list[list[float]], lengths: list[int] | None = None) -> RewardView:
    rewards = torch.tensor([reward for group in groups for reward in group])
    index = [query for query, group in enumerate(groups) for _ in group]
    sizes = torch.tensor(lengths) if lengths else torch.full((len(index),), 5)
    return RewardView(rewards, torch.tensor(index), sizes)


def advantage(
    name: str, groups: list[list[float]], lengths: list[int] | None = None, **settings: Any
) -> torch.Tensor:
    view = view_of(groups, lengths)
    result = get_level("advantage", name).bound(RftSettings(**settings))(view)
    assert isinstance(result, torch.Tensor)
    assert result.dtype == torch.float32
    return result


MIXED = [[1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]]
SKEW = math.sqrt(1 / 4)  # unbiased variance of 1,0,0,0: (9/16 + 3/16) / 3
EVEN = math.sqrt(1 / 3)  # of 1,1,0,0: 4 * (1/4) / 3
ALL = math.sqrt((7 * 25 + 5 * 49) / 144 / 11)  # of 7 ones and 5 zeros, mean 7/12

GOLDEN = {
    "none": [1, 0, 0, 0, 1, 1, 0, 0, 1, 1, 1, 1],
    "batch_mean": [reward - 7 / 12 for group in MIXED for reward in group],
    "batch_norm": [(reward - 7 / 12) / ALL for group in MIXED for reward in group],
    "group_mean": [0.75, -0.25, -0.25, -0.25, 0.5, 0.5, -0.5, -0.5, 0, 0, 0, 0],
    "group_norm": [
        *(0.75 / SKEW, -0.25 / SKEW, -0.25 / SKEW, -0.25 / SKEW),
        *(0.5 / EVEN, 0.5 / EVEN, -0.5 / EVEN, -0.5 / EVEN),
        *(0, 0, 0, 0),
    ],
    "rloo": [
        *(1, -1 / 3, -1 / 3, -1 / 3),
        *(2 / 3, 2 / 3, -2 / 3, -2 / 3),
        *(0, 0, 0, 0),
    ],
    "rloo_norm": [
        *(1, -1 / 3 / EVEN, -1 / 3 / EVEN, -1 / 3 / EVEN),
        *(2 / 3 / EVEN, 2 / 3 / EVEN, -2 / 3 / EVEN, -2 / 3 / EVEN),
        *(0, 0, 0, 0),
    ],
    # 78 tokens; sum of T c = -3.5, of T c^2 = 7.625.
    "reinforce_pp_baseline": [
        (off + 3.5 / 78) / math.sqrt((7.625 - 3.5**2 / 78) / 77)
        for off in (0.75, -0.25, -0.25, -0.25, 0.5, 0.5, -0.5, -0.5, 0.0, 0.0, 0.0, 0.0)
    ],
    "const": [reward - 0.5 for group in MIXED for reward in group],
    "pos_only": [reward for group in MIXED for reward in group],
    "group_mean_batch_std": [
        *(0.75 / ALL, -0.25 / ALL, -0.25 / ALL, -0.25 / ALL),
        *(0.5 / ALL, 0.5 / ALL, -0.5 / ALL, -0.5 / ALL),
        *(0, 0, 0, 0),
    ],
    # Lengths 1 to 12: baselines 1/10 and (5 + 6)/26.
    "opo": [0.9, -0.1, -0.1, -0.1, 15 / 26, 15 / 26, -11 / 26, -11 / 26, 0, 0, 0, 0],
    # 12 rewards, 7 of them not zero.
    "gpg": [
        12 / 7 * value
        for value in (0.75, -0.25, -0.25, -0.25, 0.5, 0.5, -0.5, -0.5, 0.0, 0.0, 0.0, 0.0)
    ],
    "max_rl": [3, -1, -1, -1, 1, 1, -1, -1, 0, 0, 0, 0],
    "passk_max": [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    "extra_baseline": [
        *(0.75 / SKEW, -0.25 / SKEW, -0.25 / SKEW, -0.25 / SKEW),
        *(0.5 / EVEN, 0.5 / EVEN, -0.5 / EVEN, -0.5 / EVEN),
        *(0, 0, 0, 0),
    ],
    # 78 tokens, 1 + 5 + 6 + 9 + 10 + 11 + 12 = 54 of them in right completions.
    "reinforce_pp": [
        (reward - 54 / 78) / math.sqrt(54 * 24 / 78 / 77) for group in MIXED for reward in group
    ],
}


def test_every_advantage_has_golden_numbers() -> None:
    assert {*GOLDEN, "remax"} == set(STATELESS)


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_advantage_of_mixed_groups(name: str) -> None:
    assert advantage(name, MIXED, LENGTHS).tolist() == pytest.approx(GOLDEN[name], abs=1e-6)


@pytest.mark.parametrize("name", sorted(set(GOLDEN) - {"none", "const", "pos_only"}))
@pytest.mark.parametrize("reward", [0.0, 1.0, -1.0, 0.1, 1 / 3])
def test_equal_rewards_have_no_advantage_at_all(name: str, reward: float) -> None:
    assert advantage(name, [[reward] * 7, [reward] * 7]).tolist() == [0.0] * 14


def test_one_rollout_per_query_without_baseline_is_the_raw_reward() -> None:
    assert advantage("none", [[1.0], [0.0], [-1.0]]).tolist() == [1.0, 0.0, -1.0]


def test_one_rollout_per_query_against_the_round() -> None:
    groups = [[1.0], [0.0], [0.0], [0.0]]
    assert advantage("batch_mean", groups).tolist() == [0.75, -0.25, -0.25, -0.25]
    expected = [1.5, -0.5, -0.5, -0.5]
    assert advantage("batch_norm", groups).tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    "name", sorted(name for name, one in STATELESS.items() if "groups" in one.needs)
)
def test_one_rollout_per_query_has_no_group(name: str) -> None:
    with pytest.raises(UsageError, match="at least two rollouts"):
        advantage(name, [[1.0], [0.0]])


@pytest.mark.parametrize("name", ["batch_mean", "batch_norm"])
def test_one_rollout_is_no_round(name: str) -> None:
    with pytest.raises(UsageError, match="at least two rollouts"):
        advantage(name, [[1.0]])


def test_rloo_is_the_reward_minus_the_mean_of_the_others() -> None:
    group = [0.3, -1.2, 2.0]
    expected = [0.3 - 0.4, -1.2 - 1.15, 2.0 - -0.45]
    assert advantage("rloo", [group]).tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("group", [[0.3, -1.2], [0.3, -1.2, 2.0], [0.0, 0.7, 0.7, 0.1, 0.7]])
def test_rloo_norm_is_the_distance_from_the_others_in_their_deviations(group: list[float]) -> None:
    expected = []
    for place, reward in enumerate(group):
        others = torch.tensor(group[:place] + group[place + 1 :], dtype=torch.float64)
        spread = float(others.std()) if len(others) > 1 else 0.0
        expected.append((reward - float(others.mean())) / (spread or 1.0))
    assert advantage("rloo_norm", [group]).tolist() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("reward", [0.1, 1 / 3, 7.3])
def test_others_of_one_reward_divide_nothing(reward: float) -> None:
    """Whatever rounding does to the deviation of equal rewards."""
    values = advantage("rloo_norm", [[reward] * 6 + [reward + 1.0]]).tolist()
    assert values[-1] == pytest.approx(1.0, abs=1e-5)


def test_a_baseline_of_the_others_is_the_reward_minus_their_mean() -> None:
    values = advantage("batch_mean", [[1.0], [0.0], [0.0], [0.0]], batch_baseline="others")
    assert values.tolist() == pytest.approx([1, -1 / 3, -1 / 3, -1 / 3], abs=1e-6)


def test_the_positive_part_of_a_normalised_group() -> None:
    values = advantage("pos_only", MIXED, pos_only_of="group_norm")
    expected = [max(0.0, value) for value in GOLDEN["group_norm"]]
    assert values.tolist() == pytest.approx(expected, abs=1e-6)


def test_the_lead_over_the_second_best_and_its_scale() -> None:
    group = [0.5, 2.0, -1.0]
    assert advantage("passk_max", [group]).tolist() == [0.0, 1.5, 0.0]
    spread = math.sqrt((0.0 + 1.5**2 + 1.5**2) / 2)
    scaled = advantage("passk_max", [group], passk_scale="std").tolist()
    assert scaled == pytest.approx([0.0, 1.5 / spread, 0.0], abs=1e-6)


def test_a_query_without_a_mean_reward_above_zero_has_no_max_rl() -> None:
    assert advantage("max_rl", [[0.0, 0.0], [-1.0, 1.0], [-2.0, 1.0]]).tolist() == [0.0] * 6


def test_eps_is_added_to_the_standard_deviation() -> None:
    values = advantage("group_norm", [[1.0, 0.0]], advantage_eps=1e-4)
    assert values.tolist() == pytest.approx(
        [0.5 / (math.sqrt(0.5) + 1e-4)] * 1 + [-0.5 / (math.sqrt(0.5) + 1e-4)], abs=1e-7
    )


def test_remax_compares_with_the_greedy_completion_of_the_query() -> None:
    view = view_of([[1.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    greedy = torch.tensor([False, False, True] * 2)
    found = get_level("advantage", "remax").function(replace(view, greedy=greedy))
    assert found.tolist() == [0.0, -1.0, 0.0, 1.0, 0.0, 0.0]
    with pytest.raises(UsageError, match="greedy completion"):
        get_level("advantage", "remax").bound(RftSettings())(view)


def test_token_returns_carry_the_penalties_still_to_come() -> None:
    """Two rollouts of 2 and 1 tokens; penalties 0.1, 0.3 and 0.2; outcomes 1 and 0."""
    penalty = torch.tensor([[0.1, 0.3], [0.2, 0.0]])
    view = RewardView(
        torch.tensor([0.6, -0.2]), torch.tensor([0, 1]), torch.tensor([2, 1]), penalty=penalty
    )
    found = get_level("advantage", "reinforce_pp").bound(RftSettings())(view)
    returns = [1 - 0.1 - 0.3, 1 - 0.3, 0 - 0.2]
    mean = sum(returns) / 3
    spread = math.sqrt(sum((one - mean) ** 2 for one in returns) / 2)
    whitened = [(one - mean) / spread for one in returns]
    expected = [*whitened[:2], whitened[2], 0.0]
    assert found.flatten().tolist() == pytest.approx(expected, abs=1e-6)


def test_groups_need_not_be_contiguous_nor_of_one_size() -> None:
    view = RewardView(
        torch.tensor([1.0, 4.0, 0.0, 2.0, 0.0]),
        torch.tensor([1, 0, 1, 0, 1]),
        torch.ones(5, dtype=torch.int64),
    )
    result = get_level("advantage", "group_mean").bound(RftSettings())(view)
    assert result.tolist() == pytest.approx([2 / 3, 1.0, -1 / 3, -1.0, -1 / 3], abs=1e-6)


def test_no_advantage_returns_the_rewards_themselves() -> None:
    view = view_of([[1.0, 0.0]])
    get_level("advantage", "none").bound(RftSettings())(view).mul_(7)
    assert view.rewards.tolist() == [1.0, 0.0]


WEIGHTS = {
    "seq_mean_token_sum": [1 / 3, 1 / 3, 1 / 3],
    "token_mean": [1 / 8, 1 / 8, 1 / 8],
    "seq_mean_token_mean": [1 / 3, 1 / 6, 1 / 15],
    "const_len": [1 / 30, 1 / 30, 1 / 30],
    "query_mean": [1 / 6, 1 / 6, 1 / 10],
}


def test_every_aggregation_has_golden_numbers() -> None:
    assert set(WEIGHTS) == set(levels_of("aggregation"))


@pytest.mark.parametrize("name", sorted(WEIGHTS))
def test_aggregation_weights(name: str) -> None:
    view = StepView(torch.tensor([1, 2, 5]), torch.tensor([0, 0, 1]), 10)
    weights = get_level("aggregation", name).function(view)
    assert weights.dtype == torch.float32
    assert weights.tolist() == pytest.approx(WEIGHTS[name], abs=1e-8)


REFERENCE_LOSS = {  # of token losses [[2, -], [1, 3]], L = 4
    "seq_mean_token_sum": (2 + 4) / 2,
    "token_mean": 6 / 3,
    "seq_mean_token_mean": (2 + 2) / 2,
    "const_len": 6 / 8,
    "query_mean": (2 + 2) / 2,
}


@pytest.mark.parametrize("name", sorted(REFERENCE_LOSS))
def test_aggregated_loss(name: str) -> None:
    lengths = torch.tensor([1, 2])
    losses = torch.tensor([[2.0, 99.0], [1.0, 3.0]])
    mask = torch.arange(2) < lengths[:, None]
    weights = get_level("aggregation", name).function(StepView(lengths, torch.arange(2), 4))
    loss = (weights[:, None] * mask * losses).sum()
    assert loss.item() == pytest.approx(REFERENCE_LOSS[name], abs=1e-6)


LOGP = torch.tensor([[-1.0, -0.5], [-2.0, -0.1]])
REFERENCE = torch.tensor([[-1.5, -0.5], [-1.0, -0.3]])
KL = {
    "k1": [[0.5, 0.0], [-1.0, 0.2]],
    "k2": [[0.125, 0.0], [0.5, 0.02]],
    "k3": [[math.exp(-0.5) - 0.5, 0.0], [math.e - 2, math.exp(-0.2) - 0.8]],
    "k3+": [[math.exp(-0.5) - 0.5, 0.0], [math.e - 2, math.exp(-0.2) - 0.8]],
    "abs": [[0.5, 0.0], [1.0, 0.2]],
}


def test_every_kl_estimator_has_golden_numbers() -> None:
    assert set(KL) == set(levels_of("kl_estimator"))


@pytest.mark.parametrize("name", sorted(KL))
def test_kl_estimator(name: str) -> None:
    values = get_level("kl_estimator", name).function(LOGP, REFERENCE)
    assert values.flatten().tolist() == pytest.approx([*KL[name][0], *KL[name][1]], abs=1e-6)


def test_k3_of_a_hopeless_token_stays_finite_and_its_gradient_too() -> None:
    logp = torch.tensor([[-200.0]], requires_grad=True)
    value = get_level("kl_estimator", "k3").function(logp, torch.zeros(1, 1))
    value.sum().backward()
    assert value.item() == pytest.approx(math.expm1(MAX_LOG_RATIO) - 200, rel=1e-6)
    assert logp.grad is not None
    assert logp.grad.item() == 1.0


CODINGS = {"01": [0.0, 1.0], "pm1": [-1.0, 1.0], "neg": [-1.0, 0.0]}


def test_every_reward_coding_has_golden_numbers() -> None:
    assert set(CODINGS) == set(levels_of("reward_coding"))


@pytest.mark.parametrize("name", sorted(CODINGS))
@pytest.mark.parametrize("dtype", [torch.float32, torch.int64])
def test_reward_coding(name: str, dtype: torch.dtype) -> None:
    reward = get_level("reward_coding", name).function(torch.tensor([0, 1], dtype=dtype))
    assert reward.dtype == torch.float32
    assert reward.tolist() == CODINGS[name]


OPTIMIZERS: dict[str, dict[str, Any]] = {
    "adamw": {"algorithm": "adamw", "betas": (0.9, 0.999), "eps": 1e-8},
    "adamw_b95": {"algorithm": "adamw", "betas": (0.9, 0.95), "eps": 1e-8},
    "sgd": {"algorithm": "sgd"},
    "muon": {"algorithm": "muon", "betas": (0.9, 0.999), "eps": 1e-8, "momentum": 0.95},
}


def test_every_optimizer_has_golden_numbers() -> None:
    assert set(OPTIMIZERS) == set(levels_of("optimizer"))


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_optimizer_is_data(name: str) -> None:
    settings = RftSettings(learning_rate=3e-4, weight_decay=0.01)
    expected = OptimizerSpec(learning_rate=3e-4, weight_decay=0.01, **OPTIMIZERS[name])
    assert get_level("optimizer", name).bound(settings)() == expected
