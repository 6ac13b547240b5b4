"""What others call our settings and their levels; "Did you mean" looks here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ablatekit_rft.levels.stages import Stage

_NAMES: Mapping[str, tuple[str, ...]] = {
    "model": ("model_name", "model_name_or_path", "base_model", "pretrain", "policy_model"),
    "dataset": ("data", "train_files", "dataset_name", "prompt_data", "train_dataset", "task"),
    "train_items": ("train_size", "n_train", "train_samples", "max_samples"),
    "template": ("prompt_template", "input_template", "chat_template"),
    "system_prompt": ("system_message", "system"),
    "few_shot": ("n_shot", "num_shots", "num_fewshot", "fewshot"),
    "verifier": ("reward_fn", "reward_funcs", "reward_function", "reward_manager", "scorer"),
    "rollouts": (
        "num_generations",
        "group_size",
        "n_samples_per_prompt",
        "rollouts_per_prompt",
        "rollouts_per_example",
        "samples_per_prompt",
        "num_generations_per_prompt",
        "n_rollouts",
        "num_rollouts",
        "rollout_n",
        "n",
        "k",
        "g",
    ),
    "queries_per_round": (
        "batch_size",
        "train_batch_size",
        "rollout_batch_size",
        "prompts_per_step",
        "num_prompts_per_step",
        "prompts_per_batch",
        "per_device_train_batch_size",
        "queries",
    ),
    "group_filter": ("filter_groups", "dynamic_sampling", "dynamic_filtering"),
    "format_reward": ("format_score", "format_reward_weight"),
    "length_shaping": ("length_penalty", "overlong_penalty", "soft_overlong"),
    "truncation": ("mask_truncated_completions", "overlong_filtering", "overlong_filter"),
    "advantage": (
        "adv_estimator",
        "advantage_estimator",
        "scale_rewards",
        "baseline",
        "norm_adv_by_std_in_grpo",
        "algorithm",
    ),
    "advantage_eps": ("eps", "epsilon_std"),
    "ratio_level": ("importance_sampling_level", "importance_ratio", "is_level"),
    "clip": ("loss_type", "policy_loss", "loss_mode", "ppo_clip"),
    "clip_low": (
        "epsilon",
        "clip_ratio",
        "clip_ratio_low",
        "eps_clip",
        "eps_clip_low",
        "cliprange",
    ),
    "clip_high": ("epsilon_high", "clip_ratio_high", "eps_clip_high", "clip_higher"),
    "clip_bound": ("delta", "clip_ratio_c", "dual_clip"),
    "mismatch": ("vllm_importance_sampling_correction", "tis", "rollout_is", "truncated_is"),
    "aggregation": ("loss_agg_mode", "token_level_loss", "loss_aggregation", "normalize_loss"),
    "kl_place": ("use_kl_loss", "use_kl_in_reward", "kl_in_reward"),
    "kl_estimator": ("kl_type", "kl_loss_type", "kl_penalty"),
    "kl_coefficient": (
        "beta",
        "kl_coef",
        "kl_coeff",
        "kl_loss_coef",
        "init_kl_coef",
        "kl_beta",
        "kl_weight",
    ),
    "kl_reference": ("ref_model", "sync_ref_model", "reference_model"),
    "entropy_coefficient": ("entropy_coef", "entropy_coeff", "ent_coef", "entropy_bonus"),
    "entropy_share": ("top_entropy_quantile", "entropy_quantile"),
    "minibatches": ("ppo_mini_batch_size", "num_minibatches", "gradient_accumulation_steps"),
    "epochs": ("num_iterations", "ppo_epochs", "num_epochs", "num_train_epochs", "mu"),
    "staleness": ("async_level", "max_async_level", "off_policy_steps", "max_off_policy_steps"),
    "replay": ("replay_buffer", "experience_replay"),
    "learning_rate": ("lr", "step_size", "actor_learning_rate"),
    "optimizer": ("optim", "optimiser", "optimizer_name"),
    "weight_decay": ("wd", "l2"),
    "grad_clip": ("max_grad_norm", "max_norm", "clip_grad_norm", "gradient_clipping"),
    "lr_schedule": ("lr_scheduler_type", "lr_scheduler", "scheduler", "warmup_style"),
    "warmup_fraction": ("warmup_ratio", "warmup_steps", "lr_warmup_steps_ratio", "warmup"),
    "precision": ("bf16", "dtype", "torch_dtype", "fp16"),
    "lora_rank": ("lora_r", "lora", "r", "peft_config"),
    "temperature": ("rollout_temperature", "sampling_temperature", "temp"),
    "max_new_tokens": (
        "max_completion_length",
        "max_response_length",
        "response_length",
        "max_tokens",
        "generate_max_len",
        "seq_len",
    ),
    "engine": ("use_vllm", "rollout_engine", "backend"),
    "budget.amount": ("max_steps", "total_training_steps", "num_steps", "steps", "rounds"),
    "evaluation.points": ("eval_steps", "test_freq", "eval_interval"),
    "evaluation.test_items": ("test_size", "eval_size", "val_size", "n_test"),
    "evaluation.samples": ("val_kwargs_n", "eval_samples", "avg_at_k"),
}

SYNONYMS: Mapping[str, str] = MappingProxyType(
    {other: name for name, others in _NAMES.items() for other in others}
)
"""Another name -> the setting here."""

LEVEL_SYNONYMS: Mapping[Stage, Mapping[str, str]] = MappingProxyType(
    {
        "advantage": {
            "reinforce": "none",
            "raw": "none",
            "vanilla": "none",
            "grpo": "group_norm",
            "dr_grpo": "group_mean",
            "drgrpo": "group_mean",
            "reinforce++": "reinforce_pp",
            "reinforce_plus_plus": "reinforce_pp",
            "reinforce_plus_plus_baseline": "reinforce_pp_baseline",
            "moving_average": "ema",
        },
        "clip": {"grpo": "ppo", "dapo": "clip_higher"},
        "aggregation": {
            "dapo": "token_mean",
            "bnpo": "token_mean",
            "grpo": "seq_mean_token_mean",
            "dr_grpo": "const_len",
            "seq_mean_token_sum_norm": "const_len",
        },
        "kl_estimator": {"low_var_kl": "k3", "kl": "k1", "mse": "k2"},
        "optimizer": {"adam": "adamw"},
    }
)
"""Another name of a level -> the level here, by stage."""
