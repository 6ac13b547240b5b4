"""Weights of earlier rounds: what generates rollouts late, and what KL is measured against."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ablatekit_rft.policy import Policy
from ablatekit_rft.settings import RftSettings


@dataclass(slots=True)
class DelayedWeights:
    """Lends the policy the weights of `delay` rounds ago: a sync that comes late by so many rounds.

    With delay 0 nothing is lent and nothing kept.
    """

    policy: Policy
    delay: int
    _kept: deque[Tensor] = field(default_factory=deque)

    @contextmanager
    def at_round(self, round_index: int) -> Iterator[int]:
        """Inside, the policy has the weights that generate the round's rollouts; gives their round.

        To be entered once per round, before its updates.
        """
        if not self.delay:
            yield round_index
            return
        weights = self.policy.arena.weights.detach()
        self._kept.append(weights.clone())
        while len(self._kept) > self.delay + 1:
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


@dataclass(slots=True)
class MovingReference:
    """The reference of the KL term: fixed, or following the policy by `kl_reference`.

    reset: the policy's own weights, every K rounds. ema: mixed with them every K rounds.
    previous: the weights of the round before.
    """

    settings: RftSettings
    policy: Policy
    initial: Policy
    _own: Policy | None = None
    _last: Tensor | None = None

    def at_round(self, round_index: int) -> Policy:
        """The reference of this round. To be called once per round, before its updates."""
        if self._is_fixed:
            return self.initial
        if self._own is None:
            self._own = self.initial.frozen_copy()
        with torch.no_grad():
            self._move(self._own.arena.weights, round_index)
        return self._own

    @property
    def _is_fixed(self) -> bool:
        return self.settings.kl_place == "none" or self.settings.kl_reference == "fixed"

    def _move(self, reference: Tensor, round_index: int) -> None:
        weights, settings = self.policy.arena.weights.detach(), self.settings
        if settings.kl_reference == "previous":
            if self._last is not None:
                reference.copy_(self._last)
            self._last = weights.clone()
        elif round_index and round_index % settings.kl_reference_rounds == 0:
            mix = settings.kl_reference_mix if settings.kl_reference == "ema" else 1.0
            reference.lerp_(weights, mix)

    def state(self) -> dict[str, Tensor]:
        """Weights of the reference and, where it follows, of the last round."""
        own = {} if self._own is None else {"own": self._own.arena.weights}
        return own if self._last is None else {**own, "last": self._last}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Continue from what `state` gave."""
        if "own" in state:
            self._own = self.initial.frozen_copy()
            with torch.no_grad():
                self._own.arena.weights.copy_(state["own"])
        self._last = state["last"].to(self.policy.device) if "last" in state else None
