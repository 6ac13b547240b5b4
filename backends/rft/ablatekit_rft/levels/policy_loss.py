"""Per-token policy losses: `(logp (N,T), advantage (N,)) -> (N,T)`, before any aggregation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ablatekit_rft.levels.types import level

if TYPE_CHECKING:
    from torch import Tensor


@level(
    "policy_loss",
    "none",
    formula="loss_it = -A_i l_it",
    source="REINFORCE, Williams 1992",
    peers={
        "TRL": "equal in gradient: ratio and clip are inert on-policy with one update per round",
        "verl": "equal in gradient on-policy; dual clip is on by default and inert there too",
        "OpenRLHF": "equal in gradient on-policy",
    },
)
def none(logp: Tensor, advantage: Tensor) -> Tensor:
    """No importance ratio: exact for one update on rollouts of the current policy."""
    return -advantage.detach()[:, None] * logp


LEVELS = (none,)
