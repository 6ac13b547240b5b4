"""From verified outcomes to rewards."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from ablatekit_rft.levels.registry import stage_metadata
from ablatekit_rft.settings.base import Part, with_levels


class RewardSettings(Part):
    """The reward of a completion."""

    reward_coding: Literal["01", "pm1", "neg"] = Field(
        default="01", json_schema_extra=with_levels(stage_metadata("reward_coding"))
    )
    """Reward of a correct and of a wrong completion. Source: arXiv:2601.22532 (1 and 0)."""

    @field_validator("reward_coding", mode="before")
    @classmethod
    def _unquoted_zero_one(cls, value: Any) -> Any:
        # YAML reads an unquoted 01 as the integer 1.
        return "01" if type(value) in (int, float) and value == 1 else value
