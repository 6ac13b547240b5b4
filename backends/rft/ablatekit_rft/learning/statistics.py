"""Statistics of a round's rollouts, rewards, advantages and updates, by metric name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ablatekit_rft.learning.advantages import Signal
from ablatekit_rft.levels.kl import k1, k3
from ablatekit_rft.levels.statistics import extreme
from ablatekit_rft.metrics import names as metrics
from ablatekit_rft.metrics.summaries import effective_share, quantile
from ablatekit_rft.policy.rollout import Rollouts
from ablatekit_rft.rollouts.drawn import Drawn, first_rows
from ablatekit_rft.settings import RftSettings


def round_metrics(
    settings: RftSettings, drawn: Drawn, signal: Signal, drift: Tensor | None
) -> dict[str, float]:
    """All statistics of a round before its update; one that does not exist is left out."""
    return {
        **_rollouts(drawn),
        **_completions(drawn),
        **_groups(drawn),
        **_rewards(drawn, signal),
        **_advantages(signal),
        **_choices(settings, drawn, signal, drift),
    }


def _rollouts(drawn: Drawn) -> dict[str, float]:
    """Over the sampled rollouts: a greedy one tells nothing about the policy's spread."""
    rollouts = drawn.rollouts
    rows = drawn.sampled
    return {
        metrics.CORRECT: float(drawn.correct[rows].mean()),
        metrics.FORMAT: float(drawn.format_ok[rows].float().mean()),
        metrics.VERIFIER_ERRORS: float(drawn.error[rows].float().mean()),
        metrics.ENTROPY: float(rollouts.entropy[rows].sum() / rollouts.lengths[rows].sum()),
        metrics.TRUNCATED: float(rollouts.truncated[rows].float().mean()),
        metrics.GENERATED: float(len(drawn.correct)),
        metrics.PROMPT_TOKENS: float(rollouts.prompts.lengths.sum()),
    }


def _completions(drawn: Drawn) -> dict[str, float]:
    """Lengths, likelihoods and repetitions of the sampled rollouts."""
    rollouts = (
        drawn.rollouts
        if bool(drawn.sampled.all())
        else drawn.rollouts.select(drawn.sampled.nonzero().squeeze(1))
    )
    lengths = rollouts.lengths.float()
    values = {
        metrics.LENGTH_MEAN: float(lengths.mean()),
        metrics.LENGTH_MEDIAN: quantile(lengths, 0.5),
        metrics.LENGTH_P95: quantile(lengths, 0.95),
        metrics.LENGTH_MAX: float(lengths.max()),
        metrics.DUPLICATES: duplicate_share(rollouts),
    }
    distinct = distinct_bigrams(rollouts)
    if distinct is not None:
        values[metrics.DISTINCT_BIGRAMS] = distinct
    return values | _by_verdict(rollouts, drawn.correct[drawn.sampled] > 0)


def _by_verdict(rollouts: Rollouts, right: Tensor) -> dict[str, float]:
    """Mean length and log-probability of right and of wrong completions, where there are any."""
    names = (
        (right, metrics.LENGTH_RIGHT, metrics.LOGP_RIGHT),
        (~right, metrics.LENGTH_WRONG, metrics.LOGP_WRONG),
    )
    total = rollouts.own_logp.masked_fill(~rollouts.mask, 0.0).sum(dim=1)
    values = {}
    for rows, length, logp in names:
        if bool(rows.any()):
            tokens = float(rollouts.lengths[rows].sum())
            values[length] = tokens / int(rows.sum())
            values[logp] = float(total[rows].sum()) / tokens
    return values


def _groups(drawn: Drawn) -> dict[str, float]:
    """Over the queries, by the outcomes that training sees of their sampled rollouts."""
    query, counted = drawn.rollouts.query, drawn.sampled & ~drawn.error
    low = extreme(drawn.outcome.masked_fill(~counted, 1.0), query, "amin")
    high = extreme(drawn.outcome.masked_fill(~counted, 0.0), query, "amax")
    # Without any verdict the fills cross: such a query is neither right nor wrong.
    judged = low <= high
    return {
        metrics.UNIFORM_GROUPS: float((low == high).float().mean()),
        metrics.ALL_WRONG: float(((high == 0) & judged).float().mean()),
        metrics.ALL_RIGHT: float(((low == 1) & judged).float().mean()),
    }


def _rewards(drawn: Drawn, signal: Signal) -> dict[str, float]:
    rewards = signal.rewards[drawn.sampled]
    values = {metrics.REWARD_MEAN: float(rewards.mean())}
    if len(rewards) > 1:
        values[metrics.REWARD_STD] = float(rewards.std())
    if signal.kl is not None:
        values[metrics.REWARD_KL] = float(signal.kl[drawn.sampled].mean())
    return values


def _advantages(signal: Signal) -> dict[str, float]:
    """Over the rollouts that train; a per-token advantage counts token by token."""
    advantage = signal.advantage
    effective = (advantage if advantage.dim() == 1 else advantage.any(dim=1)) != 0
    values = {metrics.EFFECTIVE: float(effective.sum())}
    if not len(signal.rows):
        return values
    values |= {
        metrics.ADVANTAGE_MEAN: float(advantage.mean()),
        metrics.ADVANTAGE_NONZERO: float(effective.float().mean()),
        metrics.ADVANTAGE_POSITIVE: float((advantage > 0).float().mean()),
        metrics.ADVANTAGE_MIN: float(advantage.min()),
        metrics.ADVANTAGE_MAX: float(advantage.max()),
    }
    if advantage.numel() > 1:
        values[metrics.ADVANTAGE_STD] = float(advantage.std())
    return values


def _choices(
    settings: RftSettings, drawn: Drawn, signal: Signal, drift: Tensor | None
) -> dict[str, float]:
    """What only some levels have."""
    values = {}
    if settings.reward_noise != "none":
        values[metrics.FLIPPED] = float((drawn.outcome != drawn.correct).float().mean())
    if settings.group_filter != "none":
        kept = drawn.kept[first_rows(drawn.rollouts.query)]
        values[metrics.KEPT_QUERIES] = float(kept.sum())
        values[metrics.BATCHES] = float(drawn.batches)
    if "baseline" in signal.state:
        values[metrics.BASELINE] = float(torch.as_tensor(signal.state["baseline"]).mean())
    if drift is not None:
        values[metrics.DRIFT] = float(drift.mean())
    return values


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """Tokens (M,) of a micro-batch; None where a stage is off.

    engine_gap: l_old - l_roll, in nats. ratio: importance ratio. low, high, dual: where clipping
    binds. correction: weight against engine mismatch. to_reference: (2, M), l and l_ref.
    """

    engine_gap: Tensor
    ratio: Tensor | None
    low: Tensor | None
    high: Tensor | None
    dual: Tensor | None
    correction: Tensor | None
    to_reference: Tensor | None


@dataclass(slots=True)
class StepStats:
    """What one optimizer step found: its losses (KL before its coefficient) and its tokens.

    counted: tokens in the step, those of rollouts without any gradient included, which have no
    record.
    """

    entropy_coefficient: float
    counted: int = 0
    policy: float = 0.0
    kl: float = 0.0
    tokens: list[TokenRecord] = field(default_factory=list)


def token_metrics(steps: Sequence[StepStats]) -> dict[str, float]:
    """Metrics of a round from the tokens of all its updates; none where no token was trained."""
    records = [record for step in steps for record in step.tokens]
    if not records:
        return {}
    return {
        **_gap_metrics(torch.cat([record.engine_gap for record in records]).abs()),
        **_ratio_metrics(_gathered(records, "ratio")),
        **_shares(records, sum(step.counted for step in steps)),
        **_correction_metrics(_gathered(records, "correction")),
        **_reference_metrics(records),
    }


def _gap_metrics(gap: Tensor) -> dict[str, float]:
    if not len(gap):
        return {}
    return {
        metrics.MISMATCH_MEAN: float(gap.mean()),
        metrics.MISMATCH_MAX: float(gap.max()),
        metrics.MISMATCH_P99: quantile(gap, 0.99),
    }


def _gathered(records: Sequence[TokenRecord], name: str) -> Tensor | None:
    parts = [getattr(record, name) for record in records]
    return None if parts[0] is None else torch.cat(parts)


def _ratio_metrics(ratio: Tensor | None) -> dict[str, float]:
    if ratio is None:
        return {}
    return {
        metrics.RATIO_MEAN: float(ratio.mean()),
        metrics.RATIO_MAX: float(ratio.max()),
        metrics.RATIO_MIN: float(ratio.min()),
        metrics.RATIO_ESS: effective_share(ratio),
    }


def _shares(records: Sequence[TokenRecord], counted: int) -> dict[str, float]:
    """Clipping over all tokens: where there is no advantage there is nothing to clip."""
    named = {"low": metrics.CLIP_LOW, "high": metrics.CLIP_HIGH, "dual": metrics.CLIP_DUAL}
    flags = {metric: _gathered(records, name) for name, metric in named.items()}
    return {
        metric: float(bound.sum()) / counted for metric, bound in flags.items() if bound is not None
    }


def _correction_metrics(correction: Tensor | None) -> dict[str, float]:
    if correction is None:
        return {}
    return {
        metrics.MISMATCH_MASKED: float((correction == 0).float().mean()),
        metrics.MISMATCH_ESS: effective_share(correction),
    }


def _reference_metrics(records: Sequence[TokenRecord]) -> dict[str, float]:
    parts = [record.to_reference for record in records if record.to_reference is not None]
    if not parts:
        return {}
    logp, reference = torch.cat(parts, dim=1)
    return {
        metric: float(estimate(logp, reference).mean())
        for estimate, metric in ((k1.function, metrics.KL_K1), (k3.function, metrics.KL_K3))
    }


def duplicate_share(rollouts: Rollouts) -> float:
    """Share of completions that are token by token another, earlier one of their query."""
    tokens = rollouts.tokens.masked_fill(~rollouts.mask, -1).cpu().numpy()
    marked = np.column_stack([rollouts.query.cpu().numpy(), tokens])
    rows = np.ascontiguousarray(marked).view(np.dtype((np.void, marked.strides[0])))
    return 1 - len(np.unique(rows)) / len(rows)


def distinct_bigrams(rollouts: Rollouts) -> float | None:
    """Different pairs of neighbouring tokens over all pairs, within completions; None without any.

    1 where no completion repeats itself (distinct-2, Li et al. 2016, arXiv:1510.03055).
    """
    inside = rollouts.mask[:, 1:]
    if not bool(inside.any()):
        return None
    row = inside.nonzero()[:, 0]
    first, second = rollouts.tokens[:, :-1][inside], rollouts.tokens[:, 1:][inside]
    size = int(rollouts.tokens.max()) + 1
    pairs = ((row * size + first) * size + second).cpu().numpy()
    return len(np.unique(pairs)) / len(pairs)
