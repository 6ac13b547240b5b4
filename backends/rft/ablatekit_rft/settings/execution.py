"""Where and how fast a run executes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ablatekit_rft.settings.base import Part


class ExecutionSettings(Part):
    """Device, threads and memory."""

    micro_batch_tokens: int = Field(default=65_536, ge=1)
    """Most tokens, padding included, in one forward and backward pass; bounds memory, and gradients
    are equal up to rounding."""

    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", json_schema_extra={"execution": True}
    )
    """Where a run computes; auto is the GPU where there is one."""
    threads: int = Field(default=1, ge=1, le=1024, json_schema_extra={"execution": True})
    """Threads of torch in a run."""
