"""How many rollouts of how many queries a round has, and which of them train."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ablatekit_rft.settings.base import Part
from ablatekit_rft.settings.levels import (
    DownsampleName,
    FilterName,
    SamplePolicyName,
    level_field,
)


class SelectionSettings(Part):
    """Queries and rollouts of a round."""

    rollouts: int = Field(default=1, ge=1, le=1024)
    """Rollouts per query in a round. Source: arXiv:2601.22532 (1)."""
    queries_per_round: int = Field(default=32, ge=1, le=65_536)
    """Queries in a round. Source: arXiv:2601.22532 (32)."""
    sample_policy: SamplePolicyName = level_field("sample_policy", "epochs")
    """Which train items come next. Source: arXiv:2601.22532 (epochs)."""
    subset_items: int = Field(default=1, ge=1, le=1_000_000)
    """Train items that `subset` trains on. Source: arXiv:2504.20571 (1)."""
    subset_by: Literal["first", "easiest", "middle", "hardest"] = "middle"
    """Which items `subset` takes, by the base model's pass rate; `first` measures none. Source:
    arXiv:2601.14599 (single items picked by difficulty)."""
    difficulty_samples: int = Field(default=4, ge=1, le=1024)
    """Completions per train item, sampled before the first round, from which difficulty is known.
    A budget of samples or tokens pays for them; schedules begin after them. Source: as many as
    evaluations commonly use."""
    rate_memory: float = Field(default=0.5, ge=0, lt=1)
    """Share of its past in an item's running pass rate at each visit; 0: the last visit alone.
    Source: prime-rl (0)."""
    easy_share: float = Field(default=0.0, ge=0, le=0.5)
    """Share of a round that `pools` takes from solved items. Source: prime-rl (0)."""
    hard_share: float = Field(default=0.0, ge=0, le=0.5)
    """Share of a round that `pools` takes from unsolved items. Source: prime-rl (0)."""
    priority_floor: float = Field(default=0.05, gt=0, le=10)
    """Weight of items of pass rate 0 or 1 under `priority`. Source: arXiv:2509.13232 (0.05)."""
    group_filter: FilterName = level_field("group_filter", "none")
    """Which queries train, by the pass rate of their rollouts. Source: arXiv:2601.22532 (none)."""
    filter_low: float = Field(default=0.2, ge=0, le=1)
    """Lowest pass rate that `band` keeps. Source: OpenRLHF's examples."""
    filter_high: float = Field(default=0.8, ge=0, le=1)
    """Highest pass rate that `band` keeps. Source: OpenRLHF's examples."""
    refill_batches: int = Field(default=10, ge=1, le=1000)
    """Most times that `refill` draws queries in a round; what is kept by then trains. Source: verl
    (max_num_gen_batches)."""
    downsample: DownsampleName = level_field("downsample", "none")
    """Which rollouts of a query train. Source: arXiv:2601.22532 (none)."""
    downsample_to: int = Field(default=4, ge=1, le=1024)
    """Rollouts of a query that are kept. Source: PODS keeps a quarter to a half."""
    downsample_advantage: Literal["after", "before"] = "after"
    """Whether advantages compare the kept rollouts (after) or all of them (before). Source: PODS
    (after)."""
