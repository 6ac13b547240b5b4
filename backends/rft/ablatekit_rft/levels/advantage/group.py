"""Advantages within the rollouts of one query: `(view) -> (N,)` float32.

A group is what the view holds of a query: extra rollouts, which carry no gradient, included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ablatekit.errors import Problem, UsageError
from ablatekit_rft.levels.stages import Need
from ablatekit_rft.levels.statistics import (
    all_together,
    centred,
    counts,
    deviation,
    extreme,
    normalised,
    sums,
    uniform,
    whitened,
)
from ablatekit_rft.levels.types import RewardView, level

if TYPE_CHECKING:
    from torch import Tensor

_GROUPS: frozenset[Need] = frozenset({"groups"})
_ENDS = ("amax", "amin")


@level(
    "advantage",
    "group_mean",
    formula="A_i = r_i - mean_g(r)",
    source="Dr. GRPO, arXiv:2503.20783",
    needs=_GROUPS,
    traits={"shift_invariant", "scale_equivariant", "centred", "within_query"},
    min_group=2,
    peers={
        "TRL": "scale_rewards='none'",
        "verl": "grpo with norm_adv_by_std_in_grpo=false",
        "OpenRLHF": "dr_grpo",
    },
)
def group_mean(view: RewardView) -> Tensor:
    """Centred on the mean of the query's rollouts, the rollout itself included."""
    return centred(view.rewards, view.group)


@level(
    "advantage",
    "group_norm",
    formula="A_i = (r_i - mean_g(r)) / (std_g(r) + eps)",
    source="GRPO, arXiv:2402.03300",
    needs=_GROUPS,
    traits={"shift_invariant", "scale_invariant", "centred", "within_query"},
    min_group=2,
    peers={
        "TRL": "scale_rewards='group' (default), eps 1e-4",
        "verl": "grpo, eps 1e-6; with n=1 the raw reward",
        "OpenRLHF": "group_norm, eps 1e-9; with n=1 NaN",
    },
)
def group_norm(view: RewardView, *, advantage_eps: float) -> Tensor:
    """Centred and divided by the standard deviation of the query's rollouts.

    On binary rewards its expected gradient is that of 2 arcsin(sqrt(p)), p the success probability
    (arXiv:2601.10201), up to the finite size of the group.
    """
    return normalised(view.rewards, view.group, advantage_eps)


@level(
    "advantage",
    "group_mean_batch_std",
    formula="A_i = (r_i - mean_g(r)) / (std_N(r) + eps)",
    source="Lite PPO, arXiv:2508.08221",
    needs=_GROUPS,
    traits={"shift_invariant", "scale_invariant", "centred"},
    min_group=2,
    peers={
        "TRL": "scale_rewards='batch', std of the raw rewards as here",
        "verl": "none: reinforce_plus_plus_baseline weights by tokens",
        "OpenRLHF": "none: reinforce_baseline weights by tokens",
    },
)
def group_mean_batch_std(view: RewardView, *, advantage_eps: float) -> Tensor:
    """Centred on the query's mean, divided by the standard deviation of the whole round."""
    spread = deviation(view.rewards, all_together(view.group))
    return centred(view.rewards, view.group) / (spread + advantage_eps)


@level(
    "advantage",
    "rloo",
    formula="A_i = r_i - mean of the other rollouts of the query = n/(n-1) (r_i - mean_g(r))",
    source="RLOO, arXiv:2402.14740",
    needs=_GROUPS,
    traits={"shift_invariant", "scale_equivariant", "centred", "within_query"},
    min_group=2,
    peers={
        "TRL": "RLOOTrainer, n=2 by default",
        "verl": "rloo; with n=1 the raw reward",
        "OpenRLHF": "rloo; with n=1 a division by zero",
    },
)
def rloo(view: RewardView) -> Tensor:
    """Centred on the mean of the query's other rollouts."""
    count = counts(view.rewards, view.group)
    scale = count / (count - 1)
    return centred(view.rewards, view.group) * scale[view.group]


@level(
    "advantage",
    "rloo_norm",
    formula="A_i = (r_i - mean) / (std + eps), both of the other rollouts of the query; not divided"
    " where their std is 0",
    source="NeMo-RL, use_leave_one_out_baseline with normalize_rewards",
    needs=_GROUPS,
    traits={"shift_invariant", "centred", "within_query"},
    min_group=2,
    peers={"TRL": "none", "verl": "none", "OpenRLHF": "none"},
)
def rloo_norm(view: RewardView, *, advantage_eps: float) -> Tensor:
    """The rollout itself is in neither the mean nor the deviation that it is compared with.

    The only success of a query has others without a deviation, and keeps its distance of 1.
    """
    count = counts(view.rewards, view.group)[view.group]
    off = centred(view.rewards, view.group)
    lead = off * count / (count - 1)
    others = sums(off.square(), view.group)[view.group] - off * lead
    spread = (others.clamp(min=0) / (count - 2).clamp(min=1)).sqrt()
    return lead / (spread + advantage_eps).where(~_others_agree(view, count), 1.0)


@level(
    "advantage",
    "reinforce_pp_baseline",
    formula="A_i = (c_i - mean) / (std + eps), c_i = r_i - mean_g(r), mean and std of c over all"
    " tokens of the round",
    source="REINFORCE++-baseline, arXiv:2501.03262",
    needs=frozenset({"groups", "lengths"}),
    traits={"shift_invariant", "scale_invariant", "centred"},
    min_group=2,
    peers={
        "TRL": "none",
        "verl": "reinforce_plus_plus_baseline",
        "OpenRLHF": "reinforce_baseline, a KL term in the reward token by token",
    },
)
def reinforce_pp_baseline(view: RewardView, *, advantage_eps: float) -> Tensor:
    """Centred on the query's mean, then whitened over all tokens: long rollouts weigh more."""
    values = centred(view.rewards, view.group)[:, None]
    return whitened(values, view.lengths.float()[:, None], advantage_eps)[:, 0]


@level(
    "advantage",
    "opo",
    formula="A_i = r_i - sum_g(T_j r_j) / sum_g(T_j)",
    source="OPO, arXiv:2505.23585",
    needs=frozenset({"groups", "lengths"}),
    traits={"shift_invariant", "scale_equivariant", "centred", "within_query"},
    min_group=2,
    peers={"TRL": "none", "verl": "opo", "OpenRLHF": "none"},
)
def opo(view: RewardView) -> Tensor:
    """A baseline weighted by length: the one of least variance if a gradient's square is T."""
    counts(view.rewards, view.group)
    lengths = view.lengths.to(view.rewards.dtype)
    baseline = sums(view.rewards * lengths, view.group) / sums(lengths, view.group)
    same = uniform(view.rewards, view.group)
    return (view.rewards - baseline[view.group]).masked_fill(same, 0.0)


@level(
    "advantage",
    "gpg",
    formula="A_i = N / #(r_j != 0) (r_i - mean_g(r)) / F, F = 1",
    source="GPG, arXiv:2504.02546",
    needs=_GROUPS,
    traits={"scale_equivariant", "centred"},
    min_group=2,
    params={"F": 1.0},
    peers={"TRL": "none", "verl": "gpg, F=1 by default", "OpenRLHF": "none"},
)
def gpg(view: RewardView) -> Tensor:
    """Centred, and scaled up by the share of rewards that are zero.

    It counts rewards, not successes, so that 0/1 and +-1 are different choices.
    """
    nonzero = (view.rewards != 0).sum().clamp(min=1)
    return centred(view.rewards, view.group) * (len(view.rewards) / nonzero)


@level(
    "advantage",
    "max_rl",
    formula="A_i = (r_i - mean_g(r)) / mean_g(r), 0 where mean_g(r) <= 0",
    source="MaxRL, arXiv:2602.02710",
    needs=_GROUPS,
    traits={"scale_invariant", "centred", "within_query"},
    min_group=2,
    peers={"TRL": "none", "verl": "none", "OpenRLHF": "none"},
)
def max_rl(view: RewardView) -> Tensor:
    """Centred and divided by the query's mean: a query solved with chance p weighs about 1/p.

    Its objective is a truncated series of log p. Rewards must not be negative.
    """
    mean = (sums(view.rewards, view.group) / counts(view.rewards, view.group))[view.group]
    values = centred(view.rewards, view.group)
    return (values / mean).where(mean > 0, 0.0)


@level(
    "advantage",
    "passk_max",
    formula="best rollout of the query: r_1st - r_2nd, over std_g(r) + eps with passk_scale: std;"
    " all others: 0",
    source="Pass@k training, arXiv:2503.19595",
    needs=_GROUPS,
    traits={"shift_invariant", "centred", "within_query"},
    min_group=2,
    peers={"TRL": "none", "verl": "grpo_passk, over the std by default", "OpenRLHF": "none"},
)
def passk_max(
    view: RewardView, *, advantage_eps: float, passk_scale: Literal["none", "std"]
) -> Tensor:
    """Only the best rollout of a query teaches, by its lead over the second.

    With binary rewards only a query with exactly one success teaches.
    """
    counts(view.rewards, view.group)
    best = extreme(view.rewards, view.group, "amax")[view.group]
    first = view.rewards == best
    alone = sums(first.to(best.dtype), view.group)[view.group] == 1
    others = view.rewards.masked_fill(first & alone, float("-inf"))
    second = extreme(others, view.group, "amax")[view.group]
    lead = (best - second).where(first & alone, 0.0)
    if passk_scale == "none":
        return lead
    return lead / (deviation(view.rewards, view.group) + advantage_eps)


@level(
    "advantage",
    "extra_baseline",
    formula="A_i = (r_i - mean(r)) / (std(r) + eps) over the query's n rollouts and extra_rollouts"
    " more that carry no gradient",
    source="The released code of arXiv:2601.22532 (onerpo)",
    needs=frozenset({"groups", "extra"}),
    traits={"shift_invariant", "scale_invariant", "centred", "within_query"},
    min_group=2,
    peers={"TRL": "none", "verl": "none", "OpenRLHF": "none"},
)
def extra_baseline(view: RewardView, *, advantage_eps: float) -> Tensor:
    """An advantage without more rollouts in the gradient: it separates the two.

    The extra rollouts are generated samples like any other, and count as such in the budget.
    """
    return normalised(view.rewards, view.group, advantage_eps)


@level(
    "advantage",
    "remax",
    formula="A_i = r_i - r(greedy completion of the query)",
    source="ReMax, arXiv:2310.10505",
    needs=frozenset({"greedy"}),
    traits={"shift_invariant", "scale_equivariant", "centred", "within_query"},
    peers={"TRL": "none", "verl": "remax", "OpenRLHF": "none"},
)
def remax(view: RewardView) -> Tensor:
    """Compared with what the policy answers greedily: one more decode per query, in the budget."""
    greedy = view.greedy
    if greedy is None or int(greedy.sum()) != int(view.group.max()) + 1:
        rule = "remax compares with one greedy completion of every query"
        raise UsageError(Problem(rule, "a query without one"))
    baseline = sums(view.rewards * greedy, view.group)
    return view.rewards - baseline[view.group]


LEVELS = (
    group_mean,
    group_norm,
    group_mean_batch_std,
    rloo,
    rloo_norm,
    reinforce_pp_baseline,
    opo,
    gpg,
    max_rl,
    passk_max,
    extra_baseline,
    remax,
)


def _others_agree(view: RewardView, count: Tensor) -> Tensor:
    """(N,) bool: whether all other rollouts of the query have one reward."""
    first, last = (extreme(view.rewards, view.group, which)[view.group] for which in _ENDS)
    top, bottom = view.rewards == first, view.rewards == last
    tops, bottoms = (sums(end.to(count.dtype), view.group)[view.group] for end in (top, bottom))
    outside = (top & (tops == 1) & (bottoms == count - 1)) | (
        bottom & (bottoms == 1) & (tops == count - 1)
    )
    return outside | (first == last)
