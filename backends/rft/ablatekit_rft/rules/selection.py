"""Rules on the choice of queries and rollouts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from ablatekit.backend import Condition, Rule, above_setting, below, none_of, one_of
from ablatekit_rft.rules.base import NEAR, defaults, levels_where, levels_with
from ablatekit_rft.rules.signal import (
    CENTRED_GROUP_LEVELS,
    CENTRED_ROUND_LEVELS,
    GROUP_LEVELS,
    compares_group,
)

_SHRINKS = levels_where("downsample", lambda level: "downsample_to" in level.reads)
_FILTERS = levels_where("group_filter", lambda level: "groups" in level.needs)
_Comparisons: TypeAlias = tuple[tuple[str, Mapping[str, Condition]], ...]
_POSITIVE = {"advantage": one_of("pos_only"), "pos_only_of": one_of("group_norm")}
_GROUP_COMPARISONS: _Comparisons = (("", {"advantage": GROUP_LEVELS}), ("positive_", _POSITIVE))
"""Advantages that compare rollouts of one query, with a prefix for names of rules."""
_CENTRED_COMPARISONS: _Comparisons = (
    ("", {"advantage": CENTRED_GROUP_LEVELS}),
    ("positive_", _POSITIVE),
    ("batch_", {"advantage": CENTRED_ROUND_LEVELS}),
)
"""Advantages that are 0 where all that train have one reward."""

RULES = (
    Rule(
        name="filter_of_one",
        kind="invalid",
        when={
            "group_filter": _FILTERS,
            "rollouts": below(2),
            "advantage": levels_where("advantage", lambda level: "extra" not in level.needs),
        },
        why="the pass rate of one rollout is 0 or 1: a filter has nothing to go by",
        remedy="Set rollouts to 2 or more, or group_filter to none",
    ),
    Rule(
        name="band_reversed",
        kind="invalid",
        when={"group_filter": one_of("band"), "filter_low": above_setting("filter_high")},
        why="the lowest pass rate that is kept exceeds the highest",
        remedy="Set filter_low to filter_high or less",
    ),
    Rule(
        name="downsample_exceeds_group",
        kind="invalid",
        when={"downsample": _SHRINKS, "downsample_to": above_setting("rollouts")},
        why="no more rollouts can be kept than are drawn",
        remedy="Raise rollouts or lower downsample_to",
    ),
    *(
        Rule(
            name=f"{prefix}downsample_to_one",
            kind="invalid",
            when={
                "downsample": _SHRINKS,
                "downsample_to": below(2),
                "downsample_advantage": one_of("after"),
                **compares,
            },
            why="one rollout per query is kept, and a group advantage compares several",
            remedy="Set downsample_to to 2 or more, or downsample_advantage to before",
        )
        for prefix, compares in _GROUP_COMPARISONS
    ),
    *(
        Rule(
            name=f"{prefix}successes_have_no_contrast",
            kind="invalid",
            when={
                "downsample": one_of("success_only"),
                "downsample_advantage": one_of("after"),
                "kl_place": none_of("reward"),
                "length_shaping": one_of("none"),
                "format_reward": one_of("none"),
                **compares,
            },
            why="what is kept has one reward, and a centred advantage of it is 0: nothing is"
            " learnt",
            remedy="Set downsample_advantage to before, or advantage to none",
        )
        for prefix, compares in _CENTRED_COMPARISONS
    ),
    Rule(
        name="subset_exceeds_train_set",
        kind="invalid",
        when={"sample_policy": one_of("subset"), "subset_items": above_setting("train_items")},
        why="a subset has no more items than the train set",
        remedy="Set subset_items to train_items or less",
    ),
    Rule(
        name="no_comparison",
        kind="inert",
        when={
            "downsample": none_of("none"),
            "advantage": levels_with("advantage", "within_rollout"),
        },
        then=defaults("downsample_advantage"),
        why="an advantage of the rollout alone is the same before and after others are left out",
    ),
    Rule(
        name="uniform_groups_teach_nothing",
        kind="warn",
        when={
            "group_filter": one_of("drop"),
            "advantage": levels_where(
                "advantage",
                lambda level: compares_group(level) and level.traits >= {"centred", "within_query"},
            ),
            "kl_place": one_of("none"),
            "length_shaping": one_of("none"),
            "format_reward": one_of("none"),
            "downsample": one_of("none"),
            "entropy": one_of("none"),
        },
        why="queries without contrast have no gradient under this advantage: dropping them only"
        f" changes the denominators, compared with group_filter none {NEAR}",
    ),
)
