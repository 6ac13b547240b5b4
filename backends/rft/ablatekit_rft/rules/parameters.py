"""Settings that matter under some levels only: elsewhere they are inert.

Which levels read a setting is in their signatures and needs, for levels of others as for ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ablatekit.backend import Rule, one_of
from ablatekit_rft.levels.stages import Stage
from ablatekit_rft.rules.base import defaults, levels_not_reading, levels_with, readers_of

PARAMETERS: Mapping[Stage, tuple[str, ...]] = {
    "advantage": (
        "advantage_eps",
        "advantage_constant",
        "batch_baseline",
        "pos_only_of",
        "passk_scale",
        "extra_rollouts",
        "history_window",
        "ema_decay",
        "ema_start",
        "tracker_half_life",
        "tracker_memory_min",
        "tracker_memory_max",
    ),
    "reward_noise": ("reward_flip",),
    "format_reward": ("format_weight",),
    "length_shaping": ("length_weight", "overlong_buffer"),
    "truncation": ("truncation_reward", "truncation_scale"),
    "group_filter": ("filter_low", "filter_high", "refill_batches"),
    "downsample": ("downsample_to",),
    "sample_policy": (
        "subset_items",
        "subset_by",
        "difficulty_samples",
        "rate_memory",
        "easy_share",
        "hard_share",
        "priority_floor",
    ),
}
"""Settings that nothing but levels of one stage reads, by stage."""


def _inert() -> Iterator[Rule]:
    for stage, parameters in PARAMETERS.items():
        for name in parameters:
            yield Rule(
                name=f"unread_{name}",
                kind="inert",
                when={stage: levels_not_reading(stage, name)},
                then=defaults(name),
                why=f"{name} is read by {', '.join(readers_of(stage, name))} only",
            )


RULES = (
    *_inert(),
    Rule(
        name="unread_downsample_advantage",
        kind="inert",
        when={"downsample": levels_with("downsample", "keeps_all")},
        then=defaults("downsample_advantage"),
        why="where every rollout trains, all are compared, too",
    ),
    Rule(
        name="unread_eps_of_passk",
        kind="inert",
        when={"advantage": one_of("passk_max"), "passk_scale": one_of("none")},
        then=defaults("advantage_eps"),
        why="without a division there is no eps",
    ),
    Rule(
        name="unread_eps_of_positive_rewards",
        kind="inert",
        when={"advantage": one_of("pos_only"), "pos_only_of": one_of("reward")},
        then=defaults("advantage_eps"),
        why="without a division there is no eps",
    ),
    Rule(
        name="unread_difficulty",
        kind="inert",
        when={"sample_policy": one_of("subset"), "subset_by": one_of("first")},
        then=defaults("difficulty_samples"),
        why="the first items are taken whatever their difficulty, so that none is measured",
    ),
)
