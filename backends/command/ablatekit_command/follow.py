"""Follows what a program logs, in whatever format, and passes it on while it runs."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ablatekit.backend import RunContext
from ablatekit.errors import RunFailedError, TableError
from ablatekit.logs.base import LoggedRun, RunLog
from ablatekit.runs.records import MetricEvent
from ablatekit_command.conditions import Divergence

_SECONDS = 0.5
_SHARE = 20
"""A log that takes long to read is read less often: at most 1/20 of the time goes into it."""


@dataclass
class Follower:
    """Passes on each metric of each step once; the last step, which may grow, only at the end."""

    log: RunLog
    path: Path
    context: RunContext
    resumed: bool
    conditions: Sequence[Divergence] = ()
    steps: int | None = None
    last: dict[str, float] = field(default_factory=dict)
    last_valid: dict[str, float] = field(default_factory=dict)
    last_step: int = 0
    count: int = 0
    met: str = ""
    _passed: set[tuple[int, str]] = field(default_factory=set)
    _next: float = 0.0

    def look(self) -> None:
        """Pass on what is new, unless it was looked at a moment ago."""
        started = time.monotonic()
        if started < self._next:
            return
        try:
            events = self._events()
        except (TableError, OSError):
            events = []  # half written; at the end it is a failure
        self._pass_on(events[:-1])
        self._next = time.monotonic() + max(_SECONDS, _SHARE * (time.monotonic() - started))

    def finish(self) -> None:
        """Pass on all that is left. Raises RunFailedError for a log that cannot be read."""
        try:
            events = self._events()
        except (TableError, OSError) as error:
            raise RunFailedError(f"its metrics cannot be read: {error}") from None
        self._pass_on(events)

    def _events(self) -> list[MetricEvent]:
        if not self.path.exists():
            return []
        runs = [run for run in self.log.runs(self.path) if run.history or run.summary]
        return _merged(runs)

    def _pass_on(self, events: Sequence[MetricEvent]) -> None:
        if events and self.resumed and not self.count and events[0].step > 0:
            # The program continues behind its checkpoint: what was logged from here on is void.
            self.context.resumed_at(events[0].step - 1)
        for event in events:
            new = dict(self._new(event))
            if new:
                self._log(event.step, new)

    def _new(self, event: MetricEvent) -> Iterator[tuple[str, float]]:
        for name, value in event.metrics.items():
            if (event.step, name) not in self._passed:
                self._passed.add((event.step, name))
                yield name, value

    def _log(self, step: int, metrics: Mapping[str, float]) -> None:
        self.context.log(step, metrics)
        self.count += 1
        self.last |= metrics
        self.last_valid |= {name: value for name, value in metrics.items() if math.isfinite(value)}
        self.last_step = max(step, self.last_step)
        met = (condition for condition in self.conditions if condition.met_by(metrics))
        self.met = self.met or next((f"{each.text} at step {step}" for each in met), "")
        if self.steps:
            self.context.progress(min(self.last_step, self.steps), self.steps)


def _merged(runs: Sequence[LoggedRun]) -> list[MetricEvent]:
    """The histories of all runs of a log as one; what a run keeps as final stands at its end.

    Where two of them have a metric of one name, every name begins with that of its run.
    """
    names = [{name for event in run.history for name in event.metrics} for run in runs]
    shared = len(set().union(*names)) < sum(map(len, names))
    by_step: dict[int, dict[str, float]] = {}
    for run in runs:
        before = f"{run.name}/" if shared else ""
        for step, metrics in _history(run):
            by_step.setdefault(step, {}).update({before + name: metrics[name] for name in metrics})
    return [MetricEvent(step=step, time=0.0, metrics=by_step[step]) for step in sorted(by_step)]


def _history(run: LoggedRun) -> Iterator[tuple[int, Mapping[str, float]]]:
    """Metrics by step; those that a tool only keeps as final at the last one."""
    logged = {name for event in run.history for name in event.metrics}
    yield from ((event.step, event.metrics) for event in run.history)
    only_final = {name: value for name, value in run.summary.items() if name not in logged}
    if only_final:
        yield max((event.step for event in run.history), default=0), only_final
