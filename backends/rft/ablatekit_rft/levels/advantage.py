"""Advantages: one number per rollout, `(view, settings) -> (N,)` float32.

A baseline is a mean over an index: the rollout's query (`group_*`, `rloo`) or the whole round
(`batch_*`). Standard deviations are unbiased (n-1). Rollouts that all have the same reward get
exactly 0, whatever rounding does to their mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ablatekit.errors import Problem, UsageError
from ablatekit_rft.levels.types import RewardView, level

if TYPE_CHECKING:
    from torch import Tensor

    from ablatekit_rft.settings import RftSettings

NORM_EPS = 1e-8
"""Added to the standard deviation, as in oat (TRL 1e-4, verl 1e-6, OpenRLHF 1e-9).

The smallest non-zero standard deviation of n binary rewards is 1/sqrt(n), so that this one changes
an advantage by less than float32 rounding and affine reward codings stay the same design choice.
"""


@level(
    "advantage",
    "none",
    formula="A_i = r_i",
    source="REINFORCE; the minimalist reference, arXiv:2601.22532",
    peers={
        "TRL": "refused: num_generations must be at least 2",
        "verl": "only by accident: grpo or rloo with n=1",
        "OpenRLHF": "none: reinforce subtracts the batch mean",
    },
)
def none(view: RewardView, _settings: RftSettings) -> Tensor:
    """The raw reward: with 0/1 rewards failures give no gradient."""
    return view.rewards.clone()


@level(
    "advantage",
    "batch_mean",
    formula="A_i = r_i - mean_N(r)",
    source="REINFORCE with a baseline; RL2 with n=1",
    min_group=2,
    peers={
        "TRL": "none",
        "verl": "none: reinforce_plus_plus weights the mean by tokens",
        "OpenRLHF": "reinforce with no_std_norm, mean weighted by tokens",
    },
)
def batch_mean(view: RewardView, _settings: RftSettings) -> Tensor:
    """Centred on the mean of the whole round, the rollout itself included."""
    return _centred(view.rewards, view.group.new_zeros(view.group.shape))


@level(
    "advantage",
    "batch_norm",
    formula="A_i = (r_i - mean_N(r)) / (std_N(r) + eps)",
    source="Global advantage normalisation; SPO, arXiv:2509.13232",
    min_group=2,
    params={"eps": NORM_EPS},
    peers={
        "TRL": "none: scale_rewards='batch' keeps the group's mean",
        "verl": "reinforce_plus_plus, weighted by tokens",
        "OpenRLHF": "reinforce, weighted by tokens",
    },
)
def batch_norm(view: RewardView, _settings: RftSettings) -> Tensor:
    """Centred and divided by the standard deviation of the whole round."""
    return _normalised(view.rewards, view.group.new_zeros(view.group.shape))


@level(
    "advantage",
    "group_mean",
    formula="A_i = r_i - mean_g(r)",
    source="Dr. GRPO, arXiv:2503.20783",
    needs=frozenset({"groups"}),
    min_group=2,
    peers={
        "TRL": "scale_rewards='none'",
        "verl": "grpo with norm_adv_by_std_in_grpo=false",
        "OpenRLHF": "dr_grpo",
    },
)
def group_mean(view: RewardView, _settings: RftSettings) -> Tensor:
    """Centred on the mean of the query's rollouts, the rollout itself included."""
    return _centred(view.rewards, view.group)


@level(
    "advantage",
    "group_norm",
    formula="A_i = (r_i - mean_g(r)) / (std_g(r) + eps)",
    source="GRPO, arXiv:2402.03300",
    needs=frozenset({"groups"}),
    min_group=2,
    params={"eps": NORM_EPS},
    peers={
        "TRL": "scale_rewards='group' (default), eps 1e-4",
        "verl": "grpo, eps 1e-6; with n=1 the raw reward",
        "OpenRLHF": "group_norm, eps 1e-9; with n=1 NaN",
    },
)
def group_norm(view: RewardView, _settings: RftSettings) -> Tensor:
    """Centred and divided by the standard deviation of the query's rollouts.

    On binary rewards its expected gradient is that of 2 arcsin(sqrt(p)), p the success probability
    (arXiv:2601.10201), up to the finite size of the group.
    """
    return _normalised(view.rewards, view.group)


@level(
    "advantage",
    "rloo",
    formula="A_i = r_i - mean of the other rollouts of the query = n/(n-1) (r_i - mean_g(r))",
    source="RLOO, arXiv:2402.14740",
    needs=frozenset({"groups"}),
    min_group=2,
    peers={
        "TRL": "RLOOTrainer, n=2 by default",
        "verl": "rloo; with n=1 the raw reward",
        "OpenRLHF": "rloo; with n=1 a division by zero",
    },
)
def rloo(view: RewardView, _settings: RftSettings) -> Tensor:
    """Centred on the mean of the query's other rollouts."""
    counts = _counts(view.rewards, view.group)
    scale = counts / (counts - 1)
    return _centred(view.rewards, view.group) * scale[view.group]


LEVELS = (none, batch_mean, batch_norm, group_mean, group_norm, rloo)


def _sums(values: Tensor, index: Tensor) -> Tensor:
    return values.new_zeros(int(index.max()) + 1).index_add(0, index, values)


def _counts(values: Tensor, index: Tensor) -> Tensor:
    counts = _sums(values.new_ones(values.shape), index)
    if int(counts.min()) < 2:
        raise UsageError(
            Problem(
                "this advantage needs at least two rollouts to compare",
                "one rollout",
                "Raise rollouts (or queries_per_round), or choose advantage: none",
            )
        )
    return counts


def _uniform(values: Tensor, index: Tensor) -> Tensor:
    size = int(index.max()) + 1
    high = values.new_full((size,), float("-inf")).scatter_reduce(0, index, values, "amax")
    low = values.new_full((size,), float("inf")).scatter_reduce(0, index, values, "amin")
    return (high == low)[index]


def _centred(values: Tensor, index: Tensor) -> Tensor:
    mean = _sums(values, index) / _counts(values, index)
    return (values - mean[index]).masked_fill(_uniform(values, index), 0.0)


def _normalised(values: Tensor, index: Tensor) -> Tensor:
    centred = _centred(values, index)
    variance = _sums(centred.square(), index) / (_counts(values, index) - 1)
    return centred / (variance.sqrt() + NORM_EPS)[index]
