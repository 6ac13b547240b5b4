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


LEVELS = (none, bonus, adaptive, top_tokens)
