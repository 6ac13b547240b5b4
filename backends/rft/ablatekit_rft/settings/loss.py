"""From log-probabilities and advantages to one loss."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ablatekit_rft.levels.registry import stage_metadata
from ablatekit_rft.settings.base import Part, with_levels

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
            "TRL": "GRPO with beta>0, k3",
            "verl": "use_kl_loss, 0.001",
            "OpenRLHF": "use_kl_loss",
        },
    },
}


class LossSettings(Part):
    """Aggregation and KL."""

    aggregation: Literal["seq_mean_token_sum", "token_mean", "seq_mean_token_mean", "const_len"] = (
        Field(
            default="seq_mean_token_sum",
            json_schema_extra=with_levels(stage_metadata("aggregation")),
        )
    )
    """How token losses become one loss; denominators span the whole update. Source: the unbiased
    gradient of the expected reward."""
    kl_place: Literal["none", "reward", "loss"] = Field(
        default="none", json_schema_extra=with_levels(_KL_PLACES)
    )
    """Where KL to the initial policy enters. Source: arXiv:2601.22532 (none)."""
    kl_estimator: Literal["k1", "k2", "k3"] = Field(
        default="k3", json_schema_extra=with_levels(stage_metadata("kl_estimator"))
    )
    """Estimator of KL per token where it enters. Source: GRPO, arXiv:2402.03300 (k3)."""
    kl_coefficient: float = Field(default=0.05, ge=0, le=100)
    """Weight of the KL term, reward per nat. Source: the default of TRL's RLOOTrainer."""
