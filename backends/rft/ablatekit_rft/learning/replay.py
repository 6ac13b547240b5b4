"""The replay buffer: experience of the last rounds, as it was when it was made."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from ablatekit.runs.seeds import Seeds
from ablatekit_rft.levels.token_views import ReplayChoice, ReplayView
from ablatekit_rft.rollouts.experience import Experience, join
from ablatekit_rft.settings import RftSettings


@dataclass(slots=True)
class ReplayBuffer:
    """Fresh experience goes in, what the round trains on comes out."""

    settings: RftSettings
    seeds: Seeds
    _rounds: deque[Experience] = field(default_factory=deque)

    def mix(self, fresh: Experience, round_index: int) -> Experience:
        """The experience of this round's updates; `fresh` is then stored."""
        if self.settings.replay == "none":
            return fresh
        mixed = self._mixed(fresh, round_index) if self._rounds else fresh
        self._rounds.append(fresh.compact())
        while len(self._rounds) > self.settings.replay_rounds:
            self._rounds.popleft()
        return mixed

    def _mixed(self, fresh: Experience, round_index: int) -> Experience:
        stored = join(tuple(self._rounds))
        generator = np.random.default_rng(self.seeds.own(f"replay/{round_index}"))
        choose = self.settings.level("replay").bound(self.settings)
        choice: ReplayChoice = choose(_view(fresh), _view(stored), generator)
        parts = (fresh.select(choice.fresh), stored.select(choice.stored))
        return join([part for part in parts if len(part.advantage)])

    def state(self) -> dict[str, Tensor]:
        """Every stored tensor, by the age of its round, the oldest first."""
        return {
            f"{place:06d}/{name}": value
            for place, stored in enumerate(self._rounds)
            for name, value in stored.tensors().items()
        }

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Continue from what `state` gave."""
        rounds: dict[str, dict[str, Tensor]] = {}
        for key, value in state.items():
            place, name = key.split("/", 1)
            rounds.setdefault(place, {})[name] = value
        self._rounds = deque(Experience.from_tensors(rounds[place]) for place in sorted(rounds))


def _view(experience: Experience) -> ReplayView:
    return ReplayView(experience.rollouts.query, experience.correct, experience.score)


def group_scores(advantage: Tensor, rewards: Tensor, group: Tensor, judged: Tensor) -> Tensor:
    """(N,): sum of |A| times the standard deviation (n-1) of the rewards, over each one's group.

    judged: (N,) bool; a rollout without a verdict has no reward. One verdict alone has no deviation
    and score 0.
    """
    size = int(group.max()) + 1

    def summed(values: Tensor) -> Tensor:
        return values.new_zeros(size).index_add(0, group, values)[group]

    counted = judged.to(rewards.dtype)
    count = summed(counted)
    centred = (rewards - summed(rewards * counted) / count.clamp(min=1)) * counted
    variance = summed(centred.square()) / (count - 1).clamp(min=1)
    weight = advantage if advantage.dim() == 1 else advantage.mean(dim=1)
    return summed(weight.abs().to(rewards.dtype)) * variance.sqrt()
