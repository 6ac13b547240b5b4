"""What a run reports: rft's names where TRL measures the same thing, and no others."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from ablatekit_rft.metrics import names as rft
from ablatekit_rft.metrics.specs import metric_specs

from ablatekit.runs.records import MetricSpec
from ablatekit_trl.settings import TrlSettings

KL_K1, KL_K3 = rft.KL_K1, rft.KL_K3

OF_TRL: Mapping[str, str] = {
    "loss": rft.LOSS_POLICY,
    "grad_norm": rft.GRAD_NORM,
    "learning_rate": rft.LEARNING_RATE,
    "entropy": rft.ENTROPY,
    "reward": rft.REWARD_MEAN,
    "reward_std": rft.REWARD_STD,
    "frac_reward_zero_std": rft.UNIFORM_GROUPS,
    "completions/mean_length": rft.LENGTH_MEAN,
    "completions/max_length": rft.LENGTH_MAX,
    "completions/clipped_ratio": rft.TRUNCATED,
}
"""rft's name of what TRL logs for every round."""

DIFFERENT: Mapping[str, str] = {
    rft.LOSS_POLICY: "TRL's loss: KL and entropy terms included, mean over the round's updates",
    rft.UNIFORM_GROUPS: "Queries whose rollouts all have one reward",
    rft.REWARD_MEAN: "Mean reward, before a KL term in it",
    rft.REWARD_STD: "TRL's reward_std: of the rewards of a group or of the round",
}
"""What a name says here where it differs from rft's."""

MEASURED = (
    rft.TRAIN_PASS,
    rft.TEST_PASS,
    rft.TRAIN_GREEDY,
    rft.TEST_GREEDY,
    rft.EVALUATED,
    rft.TRAIN_LENGTH,
    rft.TEST_LENGTH,
    rft.TRAIN_TRUNCATED,
    rft.TEST_TRUNCATED,
    rft.TRAIN_FORMAT,
    rft.TEST_FORMAT,
    rft.TRAIN_ERRORS,
    rft.TEST_ERRORS,
    rft.KL_INIT,
    rft.UPDATES,
    rft.SAMPLES,
    rft.GENERATED_TOKENS,
    rft.SECONDS,
    rft.PEAK_MEMORY,
    rft.CORRECT,
    rft.FORMAT,
    rft.VERIFIER_ERRORS,
    rft.TIME_EVALUATE,
)
"""What this backend measures itself, with rft's evaluation and verifier."""


def reported(settings: TrlSettings) -> tuple[MetricSpec, ...]:
    """What a run with these settings reports."""
    specs = {spec.name: spec for spec in metric_specs(settings.as_rft())}
    passes = (
        rft.pass_at(split, k) for k in settings.evaluation.pass_at for split in ("train", "test")
    )
    names = (*MEASURED, *passes, *OF_TRL.values(), *_kl_name(settings))
    return tuple(replace(specs[name], doc=DIFFERENT.get(name, specs[name].doc)) for name in names)


def _kl_name(settings: TrlSettings) -> tuple[str, ...]:
    if settings.kl_place == "none":
        return ()
    return (KL_K1 if settings.uses_rloo else KL_K3,)


def translated(settings: TrlSettings, logs: Mapping[str, float]) -> dict[str, float]:
    """What TRL logged for a round, by rft's names.

    Raises FloatingPointError where the loss, or the gradient's norm, is not finite.
    """
    for name in ("loss", "grad_norm"):
        if not math.isfinite(logs[name]):
            raise FloatingPointError(f"TRL's {name} is {logs[name]}")
    pairs = [*OF_TRL.items(), *(("kl", name) for name in _kl_name(settings))]
    return {ours: float(logs[theirs]) for theirs, ours in pairs}
