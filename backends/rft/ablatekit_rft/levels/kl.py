"""KL to the reference policy from sampled tokens: `(logp (N,T), reference_logp (N,T)) -> (N,T)`.

Values are in nats per token, l = logp, l_ref = reference_logp, both at the training temperature.
With r = l - l_ref under tokens sampled from the policy, all but `abs` are estimates of
KL(pi || ref) (http://joschu.net/blog/kl-approx.html); their gradients as a loss differ
(arXiv:2510.01555). In the reward they are summed over a completion's tokens and carry no gradient.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ablatekit_rft.levels.token_views import MAX_LOG_RATIO
from ablatekit_rft.levels.types import level

if TYPE_CHECKING:
    from torch import Tensor


@level(
    "kl_estimator",
    "k1",
    formula="l - l_ref",
    source="Schulman 2020; gradients arXiv:2510.01555",
    needs=frozenset({"reference"}),
    peers={
        "TRL": "RLOOTrainer, in the reward",
        "verl": "kl (default in the reward)",
        "OpenRLHF": "k1 (default in the reward)",
    },
)
def k1(logp: Tensor, reference_logp: Tensor) -> Tensor:
    """Unbiased in value; as an on-policy loss its expected gradient is zero (a placebo)."""
    return logp - reference_logp


@level(
    "kl_estimator",
    "k2",
    formula="(l - l_ref)^2 / 2",
    source="Schulman 2020; gradients arXiv:2510.01555",
    needs=frozenset({"reference"}),
    traits={"flat_at_reference"},
    peers={"TRL": "none", "verl": "mse", "OpenRLHF": "k2"},
)
def k2(logp: Tensor, reference_logp: Tensor) -> Tensor:
    """Biased in value; as an on-policy loss its expected gradient is that of the token's KL."""
    return _half_square(logp, reference_logp)


@level(
    "kl_estimator",
    "k3",
    formula="exp(l_ref - l) - 1 - (l_ref - l)",
    source="Schulman 2020; GRPO, arXiv:2402.03300",
    needs=frozenset({"reference"}),
    traits={"flat_at_reference"},
    params={"max_log_ratio": MAX_LOG_RATIO},
    peers={
        "TRL": "GRPOTrainer, in the loss (off by default, beta=0)",
        "verl": "low_var_kl (default in the loss)",
        "OpenRLHF": "k3",
    },
)
def k3(logp: Tensor, reference_logp: Tensor) -> Tensor:
    """Unbiased and never negative in value; as a loss its expected gradient is KL(ref || pi)'s.

    The exponent is clamped to +- MAX_LOG_RATIO.
    """
    return _schulman(logp, reference_logp)


@level(
    "kl_estimator",
    "k3+",
    formula="value of k3, gradient of k2: k2 - sg(k2) + sg(k3)",
    source="verl, kl_penalty; gradients arXiv:2510.01555",
    needs=frozenset({"reference"}),
    traits={"flat_at_reference"},
    params={"max_log_ratio": MAX_LOG_RATIO},
    peers={"TRL": "none", "verl": "low_var_kl+", "OpenRLHF": "none"},
)
def k3_plus(logp: Tensor, reference_logp: Tensor) -> Tensor:
    """Unbiased in value like k3, and as an on-policy loss with the gradient of the token's KL."""
    gradient = _half_square(logp, reference_logp)
    value = _schulman(logp, reference_logp)
    return gradient - gradient.detach() + value.detach()


@level(
    "kl_estimator",
    "abs",
    formula="|l - l_ref|",
    source="verl, kl_penalty",
    needs=frozenset({"reference"}),
    traits={"flat_at_reference"},
    peers={"TRL": "none", "verl": "abs", "OpenRLHF": "none"},
)
def absolute(logp: Tensor, reference_logp: Tensor) -> Tensor:
    """No estimate of KL: a penalty of the same size however far policy and reference are apart."""
    return (logp - reference_logp).abs()


LEVELS = (k1, k2, k3, k3_plus, absolute)


def _half_square(logp: Tensor, reference_logp: Tensor) -> Tensor:
    return (logp - reference_logp).square() / 2


def _schulman(logp: Tensor, reference_logp: Tensor) -> Tensor:
    log_ratio = reference_logp - logp
    return log_ratio.clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO).expm1() - log_ratio
