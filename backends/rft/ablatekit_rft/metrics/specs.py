"""What a run with given settings reports: name, unit, direction and meaning of every metric."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from ablatekit.runs.records import MetricSpec
from ablatekit_rft.metrics import names as metrics

if TYPE_CHECKING:
    from ablatekit_rft.settings import RftSettings


AT_ZERO = (
    "read the completion and its verdict in a run's log, check the verifier on it, give more tokens"
    " where completions are cut off (max_new_tokens, evaluation.max_new_tokens), change template,"
    " instruction or few_shot, take a stronger base model or easier data"
)
AT_ONE = "take harder data or a smaller base model, give fewer hints in instruction and few_shot"


def _evaluation(settings: RftSettings) -> tuple[MetricSpec, ...]:
    evaluation = settings.evaluation
    share = evaluation.intermediate_fraction
    partial = evaluation.uses_part
    between = f"; between step 0 and the end on the first {share:.0%} of them" if partial else ""
    sampled = f"sampled at temperature 1 with common draws{between}"
    return (
        MetricSpec(
            name=metrics.TRAIN_PASS,
            direction="higher",
            unit="fraction",
            role="learning",
            doc=f"Pass@1 on the items of the fixed train probe, {sampled}",
            partial=partial,
            items="train",
            at_zero=AT_ZERO,
            at_one=AT_ONE,
        ),
        MetricSpec(
            name=metrics.TEST_PASS,
            direction="higher",
            unit="fraction",
            role="generalization",
            doc=f"Pass@1 on the fixed test items, {sampled}",
            partial=partial,
            items="test",
            at_zero=AT_ZERO,
            at_one=AT_ONE,
        ),
        *_pass_at(settings, partial=partial),
        _greedy(metrics.TRAIN_GREEDY, "train probe", "train/greedy"),
        _greedy(metrics.TEST_GREEDY, "test items", "test/greedy"),
        _watched(
            metrics.EVALUATED, "fraction", "Share of the items that this evaluation used", "higher"
        ),
        *(replace(spec, partial=partial) for spec in _completions()),
    )


def _pass_at(settings: RftSettings, *, partial: bool) -> tuple[MetricSpec, ...]:
    n = settings.evaluation.samples
    return tuple(
        MetricSpec(
            name=metrics.pass_at(split, k),
            direction="higher",
            unit="fraction",
            partial=partial,
            doc=f"Unbiased Pass@{k} on the {items}, from {n} samples an item",
        )
        for k in settings.evaluation.pass_at
        for split, items in (("train", "train probe"), ("test", "test items"))
    )


def _greedy(name: str, items: str, split: str) -> MetricSpec:
    doc = f"Pass@1 of greedy decoding, {items}, at step 0 and the end"
    return replace(_watched(name, "fraction", doc, "higher"), items=split)


@cache
def _completions() -> tuple[MetricSpec, ...]:
    return (
        _watched(metrics.TRAIN_LENGTH, "tokens", "Mean completion length, train probe"),
        _watched(metrics.TEST_LENGTH, "tokens", "Mean completion length, test items"),
        _watched(
            metrics.TRAIN_TRUNCATED, "fraction", "Completions cut at the length limit, train probe"
        ),
        _watched(
            metrics.TEST_TRUNCATED, "fraction", "Completions cut at the length limit, test items"
        ),
        *(
            _watched(name, "fraction", f"Completions {what}, {items}", direction)
            for format_ok, errors, items in (
                (metrics.TRAIN_FORMAT, metrics.TRAIN_ERRORS, "train probe"),
                (metrics.TEST_FORMAT, metrics.TEST_ERRORS, "test items"),
            )
            for name, what, direction in (
                (format_ok, "of the form that the task asks for", "higher"),
                (errors, "that the verifier could not judge: they count as not correct", "lower"),
            )
        ),
        _watched(
            metrics.KL_INIT,
            "nats/completion",
            "KL(policy || initial policy): k3 summed over the tokens of the train probe's"
            " evaluation completions",
        ),
    )


@cache
def _costs() -> tuple[MetricSpec, ...]:
    return (
        _cost(metrics.UPDATES, "updates", "Optimizer steps so far"),
        _cost(metrics.SAMPLES, "rollouts", "Training rollouts generated so far"),
        _cost(metrics.GENERATED_TOKENS, "tokens", "Training tokens generated so far, EOS included"),
        _cost(metrics.SECONDS, "s", "Seconds spent so far, evaluation included", repeatable=False),
        replace(
            _watched(
                metrics.PEAK_MEMORY,
                "GiB",
                "Most memory held so far: of the GPU, or of the process where the run is on a CPU",
            ),
            repeatable=False,
        ),
    )


@cache
def _round() -> tuple[MetricSpec, ...]:
    return (
        _watched(metrics.CORRECT, "fraction", "Correct rollouts of the round", "higher"),
        _watched(
            metrics.FORMAT, "fraction", "Rollouts of the form that the task asks for", "higher"
        ),
        _watched(metrics.VERIFIER_ERRORS, "fraction", "Rollouts that the verifier could not judge"),
        _watched(metrics.REWARD_MEAN, "reward", "Mean reward that enters the advantage", "higher"),
        _watched(metrics.REWARD_STD, "reward", "Standard deviation (n-1) of that reward"),
        _watched(metrics.UNIFORM_GROUPS, "fraction", "Queries whose rollouts all have one outcome"),
        _watched(metrics.ALL_WRONG, "fraction", "Queries whose rollouts are all wrong"),
        _watched(metrics.ALL_RIGHT, "fraction", "Queries whose rollouts are all right", "higher"),
        _watched(metrics.ADVANTAGE_MEAN, "advantage", "Mean advantage"),
        _watched(metrics.ADVANTAGE_STD, "advantage", "Standard deviation (n-1) of the advantage"),
        _watched(metrics.ADVANTAGE_MIN, "advantage", "Smallest advantage"),
        _watched(metrics.ADVANTAGE_MAX, "advantage", "Largest advantage", "higher"),
        _watched(
            metrics.ADVANTAGE_NONZERO, "fraction", "Rollouts with an advantage other than zero"
        ),
        _watched(metrics.ADVANTAGE_POSITIVE, "fraction", "Advantages above zero"),
        _watched(metrics.GENERATED, "rollouts", "Rollouts drawn, with and without gradient"),
        _watched(metrics.TRAINED, "rollouts", "Rollouts in the update", "higher"),
        _watched(
            metrics.EFFECTIVE, "rollouts", "Rollouts in the update with an advantage", "higher"
        ),
        _watched(
            metrics.ENTROPY, "nats/token", "Mean entropy of the full softmax at sampled positions"
        ),
        _watched(metrics.GRAD_NORM, "", "Global L2 norm of the gradient before clipping"),
        _watched(
            metrics.GRAD_CLIPPED, "fraction", "Updates of the round whose gradient was clipped"
        ),
        _watched(
            metrics.UPDATE_NORM, "", "L2 norm of the weights' change over that of the weights"
        ),
        _watched(metrics.LEARNING_RATE, "", "Learning rate of the updates"),
        _watched(metrics.LOSS_POLICY, "", "Policy loss, aggregated"),
        _watched(metrics.LENGTH_MEAN, "tokens", "Mean completion length"),
        _watched(metrics.LENGTH_MEDIAN, "tokens", "Median completion length"),
        _watched(metrics.LENGTH_P95, "tokens", "95th percentile of completion lengths"),
        _watched(metrics.LENGTH_MAX, "tokens", "Longest completion"),
        _watched(metrics.LENGTH_RIGHT, "tokens", "Mean length of correct completions, if any"),
        _watched(metrics.LENGTH_WRONG, "tokens", "Mean length of the other completions, if any"),
        _watched(
            metrics.DISTINCT_BIGRAMS,
            "fraction",
            "Different over all pairs of neighbouring tokens within completions",
            "higher",
        ),
        _watched(metrics.LOGP_RIGHT, "nats/token", "Mean log p of correct completions", "higher"),
        _watched(metrics.LOGP_WRONG, "nats/token", "Mean log p of the other completions"),
        _watched(metrics.DUPLICATES, "fraction", "Completions equal to another of their query"),
        _watched(metrics.PROMPT_TOKENS, "tokens", "Prompt tokens of the round's queries"),
        _watched(metrics.TRAINED_TOKENS, "tokens", "Generated tokens in the update", "higher"),
        _watched(metrics.TRUNCATED, "fraction", "Completions cut at the length limit", "lower"),
    )


@cache
def _times() -> tuple[MetricSpec, ...]:
    return (
        _time(metrics.TIME_GENERATE, "generating rollouts"),
        _time(metrics.TIME_REWARD, "verifying rollouts"),
        _time(metrics.TIME_TRAIN, "forward and backward passes"),
        _time(metrics.TIME_OPTIMIZER, "clipping and optimizer steps"),
        _time(metrics.TIME_EVALUATE, "evaluation"),
    )


def _kl(settings: RftSettings) -> tuple[MetricSpec, ...]:
    if settings.kl_place == "none":
        return ()
    term = _watched(metrics.LOSS_KL, "", "KL loss before its coefficient, aggregated")
    if settings.kl_place == "reward":
        term = _watched(metrics.REWARD_KL, "nats/completion", "Mean KL estimate in the reward")
    return (
        term,
        _watched(metrics.KL_K1, "nats/token", "KL(policy || reference) of the update's tokens, k1"),
        _watched(metrics.KL_K3, "nats/token", "KL(policy || reference) of the update's tokens, k3"),
    )


def _mismatch(settings: RftSettings) -> tuple[MetricSpec, ...]:
    gap = "|l_old - l_roll| of tokens with a gradient, trainer against engine at the same weights"
    always = (
        _watched(metrics.MISMATCH_MEAN, "nats/token", f"Mean {gap}"),
        _watched(metrics.MISMATCH_MAX, "nats", f"Largest {gap}"),
        _watched(metrics.MISMATCH_P99, "nats", f"99th percentile of {gap}"),
    )
    unweighted = "unweighted" in settings.level("mismatch").traits
    if unweighted and settings.rejection == "none":
        return always
    return (
        *always,
        _watched(
            metrics.MISMATCH_MASKED, "fraction", "Tokens with a gradient that the correction drops"
        ),
        _watched(
            metrics.MISMATCH_ESS, "fraction", "Effective over actual sample size of its weights"
        ),
    )


def _ratio(settings: RftSettings) -> tuple[MetricSpec, ...]:
    if settings.ratio_level == "none":
        return ()
    specs = [
        _watched(metrics.RATIO_MEAN, "", "Mean importance ratio of tokens with a gradient"),
        _watched(metrics.RATIO_MAX, "", "Largest importance ratio of tokens with a gradient"),
        _watched(metrics.RATIO_MIN, "", "Smallest importance ratio of tokens with a gradient"),
        _watched(metrics.RATIO_ESS, "fraction", "Effective over actual sample size of the ratios"),
    ]
    clip = settings.level("clip").traits
    if "reports_bounds" in clip:
        specs.append(
            _watched(
                metrics.CLIP_LOW, "fraction", "Tokens of the update that the lower bound stops"
            )
        )
        specs.append(
            _watched(
                metrics.CLIP_HIGH, "fraction", "Tokens of the update that the upper bound stops"
            )
        )
    if "second_bound" in clip:
        specs.append(
            _watched(
                metrics.CLIP_DUAL, "fraction", "Tokens of the update that the second bound stops"
            )
        )
    return tuple(specs)


def _engine(settings: RftSettings) -> tuple[MetricSpec, ...]:
    if settings.drawing_engine == "policy":
        return ()
    apart = "|log p of the trainer - log p of the engine|, all tokens of the round, before updates"
    return (
        _watched(metrics.ENGINE_MEAN, "nats/token", f"Mean {apart}"),
        _watched(metrics.ENGINE_MAX, "nats", f"Largest {apart}"),
        _watched(metrics.ENGINE_P99, "nats", f"99th percentile of {apart}"),
        _time(metrics.TIME_SYNC, "giving the engine the weights"),
    )


def _experience(settings: RftSettings) -> tuple[MetricSpec, ...]:
    specs: list[MetricSpec] = []
    if "adapts" in settings.level("entropy").traits:
        specs.append(
            _watched(metrics.ENTROPY_COEFFICIENT, "", "Entropy coefficient after the round")
        )
    if settings.precision != "fp32":
        specs.append(_watched(metrics.CHANGED, "fraction", "Weights whose bfloat16 copy changed"))
    if settings.staleness or settings.replay != "none":
        specs.append(
            _watched(metrics.AGE_MEAN, "rounds", "Mean age of the weights that generated them")
        )
        specs.append(_watched(metrics.AGE_MAX, "rounds", "Largest age of the weights"))
    return tuple(specs)


def _scoring(settings: RftSettings) -> tuple[MetricSpec, ...]:
    off_policy = settings.minibatches > 1 or settings.epochs > 1
    off_policy = off_policy or settings.staleness > 0 or settings.replay != "none"
    of_engine = settings.drawing_engine != "policy"
    again = of_engine or "drift" in settings.level("advantage").needs
    if settings.kl_place == "none" and not off_policy and not again:
        return ()
    return (
        _time(metrics.TIME_SCORE, "the policy's, old and reference log-probabilities as needed"),
    )


def _choices(settings: RftSettings) -> tuple[MetricSpec, ...]:
    """What only some levels report."""
    advantage = settings.level("advantage")
    rows = (
        (
            settings.reward_noise != "none",
            (_watched(metrics.FLIPPED, "fraction", "Verdicts turned around by the reward noise"),),
        ),
        (
            settings.group_filter != "none",
            (
                _watched(
                    metrics.KEPT_QUERIES, "queries", "Queries that passed the filter", "higher"
                ),
                _watched(metrics.BATCHES, "batches", "Times that queries were drawn for the round"),
            ),
        ),
        (
            "reports_baseline" in advantage.traits,
            (_watched(metrics.BASELINE, "reward", "Moving-average baseline after the round"),),
        ),
        (
            "drift" in advantage.needs,
            (
                _watched(
                    metrics.DRIFT,
                    "nats/token",
                    "Mean drift of the policy since an item's last visit",
                ),
            ),
        ),
    )
    return tuple(spec for applies, specs in rows if applies for spec in specs)


def metric_specs(settings: RftSettings) -> tuple[MetricSpec, ...]:
    """What a run with these settings reports; terms of a stage only where the stage is on."""
    return (
        *_evaluation(settings),
        *_costs(),
        *_round(),
        *_times(),
        *_choices(settings),
        *_kl(settings),
        *_ratio(settings),
        *_mismatch(settings),
        *_engine(settings),
        *_experience(settings),
        *_scoring(settings),
    )


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
