"""Entropy: `(EntropyView) -> EntropyTerm`, once per optimizer step.

H_it is the entropy of the full softmax, in nats. A bonus enters the loss as -c times the aggregated
H of the policy that is trained, with gradient; what levels decide, they decide from the entropy
under the policy that generated the tokens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ablatekit_rft.levels.token_views import EntropyTerm, EntropyView
from ablatekit_rft.levels.types import level

if TYPE_CHECKING:
    from torch import Tensor


@level(
    "entropy",
    "none",
    formula="no term",
    source="Reference",
    peers={"TRL": "default", "verl": "entropy_coeff=0 (default)", "OpenRLHF": "default"},
)
def none(view: EntropyView) -> EntropyTerm:
    """Entropy is reported and left alone."""
    return EntropyTerm(0.0, view.coefficient)


@level(
    "entropy",
    "bonus",
    formula="loss - c sum_i w_i sum_t H_it, c = entropy_coefficient",
    source="A3C, arXiv:1602.01783",
    needs=frozenset({"entropy"}),
    peers={
        "TRL": "entropy_coef, mean over tokens whatever the aggregation",
        "verl": "entropy_coeff",
        "OpenRLHF": "entropy_loss_coef",
    },
)
def bonus(view: EntropyView, *, entropy_coefficient: float) -> EntropyTerm:
    """A constant reward for randomness, aggregated like the policy loss."""
    return EntropyTerm(entropy_coefficient, view.coefficient)


@level(
    "entropy",
    "adaptive",
    formula="bonus with c_k if mean H <= target else 0; c_k+1 = max(0, c_k +- entropy_step), up"
    " below the target and down above it; c_0 = 0",
    source="Skywork-OR1, arXiv:2505.22312",
    needs=frozenset({"entropy"}),
    traits={"adapts"},
    peers={"TRL": "adaptive entropy_coef", "verl": "none", "OpenRLHF": "none"},
)
def adaptive(view: EntropyView, *, entropy_target: float, entropy_step: float) -> EntropyTerm:
    """Keeps the entropy from falling below a target."""
    mean = float(view.entropy[view.mask].mean())
    direction = 1 if mean < entropy_target else -1
    following = max(0.0, view.coefficient + direction * entropy_step)
    return EntropyTerm(view.coefficient if mean <= entropy_target else 0.0, following)


@level(
    "entropy",
    "top_tokens",
    formula="policy loss only where H_it is in the top entropy_share of the step's tokens;"
    " denominators unchanged",
    source="Beyond the 80/20 rule, arXiv:2506.01939",
    needs=frozenset({"entropy"}),
    peers={"TRL": "top_entropy_quantile", "verl": "none", "OpenRLHF": "none"},
)
def top_tokens(view: EntropyView, *, entropy_share: float) -> EntropyTerm:
    """Only the most uncertain tokens are taught: where a completion takes its direction."""
    values: Tensor = view.entropy[view.mask]
    kept = max(1, round(entropy_share * len(values)))
    threshold = values.sort(descending=True).values[kept - 1]
    return EntropyTerm(0.0, view.coefficient, (view.entropy >= threshold) & view.mask)


@level(
    "entropy",
    "clip_cov",
    formula="policy loss without K random tokens of covariance_low < c_it < covariance_high,"
    " K = covariance_share of the step's tokens, c_it = (A_it - mean A) (l_it - mean l), means over"
    " the step's tokens; denominators unchanged",
    source="Clip-Cov, arXiv:2505.22617",
    peers={
        "TRL": "none",
        "verl": "policy loss 'clip_cov', of each micro-batch",
        "OpenRLHF": "none",
    },
)
def clip_cov(
    view: EntropyView, *, covariance_share: float, covariance_low: float, covariance_high: float
) -> EntropyTerm:
    """Some of the tokens that would lower the entropy most are not taught."""
    covariance, places = _covariances(view)
    between = (covariance > covariance_low) & (covariance < covariance_high)
    candidates = between.nonzero().squeeze(1)
    wanted = min(len(candidates), _count(covariance_share, len(covariance)))
    chosen = view.generator.choice(len(candidates), wanted, replace=False)
    dropped = _marked(view, places[candidates[candidates.new_tensor(chosen)]])
    return EntropyTerm(0.0, view.coefficient, view.mask & ~dropped)


@level(
    "entropy",
    "kl_cov",
    formula="loss + covariance_penalty sum_i w_i sum_t |l_it - l_old_it| over the K tokens of the"
    " largest c_it, K = covariance_share of the step's tokens, c_it = (A_it - mean A)"
    " (l_it - mean l), means over the step's tokens",
    source="KL-Cov, arXiv:2505.22617",
    needs=frozenset({"old"}),
    peers={"TRL": "none", "verl": "policy loss 'kl_cov', of each micro-batch", "OpenRLHF": "none"},
)
def kl_cov(view: EntropyView, *, covariance_share: float, covariance_penalty: float) -> EntropyTerm:
    """The tokens that lower the entropy most are held at the policy that generated them."""
    covariance, places = _covariances(view)
    largest = covariance.sort(descending=True, stable=True).indices
    held = _marked(view, places[largest[: _count(covariance_share, len(covariance))]])
    return EntropyTerm(0.0, view.coefficient, held=held, penalty=covariance_penalty)


LEVELS = (none, bonus, adaptive, top_tokens, clip_cov, kl_cov)


def _covariances(view: EntropyView) -> tuple[Tensor, Tensor]:
    """(M,): c_it of the tokens that count, and their places in the flattened mask."""
    advantage = view.advantage.expand_as(view.logp)[view.mask]
    logp = view.logp[view.mask]
    covariance = (advantage - advantage.mean()) * (logp - logp.mean())
    return covariance, view.mask.flatten().nonzero().squeeze(1)


def _count(share: float, tokens: int) -> int:
    return max(1, int(share * tokens))


def _marked(view: EntropyView, places: Tensor) -> Tensor:
    marked = view.mask.new_zeros(view.mask.numel())
    return marked.index_fill(0, places, True).view(view.mask.shape)
