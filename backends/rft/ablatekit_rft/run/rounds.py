"""One round: draw, verify, compare, update. Everything it needs is passed in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ablatekit.errors import Problem, UsageError
from ablatekit.runs.seeds import Seeds
from ablatekit_rft.engines.base import Engine
from ablatekit_rft.engines.decoding import Decoding
from ablatekit_rft.engines.mismatch import Mismatch
from ablatekit_rft.learning.advantages import Signal, teach
from ablatekit_rft.learning.kl_reference import KlReference
from ablatekit_rft.learning.replay import ReplayBuffer, group_scores
from ablatekit_rft.learning.stale_weights import StaleWeights
from ablatekit_rft.learning.statistics import round_metrics
from ablatekit_rft.learning.updates import Updater
from ablatekit_rft.levels.lr_scale import REFERENCE_BATCH
from ablatekit_rft.levels.types import Start
from ablatekit_rft.metrics import names as metrics
from ablatekit_rft.metrics.budget import BudgetMeter, Costs, learning_rate
from ablatekit_rft.metrics.stopwatch import Stopwatch
from ablatekit_rft.policy.models import Tokenizer
from ablatekit_rft.policy.policy import Policy
from ablatekit_rft.policy.rollout import Rollouts
from ablatekit_rft.rollouts.collect import Collector, TrainSet
from ablatekit_rft.rollouts.drawn import Drawn
from ablatekit_rft.rollouts.experience import Experience
from ablatekit_rft.rollouts.item_memory import ADVANTAGE, LAST, Memory, last_rollouts, with_last
from ablatekit_rft.settings import RftSettings
from ablatekit_rft.tasks import Task


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
    updater: Updater
    meter: BudgetMeter = field(init=False)
    stale_weights: StaleWeights = field(init=False)
    kl_reference: KlReference = field(init=False)
    replay: ReplayBuffer = field(init=False)
    memory: Memory = field(init=False)
    collector: Collector = field(init=False)

    def __post_init__(self) -> None:
        settings, memory = self.settings, Memory(self.policy.device)
        parts = {
            "memory": memory,
            "collector": Collector(
                settings,
                self.task,
                self.tokenizer,
                self.seeds,
                self.train_set,
                self.engine,
                self.decoding,
                memory,
            ),
            "meter": BudgetMeter(settings.budget),
            "stale_weights": StaleWeights(self.policy, settings.staleness),
            "kl_reference": KlReference(settings, self.policy, self.reference),
            "replay": ReplayBuffer(settings, self.seeds),
        }
        for name, part in parts.items():
            object.__setattr__(self, name, part)

    @property
    def stateful(self) -> Mapping[str, Stateful]:
        """What a checkpoint keeps besides the weights, by the name that it has there."""
        return {
            "optimizer": self.updater.optimizer,
            "updater": self.updater,
            "delayed": self.stale_weights,
            "kl_reference": self.kl_reference,
            "replay": self.replay,
            "memory": self.memory,
        }

    def begin(self, pass_rate: float) -> Costs:
        """Give levels their states before the first round; what that cost.

        pass_rate: Pass@1 of the base model on the train probe. Raises UsageError when nothing of
        the budget is left for rounds.
        """
        level = self.settings.level("advantage")
        if level.state is not None:
            coding = self.settings.level("reward_coding").bound(self.settings)
            start = Start(len(self.train_set.queries), float(coding(torch.tensor(pass_rate))))
            self.memory.keep(ADVANTAGE, level.initial_state(start, self.settings))
        costs = self.collector.measure_difficulty()
        if self.meter.is_spent(costs):
            rule = "measuring how difficult the train items are spends the whole budget"
            spent = f"{self.meter.spent(costs)} of {self.meter.budget.amount}"
            remedy = "Raise budget.amount, or lower difficulty_samples or train_items"
            raise UsageError(Problem(rule, spent, remedy))
        return costs

    def round(self, costs: Costs) -> RoundResult:
        """Run the round after `costs` and its updates.

        Raises FloatingPointError, before the weights change in the step concerned, when
        probabilities, a loss or a gradient are not finite.
        """
        watch = Stopwatch(self.policy.device)
        reference = self.kl_reference.at_round(costs.rounds)
        scored = old = None
        with self.stale_weights.at_round(costs.rounds) as version:
            drawn, mismatch = self.collector.collect(costs.rounds, version, watch)
            if self.settings.kl_place == "reward":
                drawn = self._with_policy_logp(drawn, watch)
            drift = self._drift(drawn, watch)
            if self.updater.loss.needs_old:
                old = drawn.rollouts.policy_logp
                if old is None:
                    old = self._scored(self.policy, drawn.rollouts, watch)
        if self.settings.kl_place == "reward":
            scored = self._scored(reference, drawn.rollouts, watch)
        with watch.phase(metrics.TIME_TRAIN):
            signal = self._teach(costs.rounds, drawn, scored, drift)
            fresh = self._experience(drawn, signal, version, old)
            experience = self.replay.mix(fresh, costs.rounds) if len(signal.rows) else fresh
        if self.updater.loss.needs_reference and len(experience.advantage):
            scored = self._scored(reference, experience.rollouts, watch)
            experience = replace(experience, reference_logp=scored)
        elif experience is fresh and scored is not None:
            experience = replace(experience, reference_logp=scored[signal.rows])
        steps = self.updater.steps_per_round(len(experience.advantage))
        after = costs.after_round(len(drawn.correct), int(drawn.rollouts.lengths.sum()), steps)
        rate = self._learning_rate(costs, after, len(experience.advantage))
        updated = self.updater.train(experience, costs.rounds, rate, watch) if steps else {}
        self._remember(drawn, signal)
        logged = {
            metrics.LEARNING_RATE: rate,
            metrics.TRAINED: len(experience.advantage),
            metrics.TRAINED_TOKENS: int(experience.counted.sum()),
            **round_metrics(self.settings, drawn, signal, drift),
            **_mismatch_metrics(mismatch),
            **_experience_metrics(experience, costs.rounds, self.settings),
            **updated,
            **watch.seconds,
        }
        return RoundResult(after, int(drawn.correct[drawn.sampled].sum()), logged)

    def _with_policy_logp(self, drawn: Drawn, watch: Stopwatch) -> Drawn:
        """The round with log-probabilities from the pass that scores the reference, too.

        The sampler's differ from those in their last bits, so that KL to a reference that is the
        policy would not be exactly 0, and a normalised advantage would blow that up.
        """
        if drawn.rollouts.policy_logp is not None:
            return drawn
        logp = self._scored(self.policy, drawn.rollouts, watch)
        return replace(drawn, rollouts=replace(drawn.rollouts, policy_logp=logp))

    def _teach(
        self, round_index: int, drawn: Drawn, reference: Tensor | None, drift: Tensor | None
    ) -> Signal:
        generator = np.random.default_rng(self.seeds.own(f"downsample/{round_index}"))
        limit, state = self.updater.loss.max_new_tokens, self.memory.of(ADVANTAGE)
        return teach(self.settings, drawn, limit, state, generator, reference, drift)

    def _experience(
        self, drawn: Drawn, signal: Signal, version: int, old: Tensor | None
    ) -> Experience:
        """The rollouts that train; those of a whole round are not copied."""
        rollouts, rows = drawn.rollouts, signal.rows
        if len(rows) < len(drawn.correct):
            rollouts = rollouts.select(rows)
            old = None if old is None else old[rows]
        scores = (
            group_scores(signal.advantage, signal.rewards[rows], rollouts.query, ~drawn.error[rows])
            if len(rows)
            else signal.advantage
        )
        return Experience(
            rollouts=rollouts,
            advantage=signal.advantage,
            counted=rollouts.mask,
            correct=drawn.correct[rows],
            score=scores,
            version=torch.full_like(rollouts.query, version),
            old_logp=old,
        )

    def _drift(self, drawn: Drawn, watch: Stopwatch) -> Tensor | None:
        """(N,): mean |l_then - l_now| over the last rollout of each rollout's item, 0 at first.

        None where no level asks for it.
        """
        if "drift" not in self.settings.level("advantage").needs:
            return None
        query = drawn.rollouts.query
        items = torch.zeros_like(drawn.rollouts.prompts.lengths).index_copy(0, query, drawn.item)
        drift = torch.zeros(len(items), device=query.device)
        visited_before = last_rollouts(self.memory.of(LAST), items, drawn.rollouts.prompts)
        if visited_before is not None:
            last, visited = visited_before
            moved = (last.logp - self._scored(self.policy, last, watch)).abs() * last.mask
            drift = drift.index_copy(0, visited, moved.sum(dim=1) / last.lengths)
        return drift[query]

    def _remember(self, drawn: Drawn, signal: Signal) -> None:
        """Take in what this round taught about the items and the advantage's baseline."""
        self.memory.keep(ADVANTAGE, signal.state)
        self.collector.remember(drawn)
        if "drift" in self.settings.level("advantage").needs:
            count = len(self.train_set.queries)
            state = with_last(self.memory.of(LAST), count, drawn.item, drawn.rollouts)
            self.memory.keep(LAST, state)

    def _scored(self, policy: Policy, rollouts: Rollouts, watch: Stopwatch) -> Tensor:
        with watch.phase(metrics.TIME_SCORE):
            return policy.logp_without_gradient(
                rollouts, self.settings.temperature, self.settings.micro_batch_tokens
            )

    def _learning_rate(self, before: Costs, after: Costs, rollouts: int) -> float:
        """The rate of the round's updates on so many rollouts."""
        settings, fraction = self.settings, self.meter.trained_fraction
        batch = rollouts / max(1, min(settings.minibatches, rollouts)) / REFERENCE_BATCH
        scale = settings.level("lr_scale").bound(settings)(batch)
        return float(scale * learning_rate(settings, fraction(before), fraction(after)))


def _mismatch_metrics(mismatch: Mismatch | None) -> dict[str, float]:
    if mismatch is None:
        return {}
    return {
        metrics.ENGINE_MEAN: mismatch.mean,
        metrics.ENGINE_MAX: mismatch.max,
        metrics.ENGINE_P99: mismatch.p99,
    }


def _experience_metrics(
    experience: Experience, round_index: int, settings: RftSettings
) -> dict[str, float]:
    """How old what is trained on is, where it can be old."""
    if settings.staleness == 0 and settings.replay == "none":
        return {}
    age = (round_index - experience.version).float()
    return {
        metrics.AGE_MEAN: float(age.mean()),
        metrics.AGE_MAX: float(age.max()),
    }
