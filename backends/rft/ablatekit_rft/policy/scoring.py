"""Log-probability and entropy of given tokens from hidden states, without all logits in memory.

Logits of a vocabulary of 150,000 tokens are the largest tensor of a training step. Beyond
`CHUNK_ELEMENTS` of them, they are computed in chunks of rows, in the forward and again in the
backward pass, and never kept; below, autograd keeps them, which is faster.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

CHUNK_ELEMENTS = 2**25
"""Most logits in memory at once: 128 MiB in float32."""


def tempered(logits: Tensor, temperature: float) -> Tensor:
    """logits / temperature in at least single precision.

    The one place where a temperature meets logits: sampling, scoring and the reference share it.
    """
    logits = logits if logits.dtype in (torch.float32, torch.float64) else logits.float()
    return logits if temperature == 1.0 else logits / temperature


def tempered_log_softmax(logits: Tensor, temperature: float) -> Tensor:
    """log softmax(logits / temperature) over the last axis."""
    return torch.log_softmax(tempered(logits, temperature), dim=-1)


@dataclass(frozen=True, slots=True)
class TokenScores:
    """Log-probability of every token, and the entropy in nats of the softmax it belongs to."""

    logp: Tensor
    entropy: Tensor | None


@dataclass(frozen=True, slots=True)
class Head:
    """The map from hidden states to logits: weight (V, D), bias (V,).

    Rows from `vocabulary` on stand for no token and take no part.
    """

    weight: Tensor
    bias: Tensor | None
    vocabulary: int | None

    @property
    def size(self) -> int:
        """The number of tokens."""
        rows = int(self.weight.shape[0])
        return rows if self.vocabulary is None else min(rows, self.vocabulary)

    def logits(self, hidden: Tensor) -> Tensor:
        """(K, D) -> (K, size)."""
        bias = None if self.bias is None else self.bias[: self.size]
        return F.linear(hidden, self.weight[: self.size], bias)


def scores_of_logits(
    logits: Tensor, target: Tensor, temperature: float, *, entropy: bool
) -> TokenScores:
    """Scores of tokens `target` (...) under logits (..., V), through autograd."""
    log_probabilities = tempered_log_softmax(logits, temperature)
    chosen = log_probabilities.gather(-1, target.unsqueeze(-1)).squeeze(-1)
    if not entropy:
        return TokenScores(chosen, None)
    return TokenScores(chosen, -(log_probabilities.exp() * log_probabilities).sum(dim=-1))


def token_scores(
    hidden: Tensor, head: Head, target: Tensor, temperature: float, *, entropy: bool
) -> TokenScores:
    """Scores of tokens `target` (K,) that follow hidden states (K, D)."""
    if len(target) * head.size <= CHUNK_ELEMENTS:
        return scores_of_logits(head.logits(hidden), target, temperature, entropy=entropy)
    logp, of_softmax = _Chunked.apply(  # type: ignore[no-untyped-call]
        hidden, head.weight, head.bias, target, head.vocabulary, temperature, entropy
    )
    return TokenScores(logp, of_softmax if entropy else None)


class _Chunked(torch.autograd.Function):
    """With p = softmax(z), z = logits / T: dlogp/dz = onehot - p, dH/dz = -p (log p + H)."""

    @staticmethod
    def forward(
        context: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        target: Tensor,
        vocabulary: int | None,
        temperature: float,
        entropy: bool,
    ) -> tuple[Tensor, Tensor]:
        head = Head(weight, bias, vocabulary)
        normaliser = hidden.new_empty(len(target), dtype=_precise(hidden.dtype))
        logp, of_softmax = torch.empty_like(normaliser), torch.zeros_like(normaliser)
        for rows in _chunks(len(target), head.size):
            logits = tempered(head.logits(hidden[rows]), temperature)
            normaliser[rows] = logits.logsumexp(dim=-1)
            chosen = logits.gather(1, target[rows].unsqueeze(1)).squeeze(1)
            logp[rows] = chosen - normaliser[rows]
            if entropy:
                mean = (logits.softmax(dim=-1) * logits).sum(dim=-1)
                of_softmax[rows] = normaliser[rows] - mean
        context.save_for_backward(hidden, weight, bias, target, normaliser, of_softmax)
        context.vocabulary, context.temperature, context.entropy = vocabulary, temperature, entropy
        context.autocast = torch.is_autocast_enabled(hidden.device.type)
        return logp, of_softmax

    @staticmethod
    def backward(context: Any, of_logp: Tensor, of_entropy: Tensor) -> tuple[Tensor | None, ...]:
        hidden, weight, bias, target, normaliser, entropy = context.saved_tensors
        head = Head(weight, bias, context.vocabulary)
        to_hidden, to_weight = torch.empty_like(hidden), torch.zeros_like(weight)
        to_bias = None if bias is None else torch.zeros_like(bias)
        for rows in _chunks(len(target), head.size):
            with torch.autocast(hidden.device.type, dtype=torch.bfloat16, enabled=context.autocast):
                logits = tempered(head.logits(hidden[rows]), context.temperature)
            log_probabilities = logits - normaliser[rows, None]
            gradient = log_probabilities.exp()
            pull = -of_logp[rows, None]
            if context.entropy:
                along = log_probabilities + entropy[rows, None]
                pull = pull - of_entropy[rows, None] * along
            gradient = gradient * pull
            gradient.scatter_add_(1, target[rows, None], of_logp[rows, None])
            gradient = (gradient / context.temperature).to(weight.dtype)
            to_hidden[rows] = (gradient @ weight[: head.size]).to(hidden.dtype)
            to_weight[: head.size].addmm_(gradient.t(), hidden[rows].to(weight.dtype))
            if to_bias is not None:
                to_bias[: head.size] += gradient.sum(dim=0)
        return to_hidden, to_weight, to_bias, None, None, None, None


def _precise(dtype: torch.dtype) -> torch.dtype:
    return torch.float64 if dtype == torch.float64 else torch.float32


def _chunks(rows: int, columns: int) -> Iterator[slice]:
    size = max(1, CHUNK_ELEMENTS // columns)
    return (slice(start, start + size) for start in range(0, rows, size))
