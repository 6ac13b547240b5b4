"""Between the rounds of TRL's trainer: costs, evaluation, logging, checkpoints, a run's end."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ablatekit_rft.engines.policy import PolicyEngine
from ablatekit_rft.evaluation.evaluate import Evaluator, Scope
from ablatekit_rft.metrics import names as metrics
from ablatekit_rft.metrics.budget import BudgetMeter, Costs, EvaluationPoints
from ablatekit_rft.metrics.peak_memory import peak_gib
from ablatekit_rft.policy.policy import Policy
from ablatekit_rft.run.checkpoint import CheckpointClock
from ablatekit_rft.run.divergence import Collapse
from transformers import TrainerCallback

from ablatekit.backend import RunContext
from ablatekit_trl.metrics import translated
from ablatekit_trl.run.rewards import Rewards
from ablatekit_trl.run.state import PREFIX, RunState, write_state
from ablatekit_trl.settings import TrlSettings


@dataclass(frozen=True, slots=True)
class Scoring:
    """rft's evaluation of the model that TRL trains.

    `policy` is a copy of the model, which takes over its weights at every evaluation; `reference`
    is the model as it was before training.
    """

    evaluator: Evaluator
    policy: Policy
    reference: Policy
    verifier: str

    def take_over(self, model: Any) -> None:
        """Copy the trained weights; a frozen adapter that TRL added beside them stays behind."""
        self.policy.model.load_state_dict(model.state_dict(), strict=False)


class Rounds(TrainerCallback):
    """What happens after each round of TRL's trainer, and after each of its log lines.

    A round is one generation with all optimizer steps on it. `stopped`: the run was asked to stop
    and has a checkpoint. `collapsed`: the collapse rule has ended it.
    """

    def __init__(
        self,
        settings: TrlSettings,
        context: RunContext,
        scoring: Scoring,
        rewards: Rewards,
        folder: Path,
    ) -> None:
        self._settings, self._context, self._scoring = settings, context, scoring
        self._rewards, self._folder = rewards, folder
        self._meter = BudgetMeter(settings.budget)
        self._points = EvaluationPoints(self._meter, settings.evaluation.points)
        self._clock, self._mark = CheckpointClock(), time.perf_counter()
        self.stopped = self.collapsed = False
        self.state = RunState(Costs(), Collapse(0.0), 0, {})

    def begin(self) -> None:
        """Step 0: the base model's own scores."""
        evaluated = self.evaluate(0, "all")
        costs = self._charged(Costs())
        spent = self._spent(costs)
        self._context.log(0, spent)
        baseline = Collapse(evaluated[metrics.TRAIN_PASS])
        self.state = RunState(costs, baseline, 0, {**evaluated, **spent})
        self._report()

    def resume(self, state: RunState) -> None:
        """Go on from a checkpoint."""
        self.state = state
        self._context.resumed_at(state.costs.rounds)
        self._report()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """After an optimizer step of TRL's trainer; only the last one of a round matters."""
        if state.global_step % self._settings.updates_per_round:
            return
        self._advance(kwargs["model"])
        is_over = self._meter.is_spent(self.state.costs)
        self.collapsed = self.state.collapse.has_happened
        self.stopped = self._context.should_stop() and not is_over and not self.collapsed
        control.should_save = self.stopped or (self._clock.is_due() and not is_over)
        control.should_training_stop = (
            control.should_training_stop or self.stopped or self.collapsed
        )

    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """TRL's log line of a round; the one at its end sums up and is no round's."""
        logs = kwargs["logs"]
        if "train_runtime" in logs:
            return
        logged = translated(self._settings, logs)
        self._context.log(self.state.costs.rounds, logged)
        self.state = replace(self.state, last={**self.state.last, **logged})

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """TRL's checkpoint is written: what it does not hold makes it whole."""
        write_state(self._folder / f"{PREFIX}{state.global_step}", self.state)
        self._clock.wrote(time.perf_counter() - self._mark)

    def _advance(self, model: Any) -> None:
        before, drawn = self.state, self._rewards.last
        costs = before.costs.after_round(
            drawn.samples, drawn.tokens, self._settings.updates_per_round
        )
        point = self._points.reached(before.costs, costs)
        evaluated: Mapping[str, float] = {}
        if point != "none":
            self._scoring.take_over(model)
            evaluated = self.evaluate(costs.rounds, "all" if point == "end" else "part")
        costs = self._charged(costs)
        logged = {**drawn.shares(), **self._spent(costs)}
        self._context.log(costs.rounds, logged)
        self.state = RunState(
            costs,
            before.collapse.after_round(drawn.correct, drawn.samples),
            costs.rounds if evaluated else before.evaluated_at,
            {**before.last, **logged, **evaluated},
        )
        self._report()

    def evaluate(self, step: int, scope: Scope) -> Mapping[str, float]:
        """rft's evaluation, logged; of the weights that were last taken over."""
        start, scoring = time.perf_counter(), self._scoring
        engine = PolicyEngine(scoring.policy)
        evaluated = scoring.evaluator.evaluate(engine, scoring.reference, scope)
        if step == 0:
            evaluated.refuse_failing_verifier(scoring.verifier)
            sys.stderr.write(evaluated.example)
        self._context.log_items(step, evaluated.items)
        seconds = {metrics.TIME_EVALUATE: time.perf_counter() - start}
        self._context.log(step, {**evaluated.metrics, **evaluated.part, **seconds})
        return {**evaluated.metrics, **seconds}

    def last_metrics(self, model: Any) -> tuple[dict[str, float], str]:
        """The metrics of a diverged run, evaluated in full where it still can be, and what not."""
        last, step = dict(self.state.last), self.state.costs.rounds
        if self.state.evaluated_at == step:
            return last, ""
        try:
            self._scoring.take_over(model)
            return last | dict(self.evaluate(step, "all")), ""
        except FloatingPointError:
            return last, "; the policy can no longer be evaluated"

    def _report(self) -> None:
        self._context.progress(
            min(self._meter.spent(self.state.costs), self._meter.budget.amount),
            self._meter.budget.amount,
        )

    def _charged(self, costs: Costs) -> Costs:
        """Costs with the seconds since the last call added."""
        now = time.perf_counter()
        elapsed, self._mark = now - self._mark, now
        return replace(costs, seconds=costs.seconds + elapsed)

    def _spent(self, costs: Costs) -> dict[str, float]:
        return {
            metrics.UPDATES: costs.updates,
            metrics.SAMPLES: costs.samples,
            metrics.GENERATED_TOKENS: costs.generated_tokens,
            metrics.SECONDS: costs.seconds,
            metrics.PEAK_MEMORY: peak_gib(self._scoring.policy.device),
        }
