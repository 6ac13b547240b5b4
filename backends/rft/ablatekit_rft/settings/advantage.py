"""The advantage: what a reward is compared with."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ablatekit_rft.settings.base import Part
from ablatekit_rft.settings.levels import AdvantageName, level_field


class AdvantageSettings(Part):
    """The advantage and its parameters; a parameter has no effect under levels without it."""

    advantage: AdvantageName = level_field("advantage", "none")
    """What a rollout's reward is compared with. Source: arXiv:2601.22532 (none)."""
    advantage_eps: float = Field(default=1e-8, gt=0, le=1)
    """Added to every standard deviation an advantage divides by; at 1e-8 it changes binary rewards
    by less than float32 rounding. Source: oat (1e-8; TRL 1e-4, verl 1e-6, OpenRLHF 1e-9)."""
    advantage_constant: float = Field(default=0.5, ge=-100, le=100)
    """The baseline of `const`. Source: a control; 0.5 centres 0/1 rewards."""
    batch_baseline: Literal["all", "others"] = "all"
    """Whose mean `batch_mean` subtracts: of all rollouts of the round, or of all but the own.
    Source: RL2 (all)."""
    pos_only_of: Literal["reward", "group_norm"] = "reward"
    """Whose positive part `pos_only` takes. Source: RAFT (reward)."""
    passk_scale: Literal["none", "std"] = "none"
    """Whether `passk_max` divides by the query's standard deviation. Source: arXiv:2503.19595
    (none; verl std)."""
    extra_rollouts: int = Field(default=7, ge=1, le=1023)
    """Further rollouts per query of `extra_baseline`, without gradient. Source: the released code
    of arXiv:2601.22532 (7)."""
    history_window: int = Field(default=8, ge=2, le=1024)
    """Rewards of a train item that `history_window` looks back on. Source: the released code of
    arXiv:2601.22532 (8)."""
    ema_decay: float = Field(default=0.95, ge=0, lt=1)
    """Share of the baseline of `ema` that each rollout keeps. Source: arXiv:2506.24119 (0.95)."""
    ema_start: Literal["probe", "zero"] = "probe"
    """First baseline of `ema`: the base model's coded Pass@1 on the train probe, or 0. Source: no
    warm-up bias (probe; prime-rl zero)."""
    tracker_half_life: float = Field(default=0.06, gt=0, le=100)
    """Drift in nats per token at which `tracker` halves its memory. Source: the recipe of
    arXiv:2509.13232 (0.06)."""
    tracker_memory_min: float = Field(default=0.875, ge=0, lt=1)
    """Least share of its memory that `tracker` keeps at a visit. Source: arXiv:2509.13232
    (0.875)."""
    tracker_memory_max: float = Field(default=0.96, ge=0, le=1)
    """Largest share of its memory that `tracker` keeps at a visit. Source: arXiv:2509.13232
    (0.96)."""
