"""Combinations that TRL cannot express, and settings without effect, as data.

Every refusal says what TRL does instead, and that the backend `rft` offers the choice.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ablatekit_rft.levels.stages import Stage
from ablatekit_rft.rules import RULES as RFT_RULES

from ablatekit.backend import (
    Condition,
    Rule,
    Settings,
    at_least,
    below,
    none_of,
    one_of,
)
from ablatekit_trl.settings import LEVELS

RFT = "the backend rft offers it"

WHY: Mapping[Stage, str] = {
    "advantage": "TRL compares rollouts of one query: scale_rewards is group, batch or none, and"
    " RLOOTrainer leaves one out",
    "ratio_level": "TRL weighs by the ratio of tokens or of completions",
    "clip": "no loss_type of TRL bounds the ratio so",
    "aggregation": "no loss_type of TRL adds token losses up so",
    "kl_estimator": "GRPOTrainer estimates KL by k3, RLOOTrainer by k1",
    "entropy": "TRL has a bonus with a constant weight and top_entropy_quantile; its own adaptive"
    " bonus follows another rule than rft's",
    "truncation": "TRL trains on cut completions or masks them: mask_truncated_completions",
    "optimizer": "this backend hands TRL the optimizers adamw and sgd",
    "reward_coding": "TRL's rewards here are 0 and 1, -1 and 1, or -1 and 0",
}
ON_POLICY = {"minibatches": one_of(1), "epochs": one_of(1)}
RATIO_OF_ONE = ("none", "ppo", "clip_higher", "delta", "gspo")
"""Clips that leave a ratio of 1 as it is."""
OWN_AGGREGATION = {
    "cispo": "token_mean",
    "vespo": "token_mean",
    "sapo": "seq_mean_token_mean",
}
"""Clips that are loss types of their own, with the aggregation that belongs to them."""

SHARED = {
    "probe_outside_train_set",
    "examples_from_the_train_set",
    "more_points_than_rounds",
    "greedy_group",
    "tiny_model_in_a_chat",
    "unwritable_evaluation_stop",
    "second_bound_below_one",
    "no_warmup_to_fall_from",
    "floor_of_all",
    "no_adapters",
    "lost_updates",
    "adapters_want_their_own_rate",
    "no_weight_no_kl",
    "no_weight_no_bonus",
    "all_tokens",
    "const_len_scales_sum",
    "rloo_scales_group_mean",
    "unused_entropy_coefficient",
    "unused_entropy_share",
    *(f"unused_clip_{bound}" for bound in ("low", "high", "bound")),
    *(f"own_clip_{bound}_{clip}" for bound in ("low", "high", "bound") for clip in LEVELS["clip"]),
}
"""rft's rules that hold of TRL's trainers, too, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Indivisible(Condition):
    """The setting times `times` is no multiple of the product of `by`."""

    times: tuple[str, ...]
    by: tuple[str, ...]

    @property
    def compared(self) -> tuple[str, ...]:
        """The other settings that the value is compared with."""
        return (*self.times, *self.by)

    def holds(self, value: int, settings: Settings) -> bool:
        """Whether a rest is left."""
        whole = value * math.prod(int(settings[name]) for name in self.times)
        return whole % math.prod(int(settings[name]) for name in self.by) != 0


def _refused_levels() -> Iterator[Rule]:
    for stage, levels in LEVELS.items():
        # What an on-policy run merges with a level that TRL has is refused off-policy alone.
        neutral = ("none",) if stage in ("clip", "ratio_level") else ()
        yield Rule(
            name=f"no_such_{stage}",
            kind="invalid",
            when={stage: none_of(*levels, *neutral)},
            why=f"{WHY[stage]}; {RFT}",
            remedy=f"Set {stage} to one of {', '.join(levels)}, or backend.name: rft",
        )


def _unbounded_ratio() -> Iterator[Rule]:
    for name, to in (("ratio_level", "token"), ("clip", "ppo")):
        yield Rule(
            name=f"on_policy_{name}",
            kind="alias",
            when={**ON_POLICY, name: one_of("none")},
            then={name: to},
            why="with one update per round every ratio is 1, and TRL's is, too",
        )
        for reuse in ("minibatches", "epochs"):
            yield Rule(
                name=f"{reuse}_without_{name}",
                kind="invalid",
                when={reuse: at_least(2), name: one_of("none")},
                why=f"TRL's losses always have a bounded ratio where rollouts are trained on more"
                f" than once; {RFT}",
                remedy=f"Set {name}: {to}",
            )


def _of_one_aggregation() -> Iterator[Rule]:
    for clip, aggregation in OWN_AGGREGATION.items():
        yield Rule(
            name=f"{clip}_aggregation",
            kind="invalid",
            when={
                "advantage": none_of("rloo"),
                "clip": one_of(clip),
                "aggregation": none_of(aggregation),
            },
            why=f"loss_type='{clip}' is one loss of TRL, aggregation included; {RFT}",
            remedy=f"Set aggregation: {aggregation}",
        )


def _budget_rules() -> Iterator[Rule]:
    yield Rule(
        name="one_rollout",
        kind="invalid",
        when={"rollouts": below(2)},
        why="TRL needs num_generations of 2 or more: its advantages compare the rollouts of a query"
        f" with each other, and a single one has none; {RFT}, with advantage: none, batch_norm and"
        " others",
        remedy="Set rollouts to 2 or more, or backend.name: rft",
    )
    yield Rule(
        name="indivisible_round",
        kind="invalid",
        when={
            "rollouts": Indivisible(
                times=("queries_per_round",), by=("minibatches", "gradient_accumulation")
            )
        },
        why="TRL cuts a round of queries_per_round x rollouts into equal batches of"
        " per_device_train_batch_size: minibatches x gradient_accumulation of them",
        remedy="Change minibatches, gradient_accumulation, rollouts or queries_per_round",
    )
    yield Rule(
        name="tokens_as_budget",
        kind="invalid",
        when={"budget.unit": one_of("generated_tokens")},
        why=f"TRL's length of training is max_steps, fixed before the first token is drawn; {RFT}",
        remedy="Set budget.unit: rounds or samples",
    )


def _trainer_rules() -> Iterator[Rule]:
    yield Rule(
        name="auto_is_rloo",
        kind="alias",
        when={"trainer": one_of("auto"), "advantage": one_of("rloo")},
        then={"trainer": "rloo"},
        why="RLOOTrainer computes the leave-one-out advantage",
    )
    yield Rule(
        name="auto_is_grpo",
        kind="alias",
        when={"trainer": one_of("auto"), "advantage": none_of("rloo")},
        then={"trainer": "grpo"},
        why="GRPOTrainer computes advantages within groups",
    )
    yield Rule(
        name="grpo_without_rloo",
        kind="invalid",
        when={"trainer": one_of("grpo"), "advantage": one_of("rloo")},
        why="GRPOTrainer has no leave-one-out advantage",
        remedy="Set trainer: rloo or auto",
    )
    yield Rule(
        name="rloo_of_its_own",
        kind="invalid",
        when={"trainer": one_of("rloo"), "advantage": none_of("rloo")},
        why=f"RLOOTrainer has one advantage, the leave-one-out one; {RFT} with any loss",
        remedy="Set advantage: rloo, or trainer: grpo or auto",
    )


def _rloo_rules() -> Iterator[Rule]:
    rloo, grpo = {"advantage": one_of("rloo")}, {"advantage": none_of("rloo")}
    yield Rule(
        name="rloo_loss",
        kind="inert",
        when=rloo,
        then={"ratio_level": "sequence_sum", "aggregation": "seq_mean_token_sum"},
        why="RLOOTrainer weighs whole completions, and takes the mean over them",
    )
    yield Rule(
        name="rloo_clip",
        kind="invalid",
        when={**rloo, "clip": none_of("none", "ppo", "clip_higher")},
        why=f"RLOOTrainer has epsilon and epsilon_high only; {RFT}",
        remedy="Set clip: ppo or clip_higher",
    )
    yield Rule(
        name="sequence_sum_is_of_rloo",
        kind="invalid",
        when={**grpo, "clip": none_of("vespo"), "ratio_level": one_of("sequence_sum")},
        why="GRPOTrainer's importance_sampling_level='sequence' is the mean over a completion's"
        f" tokens, not their product; {RFT}",
        remedy="Set ratio_level: sequence",
    )
    yield Rule(
        name="vespo_ratio",
        kind="inert",
        when={**grpo, "clip": one_of("vespo")},
        then={"ratio_level": "sequence_sum"},
        why="loss_type='vespo' has a weight of whole completions",
    )
    for name, off in (("entropy", "none"), ("off_policy_mask", None)):
        yield Rule(
            name=f"rloo_without_{name}",
            kind="invalid",
            when={**rloo, name: none_of(off)},
            why=f"RLOOTrainer has no such argument; GRPOTrainer has, and {RFT}",
            remedy=f"Set {name}: none",
        )
    yield Rule(
        name="rloo_kl_place",
        kind="invalid",
        when={**rloo, "kl_place": one_of("loss", "loss_is")},
        why=f"RLOOTrainer's beta is in the reward; {RFT}",
        remedy="Set kl_place: reward",
    )
    yield Rule(
        name="grpo_kl_place",
        kind="invalid",
        when={**grpo, "kl_place": one_of("reward")},
        why=f"GRPOTrainer's beta is in the loss; {RFT}",
        remedy="Set kl_place: loss or loss_is",
    )


def _kl_rules() -> Iterator[Rule]:
    for places, estimator in ((("reward",), "k1"), (("loss", "loss_is"), "k3")):
        yield Rule(
            name=f"{estimator}_alone",
            kind="invalid",
            when={"kl_place": one_of(*places), "kl_estimator": none_of(estimator)},
            why=f"{WHY['kl_estimator']}; {RFT}",
            remedy=f"Set kl_estimator: {estimator}",
        )
    yield Rule(
        name="no_kl",
        kind="inert",
        when={"kl_place": one_of("none")},
        then={"kl_estimator": "k3", "kl_coefficient": 0.05},
        why="without a KL term its estimator and weight have no effect",
    )


def _parameter_rules() -> Iterator[Rule]:
    yield Rule(
        name="another_eps",
        kind="invalid",
        when={
            "advantage": one_of("group_norm", "group_mean_batch_std"),
            "advantage_eps": none_of(1e-4),
        },
        why=f"TRL adds 1e-4 to the standard deviation, and has no argument for it; {RFT}",
        remedy="Set advantage_eps: 1e-4, in both backends where they are compared",
    )
    yield Rule(
        name="eps_without_deviation",
        kind="inert",
        when={"advantage": one_of("group_mean", "rloo")},
        then={"advantage_eps": 1e-4},
        why="this advantage divides by no standard deviation",
    )
    yield Rule(
        name="ratio_of_one",
        kind="inert",
        when={**ON_POLICY, "clip": one_of(*RATIO_OF_ONE)},
        then={"clip": "ppo", "clip_low": None, "clip_high": None, "clip_bound": None},
        why="with one update per round every ratio is 1: its bounds stop nothing",
    )
    yield Rule(
        name="linear_to_zero",
        kind="invalid",
        when={"lr_schedule": one_of("linear"), "lr_floor": none_of(0.0)},
        why=f"lr_scheduler_type='linear' falls to 0; {RFT}",
        remedy="Set lr_floor: 0, or lr_schedule: cosine",
    )
    yield Rule(
        name="floor_of_nothing",
        kind="inert",
        when={"lr_schedule": one_of("constant", "inverse_sqrt")},
        then={"lr_floor": 0.0},
        why="this schedule has no floor",
    )


def _of_rft() -> Iterator[Rule]:
    """rft's rules on what both backends read alike."""
    return (rule for rule in RFT_RULES if rule.name in SHARED)


RULES = (
    *_of_rft(),
    *_budget_rules(),
    *_refused_levels(),
    *_trainer_rules(),
    *_rloo_rules(),
    *_unbounded_ratio(),
    *_of_one_aggregation(),
    *_kl_rules(),
    *_parameter_rules(),
)
