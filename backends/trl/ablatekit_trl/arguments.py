"""Settings as the arguments of GRPOConfig and RLOOConfig. Imports neither TRL nor torch."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from ablatekit_rft.levels.registry import get_level

from ablatekit_trl.settings import TrlSettings

SCALE_REWARDS = {"group_norm": "group", "group_mean_batch_std": "batch", "group_mean": "none"}
LOSS_TYPES = {
    "token_mean": "dapo",
    "seq_mean_token_mean": "grpo",
    "seq_mean_token_sum": "luspo",
    "const_len": "dr_grpo",
}
OWN_LOSS_TYPES = ("cispo", "sapo", "vespo")
BETAS = {"adamw": 0.999, "adamw_b95": 0.95, "sgd": 0.999}


def config_arguments(
    settings: TrlSettings, max_new_tokens: int, seed: int, folder: Path, *, on_cpu: bool
) -> dict[str, Any]:
    """All that GRPOConfig or RLOOConfig is told; `seed` below 2^32, `folder` is TRL's own."""
    return {
        **_round(settings),
        **_generation(settings, max_new_tokens),
        **_optimisation(settings),
        **(_rloo(settings) if settings.uses_rloo else _grpo(settings)),
        **_surroundings(settings, folder),
        "use_cpu": on_cpu,
        "seed": seed,
        "data_seed": seed,
    }


def _round(settings: TrlSettings) -> dict[str, Any]:
    passes = settings.minibatches * settings.gradient_accumulation
    return {
        "num_generations": settings.rollouts,
        "per_device_train_batch_size": settings.samples_per_round // passes,
        "gradient_accumulation_steps": settings.gradient_accumulation,
        "steps_per_generation": passes,
        "num_iterations": settings.epochs,
        "max_steps": settings.rounds * settings.updates_per_round,
        # The queries come in rft's order, which follows from the run's seeds.
        "shuffle_dataset": False,
    }


def _generation(settings: TrlSettings, max_new_tokens: int) -> dict[str, Any]:
    return {
        "max_completion_length": max_new_tokens,
        "temperature": settings.temperature,
        "top_p": settings.top_p,
        "top_k": settings.top_k,
        "min_p": settings.min_p or None,
    }


def _optimisation(settings: TrlSettings) -> dict[str, Any]:
    return {
        "learning_rate": settings.learning_rate,
        "optim": "sgd" if settings.optimizer == "sgd" else "adamw_torch_fused",
        "adam_beta1": 0.9,
        "adam_beta2": BETAS[settings.optimizer],
        "adam_epsilon": 1e-8,
        "weight_decay": settings.weight_decay,
        "max_grad_norm": settings.grad_clip or 0.0,
        **_schedule(settings),
        "bf16": settings.precision == "bf16_autocast",
    }


def _schedule(settings: TrlSettings) -> dict[str, Any]:
    updates = settings.rounds * settings.updates_per_round
    warmup = math.ceil(settings.warmup_fraction * updates)
    name: str = settings.lr_schedule
    further: dict[str, float] = {}
    if settings.lr_schedule == "constant" and warmup:
        name = "constant_with_warmup"
    if settings.lr_schedule == "cosine" and settings.lr_floor:
        name, further = "cosine_with_min_lr", {"min_lr_rate": settings.lr_floor}
    return {
        "lr_scheduler_type": name,
        "lr_scheduler_kwargs": further,
        "warmup_steps": warmup,
    }


def _rloo(settings: TrlSettings) -> dict[str, Any]:
    low, high = _bounds(settings)
    return {
        "beta": _beta(settings),
        "epsilon": low,
        "epsilon_high": high,
        "normalize_advantages": False,
        "mask_truncated_completions": settings.truncation == "mask",
    }


def _grpo(settings: TrlSettings) -> dict[str, Any]:
    low, high = _bounds(settings)
    top = settings.entropy_share if settings.entropy == "top_tokens" else 1.0
    level = "token" if settings.ratio_level == "sequence_sum" else settings.ratio_level
    return {
        "loss_type": loss_type(settings),
        "scale_rewards": SCALE_REWARDS[settings.advantage],
        "importance_sampling_level": level,
        "beta": _beta(settings),
        "use_bias_correction_kl": settings.kl_place == "loss_is",
        "epsilon": low,
        "epsilon_high": high,
        "delta": _bound(settings, "clip_bound") if settings.clip == "delta" else None,
        "mask_truncated_completions": settings.truncation == "mask",
        "top_entropy_quantile": top,
        "entropy_coef": settings.entropy_coefficient if settings.entropy == "bonus" else 0.0,
        "off_policy_mask_threshold": settings.off_policy_mask,
    }


def loss_type(settings: TrlSettings) -> str:
    """GRPOTrainer's loss_type: the clip's own, or that of the aggregation."""
    if settings.clip in OWN_LOSS_TYPES:
        return settings.clip
    return LOSS_TYPES[settings.aggregation]


def _beta(settings: TrlSettings) -> float:
    return 0.0 if settings.kl_place == "none" else settings.kl_coefficient


def _bounds(settings: TrlSettings) -> tuple[float, float]:
    """epsilon and epsilon_high: half-widths, of cispo the largest ratio."""
    low, high = _bound(settings, "clip_low"), _bound(settings, "clip_high")
    if settings.clip == "cispo":
        return low, 1 + high
    return low, high


def _bound(settings: TrlSettings, name: str) -> float:
    """A bound of the clip: the setting's, the level's own, or PPO's 0.2 and its mirror image."""
    stated: float | None = getattr(settings, name)
    params = get_level("clip", settings.clip).params
    if name == "clip_high" and name not in params:
        return _bound(settings, "clip_low")
    value = params.get(name, 0.2) if stated is None else stated
    return float(value)


def _surroundings(settings: TrlSettings, folder: Path) -> dict[str, Any]:
    """Nothing is reported or written but to the run's own folder, and only when it is told to."""
    return {
        "output_dir": str(folder),
        "report_to": [],
        "logging_strategy": "steps",
        "logging_steps": settings.updates_per_round,
        "logging_nan_inf_filter": False,
        "save_strategy": "no",
        "save_total_limit": 2,
        "disable_tqdm": True,
        "disable_dropout": True,
        "gradient_checkpointing": False,
        "push_to_hub": False,
    }
