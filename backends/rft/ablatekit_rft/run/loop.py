"""What happens between the rounds of a run: the only place with control flow across them."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from ablatekit.backend import RunContext
from ablatekit.errors import RunInterruptedError
from ablatekit.runs.records import RunResult
from ablatekit_rft.evaluation.evaluate import Evaluator, Scope
from ablatekit_rft.metrics import names as metrics
from ablatekit_rft.metrics.budget import Costs, EvaluationPoints
from ablatekit_rft.metrics.peak_memory import peak_gib
from ablatekit_rft.run.checkpoint import CheckpointClock, Snapshot, load_checkpoint, save_checkpoint
from ablatekit_rft.run.divergence import Collapse
from ablatekit_rft.run.rounds import Trainer
from ablatekit_rft.settings import RftSettings

FILTERS = ("group_filter", "truncation", "downsample")
"""Settings that can leave a round without rollouts."""
COLLAPSED = "collapse: no correct rollout for long in a policy that once solved its task"


@dataclass(frozen=True, slots=True)
class RunProgress:
    """Where a run is: all that a checkpoint holds besides tensors.

    `last` are the last valid metrics by name; `evaluated_at` is the step of the last evaluation.
    """

    costs: Costs
    collapse: Collapse
    evaluated_at: int
    last: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> RunProgress:
        parts = {"costs": Costs(**state["costs"]), "collapse": Collapse(**state["collapse"])}
        return cls(**{**state, **parts})


def untrained(settings: RftSettings) -> str:
    """What a run says that has trained on nothing."""
    named = [
        f"{name}: {getattr(settings, name)}"
        for name in FILTERS
        if getattr(settings, name) != RftSettings.model_fields[name].default
    ]
    by = f" by {', '.join(named)}" if named else ""
    return f"trained on nothing: no rollout of any round was left{by}"


class Loop:
    """Rounds, evaluations and checkpoints of one run; resumes from the latest checkpoint."""

    def __init__(self, trainer: Trainer, evaluator: Evaluator, context: RunContext) -> None:
        self._trainer, self._evaluator, self._context = trainer, evaluator, context
        settings = trainer.settings
        self._points = EvaluationPoints(trainer.meter, settings.evaluation.points)
        self._clock = CheckpointClock()
        self._mark = time.perf_counter()

    def execute(self) -> RunResult:
        """Rounds until the budget is spent, the run diverges, or it is asked to stop."""
        try:
            progress = self._resume() or self._begin()
        except FloatingPointError as error:
            return RunResult(status="diverged", metrics={}, message=f"at step 0: {error}")
        while not self._trainer.meter.is_spent(progress.costs):
            self._report(progress)
            try:
                progress = self._advance(progress)
            except FloatingPointError as error:
                return self._diverged(progress, str(error))
            if progress.collapse.has_happened:
                return self._diverged(progress, COLLAPSED)
        self._report(progress)
        message = "" if progress.costs.updates else untrained(self._trainer.settings)
        return RunResult(status="finished", metrics=dict(progress.last), message=message)

    def _begin(self) -> RunProgress:
        """Step 0: the base model's own scores."""
        evaluated = self._evaluate(0, "all")
        baseline = evaluated[metrics.TRAIN_PASS]
        costs = self._charged(self._trainer.begin(baseline))
        spent = self._spent(costs)
        self._context.log(0, spent)
        last = {**evaluated, **spent}
        progress = RunProgress(costs, Collapse(baseline), 0, last)
        self._checkpoint(progress)
        return progress

    def _resume(self) -> RunProgress | None:
        snapshot = load_checkpoint(self._context.checkpoint_dir)
        # A checkpoint of an earlier layout counts no rounds: the run starts again.
        if snapshot is None or "rounds" not in snapshot.state["costs"]:
            return None
        progress = RunProgress.from_json(snapshot.state)
        weights = snapshot.tensors["weights"]
        with torch.no_grad():
            self._trainer.policy.parameters.weights.copy_(weights)
        for owner, part in self._trainer.stateful.items():
            part.load_state(
                {
                    name.removeprefix(f"{owner}."): value
                    for name, value in snapshot.tensors.items()
                    if name.startswith(f"{owner}.")
                }
            )
        self._context.resumed_at(progress.costs.rounds)
        return progress

    def _advance(self, before: RunProgress) -> RunProgress:
        """One round, what is logged about it, its evaluation and its checkpoint if due."""
        result = self._trainer.round(before.costs)
        step = result.costs.rounds
        point = self._points.reached(before.costs, result.costs)
        evaluated: Mapping[str, float] = {}
        if point != "none":
            evaluated = self._evaluate(step, "all" if point == "end" else "part")
        costs = self._charged(result.costs)
        logged = {**result.metrics, **self._spent(costs)}
        self._context.log(step, logged)
        after = RunProgress(
            costs,
            before.collapse.after_round(result.correct, costs.samples - before.costs.samples),
            step if evaluated else before.evaluated_at,
            {**before.last, **logged, **evaluated},
        )
        if point != "end" and self._clock.is_due():
            self._checkpoint(after)
        return after

    def _report(self, progress: RunProgress) -> None:
        """Tell the dispatcher how far the run is, and stop if it wants that."""
        meter = self._trainer.meter
        self._context.progress(meter.spent(progress.costs), meter.budget.amount)
        if self._context.should_stop() and not meter.is_spent(progress.costs):
            self._checkpoint(progress)
            raise RunInterruptedError(f"stopped after round {progress.costs.rounds}")

    def _evaluate(self, step: int, scope: Scope) -> Mapping[str, float]:
        start = time.perf_counter()
        self._trainer.engine.sync(step)
        evaluated = self._evaluator.evaluate(self._trainer.engine, self._trainer.reference, scope)
        if step == 0:
            evaluated.refuse_failing_verifier(self._trainer.settings.verifier)
            sys.stderr.write(evaluated.example)
        self._context.log_items(step, evaluated.items)
        seconds = {metrics.TIME_EVALUATE: time.perf_counter() - start}
        self._context.log(step, {**evaluated.metrics, **evaluated.part, **seconds})
        return {**evaluated.metrics, **seconds}

    def _diverged(self, progress: RunProgress, message: str) -> RunResult:
        """The result of a diverged run, evaluated in full where the policy still can be."""
        step = progress.costs.rounds
        last = dict(progress.last)
        try:
            if progress.evaluated_at != step:
                last |= self._evaluate(step, "all")
        except FloatingPointError:
            message += "; the policy can no longer be evaluated"
        return RunResult(status="diverged", metrics=last, message=f"after round {step}: {message}")

    def _checkpoint(self, progress: RunProgress) -> None:
        start = time.perf_counter()
        trainer = self._trainer
        tensors = {"weights": trainer.policy.parameters.weights}
        for owner, part in trainer.stateful.items():
            tensors |= {f"{owner}.{name}": value for name, value in part.state().items()}
        save_checkpoint(
            self._context.checkpoint_dir,
            progress.costs.rounds,
            Snapshot(tensors, progress.to_json()),
        )
        self._clock.wrote(time.perf_counter() - start)

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
            metrics.PEAK_MEMORY: peak_gib(self._trainer.policy.device),
        }
