"""Rules on rewards and advantages."""

from __future__ import annotations

from ablatekit.backend import (
    Rule,
    above_product,
    above_setting,
    below,
    none_of,
    one_of,
    within_product,
)
from ablatekit_rft.levels.types import Level
from ablatekit_rft.rules.base import NEAR, levels_where, levels_with, levels_without

EPS_BELOW_ROUNDING = 2e-8
"""Below this, `advantage_eps` changes advantages of binary rewards by less than 1e-6 of them."""


def compares_group(level: Level) -> bool:
    """Whether an advantage compares the rollouts of one query that train."""
    return "groups" in level.needs and "extra" not in level.needs


def _compares_round(level: Level) -> bool:
    return level.needs.isdisjoint({"groups", "extra", "greedy"}) and level.min_group > 1


GROUP_LEVELS = levels_where("advantage", compares_group)
ROUND_LEVELS = levels_where("advantage", _compares_round)
"""Advantages that compare the rollouts of one query, or all that train in a round."""
CENTRED_GROUP_LEVELS = levels_where(
    "advantage", lambda level: compares_group(level) and "centred" in level.traits
)
CENTRED_ROUND_LEVELS = levels_where(
    "advantage", lambda level: _compares_round(level) and "centred" in level.traits
)
SHIFT_LEVELS = levels_with("advantage", "shift_invariant")
MEAN_LEVELS = levels_with("advantage", "shift_invariant", "scale_equivariant")
"""Centred, and of the reward's own scale."""
NORM_LEVELS = levels_with("advantage", "shift_invariant", "scale_invariant")
"""Centred, and divided by a standard deviation."""

KEEPS_REWARDS = levels_with("truncation", "keeps_rewards")
OUTCOME_ONLY = {"length_shaping": one_of("none"), "truncation": KEEPS_REWARDS}
"""Nothing but the outcome and its form enters the reward before KL."""
BINARY = {**OUTCOME_ONLY, "format_reward": levels_with("format_reward", "binary")}
"""The reward before KL has two values."""

_INVALID = (
    Rule(
        name="group_of_one",
        kind="invalid",
        when={"advantage": GROUP_LEVELS, "rollouts": below(2)},
        why="a group advantage compares rollouts of one query, and there is only one",
        remedy="Set rollouts to 2 or more, or exclude the combination",
    ),
    Rule(
        name="positive_group_of_one",
        kind="invalid",
        when={
            "advantage": one_of("pos_only"),
            "pos_only_of": one_of("group_norm"),
            "rollouts": below(2),
        },
        why="a group advantage compares rollouts of one query, and there is only one",
        remedy="Set rollouts to 2 or more, or pos_only_of to reward",
    ),
    Rule(
        name="batch_of_one",
        kind="invalid",
        when={
            "advantage": ROUND_LEVELS,
            "rollouts": below(2),
            "queries_per_round": below(2),
        },
        why="a batch advantage compares rollouts of one round, and there is only one",
        remedy="Set queries_per_round or rollouts to 2 or more",
    ),
    Rule(
        name="history_shorter_than_group",
        kind="invalid",
        when={"advantage": one_of("history_window"), "rollouts": above_setting("history_window")},
        why="the window holds at least the rewards of one visit, and a visit has more",
        remedy="Set history_window to rollouts or more",
    ),
    Rule(
        name="tracker_memory_reversed",
        kind="invalid",
        when={
            "advantage": one_of("tracker"),
            "tracker_memory_min": above_setting("tracker_memory_max"),
        },
        why="the least share that the tracker keeps exceeds the largest",
        remedy="Set tracker_memory_min to tracker_memory_max or less",
    ),
    Rule(
        name="nothing_positive",
        kind="invalid",
        when={
            "advantage": one_of("pos_only"),
            "pos_only_of": one_of("reward"),
            "reward_coding": one_of("neg"),
            "format_reward": levels_with("format_reward", "bounded"),
            "length_shaping": levels_with("length_shaping", "never_raises"),
            "truncation": levels_with("truncation", "keeps_sign"),
            "kl_place": none_of("reward"),
        },
        why="no reward of this coding is positive: nothing is learnt",
        remedy="Set reward_coding to 01 or pm1",
    ),
    *(
        Rule(
            name=f"max_rl_negative_{name}",
            kind="invalid",
            when={"advantage": one_of("max_rl"), **when},
            why="max_rl divides by a query's mean reward, which must not be negative",
            remedy=remedy,
        )
        for name, when, remedy in (
            (
                "coding",
                {"reward_coding": levels_without("reward_coding", "nonnegative")},
                "Set reward_coding to 01",
            ),
            ("kl", {"kl_place": one_of("reward")}, "Set kl_place to loss or none"),
            (
                "length",
                {"length_shaping": none_of("none")},
                "Set length_shaping to none",
            ),
            (
                "truncation",
                {"truncation": one_of("fixed"), "truncation_reward": below(0)},
                "Set truncation_reward to 0 or more",
            ),
        )
    ),
)

_WARNINGS = (
    Rule(
        name="rloo_scales_group_mean",
        kind="warn",
        when={"advantage": one_of("rloo")},
        why=f"rloo is group_mean times n/(n-1), n rollouts: compared with group_mean {NEAR}",
    ),
    Rule(
        name="others_scale_batch_mean",
        kind="warn",
        when={"advantage": one_of("batch_mean"), "batch_baseline": one_of("others")},
        why="the mean of the others is that of all times N/(N-1), N rollouts in the round:"
        f" compared with batch_baseline all {NEAR}",
    ),
    Rule(
        name="pairs_normalise_to_a_constant",
        kind="warn",
        when={
            "advantage": one_of("group_norm"),
            "rollouts": one_of(2),
            "kl_place": none_of("reward"),
            "advantage_eps": below(EPS_BELOW_ROUNDING),
            **BINARY,
        },
        why="with two rollouts and a binary reward group_norm is group_mean times a constant"
        f" (sqrt(2) for 0/1): compared with group_mean {NEAR}",
    ),
    Rule(
        name="doubled_reward",
        kind="warn",
        when={
            "reward_coding": one_of("pm1"),
            "advantage": MEAN_LEVELS,
            "kl_place": none_of("reward"),
            **OUTCOME_ONLY,
        },
        why=f"under a centred advantage pm1 is 01 times 2: compared with 01 {NEAR}",
    ),
    Rule(
        name="doubled_reward_of_passk",
        kind="warn",
        when={
            "reward_coding": one_of("pm1"),
            "advantage": one_of("passk_max"),
            "passk_scale": one_of("none"),
            "kl_place": none_of("reward"),
            **OUTCOME_ONLY,
        },
        why=f"a lead doubles with the rewards: compared with 01 {NEAR}",
    ),
    Rule(
        name="doubled_reward_of_ema",
        kind="warn",
        when={
            "reward_coding": one_of("pm1"),
            "advantage": one_of("ema"),
            "ema_start": one_of("probe"),
            "kl_place": none_of("reward"),
            "format_reward": one_of("none"),
            **OUTCOME_ONLY,
        },
        why=f"against a moving average pm1 is 01 times 2: compared with 01 {NEAR}",
    ),
    *(
        Rule(
            name=f"items_must_come_again_{unit}",
            kind="warn",
            when={
                "advantage": levels_with("advantage", "item_memory"),
                "budget.unit": one_of(unit),
                **few,
            },
            why="what is remembered of a train item helps at its next visit, and the budget ends"
            " before every item had one",
        )
        for unit, few in (
            ("rounds", {"train_items": above_product("budget.amount", "queries_per_round")}),
            ("samples", {"budget.amount": within_product("train_items", "rollouts")}),
        )
    ),
    Rule(
        name="masked_failures",
        kind="warn",
        when={
            "truncation": one_of("mask"),
            "advantage": one_of("none"),
            "reward_coding": one_of("01"),
            "length_shaping": one_of("none"),
            "reward_noise": one_of("none"),
            "kl_place": one_of("none"),
            "entropy": one_of("none"),
        },
        why="cut completions have reward 0 and no gradient: masking them only changes the"
        f" denominators, compared with as_is {NEAR}",
    ),
)

RULES = (*_INVALID, *_WARNINGS)
