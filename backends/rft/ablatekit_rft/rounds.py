"""One round: draw, verify, compare, update. Everything it needs is passed in."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Protocol

import torch
from torch import Tensor

from ablatekit.seeds import Seeds
from ablatekit_rft import metrics
from ablatekit_rft.buffer import ReplayBuffer, group_scores
from ablatekit_rft.decoding import Decoding
from ablatekit_rft.delay import DelayedWeights, MovingReference
from ablatekit_rft.engines.base import Engine
from ablatekit_rft.engines.mismatch import Mismatch
from ablatekit_rft.experience import Experience
from ablatekit_rft.levels.lr_scale import REFERENCE_BATCH
from ablatekit_rft.levels.registry import get_level
from ablatekit_rft.models import Tokenizer
from ablatekit_rft.objective import Objective, Signal
from ablatekit_rft.policy import Policy
from ablatekit_rft.queries import round_draws, round_queries
from ablatekit_rft.rollout import Prompts, Rollouts
from ablatekit_rft.schedule import Costs, Horizon, learning_rate
from ablatekit_rft.settings import RftSettings
from ablatekit_rft.tasks import Task
from ablatekit_rft.updates import Updater
from ablatekit_rft.verdicts import Query
from ablatekit_rft.verify import verify


class Stopwatch:
    """Seconds by phase."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Add the time spent inside to a phase."""
        start = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


@dataclass(frozen=True, slots=True)
class TrainSet:
    """The train items with their token ids."""

    queries: tuple[Query, ...]
    encoded: tuple[list[int], ...]


@dataclass(frozen=True, slots=True)
class Drawn:
    """A round's rollouts with what the verifier found; all (N,), see `verify.Verified`.

    outcomes: in {0, 1}. format_ok, error: bool. mismatch: how far the engine's log-probabilities
    were from the policy's; None if it has those.
    """

    rollouts: Rollouts
    outcomes: Tensor
    format_ok: Tensor
    error: Tensor
    mismatch: Mismatch | None


@dataclass(frozen=True, slots=True)
class RoundResult:
    """What a round did: its costs so far, how many rollouts were correct, and its metrics."""

    costs: Costs
    correct: int
    metrics: Mapping[str, float]


class Stateful(Protocol):
    """A part of a run that a checkpoint keeps."""

    def state(self) -> dict[str, Tensor]:
        """Tensors by name."""

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Continue from what `state` gave."""


@dataclass(frozen=True, slots=True)
class Trainer:
    """The parts of a run that rounds use. `reference` is the initial policy."""

    settings: RftSettings
    task: Task
    tokenizer: Tokenizer
    seeds: Seeds
    train_set: TrainSet
    policy: Policy
    engine: Engine
    decoding: Decoding
    reference: Policy
    objective: Objective
    updater: Updater
    horizon: Horizon = field(init=False)
    delayed: DelayedWeights = field(init=False)
    kl_reference: MovingReference = field(init=False)
    replay: ReplayBuffer = field(init=False)

    def __post_init__(self) -> None:
        settings = self.settings
        parts = {
            "horizon": Horizon(settings.budget),
            "delayed": DelayedWeights(self.policy, settings.staleness),
            "kl_reference": MovingReference(settings, self.policy, self.reference),
            "replay": ReplayBuffer(settings, self.seeds),
        }
        for name, part in parts.items():
            object.__setattr__(self, name, part)

    @property
    def stateful(self) -> Mapping[str, Stateful]:
        """What a checkpoint keeps besides the weights, by name."""
        return {
            "optimizer": self.updater.optimizer,
            "updater": self.updater,
            "delayed": self.delayed,
            "kl_reference": self.kl_reference,
            "replay": self.replay,
        }

    def round(self, costs: Costs) -> RoundResult:
        """Run the round after `costs` and its updates.

        Raises FloatingPointError, before the weights change in the step concerned, when
        probabilities, a loss or a gradient are not finite.
        """
        watch = Stopwatch()
        reference = self.kl_reference.at_round(costs.rounds)
        scored = old = None
        with self.delayed.at_round(costs.rounds) as version:
            drawn = self._draw(costs.rounds, version, watch)
            rollouts = drawn.rollouts
            if self.updater.loss.needs_old:
                old = rollouts.policy_logp
                if old is None:
                    old = self._scored(self.policy, rollouts, watch)
        if self.objective.needs_reference:
            scored = self._scored(reference, rollouts, watch)
        with watch.phase(metrics.TIME_TRAIN):
            signal = self.objective.signal(drawn.outcomes, rollouts, scored)
            fresh = replace(self._experience(drawn, signal, version), old_logp=old)
            experience = self.replay.mix(fresh, costs.rounds)
        if self.updater.loss.needs_reference:
            scored = self._scored(reference, experience.rollouts, watch)
        if experience is fresh or self.updater.loss.needs_reference:
            experience = replace(experience, reference_logp=scored)
        steps = self.updater.steps_per_round(len(experience.advantage))
        after = costs.after_round(len(drawn.outcomes), int(rollouts.lengths.sum()), steps)
        rate = self._learning_rate(costs, after)
        with watch.phase(metrics.TIME_TRAIN):
            updated = self.updater.train(experience, costs.rounds, rate)
        logged = {
            metrics.LEARNING_RATE: rate,
            **_rollout_metrics(drawn),
            **_signal_metrics(signal, drawn, self.settings.rollouts),
            **_experience_metrics(experience, costs.rounds, self.settings),
            **updated,
            **watch.seconds,
        }
        return RoundResult(after, int(drawn.outcomes.sum()), logged)

    def _experience(self, drawn: Drawn, signal: Signal, version: int) -> Experience:
        rollouts = drawn.rollouts
        return Experience(
            rollouts=rollouts,
            advantage=signal.advantage,
            counted=rollouts.mask,
            correct=drawn.outcomes,
            score=group_scores(signal.advantage, signal.rewards, rollouts.query),
            version=torch.full_like(rollouts.query, version),
        )

    def _draw(self, round_index: int, version: int, watch: Stopwatch) -> Drawn:
        """Completions by the weights that the policy has now, those of round `version`."""
        settings = self.settings
        self._sync(version, watch)
        with watch.phase(metrics.TIME_GENERATE):
            chosen = round_queries(
                self.seeds, len(self.train_set.queries), settings.queries_per_round, round_index
            ).tolist()
            encoded = [self.train_set.encoded[index] for index in chosen]
            prompts = Prompts.pad(encoded, self.policy.pad_id, self.policy.device)
            steps = self.updater.loss.max_new_tokens
            rows = len(chosen) * settings.rollouts
            draws = round_draws(self.engine.draws, self.seeds, round_index, rows, steps)
            rollouts = self.engine.generate(prompts, settings.rollouts, draws, self.decoding)
        rollouts, mismatch = self._reconciled(rollouts, watch)
        with watch.phase(metrics.TIME_REWARD):
            queries = [self.train_set.queries[chosen[place]] for place in rollouts.query.tolist()]
            verified = verify(self.task, self.tokenizer, queries, rollouts, self.decoding.stop)
        outcomes, format_ok, error = (
            torch.from_numpy(part).to(self.policy.device)
            for part in (verified.correct, verified.format_ok, verified.error)
        )
        return Drawn(rollouts, outcomes, format_ok, error, mismatch)

    def _sync(self, version: int, watch: Stopwatch) -> None:
        if not self.engine.exact:
            with watch.phase(metrics.TIME_SYNC):
                self.engine.sync(version)

    def _reconciled(self, rollouts: Rollouts, watch: Stopwatch) -> tuple[Rollouts, Mismatch | None]:
        """Rollouts with the policy's log-probabilities; the engine rests from here on."""
        if self.engine.exact:
            return rollouts, None
        with watch.phase(metrics.TIME_SCORE):
            self.engine.rest()
            return self.engine.reconcile(rollouts, self.decoding, self.settings.micro_batch_tokens)

    def _scored(self, policy: Policy, rollouts: Rollouts, watch: Stopwatch) -> Tensor:
        with watch.phase(metrics.TIME_SCORE):
            return policy.logp_without_gradient(
                rollouts, self.settings.temperature, self.settings.micro_batch_tokens
            )

    def _learning_rate(self, before: Costs, after: Costs) -> float:
        settings, fraction = self.settings, self.horizon.fraction
        rollouts = settings.queries_per_round * settings.rollouts / settings.minibatches
        scale = get_level("lr_scale", settings.lr_scale).function(rollouts / REFERENCE_BATCH)
        return float(scale * learning_rate(settings, fraction(before), fraction(after)))


def _rollout_metrics(drawn: Drawn) -> dict[str, float]:
    rollouts = drawn.rollouts
    lengths = rollouts.lengths.float()
    return {
        metrics.CORRECT: float(drawn.outcomes.mean()),
        metrics.FORMAT: float(drawn.format_ok.float().mean()),
        metrics.VERIFIER_ERRORS: float(drawn.error.float().mean()),
        metrics.ENTROPY: float(rollouts.entropy.sum() / lengths.sum()),
        metrics.LENGTH_MEAN: float(lengths.mean()),
        metrics.LENGTH_MAX: float(lengths.max()),
        metrics.TRUNCATED: float(rollouts.truncated.float().mean()),
        **_mismatch_metrics(drawn.mismatch),
    }


def _mismatch_metrics(found: Mismatch | None) -> dict[str, float]:
    if found is None:
        return {}
    return {
        metrics.ENGINE_MEAN: found.mean,
        metrics.ENGINE_MAX: found.max,
        metrics.ENGINE_P99: found.p99,
    }


def _signal_metrics(signal: Signal, drawn: Drawn, rollouts: int) -> dict[str, float]:
    """Statistics of rewards and advantages; a standard deviation of one number does not exist."""
    by_query = drawn.outcomes.view(-1, rollouts)
    uniform = (by_query == by_query[:, :1]).all(dim=1)
    found = {
        metrics.REWARD_MEAN: float(signal.rewards.mean()),
        metrics.UNIFORM_GROUPS: float(uniform.float().mean()),
        metrics.ADVANTAGE_MEAN: float(signal.advantage.mean()),
        metrics.ADVANTAGE_NONZERO: float((signal.advantage != 0).float().mean()),
    }
    if len(signal.rewards) > 1:
        found[metrics.REWARD_STD] = float(signal.rewards.std())
        found[metrics.ADVANTAGE_STD] = float(signal.advantage.std())
    if signal.kl is not None:
        found[metrics.REWARD_KL] = float(signal.kl.mean())
    return found


def _experience_metrics(
    experience: Experience, round_index: int, settings: RftSettings
) -> dict[str, float]:
    """How old what is trained on is, where it can be old."""
    if settings.staleness == 0 and settings.replay == "none":
        return {}
    age = (round_index - experience.version).float()
    return {
        metrics.TRAINED: len(age),
        metrics.AGE_MEAN: float(age.mean()),
        metrics.AGE_MAX: float(age.max()),
    }
