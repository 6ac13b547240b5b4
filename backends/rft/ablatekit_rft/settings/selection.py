"""How many rollouts of how many queries a round has, and which of them train."""

from __future__ import annotations

from pydantic import Field

from ablatekit_rft.settings.base import Part


class SelectionSettings(Part):
    """Queries and rollouts of a round."""

    rollouts: int = Field(default=1, ge=1, le=1024)
    """Rollouts per query in a round. Source: arXiv:2601.22532 (1)."""
    queries_per_round: int = Field(default=32, ge=1, le=65_536)
    """Queries in a round, drawn without replacement until the train set is used up, which
    starts the next epoch. Source: arXiv:2601.22532 (32)."""
