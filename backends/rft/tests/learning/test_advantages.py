"""Reward, filter, down-sampling and advantage of whole rounds; verdicts that do not exist."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from ablatekit_rft.levels.registry import get_level, levels_of
from ablatekit_rft.levels.types import RewardParts, SamplerView
from ablatekit_rft.metrics import names as metrics
from ablatekit_rft.metrics.specs import metric_specs
from ablatekit_rft.policy.rollout import Prompts, Rollouts
from ablatekit_rft.rollouts.drawn import DrawPlan, draw_plan, filtered, joined_draws, pass_rates
from ablatekit_rft.rollouts.verify import Verified
from ablatekit_rft.settings import RftSettings

from ablatekit.runs.records import part_metric
from ablatekit.runs.seeds import Seeds

ONES = torch.ones(4)


def rollouts_of(lengths: list[int], per_query: int = 1, truncated: list[bool] | None = None) -> Any:
    count = len(lengths)
    prompts = Prompts.pad([[1, 2]] * (count // per_query), 0, torch.device("cpu"))
    query = torch.arange(count // per_query).repeat_interleave(per_query)
    zeros = torch.zeros(count, 10)
    cut = torch.tensor(truncated or [False] * count)
    return Rollouts(prompts, query, zeros.long(), torch.tensor(lengths), cut, zeros, zeros)


FORMATS = {  # right and well formed, right, well formed, neither
    "none": [1.0, 1.0, 0.0, 0.0],
    "additive": [1.2, 1.0, 0.2, 0.0],
    "gate": [1.0, 0.0, 0.0, 0.0],
    "hierarchical": [1.0, 0.0, 0.2, 0.0],
}


def test_every_format_has_golden_numbers() -> None:
    assert set(FORMATS) == set(levels_of("format_reward"))


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_format_reward(name: str) -> None:
    outcome, formed = torch.tensor([1.0, 1.0, 0.0, 0.0]), torch.tensor([1.0, 0.0, 1.0, 0.0])
    settings = RftSettings(format_weight=0.2)
    graded = get_level("format_reward", name).bound(settings)(outcome, formed)
    assert graded.tolist() == pytest.approx(FORMATS[name], abs=1e-7)


SHAPED = {  # limit 10, lengths 5, 8, 9 and 10 in two queries, outcomes 1, 0, 1, 1, weight 0.5
    "none": [1.0, 0.0, 1.0, 1.0],
    # The buffer is the last 4 tokens.
    "soft_overlong": [1.0, -0.5 * 0.5, 1 - 0.5 * 0.75, 1 - 0.5],
    "pass_rate": [1 - 0.5 * 0.5 * 0.5, -0.5 * 0.5 * 0.8, 1 - 0.5 * 0.9, 1 - 0.5],
    "cosine": [
        1 + 0.5 * 0.5,
        -0.5 * (1 + math.cos(0.8 * math.pi)) / 2,
        1 + 0.5 * (1 + math.cos(0.9 * math.pi)) / 2,
        1.0,
    ],
}


def test_every_length_shaping_has_golden_numbers() -> None:
    assert set(SHAPED) == set(levels_of("length_shaping"))


@pytest.mark.parametrize("name", sorted(SHAPED))
def test_length_shaping(name: str) -> None:
    outcome = torch.tensor([1.0, 0.0, 1.0, 1.0])
    parts = RewardParts(
        outcome,
        outcome,
        torch.tensor([5, 8, 9, 10]),
        torch.zeros(4, dtype=torch.bool),
        torch.tensor([0, 0, 1, 1]),
        torch.ones(4, dtype=torch.bool),
        10,
    )
    settings = RftSettings(length_weight=0.5, overlong_buffer=0.4)
    shaped = get_level("length_shaping", name).bound(settings)(parts)
    assert shaped.tolist() == pytest.approx(SHAPED[name], abs=1e-6)


def test_pass_rates_of_a_length_penalty_leave_out_greedy_and_unjudged_rollouts() -> None:
    outcome = torch.tensor([1.0, 0.0, 0.0])
    parts = RewardParts(
        outcome,
        outcome,
        torch.tensor([10, 10, 10]),
        torch.zeros(3, dtype=torch.bool),
        torch.zeros(3, dtype=torch.int64),
        torch.tensor([True, False, False]),
        10,
    )
    shaped = get_level("length_shaping", "pass_rate").bound(RftSettings(length_weight=1))(parts)
    assert shaped.tolist() == [0.0, -1.0, -1.0]


TRUNCATED = {
    "as_is": ([1.0, -1.0], [True, True]),
    "mask": ([1.0, -1.0], [True, False]),
    "fixed": ([1.0, 0.25], [True, True]),
    "scale": ([1.0, -0.5], [True, True]),
}


def test_every_truncation_has_golden_numbers() -> None:
    assert set(TRUNCATED) == set(levels_of("truncation"))


@pytest.mark.parametrize("name", sorted(TRUNCATED))
def test_truncation(name: str) -> None:
    rewards, cut = torch.tensor([1.0, -1.0]), torch.tensor([False, True])
    parts = RewardParts(
        rewards, rewards, torch.tensor([10, 10]), cut, torch.tensor([0, 1]), ~(cut & False), 10
    )
    settings = RftSettings(truncation_reward=0.25, truncation_scale=0.5)
    found, trains = get_level("truncation", name).bound(settings)(parts)
    assert (found.tolist(), trains.tolist()) == TRUNCATED[name]


def test_flips_turn_verdicts_around_at_their_rate() -> None:
    correct = torch.tensor([1.0, 0.0] * 5000)
    uniforms = torch.rand(10_000, generator=torch.Generator().manual_seed(0))
    seen = get_level("reward_noise", "flip").bound(RftSettings(reward_flip=0.2))(correct, uniforms)
    assert set(seen.tolist()) == {0.0, 1.0}
    assert float((seen != correct).float().mean()) == pytest.approx(0.2, abs=0.015)
    assert torch.equal(get_level("reward_noise", "none").function(correct, uniforms), correct)


KEPT = {
    "none": [True, True, True, True],
    "drop": [False, True, False, False],
    "refill": [False, True, False, False],
    "band": [True, True, False, False],
}


@pytest.mark.parametrize("name", sorted(levels_of("group_filter")))
def test_filters_look_at_pass_rates(name: str) -> None:
    settings = RftSettings(filter_low=0.0, filter_high=0.5)
    kept = get_level("group_filter", name).bound(settings)(np.array([0.0, 0.5, 1.0, np.nan]))
    assert kept.tolist() == KEPT[name]


def test_filters_see_outcomes_and_never_the_shaped_reward(make_settings: Any) -> None:
    """A group of failures with different lengths stays without contrast."""
    settings = make_settings(group_filter="drop", length_shaping="soft_overlong", rollouts=2)
    correct = np.array([0, 0, 1, 0], np.float32)
    verified = Verified(correct, correct > 0, np.zeros(4, np.bool_))
    rollouts = rollouts_of([1, 10, 3, 4], 2)
    drawn = filtered(
        settings, np.array([5, 6]), rollouts, verified, draw_plan(settings), torch.ones(4)
    )
    assert drawn.kept.tolist() == [False, False, True, True]
    assert drawn.item.tolist() == [5, 5, 6, 6]


ROWS = {
    "none": [0, 1, 2, 3, 4],
    "max_variance": [0, 1, 3],
    "top_bottom": [0, 1, 3],
    "success_only": [1, 3],
}


@pytest.mark.parametrize("name", sorted(ROWS))
def test_downsampling(name: str) -> None:
    rewards, outcome = np.array([-1.0, 2.0, 0.5, 1.5, 0.0]), np.array([0.0, 1.0, 0.0, 1.0, 0.0])
    rows = get_level("downsample", name).bound(RftSettings(downsample_to=3))(
        rewards, outcome, np.random.default_rng(0)
    )
    assert rows.tolist() == ROWS[name]


@pytest.mark.parametrize("seed", range(20))
def test_max_variance_is_the_best_of_all_subsets(seed: int) -> None:
    import itertools

    rng = np.random.default_rng(seed)
    rewards, keep = rng.normal(size=7).round(1), int(rng.integers(1, 7))
    level = get_level("downsample", "max_variance")
    rows = level.bound(RftSettings(downsample_to=keep))(rewards, np.zeros(7), rng)
    best = max(rewards[list(some)].var() for some in itertools.combinations(range(7), keep))
    assert len(set(rows.tolist())) == keep
    assert rewards[rows].var() == pytest.approx(best, abs=1e-12)


def test_random_downsampling_is_uniform() -> None:
    rng, level = np.random.default_rng(0), get_level("downsample", "random")
    counts = np.zeros(5)
    for _ in range(2000):
        rows = level.bound(RftSettings(downsample_to=2))(np.zeros(5), np.zeros(5), rng)
        assert len(set(rows.tolist())) == 2
        counts[rows] += 1
    assert np.abs(counts / 2000 - 0.4).max() < 0.04


def test_advantages_after_or_before_the_selection(make_settings: Any, teach_round: Any) -> None:
    outcome = torch.tensor([1.0, 0.0, 0.0, 0.0])
    shared = {"downsample": "max_variance", "downsample_to": 2, "advantage": "group_mean"}
    settings = make_settings(rollouts=4, **shared)
    rollouts = rollouts_of([1, 2, 3, 4], 4)
    after = teach_round(settings, rollouts, outcome)
    assert after.rows.tolist() == [0, 1]
    assert after.advantage.tolist() == [0.5, -0.5]
    settings = make_settings(rollouts=4, **shared, downsample_advantage="before")
    before = teach_round(settings, rollouts, outcome)
    assert before.rows.tolist() == [0, 1]
    assert before.advantage.tolist() == [0.75, -0.25]


@pytest.mark.parametrize("name", sorted(set(levels_of("advantage")) - {"remax"}))
def test_a_rollout_without_a_verdict_is_outside_every_baseline(
    make_settings: Any, teach_round: Any, name: str
) -> None:
    """What is left is taught as if the rollout had never been drawn, and the rest has 0."""
    from ablatekit_rft.levels.types import Start

    settings = make_settings(advantage=name, rollouts=3)
    level = get_level("advantage", name)
    state = level.initial_state(Start(3, 0.4), settings) or None
    outcome = torch.tensor([1.0, 0.0, 0.0, 0.0, 1.0, 1.0])
    error = torch.tensor([False, False, True, False, False, True])
    rollouts = rollouts_of([1, 2, 3, 4, 5, 6], 3)
    drift = torch.zeros(6)
    found = teach_round(settings, rollouts, outcome, None, state, drift, error=error)
    judged = (~error).nonzero().squeeze(1)
    alone = teach_round(
        settings, rollouts.select(judged), outcome[judged], None, state, drift[judged]
    )
    assert found.rows.tolist() == list(range(6))
    assert torch.equal(found.advantage[judged], alone.advantage)
    assert not found.advantage[error].any()
    for key, value in alone.state.items():
        assert torch.equal(found.state[key].nan_to_num(-9.0), value.nan_to_num(-9.0))


@pytest.mark.parametrize("name", ["group_norm", "rloo", "max_rl", "opo"])
def test_a_query_left_with_one_verdict_teaches_nothing(
    make_settings: Any, teach_round: Any, name: str
) -> None:
    settings = make_settings(advantage=name, rollouts=2)
    outcome = torch.tensor([1.0, 0.0, 1.0, 0.0])
    error = torch.tensor([False, True, False, False])
    found = teach_round(settings, rollouts_of([1, 2, 3, 4], 2), outcome, error=error)
    assert found.advantage[:2].tolist() == [0.0, 0.0]
    assert found.advantage[2:].all()


def test_a_round_without_any_verdict_teaches_nothing(make_settings: Any, teach_round: Any) -> None:
    error = torch.ones(4, dtype=torch.bool)
    for name in ("none", "batch_norm", "group_norm", "ema"):
        state = {"baseline": torch.tensor(0.5)}
        found = teach_round(
            make_settings(advantage=name),
            rollouts_of([1] * 4, 2),
            torch.ones(4),
            None,
            state,
            error=error,
        )
        assert found.advantage.tolist() == [0.0] * 4
        assert found.state == state


def test_remax_leaves_out_queries_whose_greedy_completion_has_no_verdict(
    make_settings: Any, teach_round: Any
) -> None:
    sampled = torch.tensor([True, False, True, False])
    found = teach_round(
        make_settings(advantage="remax"),
        rollouts_of([1] * 4, 2),
        torch.tensor([1.0, 0.0, 1.0, 0.0]),
        error=torch.tensor([False, True, False, False]),
        sampled=sampled,
        carries=sampled,
    )
    assert found.rows.tolist() == [0, 2]
    assert found.advantage.tolist() == [0.0, 1.0]


def test_pass_rates_leave_out_what_has_no_verdict(make_drawn: Any) -> None:
    drawn = make_drawn(
        rollouts_of([1] * 6, 2),
        torch.tensor([1.0, 0.0, 0.0, 0.0, 1.0, 0.0]),
        error=torch.tensor([False, True, True, True, False, False]),
    )
    rates = pass_rates(drawn)
    assert rates[[0, 2]].tolist() == [1.0, 0.5]
    assert np.isnan(rates[1])


def test_extra_rollouts_inform_the_advantage_and_carry_no_gradient(
    make_settings: Any, teach_round: Any
) -> None:
    settings = make_settings(advantage="extra_baseline", rollouts=1, extra_rollouts=3)
    plan = draw_plan(settings)
    assert plan == DrawPlan(1, 3, greedy=False)
    found = teach_round(
        settings,
        rollouts_of([1] * 8, 4),
        torch.tensor([1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0]),
        carries=plan.carrying_rows(2),
    )
    assert found.rows.tolist() == [0, 4]
    assert found.advantage.tolist() == pytest.approx([0.75 / 0.5, -0.5 / math.sqrt(1 / 3)])


def test_refills_are_joined_and_surplus_queries_left_out(make_settings: Any) -> None:
    settings = make_settings(group_filter="refill", rollouts=2)

    def part(correct: list[int], items: list[int]) -> Any:
        values = np.array(correct, np.float32)
        verified = Verified(values, values > 0, np.zeros(len(values), np.bool_))
        return filtered(
            settings,
            np.array(items),
            rollouts_of([1] * len(values), 2),
            verified,
            draw_plan(settings),
            torch.ones(len(values)),
        )

    joined = joined_draws([part([1, 0, 1, 1], [7, 8]), part([0, 1, 1, 0], [9, 3])], 2)
    assert joined.kept.tolist() == [True, True, False, False, True, True, False, False]
    assert joined.item.tolist() == [7, 7, 8, 8, 9, 9, 3, 3]
    assert joined.rollouts.query.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert joined.batches == 2


def items_of(policy: str, position: int = 0, count: int = 6, **settings: Any) -> list[int]:
    chosen = RftSettings(sample_policy=policy, **settings)
    rates = np.array([0.0, 0.0, 0.5, 0.5, 1.0, 1.0, np.nan, 0.25])
    difficulty = np.array([1.0, 0.0, 0.5, 0.25, 0.75, 1.0, 0.0, 0.5])
    view = SamplerView(8, position, count, rates, difficulty, Seeds("run", "context"))
    return [int(one) for one in get_level("sample_policy", policy).bound(chosen)(view)]


def test_epochs_and_curricula_visit_every_item_once() -> None:
    for policy in ("epochs", "easy_to_hard"):
        first = [*items_of(policy, 0), *items_of(policy, 6, 2)]
        assert sorted(first) == list(range(8))
    easy_first = [*items_of("easy_to_hard", 0), *items_of("easy_to_hard", 6, 2)]
    assert set(easy_first[:2]) == {0, 5}
    assert easy_first[2] == 4
    assert set(easy_first[-2:]) == {1, 6}
    assert items_of("easy_to_hard", 8) == easy_first[:6]


def test_independent_draws_repeat_items() -> None:
    drawn = [one for position in range(200) for one in items_of("iid", position, 8)]
    assert np.abs(np.bincount(drawn, minlength=8) / len(drawn) - 1 / 8).max() < 0.03
    assert len(set(items_of("iid", 0, 8))) < 8


def test_pools_prefer_items_of_medium_pass_rate() -> None:
    medium = {2, 3, 6, 7}
    assert set(items_of("pools", 0, 4)) == medium
    mixed = items_of("pools", 0, 4, easy_share=0.25, hard_share=0.25)
    assert len(set(mixed) & medium) == 2
    assert len(set(mixed) & {4, 5}) == len(set(mixed) & {0, 1}) == 1
    assert medium < set(items_of("pools", 0, 6))


def test_priority_follows_the_spread_of_outcomes() -> None:
    drawn = [one for position in range(2000) for one in items_of("priority", position, 1)]
    weights = np.sqrt([0, 0, 0.25, 0.25, 0, 0, 0.25, 0.1875]) + 0.05
    shares = np.bincount(drawn, minlength=8) / len(drawn)
    assert np.abs(shares - weights / weights.sum()).max() < 0.03
    assert len(set(items_of("priority", 0, 8))) == 8


@pytest.mark.parametrize(
    ("by", "chosen"),
    [("first", {0, 1}), ("easiest", {0, 5}), ("hardest", {1, 6}), ("middle", {2, 7})],
)
def test_a_subset_is_trained_on_again_and_again(by: str, chosen: set[int]) -> None:
    drawn = items_of("subset", 0, 6, subset_items=2, subset_by=by)
    assert set(drawn) == chosen
    assert [drawn.count(one) for one in chosen] == [3, 3]


def spent(context: Any, name: str) -> list[float]:
    return list(context.series(name).values())


def test_what_is_drawn_without_gradient_is_charged(
    train_toy: Any, make_context: Any, make_settings: Any
) -> None:
    for given, drawn, trained in (
        ({"advantage": "extra_baseline", "extra_rollouts": 3, "rollouts": 1}, 16, 4),
        ({"advantage": "remax"}, 12, 8),
        ({"downsample": "random", "downsample_to": 1}, 8, 4),
    ):
        context = make_context(folder=str(drawn) + str(trained))
        result, _ = train_toy(make_settings(**given), context)
        assert set(spent(context, metrics.GENERATED)) == {drawn}
        assert set(spent(context, metrics.TRAINED)) == {trained}
        assert result.metrics[metrics.SAMPLES] == 6 * drawn


def test_refills_are_charged_and_fill_the_round(
    train_toy: Any, make_context: Any, make_settings: Any
) -> None:
    context = make_context()
    settings = make_settings(group_filter="refill", refill_batches=20)
    result, _ = train_toy(settings, context)
    batches = spent(context, metrics.BATCHES)
    assert max(batches) > 1
    assert set(spent(context, metrics.KEPT_QUERIES)) == {4}
    assert set(spent(context, metrics.TRAINED)) == {8}
    assert spent(context, metrics.GENERATED) == [8 * count for count in batches]
    assert result.metrics[metrics.SAMPLES] == 8 * sum(batches)


def test_difficulty_is_measured_once_and_charged(
    train_toy: Any, make_context: Any, make_settings: Any
) -> None:
    context = make_context()
    settings = make_settings(sample_policy="easy_to_hard", difficulty_samples=3)
    train_toy(settings, context)
    assert spent(context, metrics.SAMPLES) == [48 + 8 * step for step in range(7)]


def test_a_round_in_which_nothing_may_train_changes_no_weight_under_sgd(
    train_toy: Any, make_context: Any, make_settings: Any
) -> None:
    """Every group is dropped: a band that no pass rate of two rollouts meets."""
    settings = make_settings(
        group_filter="band", filter_low=0.6, filter_high=0.9, optimizer="sgd", learning_rate=0.1
    )
    context = make_context()
    _, model = train_toy(settings, context)
    _, base = train_toy(make_settings(learning_rate=0.0), make_context(folder="other"))
    same = (torch.equal(a, b) for a, b in zip(model.parameters(), base.parameters(), strict=True))
    assert all(same)
    assert set(spent(context, metrics.TRAINED)) == {0}


ALWAYS_LOGGED = {
    "noise": {"reward_noise": "flip"},
    "filter": {"group_filter": "drop"},
    "ema": {"advantage": "ema"},
    "tracker": {"advantage": "tracker"},
    "tracker_with_kl": {"advantage": "tracker", "kl_place": "loss"},
    "tokens": {"advantage": "reinforce_pp", "kl_place": "reward"},
}


@pytest.mark.parametrize("name", ALWAYS_LOGGED)
def test_what_only_some_levels_report_is_declared(
    train_toy: Any, make_context: Any, make_settings: Any, name: str
) -> None:
    settings, context = make_settings(**ALWAYS_LOGGED[name]), make_context()
    train_toy(settings, context)
    declared = [spec.name for spec in metric_specs(settings)]
    partial = {part_metric(spec.name) for spec in metric_specs(settings) if spec.partial}
    logged = {name for values in context.logged.values() for name in values}
    assert len(declared) == len(set(declared))
    assert logged - partial | {metrics.LENGTH_RIGHT, metrics.LOGP_RIGHT} == set(declared)


@pytest.mark.parametrize(
    "given",
    [
        *({"advantage": name} for name in levels_of("advantage")),
        *({"length_shaping": name} for name in levels_of("length_shaping")),
        *({"format_reward": name} for name in levels_of("format_reward")),
        *({"truncation": name} for name in levels_of("truncation")),
        *({"sample_policy": name} for name in levels_of("sample_policy")),
        *({"downsample": name, "downsample_to": 2} for name in levels_of("downsample")),
    ],
    ids=str,
)
def test_every_level_trains(
    train_toy: Any, make_context: Any, make_settings: Any, given: dict[str, Any]
) -> None:
    once = {"points": 1, "probe_items": 4, "test_items": 4}
    settings = make_settings(rollouts=3, budget={"amount": 6}, evaluation=once, **given)
    context = make_context()
    result, _ = train_toy(settings, context)
    assert result.status == "finished"
    assert max(spent(context, metrics.GRAD_NORM)) > 0
