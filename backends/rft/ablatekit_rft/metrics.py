"""Every metric that a run reports, by name: the loop logs these constants and nothing else.

A metric is logged at the step of the round (updates done so far); evaluation metrics only at
evaluation points. "Round" statistics describe the rollouts of one round, before its update.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ablatekit.records import MetricSpec

if TYPE_CHECKING:
    from ablatekit_rft.settings import RftSettings

TRAIN_PASS = "train/pass@1"
TEST_PASS = "test/pass@1"
TRAIN_GREEDY = "train/greedy_pass@1"
TEST_GREEDY = "test/greedy_pass@1"
TRAIN_LENGTH = "train/length"
TEST_LENGTH = "test/length"
TRAIN_TRUNCATED = "train/truncated"
TEST_TRUNCATED = "test/truncated"

UPDATES = "cost/updates"
SAMPLES = "cost/samples"
GENERATED_TOKENS = "cost/generated_tokens"
SECONDS = "cost/seconds"

CORRECT = "reward/correct"
REWARD_MEAN = "reward/mean"
REWARD_STD = "reward/std"
REWARD_KL = "reward/kl"
UNIFORM_GROUPS = "reward/uniform_groups"
ADVANTAGE_MEAN = "advantage/mean"
ADVANTAGE_STD = "advantage/std"
ADVANTAGE_NONZERO = "advantage/nonzero"
ENTROPY = "policy/entropy"
KL_INIT = "policy/kl_init"
GRAD_NORM = "policy/grad_norm"
GRAD_CLIPPED = "policy/grad_clipped"
LEARNING_RATE = "policy/learning_rate"
LOSS_POLICY = "loss/policy"
LOSS_KL = "loss/kl"
LENGTH_MEAN = "length/mean"
LENGTH_MAX = "length/max"
TRUNCATED = "length/truncated"

TIME_GENERATE = "time/generate"
TIME_REWARD = "time/reward"
TIME_SCORE = "time/score"
TIME_TRAIN = "time/train"
EVALUATED = "evaluation/share"
TIME_EVALUATE = "time/evaluate"


def _evaluation(settings: RftSettings) -> tuple[MetricSpec, ...]:
    evaluation = settings.evaluation
    share = evaluation.intermediate_fraction
    partial = share < 1 and evaluation.points > 1
    between = f"; between step 0 and the end on the first {share:.0%} of them" if partial else ""
    sampled = f"sampled at temperature 1 with common draws{between}"
    return (
        MetricSpec(
            name=TRAIN_PASS,
            direction="higher",
            unit="fraction",
            role="learning",
            doc=f"Pass@1 on the items of the fixed train probe, {sampled}",
            partial=partial,
            items="train",
        ),
        MetricSpec(
            name=TEST_PASS,
            direction="higher",
            unit="fraction",
            role="generalization",
            doc=f"Pass@1 on the fixed test items, {sampled}",
            partial=partial,
            items="test",
        ),
        _greedy(TRAIN_GREEDY, "train probe", "train/greedy"),
        _greedy(TEST_GREEDY, "test items", "test/greedy"),
        _watched(EVALUATED, "fraction", "Share of the items that this evaluation used", "higher"),
        *(replace(one, partial=partial) for one in _completions()),
    )


def _greedy(name: str, items: str, split: str) -> MetricSpec:
    doc = f"Pass@1 of greedy decoding, {items}, at step 0 and the end"
    return replace(_watched(name, "fraction", doc, "higher"), items=split)


def _completions() -> tuple[MetricSpec, ...]:
    return (
        _watched(TRAIN_LENGTH, "tokens", "Mean completion length, train probe"),
        _watched(TEST_LENGTH, "tokens", "Mean completion length, test items"),
        _watched(TRAIN_TRUNCATED, "fraction", "Completions cut at the length limit, train probe"),
        _watched(TEST_TRUNCATED, "fraction", "Completions cut at the length limit, test items"),
        _watched(
            KL_INIT,
            "nats/completion",
            "KL(policy || initial policy): k3 summed over the tokens of the train probe's"
            " evaluation completions",
        ),
    )


def _costs() -> tuple[MetricSpec, ...]:
    return (
        _cost(UPDATES, "updates", "Optimizer steps so far"),
        _cost(SAMPLES, "rollouts", "Training rollouts generated so far"),
        _cost(GENERATED_TOKENS, "tokens", "Training tokens generated so far, EOS included"),
        _cost(SECONDS, "s", "Seconds spent so far, evaluation included", repeatable=False),
    )


def _round() -> tuple[MetricSpec, ...]:
    return (
        _watched(CORRECT, "fraction", "Correct rollouts of the round", "higher"),
        _watched(REWARD_MEAN, "reward", "Mean reward that enters the advantage", "higher"),
        _watched(REWARD_STD, "reward", "Standard deviation (n-1) of that reward"),
        _watched(UNIFORM_GROUPS, "fraction", "Queries whose rollouts all have one outcome"),
        _watched(ADVANTAGE_MEAN, "advantage", "Mean advantage"),
        _watched(ADVANTAGE_STD, "advantage", "Standard deviation (n-1) of the advantage"),
        _watched(ADVANTAGE_NONZERO, "fraction", "Rollouts with an advantage other than zero"),
        _watched(ENTROPY, "nats/token", "Mean entropy of the full softmax at sampled positions"),
        _watched(GRAD_NORM, "", "Global L2 norm of the gradient before clipping"),
        _watched(GRAD_CLIPPED, "fraction", "1 when the update's gradient was clipped, else 0"),
        _watched(LEARNING_RATE, "", "Learning rate of the update"),
        _watched(LOSS_POLICY, "", "Policy loss, aggregated"),
        _watched(LENGTH_MEAN, "tokens", "Mean completion length"),
        _watched(LENGTH_MAX, "tokens", "Longest completion"),
        _watched(TRUNCATED, "fraction", "Completions cut at the length limit", "lower"),
    )


def _times() -> tuple[MetricSpec, ...]:
    return (
        _time(TIME_GENERATE, "generating rollouts"),
        _time(TIME_REWARD, "verifying rollouts"),
        _time(TIME_TRAIN, "forward, backward and optimizer"),
        _time(TIME_EVALUATE, "evaluation"),
    )


def _kl(settings: RftSettings) -> tuple[MetricSpec, ...]:
    terms = {
        "none": (),
        "reward": (_watched(REWARD_KL, "nats/completion", "Mean KL estimate in the reward"),),
        "loss": (_watched(LOSS_KL, "", "KL loss before its coefficient, aggregated"),),
    }[settings.kl_place]
    return (*terms, _time(TIME_SCORE, "reference log-probabilities")) if terms else ()


def metric_specs(settings: RftSettings) -> tuple[MetricSpec, ...]:
    """What a run with these settings reports; KL terms only where a KL term exists."""
    return (*_evaluation(settings), *_costs(), *_round(), *_times(), *_kl(settings))


def _watched(name: str, unit: str, doc: str, direction: str = "lower") -> MetricSpec:
    return MetricSpec(
        name=name, direction="higher" if direction == "higher" else "lower", unit=unit, doc=doc
    )


def _cost(name: str, unit: str, doc: str, *, repeatable: bool = True) -> MetricSpec:
    return MetricSpec(
        name=name, direction="lower", unit=unit, role="cost", repeatable=repeatable, doc=doc
    )


def _time(name: str, phase: str) -> MetricSpec:
    return MetricSpec(
        name=name,
        direction="lower",
        unit="s",
        repeatable=False,
        doc=f"Seconds of the round spent on {phase}",
    )
