"""Weights of earlier rounds: what generates rollouts late."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from torch import Tensor

from ablatekit_rft.policy.policy import Policy


@dataclass(slots=True)
class StaleWeights:
    """Lends the policy the weights of `staleness` rounds ago: a sync that comes late by so many.

    With staleness 0 nothing is lent and nothing kept.
    """

    policy: Policy
    staleness: int
    _kept: deque[Tensor] = field(default_factory=deque)

    @contextmanager
    def at_round(self, round_index: int) -> Iterator[int]:
        """Inside, the policy has the weights that generate the round's rollouts; gives their round.

        To be entered once per round, before its updates.
        """
        if not self.staleness:
            yield round_index
            return
        weights = self.policy.parameters.weights.detach()
        self._kept.append(weights.clone())
        while len(self._kept) > self.staleness + 1:
            self._kept.popleft()
        weights.copy_(self._kept[0])
        try:
            yield round_index - (len(self._kept) - 1)
        finally:
            weights.copy_(self._kept[-1])

    def state(self) -> dict[str, Tensor]:
        """Kept weights by age, the oldest first."""
        return {f"{place:06d}": weights for place, weights in enumerate(self._kept)}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Continue from what `state` gave."""
        device = self.policy.device
        self._kept = deque(state[name].to(device) for name in sorted(state))
