"""Every setting of a run, by its name in the backend `rft`, and the TRL argument that it becomes.

Model, data, prompts, verifier, budget and evaluation are rft's own settings. A choice has rft's
values, those that TRL cannot express too: `rules` refuses them with the reason. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from ablatekit_rft.levels.registry import stage_metadata
from ablatekit_rft.levels.stages import Stage
from ablatekit_rft.settings import RftSettings
from ablatekit_rft.settings.base import with_levels
from ablatekit_rft.settings.data import DataSettings
from ablatekit_rft.settings.levels import (
    AdvantageName,
    AggregationName,
    ClipName,
    EntropyName,
    KlEstimatorName,
    OptimizerName,
    RatioName,
    RewardCodingName,
    TruncationName,
)
from ablatekit_rft.settings.protocol import ProtocolSettings
from ablatekit_rft.settings.synonyms import SYNONYMS
from pydantic import Field, field_validator

LEVELS: Mapping[Stage, tuple[str, ...]] = {
    "advantage": ("group_norm", "group_mean_batch_std", "group_mean", "rloo"),
    "ratio_level": ("token", "sequence", "sequence_sum"),
    "clip": ("ppo", "clip_higher", "delta", "gspo", "cispo", "sapo", "vespo"),
    "aggregation": ("token_mean", "seq_mean_token_mean", "seq_mean_token_sum", "const_len"),
    "kl_estimator": ("k3", "k1"),
    "entropy": ("none", "bonus", "top_tokens"),
    "truncation": ("as_is", "mask"),
    "optimizer": ("adamw", "adamw_b95", "sgd"),
    "reward_coding": ("01", "pm1", "neg"),
}
"""What TRL's trainers can express of the levels of each stage."""

TRL_NAMES: Mapping[str, str] = {
    "generation_batch_size": "queries_per_round",
    "steps_per_generation": "minibatches",
    "bf16": "precision",
    "gradient_accumulation_steps": "gradient_accumulation",
    "per_device_train_batch_size": "gradient_accumulation",
    "reward_funcs": "verifier",
    "loss_type": "aggregation",
    "off_policy_mask_threshold": "off_policy_mask",
    "max_steps": "budget.amount",
    "top_entropy_quantile": "entropy_share",
    "algorithm": "trainer",
}
"""Arguments of TRL that are another setting here than what other trainers call so."""


def _level(stage: Stage, default: str) -> Any:
    """A setting that names a level of `stage`, with what is documented about TRL's."""
    known = stage_metadata(stage)
    offered = {name: known[name] for name in LEVELS[stage]}
    return Field(default=default, json_schema_extra=with_levels(offered))


class TrlSettings(ProtocolSettings, DataSettings):
    """Settings of TRL's trainers by their names in the backend `rft`."""

    other_names: ClassVar[Mapping[str, str]] = {**SYNONYMS, **TRL_NAMES}

    trainer: Literal["auto", "grpo", "rloo"] = "auto"
    """GRPOTrainer or RLOOTrainer; auto: RLOOTrainer where `advantage` is rloo."""

    rollouts: int = Field(default=8, ge=1, le=1024)
    """Rollouts per query in a round. TRL: num_generations (8)."""
    queries_per_round: int = Field(default=16, ge=1, le=65_536)
    """Queries in a round. TRL: generation_batch_size / num_generations."""
    minibatches: int = Field(default=1, ge=1, le=1024)
    """Optimizer steps per pass over a round's rollouts. TRL: steps_per_generation /
    gradient_accumulation_steps."""
    epochs: int = Field(default=1, ge=1, le=64)
    """Passes over a round's rollouts. TRL: num_iterations (1)."""
    gradient_accumulation: int = Field(default=1, ge=1, le=65_536)
    """Forward and backward passes of an optimizer step; bounds memory. TRL:
    gradient_accumulation_steps; per_device_train_batch_size is what a pass holds."""

    reward_coding: RewardCodingName = _level("reward_coding", "01")
    """Reward of a correct and of a wrong completion. TRL: reward_funcs."""
    truncation: TruncationName = _level("truncation", "as_is")
    """What becomes of completions cut at the length limit. TRL: mask_truncated_completions
    (as_is)."""
    advantage: AdvantageName = _level("advantage", "group_norm")
    """What a rollout's reward is compared with. TRL: scale_rewards group (group_norm), batch
    (group_mean_batch_std) or none (group_mean); RLOOTrainer (rloo)."""
    advantage_eps: float = Field(default=1e-4, gt=0, le=1)
    """Added to a standard deviation that an advantage divides by. TRL: 1e-4, written into its
    trainers."""

    ratio_level: RatioName = _level("ratio_level", "token")
    """Importance ratio of the trained against the generating policy. TRL:
    importance_sampling_level; RLOOTrainer has the completion's own (sequence_sum)."""
    clip: ClipName = _level("clip", "ppo")
    """What bounds the ratio. TRL: loss_type, epsilon_high (clip_higher), delta."""
    clip_low: float | None = Field(default=None, ge=0, le=10)
    """Half-width of the clip below 1; null: the level's own. TRL: epsilon (0.2)."""
    clip_high: float | None = Field(default=None, ge=0, le=100)
    """Half-width of the clip above 1; null: the level's own. TRL: epsilon_high; of cispo 1 less."""
    clip_bound: float | None = Field(default=None, gt=0, le=1000)
    """Largest ratio of the unclipped branch; null: the level's own. TRL: delta."""
    off_policy_mask: float | None = Field(default=None, gt=0, le=100)
    """Completions of negative advantage leave the policy loss once their tokens are this many nats
    less probable than when they were drawn; null or none: none do. TRL:
    off_policy_mask_threshold."""
    aggregation: AggregationName = _level("aggregation", "token_mean")
    """How token losses become one loss. TRL: loss_type dapo (token_mean), grpo
    (seq_mean_token_mean), dr_grpo (const_len) or luspo (seq_mean_token_sum); cispo, vespo
    (token_mean) and sapo (seq_mean_token_mean) have one each."""
    kl_place: Literal["none", "reward", "loss", "loss_is"] = "none"
    """Where KL to the initial policy enters. TRL: beta; RLOOTrainer's is in the reward,
    GRPOTrainer's in the loss, under loss_is with use_bias_correction_kl (its default)."""
    kl_estimator: KlEstimatorName = _level("kl_estimator", "k3")
    """Estimator of KL per token. TRL: k3 in GRPOTrainer, k1 in RLOOTrainer."""
    kl_coefficient: float = Field(default=0.05, ge=0, le=100)
    """Weight of the KL term. TRL: beta (0.05 in RLOOTrainer, 0 in GRPOTrainer)."""
    entropy: EntropyName = _level("entropy", "none")
    """What is done about the policy's entropy. TRL: entropy_coef (bonus), top_entropy_quantile
    (top_tokens)."""
    entropy_coefficient: float = Field(default=0.001, ge=0, le=100)
    """Weight of an entropy bonus. TRL: entropy_coef."""
    entropy_share: float = Field(default=0.2, gt=0, le=1)
    """Share of tokens, the most uncertain ones, that are taught. TRL: top_entropy_quantile."""

    learning_rate: float = Field(default=1e-4, ge=0, le=10)
    """Step size of the optimizer. TRL: learning_rate (1e-6, for large models)."""
    optimizer: OptimizerName = _level("optimizer", "adamw")
    """Update rule. TRL: optim; adamw_b95 is adam_beta2=0.95."""
    weight_decay: float = Field(default=0.0, ge=0, le=10)
    """Decoupled decay of weight matrices. TRL: weight_decay (0)."""
    grad_clip: float | None = Field(default=1.0, gt=0)
    """Largest L2 norm of an update's gradient; null or none: not clipped. TRL: max_grad_norm
    (1)."""
    lr_schedule: Literal["constant", "linear", "cosine", "inverse_sqrt"] = "constant"
    """Course of the learning rate over the budget. TRL: lr_scheduler_type (linear)."""
    lr_floor: float = Field(default=0.0, ge=0, le=1)
    """What a cosine falls to, as a share of the learning rate. TRL: cosine_with_min_lr with
    min_lr_rate."""
    warmup_fraction: float = Field(default=0.0, ge=0, lt=1)
    """Share of the updates over which the learning rate rises from 0. TRL: warmup_steps."""
    precision: Literal["fp32", "bf16_autocast", "bf16"] = "fp32"
    """Number format of weights and computation. TRL: bf16=True (its default) is bf16_autocast."""
    lora_rank: int | None = Field(default=None, ge=1, le=4096)
    """Rank of low-rank adapters on every linear layer; null or none: all weights are trained. TRL:
    a model of peft."""
    lora_alpha: int = Field(default=32, ge=1, le=4096)
    """Scale of adapters: alpha / rank. TRL: lora_alpha of peft."""

    temperature: float = Field(default=1.0, gt=0, le=10)
    """Temperature of training rollouts and of the policy that is trained. TRL: temperature (1)."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """Training rollouts draw from the smallest set of most probable tokens with at least this
    probability. TRL: top_p (1)."""
    top_k: int = Field(default=0, ge=0, le=1_000_000)
    """Training rollouts draw from this many most probable tokens; 0: from all. TRL: top_k (0)."""
    min_p: float = Field(default=0.0, ge=0, lt=1)
    """Training rollouts draw from tokens with at least this share of the most probable one's
    probability. TRL: min_p (off)."""
    max_new_tokens: int | None = Field(default=None, ge=1, le=131_072)
    """Longest completion in tokens; null: the task's own limit. TRL: max_completion_length."""

    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", json_schema_extra={"execution": True}
    )
    """Where a run computes; auto is the GPU where there is one. TRL: use_cpu."""
    gpu_share: float = Field(default=1.0, gt=0, le=1, json_schema_extra={"execution": True})
    """Share of a GPU that a run occupies where it computes on one."""
    threads: int = Field(default=1, ge=1, le=1024, json_schema_extra={"execution": True})
    """Threads of torch in a run; a model below 10 million weights is computed by one."""

    @field_validator("grad_clip", "lora_rank", "off_policy_mask", mode="before")
    @classmethod
    def _nothing_by_name(cls, value: Any) -> Any:
        return None if value == "none" else value

    @field_validator("reward_coding", mode="before")
    @classmethod
    def _unquoted_zero_one(cls, value: Any) -> Any:
        # YAML reads an unquoted 01 as the integer 1.
        return "01" if type(value) in (int, float) and value == 1 else value

    @classmethod
    def from_dotted(cls, settings: Mapping[str, Any]) -> Self:
        """Settings from values by dotted name; what is not named has its default.

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

    def as_rft(self) -> RftSettings:
        """rft's settings with these values: what reads prompts, items, draws and verdicts."""
        shared = RftSettings.model_fields.keys() & type(self).model_fields.keys()
        return RftSettings.model_validate({**self.model_dump(include=shared), "engine": "policy"})

    @property
    def uses_rloo(self) -> bool:
        """Whether RLOOTrainer trains."""
        return self.trainer == "rloo" or (self.trainer == "auto" and self.advantage == "rloo")

    @property
    def samples_per_round(self) -> int:
        """Rollouts of a round: TRL's generation_batch_size."""
        return self.queries_per_round * self.rollouts

    @property
    def updates_per_round(self) -> int:
        """Optimizer steps of a round."""
        return self.minibatches * self.epochs

    @property
    def rounds(self) -> int:
        """Rounds that the budget pays for; a round is never cut."""
        if self.budget.unit == "rounds":
            return self.budget.amount
        return -(-self.budget.amount // self.samples_per_round)
