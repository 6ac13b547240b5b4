"""How far an engine's log-probabilities are from the trainer's, and when that is too far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from ablatekit_rft.engines.errors import EngineError
from ablatekit_rft.metrics.summaries import quantile

LEAST: Mapping[torch.dtype, float] = MappingProxyType(
    {torch.float32: 1e-4, torch.bfloat16: 0.1, torch.float16: 0.02}
)
"""Smallest mean |difference|, nats per token, that is called stale, by the engine's precision. Two
correct float32 implementations differ by 1e-6 to 1e-5; in bfloat16 by .03 (root mean square,
Qwen2.5-0.5B, Fast-LLM pull request 525)."""
FACTOR = 3.0
"""An engine is stale beyond this multiple of its mismatch before any update."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """|log p of the trainer - log p of the engine| over generated tokens, nats."""

    mean: float
    max: float
    p99: float


def mismatch(trainer: Tensor, engine: Tensor, mask: Tensor) -> Mismatch:
    """Compare log-probabilities (N, T) where `mask` (N, T) is true; there is at least one token."""
    apart = (trainer - engine)[mask].double().abs()
    return Mismatch(float(apart.mean()), float(apart.max()), quantile(apart, 0.99))


@dataclass(frozen=True, slots=True)
class Alarm:
    """What mean mismatch is too large: beyond what precision and the first comparison explain."""

    bound: float

    @classmethod
    def above(cls, first: Mismatch, dtype: torch.dtype) -> Alarm:
        """The alarm of an engine that showed `first` with the trainer's own weights.

        Raises EngineError when even those are too far apart for the precision: this model is not
        the same function in both.
        """
        if not first.mean <= LEAST[dtype]:
            raise EngineError(
                "the engine and the trainer disagree on the base model itself: mean |difference|"
                f" {first.mean:.2g} nats per token, at most {LEAST[dtype]:.2g} is rounding in"
                f" {dtype}. Set engine: policy for this model"
            )
        return cls(max(FACTOR * first.mean, LEAST[dtype]))

    def hears(self, mismatch: Mismatch) -> bool:
        """Whether this mismatch is that of an engine with other weights."""
        return not mismatch.mean <= self.bound

    def check(self, mismatch: Mismatch, when: str) -> None:
        """Raise EngineError if the engine does not hold the trainer's weights."""
        if self.hears(mismatch):
            raise EngineError(
                f"{when} the engine is stale: mean |difference| to the trainer {mismatch.mean:.2g}"
                f" nats per token (max {mismatch.max:.2g}), at most {self.bound:.2g} is rounding."
                " Nothing was trained on what it drew. Repeat the command: the run resumes from its"
                " last checkpoint with a new engine; if that fails, too, set engine: policy"
            )
