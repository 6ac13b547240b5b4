"""Every metric that a run reports, by name: the loop logs these constants and nothing else.

A metric is logged at the step of the round (rounds done so far); evaluation metrics only at
evaluation points. "Round" statistics describe the rollouts of one round, before its updates; those
of updates are means over the round's optimizer steps, or over the tokens that they trained.
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
TRAIN_FORMAT = "train/format_ok"
TEST_FORMAT = "test/format_ok"
TRAIN_ERRORS = "train/verifier_errors"
TEST_ERRORS = "test/verifier_errors"

UPDATES = "cost/updates"
SAMPLES = "cost/samples"
GENERATED_TOKENS = "cost/generated_tokens"
SECONDS = "cost/seconds"

CORRECT = "reward/correct"
FORMAT = "reward/format_ok"
VERIFIER_ERRORS = "reward/verifier_errors"
REWARD_MEAN = "reward/mean"
REWARD_STD = "reward/std"
REWARD_KL = "reward/kl"
UNIFORM_GROUPS = "reward/uniform_groups"
ADVANTAGE_MEAN = "advantage/mean"
ADVANTAGE_STD = "advantage/std"
ALL_WRONG = "reward/all_wrong_groups"
ALL_RIGHT = "reward/all_right_groups"
FLIPPED = "reward/flipped"
ADVANTAGE_NONZERO = "advantage/nonzero"
ADVANTAGE_POSITIVE = "advantage/positive"
ADVANTAGE_MIN = "advantage/min"
ADVANTAGE_MAX = "advantage/max"
BASELINE = "advantage/baseline"
DRIFT = "advantage/drift"
GENERATED = "round/generated"
TRAINED = "round/trained"
EFFECTIVE = "round/effective"
KEPT_QUERIES = "round/kept_queries"
BATCHES = "round/batches"
ENTROPY = "policy/entropy"
KL_INIT = "policy/kl_init"
GRAD_NORM = "policy/grad_norm"
GRAD_CLIPPED = "policy/grad_clipped"
LEARNING_RATE = "policy/learning_rate"
LOSS_POLICY = "loss/policy"
LOSS_KL = "loss/kl"
UPDATE_NORM = "policy/update_norm"
CHANGED = "policy/changed"
KL_K1 = "policy/kl_k1"
KL_K3 = "policy/kl_k3"
ENTROPY_COEFFICIENT = "policy/entropy_coefficient"
RATIO_MEAN = "ratio/mean"
RATIO_MAX = "ratio/max"
RATIO_MIN = "ratio/min"
RATIO_ESS = "ratio/ess"
CLIP_LOW = "clip/low"
CLIP_HIGH = "clip/high"
CLIP_DUAL = "clip/dual"
MISMATCH_MEAN = "mismatch/mean"
MISMATCH_MAX = "mismatch/max"
MISMATCH_P99 = "mismatch/p99"
MISMATCH_MASKED = "mismatch/masked"
MISMATCH_ESS = "mismatch/ess"
AGE_MEAN = "experience/age_mean"
AGE_MAX = "experience/age_max"
LENGTH_MEAN = "length/mean"
LENGTH_MAX = "length/max"
TRUNCATED = "length/truncated"

ENGINE_MEAN = "engine/mismatch_mean"
ENGINE_MAX = "engine/mismatch_max"
ENGINE_P99 = "engine/mismatch_p99"

TIME_GENERATE = "time/generate"
TIME_REWARD = "time/reward"
TIME_SCORE = "time/score"
TIME_TRAIN = "time/train"
TIME_SYNC = "time/sync"
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
        *_pass_at(settings, partial=partial),
        _greedy(TRAIN_GREEDY, "train probe", "train/greedy"),
        _greedy(TEST_GREEDY, "test items", "test/greedy"),
        _watched(EVALUATED, "fraction", "Share of the items that this evaluation used", "higher"),
        *(replace(one, partial=partial) for one in _completions()),
    )


def pass_at(split: str, k: int) -> str:
    """The name of Pass@k on a split, train or test."""
    return f"{split}/pass@{k}"


def _pass_at(settings: RftSettings, *, partial: bool) -> tuple[MetricSpec, ...]:
    n = settings.evaluation.samples
    return tuple(
        MetricSpec(
            name=pass_at(split, k),
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


def _completions() -> tuple[MetricSpec, ...]:
    return (
        _watched(TRAIN_LENGTH, "tokens", "Mean completion length, train probe"),
        _watched(TEST_LENGTH, "tokens", "Mean completion length, test items"),
        _watched(TRAIN_TRUNCATED, "fraction", "Completions cut at the length limit, train probe"),
        _watched(TEST_TRUNCATED, "fraction", "Completions cut at the length limit, test items"),
        *(
            _watched(name, "fraction", f"Completions {what}, {items}", direction)
            for format_ok, errors, items in (
                (TRAIN_FORMAT, TRAIN_ERRORS, "train probe"),
                (TEST_FORMAT, TEST_ERRORS, "test items"),
            )
            for name, what, direction in (
                (format_ok, "of the form that the task asks for", "higher"),
                (errors, "that the verifier could not judge: they count as not correct", "lower"),
            )
        ),
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
        _watched(FORMAT, "fraction", "Rollouts of the form that the task asks for", "higher"),
        _watched(VERIFIER_ERRORS, "fraction", "Rollouts that the verifier could not judge"),
        _watched(REWARD_MEAN, "reward", "Mean reward that enters the advantage", "higher"),
        _watched(REWARD_STD, "reward", "Standard deviation (n-1) of that reward"),
        _watched(UNIFORM_GROUPS, "fraction", "Queries whose rollouts all have one outcome"),
        _watched(ALL_WRONG, "fraction", "Queries whose rollouts are all wrong"),
        _watched(ALL_RIGHT, "fraction", "Queries whose rollouts are all right", "higher"),
        _watched(ADVANTAGE_MEAN, "advantage", "Mean advantage"),
        _watched(ADVANTAGE_STD, "advantage", "Standard deviation (n-1) of the advantage"),
        _watched(ADVANTAGE_MIN, "advantage", "Smallest advantage"),
        _watched(ADVANTAGE_MAX, "advantage", "Largest advantage", "higher"),
        _watched(ADVANTAGE_NONZERO, "fraction", "Rollouts with an advantage other than zero"),
        _watched(ADVANTAGE_POSITIVE, "fraction", "Advantages above zero"),
        _watched(GENERATED, "rollouts", "Rollouts drawn, with and without gradient"),
        _watched(TRAINED, "rollouts", "Rollouts in the update", "higher"),
        _watched(EFFECTIVE, "rollouts", "Rollouts in the update with an advantage", "higher"),
        _watched(ENTROPY, "nats/token", "Mean entropy of the full softmax at sampled positions"),
        _watched(GRAD_NORM, "", "Global L2 norm of the gradient before clipping"),
        _watched(GRAD_CLIPPED, "fraction", "Updates of the round whose gradient was clipped"),
        _watched(UPDATE_NORM, "", "L2 norm of the weights' change over that of the weights"),
        _watched(LEARNING_RATE, "", "Learning rate of the updates"),
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
    if settings.kl_place == "none":
        return ()
    own = _watched(LOSS_KL, "", "KL loss before its coefficient, aggregated")
    if settings.kl_place == "reward":
        own = _watched(REWARD_KL, "nats/completion", "Mean KL estimate in the reward")
    return (
        own,
        _watched(KL_K1, "nats/token", "KL(policy || reference) of trained tokens, k1"),
        _watched(KL_K3, "nats/token", "KL(policy || reference) of trained tokens, k3"),
    )


def _mismatch(settings: RftSettings) -> tuple[MetricSpec, ...]:
    gap = "|l_old - l_roll| of trained tokens, trainer against engine at the same weights"
    always = (
        _watched(MISMATCH_MEAN, "nats/token", f"Mean {gap}"),
        _watched(MISMATCH_MAX, "nats", f"Largest {gap}"),
        _watched(MISMATCH_P99, "nats", f"99th percentile of {gap}"),
    )
    if settings.mismatch in ("off", "bypass"):
        return always
    return (
        *always,
        _watched(MISMATCH_MASKED, "fraction", "Trained tokens that the correction drops"),
        _watched(MISMATCH_ESS, "fraction", "Effective over actual sample size of its weights"),
    )


def _ratio(settings: RftSettings) -> tuple[MetricSpec, ...]:
    if settings.ratio_level == "none":
        return ()
    found = [
        _watched(RATIO_MEAN, "", "Mean importance ratio of trained tokens"),
        _watched(RATIO_MAX, "", "Largest importance ratio of trained tokens"),
        _watched(RATIO_MIN, "", "Smallest importance ratio of trained tokens"),
        _watched(RATIO_ESS, "fraction", "Effective over actual sample size of the ratios"),
    ]
    if settings.clip != "none":
        found.append(_watched(CLIP_LOW, "fraction", "Tokens that the lower bound stops"))
        found.append(_watched(CLIP_HIGH, "fraction", "Tokens that the upper bound stops"))
    if settings.clip in ("dual_clip", "delta"):
        found.append(_watched(CLIP_DUAL, "fraction", "Tokens that the second bound stops"))
    return tuple(found)


def _engine(settings: RftSettings) -> tuple[MetricSpec, ...]:
    if settings.drawing_engine == "policy":
        return ()
    apart = "|log p of the trainer - log p of the engine|, all tokens of the round, before updates"
    return (
        _watched(ENGINE_MEAN, "nats/token", f"Mean {apart}"),
        _watched(ENGINE_MAX, "nats", f"Largest {apart}"),
        _watched(ENGINE_P99, "nats", f"99th percentile of {apart}"),
        _time(TIME_SYNC, "giving the engine the weights"),
    )


def _experience(settings: RftSettings) -> tuple[MetricSpec, ...]:
    found: list[MetricSpec] = []
    if settings.entropy == "adaptive":
        found.append(_watched(ENTROPY_COEFFICIENT, "", "Entropy coefficient after the round"))
    if settings.precision != "fp32":
        found.append(_watched(CHANGED, "fraction", "Weights whose bfloat16 copy changed"))
    if settings.staleness or settings.replay != "none":
        found.append(_watched(AGE_MEAN, "rounds", "Mean age of the weights that generated them"))
        found.append(_watched(AGE_MAX, "rounds", "Largest age of the weights"))
    return tuple(found)


def _scoring(settings: RftSettings) -> tuple[MetricSpec, ...]:
    off_policy = settings.minibatches > 1 or settings.epochs > 1
    off_policy = off_policy or settings.staleness > 0 or settings.replay != "none"
    of_engine = settings.drawing_engine != "policy"
    again = of_engine or settings.advantage == "tracker"
    if settings.kl_place == "none" and not off_policy and not again:
        return ()
    return (_time(TIME_SCORE, "the policy's, old and reference log-probabilities as needed"),)


def _choices(settings: RftSettings) -> tuple[MetricSpec, ...]:
    """What only some levels report."""
    rows = (
        (
            settings.reward_noise != "none",
            (_watched(FLIPPED, "fraction", "Verdicts turned around by the reward noise"),),
        ),
        (
            settings.group_filter != "none",
            (
                _watched(KEPT_QUERIES, "queries", "Queries that passed the filter", "higher"),
                _watched(BATCHES, "batches", "Times that queries were drawn for the round"),
            ),
        ),
        (
            settings.advantage == "ema",
            (_watched(BASELINE, "reward", "Moving-average baseline after the round"),),
        ),
        (
            settings.advantage == "tracker",
            (_watched(DRIFT, "nats/token", "Mean drift of the policy since an item's last visit"),),
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
