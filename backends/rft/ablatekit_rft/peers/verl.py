"""verl: advantage estimators, policy losses, corrections and filters of its PPO trainer."""

from __future__ import annotations

from ablatekit_rft.peers.offers import (
    COMPONENTS,
    CRITIC,
    FOLLOWS,
    TURNS,
    Offer,
    Peer,
    refused,
)

_TOKEN = {"ratio_level": "token"}
_TOKEN_MEAN = {"aggregation": "token_mean"}
_MICRO = "chosen within a micro-batch; here within the update"
_TRUNCATED = "the ratio is cut at clip_ratio_c, 20 by default"
_SQUARES = "needs the sum of squares of every token's softmax, which engines do not hand over"

_ADVANTAGES = (
    Offer("advantage", "grpo", {"advantage": "group_norm"}, "eps 1e-6; the raw reward with n = 1"),
    Offer("advantage", "grpo, norm_adv_by_std_in_grpo=false", {"advantage": "group_mean"}),
    Offer("advantage", "grpo_vectorized", {"advantage": "group_norm"}, "eps 1e-6"),
    Offer(
        "advantage",
        "grpo_passk",
        {"advantage": "passk_max", "passk_scale": "std"},
        "of several best rollouts one has an advantage of 0 / std: 0, as here",
    ),
    Offer("advantage", "rloo", {"advantage": "rloo"}, "the raw reward with n = 1"),
    Offer("advantage", "rloo_vectorized", {"advantage": "rloo"}, "0 with n = 1"),
    Offer("advantage", "reinforce_plus_plus", {"advantage": "reinforce_pp"}),
    Offer("advantage", "reinforce_plus_plus_baseline", {"advantage": "reinforce_pp_baseline"}),
    Offer("advantage", "remax", {"advantage": "remax"}),
    Offer("advantage", "opo", {"advantage": "opo"}),
    Offer("advantage", "gpg", {"advantage": "gpg"}),
    *refused("advantage", CRITIC, "gae (default)"),
    *refused("advantage", COMPONENTS, "gdpo"),
    *refused("advantage", _SQUARES, "optimal_token_baseline"),
    *refused("advantage", f"{TURNS}; {_SQUARES}", "tir_optimal_token_baseline"),
)

_LOSSES = (
    Offer("loss", "vanilla (default)", {**_TOKEN, "clip": "dual_clip", **_TOKEN_MEAN}),
    Offer("loss", "dppo_tv", {**_TOKEN, "clip": "dppo_tv", "clip_bound": 0.15}, _TRUNCATED),
    Offer("loss", "dppo_kl", {**_TOKEN, "clip": "dppo_kl"}, _TRUNCATED),
    Offer(
        "loss",
        "gspo",
        {"ratio_level": "sequence", "clip": "gspo", "aggregation": "seq_mean_token_mean"},
    ),
    Offer("loss", "sapo", {**_TOKEN, "clip": "sapo", "aggregation": "seq_mean_token_mean"}),
    Offer("loss", "gpg", {"ratio_level": "none", **_TOKEN_MEAN}),
    Offer(
        "loss",
        "clip_cov",
        {**_TOKEN, "clip": "ppo", "entropy": "clip_cov", **_TOKEN_MEAN},
        f"{_MICRO}, by the trained policy's log-probabilities, and never a token that PPO clips",
    ),
    Offer(
        "loss",
        "kl_cov",
        {**_TOKEN, "entropy": "kl_cov", **_TOKEN_MEAN},
        f"{_MICRO}, by the trained policy's log-probabilities",
    ),
    Offer(
        "loss",
        "geo_mean",
        {**_TOKEN, "clip": "gmpo", "aggregation": "seq_mean_token_mean"},
        "a bound for each direction; here one",
    ),
    Offer(
        "loss",
        "dro",
        {"ratio_level": "none", "log_ratio_penalty": 1.0, **_TOKEN_MEAN},
        "dro_beta has no default; the paper's is 1",
    ),
    Offer(
        "loss",
        "cispo",
        {**_TOKEN, "clip": "cispo", "clip_low": 0.2, "clip_high": 0.2, **_TOKEN_MEAN},
        "its default bounds are those of PPO",
    ),
    Offer(
        "loss",
        "bypass_mode, loss_type 'ppo_clip'",
        {**_TOKEN, "clip": "dual_clip", "mismatch": "bypass", **_TOKEN_MEAN},
    ),
    Offer(
        "loss",
        "bypass_mode, loss_type 'reinforce'",
        {"ratio_level": "token", "clip": "none", "mismatch": "bypass", **_TOKEN_MEAN},
        "the ratio to the engine's policy is a weight, bounded by rollout_is_threshold",
    ),
    Offer(
        "loss",
        "bypass_pg_token_icepop",
        {**_TOKEN, "clip": "icepop", "mismatch": "bypass", **_TOKEN_MEAN},
    ),
    Offer("loss", "loss_agg_mode='token-mean'", _TOKEN_MEAN),
    Offer("loss", "loss_agg_mode='seq-mean-token-sum'", {"aggregation": "seq_mean_token_sum"}),
    Offer("loss", "loss_agg_mode='seq-mean-token-mean'", {"aggregation": "seq_mean_token_mean"}),
    Offer(
        "loss",
        "loss_agg_mode='seq-mean-token-sum-norm'",
        {"aggregation": "const_len"},
        "over the padded width unless loss_scale_factor is set",
    ),
    Offer(
        "loss",
        "loss_agg_mode='token-sum'",
        None,
        "grows with the batch: seq_mean_token_sum is the same over the number of completions",
    ),
)

_CLIPS = (
    Offer("clip", "clip_ratio", {**_TOKEN, "clip": "ppo"}),
    Offer("clip", "clip_ratio_low, clip_ratio_high", {**_TOKEN, "clip": "clip_higher"}),
    Offer("clip", "clip_ratio_c", {**_TOKEN, "clip": "dual_clip"}),
)

_PLACED = {"kl_place": "loss"}
_KL = (
    Offer("KL", "use_kl_in_reward", {"kl_place": "reward", "kl_estimator": "k1"}),
    Offer("KL", "use_kl_loss", {"kl_place": "loss", "kl_estimator": "k3"}),
    Offer("KL", "kl, k1", {**_PLACED, "kl_estimator": "k1"}),
    Offer("KL", "abs", {**_PLACED, "kl_estimator": "abs"}),
    Offer("KL", "mse, k2", {**_PLACED, "kl_estimator": "k2"}),
    Offer("KL", "low_var_kl, k3", {**_PLACED, "kl_estimator": "k3"}, "at most 10"),
    Offer("KL", "low_var_kl+, k3+", {**_PLACED, "kl_estimator": "k3+"}, "at most 10"),
    Offer(
        "KL",
        "k1+, abs+",
        {**_PLACED, "kl_estimator": "k3+"},
        "the gradient of k2 under any of them; only the reported value differs",
    ),
    *refused("KL", "verl names it and raises NotImplementedError", "full"),
    Offer("KL", "kl_ctrl.type='fixed'", {"kl_place": "reward", "kl_coefficient": 0.001}),
    *refused("KL", FOLLOWS, "kl_ctrl.type='adaptive'"),
)

_RATIO_BOUND = "theirs may have another bound below than above"
_CORRECTIONS = (
    Offer("correction", "rollout_is='token'", {"mismatch": "tis_token"}),
    Offer("correction", "rollout_is='sequence'", {"mismatch": "tis_seq", "mismatch_high": 2.0}),
    Offer(
        "correction",
        "rollout_is_threshold='0.5_5.0' (IcePop)",
        {"mismatch": "mis_token"},
    ),
    Offer("correction", "bypass_mode", {"mismatch": "bypass"}),
    *refused(
        "correction",
        "divides by the mean weight of the batch: a learning rate that follows the mismatch",
        "rollout_is_batch_normalize",
    ),
)

_FILTERS = (
    *(
        Offer("filter", f"rollout_rs='{name}'", {"rejection": name}, _RATIO_BOUND)
        for name in ("token_k1", "seq_sum_k1", "seq_mean_k1")
    ),
    *(
        Offer("filter", f"rollout_rs='{name}'", {"rejection": name, "rejection_bound": 0.01})
        for name in (
            "token_k2",
            "token_k3",
            "seq_sum_k2",
            "seq_sum_k3",
            "seq_mean_k2",
            "seq_mean_k3",
            "seq_max_k2",
            "seq_max_k3",
        )
    ),
    Offer(
        "filter",
        "filter_groups",
        {"group_filter": "refill"},
        "metric 'acc'; another may be a shaped reward, which a filter here never looks at",
    ),
    Offer(
        "filter",
        "reward manager 'dapo', overlong_buffer",
        {"length_shaping": "soft_overlong"},
    ),
    Offer(
        "filter",
        "use_pf_ppo, 'pow'",
        {"downsample": "success_only"},
        "with rewards of 0 and 1 it draws successes only, with replacement",
    ),
    *refused(
        "filter",
        "resamples a round by its extreme rewards, which 0 and 1 all are",
        "use_pf_ppo, 'max_min'",
        "use_pf_ppo, 'max_random'",
    ),
)

_SCHEDULES = (
    Offer("schedule", "constant (default)", {"lr_schedule": "constant"}),
    Offer("schedule", "cosine", {"lr_schedule": "cosine"}, "min_lr_ratio is lr_floor"),
    Offer("schedule", "linear (Megatron)", {"lr_schedule": "linear"}),
    Offer(
        "schedule",
        "inverse-square-root (Megatron)",
        {"lr_schedule": "inverse_sqrt", "warmup_fraction": 0.03},
    ),
    Offer(
        "schedule",
        "WSD (Megatron)",
        {"lr_schedule": "cosine", "lr_decay_share": 0.2},
        "lr_wsd_decay_style cosine or linear; exponential, its default, is not offered",
    ),
)

VERL = Peer(
    "verl",
    "0.9.1",
    "the wheel on PyPI",
    (
        *_LOSSES,
        *_ADVANTAGES,
        *_CLIPS,
        *_KL,
        Offer("entropy", "entropy_coeff", {"entropy": "bonus"}),
        *_CORRECTIONS,
        *_FILTERS,
        *_SCHEDULES,
    ),
)
