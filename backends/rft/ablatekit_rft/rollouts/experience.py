"""What an update trains on: rollouts with their advantages and all that belongs to their time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from ablatekit_rft.policy.rollout import Prompts, Rollouts


@dataclass(frozen=True, slots=True)
class Experience:
    """N rollouts that may stem from several rounds.

    advantage: (N,), or (N, T) where tokens differ. counted: (N, T) bool, tokens in the loss.
    correct: (N,) in {0, 1}. score: (N,), how much the rollout's group teaches (see `ReplayView`).
    version: (N,) int64, the round whose weights generated it. old_logp, reference_logp: (N, T), the
    trainer's log-probabilities under those weights and under the reference of KL, where needed.
    """

    rollouts: Rollouts
    advantage: Tensor
    counted: Tensor
    correct: Tensor
    score: Tensor
    version: Tensor
    old_logp: Tensor | None = None
    reference_logp: Tensor | None = None

    def select(self, rows: Tensor) -> Experience:
        """The rollouts at `rows` (K,), with all prompts."""
        parts: dict[str, Any] = {
            name: value.select(rows) if isinstance(value, Rollouts) else value[rows]
            for name, value in self._present()
        }
        return Experience(**parts)

    def compact(self) -> Experience:
        """The same without prompts that no rollout has."""
        present, query = torch.unique(self.rollouts.query, return_inverse=True)
        prompts = self.rollouts.prompts.select(present)
        return replace(self, rollouts=replace(self.rollouts, prompts=prompts, query=query))

    def tensors(self) -> dict[str, Tensor]:
        """Everything by name, for a checkpoint."""
        inside = {f"rollouts.{name}": value for name, value in _tensors_of(self.rollouts)}
        prompts = {f"prompts.{name}": value for name, value in _tensors_of(self.rollouts.prompts)}
        return {**dict(_tensors_of(self)), **inside, **prompts}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Experience:
        """What `tensors` gave."""
        prompts = Prompts(**_below(tensors, "prompts."))
        rollouts = Rollouts(prompts=prompts, **_below(tensors, "rollouts."))
        direct = {name: value for name, value in tensors.items() if "." not in name}
        return cls(rollouts=rollouts, **direct)

    def _present(self) -> list[tuple[str, Any]]:
        pairs = ((part.name, getattr(self, part.name)) for part in fields(self))
        return [(name, value) for name, value in pairs if value is not None]


def join(parts: Sequence[Experience]) -> Experience:
    """Experiences one after the other, padded to the widest; queries of different parts differ."""
    if len(parts) == 1:
        return parts[0]
    compact = [part.compact() for part in parts]
    rollouts = joined_rollouts([part.rollouts for part in compact])
    width = rollouts.tokens.shape[1]
    columns = [dict(_tensors_of(part)) for part in _alike(compact)]
    wide = {
        name: torch.cat([_widened(column[name], width) for column in columns])
        for name in columns[0]
    }
    return Experience(rollouts=rollouts, **wide)


def _alike(parts: Sequence[Experience]) -> list[Experience]:
    """The same with advantages per token everywhere, if some part has them.

    A round in which nothing could be compared has one advantage of 0 per rollout.
    """
    if all(part.advantage.dim() == 1 for part in parts):
        return list(parts)
    return [
        part
        if part.advantage.dim() == 2
        else replace(part, advantage=part.advantage[:, None].expand(part.counted.shape))
        for part in parts
    ]


def joined_rollouts(parts: Sequence[Rollouts]) -> Rollouts:
    """Rollouts one after the other, padded to the widest; queries of different parts differ."""
    width = max(part.tokens.shape[1] for part in parts)
    counts = torch.tensor([len(part.prompts.lengths) for part in parts])
    offsets = (counts.cumsum(0) - counts).tolist()
    query = torch.cat([part.query + offset for part, offset in zip(parts, offsets, strict=True)])
    columns = [dict(_tensors_of(part)) for part in parts]
    wide = {
        name: torch.cat([_widened(column[name], width) for column in columns])
        for name in columns[0]
        if name != "query"
    }
    return Rollouts(prompts=_joined_prompts([part.prompts for part in parts]), query=query, **wide)


def _joined_prompts(parts: Sequence[Prompts]) -> Prompts:
    width = max(part.tokens.shape[1] for part in parts)
    tokens = [F.pad(part.tokens, (width - part.tokens.shape[1], 0)) for part in parts]
    return Prompts(torch.cat(tokens), torch.cat([part.lengths for part in parts]))


def _widened(values: Tensor, width: int) -> Tensor:
    """Pad (N, T) on the right; (N,) is left alone. Padding is read by nobody: lengths say so."""
    return values if values.dim() == 1 else F.pad(values, (0, width - values.shape[1]))


def _tensors_of(record: Any) -> list[tuple[str, Tensor]]:
    pairs = ((part.name, getattr(record, part.name)) for part in fields(record))
    return [(name, value) for name, value in pairs if isinstance(value, Tensor)]


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }
