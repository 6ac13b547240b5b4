"""Statistics of the tokens of a round's updates: ratios, clipping, engine mismatch, KL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ablatekit_rft import metrics
from ablatekit_rft.levels.registry import get_level
from ablatekit_rft.summaries import effective_share, quantile


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
        metric: float(get_level("kl_estimator", name).function(logp, reference).mean())
        for name, metric in (("k1", metrics.KL_K1), ("k3", metrics.KL_K3))
    }
