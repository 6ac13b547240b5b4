"""Clipping of the ratio: `(SurrogateView) -> Surrogate`, per token, before aggregation.

rho is the ratio of `ratio_level`. Half-widths come from `clip_low` and `clip_high`, other bounds
from `clip_bound`; null is the level's own value, listed in its parameters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ablatekit_rft.levels.token_views import Surrogate, SurrogateView
from ablatekit_rft.levels.types import level

if TYPE_CHECKING:
    from torch import Tensor

PPO_EPSILON = 0.2
DAPO_HIGH = 0.28
DUAL_BOUND = 3.0
DELTA = 4.0
GSPO_LOW, GSPO_HIGH = 3e-4, 4e-4
GMPO_EPSILON = 0.4
CISPO_LOW, CISPO_HIGH = 1.0, 4.0
TV_BOUND = 0.2
KL_BOUND = 0.05
IPO_BOUND = 0.1
ICEPOP_LOW, ICEPOP_HIGH = 0.5, 4.0
TINY_PROBABILITY = 1e-8
"""Least probability of another token in a divergence of two, as in verl."""


@level(
    "clip",
    "none",
    formula="-rho A",
    source="Importance sampling",
    traits={"on_policy_neutral"},
    peers={
        "TRL": "none",
        "verl": "bypass_mode with loss_type 'reinforce'",
        "OpenRLHF": "none (oat: default)",
    },
)
def none(view: SurrogateView) -> Surrogate:
    """The ratio as it is."""
    return Surrogate(-view.ratios.log.exp() * view.advantage * view.ratios.share)


@level(
    "clip",
    "ppo",
    formula="-min(rho A, clip(rho, 1 - eps, 1 + eps) A), eps = clip_low",
    source="PPO, arXiv:1707.06347",
    needs=frozenset({"old"}),
    traits={"on_policy_neutral", "reports_bounds"},
    params={"clip_low": PPO_EPSILON},
    peers={
        "TRL": "epsilon=0.2 (default)",
        "verl": "clip_ratio=0.2 (default, with dual_clip)",
        "OpenRLHF": "eps_clip=0.2 (default)",
    },
)
def ppo(view: SurrogateView, *, clip_low: float) -> Surrogate:
    """No gradient once the ratio has moved by eps in the direction of the advantage."""
    return _pessimistic(view, clip_low, clip_low)


@level(
    "clip",
    "clip_higher",
    formula="-min(rho A, clip(rho, 1 - clip_low, 1 + clip_high) A)",
    source="DAPO, arXiv:2503.14476",
    needs=frozenset({"old"}),
    traits={"on_policy_neutral", "reports_bounds"},
    params={"clip_low": PPO_EPSILON, "clip_high": DAPO_HIGH},
    peers={
        "TRL": "epsilon_high",
        "verl": "clip_ratio_high",
        "OpenRLHF": "eps_clip_low_high",
    },
)
def clip_higher(view: SurrogateView, *, clip_low: float, clip_high: float) -> Surrogate:
    """PPO with more room above: improbable tokens of good completions can still grow."""
    return _pessimistic(view, clip_low, clip_high)


@level(
    "clip",
    "dual_clip",
    formula="ppo, and for A < 0 at most -c A, c = clip_bound",
    source="Dual-clip PPO, arXiv:1912.09729",
    needs=frozenset({"old"}),
    traits={"on_policy_neutral", "reports_bounds", "second_bound"},
    params={"clip_low": PPO_EPSILON, "clip_bound": DUAL_BOUND},
    peers={"TRL": "none", "verl": "clip_ratio_c=3 (default)", "OpenRLHF": "dual_clip (off)"},
)
def dual_clip(view: SurrogateView, *, clip_low: float, clip_bound: float) -> Surrogate:
    """PPO that also gives up on tokens of bad completions that became far more probable."""
    once = _pessimistic(view, clip_low, clip_low)
    largest = -clip_bound * view.advantage * view.ratios.share
    binds = (view.advantage < 0) & (once.loss > largest)
    return Surrogate(largest.where(binds, once.loss), once.low, once.high, binds)


@level(
    "clip",
    "delta",
    formula="-min(min(rho, delta) A, clip(rho, 1 - eps, 1 + eps) A), delta = clip_bound",
    source="INTELLECT-2, arXiv:2505.07291",
    needs=frozenset({"old"}),
    traits={"on_policy_neutral", "reports_bounds", "second_bound"},
    params={"clip_low": PPO_EPSILON, "clip_bound": DELTA},
    peers={"TRL": "delta (off)", "verl": "none", "OpenRLHF": "none"},
)
def delta(view: SurrogateView, *, clip_low: float, clip_bound: float) -> Surrogate:
    """PPO with the ratio bounded in the unclipped branch too."""
    ratio = view.ratios.log.exp()
    clipped = ratio.clamp(1 - clip_low, 1 + clip_low) * view.advantage
    bounded = (ratio.clamp(max=clip_bound) * view.advantage).minimum(clipped)
    binds = (view.advantage < 0) & (ratio > clip_bound)
    bounds = _bounds(view, ratio, clip_low, clip_low)
    return Surrogate(-bounded * view.ratios.share, *bounds, binds)


@level(
    "clip",
    "gspo",
    formula="-min(s A, clip(s, 1 - clip_low, 1 + clip_high) A)",
    source="GSPO, arXiv:2507.18071",
    needs=frozenset({"old"}),
    traits={"on_policy_neutral", "reports_bounds"},
    params={"clip_low": GSPO_LOW, "clip_high": GSPO_HIGH},
    peers={
        "TRL": "importance_sampling_level='sequence', epsilon=3e-4, epsilon_high=4e-4",
        "verl": "policy loss 'gspo' with clip_ratio_low and clip_ratio_high",
        "OpenRLHF": "policy_loss_type='gspo' with eps_clip_low_high",
    },
)
def gspo(view: SurrogateView, *, clip_low: float, clip_high: float) -> Surrogate:
    """The narrow bounds that fit a completion's mean log-ratio (ratio_level: sequence)."""
    return _pessimistic(view, clip_low, clip_high)


@level(
    "clip",
    "gmpo",
    formula="-A exp(mean_t(c_t)), c_t = min(sign(A) log rho_t, sign(A) clip(log rho_t, -eps, eps))"
    " sign(A), eps = clip_low",
    source="GMPO, arXiv:2507.20673",
    needs=frozenset({"old"}),
    traits={"on_policy_neutral", "reports_bounds"},
    params={"clip_low": GMPO_EPSILON},
    peers={"TRL": "experimental GMPOTrainer", "verl": "policy loss 'geo_mean'", "OpenRLHF": "none"},
)
def gmpo(view: SurrogateView, *, clip_low: float) -> Surrogate:
    """Token log-ratios are clipped one by one, and their geometric mean is the ratio."""
    log, positive = view.ratios.log, view.advantage >= 0
    bounded = log.clamp(max=clip_low).where(positive, log.clamp(min=-clip_low)) * view.mask
    mean = bounded.sum(dim=1, keepdim=True) / view.mask.sum(dim=1, keepdim=True).clamp(min=1)
    loss = -mean.exp() * view.advantage * view.ratios.share
    low, high = ~positive & (log < -clip_low), positive & (log > clip_low)
    return Surrogate(loss.expand_as(log), low, high)


@level(
    "clip",
    "cispo",
    formula="-sg(clip(rho, 1 - clip_low, 1 + clip_high)) A l",
    source="MiniMax-M1, arXiv:2506.13585",
    needs=frozenset({"old"}),
    traits={"on_policy_neutral", "reports_bounds"},
    params={"clip_low": CISPO_LOW, "clip_high": CISPO_HIGH},
    peers={
        "TRL": "loss_type='cispo': only an upper bound, rho <= epsilon_high",
        "verl": "policy loss 'cispo': 1 - clip_ratio_low and 1 + clip_ratio_high",
        "OpenRLHF": "none",
    },
)
def cispo(view: SurrogateView, *, clip_low: float, clip_high: float) -> Surrogate:
    """The ratio is a bounded weight without gradient: no token ever loses its gradient."""
    ratio = view.ratios.log.detach().exp()
    loss = -ratio.clamp(1 - clip_low, 1 + clip_high) * view.advantage * view.logp
    return Surrogate(loss, ratio < 1 - clip_low, ratio > 1 + clip_high)


@level(
    "clip",
    "dppo_tv",
    formula="-rho A, dropped where sign(A) (p - p_old) > clip_bound, p = exp(l)",
    source="DPPO, arXiv:2602.04879",
    needs=frozenset({"old"}),
    traits={"on_policy_neutral", "reports_bounds"},
    params={"clip_bound": TV_BOUND},
    peers={
        "TRL": "none",
        "verl": "policy loss 'dppo_tv', bound clip_ratio",
        "OpenRLHF": "none",
    },
)
def dppo_tv(view: SurrogateView, *, clip_bound: float) -> Surrogate:
    """Bounds how much probability a token has moved, not its ratio."""
    moved = view.logp.detach().exp() - view.old_logp.exp()
    low = (view.advantage < 0) & (-moved > clip_bound)
    high = (view.advantage > 0) & (moved > clip_bound)
    return _dropped(view, low, high)


@level(
    "clip",
    "dppo_kl",
    formula="-rho A, dropped where sign(A) (p - p_old) > 0 and D > clip_bound,"
    " D = p_old log(p_old / p) + (1 - p_old) log((1 - p_old) / (1 - p)), p = exp(l)",
    source="DPPO, arXiv:2602.04879",
    needs=frozenset({"old"}),
    traits={"on_policy_neutral", "reports_bounds"},
    params={"clip_bound": KL_BOUND},
    peers={
        "TRL": "none",
        "verl": "policy loss 'dppo_kl', bound clip_ratio (0.05 in its example)",
        "OpenRLHF": "none",
    },
)
def dppo_kl(view: SurrogateView, *, clip_bound: float) -> Surrogate:
    """Bounds the divergence of the choice between a token and all others, not its ratio."""
    logp, old = view.logp.detach(), view.old_logp
    moved = logp.exp() - old.exp()
    other, old_other = (1 - logp.exp()), (1 - old.exp())
    of_others = (old_other + TINY_PROBABILITY).log() - (other + TINY_PROBABILITY).log()
    far = old.exp() * (old - logp) + old_other * of_others > clip_bound
    low = (view.advantage < 0) & (moved < 0) & far
    return _dropped(view, low, (view.advantage > 0) & (moved > 0) & far)


@level(
    "clip",
    "ipo",
    formula="-rho A, dropped where |p - p_old| > clip_bound, p = exp(l)",
    source="prime-rl, loss 'ipo'",
    needs=frozenset({"old"}),
    traits={"on_policy_neutral", "reports_bounds"},
    params={"clip_bound": IPO_BOUND},
    peers={"TRL": "none", "verl": "none", "OpenRLHF": "none"},
)
def ipo(view: SurrogateView, *, clip_bound: float) -> Surrogate:
    """dppo_tv in both directions: what has moved far back is dropped, too."""
    moved = view.logp.detach().exp() - view.old_logp.exp()
    return _dropped(view, moved < -clip_bound, moved > clip_bound)


@level(
    "clip",
    "icepop",
    formula="-rho A where 1 - clip_low <= rho <= 1 + clip_high, else 0",
    source="IcePop (Ring-1T), arXiv:2510.18855; prime-rl, loss 'icepop'",
    needs=frozenset({"old"}),
    traits={"on_policy_neutral", "reports_bounds"},
    params={"clip_low": ICEPOP_LOW, "clip_high": ICEPOP_HIGH},
    peers={
        "TRL": "none",
        "verl": "bypass_mode, loss_type 'reinforce' with token bounds 0.5_5.0",
        "OpenRLHF": "none",
    },
)
def icepop(view: SurrogateView, *, clip_low: float, clip_high: float) -> Surrogate:
    """A ratio outside the bounds drops its token, whatever the sign of the advantage."""
    ratio = view.ratios.log.detach().exp()
    return _dropped(view, ratio < 1 - clip_low, ratio > 1 + clip_high)


@level(
    "clip",
    "sapo",
    formula="-4 / tau sigmoid(tau (rho - 1)) A, tau = sapo_positive where A > 0, else"
    " sapo_negative",
    source="SAPO, arXiv:2511.20347",
    needs=frozenset({"old"}),
    traits={"on_policy_neutral"},
    peers={
        "TRL": "loss_type='sapo'",
        "verl": "policy loss 'sapo' (forces seq-mean-token-mean)",
        "OpenRLHF": "none",
    },
)
def sapo(view: SurrogateView, *, sapo_positive: float, sapo_negative: float) -> Surrogate:
    """A soft gate: the gradient fades as the ratio leaves 1, faster for bad completions."""
    tau = view.ratios.log.new_tensor([sapo_negative, sapo_positive])[(view.advantage > 0).long()]
    gate = (tau * (view.ratios.log.exp() - 1)).sigmoid() * 4 / tau
    return Surrogate(-gate * view.advantage * view.ratios.share)


@level(
    "clip",
    "vespo",
    formula="-sg(exp(lambda + k log rho - lambda rho)) A l; k, lambda = vespo_positive_power,"
    " vespo_positive_decay where A >= 0, else vespo_negative_power, vespo_negative_decay",
    source="VESPO, arXiv:2602.10693 (with ratio_level: sequence_sum)",
    needs=frozenset({"old"}),
    traits={"on_policy_neutral"},
    peers={
        "TRL": "loss_type='vespo', on the ratio of the completion's probabilities",
        "verl": "none",
        "OpenRLHF": "none",
    },
)
def vespo(
    view: SurrogateView,
    *,
    vespo_positive_power: float,
    vespo_positive_decay: float,
    vespo_negative_power: float,
    vespo_negative_decay: float,
) -> Surrogate:
    """The ratio is a soft weight without gradient, largest near 1 and 0 far from it."""
    log, good = view.ratios.log.detach(), (view.advantage >= 0).long()
    power = log.new_tensor([vespo_negative_power, vespo_positive_power])[good]
    decay = log.new_tensor([vespo_negative_decay, vespo_positive_decay])[good]
    weight = (decay + power * log - decay * log.exp()).exp()
    return Surrogate(-weight * view.advantage * view.logp)


LEVELS = (
    none,
    ppo,
    clip_higher,
    dual_clip,
    delta,
    gspo,
    gmpo,
    cispo,
    dppo_tv,
    dppo_kl,
    ipo,
    icepop,
    sapo,
    vespo,
)


def _dropped(view: SurrogateView, low: Tensor, high: Tensor) -> Surrogate:
    """Importance sampling without the tokens where a bound is left behind."""
    loss = -view.ratios.log.exp() * view.advantage * view.ratios.share
    return Surrogate(loss.masked_fill(low | high, 0.0), low, high)


def _bounds(view: SurrogateView, ratio: Tensor, low: float, high: float) -> tuple[Tensor, Tensor]:
    return (
        (ratio < 1 - low) & (view.advantage < 0),
        (ratio > 1 + high) & (view.advantage > 0),
    )


def _pessimistic(view: SurrogateView, low: float, high: float) -> Surrogate:
    ratio = view.ratios.log.exp()
    clipped = ratio.clamp(1 - low, 1 + high) * view.advantage
    loss = -(ratio * view.advantage).minimum(clipped) * view.ratios.share
    return Surrogate(loss, *_bounds(view, ratio, low, high))
