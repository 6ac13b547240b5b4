"""What of a round trains: whole queries (`group_filter`), and rollouts of a query (`downsample`).

Filters look at pass rates, never at a shaped reward: `(rates (Q,)) -> (Q,) bool`, a rate
being NaN where no rollout of the query has a verdict. Down-sampling looks at one query at a time:
`(rewards (n,), outcome (n,), generator) -> rows` among 0..n-1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ablatekit_rft.levels.types import level

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]


@level(
    "group_filter",
    "none",
    formula="all queries",
    source="The minimalist reference, arXiv:2601.22532",
    peers={"TRL": "default", "verl": "default", "OpenRLHF": "default"},
)
def keep_all(rates: Floats) -> NDArray[np.bool_]:
    """Every query trains, however uniform its outcomes."""
    return np.ones(len(rates), np.bool_)


@level(
    "group_filter",
    "drop",
    formula="queries with 0 < pass rate < 1",
    source="The filter of DAPO, arXiv:2503.14476, without its refill",
    needs=frozenset({"groups"}),
    min_group=2,
    peers={"TRL": "none", "verl": "none (RL2: on)", "OpenRLHF": "none"},
)
def drop(rates: Floats) -> NDArray[np.bool_]:
    """Queries whose rollouts are all right or all wrong leave the update and its denominators.

    Under a centred advantage they have no gradient anyway; without a baseline it is lost.
    """
    return _has_contrast(rates)


@level(
    "group_filter",
    "refill",
    formula="queries with 0 < pass rate < 1; more are drawn until there are queries_per_round, at"
    " most refill_batches times",
    source="Dynamic sampling of DAPO, arXiv:2503.14476",
    needs=frozenset({"groups", "refill"}),
    min_group=2,
    peers={
        "TRL": "none",
        "verl": "filter_groups (off)",
        "OpenRLHF": "dynamic_filtering_enable (off)",
    },
)
def refill(rates: Floats) -> NDArray[np.bool_]:
    """Uniform queries are replaced by others: every update is full, at the price of more rollouts.

    All rollouts generated count in the budget.
    """
    return _has_contrast(rates)


@level(
    "group_filter",
    "band",
    formula="queries with filter_low <= pass rate <= filter_high",
    source="Difficulty filtering as in OpenRLHF's dynamic_filtering_reward_range",
    needs=frozenset({"groups"}),
    min_group=2,
    peers={
        "TRL": "none",
        "verl": "none",
        "OpenRLHF": "dynamic_filtering_reward_range, with refill",
    },
)
def band(rates: Floats, *, filter_low: float, filter_high: float) -> NDArray[np.bool_]:
    """Only queries of a medium pass rate train."""
    return (rates >= filter_low) & (rates <= filter_high)


FILTERS = (keep_all, drop, refill, band)


@level(
    "downsample",
    "none",
    formula="all rollouts",
    source="The minimalist reference, arXiv:2601.22532",
    traits={"keeps_all"},
    peers={"TRL": "default", "verl": "default", "OpenRLHF": "default"},
)
def all_rollouts(rewards: Floats, _outcome: Floats, _generator: np.random.Generator) -> Rows:
    """Every rollout trains."""
    return np.arange(len(rewards))


@level(
    "downsample",
    "random",
    formula="m = downsample_to rollouts of each query at random",
    source="The control of PODS, arXiv:2504.13818",
    needs=frozenset({"groups"}),
    min_group=2,
    peers={"TRL": "none", "verl": "none", "OpenRLHF": "none"},
)
def at_random(
    rewards: Floats, _outcome: Floats, generator: np.random.Generator, *, downsample_to: int
) -> Rows:
    """Fewer rollouts in the update than drawn, chosen blindly."""
    return np.sort(generator.permutation(len(rewards))[:downsample_to])


@level(
    "downsample",
    "max_variance",
    formula="the k largest and m-k smallest rewards, k of the largest variance",
    source="PODS, arXiv:2504.13818",
    needs=frozenset({"groups"}),
    min_group=2,
    peers={"TRL": "none", "verl": "none", "OpenRLHF": "none"},
)
def max_variance(
    rewards: Floats, _outcome: Floats, _generator: np.random.Generator, *, downsample_to: int
) -> Rows:
    """The m rollouts whose rewards vary most; the best subset has this form."""
    order = np.argsort(rewards, kind="stable")
    m = min(downsample_to, len(order))
    splits = (np.concatenate((order[: m - k], order[len(order) - k :])) for k in range(m + 1))
    return np.sort(max(splits, key=lambda rows: float(rewards[rows].var())))


@level(
    "downsample",
    "top_bottom",
    formula="the ceil(m/2) largest and floor(m/2) smallest rewards",
    source="The even split of PODS, arXiv:2504.13818",
    needs=frozenset({"groups"}),
    min_group=2,
    peers={"TRL": "none", "verl": "none", "OpenRLHF": "none"},
)
def top_bottom(
    rewards: Floats, _outcome: Floats, _generator: np.random.Generator, *, downsample_to: int
) -> Rows:
    """As many of the best as of the worst rollouts."""
    order = np.argsort(rewards, kind="stable")
    m = min(downsample_to, len(order))
    return np.sort(np.concatenate((order[: m // 2], order[len(order) - (m - m // 2) :])))


@level(
    "downsample",
    "success_only",
    formula="rollouts with outcome 1",
    source="Rejection sampling as in RAFT, arXiv:2304.06767",
    peers={"TRL": "none", "verl": "use_pf_ppo, 'pow'", "OpenRLHF": "none"},
)
def success_only(_rewards: Floats, outcome: Floats, _generator: np.random.Generator) -> Rows:
    """Only right completions train; wrong ones leave the denominators, too."""
    return np.flatnonzero(outcome == 1)


DOWNSAMPLINGS = (all_rollouts, at_random, max_variance, top_bottom, success_only)

LEVELS = (*FILTERS, *DOWNSAMPLINGS)


def _has_contrast(rates: Floats) -> NDArray[np.bool_]:
    return (rates > 0) & (rates < 1)
