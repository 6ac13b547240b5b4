"""Settings that matter under some levels only: elsewhere they are inert.

Levels of others are not in the table, so that they may read every parameter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ablatekit.backend import Rule, one_of
from ablatekit_rft.levels.registry import LEVELS
from ablatekit_rft.levels.types import Stage
from ablatekit_rft.rules.base import defaults

_NORMALISING = (
    "batch_norm",
    "reinforce_pp",
    "group_norm",
    "group_mean_batch_std",
    "extra_baseline",
    "tracker",
    "history_window",
    "pos_only",
    "passk_max",
)

READ_BY: Mapping[Stage, Mapping[str, tuple[str, ...]]] = {
    "advantage": {
        "advantage_eps": _NORMALISING,
        "advantage_constant": ("const",),
        "batch_baseline": ("batch_mean",),
        "pos_only_of": ("pos_only",),
        "passk_scale": ("passk_max",),
        "extra_rollouts": ("extra_baseline",),
        "history_window": ("history_window",),
        "ema_decay": ("ema",),
        "ema_start": ("ema",),
        "tracker_half_life": ("tracker",),
        "tracker_memory_min": ("tracker",),
        "tracker_memory_max": ("tracker",),
    },
    "reward_noise": {"reward_flip": ("flip",)},
    "format_reward": {"format_weight": ("additive", "hierarchical")},
    "length_shaping": {
        "length_weight": ("soft_overlong", "pass_rate", "cosine"),
        "overlong_buffer": ("soft_overlong",),
    },
    "truncation": {"truncation_reward": ("fixed",), "truncation_scale": ("scale",)},
    "group_filter": {
        "filter_low": ("band",),
        "filter_high": ("band",),
        "refill_batches": ("refill",),
    },
    "downsample": {
        "downsample_to": ("random", "max_variance", "top_bottom"),
        "downsample_advantage": ("random", "max_variance", "top_bottom", "success_only"),
    },
    "sample_policy": {
        "subset_items": ("subset",),
        "subset_by": ("subset",),
        "difficulty_samples": ("easy_to_hard", "subset"),
        "rate_memory": ("pools", "priority"),
        "easy_share": ("pools",),
        "hard_share": ("pools",),
        "priority_floor": ("priority",),
    },
}
"""Parameters by stage, with the levels that read them."""


def _inert() -> Iterator[Rule]:
    for stage, parameters in READ_BY.items():
        for name, readers in parameters.items():
            others = (level.name for level in LEVELS[stage] if level.name not in readers)
            yield Rule(
                name=f"unread_{name}",
                kind="inert",
                when={stage: one_of(*others)},
                then=defaults(name),
                why=f"{name} is read by {', '.join(readers)} only",
            )


RULES = (
    *_inert(),
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
