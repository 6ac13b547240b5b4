"""What levels remember between rounds: tensors by stage and name, part of every checkpoint."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ablatekit_rft.levels.types import State
from ablatekit_rft.policy.rollout import Prompts, Rollouts

ADVANTAGE, SAMPLER, LAST = "advantage", "sampler", "last"
POSITION, RATES, DIFFICULTY = "position", "rates", "difficulty"


@dataclass(slots=True)
class Memory:
    """States by stage; a stage that remembers nothing has none."""

    device: torch.device
    stages: dict[str, State] = field(default_factory=dict)

    def of(self, stage: str) -> State:
        """What a stage remembers; empty if nothing."""
        return self.stages.get(stage, {})

    def keep(self, stage: str, state: State) -> None:
        """Replace what a stage remembers, on the policy's device."""
        if state:
            self.stages[stage] = {name: value.to(self.device) for name, value in state.items()}

    def state(self) -> dict[str, Tensor]:
        """All states as `stage/name`, for a checkpoint."""
        return {
            f"{stage}/{name}": value
            for stage, state in self.stages.items()
            for name, value in state.items()
        }

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Continue from what `state` gave."""
        self.stages = {}
        for key, value in state.items():
            stage, _, name = key.partition("/")
            home = value if stage == SAMPLER else value.to(self.device)
            self.stages[stage] = {**self.stages.get(stage, {}), name: home}

    @property
    def position(self) -> int:
        """Queries drawn so far."""
        return int(self._sampler(POSITION)[0]) if self._sampler(POSITION).size else 0

    def rates(self, items: int) -> NDArray[np.float64]:
        """(items,) running pass rates, NaN where nothing is known."""
        known = self._sampler(RATES)
        return known if known.size else np.full(items, np.nan)

    @property
    def difficulty(self) -> NDArray[np.float64]:
        """(items,) pass rates of the base model, or empty."""
        return self._sampler(DIFFICULTY)

    def _sampler(self, name: str) -> NDArray[np.float64]:
        state = self.stages.get(SAMPLER, {})
        return state[name].numpy() if name in state else np.empty(0)

    def keep_sampler(
        self,
        position: int,
        rates: NDArray[np.float64] | None = None,
        difficulty: NDArray[np.float64] | None = None,
    ) -> None:
        """Remember what sample policies go by; what is not given stays."""
        state = dict(self.stages.get(SAMPLER, {}))
        state[POSITION] = torch.tensor([position])
        if rates is not None:
            state[RATES] = torch.from_numpy(rates)
        if difficulty is not None:
            state[DIFFICULTY] = torch.from_numpy(difficulty)
        self.stages[SAMPLER] = state


def updated_rates(
    rates: NDArray[np.float64],
    items: NDArray[np.int64],
    passed: NDArray[np.float64],
    share: float,
) -> NDArray[np.float64]:
    """Running pass rates after visits: `share` of the past and the rest of the visit.

    items, passed (V,): the visits in their order; a visit without a verdict is NaN and changes
    nothing. The first visit of an item is its rate.
    """
    after = rates.copy()
    for item, rate in zip(items.tolist(), passed.tolist(), strict=True):
        if not np.isnan(rate):
            before = after[item]
            after[item] = rate if np.isnan(before) else share * before + (1 - share) * rate
    return after


def last_rollouts(state: State, items: Tensor, prompts: Prompts) -> tuple[Rollouts, Tensor] | None:
    """The last rollout of each of these items (Q,) that has one, and which those are (K,).

    prompts: of the Q items. None when no item has been visited.
    """
    if not state:
        return None
    visited = (state["lengths"][items] > 0).nonzero().squeeze(1)
    if not len(visited):
        return None
    chosen = items[visited]
    tokens = state["tokens"][chosen].long()
    empty = torch.zeros_like(state["logp"][chosen])
    flags = torch.zeros(len(chosen), dtype=torch.bool, device=tokens.device)
    rollouts = Rollouts(
        prompts, visited, tokens, state["lengths"][chosen], flags, state["logp"][chosen], empty
    )
    return rollouts, visited


def with_last(state: State, items: int, item: Tensor, rollouts: Rollouts) -> State:
    """The state after these rollouts (N,) of train items (N,): each item's last row of them."""
    if not state:
        width = rollouts.tokens.shape[1]
        state = {
            "tokens": rollouts.tokens.new_zeros((items, width), dtype=torch.int32),
            "lengths": rollouts.lengths.new_zeros(items),
            "logp": rollouts.logp.new_zeros((items, width)),
        }
    chosen, place = np.unique(item.cpu().numpy()[::-1], return_index=True)
    rows = torch.from_numpy(len(item) - 1 - place).to(item.device)
    at = torch.from_numpy(chosen).to(item.device)
    return {
        "tokens": state["tokens"].index_copy(0, at, rollouts.tokens[rows].int()),
        "lengths": state["lengths"].index_copy(0, at, rollouts.lengths[rows]),
        "logp": state["logp"].index_copy(0, at, rollouts.own_logp[rows]),
    }
