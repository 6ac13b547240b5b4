"""NeMo-RL: GRPO with ClippedPGLossFn."""

from __future__ import annotations

from ablatekit_rft.peers.offers import (
    COMPONENTS,
    CRITIC,
    FOLLOWS,
    TEACHER,
    Offer,
    Peer,
    refused,
)

_TOKEN = {"ratio_level": "token"}
_TOKEN_MEAN = {"aggregation": "token_mean"}

_ADVANTAGES = (
    Offer(
        "advantage",
        "grpo (default: leave-one-out, normalised)",
        {"advantage": "rloo_norm"},
        "eps 1e-6",
    ),
    Offer(
        "advantage",
        "grpo, use_leave_one_out_baseline=false",
        {"advantage": "group_norm"},
        "eps 1e-6",
    ),
    Offer("advantage", "grpo, normalize_rewards=false", {"advantage": "rloo"}),
    Offer(
        "advantage",
        "grpo, neither",
        {"advantage": "group_mean"},
    ),
    Offer(
        "advantage",
        "reinforce_plus_plus (default: minus_baseline)",
        {"advantage": "reinforce_pp_baseline"},
        "its deviation divides by the tokens, not by one less",
    ),
    Offer(
        "advantage",
        "reinforce_plus_plus, minus_baseline=false",
        {"advantage": "reinforce_pp"},
        "KL in the reward enters each token alone, not those before it",
    ),
    Offer(
        "advantage",
        "raw_reward, normalize_advantages=false",
        {"advantage": "none"},
    ),
    Offer("advantage", "raw_reward", {"advantage": "reinforce_pp"}),
    *refused("advantage", COMPONENTS, "gdpo"),
    *refused("advantage", CRITIC, "gae, with its decoupled and length-adaptive lambda"),
    *refused("advantage", TEACHER, "opd"),
)

_LOSSES = (
    Offer("loss", "ClippedPGLossFn", {**_TOKEN, "clip": "ppo", **_TOKEN_MEAN}),
    Offer("loss", "disable_ppo_ratio", {"ratio_level": "none", **_TOKEN_MEAN}),
    Offer(
        "loss",
        "sequence_level_importance_ratios",
        {"ratio_level": "sequence", "clip": "gspo", "aggregation": "seq_mean_token_mean"},
    ),
    Offer("loss", "token_level_loss=false", {"aggregation": "seq_mean_token_mean"}),
    Offer(
        "loss",
        "use_cispo",
        {**_TOKEN, "clip": "cispo", "clip_low": 0.2, "clip_high": 0.2, **_TOKEN_MEAN},
        "its default bounds are those of PPO",
    ),
    Offer("loss", "force_on_policy_ratio", {"minibatches": 1}, "one update per round"),
    *refused(
        "loss",
        "imitation of the right completions beside the policy loss (VAPO); reward_coding: pm1 and"
        " advantage: pos_only weigh successes",
        "positive_example_nll_weight",
    ),
)

_CLIPS = (
    Offer("clip", "ratio_clip_min", {**_TOKEN, "clip": "ppo"}),
    Offer("clip", "ratio_clip_max", {**_TOKEN, "clip": "clip_higher"}),
    Offer("clip", "ratio_clip_c", {**_TOKEN, "clip": "dual_clip"}),
)

_KL = (
    *(
        Offer(
            "KL",
            f"reference_policy_kl_type='{name}'",
            {"kl_place": "loss", "kl_estimator": name, "kl_coefficient": 0.01},
            "at most 10",
        )
        for name in ("k1", "k2", "k3")
    ),
    Offer("KL", "use_kl_in_reward", {"kl_place": "reward"}),
    Offer(
        "KL",
        "use_on_policy_kl_approximation",
        {"kl_place": "loss_is"},
        "its ratio is to the engine's policy and has no gradient",
    ),
    *refused("KL", FOLLOWS, "adaptive KL (ppo)"),
)

_CORRECTIONS = (
    Offer(
        "correction",
        "use_importance_sampling_correction",
        {"mismatch": "tis_token", "mismatch_high": 1000.0},
        "not cut",
    ),
    Offer("correction", "truncated_importance_sampling_type='tis'", {"mismatch": "tis_token"}),
    Offer("correction", "truncated_importance_sampling_type='icepop'", {"mismatch": "mis_token"}),
)

_FILTERS = (
    Offer(
        "filter",
        "truncated_importance_sampling_type='seq-mask-tis'",
        {"rejection": "seq_mean_k1", "mismatch": "tis_token", "mismatch_high": 1000.0},
        "its bounds need not be reciprocal",
    ),
    Offer("filter", "use_dynamic_sampling", {"group_filter": "refill"}),
    Offer("filter", "overlong_filtering", {"truncation": "mask"}),
    Offer("filter", "reward_shaping, overlong_buffer", {"length_shaping": "soft_overlong"}),
    Offer("filter", "reward_shaping, stop_properly_penalty", {"truncation": "scale"}),
    Offer(
        "filter",
        "reward_scaling",
        {"reward_coding": "pm1"},
        "any affine map of the reward; here 01, pm1 and neg",
    ),
)

_SCHEDULES = (
    *refused(
        "schedule",
        "schedulers of torch by their import path, in steps",
        "torch.optim.lr_scheduler, any",
    ),
    Offer(
        "schedule",
        "LinearLR, then ConstantLR (examples)",
        {"lr_schedule": "constant", "warmup_fraction": 0.03},
    ),
)

NEMO_RL = Peer(
    "NeMo-RL",
    "00925dd",
    "GitHub: advantages at this commit, losses at 006907a",
    (
        *_LOSSES,
        *_ADVANTAGES,
        *_CLIPS,
        *_KL,
        *_CORRECTIONS,
        *_FILTERS,
        *_SCHEDULES,
    ),
)
