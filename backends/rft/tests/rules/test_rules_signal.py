"""Rules on rewards, advantages and selection by the numbers, on rounds of made-up rollouts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from ablatekit_rft.learning.advantages import Signal, teach
from ablatekit_rft.levels.registry import get_level, levels_of
from ablatekit_rft.levels.stages import Stage
from ablatekit_rft.levels.types import SamplerView, Start
from ablatekit_rft.policy.rollout import Prompts, Rollouts
from ablatekit_rft.rollouts.drawn import draw_plan, filtered
from ablatekit_rft.rollouts.verify import Verified
from ablatekit_rft.rules import RULES, parameters, recoding, selection, signal
from ablatekit_rft.settings import RftSettings

from ablatekit.runs.seeds import Seeds
from ablatekit.study.settings import flatten_model

HERE = (*signal.RULES, *recoding.RULES, *selection.RULES, *parameters.RULES)
LIMIT, ITEMS = 9, 48
GROUP_LEVELS = signal.GROUP_LEVELS.is_in or ()
MEAN_LEVELS = signal.MEAN_LEVELS.is_in or ()
NORM_LEVELS = signal.NORM_LEVELS.is_in or ()


def resolved(**settings: Any) -> dict[str, Any]:
    return flatten_model(RftSettings.from_dotted(settings))


def canonical(settings: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(settings)
    for rule in RULES:
        if rule.kind in ("inert", "alias") and rule.applies(result):
            result.update(rule.then)
    return result


def applying(kind: str, settings: Mapping[str, Any]) -> set[str]:
    return {rule.name for rule in RULES if rule.kind == kind and rule.applies(settings)}


def signal_of(given: Mapping[str, Any], seed: int = 0) -> Signal:
    """What a made-up round teaches: the same rollouts for the same numbers of them."""
    settings = RftSettings.from_dotted(given)
    plan, queries = draw_plan(settings), settings.queries_per_round
    limit = settings.max_new_tokens or LIMIT
    rng = np.random.default_rng(seed)
    rows = queries * plan.per_query
    lengths = torch.from_numpy(rng.integers(1, limit + 1, rows))
    truncated = torch.from_numpy((lengths.numpy() == limit) & (rng.random(rows) < 0.7))
    chance = np.repeat(rng.random(queries), plan.per_query)
    correct = ((rng.random(rows) < chance) & ~truncated.numpy()).astype(np.float32)
    formed = (rng.random(rows) < 0.7) & ~truncated.numpy()
    zeros = torch.zeros(rows, limit)
    logp = -torch.from_numpy(rng.random((rows, limit))).float()
    prompts = Prompts.pad([[1]] * queries, 0, torch.device("cpu"))
    query = torch.arange(queries).repeat_interleave(plan.per_query)
    rollouts = Rollouts(prompts, query, zeros.long(), lengths, truncated, logp, zeros)
    verified = Verified(correct, formed, np.zeros(rows, np.bool_))
    items = rng.permutation(ITEMS)[:queries]
    drawn = filtered(settings, items, rollouts, verified, plan, torch.from_numpy(rng.random(rows)))
    coding = get_level("reward_coding", settings.reward_coding).function
    level = get_level("advantage", settings.advantage)
    start = Start(ITEMS, float(coding(torch.tensor(0.4))))
    state = level.initial_state(start, settings)
    drift = torch.from_numpy(rng.random(queries)).float()[query] * 0.1
    reference = -torch.from_numpy(rng.random((rows, limit))).float()
    with_kl = reference if settings.kl_place == "reward" else None
    return teach(settings, drawn, limit, state, np.random.default_rng(1), with_kl, drift)


def per_token(found: Signal) -> torch.Tensor:
    """(R, 1) or (R, T): what multiplies the tokens of the rollouts that train."""
    return found.advantage.view(len(found.rows), -1)


def same(left: Mapping[str, Any], right: Mapping[str, Any], tolerance: float = 2e-5) -> bool:
    """Whether two settings teach the same: the same rollouts, by the same advantages."""
    for seed in range(4):
        one, other = signal_of(left, seed), signal_of(right, seed)
        if not torch.equal(one.rows, other.rows):
            return False
        if not torch.allclose(per_token(one), per_token(other), rtol=tolerance, atol=tolerance):
            return False
    return True


POSITIVE_PART = {"advantage": "pos_only", "pos_only_of": "group_norm"}
INVALID: dict[str, list[dict[str, Any]]] = {
    "group_of_one": [{"advantage": name} for name in GROUP_LEVELS],
    "positive_group_of_one": [{"advantage": "pos_only", "pos_only_of": "group_norm"}],
    "batch_of_one": [
        {"advantage": name, "queries_per_round": 1}
        for name in ("batch_mean", "batch_norm", "reinforce_pp", "tracker")
    ],
    "history_shorter_than_group": [{"advantage": "history_window", "rollouts": 9}],
    "tracker_memory_reversed": [{"advantage": "tracker", "tracker_memory_max": 0.5}],
    "max_rl_negative_coding": [
        {"advantage": "max_rl", "rollouts": 2, "reward_coding": coding} for coding in ("pm1", "neg")
    ],
    "max_rl_negative_kl": [{"advantage": "max_rl", "rollouts": 2, "kl_place": "reward"}],
    "max_rl_negative_length": [
        {"advantage": "max_rl", "rollouts": 2, "length_shaping": "soft_overlong"}
    ],
    "max_rl_negative_truncation": [
        {"advantage": "max_rl", "rollouts": 2, "truncation": "fixed", "truncation_reward": -1.0}
    ],
    "nothing_positive": [{"advantage": "pos_only", "reward_coding": "neg"}],
    "filter_of_one": [{"group_filter": name} for name in ("drop", "refill", "band")],
    "band_reversed": [{"group_filter": "band", "rollouts": 2, "filter_low": 0.9}],
    "downsample_exceeds_group": [{"downsample": "random", "rollouts": 2, "downsample_to": 3}],
    "downsample_to_one": [
        {"downsample": "random", "rollouts": 2, "downsample_to": 1, "advantage": "rloo"}
    ],
    "positive_downsample_to_one": [
        {"downsample": "random", "rollouts": 2, "downsample_to": 1, **POSITIVE_PART}
    ],
    "positive_successes_have_no_contrast": [
        {"downsample": "success_only", "rollouts": 4, **POSITIVE_PART}
    ],
    "batch_successes_have_no_contrast": [
        {"downsample": "success_only", "rollouts": 4, "advantage": name}
        for name in ("batch_mean", "batch_norm", "reinforce_pp")
    ],
    "successes_have_no_contrast": [
        {"downsample": "success_only", "rollouts": 4, "advantage": "group_norm"}
    ],
    "subset_exceeds_train_set": [{"sample_policy": "subset", "subset_items": 257}],
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
        {"advantage": "extra_baseline", "group_filter": "drop"},
        {"advantage": "history_window", "rollouts": 8},
        {"downsample": "random", "rollouts": 4, "downsample_to": 4, "advantage": "group_norm"},
        {"downsample": "success_only", "rollouts": 4, "advantage": "none"},
        {
            "downsample": "success_only",
            "rollouts": 4,
            "advantage": "group_norm",
            "downsample_advantage": "before",
        },
        {"sample_policy": "iid", "queries_per_round": 257},
        {"sample_policy": "subset", "queries_per_round": 257},
        {"advantage": "max_rl", "rollouts": 2, "format_reward": "additive"},
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
    extra = RftSettings().extra_rollouts if "extra" in level.needs else 0
    available = rollouts + extra if "groups" in level.needs else rollouts * queries
    settings = resolved(advantage=name, rollouts=rollouts, queries_per_round=queries)
    assert bool(applying("invalid", settings)) == (available < level.min_group)


def test_nothing_is_learnt_from_successes_compared_with_each_other() -> None:
    for name in (*GROUP_LEVELS, "batch_mean", "batch_norm", "reinforce_pp"):
        given = {"downsample": "success_only", "rollouts": 4, "advantage": name}
        found = signal_of(given)
        assert len(found.rows) > 10
        assert not found.advantage.any()


def test_nothing_is_learnt_from_the_positive_part_of_negative_rewards() -> None:
    found = signal_of({"advantage": "pos_only", "reward_coding": "neg"})
    assert not found.advantage.any()


G = {"rollouts": 4}
NEG, PM1 = {"reward_coding": "neg"}, {"reward_coding": "pm1"}
ALIASES: dict[str, list[dict[str, Any]]] = {
    "no_constant": [{"advantage": "const", "advantage_constant": 0.0}],
    "no_flips": [{"reward_noise": "flip", "reward_flip": 0.0}],
    "no_format_bonus": [{"format_reward": "additive", "format_weight": 0.0}],
    "no_format_step": [{"format_reward": "hierarchical", "format_weight": 0.0}],
    "no_length_weight": [
        {"length_shaping": name, "length_weight": 0.0}
        for name in ("soft_overlong", "pass_rate", "cosine")
    ],
    "truncation_keeps_all": [{"truncation": "scale", "truncation_scale": 1.0, **PM1}],
    "truncation_scales_zero": [{"truncation": "scale", "truncation_scale": 0.5}],
    "truncation_fixes_zero": [{"truncation": "fixed", "format_reward": "additive"}],
    "nothing_negative": [{"advantage": "pos_only"}],
    "positive_part_of_pm1": [{"advantage": "pos_only", **PM1, "format_reward": "gate"}],
    "shifted_reward": [
        {"advantage": name, **NEG, **G, **more}
        for name in (*MEAN_LEVELS, *NORM_LEVELS, "passk_max")
        for more in ({}, {"length_shaping": "soft_overlong", "kl_place": "reward"})
    ],
    "shifted_reward_of_ema": [{"advantage": "ema", **NEG}],
    "rescaled_reward": [
        {"advantage": name, **PM1, **G, **more}
        for name in NORM_LEVELS
        for more in ({}, {"format_reward": "gate", "truncation": "mask"})
    ],
    "rescaled_reward_of_passk": [{"advantage": "passk_max", "passk_scale": "std", **PM1, **G}],
    "one_query_mean": [{"advantage": "group_mean", "queries_per_round": 1, **G}],
    "one_query_others": [{"advantage": "rloo", "queries_per_round": 1, **G}],
    "one_query_norm": [{"advantage": "group_norm", "queries_per_round": 1, **G}],
    "one_query_spread": [{"advantage": "group_mean_batch_std", "queries_per_round": 1, **G}],
    "one_token_opo": [{"advantage": "opo", "max_new_tokens": 1, **G}],
    "one_token_returns": [
        {"advantage": "reinforce_pp", "max_new_tokens": 1, "kl_place": place, **G}
        for place in ("none", "reward")
    ],
}


def test_every_alias_has_its_cases() -> None:
    assert set(ALIASES) == {rule.name for rule in HERE if rule.kind == "alias"}


@pytest.mark.parametrize(
    ("name", "settings"), [(name, case) for name, cases in ALIASES.items() for case in cases]
)
def test_an_alias_teaches_what_the_cell_that_runs_teaches(
    name: str, settings: dict[str, Any]
) -> None:
    given = resolved(**settings)
    assert name in applying("alias", given)
    merged = canonical(given)
    rule = next(rule for rule in HERE if rule.name == name)
    assert merged != given
    assert not rule.applies(merged)
    assert same(given, merged)


@pytest.mark.parametrize(
    "settings",
    [
        {"advantage": "none", **NEG},
        {"advantage": "const", **PM1},
        {"advantage": "gpg", **PM1, **G},
        {"advantage": "gpg", **NEG, **G},
        {"advantage": "ema", "ema_start": "zero", **NEG},
        {"advantage": "history_window", **NEG},
        {"advantage": "pos_only", "format_reward": "additive", **PM1},
        {"advantage": "group_norm", "advantage_eps": 1e-2, **PM1, **G},
        {"advantage": "group_norm", "length_shaping": "cosine", **PM1, **G},
        {"advantage": "batch_norm", "kl_place": "reward", **PM1},
        {"advantage": "batch_mean", "truncation": "fixed", **NEG},
        {"advantage": "pos_only", "kl_place": "reward"},
        {"truncation": "scale", "length_shaping": "soft_overlong"},
        {"truncation": "fixed", "reward_noise": "flip", "reward_flip": 0.5},
    ],
    ids=str,
)
def test_what_is_another_choice_is_not_merged(settings: dict[str, Any]) -> None:
    given = resolved(**settings)
    changed = {"reward_coding": "01"}
    if "reward_coding" not in settings:
        changed = {"advantage": "none", "truncation": "as_is"}
    assert {name: canonical(given)[name] for name in changed} != changed
    assert not same(given, {**given, **changed}, 1e-4)


OTHER_VALUES: dict[str, Any] = {
    "advantage_eps": 0.1,
    "advantage_constant": 0.2,
    "batch_baseline": "others",
    "pos_only_of": "group_norm",
    "passk_scale": "std",
    "extra_rollouts": 3,
    "history_window": 16,
    "ema_decay": 0.5,
    "ema_start": "zero",
    "tracker_half_life": 1.0,
    "tracker_memory_min": 0.5,
    "tracker_memory_max": 0.9,
    "reward_flip": 0.4,
    "format_weight": 0.5,
    "length_weight": 0.3,
    "overlong_buffer": 0.7,
    "truncation_reward": -0.5,
    "truncation_scale": 0.5,
    "filter_low": 0.4,
    "filter_high": 0.6,
    "refill_batches": 2,
    "downsample_to": 2,
    "downsample_advantage": "before",
}
ALIVE = {"reward_coding": "pm1", "rollouts": 5}
READERS = [
    (stage, parameter, name)
    for stage, names in {
        **parameters.PARAMETERS,
        "downsample": (*parameters.PARAMETERS["downsample"], "downsample_advantage"),
    }.items()
    if stage != "sample_policy"
    for parameter in names
    for name in levels_of(stage)
]


@pytest.mark.parametrize(("stage", "parameter", "level"), READERS)
def test_a_parameter_matters_exactly_where_it_is_read(
    stage: Stage, parameter: str, level: str
) -> None:
    given: dict[str, Any] = {**ALIVE, stage: level}
    if level == "max_rl":
        given["reward_coding"] = "01"
    if stage in ("downsample", "group_filter"):
        given["advantage"] = "group_norm"
    if (parameter, level) in {("advantage_eps", "pos_only"), ("advantage_eps", "passk_max")}:
        given |= {"pos_only_of": "group_norm", "passk_scale": "std"}
    plain = resolved(**given)
    changed = {**plain, parameter: OTHER_VALUES[parameter]}
    read = parameter in get_level(stage, level).reads
    if parameter == "downsample_advantage":
        read = level != "none"
    unread = f"unread_{parameter}" in applying("inert", changed)
    assert unread != read
    assert canonical(changed)[parameter] == (OTHER_VALUES[parameter] if read else plain[parameter])
    if parameter in ("refill_batches", "ema_decay", "history_window") or parameter.startswith(
        "tracker_memory_max"
    ):
        return  # they matter over several rounds: see test_levels_state.py
    if parameter == "extra_rollouts" and read:
        assert draw_plan(RftSettings.from_dotted(changed)).per_query == 5 + 3
        return
    assert same(plain, changed, 1e-6) != (read and not _only_later(parameter))


def _only_later(parameter: str) -> bool:
    return parameter in ("tracker_half_life", "tracker_memory_min")


def drawn_items(position: int, **settings: Any) -> list[int]:
    chosen = RftSettings.from_dotted(settings)
    rng = np.random.default_rng(5)
    rates = np.where(rng.random(ITEMS) < 0.2, np.nan, rng.integers(0, 5, ITEMS) / 4)
    view = SamplerView(
        ITEMS, position, 16, rates, rng.integers(0, 5, ITEMS) / 4, Seeds("run", "context")
    )
    items = get_level("sample_policy", chosen.sample_policy).bound(chosen)(view)
    assert items.shape == (16,)
    return [int(item) for item in items]


SAMPLING = {
    "subset_items": 5,
    "subset_by": "hardest",
    "easy_share": 0.4,
    "hard_share": 0.4,
    "priority_floor": 5.0,
}


@pytest.mark.parametrize("parameter", SAMPLING)
@pytest.mark.parametrize("level", levels_of("sample_policy"))
def test_a_sampling_parameter_matters_exactly_where_it_is_read(parameter: str, level: str) -> None:
    read = parameter in get_level("sample_policy", level).reads
    given: dict[str, Any] = {"sample_policy": level}
    changed = {**given, parameter: SAMPLING[parameter]}
    assert (drawn_items(0, **given) != drawn_items(0, **changed)) == read
    assert (canonical(resolved(**changed))[parameter] == SAMPLING[parameter]) == read


def test_first_items_need_no_difficulty_samples() -> None:
    given = {"sample_policy": "subset", "subset_by": "first", "difficulty_samples": 9}
    assert canonical(resolved(**given))["difficulty_samples"] == 4
    middle = {**given, "subset_by": "middle"}
    assert canonical(resolved(**middle))["difficulty_samples"] == 9


@pytest.mark.parametrize(
    "given",
    [
        {"advantage": "passk_max", "rollouts": 4},
        {"advantage": "pos_only", "reward_coding": "pm1"},
    ],
)
def test_without_a_division_eps_is_inert(given: dict[str, Any]) -> None:
    changed = resolved(**given, advantage_eps=0.1)
    assert canonical(changed)["advantage_eps"] == 1e-8
    assert same(resolved(**given), changed, 1e-12)


def test_advantages_of_a_rollout_alone_do_not_see_when_others_are_left_out() -> None:
    for name in ("none", "const"):
        given = resolved(advantage=name, downsample="random", downsample_to=2, rollouts=4)
        changed = {**given, "downsample_advantage": "before"}
        assert applying("inert", changed) >= {"no_comparison"}
        assert same(given, changed, 1e-12)


def test_every_inert_rule_is_verified() -> None:
    verified = {f"unread_{name}" for names in parameters.PARAMETERS.values() for name in names}
    verified |= {"no_comparison", "unread_difficulty", "unread_downsample_advantage"}
    verified |= {"unread_eps_of_passk", "unread_eps_of_positive_rewards"}
    assert verified == {rule.name for rule in HERE if rule.kind == "inert"}


@pytest.mark.parametrize("advantage", levels_of("advantage"))
@pytest.mark.parametrize("coding", levels_of("reward_coding"))
@pytest.mark.parametrize("truncation", levels_of("truncation"))
@pytest.mark.parametrize("queries", [1, 32])
def test_one_pass_reaches_the_canonical_settings(
    advantage: str, coding: str, truncation: str, queries: int
) -> None:
    given = resolved(
        advantage=advantage,
        reward_coding=coding,
        truncation=truncation,
        queries_per_round=queries,
        rollouts=4,
    )
    once = canonical(given)
    assert canonical(once) == once


N = 128
SCALES: dict[str, tuple[dict[str, Any], dict[str, Any], float]] = {
    "rloo_scales_group_mean": ({"advantage": "rloo", **G}, {"advantage": "group_mean"}, 4 / 3),
    "others_scale_batch_mean": (
        {"advantage": "batch_mean", "batch_baseline": "others", **G},
        {"batch_baseline": "all"},
        N / (N - 1),
    ),
    "pairs_normalise_to_a_constant": (
        {"advantage": "group_norm", "rollouts": 2},
        {"advantage": "group_mean"},
        2**0.5,
    ),
    "doubled_reward": ({"advantage": "opo", **PM1, **G}, {"reward_coding": "01"}, 2),
    "doubled_reward_of_passk": ({"advantage": "passk_max", **PM1, **G}, {"reward_coding": "01"}, 2),
    "doubled_reward_of_ema": ({"advantage": "ema", **PM1}, {"reward_coding": "01"}, 2),
}


@pytest.mark.parametrize(("name", "case"), SCALES.items())
def test_a_near_alias_scales_exactly(
    name: str, case: tuple[dict[str, Any], dict[str, Any], float]
) -> None:
    settings, change, scale = case
    given = canonical(resolved(**settings))
    assert name in applying("warn", given)
    for seed in range(4):
        one, other = signal_of(given, seed), signal_of({**given, **change}, seed)
        assert other.advantage.abs().max() > 0.1
        assert torch.allclose(one.advantage, scale * other.advantage, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("name", MEAN_LEVELS)
def test_a_doubled_reward_is_a_doubled_centred_advantage(name: str) -> None:
    given = resolved(advantage=name, **PM1, **G)
    assert "doubled_reward" in applying("warn", given)
    one, other = signal_of(given), signal_of({**given, "reward_coding": "01"})
    assert torch.allclose(one.advantage, 2 * other.advantage, rtol=2e-5, atol=2e-6)


DENOMINATORS = [
    ("masked_failures", ({"truncation": "mask"}, {"truncation": "as_is"})),
    *(
        (
            "uniform_groups_teach_nothing",
            ({"group_filter": "drop", "advantage": name, **G}, {"group_filter": "none"}),
        )
        for name in ("group_mean", "group_norm", "rloo", "opo", "max_rl", "passk_max")
    ),
]


@pytest.mark.parametrize(("name", "case"), DENOMINATORS)
def test_only_denominators_change(name: str, case: tuple[dict[str, Any], dict[str, Any]]) -> None:
    given = resolved(**case[0])
    assert name in applying("warn", given)
    fewer, all_rows = signal_of(given), signal_of({**given, **case[1]})
    assert len(fewer.rows) < len(all_rows.rows)
    left_out = ~torch.isin(all_rows.rows, fewer.rows)
    assert not all_rows.advantage[left_out].any()
    assert torch.equal(all_rows.advantage[~left_out], fewer.advantage)


@pytest.mark.parametrize("name", ["tracker", "history_window"])
@pytest.mark.parametrize(("unit", "few", "enough"), [("rounds", 7, 8), ("samples", 1024, 1025)])
def test_what_is_remembered_needs_another_visit(
    name: str, unit: str, few: int, enough: int
) -> None:
    """256 items, 32 queries a round, 4 rollouts each."""

    def warns(amount: int) -> bool:
        given = {"rollouts": 4, "budget.unit": unit, "budget.amount": amount}
        return f"items_must_come_again_{unit}" in applying(
            "warn", resolved(advantage=name, **given)
        )

    assert warns(few)
    assert not warns(enough)


def test_a_first_visit_is_compared_with_nothing() -> None:
    first = signal_of(resolved(advantage="history_window"))
    assert torch.equal(first.advantage, first.rewards)


def test_every_warning_is_verified() -> None:
    again = {f"items_must_come_again_{unit}" for unit in ("rounds", "samples")}
    verified = {*SCALES, *(name for name, _ in DENOMINATORS), *again}
    assert verified == {rule.name for rule in HERE if rule.kind == "warn"}
