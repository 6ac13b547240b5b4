"""What TRL cannot express is refused when a study is planned, with the reason and a way out."""

from __future__ import annotations

from typing import Any

import pytest
from ablatekit_rft.levels.registry import levels_of
from ablatekit_trl.backend import TrlBackend
from ablatekit_trl.rules import RULES
from ablatekit_trl.settings import LEVELS, TrlSettings

from ablatekit.study.settings import flatten_model, nest


def flat(**settings: Any) -> dict[str, Any]:
    return dict(flatten_model(TrlSettings.model_validate(nest(settings))))


def refusals(**settings: Any) -> list[str]:
    known = flat(**settings)
    return [rule.name for rule in RULES if rule.kind == "invalid" and rule.applies(known)]


def resolved(**settings: Any) -> dict[str, Any]:
    """The settings after every alias and every inert setting."""
    known = flat(**settings)
    for _ in range(3):
        for rule in RULES:
            if rule.kind in ("inert", "alias") and rule.applies(known):
                known |= rule.then
    return known


REFUSED: dict[str, dict[str, Any]] = {
    "one_rollout": {"rollouts": 1},
    "indivisible_round": {"rollouts": 3, "queries_per_round": 5, "minibatches": 2},
    "tokens_as_budget": {"budget.unit": "generated_tokens"},
    "no_such_advantage": {"advantage": "batch_norm"},
    "no_such_clip": {"clip": "dual_clip", "epochs": 2},
    "no_such_entropy": {"entropy": "adaptive"},
    "no_such_truncation": {"truncation": "fixed"},
    "no_such_optimizer": {"optimizer": "muon"},
    "no_such_aggregation": {"aggregation": "query_mean"},
    "grpo_without_rloo": {"trainer": "grpo", "advantage": "rloo"},
    "rloo_of_its_own": {"trainer": "rloo"},
    "rloo_clip": {"advantage": "rloo", "clip": "delta"},
    "rloo_without_entropy": {"advantage": "rloo", "entropy": "bonus"},
    "rloo_without_off_policy_mask": {"advantage": "rloo", "off_policy_mask": 0.5},
    "rloo_kl_place": {"advantage": "rloo", "kl_place": "loss"},
    "grpo_kl_place": {"kl_place": "reward", "kl_estimator": "k1"},
    "k1_alone": {"advantage": "rloo", "kl_place": "reward", "kl_estimator": "k3"},
    "k3_alone": {"kl_place": "loss", "kl_estimator": "k1"},
    "sequence_sum_is_of_rloo": {"ratio_level": "sequence_sum"},
    "minibatches_without_ratio_level": {"minibatches": 2, "ratio_level": "none"},
    "epochs_without_clip": {"epochs": 2, "clip": "none"},
    "sapo_aggregation": {"clip": "sapo"},
    "cispo_aggregation": {"clip": "cispo", "aggregation": "const_len"},
    "another_eps": {"advantage_eps": 1e-8},
    "linear_to_zero": {"lr_schedule": "linear", "lr_floor": 0.1},
    "no_warmup_to_fall_from": {"lr_schedule": "inverse_sqrt"},
    "probe_outside_train_set": {"train_items": 10},
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_trl_cannot_express_is_refused(name: str) -> None:
    assert refusals(**REFUSED[name]) == [name]


def test_every_refusal_says_what_to_do() -> None:
    for rule in RULES:
        if rule.kind == "invalid":
            assert rule.why, rule.name
            assert rule.remedy, rule.name


@pytest.mark.parametrize("stage", LEVELS)
def test_every_level_of_rft_is_offered_or_refused(stage: Any) -> None:
    for level in levels_of(stage).keys() - {*LEVELS[stage], "none"}:
        assert f"no_such_{stage}" in refusals(**{stage: level}), level
    for level in LEVELS[stage]:
        assert f"no_such_{stage}" not in refusals(**{stage: level}), level


def test_the_defaults_are_a_run_of_trl() -> None:
    assert not refusals()
    assert not refusals(advantage="rloo")


MERGED: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"ratio_level": "none", "clip": "none"}),
    ({}, {"clip": "clip_higher"}),
    ({}, {"trainer": "grpo", "clip_low": 0.1}),
    ({"epochs": 2}, {"epochs": 2, "clip_low": 0.2}),
    ({"advantage": "rloo"}, {"advantage": "rloo", "trainer": "rloo", "aggregation": "const_len"}),
    ({"advantage": "group_mean"}, {"advantage": "group_mean", "advantage_eps": 1e-8}),
    ({}, {"kl_place": "loss", "kl_coefficient": 0.0}),
    ({}, {"lora_alpha": 8}),
]


@pytest.mark.parametrize(("one", "other"), MERGED)
def test_settings_without_effect_are_merged(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert resolved(**one) == resolved(**other)


def test_what_matters_off_policy_is_not_merged() -> None:
    assert resolved(epochs=2) != resolved(epochs=2, clip="clip_higher")
    assert resolved() != resolved(aggregation="const_len")


def test_the_backend_publishes_them() -> None:
    assert TrlBackend().rules() is RULES
