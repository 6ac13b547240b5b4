"""OpenRLHF: train_ppo_ray."""

from __future__ import annotations

from ablatekit_rft.peers.offers import CRITIC, FOLLOWS, Offer, Peer, refused

_TOKEN = {"ratio_level": "token"}
_WEIGHTS = {"mismatch": "tis_token", "mismatch_high": 1000.0}
"""What a filter of theirs keeps has its token's ratio as weight, not cut."""

_ADVANTAGES = (
    *refused("advantage", CRITIC, "gae (default)"),
    Offer(
        "advantage",
        "reinforce",
        {"advantage": "reinforce_pp"},
        "its deviation divides by the tokens, not by one less",
    ),
    Offer("advantage", "rloo", {"advantage": "rloo"}),
    Offer(
        "advantage",
        "reinforce_baseline",
        {"advantage": "reinforce_pp_baseline"},
        "KL in the reward enters token by token",
    ),
    Offer("advantage", "group_norm", {"advantage": "group_norm"}, "eps 1e-9"),
    Offer("advantage", "dr_grpo", {"advantage": "group_mean"}),
    Offer("advantage", "flash_reinforce", {"advantage": "batch_mean"}),
    Offer(
        "advantage",
        "no_std_norm",
        {"advantage": "batch_mean"},
        "of reinforce: its mean is weighted by tokens",
    ),
)

_LOSSES = (
    Offer(
        "loss",
        "policy_loss_type='ppo'",
        {**_TOKEN, "clip": "ppo", "aggregation": "token_mean"},
    ),
    Offer(
        "loss",
        "policy_loss_type='gspo'",
        {"ratio_level": "sequence", "clip": "gspo", "aggregation": "seq_mean_token_mean"},
        "with the bounds of PPO unless eps_clip_low_high is set",
    ),
    Offer("loss", "loss_agg_mode='token-mean'", {"aggregation": "token_mean"}),
    Offer("loss", "loss_agg_mode='seq-mean-token-mean'", {"aggregation": "seq_mean_token_mean"}),
)

_CLIPS = (
    Offer("clip", "eps_clip", {**_TOKEN, "clip": "ppo"}),
    Offer("clip", "eps_clip_low_high", {**_TOKEN, "clip": "clip_higher"}),
    Offer("clip", "dual_clip", {**_TOKEN, "clip": "dual_clip"}),
    Offer(
        "clip",
        "reward.clip_range",
        {},
        "-10 to 10 by default: rewards here are 0 and 1, -1 at least",
    ),
    *refused("clip", "of a value function", "value_clip"),
)

_KL = (
    Offer(
        "KL",
        "kl.estimator='k1' (default)",
        {"kl_place": "reward", "kl_estimator": "k1", "kl_coefficient": 0.01},
    ),
    Offer("KL", "kl.estimator='k2'", {"kl_place": "reward", "kl_estimator": "k2"}),
    Offer("KL", "kl.estimator='k3'", {"kl_place": "reward", "kl_estimator": "k3"}, "at most 10"),
    Offer("KL", "kl.use_loss", {"kl_place": "loss"}),
    Offer(
        "KL",
        "kl.unbiased_gradient",
        {"kl_place": "loss_is", "kl_estimator": "k2"},
        "its ratio has no gradient, which on-policy is the gradient of k3+ in the loss",
    ),
    *refused("KL", FOLLOWS, "kl.target, kl.horizon"),
)

_CORRECTIONS = (
    Offer(
        "correction",
        "TIS: level token, mode clip",
        {"mismatch": "tis_token", "mismatch_high": 5.0},
        "bounds from below, too",
    ),
    Offer("correction", "IcePop: level token, mode mask", {"mismatch": "mis_token"}),
)

_FILTERS = (
    Offer(
        "filter",
        "seq-mask-tis: level seq, gating ratio",
        {"rejection": "seq_mean_k1", **_WEIGHTS},
        "its bounds, 0.5 and 5, need not be reciprocal",
    ),
    *(
        Offer(
            "filter",
            f"is_correction_level='{level}', gating '{gate}'",
            {"rejection": f"{ours}_{gate}", "rejection_bound": 0.01, **_WEIGHTS},
        )
        for level, ours in (("token", "token"), ("seq", "seq_mean"))
        for gate in ("binary_kl", "tv")
    ),
    Offer(
        "filter",
        "dynamic_filtering_enable",
        {"group_filter": "refill"},
        "its range is open: pass rates strictly between 0 and 1",
    ),
    Offer(
        "filter",
        "dynamic_filtering_range",
        {"group_filter": "band"},
        "refills; band does not",
    ),
    Offer("filter", "overlong_buffer_len", {"length_shaping": "soft_overlong"}),
    Offer("filter", "stop_properly_penalty_coef in [0, 1]", {"truncation": "scale"}),
    Offer("filter", "stop_properly_penalty_coef below 0", {"truncation": "fixed"}),
)

_SCHEDULES = (
    Offer(
        "schedule",
        "cosine_with_min_lr (default)",
        {"lr_schedule": "cosine", "lr_floor": 0.1, "warmup_fraction": 0.03},
    ),
    Offer("schedule", "constant", {"lr_schedule": "constant"}),
    Offer("schedule", "linear", {"lr_schedule": "linear"}),
    Offer("schedule", "cosine", {"lr_schedule": "cosine"}),
    Offer("schedule", "inverse_sqrt", {"lr_schedule": "inverse_sqrt", "warmup_fraction": 0.03}),
    Offer(
        "schedule",
        "warmup_stable_decay",
        {"lr_schedule": "cosine", "lr_decay_share": 0.2, "warmup_fraction": 0.03},
        "as any other schedule of transformers: see TRL",
    ),
)

OPENRLHF = Peer(
    "OpenRLHF",
    "0.11.2",
    "the wheel on PyPI",
    (
        *_LOSSES,
        *_ADVANTAGES,
        *_CLIPS,
        *_KL,
        Offer("entropy", "entropy_coef", {"entropy": "bonus"}),
        *_CORRECTIONS,
        *_FILTERS,
        *_SCHEDULES,
    ),
)
