"""The words that levels are described with: stages, needs and traits. Imports nothing of ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias

Stage: TypeAlias = Literal[
    "sample_policy",
    "group_filter",
    "reward_noise",
    "format_reward",
    "reward_coding",
    "length_shaping",
    "truncation",
    "downsample",
    "advantage",
    "replay",
    "ratio_level",
    "clip",
    "mismatch",
    "aggregation",
    "kl_estimator",
    "entropy",
    "lr_scale",
    "optimizer",
]
"""Where in a round a level acts: also the name of the setting that chooses it."""

VIEWS: Mapping[Stage, tuple[str, ...]] = MappingProxyType(
    {
        "sample_policy": ("view",),
        "group_filter": ("rates",),
        "reward_noise": ("correct", "uniforms"),
        "format_reward": ("outcome", "format_ok"),
        "reward_coding": ("outcome",),
        "length_shaping": ("parts",),
        "truncation": ("parts",),
        "downsample": ("rewards", "outcome", "generator"),
        "advantage": ("view",),
        "replay": ("fresh", "stored", "generator"),
        "ratio_level": ("logp", "old_logp", "mask"),
        "clip": ("view",),
        "mismatch": ("view",),
        "aggregation": ("view",),
        "kl_estimator": ("logp", "reference_logp"),
        "entropy": ("view",),
        "lr_scale": ("batch",),
        "optimizer": (),
    }
)
"""What a level's function is given by position, by stage; one that remembers gets `state`, too.

Everything else that it takes, it takes by keyword: settings, by their names.
"""

Need: TypeAlias = Literal[
    "groups",
    "lengths",
    "reference",
    "old",
    "entropy",
    "extra",
    "greedy",
    "drift",
    "rates",
    "difficulty",
    "refill",
]

SETTINGS_OF_NEEDS: Mapping[Need, tuple[str, ...]] = MappingProxyType(
    {
        "extra": ("extra_rollouts",),
        "rates": ("rate_memory",),
        "difficulty": ("difficulty_samples",),
        "refill": ("refill_batches",),
    }
)
"""Settings that the trainer reads to fulfil a need: the level reads them, too."""

Trait: TypeAlias = Literal[
    "shift_invariant",
    "scale_invariant",
    "scale_equivariant",
    "centred",
    "within_query",
    "within_rollout",
    "item_memory",
    "reports_baseline",
    "without_replacement",
    "binary",
    "bounded",
    "nonnegative",
    "shift_equivariant",
    "never_raises",
    "off_at_zero_weight",
    "keeps_rewards",
    "keeps_sign",
    "keeps_all",
    "on_policy_neutral",
    "length_blind",
    "reports_bounds",
    "second_bound",
    "unweighted",
    "engine_is_old",
    "flat_at_reference",
    "adapts",
    "neutral_at_reference_batch",
]


@dataclass(frozen=True, slots=True)
class TraitMeaning:
    """The stages whose levels may have a trait, and what it says of them."""

    stages: tuple[Stage, ...]
    says: str


TRAITS: Mapping[Trait, TraitMeaning] = MappingProxyType(
    {
        "shift_invariant": TraitMeaning(
            ("advantage",), "a constant added to every reward changes nothing"
        ),
        "scale_invariant": TraitMeaning(
            ("advantage",), "rewards times a positive constant change nothing, as eps goes to 0"
        ),
        "scale_equivariant": TraitMeaning(
            ("advantage",), "rewards times a positive constant are advantages times that constant"
        ),
        "centred": TraitMeaning(
            ("advantage",), "rollouts that all have the same reward have advantage 0"
        ),
        "within_query": TraitMeaning(
            ("advantage",), "rollouts of other queries change nothing, in no round"
        ),
        "within_rollout": TraitMeaning(
            ("advantage",), "other rollouts change nothing, in no round"
        ),
        "item_memory": TraitMeaning(("advantage",), "remembers something of every train item"),
        "reports_baseline": TraitMeaning(("advantage",), "its state has a `baseline` to report"),
        "without_replacement": TraitMeaning(
            ("sample_policy",), "no item comes twice before all have come"
        ),
        "binary": TraitMeaning(("format_reward",), "outcomes of 0 and 1 stay 0 and 1"),
        "bounded": TraitMeaning(("format_reward",), "an outcome in [0, 1] stays in [0, 1]"),
        "nonnegative": TraitMeaning(
            ("reward_coding",), "an outcome in [0, 1] is no negative reward"
        ),
        "shift_equivariant": TraitMeaning(
            ("length_shaping",), "adds something that does not depend on the reward so far"
        ),
        "never_raises": TraitMeaning(("length_shaping",), "no reward becomes larger"),
        "off_at_zero_weight": TraitMeaning(
            ("length_shaping",), "with a length_weight of 0 rewards stay as they are"
        ),
        "keeps_rewards": TraitMeaning(("truncation",), "rewards stay as they are"),
        "keeps_sign": TraitMeaning(("truncation",), "no reward changes its sign"),
        "keeps_all": TraitMeaning(("truncation", "downsample"), "every rollout may train"),
        "on_policy_neutral": TraitMeaning(
            ("ratio_level", "clip"),
            "where the trained policy is the generating one, the gradient is that of REINFORCE",
        ),
        "length_blind": TraitMeaning(
            ("ratio_level", "aggregation"),
            "on completions of one token each it is `token`, or `seq_mean_token_sum`",
        ),
        "reports_bounds": TraitMeaning(("clip",), "says where a bound stops a gradient"),
        "second_bound": TraitMeaning(
            ("clip",), "says where a second bound, of a ratio, stops a gradient"
        ),
        "unweighted": TraitMeaning(("mismatch",), "every weight is 1"),
        "engine_is_old": TraitMeaning(
            ("mismatch",), "the engine's log-probabilities stand for those of the old policy"
        ),
        "flat_at_reference": TraitMeaning(
            ("kl_estimator",), "where policy and reference agree, value and gradient are 0"
        ),
        "adapts": TraitMeaning(("entropy",), "passes on another coefficient than it got"),
        "neutral_at_reference_batch": TraitMeaning(("lr_scale",), "is 1 at 32 rollouts per update"),
    }
)
"""What rules, metrics and the trainer may rely on; `testing.level_suite` measures each of them on
every level of its stages. `engine_is_old` is what the trainer does on the level's behalf."""
