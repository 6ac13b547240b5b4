"""What of a model is trained, and in which number format."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import torch

from ablatekit.errors import PluginError, Problem
from ablatekit.seeds import Seeds
from ablatekit_rft.settings import RftSettings


def parameterised(model: Any, settings: RftSettings, seeds: Seeds) -> Any:
    """The model in the run's storage format, with low-rank adapters where it has a rank.

    All weights are trained, or the adapters alone. Dropout is 0: policies stay in evaluation mode.
    """
    if settings.precision == "bf16":
        model = model.to(torch.bfloat16)
    model.requires_grad_(True)
    rank = settings.lora_rank
    return model if rank is None else _with_adapters(model, rank, settings.lora_alpha, seeds)


def _with_adapters(model: Any, rank: int, alpha: int, seeds: Seeds) -> Any:
    """LoRA on every linear layer but the head (arXiv:2106.09685); at first it changes nothing."""
    if importlib.util.find_spec("peft") is None:
        raise PluginError(
            Problem(
                "lora_rank needs the package peft",
                f"lora_rank: {rank}",
                "pip install 'ablatekit-rft[train,peft]'",
            )
        )
    from peft import LoraConfig, get_peft_model

    configuration = LoraConfig(
        task_type="CAUSAL_LM",
        r=rank,
        lora_alpha=alpha,
        lora_dropout=0.0,
        target_modules="all-linear",
    )
    seed = int(np.random.default_rng(seeds.own("adapters")).integers(2**62))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return get_peft_model(model, configuration, autocast_adapter_dtype=False)
