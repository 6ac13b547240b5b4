"""Rules on the loss: aggregation, KL and entropy."""

from __future__ import annotations

from ablatekit.backend import Rule, above_setting, none_of, one_of
from ablatekit_rft.rules.base import (
    NEAR,
    ON_POLICY,
    defaults,
    levels_not_reading,
    levels_with,
    readers_of,
)
from ablatekit_rft.rules.signal import NORM_LEVELS
from ablatekit_rft.rules.updates import TRAINER_IS_OLD

ENTROPY_PARAMETERS = (
    "entropy_coefficient",
    "entropy_target",
    "entropy_step",
    "entropy_share",
    "covariance_share",
    "covariance_low",
    "covariance_high",
    "covariance_penalty",
)

RULES = (
    Rule(
        name="no_weight_no_kl",
        kind="alias",
        when={"kl_coefficient": one_of(0.0)},
        then=defaults("kl_place"),
        why="a KL term of weight 0 is no KL term",
    ),
    Rule(
        name="mixed_whole",
        kind="alias",
        when={"kl_reference": one_of("ema"), "kl_reference_mix": one_of(1.0)},
        then={"kl_reference": "reset"},
        why="a reference that is mixed with a share of 1 is replaced",
    ),
    Rule(
        name="kl_to_itself",
        kind="alias",
        when={
            **ON_POLICY,
            "kl_reference": one_of("reset"),
            "kl_reference_rounds": one_of(1),
            "kl_estimator": levels_with("kl_estimator", "flat_at_reference"),
        },
        then=defaults("kl_place"),
        why="a reference that is reset every round is the policy itself: with one update per round"
        " KL and its gradient are 0",
    ),
    Rule(
        name="no_kl",
        kind="inert",
        when={"kl_place": one_of("none")},
        then=defaults(
            "kl_estimator",
            "kl_coefficient",
            "kl_reference",
            "kl_reference_rounds",
            "kl_reference_mix",
        ),
        why="without a KL term its estimator, weight and reference have no effect",
    ),
    Rule(
        name="k3_plus_in_the_reward",
        kind="alias",
        when={"kl_place": one_of("reward"), "kl_estimator": one_of("k3+")},
        then={"kl_estimator": "k3"},
        why="in the reward only the value of an estimator counts, and that is k3's",
    ),
    Rule(
        name="reference_without_period",
        kind="inert",
        when={"kl_reference": one_of("fixed", "previous")},
        then=defaults("kl_reference_rounds"),
        why="this reference does not change every so many rounds",
    ),
    Rule(
        name="reference_without_mix",
        kind="inert",
        when={"kl_reference": none_of("ema")},
        then=defaults("kl_reference_mix"),
        why="this reference is not mixed",
    ),
    Rule(
        name="no_weight_no_bonus",
        kind="alias",
        when={"entropy": one_of("bonus"), "entropy_coefficient": one_of(0.0)},
        then=defaults("entropy"),
        why="an entropy bonus of weight 0 is none",
    ),
    Rule(
        name="all_tokens",
        kind="alias",
        when={"entropy": one_of("top_tokens"), "entropy_share": one_of(1.0)},
        then=defaults("entropy"),
        why="a share of 1 teaches every token",
    ),
    Rule(
        name="nothing_to_hold",
        kind="alias",
        when={**ON_POLICY, "mismatch": TRAINER_IS_OLD, "entropy": one_of("kl_cov")},
        then=defaults("entropy"),
        why="with one update on fresh rollouts of the current weights every log-ratio is 0: kl_cov"
        " holds nothing",
    ),
    Rule(
        name="held_for_nothing",
        kind="alias",
        when={"entropy": one_of("kl_cov"), "covariance_penalty": one_of(0.0)},
        then=defaults("entropy"),
        why="a penalty of weight 0 holds nothing",
    ),
    Rule(
        name="covariances_reversed",
        kind="invalid",
        when={"entropy": one_of("clip_cov"), "covariance_low": above_setting("covariance_high")},
        why="the smallest covariance that is dropped exceeds the largest",
        remedy="Set covariance_low to less than covariance_high",
    ),
    *(
        Rule(
            name=f"unused_{name}",
            kind="inert",
            when={"entropy": levels_not_reading("entropy", name)},
            then=defaults(name),
            why=f"only entropy: {', '.join(readers_of('entropy', name))} has it",
        )
        for name in ENTROPY_PARAMETERS
    ),
    Rule(
        name="query_of_one",
        kind="alias",
        when={"aggregation": one_of("query_mean"), "rollouts": one_of(1)},
        then={"aggregation": "seq_mean_token_mean"},
        why="with one rollout per query the query's mean is the completion's",
    ),
    Rule(
        name="one_query_aggregation",
        kind="alias",
        when={
            "aggregation": one_of("query_mean"),
            "queries_per_round": one_of(1),
            "replay": one_of("none"),
        },
        then={"aggregation": "token_mean"},
        why="with one query the query's tokens are the update's",
    ),
    Rule(
        name="one_token",
        kind="inert",
        when={
            "max_new_tokens": one_of(1),
            "aggregation": levels_with("aggregation", "length_blind"),
        },
        then=defaults("aggregation"),
        why="with completions of one token the means over tokens and over completions are one",
    ),
    Rule(
        name="const_len_scales_sum",
        kind="warn",
        when={"aggregation": one_of("const_len"), "max_new_tokens": none_of(1)},
        why=f"const_len is seq_mean_token_sum divided by max_new_tokens: compared with it {NEAR}",
    ),
    Rule(
        name="kl_placebo",
        kind="warn",
        when={**ON_POLICY, "kl_place": one_of("loss"), "kl_estimator": one_of("k1")},
        why="k1 as an on-policy loss has an expected gradient of zero (up to length weights):"
        " a placebo, fit for a negative control",
    ),
    Rule(
        name="kl_is_normalised",
        kind="warn",
        when={"kl_place": one_of("reward"), "advantage": NORM_LEVELS},
        why="KL in the reward passes through the normalisation: its weight relative to the outcome"
        " is kept, but where all outcomes agree KL alone gives advantages of full size",
    ),
)
