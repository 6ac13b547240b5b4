"""Correction for an engine that samples from another distribution than the trainer scores.

`(EngineView) -> (N,T)` weights without gradient, which multiply the policy loss (not KL
or entropy) and leave its denominators alone. w = exp(l_old - l_roll) compares trainer and engine at
the same weights. Bounds come from `mismatch_low` and `mismatch_high`; null is the level's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ablatekit_rft.levels.token_views import MAX_LOG_RATIO, EngineView
from ablatekit_rft.levels.types import level

if TYPE_CHECKING:
    from torch import Tensor

TOKEN_CAP = 2.0
ICEPOP_LOW, ICEPOP_HIGH = 0.5, 5.0
SEQUENCE_CAP = 3.0
GEOMETRIC_LOW, GEOMETRIC_HIGH = 0.99, 1.01


@level(
    "mismatch",
    "off",
    formula="w = 1",
    source="Reference: trainer and engine are one function",
    traits={"unweighted"},
    peers={
        "TRL": "vllm_importance_sampling_correction=False",
        "verl": "rollout_is=null (default)",
        "OpenRLHF": "default",
    },
)
def off(view: EngineView) -> Tensor:
    """No correction; the mismatch is still reported."""
    return _ones(view)


@level(
    "mismatch",
    "tis_token",
    formula="min(w_t, C), C = mismatch_high",
    source="Your efficient RL framework secretly brings you off-policy RL training (2025)",
    needs=frozenset({"old"}),
    params={"mismatch_high": TOKEN_CAP, "max_log_ratio": MAX_LOG_RATIO},
    peers={
        "TRL": "vllm_importance_sampling_mode='token_truncate'",
        "verl": "rollout_is=token, threshold 2",
        "OpenRLHF": "tis (off)",
    },
)
def tis_token(view: EngineView, *, mismatch_high: float) -> Tensor:
    """Each token's weight, cut at C."""
    return _token_weights(view).clamp(max=mismatch_high)


@level(
    "mismatch",
    "mis_token",
    formula="w_t where mismatch_low <= w_t <= mismatch_high, else 0",
    source="IcePop (Ring-1T), arXiv:2510.18855",
    needs=frozenset({"old"}),
    params={"mismatch_low": ICEPOP_LOW, "mismatch_high": ICEPOP_HIGH}
    | {"max_log_ratio": MAX_LOG_RATIO},
    peers={
        "TRL": "vllm_importance_sampling_mode='token_mask', upper bound only",
        "verl": "rollout_is=token with token rejection",
        "OpenRLHF": "icepop (off), [0.5, 5]",
    },
)
def mis_token(view: EngineView, *, mismatch_low: float, mismatch_high: float) -> Tensor:
    """Each token's weight; tokens outside the bounds are dropped."""
    return _inside(_token_weights(view), mismatch_low, mismatch_high)


@level(
    "mismatch",
    "tis_seq",
    formula="min(W, C), W = exp(sum_t(l_old - l_roll)), C = mismatch_high",
    source="When speed kills stability (2025)",
    needs=frozenset({"old"}),
    params={"mismatch_high": SEQUENCE_CAP, "max_log_ratio": MAX_LOG_RATIO},
    peers={
        "TRL": "vllm_importance_sampling_mode='sequence_truncate', C=3",
        "verl": "rollout_is=sequence",
        "OpenRLHF": "none",
    },
)
def tis_seq(view: EngineView, *, mismatch_high: float) -> Tensor:
    """Each completion's weight, cut at C."""
    return _sequence_weights(view).clamp(max=mismatch_high)


@level(
    "mismatch",
    "mis_seq",
    formula="W where mismatch_low <= W <= mismatch_high, else 0, W = exp(sum_t(l_old - l_roll))",
    source="When speed kills stability (2025)",
    needs=frozenset({"old"}),
    params={"mismatch_low": 0.0, "mismatch_high": SEQUENCE_CAP, "max_log_ratio": MAX_LOG_RATIO},
    peers={
        "TRL": "vllm_importance_sampling_mode='sequence_mask' (default with vLLM), C=3",
        "verl": "rollout_is=sequence with sequence rejection",
        "OpenRLHF": "seq-mask-tis (off)",
    },
)
def mis_seq(view: EngineView, *, mismatch_low: float, mismatch_high: float) -> Tensor:
    """Each completion's weight; completions outside the bounds are dropped, long ones first."""
    return _inside(_sequence_weights(view), mismatch_low, mismatch_high)


@level(
    "mismatch",
    "bypass",
    formula="w = 1, and l_old := l_roll in the ratio",
    source="prime-rl; verl, docs/algo/rollout_corr",
    traits={"unweighted", "engine_is_old"},
    peers={"TRL": "none", "verl": "bypass_mode", "OpenRLHF": "none (prime-rl: always)"},
)
def bypass(view: EngineView) -> Tensor:
    """The engine's own log-probabilities are the old policy: no forward pass for l_old."""
    return _ones(view)


@level(
    "mismatch",
    "geo_rs",
    formula="1 where mismatch_low <= exp(mean_t(l_old - l_roll)) <= mismatch_high, else 0",
    source="Geometric rejection sampling; verl, docs/algo/rollout_corr",
    needs=frozenset({"old"}),
    params={"mismatch_low": GEOMETRIC_LOW, "mismatch_high": GEOMETRIC_HIGH},
    peers={"TRL": "none", "verl": "rollout_rs=geometric", "OpenRLHF": "none"},
)
def geo_rs(view: EngineView, *, mismatch_low: float, mismatch_high: float) -> Tensor:
    """Completions are kept whole or dropped by their mean log-ratio, whatever their length."""
    counts = view.mask.sum(dim=1, keepdim=True).clamp(min=1)
    mean = ((view.old_logp - view.rollout_logp) * view.mask).sum(dim=1, keepdim=True) / counts
    ratio = _clamped(mean).exp().expand_as(view.old_logp)
    kept = _inside(ratio, mismatch_low, mismatch_high)
    return (kept > 0).to(kept.dtype)


LEVELS = (off, tis_token, mis_token, tis_seq, mis_seq, bypass, geo_rs)


def _ones(view: EngineView) -> Tensor:
    return view.old_logp.new_ones(view.old_logp.shape)


def _clamped(log_ratio: Tensor) -> Tensor:
    return log_ratio.clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO)


def _token_weights(view: EngineView) -> Tensor:
    return _clamped((view.old_logp - view.rollout_logp) * view.mask).exp()


def _sequence_weights(view: EngineView) -> Tensor:
    total = ((view.old_logp - view.rollout_logp) * view.mask).sum(dim=1, keepdim=True)
    return _clamped(total).exp().expand_as(view.old_logp)


def _inside(weights: Tensor, low: float, high: float) -> Tensor:
    return weights.masked_fill((weights < low) | (weights > high), 0.0)
