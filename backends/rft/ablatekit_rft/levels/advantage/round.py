"""Advantages that need no group: `(view) -> (N,)` float32, or (N, T) per token.

A baseline is a constant or a mean over the whole round. Rollouts that all have the same reward get
exactly 0 from a centred advantage, whatever rounding does to their mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ablatekit_rft.levels.statistics import all_together, centred, counts, normalised, whitened
from ablatekit_rft.levels.types import RewardView, level

if TYPE_CHECKING:
    from torch import Tensor


@level(
    "advantage",
    "none",
    formula="A_i = r_i",
    source="REINFORCE; the minimalist reference, arXiv:2601.22532",
    traits={"scale_equivariant", "within_query", "within_rollout"},
    peers={
        "TRL": "refused: num_generations must be at least 2",
        "verl": "only by accident: grpo or rloo with n=1",
        "OpenRLHF": "none: reinforce subtracts the batch mean",
    },
)
def none(view: RewardView) -> Tensor:
    """The raw reward: with 0/1 rewards failures give no gradient."""
    return view.rewards.clone()


@level(
    "advantage",
    "const",
    formula="A_i = r_i - c, c = advantage_constant",
    source="A control: centring without adaptivity",
    traits={"within_query", "within_rollout"},
    peers={"TRL": "none", "verl": "none", "OpenRLHF": "none"},
)
def const(view: RewardView, *, advantage_constant: float) -> Tensor:
    """A fixed baseline: 0.5 turns 0/1 rewards into +-0.5."""
    return view.rewards - advantage_constant


@level(
    "advantage",
    "pos_only",
    formula="A_i = r_i where r_i > 0, else 0; or max(A, 0) of group_norm (pos_only_of)",
    source="RAFT, arXiv:2304.06767; Reinforce-Rej, arXiv:2504.11343",
    traits={"within_query"},
    peers={"TRL": "none", "verl": "none", "OpenRLHF": "none"},
)
def pos_only(
    view: RewardView, *, advantage_eps: float, pos_only_of: Literal["reward", "group_norm"]
) -> Tensor:
    """Only what is better than nothing, or than its group, teaches."""
    if pos_only_of == "group_norm":
        values = normalised(view.rewards, view.group, advantage_eps)
    else:
        values = view.rewards
    return values.clamp(min=0.0)


@level(
    "advantage",
    "batch_mean",
    formula="A_i = r_i - mean_N(r), or minus the mean of the other N-1 (batch_baseline: others)",
    source="REINFORCE with a baseline; RL2 with n=1",
    traits={"shift_invariant", "scale_equivariant", "centred"},
    min_group=2,
    peers={
        "TRL": "none",
        "verl": "none: reinforce_plus_plus weights the mean by tokens",
        "OpenRLHF": "flash_reinforce",
    },
)
def batch_mean(view: RewardView, *, batch_baseline: Literal["all", "others"]) -> Tensor:
    """Centred on the mean of the whole round.

    A mean that includes the rollout itself scales the expected gradient by (N-1)/N.
    """
    together = all_together(view.group)
    values = centred(view.rewards, together)
    if batch_baseline == "all":
        return values
    count = counts(view.rewards, together)
    return values * (count / (count - 1))


@level(
    "advantage",
    "batch_norm",
    formula="A_i = (r_i - mean_N(r)) / (std_N(r) + eps)",
    source="Global advantage normalisation; SPO, arXiv:2509.13232",
    traits={"shift_invariant", "scale_invariant", "centred"},
    min_group=2,
    peers={
        "TRL": "none: scale_rewards='batch' keeps the group's mean",
        "verl": "none: reinforce_plus_plus weights by tokens",
        "OpenRLHF": "none: reinforce weights by tokens",
    },
)
def batch_norm(view: RewardView, *, advantage_eps: float) -> Tensor:
    """Centred and divided by the standard deviation of the whole round."""
    return normalised(view.rewards, all_together(view.group), advantage_eps)


@level(
    "advantage",
    "reinforce_pp",
    formula="A_it = (G_it - mean) / (std + eps), mean and std over all tokens of the round;"
    " G_it = outcome reward minus the KL penalties of the tokens from t on",
    source="REINFORCE++, arXiv:2501.03262",
    needs=frozenset({"lengths"}),
    traits={"shift_invariant", "scale_invariant", "centred"},
    min_group=2,
    peers={
        "TRL": "none",
        "verl": "reinforce_plus_plus (masked_whiten)",
        "OpenRLHF": "reinforce (default whitening over tokens)",
    },
)
def reinforce_pp(view: RewardView, *, advantage_eps: float) -> Tensor:
    """Token returns, whitened over all tokens: long rollouts dominate mean and deviation.

    (N,) without a KL term in the reward: every token of a rollout then has the same return.
    """
    if view.penalty is None:
        returns, weights = view.rewards[:, None], view.lengths.float()[:, None]
    else:
        width = view.penalty.shape[1]
        columns = view.lengths.new_ones(view.lengths.shape[0], width).cumsum(dim=1) - 1
        weights = (columns < view.lengths[:, None]).float()
        before = view.penalty.cumsum(dim=1) - view.penalty
        returns = view.rewards[:, None] + before
    values = whitened(returns, weights, advantage_eps)
    return values[:, 0] if view.penalty is None else values


LEVELS = (none, const, pos_only, batch_mean, batch_norm, reinforce_pp)
