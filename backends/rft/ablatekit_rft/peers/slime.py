"""slime: its arguments and filters."""

from __future__ import annotations

from ablatekit_rft.peers.offers import CRITIC, OWN, PREFERENCES, TEACHER, Offer, Peer, refused

_TOKEN = {"ratio_level": "token"}
_SAMPLE_MEAN = {"aggregation": "seq_mean_token_mean"}

_ADVANTAGES = (
    Offer("advantage", "grpo", {"advantage": "group_norm"}, "eps 1e-6"),
    Offer(
        "advantage",
        "grpo, disable_grpo_std_normalization",
        {"advantage": "group_mean"},
    ),
    Offer("advantage", "disable_rewards_normalization", {"advantage": "none"}),
    Offer(
        "advantage",
        "gspo",
        {"advantage": "group_norm", "ratio_level": "sequence", "clip": "gspo"},
        "names the ratio, too; with the bounds of PPO unless they are set",
    ),
    Offer("advantage", "reinforce_plus_plus", {"advantage": "reinforce_pp"}),
    Offer(
        "advantage",
        "reinforce_plus_plus_baseline",
        {"advantage": "reinforce_pp_baseline"},
        "KL in the reward enters token by token",
    ),
    Offer(
        "advantage",
        "normalize_advantages",
        {"advantage": "reinforce_pp"},
        "whitens any estimator over tokens; here the two that are made so",
    ),
    *refused("advantage", CRITIC, "ppo"),
    *refused("advantage", TEACHER, "use_opd"),
)

_LOSSES = (
    Offer("loss", "policy_loss", {**_TOKEN, "clip": "ppo", **_SAMPLE_MEAN}),
    Offer("loss", "calculate_per_token_loss", {"aggregation": "token_mean"}),
    *refused("loss", PREFERENCES, "sft_loss"),
    *refused("loss", OWN, "custom_loss", "custom_pg_loss_reducer_function_path"),
)

_CLIPS = (
    Offer("clip", "eps_clip", {**_TOKEN, "clip": "ppo"}),
    Offer("clip", "eps_clip_high", {**_TOKEN, "clip": "clip_higher"}),
    Offer("clip", "eps_clip_c", {**_TOKEN, "clip": "dual_clip"}),
    Offer("clip", "use_opsm", {"off_policy_mask": 1e-4}, "measured against l_old, not the engine"),
)

_KL = (
    Offer("KL", "kl_coef", {"kl_place": "reward", "kl_estimator": "k1"}),
    Offer("KL", "use_kl_loss, k1 (default)", {"kl_place": "loss", "kl_estimator": "k1"}),
    Offer("KL", "use_kl_loss, k2", {"kl_place": "loss", "kl_estimator": "k2"}),
    Offer("KL", "use_kl_loss, k3 or low_var_kl", {"kl_place": "loss", "kl_estimator": "k3"}),
    Offer("KL", "use_unbiased_kl", {"kl_place": "loss_is"}),
    Offer("KL", "ref_update_interval", {"kl_place": "loss", "kl_reference": "reset"}),
)

_CORRECTIONS = (
    Offer("correction", "use_tis", {"mismatch": "tis_token"}, "tis_clip_low bounds from below"),
    Offer("correction", "use_rollout_logprobs", {"mismatch": "bypass"}),
    *refused("correction", OWN, "custom_tis_function_path"),
    *refused(
        "correction",
        "replays the experts that the engine chose, which engines here do not hand over",
        "use_routing_replay",
        "use_rollout_routing_replay",
    ),
)

_FILTERS = (
    Offer(
        "filter",
        "check_reward_nonzero_std",
        {"group_filter": "refill"},
        "a dynamic sampling filter; by rewards, here by pass rates",
    ),
    *refused("filter", OWN, "dynamic_sampling_filter_path, any other"),
)

_SCHEDULES = (
    Offer("schedule", "lr_decay_style='constant'", {"lr_schedule": "constant"}),
    Offer("schedule", "lr_decay_style='linear'", {"lr_schedule": "linear"}),
    Offer("schedule", "lr_decay_style='cosine'", {"lr_schedule": "cosine"}),
    Offer(
        "schedule",
        "lr_decay_style='inverse-square-root'",
        {"lr_schedule": "inverse_sqrt", "warmup_fraction": 0.03},
    ),
    Offer(
        "schedule",
        "lr_decay_style='WSD'",
        {"lr_schedule": "cosine", "lr_decay_share": 0.2},
        "cosine or linear; exponential, its default, is not offered",
    ),
    *refused(
        "schedule",
        "forgets the moments after each round: an optimizer without memory is optimizer: sgd",
        "reset_optimizer_states",
    ),
)

SLIME = Peer(
    "slime",
    "f4fcce8",
    "GitHub: its arguments at this commit, formulas at 06787cf",
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
