"""Every rule by the numbers: merged cells are equal, near-aliases scale exactly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from ablatekit_rft.basemodels.catalogue import FAMILIES as BASE_MODELS
from ablatekit_rft.levels.registry import LEVELS, get_level, levels_of
from ablatekit_rft.levels.stages import Stage
from ablatekit_rft.levels.token_views import EntropyView, StepView
from ablatekit_rft.levels.types import RewardView
from ablatekit_rft.rules import RULES, generation, loss, run, updates
from ablatekit_rft.settings import RftSettings

from ablatekit.backend import Rule
from ablatekit.study.settings import flatten_model, setting_fields

BY_NAME = {rule.name: rule for rule in RULES}
HERE = (*run.RULES, *generation.RULES, *updates.RULES, *loss.RULES)
"""Rules that this module verifies; the others have a module of their own."""


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


@pytest.mark.parametrize("stage", sorted(LEVELS))
def test_a_setting_that_only_some_levels_read_is_inert_under_the_others(stage: Stage) -> None:
    """By a rule, so that a new parameter cannot be forgotten."""
    levels = LEVELS[stage]
    for name in {name for level in levels for name in level.reads}:
        inert = [rule for rule in RULES if stage in rule.when and name in rule.then]
        assert inert or all(name in level.reads for level in levels), name


def test_rules_have_unique_names_and_reasons() -> None:
    assert len(BY_NAME) == len(RULES)
    assert all(len(rule.why) > 20 for rule in RULES)
    assert all(rule.remedy for rule in RULES if rule.kind == "invalid")
    assert all(bool(rule.then) == (rule.kind in ("inert", "alias")) for rule in RULES)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_rules_name_existing_settings_and_valid_values(rule: Rule) -> None:
    fields = setting_fields(RftSettings)
    assert {*rule.names, *rule.then} <= set(fields)
    values = {value for test in rule.when.values() for value in (*(test.is_in or ()),)}
    assert values or any(test.is_in is None for test in rule.when.values())
    RftSettings.from_dotted(rule.then)


def test_the_reference_meets_no_rule_that_changes_it_but_the_engines() -> None:
    met = {rule.kind for rule in RULES if rule.applies(resolved())}
    assert met == {"inert", "alias"}
    assert canonical(resolved()) == {**resolved(), "engine": "policy"}


@pytest.mark.parametrize(
    ("device", "engine"), [("auto", "policy"), ("cpu", "policy"), ("cuda", "vllm")]
)
def test_the_engine_follows_from_the_study_file_alone(device: str, engine: str) -> None:
    assert canonical(resolved(device=device))["engine"] == engine
    for chosen in ("policy", "vllm"):
        assert canonical(resolved(device=device, engine=chosen))["engine"] == chosen
    assert RftSettings.from_dotted({"device": device}).drawing_engine == engine


INVALID: dict[str, list[dict[str, Any]]] = {
    "greedy_group": [{"top_k": 1, "rollouts": 2}],
    "minibatch_of_none": [{"minibatches": 33}, {"minibatches": 65, "rollouts": 2}],
    "second_bound_below_one": [
        {"clip": clip, "clip_bound": 0.5, "ratio_level": "token", **updates}
        for clip in ("dual_clip", "delta")
        for updates in ({}, {"minibatches": 2})
    ],
    "budget_spent_on_difficulty": [
        {"sample_policy": "easy_to_hard", "budget.unit": "samples", "budget.amount": 1024},
        {"sample_policy": "subset", "budget.unit": "samples", "budget.amount": 1000},
    ],
    "corrected_top_p": [{"top_p": 0.9, "mismatch": "tis_token"}],
    "corrected_top_k": [{"top_k": 9, "mismatch": "bypass"}],
    "corrected_min_p": [{"min_p": 0.1, "mismatch": "geo_rs"}],
    "replay_groups_of_one": [{"replay": "groups"}],
    "rejection_of_all": [{"rejection": "seq_mean_k1", "rejection_bound": 0.5}],
    "rejected_top_p": [{"top_p": 0.9, "rejection": "token_k1"}],
    "rejected_top_k": [{"top_k": 9, "rejection": "token_k2"}],
    "rejected_min_p": [{"min_p": 0.1, "rejection": "token_tv"}],
    "no_warmup_to_fall_from": [{"lr_schedule": "inverse_sqrt"}],
    "covariances_reversed": [{"entropy": "clip_cov", "covariance_low": 6.0}],
    "probe_outside_train_set": [{"train_items": 128}],
    "round_exceeds_train_set": [{"queries_per_round": 257}],
    "more_points_than_rounds": [{"budget.amount": 5}],
    "examples_from_the_train_set": [{"few_shot": 1, "train_items": None}],
    "tiny_model_in_a_chat": [{"template": "chat", "model": name} for name in BASE_MODELS],
    "unwritable_stop": [{"stop": ["\n"]}, {"stop": (";", "A")}],
    "unwritable_evaluation_stop": [{"evaluation.stop": ("</answer>",)}],
}


def test_every_invalid_rule_has_its_cases() -> None:
    assert set(INVALID) == {rule.name for rule in HERE if rule.kind == "invalid"}


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
        {"few_shot": 1, "train_items": 256},
        {"few_shot": 0, "train_items": None},
        {"template": "chat", "model": "smollm2-135m-instruct"},
        {"template": "qa"},
        {"stop": (";", "<eos>"), "evaluation.stop": (")",)},
        {"stop": ("\n",), "model": "smollm2-135m-instruct"},
        {"budget.amount": 6},
        {"budget.amount": 5, "budget.unit": "samples"},
        {"minibatches": 64, "rollouts": 2},
        {"clip": "dual_clip", "clip_bound": 1.0, "ratio_level": "token", "minibatches": 2},
        {"sample_policy": "easy_to_hard", "budget.unit": "samples", "budget.amount": 1025},
        {
            "sample_policy": "subset",
            "subset_by": "first",
            "budget.unit": "samples",
            "budget.amount": 9,
        },
    ],
    ids=str,
)
def test_possible_combinations_are_not_refused(settings: dict[str, Any]) -> None:
    assert applying("invalid", resolved(**settings)) == set()


OFF = {"minibatches": 2}
KL = {"kl_place": "loss"}


def parameter_cases() -> tuple[dict[str, list[dict[str, Any]]], dict[str, dict[str, Any]]]:
    """Cases and canonical settings of the generated rules on a level's own parameters.

    Of the levels that do not take a parameter two stand for all: they are not given it.
    """
    merged: dict[str, list[dict[str, Any]]] = {}
    expected: dict[str, dict[str, Any]] = {}
    on: dict[Stage, dict[str, Any]] = {"clip": {"ratio_level": "token", **OFF}, "mismatch": {}}
    for stage, base in on.items():
        for level in levels_of(stage).values():
            for name in PARAMETERS[stage]:
                own = level.params.get(name)
                if own is None and name in level.reads:
                    continue  # the setting's default is the level's own value
                rule = f"unused_{name}" if own is None else f"own_{name}_{level.name}"
                default = RftSettings.model_fields[name].default
                other = 1.0 if default is None else 1.25
                value = other if own is None else own
                cases = merged.setdefault(rule, [])
                if own is not None or len(cases) < 2:
                    cases.append({**base, stage: level.name, name: value})
                expected[rule] = {name: default}
    return merged, expected


PARAMETERS: dict[Stage, tuple[str, ...]] = {
    "clip": updates.CLIP_PARAMETERS,
    "mismatch": ("mismatch_low", "mismatch_high"),
}
PARAMETER_CASES, PARAMETER_EXPECTED = parameter_cases()

MERGED: dict[str, list[dict[str, Any]]] = {
    "auto_engine": [{"device": "cpu"}],
    "auto_engine_on_a_gpu": [{"device": "cuda"}],
    **PARAMETER_CASES,
    "no_replay": [{"replay_rounds": 9}, {"replay_share": 0.5}],
    "replayed_groups_replace": [{"replay": "groups", "rollouts": 2, "replay_share": 0.5}],
    "on_policy_ratio": [
        {"ratio_level": "token"},
        {"ratio_level": "sequence", "clip": "gspo", "mismatch": "tis_seq"},
        {"ratio_level": "sequence_sum", "clip": "ppo"},
    ],
    "on_policy_second_bound": [
        {"ratio_level": "token", "clip": "dual_clip"},
        {"ratio_level": "token", "clip": "delta"},
    ],
    "no_ratio_no_clip": [{**OFF, "clip": "ppo"}, {**OFF, "clip": "cispo"}],
    "one_token_ratio": [{**OFF, "max_new_tokens": 1, "ratio_level": "sequence"}],
    "reference_batch": [{"lr_scale": "sqrt"}, {"lr_scale": "linear"}],
    "no_adapters": [{"lora_alpha": 8}],
    "no_rejection": [{"rejection_bound": 1.5}],
    "floor_of_all": [{"lr_schedule": "cosine", "lr_floor": 1.0, "lr_decay_share": 0.5}],
    "no_fall": [
        {"lr_floor": 0.5},
        {"lr_schedule": "inverse_sqrt", "warmup_fraction": 0.5, "lr_decay_share": 0.5},
    ],
    "mixed_whole": [{**KL, "kl_reference": "ema", "kl_reference_mix": 1.0}],
    "kl_to_itself": [{**KL, "kl_reference": "reset", "kl_reference_rounds": 1}],
    "k3_plus_in_the_reward": [{"kl_place": "reward", "kl_estimator": "k3+"}],
    "reference_without_period": [
        {**KL, "kl_reference_rounds": 3},
        {**KL, "kl_reference": "previous", "kl_reference_rounds": 3},
    ],
    "reference_without_mix": [{**KL, "kl_reference_mix": 0.1}],
    "no_weight_no_bonus": [{"entropy": "bonus", "entropy_coefficient": 0.0}],
    "all_tokens": [{"entropy": "top_tokens", "entropy_share": 1.0}],
    "unused_entropy_coefficient": [{"entropy": "adaptive", "entropy_coefficient": 1.0}],
    "unused_entropy_target": [{"entropy": "bonus", "entropy_target": 1.0}],
    "unused_entropy_step": [{"entropy_step": 1.0}],
    "unused_entropy_share": [{"entropy_share": 0.5}],
    "unused_covariance_share": [{"covariance_share": 0.5}],
    "unused_covariance_low": [{**OFF, "entropy": "kl_cov", "covariance_low": 0.5}],
    "unused_covariance_high": [{"covariance_high": 0.5}],
    "unused_covariance_penalty": [{"entropy": "clip_cov", "covariance_penalty": 0.5}],
    "no_ratio_to_penalise": [
        {"log_ratio_penalty": 2.0},
        {"log_ratio_penalty": 2.0, "mismatch": "tis_token"},
    ],
    "nothing_to_hold": [{"entropy": "kl_cov"}, {"entropy": "kl_cov", "covariance_share": 0.5}],
    "held_for_nothing": [{**OFF, "entropy": "kl_cov", "covariance_penalty": 0.0}],
    "query_of_one": [{"aggregation": "query_mean"}],
    "one_query_aggregation": [{"aggregation": "query_mean", "queries_per_round": 1, "rollouts": 4}],
    "no_weight_no_kl": [{"kl_coefficient": 0.0, "kl_place": "loss"}],
    "no_kl": [{"kl_estimator": "k1"}, {"kl_coefficient": 0.3}],
    "one_token": [{"max_new_tokens": 1, "aggregation": "token_mean"}],
}
CANONICAL: dict[str, dict[str, Any]] = {
    "auto_engine": {},
    "auto_engine_on_a_gpu": {"engine": "vllm"},
    **PARAMETER_EXPECTED,
    "no_replay": {"replay_rounds": 4, "replay_share": 1.0},
    "replayed_groups_replace": {"replay_share": 1.0},
    "on_policy_ratio": {"ratio_level": "none", "clip": "none"},
    "on_policy_second_bound": {"ratio_level": "none", "clip": "none"},
    "no_ratio_no_clip": {"clip": "none"},
    "one_token_ratio": {"ratio_level": "token"},
    "reference_batch": {"lr_scale": "const"},
    "no_adapters": {"lora_alpha": 32},
    "no_rejection": {"rejection_bound": 2.0},
    "floor_of_all": {"lr_schedule": "constant", "lr_floor": 0.0, "lr_decay_share": 1.0},
    "no_fall": {"lr_floor": 0.0, "lr_decay_share": 1.0},
    "mixed_whole": {"kl_reference": "reset", "kl_reference_mix": 0.6},
    "kl_to_itself": {"kl_place": "none", "kl_reference": "fixed", "kl_reference_rounds": 16},
    "k3_plus_in_the_reward": {"kl_estimator": "k3"},
    "reference_without_period": {"kl_reference_rounds": 16},
    "reference_without_mix": {"kl_reference_mix": 0.6},
    "no_weight_no_bonus": {"entropy": "none", "entropy_coefficient": 0.001},
    "all_tokens": {"entropy": "none", "entropy_share": 0.2},
    "unused_entropy_coefficient": {"entropy_coefficient": 0.001},
    "unused_entropy_target": {"entropy_target": 0.2},
    "unused_entropy_step": {"entropy_step": 0.005},
    "unused_entropy_share": {"entropy_share": 0.2},
    "unused_covariance_share": {"covariance_share": 2e-4},
    "unused_covariance_low": {"covariance_low": 1.0},
    "unused_covariance_high": {"covariance_high": 5.0},
    "unused_covariance_penalty": {"covariance_penalty": 1.0},
    "no_ratio_to_penalise": {"log_ratio_penalty": 0.0},
    "nothing_to_hold": {"entropy": "none", "covariance_share": 2e-4},
    "held_for_nothing": {"entropy": "none", "covariance_penalty": 1.0},
    "query_of_one": {"aggregation": "seq_mean_token_mean"},
    "one_query_aggregation": {"aggregation": "token_mean"},
    "no_weight_no_kl": {},
    "no_kl": {},
    "one_token": {"aggregation": "seq_mean_token_sum"},
}


def test_every_merging_rule_has_its_cases() -> None:
    assert set(MERGED) == {rule.name for rule in HERE if rule.kind in ("inert", "alias")}


@pytest.mark.parametrize(
    ("name", "settings"), [(name, case) for name, cases in MERGED.items() for case in cases]
)
def test_merged_cells_become_the_cell_that_runs(name: str, settings: dict[str, Any]) -> None:
    kl_free = {"kl_place": "none", "kl_estimator": "k3", "kl_coefficient": 0.05}
    keep_kl = settings.get("kl_place", "none") != "none" and settings.get("kl_coefficient") != 0
    engine = {"engine": "policy"}
    expected = resolved(**settings) | engine | ({} if keep_kl else kl_free) | CANONICAL[name]
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


def test_completions_of_one_token_make_aggregations_equal() -> None:
    """But for the mean of queries, which may have different numbers of completions."""
    lengths, queries = torch.ones(4, dtype=torch.int64), torch.tensor([0, 0, 0, 1])
    weights = {
        name: level.function(StepView(lengths, queries, 1))
        for name, level in levels_of("aggregation").items()
    }
    by_query = weights.pop("query_mean")
    assert all(torch.equal(weights["token_mean"], other) for other in weights.values())
    assert not torch.allclose(by_query, weights["token_mean"])


TRAINS_ALIKE = [
    (name, case)
    for name, cases in MERGED.items()
    for case in cases
    if not name.startswith("auto_engine")
]


@pytest.mark.parametrize(("name", "settings"), TRAINS_ALIKE)
def test_merged_cells_train_alike(
    train_toy: Any, make_context: Any, causal_lm: Any, name: str, settings: dict[str, Any]
) -> None:
    """Two rounds of plain gradient descent, as given and as merged, end at the same weights."""
    small = {"reward_coding": "pm1", "learning_rate": 0.01, "budget.amount": 2}
    small |= {"evaluation.points": 1, "evaluation.test_items": 4, "evaluation.probe_items": 4}
    small |= {"queries_per_round": 4} if name != "reference_batch" else {"train_items": 32}
    optimizer = {} if "optimizer" in settings else {"optimizer": "sgd", "grad_clip": None}
    given = resolved(**{"train_items": 16, **small, **optimizer, **settings})

    def weights(model: Any) -> torch.Tensor:
        return torch.cat([one.detach().flatten() for one in model.parameters()])

    def trained(cell: dict[str, Any], folder: str) -> torch.Tensor:
        return weights(train_toy(RftSettings.from_dotted(cell), make_context(folder=folder))[1])

    as_given, merged = trained(given, "given"), trained(canonical(given), "merged")
    moved = float((merged - weights(causal_lm("llama"))).norm())
    assert moved > 1e-3
    assert float((as_given - merged).norm()) < 1e-5 * moved


WARNED: dict[str, dict[str, Any]] = {
    "const_len_scales_sum": {"aggregation": "const_len"},
    "kl_placebo": {"kl_place": "loss", "kl_estimator": "k1"},
    "uncorrected_minibatches": {"minibatches": 2},
    "uncorrected_epochs": {"epochs": 2},
    "uncorrected_staleness": {"staleness": 1},
    "uncorrected_replay": {"replay": "fifo"},
    "mismatch_of_one_function": {"mismatch": "tis_token"},
    "rejection_of_nothing": {"rejection": "token_k1"},
    "lost_updates": {"precision": "bf16"},
    "adapters_want_their_own_rate": {"lora_rank": 8},
    "kl_is_normalised": {"kl_place": "reward", "advantage": "batch_norm"},
}


def test_every_warning_has_its_case() -> None:
    assert set(WARNED) == {rule.name for rule in HERE if rule.kind == "warn"}


@pytest.mark.parametrize(("name", "settings"), WARNED.items())
def test_warnings_appear_where_they_belong(name: str, settings: dict[str, Any]) -> None:
    assert applying("warn", canonical(resolved(**settings))) == {name}


def test_const_len_is_the_token_sum_over_the_length_limit() -> None:
    view = StepView(torch.tensor([3, 1, 7, 2]), torch.arange(4), 7)
    total = get_level("aggregation", "seq_mean_token_sum").function(view)
    constant = get_level("aggregation", "const_len").function(view)
    assert torch.allclose(constant * 7, total, rtol=1e-6, atol=0)


def test_pure_bfloat16_loses_what_single_precision_keeps(
    train_toy: Any, make_context: Any, make_settings: Any, causal_lm: Any
) -> None:
    """At the learning rate of large models; beyond 256 times it most weights do move."""

    def moved(precision: str, rate: float) -> float:
        # Rewards of -1 for a failure: every round has a gradient.
        settings = make_settings(
            precision=precision, learning_rate=rate, reward_coding="pm1", budget={"amount": 2}
        )
        _, model = train_toy(settings, make_context(folder=f"{precision}{rate}"))
        before = dict(causal_lm("llama").named_parameters())
        changed = [
            (after != before[name].to(after.dtype)).flatten()
            for name, after in model.named_parameters()
        ]
        return float(torch.cat(changed).float().mean())

    assert moved("bf16", 1e-6) < 0.01
    assert moved("bf16_autocast", 1e-6) > 0.5
    assert moved("bf16", 1e-2) > 0.5


def test_normalised_kl_alone_gives_advantages_of_full_size() -> None:
    kl = 1e-3 * torch.rand(8, generator=torch.Generator().manual_seed(1))
    view = RewardView(1 - kl, torch.zeros(8, dtype=torch.int64), torch.ones(8, dtype=torch.int64))
    normalised = get_level("advantage", "group_norm").bound(RftSettings())(view)
    assert normalised.std().item() == pytest.approx(1, abs=1e-3)


def test_one_rollout_per_query_makes_the_query_the_completion() -> None:
    view = StepView(torch.tensor([3, 1, 7, 2]), torch.arange(4), 7)
    left = get_level("aggregation", "query_mean").function(view)
    assert torch.allclose(left, get_level("aggregation", "seq_mean_token_mean").function(view))


def test_one_query_makes_its_tokens_the_updates() -> None:
    view = StepView(torch.tensor([3, 1, 7, 2]), torch.zeros(4, dtype=torch.int64), 7)
    left = get_level("aggregation", "query_mean").function(view)
    assert torch.allclose(left, get_level("aggregation", "token_mean").function(view))


def test_completions_of_one_token_have_one_ratio() -> None:
    logp, old = torch.tensor([[-1.0], [-0.5]]), torch.tensor([[-1.3], [-0.2]])
    mask = torch.ones(2, 1, dtype=torch.bool)
    found = [get_level("ratio_level", name).function(logp, old, mask) for name in RATIO_NAMES]
    assert all(torch.equal(one.log, found[0].log) for one in found)
    assert all(torch.equal(one.share, found[0].share) for one in found)


RATIO_NAMES = ("token", "sequence", "sequence_sum")


def test_a_share_of_1_teaches_every_token() -> None:
    mask = torch.tensor([[True, True], [True, False]])
    logp, advantage = torch.zeros(2, 2), torch.ones(2, 1)
    view = EntropyView(torch.rand(2, 2), mask, 0.0, logp, advantage, np.random.default_rng(0))
    settings = RftSettings(entropy="top_tokens", entropy_share=1.0)
    term = get_level("entropy", "top_tokens").bound(settings)(view)
    assert torch.equal(term.taught, mask)


def test_k3_plus_has_the_value_of_k3() -> None:
    logp, reference = torch.randn(2, 3), torch.randn(2, 3)
    left = get_level("kl_estimator", "k3+").function(logp, reference)
    assert torch.allclose(left, get_level("kl_estimator", "k3").function(logp, reference))
