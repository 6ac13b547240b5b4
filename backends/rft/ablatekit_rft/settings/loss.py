"""From log-probabilities and advantages to one loss."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from ablatekit_rft.levels.mismatch import Rejection
from ablatekit_rft.settings.base import UNSTATED, Part, with_levels
from ablatekit_rft.settings.levels import (
    AggregationName,
    ClipName,
    EntropyName,
    KlEstimatorName,
    MismatchName,
    RatioName,
    level_field,
)

_KL_PLACES = {
    "none": {
        "doc": "No KL term; KL to the initial policy is still reported.",
        "formula": "r_i and the policy loss as they are",
        "source": "The minimalist reference, arXiv:2601.22532",
        "peers": {"TRL": "GRPO default (beta=0)", "verl": "default", "OpenRLHF": "init_kl_coef=0"},
    },
    "reward": {
        "doc": "Subtracted from the reward before the advantage, without gradient.",
        "formula": "r_i - coefficient * sum_t k_it",
        "source": "RLHF, arXiv:2009.01325; RLOO, arXiv:2402.14740",
        "peers": {
            "TRL": "RLOO default, beta=0.05",
            "verl": "use_kl_in_reward",
            "OpenRLHF": "default, 0.01 with k1",
        },
    },
    "loss": {
        "doc": "Added to the loss, aggregated like the policy loss.",
        "formula": "loss + coefficient * sum_i w_i sum_t k_it",
        "source": "GRPO, arXiv:2402.03300",
        "peers": {
            "TRL": "GRPO with beta>0 and use_bias_correction_kl=False, k3",
            "verl": "use_kl_loss, 0.001",
            "OpenRLHF": "use_kl_loss",
        },
    },
    "loss_is": {
        "doc": "Added to the loss, times the token's importance ratio: its on-policy gradient is"
        " that of the KL's expectation.",
        "formula": "loss + coefficient * sum_i w_i sum_t exp(l_it - l_old_it) k_it",
        "source": "DeepSeek-V3.2, arXiv:2512.02556",
        "peers": {
            "TRL": "GRPO with beta>0 (default in 1.16), k3",
            "verl": "none",
            "OpenRLHF": "none",
        },
    },
}

_KL_REFERENCES = {
    "fixed": {
        "doc": "The initial policy.",
        "formula": "l_ref = l_0",
        "source": "GRPO, arXiv:2402.03300",
        "peers": {"TRL": "default", "verl": "default", "OpenRLHF": "default"},
    },
    "reset": {
        "doc": "The policy as it is, every kl_reference_rounds rounds; before that the initial"
        " policy.",
        "formula": "ref <- policy",
        "source": "ProRL, arXiv:2505.24864",
        "peers": {"TRL": "ref_model_mixup_alpha=1", "verl": "none", "OpenRLHF": "none"},
    },
    "ema": {
        "doc": "Mixed with the policy every kl_reference_rounds rounds.",
        "formula": "ref <- a policy + (1 - a) ref, a = kl_reference_mix",
        "source": "TR-DPO, arXiv:2404.09656",
        "peers": {
            "TRL": "sync_ref_model, alpha 0.6 every 512 steps",
            "verl": "none",
            "OpenRLHF": "enable_ema",
        },
    },
    "previous": {
        "doc": "The policy one round ago: KL bounds the step, not the distance from the start.",
        "formula": "l_ref = l of the round before",
        "source": "Mirror descent policy optimisation, arXiv:2005.09814",
        "peers": {"TRL": "none", "verl": "none", "OpenRLHF": "none"},
    },
}


class LossSettings(Part):
    """Ratio, clipping, engine correction, aggregation, KL and entropy: stages that cross freely."""

    ratio_level: RatioName = level_field("ratio_level", "none")
    """Importance ratio of the trained against the generating policy. Source: REINFORCE (none)."""
    clip: ClipName = level_field("clip", "none")
    """What bounds the ratio. Source: REINFORCE (none)."""
    clip_low: float | None = Field(default=None, ge=0, le=10)
    """Half-width of the clip below 1, and above it where a level has one only; null: the level's
    own. Source: the level's paper."""
    clip_high: float | None = Field(default=None, ge=0, le=100)
    """Half-width of the clip above 1 where a level has two; null: the level's own. Source: the
    level's paper."""
    clip_bound: float | None = Field(default=None, gt=0, le=1000)
    """Second bound: c of dual_clip, delta, the largest change of probability of dppo_tv; null: the
    level's own. Source: the level's paper."""
    sapo_positive: float = Field(default=1.0, gt=0, le=100, json_schema_extra=UNSTATED)
    """Temperature of sapo's gate where the advantage is positive. Source: SAPO, arXiv:2511.20347
    (1)."""
    sapo_negative: float = Field(default=1.05, gt=0, le=100, json_schema_extra=UNSTATED)
    """Temperature of sapo's gate where it is not. Source: SAPO, arXiv:2511.20347 (1.05)."""
    vespo_positive_power: float = Field(default=2.0, ge=0, le=100, json_schema_extra=UNSTATED)
    """How fast vespo's weight falls below a ratio of 1 where the advantage is not negative. Source:
    TRL (2)."""
    vespo_positive_decay: float = Field(default=3.0, gt=0, le=100, json_schema_extra=UNSTATED)
    """How fast it falls above 1. Source: TRL (3)."""
    vespo_negative_power: float = Field(default=3.0, ge=0, le=100, json_schema_extra=UNSTATED)
    """How fast vespo's weight falls below 1 where the advantage is negative. Source: TRL (3)."""
    vespo_negative_decay: float = Field(default=2.0, gt=0, le=100, json_schema_extra=UNSTATED)
    """How fast it falls above 1. Source: TRL (2)."""
    log_ratio_penalty: float = Field(default=0.0, ge=0, le=1000, json_schema_extra=UNSTATED)
    """Weight of half the squared log-ratio of the trained against the generating policy, which is
    added to the loss of every token, aggregated like it. Source: DRO, arXiv:2405.19107; prime-rl
    (kl_tau, of the whole square)."""
    off_policy_mask: float | None = Field(default=None, gt=0, le=100, json_schema_extra=UNSTATED)
    """Completions of negative advantage leave the policy loss once their tokens are this many nats
    less probable than when they were drawn, on average; null or none: none do. Source:
    DeepSeek-V3.2, arXiv:2512.02556, eq. 9."""
    mismatch: MismatchName = level_field("mismatch", "off")
    """Correction where the engine samples from another distribution than the trainer scores.
    Source: verl, OpenRLHF (off)."""
    mismatch_low: float | None = Field(default=None, ge=0, le=1)
    """Smallest weight that is not dropped; null: the level's own. Source: the level's paper."""
    mismatch_high: float | None = Field(default=None, ge=1, le=1000)
    """Largest weight that is not cut or dropped; null: the level's own. Source: the level's
    paper."""
    rejection: Rejection = Field(default="none", json_schema_extra=UNSTATED)
    """Whether tokens, or whole completions, on which trainer and engine disagree leave the policy
    loss, beside what `mismatch` weighs: their ratio (k1), half its squared logarithm (k2), k3, or
    the divergence (binary_kl) or difference (tv) of a token's probability. Under mismatch: bypass
    the trainer is the policy as it is trained. Source: verl (rollout_rs), OpenRLHF
    (is_correction_gating)."""
    rejection_bound: float = Field(default=2.0, gt=0, le=1000, json_schema_extra=UNSTATED)
    """Largest distance that is accepted; of k1 the largest ratio, and its reciprocal the smallest.
    Source: verl's examples (2 for k1; 0.01 for k3)."""
    aggregation: AggregationName = level_field("aggregation", "seq_mean_token_sum")
    """How token losses become one loss; denominators span the whole update. Source: the unbiased
    gradient of the expected reward."""
    kl_place: Literal["none", "reward", "loss", "loss_is"] = Field(
        default="none", json_schema_extra=with_levels(_KL_PLACES)
    )
    """Where KL to a reference policy enters. Source: arXiv:2601.22532 (none)."""
    kl_estimator: KlEstimatorName = level_field("kl_estimator", "k3")
    """Estimator of KL per token where it enters. Source: GRPO, arXiv:2402.03300 (k3)."""
    kl_coefficient: float = Field(default=0.05, ge=0, le=100)
    """Weight of the KL term, reward per nat. Source: the default of TRL's RLOOTrainer."""
    kl_reference: Literal["fixed", "reset", "ema", "previous"] = Field(
        default="fixed", json_schema_extra=with_levels(_KL_REFERENCES)
    )
    """The policy that KL is measured against. Source: GRPO, arXiv:2402.03300 (fixed)."""
    kl_reference_rounds: int = Field(default=16, ge=1)
    """Rounds between changes of a reference that is reset or mixed. Source: a run of the shipped
    tiny models (TRL 512 steps)."""
    kl_reference_mix: float = Field(default=0.6, gt=0, le=1)
    """Share of the policy in a mixed reference. Source: TRL."""
    entropy: EntropyName = level_field("entropy", "none")
    """What is done about the policy's entropy. Source: TRL, verl, OpenRLHF (none)."""
    entropy_coefficient: float = Field(default=0.001, ge=0, le=100)
    """Weight of an entropy bonus. Source: verl's examples."""
    entropy_target: float = Field(default=0.2, ge=0, le=100)
    """Mean entropy that an adaptive bonus defends, nats per token. Source: Skywork-OR1."""
    entropy_step: float = Field(default=0.005, gt=0, le=10)
    """Change of the adaptive coefficient per update. Source: Skywork-OR1."""
    entropy_share: float = Field(default=0.2, gt=0, le=1)
    """Share of tokens, the most uncertain ones, that are taught. Source: arXiv:2506.01939."""
    covariance_share: float = Field(default=2e-4, gt=0, le=1, json_schema_extra=UNSTATED)
    """Share of the update's tokens, one at least, that clip_cov drops and kl_cov holds back.
    Source: arXiv:2505.22617 (0.0002)."""
    covariance_low: float = Field(default=1.0, ge=0, le=1000, json_schema_extra=UNSTATED)
    """Smallest covariance at which clip_cov drops a token. Source: arXiv:2505.22617 (1)."""
    covariance_high: float = Field(default=5.0, ge=0, le=1000, json_schema_extra=UNSTATED)
    """Largest covariance at which clip_cov drops a token. Source: arXiv:2505.22617 (5)."""
    covariance_penalty: float = Field(default=1.0, ge=0, le=1000, json_schema_extra=UNSTATED)
    """Weight of the absolute log-ratio of the tokens that kl_cov holds back. Source:
    arXiv:2505.22617 (1)."""

    @field_validator("off_policy_mask", mode="before")
    @classmethod
    def _no_mask_by_name(cls, value: Any) -> Any:
        return None if value == "none" else value
