"""A level of the backend rft: half of the reward."""

from __future__ import annotations

from ablatekit_rft.levels.types import RewardView, level


@level(
    "advantage",
    "halved",
    formula="A_i = r_i / 2",
    source="a package of the tests",
    traits={"scale_equivariant", "within_query", "within_rollout"},
)
def halved(view: RewardView):
    """Half of the reward."""
    return view.rewards / 2
