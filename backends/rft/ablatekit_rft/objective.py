"""From verified outcomes to advantages: the stages before any update."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from ablatekit_rft.levels.registry import get_level
from ablatekit_rft.levels.types import RewardView
from ablatekit_rft.rollout import Rollouts
from ablatekit_rft.settings import RftSettings

KlEstimator = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Signal:
    """What a round's rollouts teach. All (N,): `kl` is the mean estimate in the reward, or None."""

    rewards: Tensor
    advantage: Tensor
    kl: Tensor | None


@dataclass(frozen=True, slots=True)
class Objective:
    """The reward and advantage levels of one run, resolved."""

    settings: RftSettings

    @property
    def needs_reference(self) -> bool:
        """Whether rewards need log-probabilities under the reference of KL."""
        return self.settings.kl_place == "reward"

    def signal(self, outcomes: Tensor, rollouts: Rollouts, reference: Tensor | None) -> Signal:
        """Code the outcomes (N,) in {0, 1}, subtract KL where it belongs, compare.

        reference (N, T): log-probabilities under the reference of KL, where they are needed.
        """
        settings = self.settings
        rewards: Tensor = get_level("reward_coding", settings.reward_coding).function(outcomes)
        kl = None
        if settings.kl_place == "reward" and reference is not None:
            kl = (self._estimator(rollouts.own_logp, reference) * rollouts.mask).sum(dim=1)
            rewards = rewards - settings.kl_coefficient * kl
        view = RewardView(rewards, rollouts.query, rollouts.lengths)
        advantage = get_level("advantage", settings.advantage).function(view, settings)
        return Signal(rewards, advantage, kl)

    @property
    def _estimator(self) -> KlEstimator:
        return get_level("kl_estimator", self.settings.kl_estimator).function
