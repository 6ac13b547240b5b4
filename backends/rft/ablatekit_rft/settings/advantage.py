"""The advantage: what a reward is compared with."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ablatekit_rft.levels.registry import stage_metadata
from ablatekit_rft.settings.base import Part, with_levels


class AdvantageSettings(Part):
    """The advantage and its parameters."""

    advantage: Literal["none", "batch_mean", "batch_norm", "group_mean", "group_norm", "rloo"] = (
        Field(default="none", json_schema_extra=with_levels(stage_metadata("advantage")))
    )
    """What a rollout's reward is compared with. Source: arXiv:2601.22532 (none)."""
