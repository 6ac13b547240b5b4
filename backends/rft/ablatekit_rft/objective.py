"""From verified outcomes to the loss of one update: the stages that the levels plug into."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ablatekit_rft.levels.registry import get_level
from ablatekit_rft.levels.types import RewardView
from ablatekit_rft.packing import micro_batches
from ablatekit_rft.policy import Policy
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
class Losses:
    """Aggregated losses of one update; `kl` is before its coefficient, None without a KL loss."""

    policy: float
    kl: float | None


@dataclass(frozen=True, slots=True)
class Objective:
    """The levels of one run, resolved."""

    settings: RftSettings
    max_new_tokens: int

    @property
    def needs_reference(self) -> bool:
        """Whether reference log-probabilities of the rollouts are needed."""
        return self.settings.kl_place != "none"

    def signal(self, outcomes: Tensor, rollouts: Rollouts, reference: Tensor | None) -> Signal:
        """Code the outcomes (N,) in {0, 1}, subtract KL where it belongs, compare.

        reference (N, T): log-probabilities under the initial policy, where they are needed.
        """
        settings = self.settings
        rewards: Tensor = get_level("reward_coding", settings.reward_coding).function(outcomes)
        kl = None
        if settings.kl_place == "reward" and reference is not None:
            kl = (self._estimator(rollouts.logp, reference) * rollouts.mask).sum(dim=1)
            rewards = rewards - settings.kl_coefficient * kl
        view = RewardView(rewards, rollouts.query, rollouts.lengths)
        advantage = get_level("advantage", settings.advantage).function(view, settings)
        return Signal(rewards, advantage, kl)

    def accumulate(
        self, policy: Policy, rollouts: Rollouts, advantage: Tensor, reference: Tensor | None
    ) -> Losses:
        """Add the gradient of the update's loss to the policy's gradient, in micro-batches.

        Weights are computed once over all rollouts; rollouts that cannot contribute (no advantage,
        no KL in the loss) are left out of the forward and backward pass.
        """
        level = get_level("aggregation", self.settings.aggregation)
        weights: Tensor = level.function(rollouts.lengths, self.max_new_tokens)
        in_loss = self.settings.kl_place == "loss"
        taught = torch.arange(len(advantage), device=advantage.device)
        taught = taught if in_loss else taught[advantage != 0]
        policy_loss, kl_loss = 0.0, 0.0
        for part in micro_batches(rollouts.select(taught), self.settings.micro_batch_tokens):
            rows = taught[part]
            batch = rollouts.select(rows)
            logp = policy.logp(batch, self.settings.temperature)
            loss = self._policy_loss(logp, batch.mask, advantage[rows], weights[rows])
            policy_loss += float(loss.detach())
            if in_loss and reference is not None:
                kl = self._kl_loss(logp, reference[rows], batch.mask, weights[rows])
                kl_loss += float(kl.detach())
                loss = loss + self.settings.kl_coefficient * kl
            policy.backward(loss)
        return Losses(policy_loss, kl_loss if in_loss else None)

    @property
    def _estimator(self) -> KlEstimator:
        return get_level("kl_estimator", self.settings.kl_estimator).function

    def _policy_loss(
        self, logp: Tensor, mask: Tensor, advantage: Tensor, weights: Tensor
    ) -> Tensor:
        losses: Tensor = get_level("policy_loss", "none").function(logp, advantage)
        return weighted_sum(losses, mask, weights)

    def _kl_loss(self, logp: Tensor, reference: Tensor, mask: Tensor, weights: Tensor) -> Tensor:
        return weighted_sum(self._estimator(logp, reference), mask, weights)


def weighted_sum(values: Tensor, mask: Tensor, weights: Tensor) -> Tensor:
    """sum_i w_i sum_t m_it v_it."""
    return ((values * mask).sum(dim=1) * weights).sum()
