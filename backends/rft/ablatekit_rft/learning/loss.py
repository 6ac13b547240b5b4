"""The loss of one optimizer step: surrogate, corrections, penalties, KL, entropy, aggregation.

Each of these is a stage of its own; what they share is a loss per token. Everything that depends on
the whole step (weights, the entropy threshold) is computed once, before it is cut into
micro-batches.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ablatekit_rft.learning.statistics import StepStats, TokenRecord
from ablatekit_rft.levels.mismatch import accepted
from ablatekit_rft.levels.stages import Stage
from ablatekit_rft.levels.token_views import (
    MAX_LOG_RATIO,
    EngineView,
    EntropyTerm,
    EntropyView,
    Ratios,
    StepView,
    Surrogate,
    SurrogateView,
)
from ablatekit_rft.policy.packing import micro_batches
from ablatekit_rft.policy.policy import Policy
from ablatekit_rft.policy.scoring import TokenScores
from ablatekit_rft.rollouts.experience import Experience
from ablatekit_rft.settings import RftSettings

KL_IN_LOSS = ("loss", "loss_is")


@dataclass(frozen=True, slots=True)
class _MicroBatch:
    """K rollouts of a step with their scores and weights (K,).

    term: what is done about entropy, its tokens those of the K rollouts. version: see
    `StepLoss.accumulate`.
    """

    batch: Experience
    scores: TokenScores
    weights: Tensor
    term: EntropyTerm
    version: int | None


@dataclass(frozen=True, slots=True)
class StepLoss:
    """The loss levels of one run, resolved."""

    settings: RftSettings
    max_new_tokens: int

    @property
    def is_off_policy(self) -> bool:
        """Whether some update trains on rollouts of other weights than its own."""
        s = self.settings
        return s.minibatches > 1 or s.epochs > 1 or s.staleness > 0 or s.replay != "none"

    @property
    def needs_old(self) -> bool:
        """Whether l_old takes a forward pass of its own, by the generating weights."""
        s = self.settings
        levels = any("old" in s.level(stage).needs for stage in ("mismatch", "entropy"))
        used = s.ratio_level != "none" or s.kl_place == "loss_is" or s.log_ratio_penalty > 0
        used = used or levels or s.rejection != "none"
        return used and self.is_off_policy and not self._engine_is_old

    @property
    def _engine_is_old(self) -> bool:
        return "engine_is_old" in self.settings.level("mismatch").traits

    @property
    def needs_reference(self) -> bool:
        """Whether the loss needs log-probabilities under the reference of KL."""
        return self.settings.kl_place in KL_IN_LOSS

    def accumulate(
        self,
        policy: Policy,
        step: Experience,
        entropy_coefficient: float = 0.0,
        version: int | None = None,
        generator: np.random.Generator | None = None,
    ) -> StepStats:
        """Add the gradient of the step's loss to the policy's gradient, in micro-batches.

        Rollouts that cannot contribute (no advantage and no other term, or no token that counts)
        are left out of the forward and backward pass. `version` is the round whose weights the
        policy still has, None once it was updated: on rollouts of that round its log-probabilities
        are comparable with the engine's. `generator` is the chance of this step, from a fixed seed
        where none is given. Raises FloatingPointError when the loss is not finite.
        """
        weights = self._weights(step)
        term = self._entropy_term(step, entropy_coefficient, generator)
        rows = self._contributing(step, term)
        stats = StepStats(term.following, counted=int(step.counted.sum()))
        for part in micro_batches(step.rollouts.select(rows), self.settings.micro_batch_tokens):
            at = rows[part]
            batch = step.select(at)
            scores = policy.score(
                batch.rollouts, self.settings.temperature, entropy=term.weight != 0
            )
            micro = _MicroBatch(batch, scores, weights[at], _selected(term, at), version)
            policy.backward(self._loss(micro, stats))
        return stats

    def _level(self, stage: Stage) -> Callable[..., Any]:
        return self.settings.level(stage).bound(self.settings)

    def _weights(self, step: Experience) -> Tensor:
        view = StepView(step.counted.sum(dim=1), step.rollouts.query, self.max_new_tokens)
        weights: Tensor = self._level("aggregation")(view)
        return weights

    def _entropy_term(
        self, step: Experience, coefficient: float, generator: np.random.Generator | None
    ) -> EntropyTerm:
        view = EntropyView(
            step.rollouts.entropy,
            step.counted,
            coefficient,
            step.rollouts.own_logp,
            _by_token(step.advantage),
            np.random.default_rng(0) if generator is None else generator,
        )
        term: EntropyTerm = self._level("entropy")(view)
        return term

    def _contributing(self, step: Experience, term: EntropyTerm) -> Tensor:
        """Rows (K,) with a gradient."""
        counted = step.counted.any(dim=1)
        penalised = self.settings.log_ratio_penalty > 0 or term.held is not None
        if not self.needs_reference and term.weight == 0 and not penalised:
            advantage = step.advantage
            counted = counted & ((advantage if advantage.dim() == 1 else advantage.any(1)) != 0)
        return counted.nonzero().squeeze(1)

    def _loss(self, micro: _MicroBatch, stats: StepStats) -> Tensor:
        batch, logp, weights = micro.batch, micro.scores.logp, micro.weights
        old = self._old_logp(batch, logp)
        surrogate, ratios = self._surrogate(batch, logp, old)
        correction = self._correction(batch, logp.detach(), old)
        values = surrogate.loss if correction is None else surrogate.loss * correction
        loss = weighted_sum(values, self._taught(micro), weights)
        stats.policy += float(loss.detach())
        penalty = self._penalty(micro, old)
        if penalty is not None:
            loss = loss + penalty
        if batch.reference_logp is not None and self.needs_reference:
            kl = weighted_sum(self._kl(logp, batch.reference_logp, old), batch.counted, weights)
            stats.kl += float(kl.detach())
            loss = loss + self.settings.kl_coefficient * kl
        if micro.scores.entropy is not None:
            bonus = weighted_sum(micro.scores.entropy, batch.counted, weights)
            loss = loss - micro.term.weight * bonus
        stats.tokens.append(_record(micro, surrogate, ratios, correction))
        return loss

    def _old_logp(self, batch: Experience, logp: Tensor) -> Tensor:
        """l_old (N, T): the engine's own, a stored one, or, on-policy, the one at hand."""
        if self._engine_is_old:
            return batch.rollouts.logp
        return logp.detach() if batch.old_logp is None else batch.old_logp

    def _surrogate(
        self, batch: Experience, logp: Tensor, old: Tensor
    ) -> tuple[Surrogate, Ratios | None]:
        advantage = _by_token(batch.advantage.detach())
        ratios: Ratios | None = self._level("ratio_level")(logp, old, batch.counted)
        if ratios is None:
            return Surrogate(-advantage * logp), None
        view = SurrogateView(logp, old, ratios, advantage, batch.counted)
        surrogate: Surrogate = self._level("clip")(view)
        return surrogate, ratios

    def _taught(self, micro: _MicroBatch) -> Tensor:
        """(K, T) bool: the tokens of the policy loss."""
        batch, bound = micro.batch, self.settings.off_policy_mask
        taught = batch.counted if micro.term.taught is None else micro.term.taught
        if bound is None:
            return taught
        gap = (batch.rollouts.logp - micro.scores.logp.detach()) * batch.counted
        tokens = batch.counted.sum(dim=1, keepdim=True).clamp(min=1)
        return taught & ((_by_token(batch.advantage) >= 0) | (gap.sum(1, True) / tokens <= bound))

    def _penalty(self, micro: _MicroBatch, old: Tensor) -> Tensor | None:
        """What distance from the generating policy costs, or None where it is free."""
        square, held = self.settings.log_ratio_penalty, micro.term.held
        log_ratio = micro.scores.logp - old
        parts = []
        if square > 0:
            cost = square / 2 * log_ratio.square()
            parts.append(weighted_sum(cost, micro.batch.counted, micro.weights))
        if held is not None:
            cost = micro.term.penalty * log_ratio.abs()
            parts.append(weighted_sum(cost, held, micro.weights))
        return sum(parts[1:], parts[0]) if parts else None

    def _correction(self, batch: Experience, logp: Tensor, old: Tensor) -> Tensor | None:
        """(K, T): weights against the engine's mismatch, None where all are 1."""
        s, weights = self.settings, None
        if "unweighted" not in s.level("mismatch").traits:
            view = EngineView(old, batch.rollouts.logp, batch.counted)
            weights = self._level("mismatch")(view)
        if s.rejection == "none":
            return weights
        trainer = logp if self._engine_is_old else old
        view = EngineView(trainer, batch.rollouts.logp, batch.counted)
        kept = accepted(view, s.rejection, s.rejection_bound).to(logp.dtype)
        return kept if weights is None else weights * kept

    def _kl(self, logp: Tensor, reference: Tensor, old: Tensor) -> Tensor:
        """(N, T): the estimate; times the token's ratio where that corrects its gradient."""
        values: Tensor = self._level("kl_estimator")(logp, reference)
        if self.settings.kl_place != "loss_is":
            return values
        return values * (logp - old).clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO).exp()


def weighted_sum(values: Tensor, mask: Tensor, weights: Tensor) -> Tensor:
    """sum_i w_i sum_t m_it v_it."""
    return ((values * mask).sum(dim=1) * weights).sum()


def _by_token(advantage: Tensor) -> Tensor:
    """Advantages as (N, 1) or (N, T)."""
    return advantage if advantage.dim() == 2 else advantage[:, None]


def _selected(term: EntropyTerm, rows: Tensor) -> EntropyTerm:
    """The term with the tokens of the rollouts at `rows`."""
    if term.taught is None and term.held is None:
        return term
    taught, held = (None if part is None else part[rows] for part in (term.taught, term.held))
    return replace(term, taught=taught, held=held)


def _record(
    micro: _MicroBatch, surrogate: Surrogate, ratios: Ratios | None, correction: Tensor | None
) -> TokenRecord:
    """What a micro-batch says about its counted tokens (M,), without gradient."""
    batch, logp, mask = micro.batch, micro.scores.logp.detach(), micro.batch.counted

    def of(values: Tensor | None) -> Tensor | None:
        return None if values is None else values.detach()[mask]

    reference = batch.reference_logp
    return TokenRecord(
        engine_gap=_engine_gap(micro),
        ratio=None if ratios is None else ratios.log.detach()[mask].exp(),
        low=of(surrogate.low),
        high=of(surrogate.high),
        dual=of(surrogate.dual),
        correction=of(correction),
        to_reference=None if reference is None else torch.stack((logp, reference))[:, mask],
    )


def _engine_gap(micro: _MicroBatch) -> Tensor:
    """l_old - l_roll of the tokens whose l_old is known, stored or because nothing changed yet."""
    batch = micro.batch
    if batch.old_logp is not None:
        return (batch.old_logp - batch.rollouts.logp)[batch.counted]
    comparable = batch.version == (-1 if micro.version is None else micro.version)
    gap = micro.scores.logp.detach() - batch.rollouts.logp
    return gap[batch.counted & comparable[:, None]]
