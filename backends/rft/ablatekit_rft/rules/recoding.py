"""Rewards and advantages that are other names of the same choice."""

from __future__ import annotations

from ablatekit.backend import Rule, below, none_of, one_of
from ablatekit_rft.rules.base import defaults, levels_with
from ablatekit_rft.rules.signal import (
    BINARY,
    EPS_BELOW_ROUNDING,
    KEEPS_REWARDS,
    NORM_LEVELS,
    OUTCOME_ONLY,
    SHIFT_LEVELS,
)

RULES = (
    Rule(
        name="no_constant",
        kind="alias",
        when={"advantage": one_of("const"), "advantage_constant": one_of(0.0)},
        then=defaults("advantage", "advantage_constant"),
        why="a baseline of 0 is no baseline",
    ),
    Rule(
        name="no_flips",
        kind="alias",
        when={"reward_noise": one_of("flip"), "reward_flip": one_of(0.0)},
        then=defaults("reward_noise", "reward_flip"),
        why="noise that turns around no verdict is no noise",
    ),
    Rule(
        name="no_format_bonus",
        kind="alias",
        when={"format_reward": one_of("additive"), "format_weight": one_of(0.0)},
        then=defaults("format_reward", "format_weight"),
        why="a bonus of 0 is no bonus",
    ),
    Rule(
        name="no_format_step",
        kind="alias",
        when={"format_reward": one_of("hierarchical"), "format_weight": one_of(0.0)},
        then={"format_reward": "gate", **defaults("format_weight")},
        why="without a reward for the form alone, the form is a gate",
    ),
    Rule(
        name="no_length_weight",
        kind="alias",
        when={
            "length_weight": one_of(0.0),
            "length_shaping": levels_with("length_shaping", "off_at_zero_weight"),
        },
        then=defaults("length_shaping"),
        why="a length term of weight 0 is no length term",
    ),
    Rule(
        name="truncation_keeps_all",
        kind="alias",
        when={"truncation": one_of("scale"), "truncation_scale": one_of(1.0)},
        then=defaults("truncation", "truncation_scale"),
        why="a factor of 1 changes no reward",
    ),
    Rule(
        name="truncation_scales_zero",
        kind="alias",
        when={
            "truncation": one_of("scale"),
            "reward_coding": one_of("01"),
            "length_shaping": one_of("none"),
            "reward_noise": one_of("none"),
        },
        then=defaults("truncation", "truncation_scale"),
        why="a cut completion is wrong, and its reward of 0 stays 0 under any factor",
    ),
    Rule(
        name="truncation_fixes_zero",
        kind="alias",
        when={
            "truncation": one_of("fixed"),
            "truncation_reward": one_of(0.0),
            "reward_coding": one_of("01"),
            "length_shaping": one_of("none"),
            "reward_noise": one_of("none"),
        },
        then=defaults("truncation", "truncation_reward"),
        why="a cut completion is wrong: its reward is 0 already",
    ),
    Rule(
        name="nothing_negative",
        kind="alias",
        when={
            "advantage": one_of("pos_only"),
            "pos_only_of": one_of("reward"),
            "reward_coding": one_of("01"),
            "kl_place": none_of("reward"),
            **OUTCOME_ONLY,
        },
        then=defaults("advantage"),
        why="rewards of 0 and 1 are their own positive part",
    ),
    Rule(
        name="positive_part_of_pm1",
        kind="alias",
        when={
            "advantage": one_of("pos_only"),
            "pos_only_of": one_of("reward"),
            "reward_coding": one_of("pm1"),
            "kl_place": none_of("reward"),
            **BINARY,
        },
        then=defaults("advantage", "reward_coding"),
        why="the positive part of +-1 is 0 and 1",
    ),
    Rule(
        name="shifted_reward",
        kind="alias",
        when={
            "reward_coding": one_of("neg"),
            "advantage": SHIFT_LEVELS,
            "length_shaping": levels_with("length_shaping", "shift_equivariant"),
            "truncation": KEEPS_REWARDS,
        },
        then=defaults("reward_coding"),
        why="a centred advantage does not see a constant added to every reward",
    ),
    Rule(
        name="shifted_reward_of_ema",
        kind="alias",
        when={
            "reward_coding": one_of("neg"),
            "advantage": one_of("ema"),
            "ema_start": one_of("probe"),
            "truncation": KEEPS_REWARDS,
            "format_reward": one_of("none"),
            "length_shaping": one_of("none"),
        },
        then=defaults("reward_coding"),
        why="a moving average that starts at the base model's mean reward moves with the reward",
    ),
    Rule(
        name="rescaled_reward",
        kind="alias",
        when={
            "reward_coding": one_of("pm1"),
            "advantage": NORM_LEVELS,
            "advantage_eps": below(EPS_BELOW_ROUNDING),
            "kl_place": none_of("reward"),
            **BINARY,
        },
        then=defaults("reward_coding"),
        why="a normalised advantage does not see an affine change of every reward: its eps of 1e-8"
        " is below float32 rounding of the standard deviation of binary rewards",
    ),
    Rule(
        name="rescaled_reward_of_passk",
        kind="alias",
        when={
            "reward_coding": one_of("pm1"),
            "advantage": one_of("passk_max"),
            "passk_scale": one_of("std"),
            "advantage_eps": below(EPS_BELOW_ROUNDING),
            "kl_place": none_of("reward"),
            **BINARY,
        },
        then=defaults("reward_coding"),
        why="a lead over a standard deviation does not see an affine change of every reward",
    ),
    *(
        Rule(
            name=f"one_query_{kind}",
            kind="alias",
            when={"advantage": one_of(group), "queries_per_round": below(2)},
            then={"advantage": batch, **then},
            why="with one query the group is the round",
        )
        for kind, group, batch, then in (
            ("mean", "group_mean", "batch_mean", {"batch_baseline": "all"}),
            ("others", "rloo", "batch_mean", {"batch_baseline": "others"}),
            ("norm", "group_norm", "batch_norm", {}),
            ("spread", "group_mean_batch_std", "batch_norm", {}),
        )
    ),
    Rule(
        name="one_token_opo",
        kind="alias",
        when={"advantage": one_of("opo"), "max_new_tokens": one_of(1)},
        then={"advantage": "group_mean"},
        why="with completions of one token a mean weighted by length is the mean",
    ),
    Rule(
        name="one_token_returns",
        kind="alias",
        when={
            "advantage": one_of("reinforce_pp"),
            "max_new_tokens": one_of(1),
        },
        then={"advantage": "batch_norm"},
        why="with completions of one token the tokens of a round are its rollouts",
    ),
)
