"""From a gradient to new weights."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from ablatekit_rft.settings.base import UNSTATED, Part, with_levels
from ablatekit_rft.settings.levels import LrScaleName, OptimizerName, ReplayName, level_field

_SCHEDULES = {
    "constant": {
        "doc": "The learning rate stays: the curve does not depend on the planned budget.",
        "formula": "lr",
        "source": "Reference",
        "peers": {"TRL": "lr_scheduler_type", "verl": "default", "OpenRLHF": "constant"},
    },
    "linear": {
        "doc": "Falls linearly to lr_floor at the end of the budget, over its last lr_decay_share.",
        "formula": "lr (e + (1 - e) (1 - f)), e = lr_floor, f the spent fraction of the last"
        " lr_decay_share of the budget after warm-up",
        "source": "The default of transformers",
        "peers": {"TRL": "default", "verl": "none", "OpenRLHF": "linear"},
    },
    "cosine": {
        "doc": "Falls to lr_floor at the end of the budget along half a cosine, over its last"
        " lr_decay_share.",
        "formula": "lr (e + (1 - e) (1 + cos(pi f)) / 2), e and f as above",
        "source": "SGDR, arXiv:1608.03983",
        "peers": {"TRL": "cosine", "verl": "cosine", "OpenRLHF": "cosine_with_min_lr (default)"},
    },
    "inverse_sqrt": {
        "doc": "Falls with the square root of what is spent, from the end of a warm-up that it"
        " needs.",
        "formula": "lr sqrt(w / s), w = warmup_fraction, s >= w the spent fraction of the budget",
        "source": "arXiv:1706.03762",
        "peers": {
            "TRL": "inverse_sqrt, in steps",
            "verl": "inverse-square-root (Megatron)",
            "OpenRLHF": "inverse_sqrt",
        },
    },
}


_PRECISIONS = {
    "fp32": {
        "doc": "Weights and computation in single precision.",
        "formula": "float32",
        "source": "Reference: no rounding between engine and trainer",
        "peers": {"TRL": "bf16=False", "verl": "model_dtype fp32", "OpenRLHF": "none"},
    },
    "bf16_autocast": {
        "doc": "Weights and optimizer in single precision, matrix products in bfloat16.",
        "formula": "float32 master weights under bfloat16 autocast",
        "source": "Mixed precision, arXiv:1710.03740",
        "peers": {"TRL": "bf16=True (default)", "verl": "default", "OpenRLHF": "default (ZeRO)"},
    },
    "bf16": {
        "doc": "Weights and optimizer in bfloat16: updates below 1/256 of a weight are lost.",
        "formula": "bfloat16",
        "source": "huggingface.co/docs/transformers, dtype",
        "peers": {"TRL": "dtype='bfloat16'", "verl": "model_dtype bf16", "OpenRLHF": "none"},
    },
}


class OptimisationSettings(Part):
    """Experience reuse, optimizer, learning rate, clipping, precision and adapters."""

    minibatches: int = Field(default=1, ge=1, le=1024)
    """Optimizer steps per pass over a round's rollouts; counted in rollouts, not queries. Source:
    arXiv:2601.22532 (1)."""
    epochs: int = Field(default=1, ge=1, le=64)
    """Passes over a round's rollouts. Source: TRL, verl, OpenRLHF (1)."""
    staleness: int = Field(default=0, ge=0, le=64)
    """Rounds by which the weights that generate rollouts lag behind. Source: synchronous training
    (0)."""
    replay: ReplayName = level_field("replay", "none")
    """Which rollouts of earlier rounds are trained on again. Source: on-policy training (none)."""
    replay_rounds: int = Field(default=4, ge=1, le=1024)
    """Rounds that the replay buffer holds. Source: a run of the shipped tiny models."""
    replay_share: float = Field(default=1.0, gt=0, le=64)
    """Replayed over fresh rollouts. Source: half of the batch, as usual in off-policy RL."""

    learning_rate: float = Field(default=1e-4, ge=0, le=10)
    """Step size of the optimizer; 0 trains nothing (a negative control). Source: fits the
    shipped tiny models; large models want about 1e-6 (TRL, verl, OpenRLHF)."""
    optimizer: OptimizerName = level_field("optimizer", "adamw")
    """Update rule. Source: the default of TRL and verl."""
    weight_decay: float = Field(default=0.0, ge=0, le=10)
    """Decoupled decay of weight matrices per unit of learning rate. Source: TRL, OpenRLHF (0; verl
    0.01)."""
    grad_clip: float | None = Field(default=1.0, gt=0)
    """Largest L2 norm of an update's gradient; null or none: not clipped. Source: TRL, verl and
    OpenRLHF (1)."""
    lr_schedule: Literal["constant", "linear", "cosine", "inverse_sqrt"] = Field(
        default="constant", json_schema_extra=with_levels(_SCHEDULES)
    )
    """Course of the learning rate over the budget. Source: verl (constant)."""
    lr_floor: float = Field(default=0.0, ge=0, le=1, json_schema_extra=UNSTATED)
    """What a linear or cosine schedule falls to, as a share of the learning rate. Source:
    transformers (0; OpenRLHF 0.1)."""
    lr_decay_share: float = Field(default=1.0, gt=0, le=1, json_schema_extra=UNSTATED)
    """Last share of the budget after warm-up over which a linear or cosine schedule falls; before
    it the rate is constant. Source: transformers (1: all of it)."""
    warmup_fraction: float = Field(default=0.0, ge=0, lt=1)
    """Share of the budget over which the learning rate rises linearly from 0. Source: TRL, verl."""
    lr_scale: LrScaleName = level_field("lr_scale", "const")
    """How the learning rate follows the rollouts per update, relative to 32. Source:
    arXiv:2601.22532 (const)."""
    precision: Literal["fp32", "bf16_autocast", "bf16"] = Field(
        default="fp32", json_schema_extra=with_levels(_PRECISIONS)
    )
    """Number format of weights and computation. Source: no rounding between engine and trainer."""
    lora_rank: int | None = Field(default=None, ge=1, le=4096)
    """Rank of low-rank adapters on every linear layer, which are trained instead of the weights;
    null or none: all weights are trained. Source: arXiv:2601.22532 (all)."""
    lora_alpha: int = Field(default=32, ge=1, le=4096)
    """Scale of adapters: alpha / rank. Source: LoRA, arXiv:2106.09685."""

    @field_validator("grad_clip", "lora_rank", mode="before")
    @classmethod
    def _nothing_by_name(cls, value: Any) -> Any:
        return None if value == "none" else value
