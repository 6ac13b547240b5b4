"""How completions are drawn: temperature, what of the distribution may be drawn, and where to end.

Both engines read these numbers in one order: temperature, then `min_p`, `top_k`, `top_p`, each
among the tokens that the one before it left. Nothing is ever taken from a model's own generation
settings but its end-of-sequence tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from ablatekit_rft.policy.models import Tokenizer
from ablatekit_rft.policy.rollout import first_eos
from ablatekit_rft.settings import RftSettings


@dataclass(frozen=True, slots=True)
class Stop:
    """Texts that end a completion, with what turns token ids into text."""

    texts: tuple[str, ...]
    decode: Callable[[Sequence[int]], str]

    def length(self, tokens: Sequence[int]) -> int | None:
        """Tokens up to and including the one that completes the first of the texts; None: none."""
        if not self._occurs(tokens):
            return None
        low, high = 1, len(tokens)
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if self._occurs(tokens[:middle]) else (middle + 1, high)
        return low

    def in_tail(self, tokens: Sequence[int]) -> bool:
        """Whether the last token completes one of the texts: reads no more than it must."""
        widest = max(len(text.encode()) for text in self.texts)
        return self._occurs(tokens[-widest:]) and self._occurs(tokens)

    def before(self, text: str) -> str:
        """What stands before the first of the texts; all of `text` if none occurs."""
        places = (text.find(stop) for stop in self.texts)
        return text[: min((place for place in places if place >= 0), default=len(text))]

    def _occurs(self, tokens: Sequence[int]) -> bool:
        text = self.decode(tokens)
        return any(stop in text for stop in self.texts)


@dataclass(frozen=True, slots=True)
class Decoding:
    """How completions are drawn; temperature 0 is greedy.

    Without `eos_ids` and `stop` every completion has exactly `max_new_tokens` tokens. top_p: the
    smallest set of most probable tokens with at least this probability; top_k: the k most probable
    tokens, 0 for all; min_p: tokens at least this share of the most probable one's probability.
    """

    max_new_tokens: int
    temperature: float
    eos_ids: tuple[int, ...]
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    stop: Stop | None = None

    @classmethod
    def of_training(cls, settings: RftSettings, max_new_tokens: int, tokenizer: Tokenizer) -> Self:
        """How the settings draw training rollouts."""
        return cls(
            max_new_tokens,
            settings.temperature,
            tokenizer.eos_ids,
            settings.top_p,
            settings.top_k,
            settings.min_p,
            Stop(settings.stop, tokenizer.decode) if settings.stop else None,
        )

    @property
    def is_truncated(self) -> bool:
        """Whether some tokens of the distribution can never be drawn."""
        return self.top_p < 1 or self.top_k > 0 or self.min_p > 0

    def drawable(self, probabilities: Tensor) -> Tensor:
        """Probabilities (..., V), not renormalised, with 0 for what may not be drawn."""
        if not self.is_truncated:
            return probabilities
        kept = probabilities
        if self.min_p > 0:
            kept = _above(kept, self.min_p * kept.amax(dim=-1, keepdim=True))
        if 0 < self.top_k < kept.shape[-1]:
            kept = _above(kept, kept.topk(self.top_k, dim=-1).values[..., -1:])
        return kept if self.top_p == 1 else _nucleus(kept, self.top_p)


def _above(probabilities: Tensor, threshold: Tensor) -> Tensor:
    return torch.where(probabilities >= threshold, probabilities, 0.0)


def _nucleus(probabilities: Tensor, top_p: float) -> Tensor:
    """Zero the least probable tokens that together hold at most 1 - top_p; never the best."""
    rising, order = probabilities.sort(dim=-1)
    share = rising.cumsum(dim=-1) / rising.sum(dim=-1, keepdim=True)
    dropped = share <= 1 - top_p
    dropped[..., -1] = False
    return probabilities.masked_fill(torch.zeros_like(dropped).scatter(-1, order, dropped), 0.0)


def ends(tokens: Tensor, decoding: Decoding) -> tuple[Tensor, Tensor]:
    """Where completions (N, T) end: lengths, and whether the limit cut them short. Both (N,).

    A completion ends with its first end of sequence, or with the token that completes a stop text.
    """
    lengths, truncated = first_eos(tokens, decoding.eos_ids)
    if decoding.stop is None:
        return lengths, truncated
    for row, ids in enumerate(tokens.tolist()):
        stopped = decoding.stop.length(ids[: int(lengths[row])])
        if stopped is not None:
            lengths[row], truncated[row] = stopped, False
    return lengths, truncated
