"""A backend that simulates training with planted effects, for tests and demonstrations.

Pass@1 follows a saturating curve from `start` to a final value that is a sum of planted effects,
a deviation of the context, and the run's own random walk. Everything is numpy; a run takes
milliseconds, resumes bit for bit, and can be told to diverge or to die.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from ablatekit.backend import Rule, RunContext, Settings, at_least, below, one_of
from ablatekit.canonical import content_hash
from ablatekit.errors import RunInterruptedError
from ablatekit.runs.records import MetricSpec, Resources, RunResult, RunSpec
from ablatekit.runs.seeds import Seeds

_EXECUTION: JsonDict = {"execution": True}
_LOWEST, _HIGHEST = 0.001, 0.999


class SimulatedSettings(BaseModel):
    """Settings of the simulated backend; effects are differences of final Pass@1."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    helps_both: bool = False
    """Raises learning and generalization by `effect`."""
    helps_learning_only: bool = False
    """Raises learning by `effect`; the test score does not move."""
    hurts_generalization: bool = False
    """Lowers generalization by `effect`; the train score does not move."""
    null: bool = False
    """Changes nothing, but is a training of its own."""
    interacts_a: bool = False
    """Raises both by `effect`, but only together with `interacts_b`."""
    interacts_b: bool = False
    """Raises both by `effect`, but only together with `interacts_a`."""
    varies_by_model: bool = False
    """Raises both by `effect` on average over models, with `slope_sd` between models."""
    dose: Literal["none", "zero", "low", "high"] = "none"
    """Raises both by half of `effect` (low) or all of it (high) at twice the samples (high)."""
    clip: bool = False
    """Whether `clip_at` applies."""
    clip_at: float = Field(default=1.0, gt=0, le=10)
    """Where to clip; without `clip` it has no effect. Changes nothing else."""

    model: str = "model-a"
    """Name of the simulated model; every name has its own deviation and its own slope."""
    dataset: str = "data-a"
    """Name of the simulated data set; every name has its own deviation and its own items."""

    effect: float = Field(default=0.08, ge=0, le=0.3)
    """Size of every planted effect, in Pass@1."""
    start: float = Field(default=0.2, gt=0, lt=1)
    """Pass@1 at step 0, before the context's deviation."""
    learned: float = Field(default=0.5, gt=0, lt=1)
    """Final train Pass@1 at the baseline."""
    generalized: float = Field(default=0.4, gt=0, lt=1)
    """Final test Pass@1 at the baseline."""
    seed_sd: float = Field(default=0.02, ge=0, le=0.2)
    """Standard deviation between replicates of a run's final score."""
    context_sd: float = Field(default=0.03, ge=0, le=0.2)
    """Standard deviation of the deviations of models, and of those of data sets."""
    slope_sd: float = Field(default=0.04, ge=0, le=0.2)
    """Standard deviation between models of the effect of `varies_by_model`."""

    rounds: int = Field(default=10, ge=1, le=100_000)
    """Number of training rounds."""
    evaluate_every: int = Field(default=2, ge=1)
    """Rounds between two evaluations; the last round is always evaluated."""
    items: int = Field(default=0, ge=0, le=100_000)
    """Evaluation items in each split; 0 reports exact probabilities and keeps no outcomes."""
    samples: int = Field(default=1, ge=1, le=1000)
    """Samples drawn for each item."""
    item_sd: float = Field(default=1.0, ge=0, le=5)
    """Standard deviation of the items' difficulties, in logits."""
    batch: int = Field(default=32, ge=1)
    """Samples in each round."""
    diverge_rate: float = Field(default=0.0, ge=0, le=1)
    """Share of runs that diverge, at a random round."""

    crash_rate: float = Field(default=0.0, ge=0, le=1, json_schema_extra=_EXECUTION)
    """Share of attempts whose process ends without a word, at a random round."""
    sleep: float = Field(default=0.0, ge=0, le=60, json_schema_extra=_EXECUTION)
    """Seconds that each round takes on top of the computation."""


@dataclass(frozen=True, slots=True)
class PlantedMeans:
    """Expected final Pass@1 of a cell in its context, over training seeds, evaluated exactly."""

    learning: float
    generalization: float

    @property
    def gap(self) -> float:
        """Learning minus generalization."""
        return self.learning - self.generalization


@dataclass(slots=True)
class _State:
    """Where a run is: `walk` the sums of its random steps (train, test), `generator` its stream.

    `metrics` are those of the last evaluation.
    """

    step: int
    walk: list[float]
    seconds: float
    metrics: dict[str, float]
    generator: dict[str, Any]


class SimulatedBackend:
    """Planted effects behind the contract of a backend."""

    name: ClassVar[str] = "simulated"
    results_version: ClassVar[int] = 1
    settings: ClassVar[type[BaseModel]] = SimulatedSettings

    def rules(self) -> Sequence[Rule]:
        """One rule of every kind."""
        return (
            Rule(
                name="clip_at_without_clip",
                kind="inert",
                when={"clip": one_of(False)},
                then={"clip_at": 1.0},
                why="nothing is clipped",
            ),
            Rule(
                name="zero_dose",
                kind="alias",
                when={"dose": one_of("zero")},
                then={"dose": "none"},
                why="a dose of zero is no dose",
            ),
            Rule(
                name="high_dose_clipped_early",
                kind="invalid",
                when={"dose": one_of("high"), "clip": one_of(True), "clip_at": below(0.5)},
                why="a high dose cannot be clipped below 0.5",
                remedy="Raise clip_at to 0.5 or choose a lower dose",
            ),
            Rule(
                name="often_diverges",
                kind="warn",
                when={"diverge_rate": at_least(0.5)},
                why="at least half of the runs will diverge",
            ),
        )

    def metrics(self, settings: Settings) -> Sequence[MetricSpec]:
        """Learning, generalization and three costs."""
        keeps_items = settings.get("items", 0) > 0
        return (
            MetricSpec(
                name="train/pass@1",
                direction="higher",
                role="learning",
                doc="mean outcome on train items",
                items="train" if keeps_items else "",
            ),
            MetricSpec(
                name="test/pass@1",
                direction="higher",
                role="generalization",
                doc="mean outcome on test items",
                items="test" if keeps_items else "",
            ),
            MetricSpec(name="cost/updates", direction="lower", unit="updates", role="cost"),
            MetricSpec(name="cost/samples", direction="lower", unit="samples", role="cost"),
            MetricSpec(
                name="cost/seconds", direction="lower", unit="s", role="cost", repeatable=False
            ),
        )

    def expected_costs(self, settings: Settings) -> Mapping[str, float]:
        """Updates and samples of all rounds."""
        chosen = SimulatedSettings(**settings)
        return {
            "cost/updates": float(chosen.rounds),
            "cost/samples": float(chosen.rounds * _samples_per_round(chosen)),
        }

    def resources(self, settings: Settings) -> Resources:  # noqa: ARG002
        """One core."""
        return Resources(cpus=1, memory=0.2)

    def content(self, settings: Settings) -> Mapping[str, str]:
        """Simulated models and data sets are their names."""
        return {name: content_hash(str(settings[name])) for name in ("model", "dataset")}

    def run(self, run: RunSpec, context: RunContext) -> RunResult:
        """Simulate one run, from its checkpoint if there is one."""
        settings = SimulatedSettings(**{**run.settings, **run.execution})
        return _Simulation(settings, context).train()


def planted_means(settings: Settings) -> PlantedMeans:
    """The true cell means that analyses of simulated studies should find.

    `settings` by name; what is missing has its default. With `items` > 0 runs report means over
    items and draws whose expectation this is.
    """
    chosen = SimulatedSettings(**settings)
    learning, generalization = _final_means(chosen)
    return PlantedMeans(learning=float(learning), generalization=float(generalization))


def _samples_per_round(settings: SimulatedSettings) -> int:
    return settings.batch * (2 if settings.dose == "high" else 1)


def _named(kind: str, name: str) -> np.random.Generator:
    return np.random.default_rng(Seeds("", f"{kind} {name}").common("deviation"))


def _deviations(settings: SimulatedSettings) -> npt.NDArray[np.float64]:
    """Deviations (train, test) of this model on this data set."""
    parts = (_named("model", settings.model), _named("dataset", settings.dataset))
    drawn: npt.NDArray[np.float64] = sum(part.standard_normal(2) for part in parts)  # type: ignore[assignment]
    return settings.context_sd * drawn


def _final_means(settings: SimulatedSettings) -> npt.NDArray[np.float64]:
    """Final Pass@1 (train, test) without the run's own randomness."""
    both, train, test = np.array([1.0, 1.0]), np.array([1.0, 0.0]), np.array([0.0, 1.0])
    share = {"none": 0.0, "zero": 0.0, "low": 0.5, "high": 1.0}[settings.dose]
    planted = both * (settings.helps_both + settings.interacts_a * settings.interacts_b + share)
    planted += train * settings.helps_learning_only - test * settings.hurts_generalization
    slope = settings.slope_sd * float(_named("slope", settings.model).standard_normal())
    mean = np.array([settings.learned, settings.generalized]) + _deviations(settings)
    mean += settings.effect * planted + both * settings.varies_by_model * (settings.effect + slope)
    return _probability(mean)


def _probability(value: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.minimum(np.maximum(value, _LOWEST), _HIGHEST)


class _Simulation:
    """One attempt at one run."""

    def __init__(self, settings: SimulatedSettings, context: RunContext) -> None:
        self.settings = settings
        self.context = context
        self.path = context.checkpoint_dir / "state.json"
        self.began = time.monotonic()
        self.start = _probability(settings.start + _deviations(settings))
        self.final = _final_means(settings)
        self.generator = context.seeds.generator("training")
        self.diverges_at = self._drawn_round("divergence", settings.diverge_rate)
        # A retry must not draw the same crash again, so this is the process's randomness.
        crash = np.random.default_rng()
        last = int(crash.integers(1, settings.rounds + 1))
        self.crashes_at = last if crash.random() < settings.crash_rate else None

    def train(self) -> RunResult:
        """All rounds that are left; Pass@1 and costs of the last evaluation are the result."""
        state = self._restore()
        if not state.metrics:
            self._evaluate(state)
            self._save(state)
        while state.step < self.settings.rounds:
            if self.context.should_stop():
                raise RunInterruptedError(f"stopped after round {state.step}")
            if state.step + 1 == self.diverges_at:
                message = f"loss is NaN in round {state.step + 1}"
                return RunResult(status="diverged", metrics=state.metrics, message=message)
            self._round(state)
            if self._is_evaluated(state.step):
                self._evaluate(state)
            self._save(state)
            self.context.progress(state.step, self.settings.rounds)
        return RunResult(status="finished", metrics=state.metrics)

    def _round(self, state: _State) -> None:
        if self.settings.sleep:
            time.sleep(self.settings.sleep)
        if state.step + 1 == self.crashes_at:
            os._exit(3)
        scale = self.settings.seed_sd / np.sqrt(self.settings.rounds)
        steps = scale * self.generator.standard_normal(2)
        state.walk = [walk + float(step) for walk, step in zip(state.walk, steps, strict=True)]
        state.step += 1

    def _is_evaluated(self, step: int) -> bool:
        return step % self.settings.evaluate_every == 0 or step == self.settings.rounds

    def _measure(self, state: _State) -> dict[str, float]:
        train, test = (float(score) for score in self._scores(state))
        samples = _samples_per_round(self.settings)
        return {
            "train/pass@1": train,
            "test/pass@1": test,
            "cost/updates": float(state.step),
            "cost/samples": float(state.step * samples),
            "cost/seconds": state.seconds + time.monotonic() - self.began,
        }

    def _evaluate(self, state: _State) -> None:
        """Log the metrics and, item by item, the outcomes behind them."""
        state.metrics = self._measure(state)
        if self.settings.items:
            self.context.log_items(state.step, self._item_table(state))
        self.context.log(state.step, state.metrics)

    def _chances(self, state: _State) -> npt.NDArray[np.float64]:
        """Pass@1 (train, test) at this step, exactly."""
        grown = np.expm1(-3 * state.step / self.settings.rounds) / np.expm1(-3)
        chance = self.start + (self.final - self.start) * grown + np.array(state.walk)
        return _probability(chance)

    def _scores(self, state: _State) -> npt.NDArray[np.float64]:
        """Pass@1 (train, test) as it is measured: on items where there are any."""
        if not self.settings.items:
            return self._chances(state)
        return np.array([np.mean(self._outcomes(state, number)) for number in (0, 1)])

    def _outcomes(self, state: _State, number: int) -> npt.NDArray[np.int8]:
        """Outcomes (items, samples) of a split; difficulties and draws belong to the context."""
        settings, seeds = self.settings, self.context.seeds
        split = ("train", "test")[number]
        generator = np.random.default_rng(seeds.common("items", split))
        difficulty = settings.item_sd * generator.standard_normal(settings.items)
        draws = generator.random((settings.items, settings.samples))
        chances = item_chances(float(self._chances(state)[number]), difficulty)
        return (draws < chances[:, None]).astype(np.int8)

    def _item_table(self, state: _State) -> dict[str, Sequence[Any]]:
        items, samples = self.settings.items, self.settings.samples
        outcomes = [self._outcomes(state, number).reshape(-1) for number in (0, 1)]
        names = [f"{split}-{item}" for split in ("train", "test") for item in range(items)]
        return {
            "split": ["train"] * (items * samples) + ["test"] * (items * samples),
            "dataset": [self.settings.dataset] * (2 * items * samples),
            "item": [name for name in names for _ in range(samples)],
            "sample": list(range(samples)) * (2 * items),
            "outcome": np.concatenate(outcomes).tolist(),
        }

    def _drawn_round(self, purpose: str, rate: float) -> int | None:
        generator = self.context.seeds.generator(purpose)
        step = int(generator.integers(1, self.settings.rounds + 1))
        return step if generator.random() < rate else None

    def _restore(self) -> _State:
        if not self.path.exists():
            return _State(0, [0.0, 0.0], 0.0, {}, {})
        state = _State(**json.loads(self.path.read_text(encoding="utf-8")))
        self.generator.bit_generator.state = state.generator
        self.context.resumed_at(state.step)
        return state

    def _save(self, state: _State) -> None:
        """After logging, so that what a later attempt drops is what it repeats."""
        seconds = state.seconds + time.monotonic() - self.began
        generator = dict(self.generator.bit_generator.state)
        saved = _State(state.step, state.walk, seconds, state.metrics, generator)
        temporary = Path(f"{self.path}.tmp")
        temporary.write_text(json.dumps(asdict(saved)), encoding="utf-8")
        temporary.replace(self.path)


def item_chances(
    mean: float, difficulty: npt.NDArray[np.float64], iterations: int = 60
) -> npt.NDArray[np.float64]:
    """Chances sigmoid(a - difficulty) (items,) whose mean is `mean`; a by bisection."""
    low, high = -30.0, 30.0
    for _ in range(iterations):
        middle = (low + high) / 2
        if np.mean(1 / (1 + np.exp(difficulty - middle))) < mean:
            low = middle
        else:
            high = middle
    return np.asarray(1 / (1 + np.exp(difficulty - low)), dtype=np.float64)
