"""Where and how fast a run executes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ablatekit_rft.settings.base import Part


class Vllm(Part):
    """How the engine vllm uses the machine. None of it decides what is drawn."""

    gpu_memory_utilization: float = Field(default=0.35, gt=0, lt=1)
    """Share of the run's memory on the GPU for the engine's weights and cache; the rest is for
    training. Source: TRL (0.3)."""
    cpu_cache_gib: int = Field(default=1, ge=1, le=4096)
    """GiB of key-value cache on a CPU. Source: vLLM's VLLM_CPU_KVCACHE_SPACE."""
    max_num_seqs: int = Field(default=256, ge=1, le=65_536)
    """Completions decoded at once. Source: vLLM (256)."""
    cuda_graphs: Literal["decode", "none"] = "decode"
    """On a GPU, whether decoding steps are captured as CUDA graphs: a small round is bound by
    launches. Source: vLLM's FULL_DECODE_ONLY, which compiles nothing."""
    sleep: Literal["auto", "never", "always"] = "auto"
    """On a GPU, whether the engine gives its memory back while the policy is trained; auto: where
    both do not fit. Source: vLLM's sleep mode, level 2."""


class ExecutionSettings(Part):
    """Device, threads and memory."""

    micro_batch_tokens: int = Field(default=65_536, ge=1)
    """Most tokens, padding included, in one forward and backward pass; bounds memory, and gradients
    are equal up to rounding."""

    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", json_schema_extra={"execution": True}
    )
    """Where a run computes; auto is the GPU where there is one."""
    gpu_share: float = Field(default=1.0, gt=0, le=1, json_schema_extra={"execution": True})
    """Share of a GPU that a run occupies where it computes on one: with 0.25 four runs share it."""
    threads: int = Field(default=1, ge=1, le=1024, json_schema_extra={"execution": True})
    """Threads of torch in a run; a model below 10 million weights is computed by one."""
    vllm: Vllm = Field(default_factory=Vllm, json_schema_extra={"execution": True})
    """How the engine vllm uses the machine."""
