"""How training rollouts are drawn."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from ablatekit_rft.settings.base import Part, stop_texts, with_levels

_ENGINES = {
    "auto": {
        "doc": "vllm in a study that says `device: cuda`, policy in every other one: what it stands"
        " for follows from the study file alone, never from the machine that reads it.",
        "formula": "vllm if device = cuda, else policy",
        "source": "ablatekit",
        "peers": {"TRL": "use_vllm", "verl": "rollout.name", "OpenRLHF": "vLLM only"},
    },
    "policy": {
        "doc": "The policy's own sampler: it reads the trained weights themselves.",
        "formula": "log p of the engine = log p of the trainer",
        "source": "ablatekit",
        "peers": {
            "TRL": "default (generate of transformers)",
            "verl": "rollout.name=hf",
            "OpenRLHF": "none",
        },
    },
    "vllm": {
        "doc": "vLLM in the same process; it gets the weights after every update, and what it"
        " computes is compared with the trainer every round.",
        "formula": "|log p of the engine - log p of the trainer| is reported and bounded",
        "source": "vLLM, arXiv:2309.06180",
        "peers": {
            "TRL": "use_vllm, vllm_mode=colocate",
            "verl": "default",
            "OpenRLHF": "default",
        },
    },
}


class GenerationSettings(Part):
    """Engine and decoding of training rollouts."""

    temperature: float = Field(default=1.0, gt=0, le=10)
    """Temperature of training rollouts and of the policy that is trained. Source: TRL, verl,
    OpenRLHF (1)."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """Training rollouts draw from the smallest set of most probable tokens with at least this
    probability. Source: TRL, verl, OpenRLHF (1: all tokens)."""
    top_k: int = Field(default=0, ge=0, le=1_000_000)
    """Training rollouts draw from this many most probable tokens; 0: from all. Source: TRL, verl
    (off)."""
    min_p: float = Field(default=0.0, ge=0, lt=1)
    """Training rollouts draw from tokens with at least this share of the most probable one's
    probability. Source: arXiv:2407.01082; TRL (off)."""
    stop: tuple[str, ...] = ()
    """Texts that end a training rollout, beside an end of sequence, a special token by its name;
    the verifier sees what stands before. Evaluation has its own `evaluation.stop`. Source: vLLM,
    `stop` and `stop_token_ids`."""
    max_new_tokens: int | None = Field(default=None, ge=1, le=131_072)
    """Longest completion in tokens; null: the task's own limit."""
    engine: Literal["auto", "policy", "vllm"] = Field(
        default="auto", json_schema_extra=with_levels(_ENGINES)
    )
    """What draws completions, in training and in evaluation: tokens differ between engines, their
    distribution does not. Source: ablatekit."""

    @field_validator("stop")
    @classmethod
    def _stop_texts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return stop_texts(value)
