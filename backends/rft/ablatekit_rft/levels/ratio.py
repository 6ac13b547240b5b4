"""Importance ratios: `(logp (N,T), old_logp (N,T), mask (N,T)) -> Ratios`, or None for no ratio.

old_logp are the trainer's log-probabilities under the weights that generated the tokens. Where a
ratio is 1, every level has the gradient of REINFORCE under every aggregation: a completion's ratio
is a surrogate of the whole completion, of which `share` gives each token its part.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ablatekit_rft.levels.token_views import MAX_LOG_RATIO, Ratios
from ablatekit_rft.levels.types import level

if TYPE_CHECKING:
    from torch import Tensor


@level(
    "ratio_level",
    "none",
    formula="loss_it = -A_i l_it",
    source="REINFORCE, Williams 1992",
    traits={"on_policy_neutral"},
    peers={
        "TRL": "none: equal in gradient on-policy with one update per round",
        "verl": "policy losses 'gpg' and 'dro'",
        "OpenRLHF": "none: equal in gradient on-policy with one update per round",
    },
)
def none(_logp: Tensor, _old_logp: Tensor, _mask: Tensor) -> Ratios | None:
    """No ratio: exact for one update on rollouts of the current policy, uncorrected otherwise."""
    return None


@level(
    "ratio_level",
    "token",
    formula="rho_it = exp(l_it - l_old_it)",
    source="PPO, arXiv:1707.06347",
    needs=frozenset({"old"}),
    traits={"on_policy_neutral", "length_blind"},
    params={"max_log_ratio": MAX_LOG_RATIO},
    peers={
        "TRL": "importance_sampling_level='token' (default)",
        "verl": "default",
        "OpenRLHF": "default",
    },
)
def token(logp: Tensor, old_logp: Tensor, mask: Tensor) -> Ratios | None:
    """One ratio per token: low variance, biased where more than one token changed."""
    return Ratios(_clamped((logp - old_logp) * mask), mask.new_ones(len(mask), 1).to(logp.dtype))


@level(
    "ratio_level",
    "sequence",
    formula="s_i = exp(mean_t(l_it - l_old_it)), the same at every token",
    source="GSPO, arXiv:2507.18071",
    needs=frozenset({"old"}),
    traits={"on_policy_neutral", "length_blind"},
    params={"max_log_ratio": MAX_LOG_RATIO},
    peers={
        "TRL": "importance_sampling_level='sequence'",
        "verl": "policy loss 'gspo' (forces seq-mean-token-mean)",
        "OpenRLHF": "policy_loss_type='gspo'",
    },
)
def sequence(logp: Tensor, old_logp: Tensor, mask: Tensor) -> Ratios | None:
    """The geometric mean of a completion's token ratios."""
    total = ((logp - old_logp) * mask).sum(dim=1, keepdim=True)
    mean = _clamped(total / _counts(mask, total))
    return Ratios(mean * mask, mask.new_ones(len(mask), 1).to(logp.dtype))


@level(
    "ratio_level",
    "sequence_sum",
    formula="S_i = exp(sum_t(l_it - l_old_it)); each of its T_i tokens carries 1 / T_i",
    source="Importance sampling; RLOO, arXiv:2402.14740",
    needs=frozenset({"old"}),
    traits={"on_policy_neutral", "length_blind"},
    params={"max_log_ratio": MAX_LOG_RATIO},
    peers={"TRL": "RLOOTrainer", "verl": "none", "OpenRLHF": "none"},
)
def sequence_sum(logp: Tensor, old_logp: Tensor, mask: Tensor) -> Ratios | None:
    """The ratio of the completion's probabilities: unbiased, with a variance that grows with T."""
    total = _clamped(((logp - old_logp) * mask).sum(dim=1, keepdim=True))
    return Ratios(total * mask, 1 / _counts(mask, total))


LEVELS = (none, token, sequence, sequence_sum)


def _clamped(log_ratio: Tensor) -> Tensor:
    return log_ratio.clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO)


def _counts(mask: Tensor, like: Tensor) -> Tensor:
    return mask.sum(dim=1, keepdim=True).clamp(min=1).to(like.dtype)
