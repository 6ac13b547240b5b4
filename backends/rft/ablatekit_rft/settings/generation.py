"""How training rollouts are drawn."""

from __future__ import annotations

from pydantic import Field

from ablatekit_rft.settings.base import Part


class GenerationSettings(Part):
    """Decoding of training rollouts."""

    temperature: float = Field(default=1.0, gt=0, le=10)
    """Temperature of training rollouts and of the policy that is trained. Source: TRL, verl,
    OpenRLHF (1)."""
    max_new_tokens: int | None = Field(default=None, ge=1, le=131_072)
    """Longest completion in tokens; null: the task's own limit."""
