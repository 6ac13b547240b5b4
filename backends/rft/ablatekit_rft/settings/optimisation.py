"""From a gradient to new weights."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from ablatekit_rft.levels.registry import stage_metadata
from ablatekit_rft.settings.base import Part, with_levels

_SCHEDULES = {
    "constant": {
        "doc": "The learning rate stays: the curve does not depend on the planned budget.",
        "formula": "lr",
        "source": "Reference",
        "peers": {"TRL": "lr_scheduler_type", "verl": "default", "OpenRLHF": "constant"},
    },
    "linear": {
        "doc": "Falls linearly to 0 at the end of the budget.",
        "formula": "lr (1 - f), f the spent fraction of the budget after warm-up",
        "source": "The default of transformers",
        "peers": {"TRL": "default", "verl": "none", "OpenRLHF": "linear"},
    },
    "cosine": {
        "doc": "Falls to 0 at the end of the budget along half a cosine.",
        "formula": "lr (1 + cos(pi f)) / 2, f the spent fraction of the budget after warm-up",
        "source": "SGDR, arXiv:1608.03983",
        "peers": {"TRL": "cosine", "verl": "cosine", "OpenRLHF": "cosine_with_min_lr (default)"},
    },
}


class OptimisationSettings(Part):
    """Optimizer, learning rate and clipping."""

    learning_rate: float = Field(default=1e-4, ge=0, le=10)
    """Step size of the optimizer; 0 trains nothing (a negative control). Source: fits the
    shipped tiny models; large models want about 1e-6 (TRL, verl, OpenRLHF)."""
    optimizer: Literal["adamw", "adamw_b95", "sgd"] = Field(
        default="adamw", json_schema_extra=with_levels(stage_metadata("optimizer"))
    )
    """Update rule. Source: the default of TRL and verl."""
    weight_decay: float = Field(default=0.0, ge=0, le=10)
    """Decoupled decay of weight matrices per unit of learning rate. Source: TRL, OpenRLHF (0; verl
    0.01)."""
    grad_clip: float | None = Field(default=1.0, gt=0)
    """Largest L2 norm of an update's gradient; null or none: not clipped. Source: TRL, verl and
    OpenRLHF (1)."""
    lr_schedule: Literal["constant", "linear", "cosine"] = Field(
        default="constant", json_schema_extra=with_levels(_SCHEDULES)
    )
    """Course of the learning rate over the budget. Source: verl (constant)."""
    warmup_fraction: float = Field(default=0.0, ge=0, lt=1)
    """Share of the budget over which the learning rate rises linearly from 0. Source: TRL, verl."""

    @field_validator("grad_clip", mode="before")
    @classmethod
    def _no_clipping_by_name(cls, value: Any) -> Any:
        return None if value == "none" else value
