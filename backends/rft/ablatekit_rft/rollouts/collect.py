"""Drawing the rollouts of a round: which items, how many rollouts, and their verdicts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from ablatekit.errors import Problem, UsageError
from ablatekit.runs.seeds import Seeds
from ablatekit_rft.engines.base import Engine
from ablatekit_rft.engines.decoding import Decoding
from ablatekit_rft.engines.draws import rollout_purpose, round_draws
from ablatekit_rft.engines.mismatch import Mismatch
from ablatekit_rft.levels.types import SamplerView
from ablatekit_rft.metrics import names as metrics
from ablatekit_rft.metrics.budget import Costs, needs_difficulty
from ablatekit_rft.metrics.stopwatch import Stopwatch
from ablatekit_rft.policy.models import Tokenizer
from ablatekit_rft.policy.rollout import Prompts, Rollouts
from ablatekit_rft.rollouts.drawn import (
    Drawn,
    DrawPlan,
    draw_plan,
    filtered,
    first_rows,
    joined_draws,
    pass_rates,
    queries_kept,
)
from ablatekit_rft.rollouts.item_memory import Memory, updated_rates
from ablatekit_rft.rollouts.verify import Verified, verify
from ablatekit_rft.settings import RftSettings
from ablatekit_rft.tasks import Query, Task


@dataclass(frozen=True, slots=True)
class TrainSet:
    """The train items with their token ids."""

    queries: tuple[Query, ...]
    encoded: tuple[list[int], ...]

    @classmethod
    def of(
        cls,
        settings: RftSettings,
        queries: Sequence[Query],
        encode: Callable[[Query], list[int]],
    ) -> TrainSet:
        """Raises UsageError when a round without replacement does not fit into the train set.

        The rules see that when planning, unless the study takes all the items there are.
        """
        if (
            settings.queries_per_round > len(queries)
            and "without_replacement" in settings.level("sample_policy").traits
        ):
            rule = "queries are drawn without replacement: a round must fit into the train set"
            value = f"queries_per_round: {settings.queries_per_round} of {len(queries)} items"
            raise UsageError(Problem(rule, value, "Lower queries_per_round, or give more items"))
        return cls(tuple(queries), tuple(map(encode, queries)))


@dataclass(frozen=True, slots=True)
class Collector:
    """The parts of a run that draw and verify; `memory` is the run's own."""

    settings: RftSettings
    task: Task
    tokenizer: Tokenizer
    seeds: Seeds
    train_set: TrainSet
    engine: Engine
    decoding: Decoding
    memory: Memory

    def collect(
        self, round_index: int, version: int, watch: Stopwatch
    ) -> tuple[Drawn, Mismatch | None]:
        """Draw a round's rollouts, and more of them while the filter asks for it.

        version: the round whose weights the policy has. Gives how far the engine's
        log-probabilities were from the policy's, too; None if it has those.
        """
        settings = self.settings
        self._sync(version, watch)
        refills = "refill" in settings.level("group_filter").needs
        limit = settings.refill_batches if refills else 1
        parts: list[Drawn] = []
        while len(parts) < limit and queries_kept(parts) < settings.queries_per_round:
            parts.append(self._draw(self._next_items(), round_index, len(parts), watch))
        return self._reconciled(joined_draws(parts, settings.queries_per_round), watch)

    def measure_difficulty(self) -> Costs:
        """Remember the base model's pass rate of every train item, where a level asks for it.

        Gives what that cost.
        """
        if not needs_difficulty(self.settings):
            return Costs()
        samples, batch = self.settings.difficulty_samples, self.settings.queries_per_round
        every = np.arange(len(self.train_set.queries))
        plan, pass_rates, tokens = DrawPlan(samples, 0, greedy=False), [], 0
        self._sync(0, Stopwatch(self.engine.policy.device))
        for start in range(0, len(every), batch):
            items = every[start : start + batch]
            rollouts = self._sample(items, plan, f"difficulty/{start}")
            pass_rates.append(
                self._verify(items, rollouts).correct.reshape(-1, samples).mean(axis=1)
            )
            tokens += int(rollouts.lengths.sum())
        self.memory.keep_sampler(0, difficulty=np.concatenate(pass_rates).astype(np.float64))
        drawn = len(every) * samples
        return Costs(
            samples=drawn,
            generated_tokens=tokens,
            measured_samples=drawn,
            measured_tokens=tokens,
        )

    def remember(self, drawn: Drawn) -> None:
        """Take in how the items of a round were answered, where a sample policy goes by it."""
        settings, memory = self.settings, self.memory
        if "rates" not in settings.level("sample_policy").needs:
            return
        items = drawn.item[first_rows(drawn.rollouts.query)].cpu().numpy()
        known = memory.rates(len(self.train_set.queries))
        rates = updated_rates(known, items, pass_rates(drawn), settings.rate_memory)
        memory.keep_sampler(memory.position, rates)

    def _sync(self, version: int, watch: Stopwatch) -> None:
        if not self.engine.exact:
            with watch.phase(metrics.TIME_SYNC):
                self.engine.sync(version)

    def _reconciled(self, drawn: Drawn, watch: Stopwatch) -> tuple[Drawn, Mismatch | None]:
        """The round with the policy's log-probabilities; the engine rests from here on."""
        if self.engine.exact:
            return drawn, None
        with watch.phase(metrics.TIME_SCORE):
            self.engine.rest()
            rollouts, mismatch = self.engine.reconcile(
                drawn.rollouts, self.decoding, self.settings.micro_batch_tokens
            )
        return replace(drawn, rollouts=rollouts), mismatch

    def _next_items(self) -> NDArray[np.int64]:
        """The next queries, and the memory of having drawn them."""
        settings, memory = self.settings, self.memory
        items, count = len(self.train_set.queries), settings.queries_per_round
        view = SamplerView(
            items, memory.position, count, memory.rates(items), memory.difficulty, self.seeds
        )
        chosen: NDArray[np.int64] = settings.level("sample_policy").bound(settings)(view)
        memory.keep_sampler(memory.position + count)
        return chosen

    def _draw(
        self, items: NDArray[np.int64], round_index: int, batch: int, watch: Stopwatch
    ) -> Drawn:
        """Rollouts of these items (Q,) with their verdicts; `batch` counts a round's refills."""
        plan = draw_plan(self.settings)
        with watch.phase(metrics.TIME_GENERATE):
            rollouts = self._sample(items, plan, rollout_purpose(round_index, batch))
        with watch.phase(metrics.TIME_REWARD):
            verified = self._verify(items, rollouts)
            noise = np.random.default_rng(self.seeds.own(f"reward_noise/{round_index}/{batch}"))
            flips = torch.from_numpy(noise.random(len(verified.correct)))
        return filtered(self.settings, items, rollouts, verified, plan, flips)

    def _sample(self, items: NDArray[np.int64], plan: DrawPlan, purpose: str) -> Rollouts:
        encoded = [self.train_set.encoded[index] for index in items.tolist()]
        policy = self.engine.policy
        prompts = Prompts.pad(encoded, policy.pad_id, policy.device)
        rows, steps = len(items) * plan.per_query, self.decoding.max_new_tokens
        draws = round_draws(self.engine.draws, self.seeds, purpose, rows, steps)
        greedy = plan.greedy_rows(len(items))
        flags = None if greedy is None else greedy.to(policy.device)
        return self.engine.generate(prompts, plan.per_query, draws, self.decoding, flags)

    def _verify(self, items: NDArray[np.int64], rollouts: Rollouts) -> Verified:
        queries = [self.train_set.queries[items[place]] for place in rollouts.query.tolist()]
        return verify(self.task, self.tokenizer, queries, rollouts, self.decoding)
