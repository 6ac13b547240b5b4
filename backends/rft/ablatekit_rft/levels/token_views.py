"""What the levels of one optimizer step see of its N completions of at most T tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

MAX_LOG_RATIO = 20.0
"""Bound of every log-ratio that is exponentiated, as in verl and OpenRLHF."""


@dataclass(frozen=True, slots=True)
class StepView:
    """The whole optimizer step, before it is cut into micro-batches.

    lengths: (N,) int64, tokens of each completion that count in the loss; 0 where none does.
    query: (N,) int64, equal for completions of one query.
    max_new_tokens: the length limit, never the width of a padded batch.
    """

    lengths: Tensor
    query: Tensor
    max_new_tokens: int


@dataclass(frozen=True, slots=True)
class Ratios:
    """Importance ratios of the trained against the generating policy, per token.

    log: (N, T) with gradient, 0 beyond the lengths. share: (N, 1), what part of its completion's
    surrogate a token carries: 1 where every token has one of its own.
    """

    log: Tensor
    share: Tensor


@dataclass(frozen=True, slots=True)
class SurrogateView:
    """What clipping sees. logp (with gradient), old_logp: (N, T); advantage: (N, 1) or (N, T);
    mask: (N, T) bool, true at tokens that count."""

    logp: Tensor
    old_logp: Tensor
    ratios: Ratios
    advantage: Tensor
    mask: Tensor


@dataclass(frozen=True, slots=True)
class Surrogate:
    """A loss per token (N, T), and where clipping binds, (N, T) bool or None where it cannot.

    low, high: the lower or upper bound stops a token's gradient (so `low` only where the advantage
    is negative, `high` where it is positive, unless the bound acts on both). dual: the second bound
    of a negative advantage does.
    """

    loss: Tensor
    low: Tensor | None = None
    high: Tensor | None = None
    dual: Tensor | None = None


@dataclass(frozen=True, slots=True)
class EngineView:
    """Log-probabilities of the same weights by trainer and engine, (N, T), and the mask (N, T)."""

    old_logp: Tensor
    rollout_logp: Tensor
    mask: Tensor


@dataclass(frozen=True, slots=True)
class EntropyView:
    """A step's tokens under the policy that generated them, and what the step before left.

    entropy: (N, T) in nats. mask: (N, T). coefficient: what the previous step passed on (0 at
    first). logp: (N, T). advantage: (N, 1) or (N, T). generator: chance of this step alone.
    """

    entropy: Tensor
    mask: Tensor
    coefficient: float
    logp: Tensor
    advantage: Tensor
    generator: np.random.Generator


@dataclass(frozen=True, slots=True)
class EntropyTerm:
    """What a step does about entropy.

    weight: of a bonus in this step. following: the coefficient to pass on. taught: (N, T) bool, the
    tokens of the policy loss, or None for all. held: (N, T) bool, the tokens whose absolute
    log-ratio costs `penalty`, or None for none.
    """

    weight: float
    following: float
    taught: Tensor | None = None
    held: Tensor | None = None
    penalty: float = 0.0


@dataclass(frozen=True, slots=True)
class ReplayView:
    """N rollouts as a replay level sees them: (N,) each.

    group: int64, the rollout's query, equal only for rollouts drawn together. correct: in {0, 1}.
    score: how much the rollout's group teaches, sum of |A| times the deviation of its rewards.
    """

    group: Tensor
    correct: Tensor
    score: Tensor


@dataclass(frozen=True, slots=True)
class ReplayChoice:
    """What a round trains on: places of fresh and of stored rollouts, int64."""

    fresh: Tensor
    stored: Tensor
