"""The updates of a round: epochs over its experience, cut into minibatches, one step each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
import torch
from torch import Tensor

from ablatekit.runs.seeds import Seeds
from ablatekit_rft.learning.loss import StepLoss
from ablatekit_rft.learning.statistics import StepStats, token_metrics
from ablatekit_rft.metrics import names as metrics
from ablatekit_rft.metrics.stopwatch import Stopwatch
from ablatekit_rft.policy.optimizer import Clipping, FlatOptimizer, clip_gradient, flat_norm
from ablatekit_rft.policy.policy import Policy
from ablatekit_rft.rollouts.experience import Experience
from ablatekit_rft.settings import RftSettings


@dataclass(slots=True)
class Updater:
    """Trains the policy on the experience of a round.

    `entropy_coefficient` is what an adaptive entropy level passes from one step to the next.
    """

    settings: RftSettings
    seeds: Seeds
    policy: Policy
    optimizer: FlatOptimizer
    loss: StepLoss
    entropy_coefficient: float = 0.0
    _copy: Tensor | None = None

    def train(
        self, experience: Experience, round_index: int, rate: float, watch: Stopwatch
    ) -> dict[str, float]:
        """All updates of a round at one learning rate; their metrics.

        Raises FloatingPointError, before the weights change in the step concerned, when a loss or
        a gradient is not finite.
        """
        before = self._copied_weights()
        version: int | None = round_index if self.settings.staleness == 0 else None
        steps: list[tuple[StepStats, Clipping]] = []
        for place, rows in enumerate(self._splits(len(experience.advantage), round_index)):
            step = experience if rows is None else experience.select(rows)
            chance = np.random.default_rng(self.seeds.own(f"tokens/{round_index}/{place}"))
            with watch.phase(metrics.TIME_TRAIN):
                self.policy.parameters.zero_gradient()
                stats = self.loss.accumulate(
                    self.policy, step, self.entropy_coefficient, version, chance
                )
            with watch.phase(metrics.TIME_OPTIMIZER):
                clipping = clip_gradient(self.policy.parameters.gradient, self.settings.grad_clip)
                self.optimizer.step(rate)
            self.entropy_coefficient, version = stats.entropy_coefficient, None
            steps.append((stats, clipping))
        return {**self._metrics(steps), **self._change(before)}

    def steps_per_round(self, rollouts: int) -> int:
        """The number of optimizer steps on so many rollouts."""
        return self.settings.epochs * min(self.settings.minibatches, rollouts)

    def _splits(self, rollouts: int, round_index: int) -> Iterator[Tensor | None]:
        """Rows of each step; None for all. Minibatches count rollouts, differ by one at most."""
        count = min(self.settings.minibatches, rollouts)
        for epoch in range(self.settings.epochs):
            if count == 1:
                yield None
                continue
            seed = self.seeds.own(f"minibatches/{round_index}/{epoch}")
            order = np.random.default_rng(seed).permutation(rollouts)
            for part in np.array_split(order, count):
                yield torch.from_numpy(np.sort(part)).to(self.policy.device)

    def _metrics(self, steps: Sequence[tuple[StepStats, Clipping]]) -> dict[str, float]:
        losses = [stats for stats, _ in steps]
        logged = {
            metrics.LOSS_POLICY: fmean(stats.policy for stats in losses),
            metrics.GRAD_NORM: fmean(clipping.norm for _, clipping in steps),
            metrics.GRAD_CLIPPED: fmean(clipping.clipped for _, clipping in steps),
            **token_metrics(losses),
        }
        if self.loss.needs_reference:
            logged[metrics.LOSS_KL] = fmean(stats.kl for stats in losses)
        if "adapts" in self.settings.level("entropy").traits:
            logged[metrics.ENTROPY_COEFFICIENT] = self.entropy_coefficient
        return logged

    def _copied_weights(self) -> Tensor:
        """The weights as they are; on a CPU in memory that is kept between rounds.

        Getting so much memory anew costs more than the copy; on a GPU it is scarce.
        """
        weights = self.policy.parameters.weights.detach()
        if weights.device.type != "cpu":
            return weights.clone()
        if self._copy is None:
            self._copy = torch.empty_like(weights)
        return self._copy.copy_(weights)

    def _change(self, before: Tensor) -> dict[str, float]:
        """How far the round moved the weights, relative to their norm, and as bfloat16."""
        after = self.policy.parameters.weights.detach()
        moved = {metrics.UPDATE_NORM: flat_norm(after, before) / flat_norm(before)}
        if self.settings.precision != "fp32":
            changed = after.bfloat16() != before.bfloat16()
            moved[metrics.CHANGED] = float(changed.float().mean())
        return moved

    def state(self) -> dict[str, Tensor]:
        """The entropy coefficient."""
        return {"entropy_coefficient": torch.tensor(self.entropy_coefficient, dtype=torch.float64)}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Continue from what `state` gave."""
        self.entropy_coefficient = float(state["entropy_coefficient"])


def build_updater(
    settings: RftSettings, seeds: Seeds, policy: Policy, max_new_tokens: int
) -> Updater:
    """The updater of a run, its optimizer and its loss."""
    spec = settings.level("optimizer").bound(settings)()
    optimizer = FlatOptimizer(policy.parameters, spec)
    return Updater(settings, seeds, policy, optimizer, StepLoss(settings, max_new_tokens))
