"""prime-rl: losses of its trainer, algorithms and filters of its orchestrator."""

from __future__ import annotations

from ablatekit_rft.peers.offers import CRITIC, OWN, TEACHER, TURNS, Offer, Peer, refused

_TOKEN_MEAN = {"aggregation": "token_mean"}
_BYPASS = {"ratio_level": "token", "mismatch": "bypass", **_TOKEN_MEAN}
_SQUARE = "kl_tau weights the whole squared log-ratio, log_ratio_penalty half of it"

_LOSSES = (
    Offer(
        "loss",
        "ipo",
        {**_BYPASS, "clip": "ipo", "log_ratio_penalty": 0.002},
        _SQUARE,
    ),
    Offer(
        "loss",
        "default (dppo)",
        {**_BYPASS, "clip": "dppo_tv", "log_ratio_penalty": 0.002},
        f"{_SQUARE}; replaced by ipo in the version that was read",
    ),
    Offer("loss", "icepop", {**_BYPASS, "clip": "icepop"}),
    *refused(
        "loss",
        "corrects the score by the engine's most probable tokens, which engines here do not keep",
        "score_centering",
    ),
    *refused("loss", OWN, "custom"),
    *refused("loss", TEACHER, "ref_kl", "ce"),
)

_ADVANTAGES = (
    Offer("advantage", "grpo", {"advantage": "group_mean"}, "0 with one rollout"),
    Offer("advantage", "max_rl", {"advantage": "max_rl"}),
    Offer(
        "advantage",
        "rae",
        {"advantage": "ema", "ema_start": "zero"},
        "moves rollout by rollout; ema by the round, as single steps do on average",
    ),
    Offer("advantage", "reward", {"advantage": "none"}),
    *refused("advantage", CRITIC, "ppo", "gae"),
    *refused("advantage", TEACHER, "opd", "opsd", "sft"),
    *refused("advantage", TURNS, "echo"),
    *refused("advantage", OWN, "custom"),
    *refused(
        "advantage",
        "an advantage by length among the right rollouts: length_shaping acts on rewards, as"
        " pass_rate does",
        "length_penalty 'tokens'",
    ),
    *refused("advantage", TURNS, "length_penalty 'turns'"),
)

_FILTERS = (
    Offer(
        "filter",
        "zero_advantage",
        {"group_filter": "drop", "advantage": "group_mean"},
        "by pass rates; theirs by advantages",
    ),
    *refused(
        "filter",
        "a guard against broken generations of thousands of tokens, which reads token ids and"
        " probabilities: a run here reports duplicates and lengths",
        "gibberish",
        "repetition",
    ),
    Offer("filter", "DifficultyPoolSampler", {"sample_policy": "pools", "easy_share": 0.1}),
    Offer(
        "filter",
        "advantage range gate",
        {"group_filter": "refill"},
        "by pass rates; theirs by advantages",
    ),
)

_SCHEDULES = (
    Offer("schedule", "constant (default)", {"lr_schedule": "constant"}),
    Offer(
        "schedule",
        "linear",
        {"lr_schedule": "linear", "lr_decay_share": 0.1, "warmup_fraction": 0.1},
        "warmup_steps and decay_steps of 10; min_lr is lr_floor",
    ),
    Offer(
        "schedule",
        "cosine",
        {"lr_schedule": "cosine", "warmup_fraction": 0.1},
        "warmup_steps of 10; min_lr is lr_floor",
    ),
)

PRIME_RL = Peer(
    "prime-rl",
    "349283d",
    "GitHub: the losses at this commit, algorithms at c326868 (rae, ppo and gae are newer), filters"
    " at 004274e",
    (
        *_LOSSES,
        *_ADVANTAGES,
        Offer("clip", "dppo_mask_low, dppo_mask_high", {"ratio_level": "token", "clip": "dppo_tv"}),
        Offer("KL", "kl_tau", {"log_ratio_penalty": 0.002}, _SQUARE),
        Offer("correction", "always: the ratio to the engine", {"mismatch": "bypass"}),
        *_FILTERS,
        *_SCHEDULES,
    ),
)
