"""Settings become the arguments of TRL that rft's catalogue names, and TRL takes all of them."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
from ablatekit_rft.peers import TRL
from ablatekit_trl.arguments import config_arguments, loss_type
from ablatekit_trl.settings import LEVELS, TrlSettings

PLACE = Path("folder")
LOSSES = {
    found[1]: offer.ours
    for offer in TRL.offers
    if offer.ours is not None and (found := re.fullmatch(r"loss_type='(\w+)'", offer.name))
}


def arguments(**settings: Any) -> dict[str, Any]:
    chosen = TrlSettings.from_dotted(settings)
    return config_arguments(chosen, 10, 1, PLACE, on_cpu=True)


@pytest.mark.parametrize("name", sorted(LOSSES.keys() - {"bnpo"}))
def test_a_loss_type_is_the_one_of_the_catalogue(name: str) -> None:
    """bnpo is dapo but for denominators: rft has one setting for both, and here it is dapo."""
    assert loss_type(TrlSettings.model_validate(LOSSES[name])) == name


CELLS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "round": (
        {"rollouts": 4, "queries_per_round": 6, "minibatches": 2, "gradient_accumulation": 3}
        | {"epochs": 5, "budget.amount": 7},
        {"num_generations": 4, "per_device_train_batch_size": 4, "steps_per_generation": 6}
        | {"gradient_accumulation_steps": 3, "num_iterations": 5, "max_steps": 70},
    ),
    "group_norm": ({"advantage": "group_norm"}, {"scale_rewards": "group"}),
    "group_mean": ({"advantage": "group_mean"}, {"scale_rewards": "none"}),
    "batch_std": ({"advantage": "group_mean_batch_std"}, {"scale_rewards": "batch"}),
    "clip_higher": ({"clip": "clip_higher"}, {"epsilon": 0.2, "epsilon_high": 0.28}),
    "ppo": ({"clip": "ppo", "clip_low": 0.1}, {"epsilon": 0.1, "epsilon_high": 0.1, "delta": None}),
    "delta": ({"clip": "delta", "clip_bound": 3.0}, {"epsilon": 0.2, "delta": 3.0}),
    "gspo": (
        {"clip": "gspo", "ratio_level": "sequence"},
        {"epsilon": 3e-4, "epsilon_high": 4e-4, "importance_sampling_level": "sequence"},
    ),
    "cispo": ({"clip": "cispo", "clip_high": 0.5}, {"epsilon_high": 1.5}),
    "no_kl": ({"kl_coefficient": 0.3}, {"beta": 0.0}),
    "kl": (
        {"kl_place": "loss", "kl_coefficient": 0.3},
        {"beta": 0.3, "use_bias_correction_kl": False},
    ),
    "kl_is": ({"kl_place": "loss_is"}, {"beta": 0.05, "use_bias_correction_kl": True}),
    "rloo": (
        {"advantage": "rloo", "kl_place": "reward", "kl_coefficient": 0.2},
        {"beta": 0.2, "normalize_advantages": False},
    ),
    "bonus": ({"entropy": "bonus"}, {"entropy_coef": 0.001, "top_entropy_quantile": 1.0}),
    "top": ({"entropy": "top_tokens"}, {"entropy_coef": 0.0, "top_entropy_quantile": 0.2}),
    "mask": ({"truncation": "mask"}, {"mask_truncated_completions": True}),
    "off_policy": ({"off_policy_mask": 0.5}, {"off_policy_mask_threshold": 0.5}),
    "drawing": (
        {"temperature": 0.7, "top_p": 0.9, "top_k": 5, "min_p": 0.1},
        {"temperature": 0.7, "top_p": 0.9, "top_k": 5, "min_p": 0.1, "max_completion_length": 10},
    ),
    "optimizer": (
        {"optimizer": "adamw_b95", "weight_decay": 0.1, "grad_clip": None},
        {"optim": "adamw_torch_fused", "adam_beta2": 0.95, "weight_decay": 0.1}
        | {"max_grad_norm": 0.0},
    ),
    "sgd": ({"optimizer": "sgd"}, {"optim": "sgd"}),
    "linear": (
        {"lr_schedule": "linear", "warmup_fraction": 0.1},
        {"lr_scheduler_type": "linear", "warmup_steps": 6},
    ),
    "warm": ({"warmup_fraction": 0.1}, {"lr_scheduler_type": "constant_with_warmup"}),
    "floor": (
        {"lr_schedule": "cosine", "lr_floor": 0.1},
        {"lr_scheduler_type": "cosine_with_min_lr", "lr_scheduler_kwargs": {"min_lr_rate": 0.1}},
    ),
    "autocast": ({"precision": "bf16_autocast"}, {"bf16": True}),
    "single": ({}, {"bf16": False, "report_to": [], "push_to_hub": False}),
}


@pytest.mark.parametrize("cell", CELLS)
def test_settings_become_arguments(cell: str) -> None:
    settings, expected = CELLS[cell]
    found = arguments(**settings)
    assert {name: found[name] for name in expected} == expected


@pytest.mark.filterwarnings("ignore")
def test_trl_has_every_argument() -> None:
    import trl

    for advantage in LEVELS["advantage"]:
        config = trl.RLOOConfig if advantage == "rloo" else trl.GRPOConfig
        known = {part.name for part in dataclasses.fields(config)}
        assert set(arguments(advantage=advantage)) <= known
