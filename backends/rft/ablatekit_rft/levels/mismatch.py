"""Correction for an engine that samples from another distribution than the trainer scores.

`(EngineView) -> (N,T)` weights without gradient, which multiply the policy loss (not KL
or entropy) and leave its denominators alone. w = exp(l_old - l_roll) compares trainer and engine at
the same weights. Bounds come from `mismatch_low` and `mismatch_high`; null is the level's own.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, TypeAlias

from ablatekit_rft.levels.token_views import MAX_LOG_RATIO, EngineView
from ablatekit_rft.levels.types import level

if TYPE_CHECKING:
    from torch import Tensor

TOKEN_CAP = 2.0
ICEPOP_LOW, ICEPOP_HIGH = 0.5, 5.0
SEQUENCE_CAP = 3.0
GEOMETRIC_LOW, GEOMETRIC_HIGH = 0.99, 1.01
SURE = 1e-6
"""Least distance from 0 and 1 of a probability in a divergence of two, as in OpenRLHF."""

Rejection: TypeAlias = Literal[
    "none",
    "token_k1",
    "token_k2",
    "token_k3",
    "token_binary_kl",
    "token_tv",
    "seq_sum_k1",
    "seq_sum_k2",
    "seq_sum_k3",
    "seq_mean_k1",
    "seq_mean_k2",
    "seq_mean_k3",
    "seq_mean_binary_kl",
    "seq_mean_tv",
    "seq_max_k2",
    "seq_max_k3",
]
"""What rejection looks at: of which tokens, and which distance of theirs (`accepted`)."""


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
        "verl": "rollout_is=sequence with rollout_rs=seq_sum_k1",
        "OpenRLHF": "none: seq-mask-tis goes by the mean, and weighs tokens",
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
    peers={"TRL": "AsyncGRPOTrainer", "verl": "bypass_mode", "OpenRLHF": "none"},
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
    peers={"TRL": "none", "verl": "rollout_rs=seq_mean_k1", "OpenRLHF": "none"},
)
def geo_rs(view: EngineView, *, mismatch_low: float, mismatch_high: float) -> Tensor:
    """Completions are kept whole or dropped by their mean log-ratio, whatever their length."""
    counts = view.mask.sum(dim=1, keepdim=True).clamp(min=1)
    mean = ((view.old_logp - view.rollout_logp) * view.mask).sum(dim=1, keepdim=True) / counts
    ratio = _clamped(mean).exp().expand_as(view.old_logp)
    kept = _inside(ratio, mismatch_low, mismatch_high)
    return (kept > 0).to(kept.dtype)


LEVELS = (off, tis_token, mis_token, tis_seq, mis_seq, bypass, geo_rs)


def accepted(view: EngineView, by: Rejection, bound: float) -> Tensor:
    """(N, T) bool: the tokens that trainer and engine agree on, all of a completion or none where
    `by` looks at completions.

    With d = l_old - l_roll, p = exp(l_roll), q = exp(l_old): k1 is d, between -log(bound) and
    log(bound); the others are at most `bound`: k2 = d^2 / 2, k3 = exp(d) - 1 - d, binary_kl the
    divergence of (p, 1 - p) from (q, 1 - q), tv = |p - q|.
    """
    scope, distance = by.split("_", 1) if by.startswith("token") else by.rsplit("_", 1)
    if by.endswith("binary_kl"):
        scope, distance = by.removesuffix("_binary_kl"), "binary_kl"
    values = _distance(view, distance) * view.mask
    if scope != "token":
        values = _of_completions(values, view.mask, scope).expand_as(values)
    return values.abs() <= math.log(bound) if distance == "k1" else values <= bound


def _distance(view: EngineView, name: str) -> Tensor:
    gap = _clamped((view.old_logp - view.rollout_logp) * view.mask)
    if name in ("k1", "k2", "k3"):
        return {"k1": gap, "k2": gap.square() / 2, "k3": gap.expm1() - gap}[name]
    engine, trainer = (
        logp.exp().clamp(SURE, 1 - SURE) for logp in (view.rollout_logp, view.old_logp)
    )
    if name == "tv":
        return (engine - trainer).abs()
    others = (1 - engine) * ((1 - engine) / (1 - trainer)).log()
    return engine * (engine / trainer).log() + others


def _of_completions(values: Tensor, mask: Tensor, scope: str) -> Tensor:
    """(N, 1): sum, mean or largest value of each completion's tokens."""
    if scope == "seq_max":
        return values.amax(dim=1, keepdim=True)
    total = values.sum(dim=1, keepdim=True)
    return total if scope == "seq_sum" else total / mask.sum(dim=1, keepdim=True).clamp(min=1)


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
