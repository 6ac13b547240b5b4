"""Combinations of settings that cannot run, change nothing, or deserve a warning, as data.

Every rule is verified numerically by the tests: an alias by equal advantages, weights or gradients,
a near-alias by its exact scale. Rules about KL come first, because aliases depend on where KL is:
one pass in this order reaches the canonical settings.
"""

from __future__ import annotations

from typing import Any

from ablatekit.backend import Rule, above_setting, below, none_of, one_of
from ablatekit_rft.settings import RftSettings

_GROUP_LEVELS = ("group_mean", "group_norm", "rloo")
_MEAN_LEVELS = ("batch_mean", "group_mean", "rloo")
_NORM_LEVELS = ("batch_norm", "group_norm")


def _defaults(*names: str) -> dict[str, Any]:
    return {name: RftSettings.model_fields[name].default for name in names}


_INVALID = (
    Rule(
        name="group_of_one",
        kind="invalid",
        when={"advantage": one_of(*_GROUP_LEVELS), "rollouts": below(2)},
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
        name="probe_outside_train_set",
        kind="invalid",
        when={"evaluation.probe_items": above_setting("train_items")},
        why="learning is measured on items of the train set: the probe must lie inside it",
        remedy="Set evaluation.probe_items to the smallest train_items of the study or less",
    ),
    Rule(
        name="round_exceeds_train_set",
        kind="invalid",
        when={"queries_per_round": above_setting("train_items")},
        why="queries are drawn without replacement within an epoch: a round must fit into one",
        remedy="Raise train_items or lower queries_per_round",
    ),
    Rule(
        name="more_points_than_rounds",
        kind="invalid",
        when={
            "budget.unit": one_of("rounds"),
            "evaluation.points": above_setting("budget.amount"),
        },
        why="evaluation points lie between rounds, and there are fewer rounds than points",
        remedy="Set evaluation.points to budget.amount or less",
    ),
)

_MERGING = (
    Rule(
        name="no_weight_no_kl",
        kind="alias",
        when={"kl_coefficient": one_of(0.0)},
        then=_defaults("kl_place"),
        why="a KL term of weight 0 is no KL term",
    ),
    Rule(
        name="no_kl",
        kind="inert",
        when={"kl_place": one_of("none")},
        then=_defaults("kl_estimator", "kl_coefficient"),
        why="without a KL term its estimator and weight have no effect",
    ),
    Rule(
        name="shifted_reward",
        kind="alias",
        when={
            "reward_coding": one_of("neg"),
            "advantage": one_of(*_MEAN_LEVELS, *_NORM_LEVELS),
        },
        then=_defaults("reward_coding"),
        why="a centred advantage does not see a constant added to every reward",
    ),
    Rule(
        name="rescaled_reward",
        kind="alias",
        when={
            "reward_coding": one_of("pm1"),
            "advantage": one_of(*_NORM_LEVELS),
            "kl_place": none_of("reward"),
        },
        then=_defaults("reward_coding"),
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
        name="one_token",
        kind="inert",
        when={"max_new_tokens": one_of(1)},
        then=_defaults("aggregation"),
        why="with completions of one token all aggregations are the mean over completions",
    ),
)

_NEAR = (
    "with Adam nearly the same trajectory (Adam's eps, gradient clipping and the relative weight of"
    " a KL loss remain), with SGD another learning rate"
)

_WARNINGS = (
    Rule(
        name="rloo_scales_group_mean",
        kind="warn",
        when={"advantage": one_of("rloo")},
        why=f"rloo is group_mean times n/(n-1), n rollouts: compared with group_mean {_NEAR}",
    ),
    Rule(
        name="const_len_scales_sum",
        kind="warn",
        when={"aggregation": one_of("const_len"), "max_new_tokens": none_of(1)},
        why=f"const_len is seq_mean_token_sum divided by max_new_tokens: compared with it {_NEAR}",
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
        f" (sqrt(2) for 0/1): compared with group_mean {_NEAR}",
    ),
    Rule(
        name="doubled_reward",
        kind="warn",
        when={
            "reward_coding": one_of("pm1"),
            "advantage": one_of(*_MEAN_LEVELS),
            "kl_place": none_of("reward"),
        },
        why=f"under a centred advantage pm1 is 01 times 2: compared with 01 {_NEAR}",
    ),
    Rule(
        name="kl_placebo",
        kind="warn",
        when={"kl_place": one_of("loss"), "kl_estimator": one_of("k1")},
        why="k1 as an on-policy loss has an expected gradient of zero (up to length weights):"
        " a placebo, fit for a negative control",
    ),
    Rule(
        name="kl_is_normalised",
        kind="warn",
        when={"kl_place": one_of("reward"), "advantage": one_of(*_NORM_LEVELS)},
        why="KL in the reward passes through the normalisation: its weight relative to the outcome"
        " is kept, but where all outcomes agree KL alone gives advantages of full size",
    ),
)

RULES = (*_INVALID, *_MERGING, *_WARNINGS)
