"""Every setting of a run: meaning, unit, bounds, default and source. Imports no torch.

The defaults are the minimalist reference of arXiv:2601.22532: one rollout per query, raw 0/1
reward, no advantage, 32 queries, one on-policy update per round, no KL. What its abstract does not
fix (aggregation, learning rate, clipping) is our completion of it, and each is a setting too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator

from ablatekit_rft.levels.registry import stage_metadata

_CONFIG = ConfigDict(
    extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
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
            "TRL": "GRPO with beta>0, k3",
            "verl": "use_kl_loss, 0.001",
            "OpenRLHF": "use_kl_loss",
        },
    },
}

_SCHEDULES = {
    "constant": {
        "doc": "The learning rate stays: the curve does not depend on the planned budget.",
        "formula": "lr",
        "source": "Reference",
        "peers": {"TRL": "lr_scheduler_type", "verl": "default", "OpenRLHF": "constant"},
    },
    "linear": {
        "doc": "Falls linearly to 0 at the end of the budget.",
        "formula": "lr (1 - f), f the spent fraction of the budget after warm-up",
        "source": "The default of transformers",
        "peers": {"TRL": "default", "verl": "none", "OpenRLHF": "linear"},
    },
    "cosine": {
        "doc": "Falls to 0 at the end of the budget along half a cosine.",
        "formula": "lr (1 + cos(pi f)) / 2, f the spent fraction of the budget after warm-up",
        "source": "SGDR, arXiv:1608.03983",
        "peers": {"TRL": "cosine", "verl": "cosine", "OpenRLHF": "cosine_with_min_lr (default)"},
    },
}


def _levels(levels: dict[str, Any]) -> dict[str, Any]:
    return {"levels": levels}


class _Part(BaseModel):
    model_config = _CONFIG

    @field_validator("*", mode="before")
    @classmethod
    def _no_setting_is_a_truth_value(cls, value: Any) -> Any:
        if isinstance(value, bool):
            raise ValueError("must not be true or false")
        return value


class Budget(_Part):
    """What a run may spend; schedules and evaluation points follow its unit.

    A round is never cut: the run ends with the round that reaches the amount.
    """

    unit: Literal["rounds", "samples", "generated_tokens"] = "rounds"
    """What is counted: rounds (updates), training rollouts, or training tokens generated."""
    amount: int = Field(default=60, ge=1)
    """How many of them. Source: a run of the shipped tiny models in seconds."""


class Evaluation(_Part):
    """When and on how many items a run is evaluated; decoding is fixed by protocol.

    Sampled at temperature 1, whatever the training temperature, with draws common to all runs of a
    context.
    """

    points: int = Field(default=6, ge=1, le=1000)
    """Evaluations after the one at step 0, equally spaced over the budget; the last is its end."""
    probe_items: int = Field(default=256, ge=1)
    """Items of the train probe: the first of the train set, so inside every larger one."""
    test_items: int = Field(default=512, ge=1)
    """Test items, disjoint from every train set."""
    samples: int = Field(default=1, ge=1, le=256)
    """Completions sampled for each item."""
    intermediate_fraction: float = Field(default=0.25, gt=0, le=1)
    """Share of the items, a fixed subset, at points between step 0 and the end, which use all."""


class RftSettings(_Part):
    """Settings of reinforcement fine-tuning with a verifiable reward."""

    model: str = Field(default="tiny-llama", min_length=1)
    """Base model: a shipped name, a Hugging Face directory, or a name on the hub, `owner/name` or
    `owner/name@revision`."""
    dataset: str = Field(default="letter-sort", min_length=1)
    """Task: queries, their verifier, and the split into train and test items."""

    advantage: Literal["none", "batch_mean", "batch_norm", "group_mean", "group_norm", "rloo"] = (
        Field(default="none", json_schema_extra=_levels(stage_metadata("advantage")))
    )
    """What a rollout's reward is compared with. Source: arXiv:2601.22532 (none)."""
    rollouts: int = Field(default=1, ge=1, le=1024)
    """Rollouts per query in a round. Source: arXiv:2601.22532 (1)."""
    queries_per_round: int = Field(default=32, ge=1, le=65_536)
    """Queries in a round, drawn without replacement until the train set is used up, which
    starts the next epoch. Source: arXiv:2601.22532 (32)."""
    aggregation: Literal["seq_mean_token_sum", "token_mean", "seq_mean_token_mean", "const_len"] = (
        Field(
            default="seq_mean_token_sum", json_schema_extra=_levels(stage_metadata("aggregation"))
        )
    )
    """How token losses become one loss; denominators span the whole update. Source: the unbiased
    gradient of the expected reward."""
    kl_place: Literal["none", "reward", "loss"] = Field(
        default="none", json_schema_extra=_levels(_KL_PLACES)
    )
    """Where KL to the initial policy enters. Source: arXiv:2601.22532 (none)."""
    kl_estimator: Literal["k1", "k2", "k3"] = Field(
        default="k3", json_schema_extra=_levels(stage_metadata("kl_estimator"))
    )
    """Estimator of KL per token where it enters. Source: GRPO, arXiv:2402.03300 (k3)."""
    kl_coefficient: float = Field(default=0.05, ge=0, le=100)
    """Weight of the KL term, reward per nat. Source: the default of TRL's RLOOTrainer."""
    reward_coding: Literal["01", "pm1", "neg"] = Field(
        default="01", json_schema_extra=_levels(stage_metadata("reward_coding"))
    )
    """Reward of a correct and of a wrong completion. Source: arXiv:2601.22532 (1 and 0)."""

    learning_rate: float = Field(default=1e-4, ge=0, le=10)
    """Step size of the optimizer; 0 trains nothing (a negative control). Source: fits the
    shipped tiny models; large models want about 1e-6 (TRL, verl, OpenRLHF)."""
    optimizer: Literal["adamw", "adamw_b95", "sgd"] = Field(
        default="adamw", json_schema_extra=_levels(stage_metadata("optimizer"))
    )
    """Update rule. Source: the default of TRL and verl."""
    weight_decay: float = Field(default=0.0, ge=0, le=10)
    """Decoupled decay of weight matrices per unit of learning rate. Source: TRL, OpenRLHF (0; verl
    0.01)."""
    grad_clip: float | None = Field(default=1.0, gt=0)
    """Largest L2 norm of an update's gradient; null or none: not clipped. Source: TRL, verl and
    OpenRLHF (1)."""
    lr_schedule: Literal["constant", "linear", "cosine"] = Field(
        default="constant", json_schema_extra=_levels(_SCHEDULES)
    )
    """Course of the learning rate over the budget. Source: verl (constant)."""
    warmup_fraction: float = Field(default=0.0, ge=0, lt=1)
    """Share of the budget over which the learning rate rises linearly from 0. Source: TRL, verl."""

    temperature: float = Field(default=1.0, gt=0, le=10)
    """Temperature of training rollouts and of the policy that is trained. Source: TRL, verl,
    OpenRLHF (1)."""
    train_items: int = Field(default=256, ge=1)
    """Size of the train set: the first items of the context's train order, so that smaller sets lie
    inside larger ones."""
    max_new_tokens: int | None = Field(default=None, ge=1, le=131_072)
    """Longest completion in tokens; null: the task's own limit."""
    budget: Budget = Field(default_factory=Budget)
    """What a run may spend."""
    evaluation: Evaluation = Field(default_factory=Evaluation)
    """How a run is evaluated."""
    micro_batch_tokens: int = Field(default=65_536, ge=1)
    """Most tokens, padding included, in one forward and backward pass; bounds memory, and gradients
    are equal up to rounding."""

    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", json_schema_extra={"execution": True}
    )
    """Where a run computes; auto is the GPU where there is one."""
    threads: int = Field(default=1, ge=1, le=1024, json_schema_extra={"execution": True})
    """Threads of torch in a run; a model below 10 million weights is computed by one."""

    @field_validator("reward_coding", mode="before")
    @classmethod
    def _unquoted_zero_one(cls, value: Any) -> Any:
        # YAML reads an unquoted 01 as the integer 1.
        return "01" if type(value) in (int, float) and value == 1 else value

    @field_validator("grad_clip", mode="before")
    @classmethod
    def _no_clipping_by_name(cls, value: Any) -> Any:
        return None if value == "none" else value

    @classmethod
    def from_dotted(cls, settings: Mapping[str, Any]) -> Self:
        """Settings from values by dotted name (`budget.unit`); what is not named has its default.

        Raises pydantic.ValidationError for unknown names and values out of bounds.
        """
        nested: dict[str, Any] = {}
        for name, value in settings.items():
            part, _, rest = name.partition(".")
            if rest:
                nested.setdefault(part, {})[rest] = value
            else:
                nested[part] = value
        return cls.model_validate(nested)
