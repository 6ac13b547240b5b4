"""What a backend is: the contract between ablatekit and whatever trains (DESIGN 3.2).

A backend publishes its settings as a pydantic model, its rules as data, its metrics and its
resources; `run` executes one run inside a worker process. Importing a backend must be cheap:
everything heavy is imported inside `run`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, TypeAlias, runtime_checkable

from pydantic import BaseModel

from ablatekit.runs.records import MetricSpec, Resources, RunResult, RunSpec
from ablatekit.runs.seeds import Seeds

__all__ = [
    "API_VERSION",
    "Backend",
    "Condition",
    "Examining",
    "Lack",
    "MetricSpec",
    "Progress",
    "Resources",
    "Rule",
    "RunContext",
    "RunResult",
    "RunSpec",
    "Seeds",
    "Settings",
    "above_product",
    "above_setting",
    "at_least",
    "below",
    "lacks",
    "none_of",
    "one_of",
    "within_product",
]

API_VERSION = 1

Settings: TypeAlias = Mapping[str, Any]
"""Resolved settings by (dotted) name."""


Lack: TypeAlias = Literal[
    "step_zero", "stop_points", "content", "repeatability", "randomness", "metric_names"
]
"""What a backend may do without, if it says so in `lacks`.

step_zero: nothing is evaluated before training.
stop_points: a run cannot be stopped and continued.
content: what settings name (data, models) has no hash.
repeatability: two executions of one run may differ.
randomness: replicates are the same run.
metric_names: what a run reports is known only after it, so that a study's responses say their
direction.
"""


@dataclass(frozen=True, slots=True)
class Condition:
    """A test of one setting's value, as data. Exactly one of the fields is set."""

    is_in: tuple[Any, ...] | None = None
    not_in: tuple[Any, ...] | None = None
    below: float | None = None
    at_least: float | None = None
    above_product: tuple[str, ...] | None = None
    within_product: tuple[str, ...] | None = None

    def holds(self, value: Any, settings: Settings) -> bool:
        """Whether `value` passes the test."""
        if self.is_in is not None:
            return value in self.is_in
        if self.not_in is not None:
            return value not in self.not_in
        if self.below is not None:
            return _as_bound(value) < self.below
        if self.at_least is not None:
            return _as_bound(value) >= self.at_least
        product = math.prod(_as_bound(settings[name]) for name in self.compared)
        above = _as_bound(value) > product
        return above if self.above_product is not None else not above

    @property
    def compared(self) -> tuple[str, ...]:
        """The other settings that the value is compared with."""
        return self.above_product or self.within_product or ()


def _as_bound(value: Any) -> float:
    """A number as it is; null, which means that there is no bound, above every number."""
    return math.inf if value is None else float(value)


def one_of(*values: Any) -> Condition:
    """The setting has one of these values."""
    return Condition(is_in=values)


def none_of(*values: Any) -> Condition:
    """The setting has none of these values."""
    return Condition(not_in=values)


def below(bound: float) -> Condition:
    """The setting is smaller than `bound`."""
    return Condition(below=bound)


def at_least(bound: float) -> Condition:
    """The setting is `bound` or more."""
    return Condition(at_least=bound)


def above_setting(name: str) -> Condition:
    """The setting exceeds the value of another setting."""
    return above_product(name)


def above_product(*names: str) -> Condition:
    """The setting exceeds the product of other settings."""
    return Condition(above_product=names)


def within_product(*names: str) -> Condition:
    """The setting is at most the product of other settings."""
    return Condition(within_product=names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A combination of settings that is impossible, has no effect, or deserves a warning.

    invalid: the combination is refused when planning.
    inert:   under `when`, the settings in `then` have no effect; they are set to these values.
    alias:   under `when`, the run equals the one with the values in `then`; cells are merged.
    warn:    the combination runs, and the plan prints `why`.
    """

    name: str
    kind: Literal["invalid", "inert", "alias", "warn"]
    when: Mapping[str, Condition]
    why: str
    then: Mapping[str, Any] = field(default_factory=dict)
    remedy: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """Every setting that the conditions look at, once."""
        compared = (name for test in self.when.values() for name in test.compared)
        return tuple(dict.fromkeys((*self.when, *compared)))

    def applies(self, settings: Settings) -> bool:
        """Whether every condition holds."""
        # A plan asks this ten thousands of times: a loop takes half of the time of a generator.
        for name, test in self.when.items():  # noqa: SIM110
            if not test.holds(settings[name], settings):
                return False
        return True


class RunContext(Protocol):
    """What a backend gets besides the run: randomness, logging, places, and the request to stop."""

    seeds: Seeds
    checkpoint_dir: Path
    cache_dir: Path

    @property
    def output_dir(self) -> Path:
        """An existing folder of this attempt alone; what is written there is kept."""

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Append metrics at a step.

        Where a `partial` metric is measured on all items, `part_metric(name)` comes beside it.
        """

    def log_items(self, step: int, table: Mapping[str, Sequence[Any]]) -> None:
        """Keep item outcomes: columns `split, dataset, item, sample, outcome` and any others.

        An evaluation on a part of the items keeps the outcomes of that part alone.
        """

    def resumed_at(self, step: int) -> None:
        """Say, before anything is logged, that this attempt continues from a checkpoint at `step`.

        What earlier attempts logged after `step` is then ignored by every reader.
        """

    def progress(self, done: float, total: float) -> None:
        """Say how far the run is, in any unit."""

    def should_stop(self) -> bool:
        """True once the study drains: checkpoint and raise `RunInterruptedError`."""

    def cache_lock(self, name: str) -> AbstractContextManager[Path]:
        """Hold the lock of a folder below `cache_dir` that runs share; yields the folder."""


@runtime_checkable
class Backend(Protocol):
    """Whatever executes runs. Registered under the entry-point group `ablatekit.backends`.

    May also have `lacks: ClassVar[frozenset[Lack]]`: what it does without.
    """

    name: ClassVar[str]
    results_version: ClassVar[int]
    settings: ClassVar[type[BaseModel]]

    def rules(self) -> Sequence[Rule]:
        """Combinations that are invalid, inert, aliases, or worth a warning."""

    def metrics(self, settings: Settings) -> Sequence[MetricSpec]:
        """What a run with these settings will report."""

    def resources(self, settings: Settings) -> Resources:
        """What a run with these settings occupies."""

    def content(self, settings: Settings) -> Mapping[str, str]:
        """Content hashes of what the settings name (model, data, user-supplied levels)."""

    def run(self, run: RunSpec, context: RunContext) -> RunResult:
        """Execute one run inside a worker process."""


Progress: TypeAlias = Callable[[str, int, int], None]
"""Is told what is being looked at, how much of it is done, and how much there is."""


@runtime_checkable
class Examining(Protocol):
    """What a backend may have beside the contract: a look at what a study names, before any run."""

    def examine(self, settings: Settings, progress: Progress) -> Sequence[str]:
        """What to know before runs with these settings start: warnings, which the plan keeps.

        Asked once for each cell in each context while planning, before `content`; what takes long
        is told to `progress` and remembered by the backend. Raises UsageError for what cannot
        work; where its `received` says `NAME: VALUE` of a setting, the message gets the line.
        """


@runtime_checkable
class Costing(Protocol):
    """What a backend may have beside the contract: what a run will cost, known before it."""

    def expected_costs(self, settings: Settings) -> Mapping[str, float]:
        """Values of cost metrics at the end of a run with these settings, by metric name.

        Only what follows from the settings: metrics whose value a run decides are left out. The
        plan compares levels by it and says where one sees more data than the other.
        """


def lacks(backend: Backend) -> frozenset[Lack]:
    """What a backend declares in its member `lacks`; nothing where it has no such member."""
    declared: frozenset[Lack] = getattr(backend, "lacks", frozenset())
    return declared
