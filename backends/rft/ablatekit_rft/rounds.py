"""One round: draw, verify, compare, update once. Everything it needs is passed in."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ablatekit.seeds import Seeds
from ablatekit_rft import metrics
from ablatekit_rft.models import Tokenizer
from ablatekit_rft.objective import Losses, Objective, Signal
from ablatekit_rft.optimizer import Clipping, FlatOptimizer, clip_gradient
from ablatekit_rft.policy import Policy
from ablatekit_rft.queries import round_queries, round_uniforms
from ablatekit_rft.rollout import Prompts, Rollouts
from ablatekit_rft.sampler import Decoding, sample
from ablatekit_rft.schedule import Costs, Horizon, learning_rate
from ablatekit_rft.settings import RftSettings
from ablatekit_rft.tasks import Query, Task
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
    """A round's rollouts with their outcomes (N,) in {0, 1}."""

    rollouts: Rollouts
    outcomes: Tensor


@dataclass(frozen=True, slots=True)
class RoundResult:
    """What a round did: its costs so far, how many rollouts were correct, and its metrics."""

    costs: Costs
    correct: int
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Trainer:
    """The parts of a run that rounds use."""

    settings: RftSettings
    task: Task
    tokenizer: Tokenizer
    seeds: Seeds
    train_set: TrainSet
    policy: Policy
    reference: Policy
    optimizer: FlatOptimizer
    objective: Objective
    horizon: Horizon = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "horizon", Horizon(self.settings.budget))

    def round(self, costs: Costs) -> RoundResult:
        """Run the round after `costs` and update the policy once.

        Raises FloatingPointError, before any weight changes, when probabilities, loss or gradient
        are not finite.
        """
        watch = Stopwatch()
        drawn = self._draw(costs.updates, watch)
        rollouts = drawn.rollouts
        reference = None
        if self.objective.needs_reference:
            with watch.phase(metrics.TIME_SCORE):
                reference = self._reference_logp(rollouts)
        with watch.phase(metrics.TIME_TRAIN):
            signal = self.objective.signal(drawn.outcomes, rollouts, reference)
            self.policy.arena.zero_gradient()
            losses = self.objective.accumulate(self.policy, rollouts, signal.advantage, reference)
            clipping = clip_gradient(self.policy.arena.gradient, self.settings.grad_clip)
            after = costs.after_round(len(drawn.outcomes), int(rollouts.lengths.sum()))
            rate = self._learning_rate(costs, after)
            self.optimizer.step(rate)
        logged = {
            metrics.LEARNING_RATE: rate,
            **_rollout_metrics(drawn),
            **_signal_metrics(signal, drawn, self.settings.rollouts),
            **_update_metrics(losses, clipping),
            **watch.seconds,
        }
        return RoundResult(after, int(drawn.outcomes.sum()), logged)

    def _draw(self, round_index: int, watch: Stopwatch) -> Drawn:
        settings = self.settings
        with watch.phase(metrics.TIME_GENERATE):
            chosen = round_queries(
                self.seeds, len(self.train_set.queries), settings.queries_per_round, round_index
            ).tolist()
            encoded = [self.train_set.encoded[index] for index in chosen]
            prompts = Prompts.pad(encoded, self.policy.pad_id, self.policy.device)
            steps = self.objective.max_new_tokens
            rows = len(chosen) * settings.rollouts
            uniforms = round_uniforms(self.seeds, round_index, rows, steps).to(self.policy.device)
            decoding = Decoding(steps, settings.temperature, self.tokenizer.eos_ids)
            rollouts = sample(self.policy, prompts, settings.rollouts, uniforms, decoding)
        with watch.phase(metrics.TIME_REWARD):
            queries = [self.train_set.queries[chosen[place]] for place in rollouts.query.tolist()]
            outcomes = verify(self.task, self.tokenizer, queries, rollouts)
        return Drawn(rollouts, torch.from_numpy(outcomes).to(self.policy.device))

    def _reference_logp(self, rollouts: Rollouts) -> Tensor:
        return self.reference.logp_without_gradient(
            rollouts, self.settings.temperature, self.settings.micro_batch_tokens
        )

    def _learning_rate(self, before: Costs, after: Costs) -> float:
        fraction = self.horizon.fraction
        return learning_rate(self.settings, fraction(before), fraction(after))


def _rollout_metrics(drawn: Drawn) -> dict[str, float]:
    rollouts = drawn.rollouts
    lengths = rollouts.lengths.float()
    return {
        metrics.CORRECT: float(drawn.outcomes.mean()),
        metrics.ENTROPY: float(rollouts.entropy.sum() / lengths.sum()),
        metrics.LENGTH_MEAN: float(lengths.mean()),
        metrics.LENGTH_MAX: float(lengths.max()),
        metrics.TRUNCATED: float(rollouts.truncated.float().mean()),
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


def _update_metrics(losses: Losses, clipping: Clipping) -> dict[str, float]:
    found = {
        metrics.LOSS_POLICY: losses.policy,
        metrics.GRAD_NORM: clipping.norm,
        metrics.GRAD_CLIPPED: float(clipping.clipped),
    }
    if losses.kl is not None:
        found[metrics.LOSS_KL] = losses.kl
    return found
