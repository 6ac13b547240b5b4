"""TRL: GRPOTrainer, RLOOTrainer and the experimental trainers."""

from __future__ import annotations

from ablatekit_rft.peers.offers import (
    COMPONENTS,
    PREFERENCES,
    TEACHER,
    Offer,
    Peer,
    refused,
)

_TOKEN_MEAN = {"aggregation": "token_mean"}
_SEQ_MEAN = {"aggregation": "seq_mean_token_mean"}
_TOKEN = {"ratio_level": "token"}
_SPAN = (
    "its denominator counts the tokens of the generation, over its optimizer steps; ours those of"
    " the step"
)
_MASKED = "a masked truncation stays in its denominator"

_LOSSES = (
    Offer("loss", "loss_type='grpo'", {**_TOKEN, "clip": "ppo", **_SEQ_MEAN}, _MASKED),
    Offer("loss", "loss_type='dapo'", {**_TOKEN, "clip": "ppo", **_TOKEN_MEAN}, _SPAN),
    Offer(
        "loss",
        "loss_type='bnpo'",
        {**_TOKEN, "clip": "ppo", **_TOKEN_MEAN},
        "its denominator counts the tokens of a micro-batch: equal where one is the step",
    ),
    Offer(
        "loss",
        "loss_type='dr_grpo'",
        {**_TOKEN, "clip": "ppo", "aggregation": "const_len"},
        _MASKED,
    ),
    Offer(
        "loss",
        "loss_type='cispo'",
        {**_TOKEN, "clip": "cispo", "clip_low": 1.0, "clip_high": 4.0, **_TOKEN_MEAN},
        "epsilon_high is 1 + clip_high, and there is no lower bound, as at clip_low: 1; the paper"
        f" has two; {_SPAN}",
    ),
    Offer("loss", "loss_type='sapo'", {**_TOKEN, "clip": "sapo", **_SEQ_MEAN}, _MASKED),
    Offer(
        "loss",
        "loss_type='luspo'",
        {"ratio_level": "sequence", "clip": "gspo", "aggregation": "seq_mean_token_sum"},
        f"with importance_sampling_level='sequence', as in arXiv:2602.05261; {_MASKED}",
    ),
    Offer(
        "loss",
        "loss_type='vespo'",
        {"ratio_level": "sequence_sum", "clip": "vespo", **_TOKEN_MEAN},
        f"an engine's ratio enters the weight: here `mismatch` multiplies the loss; {_SPAN}",
    ),
    Offer(
        "loss",
        "GMPOTrainer (experimental)",
        {**_TOKEN, "clip": "gmpo", **_SEQ_MEAN},
        "one bound for both directions; epsilon_high has a second",
    ),
    Offer(
        "loss",
        "RLOOTrainer",
        {"ratio_level": "sequence_sum", "clip": "ppo", "advantage": "rloo"}
        | {"kl_place": "reward", "kl_estimator": "k1"},
    ),
    Offer(
        "loss",
        "AsyncGRPOTrainer (experimental)",
        {**_TOKEN, "clip": "ppo", **_TOKEN_MEAN, "mismatch": "bypass", "staleness": 4},
        "max_staleness bounds what here is a fixed number of rounds",
    ),
    Offer("loss", "importance_sampling_level='token'", _TOKEN),
    Offer(
        "loss",
        "importance_sampling_level='sequence'",
        {"ratio_level": "sequence"},
        "use_bias_correction_kl then multiplies KL by the completion's ratio; kl_place: loss_is by"
        " the token's",
    ),
    Offer(
        "loss",
        "A2POTrainer (experimental)",
        None,
        "a regression on an optimal value that the reference policy's samples estimate beforehand",
    ),
    *refused(
        "loss",
        TEACHER,
        "DistillationTrainer",
        "GKDTrainer (experimental)",
        "GOLDTrainer (experimental)",
        "IWOPDTrainer (experimental)",
        "SDFTTrainer (experimental)",
        "SDPOTrainer (experimental)",
        "AsyncDistillationTrainer (experimental)",
        "ServerDistillationTrainer (experimental)",
    ),
    *refused(
        "loss",
        PREFERENCES,
        "DPOTrainer",
        "KTOTrainer",
        "RewardTrainer",
        "SFTTrainer",
        "CPOTrainer (experimental)",
        "ORPOTrainer (experimental)",
        "OnlineDPOTrainer (experimental)",
        "TPOTrainer (experimental)",
    ),
)

_ADVANTAGES = (
    Offer("advantage", "scale_rewards='group'", {"advantage": "group_norm"}, "eps 1e-4"),
    Offer("advantage", "scale_rewards='batch'", {"advantage": "group_mean_batch_std"}, "eps 1e-4"),
    Offer("advantage", "scale_rewards='none'", {"advantage": "group_mean"}),
    Offer("advantage", "RLOOTrainer, 2 rollouts", {"advantage": "rloo"}),
    Offer(
        "advantage",
        "RLOOTrainer, normalize_advantages",
        None,
        "rloo over the deviation of the round's advantages: rloo times a number that all rollouts"
        " of the round share; reinforce_pp_baseline is the same with tokens as weights",
    ),
    Offer(
        "advantage",
        "multi_objective_aggregation='sum_then_normalize'",
        {},
        "one reward function: there is one reward",
    ),
    *refused("advantage", COMPONENTS, "multi_objective_aggregation='normalize_then_sum'"),
)

_CLIPS = (
    Offer("clip", "epsilon", {**_TOKEN, "clip": "ppo"}),
    Offer("clip", "epsilon_high", {**_TOKEN, "clip": "clip_higher"}),
    Offer("clip", "delta", {**_TOKEN, "clip": "delta"}),
    Offer(
        "clip",
        "RLOOTrainer, reward_clip_range",
        {},
        "off by default: rewards here are 0 and 1, -1 at least",
    ),
    Offer(
        "clip",
        "off_policy_mask_threshold",
        {"off_policy_mask": 0.5},
        "compared with the engine's log-probabilities, where there are any, as here",
    ),
)

_KL = (
    Offer(
        "KL",
        "beta",
        {"kl_place": "loss_is", "kl_estimator": "k3"},
        "GRPOTrainer; the default use_bias_correction_kl=True",
    ),
    Offer("KL", "use_bias_correction_kl=False", {"kl_place": "loss", "kl_estimator": "k3"}),
    Offer("KL", "beta of RLOOTrainer", {"kl_place": "reward", "kl_estimator": "k1"}),
    Offer(
        "KL",
        "sync_ref_model",
        {"kl_place": "loss", "kl_reference": "ema"},
        "every 512 steps; kl_reference_rounds counts rounds",
    ),
)

_ENTROPY = (
    Offer(
        "entropy",
        "entropy_coef",
        {"entropy": "bonus"},
        "the mean over tokens whatever the aggregation; here aggregated like the policy loss",
    ),
    Offer(
        "entropy",
        "use_adaptive_entropy",
        {"entropy": "adaptive"},
        "bounded above by entropy_coef_max",
    ),
    Offer("entropy", "top_entropy_quantile", {"entropy": "top_tokens"}),
)

_CORRECTIONS = (
    Offer(
        "correction",
        "vllm_importance_sampling_mode='token_truncate'",
        {"mismatch": "tis_token", "mismatch_high": 3.0},
        "clip_min, off by default, bounds from below, too",
    ),
    Offer(
        "correction",
        "vllm_importance_sampling_mode='token_mask'",
        {"mismatch": "mis_token", "mismatch_low": 0.0, "mismatch_high": 3.0},
    ),
    Offer(
        "correction",
        "vllm_importance_sampling_mode='sequence_truncate'",
        {"mismatch": "tis_seq"},
        "clip_min, off by default, bounds from below, too",
    ),
    Offer(
        "correction",
        "vllm_importance_sampling_mode='sequence_mask'",
        {"mismatch": "mis_seq"},
    ),
)

_FILTERS = (
    Offer(
        "filter",
        "mask_truncated_completions",
        {"truncation": "mask"},
        "see the denominators of the losses",
    ),
    Offer(
        "filter",
        "get_soft_overlong_punishment",
        {"length_shaping": "soft_overlong"},
        "a reward function",
    ),
    Offer("filter", "get_cosine_scaled_reward", {"length_shaping": "cosine"}, "a reward function"),
    *refused(
        "filter",
        "a penalty on repeated n-grams of tokens, a reward function: rewards here are of verdict,"
        " form and length; a run reports duplicates",
        "get_repetition_penalty_reward",
    ),
)

_SCHEDULES = (
    Offer("schedule", "lr_scheduler_type='linear'", {"lr_schedule": "linear"}, "the default"),
    Offer("schedule", "lr_scheduler_type='cosine'", {"lr_schedule": "cosine"}),
    Offer(
        "schedule",
        "lr_scheduler_type='cosine_with_restarts'",
        {"lr_schedule": "cosine"},
        "its default is one cycle; more would make a curve of restarts",
    ),
    Offer(
        "schedule",
        "lr_scheduler_type='polynomial'",
        {"lr_schedule": "linear"},
        "its default power of 1; other powers are not offered",
    ),
    Offer("schedule", "lr_scheduler_type='constant'", {"lr_schedule": "constant"}),
    Offer(
        "schedule",
        "lr_scheduler_type='constant_with_warmup'",
        {"lr_schedule": "constant", "warmup_fraction": 0.03},
    ),
    Offer(
        "schedule",
        "lr_scheduler_type='inverse_sqrt'",
        {"lr_schedule": "inverse_sqrt", "warmup_fraction": 0.03},
        "without a warm-up it counts from 10,000 steps",
    ),
    Offer(
        "schedule",
        "lr_scheduler_type='cosine_with_min_lr'",
        {"lr_schedule": "cosine", "lr_floor": 0.1},
    ),
    Offer(
        "schedule",
        "lr_scheduler_type='cosine_warmup_with_min_lr'",
        {"lr_schedule": "cosine", "lr_floor": 0.1, "warmup_fraction": 0.03},
        "its warm-up may begin above 0",
    ),
    Offer(
        "schedule",
        "lr_scheduler_type='warmup_stable_decay'",
        {"lr_schedule": "cosine", "lr_decay_share": 0.2, "warmup_fraction": 0.03},
        "or lr_schedule: linear; its 1-sqrt decay is not offered",
    ),
    *refused(
        "schedule",
        "follows what the run measures: the rate would be an outcome, not a choice",
        "lr_scheduler_type='reduce_lr_on_plateau'",
        "lr_scheduler_type='greedy'",
    ),
)

TRL = Peer(
    "TRL",
    "1.16.0",
    "the installed package",
    (
        *_LOSSES,
        *_ADVANTAGES,
        *_CLIPS,
        *_KL,
        *_ENTROPY,
        *_CORRECTIONS,
        *_FILTERS,
        *_SCHEDULES,
    ),
)
