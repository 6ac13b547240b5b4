"""Prompts and rollouts as tensors; what is a token and what is padding comes from lengths only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Prompts:
    """Q prompts, padded on the left. tokens (Q, P) int64, lengths (Q,) int64."""

    tokens: Tensor
    lengths: Tensor

    @classmethod
    def pad(cls, encoded: Sequence[Sequence[int]], pad_id: int, device: torch.device) -> Prompts:
        """Pad token lists on the left. Raises ValueError when there is none, or an empty one."""
        if not encoded or not all(encoded):
            raise ValueError("every prompt needs at least one token")
        width = max(len(tokens) for tokens in encoded)
        rows = [[pad_id] * (width - len(tokens)) + list(tokens) for tokens in encoded]
        lengths = [len(tokens) for tokens in encoded]
        return cls(torch.tensor(rows, device=device), torch.tensor(lengths, device=device))

    @property
    def mask(self) -> Tensor:
        """(Q, P) bool: true at prompt tokens."""
        width = self.tokens.shape[1]
        columns = torch.arange(width, device=self.tokens.device)
        return columns >= (width - self.lengths).unsqueeze(1)

    def lists(self) -> list[list[int]]:
        """Token ids of each prompt, without padding."""
        lengths = self.lengths.tolist()
        return [row[-length:] for row, length in zip(self.tokens.tolist(), lengths, strict=True)]

    def select(self, index: Tensor) -> Prompts:
        """The prompts at `index` (K,)."""
        return Prompts(self.tokens[index], self.lengths[index])


@dataclass(frozen=True, slots=True)
class Rollouts:
    """N completions of Q prompts.

    query (N,) int64: each completion's prompt. tokens (N, T) int64, padded on the right.
    lengths (N,) int64: tokens up to and including the first EOS, or T. truncated (N,) bool: no EOS
    within T. logp (N, T): the sampler's log-probability of each token at its temperature.
    entropy (N, T): entropy of the full softmax it was drawn from, in nats. Both 0 beyond lengths.
    policy_logp (N, T): the policy's own log-probabilities of the same tokens at its temperature,
    where another engine drew them; None where `logp` are those.
    """

    prompts: Prompts
    query: Tensor
    tokens: Tensor
    lengths: Tensor
    truncated: Tensor
    logp: Tensor
    entropy: Tensor
    policy_logp: Tensor | None = None

    @property
    def mask(self) -> Tensor:
        """(N, T) bool: true at generated tokens, EOS included."""
        return length_mask(self.lengths, self.tokens.shape[1])

    @property
    def own_logp(self) -> Tensor:
        """(N, T): the policy's log-probabilities, whatever drew the tokens."""
        return self.logp if self.policy_logp is None else self.policy_logp

    def select(self, rows: Tensor) -> Rollouts:
        """The completions at `rows` (K,), with all prompts."""
        return Rollouts(
            self.prompts,
            self.query[rows],
            self.tokens[rows],
            self.lengths[rows],
            self.truncated[rows],
            self.logp[rows],
            self.entropy[rows],
            None if self.policy_logp is None else self.policy_logp[rows],
        )


def length_mask(lengths: Tensor, width: int) -> Tensor:
    """(N, width) bool: true in the first lengths[i] columns of row i."""
    return torch.arange(width, device=lengths.device) < lengths.unsqueeze(1)


def first_eos(tokens: Tensor, eos_ids: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Lengths up to and including the first EOS, and whether there was none. Both (N,)."""
    hits = is_eos(tokens, eos_ids)
    ended = hits.any(dim=1)
    first = hits.to(torch.int8).argmax(dim=1)
    lengths = torch.where(ended, first + 1, tokens.shape[1])
    return lengths, ~ended


def is_eos(tokens: Tensor, eos_ids: Sequence[int]) -> Tensor:
    """Whether each token ends a completion; same shape as `tokens`."""
    if len(eos_ids) == 1:
        return tokens == eos_ids[0]
    return torch.isin(tokens, torch.tensor(eos_ids, dtype=tokens.dtype, device=tokens.device))
