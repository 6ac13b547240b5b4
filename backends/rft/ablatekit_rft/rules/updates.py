"""Rules on updates: reuse of experience, importance ratios, engine correction, optimizer."""

from __future__ import annotations

from collections.abc import Iterator

from ablatekit.backend import Condition, Rule, above_product, at_least, below, none_of, one_of
from ablatekit_rft.levels.registry import levels_of
from ablatekit_rft.levels.stages import Stage
from ablatekit_rft.rules.base import (
    ON_POLICY,
    defaults,
    levels_not_reading,
    levels_where,
    levels_with,
    levels_without,
)

_OFF_POLICY: dict[str, Condition] = {
    "minibatches": at_least(2),
    "epochs": at_least(2),
    "staleness": at_least(1),
    "replay": none_of("none"),
}

CLIP_PARAMETERS = (
    "clip_low",
    "clip_high",
    "clip_bound",
    "sapo_positive",
    "sapo_negative",
    "vespo_positive_power",
    "vespo_positive_decay",
    "vespo_negative_power",
    "vespo_negative_decay",
)
TRAINER_IS_OLD = levels_without("mismatch", "engine_is_old")
"""The old policy's log-probabilities are the trainer's own."""
_SECOND_BOUND = levels_with("clip", "second_bound")
_NEUTRAL_FIRST_BOUND = levels_where(
    "clip",
    lambda level: "on_policy_neutral" in level.traits and "second_bound" not in level.traits,
)


def _parameter_rules(stage: Stage, names: tuple[str, ...]) -> Iterator[Rule]:
    """A level's parameter that it does not have is inert; its own value is the default."""
    for name in names:
        yield Rule(
            name=f"unused_{name}",
            kind="inert",
            when={stage: levels_not_reading(stage, name)},
            then=defaults(name),
            why=f"{stage} has no {name} here",
        )
        for level in levels_of(stage).values():
            if name in level.reads and name in level.params:
                yield Rule(
                    name=f"own_{name}_{level.name}",
                    kind="alias",
                    when={stage: one_of(level.name), name: one_of(level.params[name])},
                    then=defaults(name),
                    why=f"{level.params[name]:g} is the {name} that {level.name} has anyway",
                )


_INVALID = (
    Rule(
        name="minibatch_of_none",
        kind="invalid",
        when={"minibatches": above_product("queries_per_round", "rollouts")},
        why="a minibatch holds at least one rollout, and the round has fewer rollouts",
        remedy="Lower minibatches, or raise queries_per_round or rollouts",
    ),
    Rule(
        name="replay_groups_of_one",
        kind="invalid",
        when={"replay": one_of("groups"), "rollouts": below(2)},
        why="replay of groups looks at how the rewards of one query's rollouts differ, and there"
        " is only one",
        remedy="Set rollouts to 2 or more, or choose replay: fifo",
    ),
    Rule(
        name="second_bound_below_one",
        kind="invalid",
        when={"clip": _SECOND_BOUND, "clip_bound": below(1)},
        why="the second bound of these clips is a ratio that the policy has left behind: below 1"
        " it would cut the on-policy gradient",
        remedy="Set clip_bound to more than 1",
    ),
    Rule(
        name="no_warmup_to_fall_from",
        kind="invalid",
        when={"lr_schedule": one_of("inverse_sqrt"), "warmup_fraction": one_of(0.0)},
        why="the rate falls with the root of what is spent, counted in warm-ups: there is none",
        remedy="Set warmup_fraction to more than 0, or choose another lr_schedule",
    ),
    Rule(
        name="rejection_of_all",
        kind="invalid",
        when={
            "rejection": one_of("token_k1", "seq_sum_k1", "seq_mean_k1"),
            "rejection_bound": below(1.0),
        },
        why="k1 accepts ratios from 1 / rejection_bound to rejection_bound: below 1 there are none",
        remedy="Set rejection_bound to more than 1",
    ),
    *(
        Rule(
            name=f"{name}_{setting}",
            kind="invalid",
            when={setting: condition, choice: none_of(off)},
            why="tokens are drawn from a part of the vocabulary only: the engine's probabilities"
            " lie on another support than the trainer's, and their ratio is no mismatch",
            remedy=f"Set {choice}: {off}, or {setting} to its default",
        )
        for name, choice, off in (
            ("corrected", "mismatch", "off"),
            ("rejected", "rejection", "none"),
        )
        for setting, condition in (
            ("top_p", below(1.0)),
            ("top_k", at_least(1)),
            ("min_p", none_of(0.0)),
        )
    ),
)

_MERGING = (
    Rule(
        name="no_replay",
        kind="inert",
        when={"replay": one_of("none")},
        then=defaults("replay_rounds", "replay_share"),
        why="without replay there is no buffer",
    ),
    Rule(
        name="replayed_groups_replace",
        kind="inert",
        when={"replay": levels_not_reading("replay", "replay_share")},
        then=defaults("replay_share"),
        why="replayed groups replace fresh ones one for one",
    ),
    *(
        Rule(
            name=name,
            kind="inert",
            when={
                **ON_POLICY,
                "ratio_level": levels_with("ratio_level", "on_policy_neutral"),
                "mismatch": TRAINER_IS_OLD,
                **clips,
            },
            then=defaults("ratio_level", "clip"),
            why="with one update on fresh rollouts of the current weights every ratio is 1: all"
            " ratio levels and clips have the gradient of REINFORCE",
        )
        for name, clips in (
            ("on_policy_ratio", {"clip": _NEUTRAL_FIRST_BOUND}),
            (
                "on_policy_second_bound",
                {
                    "clip": levels_with("clip", "on_policy_neutral", "second_bound"),
                    "clip_bound": at_least(1),
                },
            ),
        )
    ),
    Rule(
        name="no_ratio_to_penalise",
        kind="inert",
        when={**ON_POLICY, "mismatch": TRAINER_IS_OLD},
        then=defaults("log_ratio_penalty"),
        why="with one update on fresh rollouts of the current weights every log-ratio is 0, and so"
        " are its square and the square's gradient",
    ),
    Rule(
        name="no_ratio_no_clip",
        kind="inert",
        when={"ratio_level": one_of("none")},
        then=defaults("clip"),
        why="without a ratio there is nothing to clip",
    ),
    Rule(
        name="one_token_ratio",
        kind="alias",
        when={
            "max_new_tokens": one_of(1),
            "ratio_level": levels_with("ratio_level", "length_blind"),
        },
        then={"ratio_level": "token"},
        why="a completion of one token has one ratio",
    ),
    *_parameter_rules("clip", CLIP_PARAMETERS),
    *_parameter_rules("mismatch", ("mismatch_low", "mismatch_high")),
    Rule(
        name="reference_batch",
        kind="alias",
        when={
            "queries_per_round": one_of(32),
            "rollouts": one_of(1),
            "minibatches": one_of(1),
            "replay": one_of("none"),
            "truncation": levels_with("truncation", "keeps_all"),
            "lr_scale": levels_with("lr_scale", "neutral_at_reference_batch"),
            "group_filter": one_of("none"),
            "downsample": one_of("none"),
        },
        then=defaults("lr_scale"),
        why="at 32 rollouts per update every scaling of the learning rate is 1",
    ),
    Rule(
        name="no_rejection",
        kind="inert",
        when={"rejection": one_of("none")},
        then=defaults("rejection_bound"),
        why="without rejection there is no bound",
    ),
    Rule(
        name="floor_of_all",
        kind="alias",
        when={"lr_schedule": one_of("linear", "cosine"), "lr_floor": one_of(1.0)},
        then=defaults("lr_schedule"),
        why="a rate that falls to itself is constant",
    ),
    Rule(
        name="no_fall",
        kind="inert",
        when={"lr_schedule": one_of("constant", "inverse_sqrt")},
        then=defaults("lr_floor", "lr_decay_share"),
        why="this schedule has no end that it falls to",
    ),
    Rule(
        name="no_adapters",
        kind="inert",
        when={"lora_rank": one_of(None)},
        then=defaults("lora_alpha"),
        why="without adapters their scale has no effect",
    ),
)

_WARNINGS = (
    *(
        Rule(
            name=f"uncorrected_{setting}",
            kind="warn",
            when={"ratio_level": one_of("none"), setting: condition},
            why=f"{setting} makes updates off-policy, and ratio_level: none does not correct it",
        )
        for setting, condition in _OFF_POLICY.items()
    ),
    Rule(
        name="rejection_of_nothing",
        kind="warn",
        when={"rejection": none_of("none"), "mismatch": TRAINER_IS_OLD}
        | {"precision": one_of("fp32")},
        why="in single precision a trainer that samples by itself gives its tokens the same"
        " log-probabilities up to rounding: only another engine makes rejection drop any",
    ),
    Rule(
        name="mismatch_of_one_function",
        kind="warn",
        when={"mismatch": none_of("off"), "precision": one_of("fp32")},
        why="in single precision a trainer that samples by itself gives its tokens the same"
        " log-probabilities up to rounding: only another engine makes this correction differ from"
        " off",
    ),
    Rule(
        name="lost_updates",
        kind="warn",
        when={"precision": one_of("bf16")},
        why="pure bfloat16 loses changes below 1/256 of a weight: retune the learning rate with it;"
        " policy/changed shows the share of weights that moved",
    ),
    Rule(
        name="adapters_want_their_own_rate",
        kind="warn",
        when={"lora_rank": none_of(None)},
        why="adapters want about 10 times the learning rate of full training: compare them at a"
        " rate that fits each",
    ),
)

RULES = (*_INVALID, *_MERGING, *_WARNINGS)
