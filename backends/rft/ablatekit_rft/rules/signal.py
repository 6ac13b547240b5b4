"""Rules on rewards and advantages."""

from __future__ import annotations

from ablatekit.backend import Rule, below, none_of, one_of
from ablatekit_rft.rules.base import NEAR, defaults

GROUP_LEVELS = ("group_mean", "group_norm", "rloo")
MEAN_LEVELS = ("batch_mean", "group_mean", "rloo")
NORM_LEVELS = ("batch_norm", "group_norm")

RULES = (
    Rule(
        name="group_of_one",
        kind="invalid",
        when={"advantage": one_of(*GROUP_LEVELS), "rollouts": below(2)},
        why="a group advantage compares rollouts of one query, and there is only one",
        remedy="Set rollouts to 2 or more, or exclude the combination",
    ),
    Rule(
        name="batch_of_one",
        kind="invalid",
        when={
            "advantage": one_of("batch_mean", "batch_norm"),
            "rollouts": below(2),
            "queries_per_round": below(2),
        },
        why="a batch advantage compares rollouts of one round, and there is only one",
        remedy="Set queries_per_round or rollouts to 2 or more",
    ),
    Rule(
        name="shifted_reward",
        kind="alias",
        when={
            "reward_coding": one_of("neg"),
            "advantage": one_of(*MEAN_LEVELS, *NORM_LEVELS),
        },
        then=defaults("reward_coding"),
        why="a centred advantage does not see a constant added to every reward",
    ),
    Rule(
        name="rescaled_reward",
        kind="alias",
        when={
            "reward_coding": one_of("pm1"),
            "advantage": one_of(*NORM_LEVELS),
            "kl_place": none_of("reward"),
        },
        then=defaults("reward_coding"),
        why="a normalised advantage does not see an affine change of every reward: its eps of 1e-8"
        " is below float32 rounding of the standard deviation of binary rewards",
    ),
    Rule(
        name="one_query_mean",
        kind="alias",
        when={"advantage": one_of("group_mean"), "queries_per_round": below(2)},
        then={"advantage": "batch_mean"},
        why="with one query the group is the round",
    ),
    Rule(
        name="one_query_norm",
        kind="alias",
        when={"advantage": one_of("group_norm"), "queries_per_round": below(2)},
        then={"advantage": "batch_norm"},
        why="with one query the group is the round",
    ),
    Rule(
        name="rloo_scales_group_mean",
        kind="warn",
        when={"advantage": one_of("rloo")},
        why=f"rloo is group_mean times n/(n-1), n rollouts: compared with group_mean {NEAR}",
    ),
    Rule(
        name="pairs_normalise_to_a_constant",
        kind="warn",
        when={
            "advantage": one_of("group_norm"),
            "rollouts": one_of(2),
            "kl_place": none_of("reward"),
        },
        why="with two rollouts and a binary reward group_norm is group_mean times a constant"
        f" (sqrt(2) for 0/1): compared with group_mean {NEAR}",
    ),
    Rule(
        name="doubled_reward",
        kind="warn",
        when={
            "reward_coding": one_of("pm1"),
            "advantage": one_of(*MEAN_LEVELS),
            "kl_place": none_of("reward"),
        },
        why=f"under a centred advantage pm1 is 01 times 2: compared with 01 {NEAR}",
    ),
)
