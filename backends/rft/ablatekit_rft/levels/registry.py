"""The table of all levels: one line per stage's module, and look-up by stage and name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ablatekit.errors import PluginError, Problem, UsageError, nearest
from ablatekit_rft.levels import (
    aggregation,
    clip,
    entropy,
    kl,
    lr_scale,
    mismatch,
    optimizer,
    ratio,
    replay,
    reward,
    sampling,
    selection,
    shaping,
)
from ablatekit_rft.levels.advantage import group as group_advantage
from ablatekit_rft.levels.advantage import remembered as remembered_advantage
from ablatekit_rft.levels.advantage import round as advantage
from ablatekit_rft.levels.external import installed_levels, referenced_level
from ablatekit_rft.levels.types import Level, Stage
from ablatekit_rft.sources.references import is_reference

LEVELS: Mapping[Stage, tuple[Level, ...]] = MappingProxyType(
    {
        "sample_policy": sampling.LEVELS,
        "group_filter": selection.FILTERS,
        "reward_noise": reward.NOISES,
        "format_reward": reward.FORMATS,
        "reward_coding": reward.CODINGS,
        "length_shaping": shaping.SHAPINGS,
        "truncation": shaping.TRUNCATIONS,
        "downsample": selection.DOWNSAMPLINGS,
        "advantage": (
            *advantage.LEVELS,
            *group_advantage.LEVELS,
            *remembered_advantage.LEVELS,
        ),
        "replay": replay.LEVELS,
        "ratio_level": ratio.LEVELS,
        "clip": clip.LEVELS,
        "mismatch": mismatch.LEVELS,
        "aggregation": aggregation.LEVELS,
        "kl_estimator": kl.LEVELS,
        "entropy": entropy.LEVELS,
        "lr_scale": lr_scale.LEVELS,
        "optimizer": optimizer.LEVELS,
    }
)
"""Levels by stage, in the order in which documentation lists them."""


def levels_of(stage: Stage) -> Mapping[str, Level]:
    """The levels of a stage by name, those of installed packages last.

    Raises PluginError when a package takes a name that is taken.
    """
    found = {one.name: one for one in LEVELS[stage]}
    for one in installed_levels():
        if one.stage == stage:
            if one.name in found:
                rule = f"a level of {stage} is offered twice"
                raise PluginError(Problem(rule, repr(one.name), "Uninstall one of the packages"))
            found[one.name] = one
    return MappingProxyType(found)


def get_level(stage: Stage, name: str) -> Level:
    """One level, by name or as `module:function`. Raises UsageError when there is none."""
    if is_reference(name):
        return referenced_level(stage, name)
    known = levels_of(stage)
    if name not in known:
        raise UsageError(Problem(f"unknown level of {stage}", repr(name), nearest(name, known)))
    return known[name]


def stage_metadata(stage: Stage) -> dict[str, Any]:
    """Metadata of every level of a stage as JSON, for documentation and the command line."""
    return {name: level.metadata() for name, level in levels_of(stage).items()}
