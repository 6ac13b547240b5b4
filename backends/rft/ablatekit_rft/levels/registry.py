"""The table of all levels: one line per stage's module, and look-up by stage and name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ablatekit.errors import Problem, UsageError, nearest
from ablatekit_rft.levels import advantage, aggregation, kl, optimizer, policy_loss, reward
from ablatekit_rft.levels.types import Level, Stage

LEVELS: Mapping[Stage, tuple[Level, ...]] = MappingProxyType(
    {
        "reward_coding": reward.LEVELS,
        "advantage": advantage.LEVELS,
        "policy_loss": policy_loss.LEVELS,
        "aggregation": aggregation.LEVELS,
        "kl_estimator": kl.LEVELS,
        "optimizer": optimizer.LEVELS,
    }
)
"""Levels by stage, in the order in which documentation lists them."""


def levels_of(stage: Stage) -> Mapping[str, Level]:
    """The levels of a stage by name."""
    return {level.name: level for level in LEVELS[stage]}


def get_level(stage: Stage, name: str) -> Level:
    """One level. Raises UsageError with the nearest name when there is none."""
    known = levels_of(stage)
    if name not in known:
        raise UsageError(Problem(f"unknown level of {stage}", repr(name), nearest(name, known)))
    return known[name]


def stage_metadata(stage: Stage) -> dict[str, Any]:
    """Metadata of every level of a stage as JSON, for documentation and the command line."""
    return {name: level.metadata() for name, level in levels_of(stage).items()}
