"""Which engine a run draws with."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

import torch

from ablatekit.errors import PluginError, Problem
from ablatekit.runs.seeds import Seeds
from ablatekit_rft.engines.base import Engine
from ablatekit_rft.engines.decoding import Decoding
from ablatekit_rft.engines.draws import DrawKind
from ablatekit_rft.engines.policy import PolicyEngine
from ablatekit_rft.engines.vllm import VllmEngine
from ablatekit_rft.engines.vllm_process import VllmProcess
from ablatekit_rft.policy.policy import Policy
from ablatekit_rft.settings import RftSettings


def draw_kind(settings: RftSettings) -> DrawKind:
    """What decides the completions of the run's engine."""
    return VllmEngine.draws if settings.drawing_engine == "vllm" else PolicyEngine.draws


def build_engine(
    settings: RftSettings,
    policy: Policy,
    decoding: Decoding,
    prompts: Sequence[list[int]],
    longest: int,
    seeds: Seeds,
) -> Engine:
    """The run's engine, started and tested on `prompts`; `longest` is its longest sequence.

    An engine that an earlier run of this process left on a GPU ends where this run has no use for
    it. Raises PluginError without vLLM, EngineError when it cannot start
    or fails its self-test.
    """
    if settings.drawing_engine == "vllm":
        _require_vllm()
        generator = torch.Generator().manual_seed(seeds.integer("engine/self-test"))
        return VllmEngine.start(settings, policy, decoding, prompts, longest, generator)
    if policy.device.type == "cuda":
        VllmProcess.end()
    return PolicyEngine(policy)


def _require_vllm() -> None:
    if importlib.util.find_spec("vllm") is None:
        raise PluginError(
            Problem(
                "the engine 'vllm' cannot start in this environment",
                "no package vllm",
                "On a GPU: pip install 'ablatekit-rft[train,vllm]'; on a CPU: scripts/test-vllm"
                " builds an environment whose interpreter backend.python can name; or set"
                " engine: policy",
            )
        )
