"""Every rule by the numbers: merged cells are equal, near-aliases scale exactly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from ablatekit_rft.levels.registry import get_level, levels_of
from ablatekit_rft.levels.types import RewardView
from ablatekit_rft.rules import RULES
from ablatekit_rft.settings import RftSettings
from torch import Tensor

from ablatekit.backend import Rule
from ablatekit.study.settings import flatten_model, setting_fields

BY_NAME = {rule.name: rule for rule in RULES}
SIZES = [(32, 2), (32, 4), (4, 16), (64, 1), (1, 8)]
"""Queries and rollouts of a round."""


def resolved(**settings: Any) -> dict[str, Any]:
    return flatten_model(RftSettings.from_dotted(settings))


def applying(kind: str, settings: Mapping[str, Any]) -> set[str]:
    return {rule.name for rule in RULES if rule.kind == kind and rule.applies(settings)}


def canonical(settings: Mapping[str, Any]) -> dict[str, Any]:
    """One pass over the merging rules, in their order."""
    result = dict(settings)
    for rule in RULES:
        if rule.kind in ("inert", "alias") and rule.applies(result):
            result.update(rule.then)
    return result


def outcomes(queries: int, rollouts: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    chances = torch.rand(queries, 1, generator=generator)
    return (torch.rand(queries, rollouts, generator=generator) < chances).long().flatten()


def advantages(
    name: str, coding: str, queries: int, rollouts: int, penalty: Tensor | None = None
) -> Tensor:
    rewards = get_level("reward_coding", coding).function(outcomes(queries, rollouts))
    group = torch.arange(queries).repeat_interleave(rollouts)
    view = RewardView(
        rewards if penalty is None else rewards - penalty, group, torch.ones_like(group)
    )
    result = get_level("advantage", name).function(view, RftSettings())
    assert isinstance(result, Tensor)
    return result


def sizes_of(name: str) -> list[tuple[int, int]]:
    needs_groups = "groups" in get_level("advantage", name).needs
    return [size for size in SIZES if size[1] > 1 or not needs_groups]


def close(left: Tensor, right: Tensor) -> bool:
    return torch.allclose(left, right, rtol=1e-5, atol=1e-6)


def test_rules_have_unique_names_and_reasons() -> None:
    assert len(BY_NAME) == len(RULES)
    assert all(len(rule.why) > 20 for rule in RULES)
    assert all(rule.remedy for rule in RULES if rule.kind == "invalid")
    assert all(bool(rule.then) == (rule.kind in ("inert", "alias")) for rule in RULES)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_rules_name_existing_settings_and_valid_values(rule: Rule) -> None:
    fields = setting_fields(RftSettings)
    compared = {test.above_setting for test in rule.when.values()} - {None}
    assert {*rule.when, *rule.then, *compared} <= set(fields)
    values = {value for test in rule.when.values() for value in (*(test.is_in or ()),)}
    assert values or any(test.is_in is None for test in rule.when.values())
    RftSettings.from_dotted(rule.then)


def test_the_reference_meets_no_rule_but_that_kl_is_off() -> None:
    met = {rule.name for rule in RULES if rule.applies(resolved())}
    assert met == {"no_kl"}
    assert canonical(resolved()) == resolved()


INVALID: dict[str, list[dict[str, Any]]] = {
    "group_of_one": [
        {"advantage": "group_norm"},
        {"advantage": "group_mean"},
        {"advantage": "rloo"},
    ],
    "batch_of_one": [
        {"advantage": "batch_mean", "queries_per_round": 1},
        {"advantage": "batch_norm", "queries_per_round": 1},
    ],
    "probe_outside_train_set": [{"train_items": 128}],
    "round_exceeds_train_set": [{"queries_per_round": 257}],
    "more_points_than_rounds": [{"budget.amount": 5}],
}


def test_every_invalid_rule_has_its_cases() -> None:
    assert set(INVALID) == {rule.name for rule in RULES if rule.kind == "invalid"}


@pytest.mark.parametrize(
    ("name", "settings"), [(name, case) for name, cases in INVALID.items() for case in cases]
)
def test_impossible_combinations_are_refused(name: str, settings: dict[str, Any]) -> None:
    assert applying("invalid", resolved(**settings)) == {name}


@pytest.mark.parametrize(
    "settings",
    [
        {"advantage": "group_norm", "rollouts": 2},
        {"advantage": "batch_norm", "queries_per_round": 1, "rollouts": 2},
        {"advantage": "batch_norm", "queries_per_round": 2},
        {"train_items": 64, "evaluation.probe_items": 64, "queries_per_round": 64},
        {"budget.amount": 6},
        {"budget.amount": 5, "budget.unit": "samples"},
    ],
    ids=str,
)
def test_possible_combinations_are_not_refused(settings: dict[str, Any]) -> None:
    assert applying("invalid", resolved(**settings)) == set()


@pytest.mark.parametrize("name", levels_of("advantage"))
@pytest.mark.parametrize("rollouts", [1, 2])
@pytest.mark.parametrize("queries", [1, 2])
def test_exactly_what_a_level_cannot_compute_is_refused(
    name: str, rollouts: int, queries: int
) -> None:
    level = get_level("advantage", name)
    available = rollouts if "groups" in level.needs else rollouts * queries
    settings = resolved(advantage=name, rollouts=rollouts, queries_per_round=queries)
    assert bool(applying("invalid", settings)) == (available < level.min_group)


MERGED: dict[str, list[dict[str, Any]]] = {
    "no_weight_no_kl": [{"kl_coefficient": 0.0, "kl_place": "loss"}],
    "no_kl": [{"kl_estimator": "k1"}, {"kl_coefficient": 0.3}],
    "shifted_reward": [
        {"reward_coding": "neg", "advantage": "batch_mean"},
        {"reward_coding": "neg", "advantage": "group_mean", "rollouts": 2, "kl_place": "reward"},
    ],
    "rescaled_reward": [
        {"reward_coding": "pm1", "advantage": "batch_norm"},
        {"reward_coding": "pm1", "advantage": "group_norm", "rollouts": 4, "kl_place": "loss"},
        {"reward_coding": "pm1", "advantage": "batch_norm", "kl_place": "reward"}
        | {"kl_coefficient": 0.0},
    ],
    "one_query_mean": [{"advantage": "group_mean", "queries_per_round": 1, "rollouts": 4}],
    "one_query_norm": [{"advantage": "group_norm", "queries_per_round": 1, "rollouts": 4}],
    "one_token": [{"max_new_tokens": 1, "aggregation": "token_mean"}],
}
CANONICAL: dict[str, dict[str, Any]] = {
    "no_weight_no_kl": {},
    "no_kl": {},
    "shifted_reward": {"reward_coding": "01"},
    "rescaled_reward": {"reward_coding": "01"},
    "one_query_mean": {"advantage": "batch_mean"},
    "one_query_norm": {"advantage": "batch_norm"},
    "one_token": {"aggregation": "seq_mean_token_sum"},
}


def test_every_merging_rule_has_its_cases() -> None:
    assert set(MERGED) == {rule.name for rule in RULES if rule.kind in ("inert", "alias")}


@pytest.mark.parametrize(
    ("name", "settings"), [(name, case) for name, cases in MERGED.items() for case in cases]
)
def test_merged_cells_become_the_cell_that_runs(name: str, settings: dict[str, Any]) -> None:
    kl_free = {"kl_place": "none", "kl_estimator": "k3", "kl_coefficient": 0.05}
    keep_kl = settings.get("kl_place", "none") != "none" and settings.get("kl_coefficient") != 0
    expected = {**resolved(**settings), **({} if keep_kl else kl_free), **CANONICAL[name]}
    assert canonical(resolved(**settings)) == expected


@pytest.mark.parametrize("advantage", levels_of("advantage"))
@pytest.mark.parametrize("coding", levels_of("reward_coding"))
@pytest.mark.parametrize("place", ["none", "reward", "loss"])
@pytest.mark.parametrize("coefficient", [0.0, 0.1])
@pytest.mark.parametrize("queries", [1, 32])
def test_one_pass_reaches_the_canonical_settings(
    advantage: str, coding: str, place: str, coefficient: float, queries: int
) -> None:
    once = canonical(
        resolved(
            advantage=advantage,
            reward_coding=coding,
            kl_place=place,
            kl_coefficient=coefficient,
            queries_per_round=queries,
            rollouts=4,
        )
    )
    assert canonical(once) == once


CENTRED = ["batch_mean", "batch_norm", "group_mean", "group_norm", "rloo"]


@pytest.mark.parametrize("name", CENTRED)
def test_a_shifted_reward_is_the_same_advantage(name: str) -> None:
    for queries, rollouts in sizes_of(name):
        penalty = torch.rand(queries * rollouts, generator=torch.Generator().manual_seed(1))
        for kl in (None, penalty):
            left = advantages(name, "neg", queries, rollouts, kl)
            assert close(left, advantages(name, "01", queries, rollouts, kl))


@pytest.mark.parametrize("name", ["batch_norm", "group_norm"])
def test_a_rescaled_reward_is_the_same_normalised_advantage(name: str) -> None:
    for queries, rollouts in [*sizes_of(name), (1024, 2), (1, 2048)]:
        left = advantages(name, "pm1", queries, rollouts)
        assert close(left, advantages(name, "01", queries, rollouts))


def test_a_rescaled_reward_with_kl_inside_is_another_advantage() -> None:
    penalty = torch.rand(128, generator=torch.Generator().manual_seed(1))
    left = advantages("batch_norm", "pm1", 32, 4, penalty)
    assert not torch.allclose(left, advantages("batch_norm", "01", 32, 4, penalty), atol=0.01)


def test_one_query_makes_the_group_the_round() -> None:
    for kind in ("mean", "norm"):
        group = advantages(f"group_{kind}", "01", 1, 8)
        assert torch.equal(group, advantages(f"batch_{kind}", "01", 1, 8))


def test_completions_of_one_token_make_aggregations_equal() -> None:
    lengths = torch.ones(12, dtype=torch.int64)
    weights = [level.function(lengths, 1) for level in levels_of("aggregation").values()]
    assert all(torch.equal(weights[0], other) for other in weights[1:])


WARNED: dict[str, dict[str, Any]] = {
    "rloo_scales_group_mean": {"advantage": "rloo", "rollouts": 4},
    "const_len_scales_sum": {"aggregation": "const_len"},
    "pairs_normalise_to_a_constant": {"advantage": "group_norm", "rollouts": 2},
    "doubled_reward": {"advantage": "batch_mean", "reward_coding": "pm1"},
    "kl_placebo": {"kl_place": "loss", "kl_estimator": "k1"},
    "kl_is_normalised": {"kl_place": "reward", "advantage": "batch_norm"},
}


def test_every_warning_has_its_case() -> None:
    assert set(WARNED) == {rule.name for rule in RULES if rule.kind == "warn"}


@pytest.mark.parametrize(("name", "settings"), WARNED.items())
def test_warnings_appear_where_they_belong(name: str, settings: dict[str, Any]) -> None:
    assert applying("warn", canonical(resolved(**settings))) == {name}


@pytest.mark.parametrize("rollouts", [2, 4, 16])
def test_rloo_is_group_mean_times_a_constant(rollouts: int) -> None:
    scaled = advantages("group_mean", "01", 32, rollouts) * rollouts / (rollouts - 1)
    assert close(advantages("rloo", "01", 32, rollouts), scaled)


def test_const_len_is_the_token_sum_over_the_length_limit() -> None:
    lengths = torch.tensor([3, 1, 7, 2])
    total = get_level("aggregation", "seq_mean_token_sum").function(lengths, 7)
    constant = get_level("aggregation", "const_len").function(lengths, 7)
    assert torch.allclose(constant * 7, total, rtol=1e-6, atol=0)


def test_pairs_normalise_to_a_constant() -> None:
    scaled = advantages("group_mean", "01", 64, 2) * 2**0.5
    assert close(advantages("group_norm", "01", 64, 2), scaled)


@pytest.mark.parametrize("name", ["batch_mean", "group_mean", "rloo"])
def test_a_doubled_reward_is_a_doubled_centred_advantage(name: str) -> None:
    for queries, rollouts in sizes_of(name):
        doubled = 2 * advantages(name, "01", queries, rollouts)
        assert close(advantages(name, "pm1", queries, rollouts), doubled)


def test_normalised_kl_alone_gives_advantages_of_full_size() -> None:
    kl = 1e-3 * torch.rand(8, generator=torch.Generator().manual_seed(1))
    view = RewardView(1 - kl, torch.zeros(8, dtype=torch.int64), torch.ones(8, dtype=torch.int64))
    normalised = get_level("advantage", "group_norm").function(view, RftSettings())
    assert normalised.std().item() == pytest.approx(1, abs=1e-3)
