"""Statistics of a round's rollouts, rewards and advantages, by metric name."""

from __future__ import annotations

import torch
from torch import Tensor

from ablatekit_rft import metrics
from ablatekit_rft.drawing import first_rows
from ablatekit_rft.levels.statistics import extreme
from ablatekit_rft.rollout import Rollouts
from ablatekit_rft.settings import RftSettings
from ablatekit_rft.summaries import distinct_bigrams, duplicate_share, quantile
from ablatekit_rft.teaching import Drawn, Signal


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
    found = {
        metrics.LENGTH_MEAN: float(lengths.mean()),
        metrics.LENGTH_MEDIAN: quantile(lengths, 0.5),
        metrics.LENGTH_P95: quantile(lengths, 0.95),
        metrics.LENGTH_MAX: float(lengths.max()),
        metrics.DUPLICATES: duplicate_share(rollouts),
    }
    distinct = distinct_bigrams(rollouts)
    if distinct is not None:
        found[metrics.DISTINCT_BIGRAMS] = distinct
    return found | _by_verdict(rollouts, drawn.correct[drawn.sampled] > 0)


def _by_verdict(rollouts: Rollouts, right: Tensor) -> dict[str, float]:
    """Mean length and log-probability of right and of wrong completions, where there are any."""
    names = (
        (right, metrics.LENGTH_RIGHT, metrics.LOGP_RIGHT),
        (~right, metrics.LENGTH_WRONG, metrics.LOGP_WRONG),
    )
    total = rollouts.own_logp.masked_fill(~rollouts.mask, 0.0).sum(dim=1)
    found = {}
    for rows, length, logp in names:
        if bool(rows.any()):
            tokens = float(rollouts.lengths[rows].sum())
            found[length] = tokens / int(rows.sum())
            found[logp] = float(total[rows].sum()) / tokens
    return found


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
    found = {metrics.REWARD_MEAN: float(rewards.mean())}
    if len(rewards) > 1:
        found[metrics.REWARD_STD] = float(rewards.std())
    if signal.kl is not None:
        found[metrics.REWARD_KL] = float(signal.kl[drawn.sampled].mean())
    return found


def _advantages(signal: Signal) -> dict[str, float]:
    """Over the rollouts that train; a per-token advantage counts token by token."""
    advantage = signal.advantage
    effective = (advantage if advantage.dim() == 1 else advantage.any(dim=1)) != 0
    found = {metrics.EFFECTIVE: float(effective.sum())}
    if not len(signal.rows):
        return found
    found |= {
        metrics.ADVANTAGE_MEAN: float(advantage.mean()),
        metrics.ADVANTAGE_NONZERO: float(effective.float().mean()),
        metrics.ADVANTAGE_POSITIVE: float((advantage > 0).float().mean()),
        metrics.ADVANTAGE_MIN: float(advantage.min()),
        metrics.ADVANTAGE_MAX: float(advantage.max()),
    }
    if advantage.numel() > 1:
        found[metrics.ADVANTAGE_STD] = float(advantage.std())
    return found


def _choices(
    settings: RftSettings, drawn: Drawn, signal: Signal, drift: Tensor | None
) -> dict[str, float]:
    """What only some levels have."""
    found = {}
    if settings.reward_noise != "none":
        found[metrics.FLIPPED] = float((drawn.outcome != drawn.correct).float().mean())
    if settings.group_filter != "none":
        kept = drawn.kept[first_rows(drawn.rollouts.query)]
        found[metrics.KEPT_QUERIES] = float(kept.sum())
        found[metrics.BATCHES] = float(drawn.batches)
    if "baseline" in signal.state:
        found[metrics.BASELINE] = float(torch.as_tensor(signal.state["baseline"]).mean())
    if drift is not None:
        found[metrics.DRIFT] = float(drift.mean())
    return found
