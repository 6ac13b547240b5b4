"""From verified outcomes to rewards, in the order in which they are applied."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator

from ablatekit_rft.settings.base import Part
from ablatekit_rft.settings.levels import (
    FormatName,
    LengthName,
    NoiseName,
    RewardCodingName,
    TruncationName,
    level_field,
)


class RewardSettings(Part):
    """The reward of a completion; what is reported as correct is the verifier's own outcome."""

    reward_noise: NoiseName = level_field("reward_noise", "none")
    """Errors of the verifier that training sees. Source: arXiv:2601.22532 (none)."""
    reward_flip: float = Field(default=0.1, ge=0, le=1)
    """Share of verdicts that `flip` turns around. Source: a control of robustness."""
    format_reward: FormatName = level_field("format_reward", "none")
    """How the form of a completion enters. Source: arXiv:2601.22532 (none)."""
    format_weight: float = Field(default=0.1, ge=0, le=1)
    """Reward of the right form under `additive` and `hierarchical`, before coding. Source: R1-style
    rewards (0.1)."""
    reward_coding: RewardCodingName = level_field("reward_coding", "01")
    """Reward of a correct and of a wrong completion. Source: arXiv:2601.22532 (1 and 0)."""
    length_shaping: LengthName = level_field("length_shaping", "none")
    """How length enters. Source: arXiv:2601.22532 (none)."""
    length_weight: float = Field(default=1.0, ge=0, le=100)
    """Size of the length term in units of reward. Source: DAPO (1)."""
    overlong_buffer: float = Field(default=0.2, gt=0, le=1)
    """Share of the length limit over which `soft_overlong` grows. Source: DAPO (0.2)."""
    truncation: TruncationName = level_field("truncation", "as_is")
    """What becomes of completions cut at the length limit. Source: arXiv:2601.22532 (as_is)."""
    truncation_reward: float = Field(default=0.0, ge=-100, le=100)
    """Reward of a cut completion under `fixed`. Source: oat (0)."""
    truncation_scale: float = Field(default=0.0, ge=0, le=1)
    """Factor on the reward of a cut completion under `scale`. Source: OpenRLHF (0)."""

    @field_validator("reward_coding", mode="before")
    @classmethod
    def _unquoted_zero_one(cls, value: Any) -> Any:
        # YAML reads an unquoted 01 as the integer 1.
        return "01" if type(value) in (int, float) and value == 1 else value
