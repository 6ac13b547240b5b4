"""What KL is measured against: the base model, or a reference that follows the policy."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ablatekit_rft.policy.policy import Policy
from ablatekit_rft.settings import RftSettings


@dataclass(slots=True)
class KlReference:
    """The reference of the KL term: fixed, or following the policy by `kl_reference`.

    reset: the policy's own weights, every K rounds. ema: mixed with them every K rounds.
    previous: the weights of the round before.
    """

    settings: RftSettings
    policy: Policy
    initial: Policy
    _moving: Policy | None = None
    _last: Tensor | None = None

    def at_round(self, round_index: int) -> Policy:
        """The reference of this round. To be called once per round, before its updates."""
        if self._is_fixed:
            return self.initial
        if self._moving is None:
            self._moving = self.initial.frozen_copy()
        with torch.no_grad():
            self._move(self._moving.parameters.weights, round_index)
        return self._moving

    @property
    def _is_fixed(self) -> bool:
        return self.settings.kl_place == "none" or self.settings.kl_reference == "fixed"

    def _move(self, reference: Tensor, round_index: int) -> None:
        weights, settings = self.policy.parameters.weights.detach(), self.settings
        if settings.kl_reference == "previous":
            if self._last is not None:
                reference.copy_(self._last)
            self._last = weights.clone()
        elif round_index and round_index % settings.kl_reference_rounds == 0:
            mix = settings.kl_reference_mix if settings.kl_reference == "ema" else 1.0
            reference.lerp_(weights, mix)

    def state(self) -> dict[str, Tensor]:
        """Weights of the reference and, where it follows, of the last round."""
        moving = {} if self._moving is None else {"own": self._moving.parameters.weights}
        return moving if self._last is None else {**moving, "last": self._last}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Continue from what `state` gave."""
        if "own" in state:
            self._moving = self.initial.frozen_copy()
            with torch.no_grad():
                self._moving.parameters.weights.copy_(state["own"])
        self._last = state["last"].to(self.policy.device) if "last" in state else None
