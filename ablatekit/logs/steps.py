"""Rows of numbers as the history of a run: which column is the step, and what has none."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ablatekit.runs.records import MetricEvent

STEPS = ("step", "global_step", "training/global_step", "_step", "iteration", "iter", "round",
         "epoch")  # fmt: skip
"""What a step is called; the first that a row has is its step."""
TIMES = ("_timestamp", "timestamp")
"""What seconds since the epoch are called."""


class MetricsByStep:
    """Collects rows; those of one step are one event, in which the last value counts.

    A row without a step has the step of the row before it; where no row has one, rows are counted
    from 1.
    """

    def __init__(self) -> None:
        self._metrics: dict[int, dict[str, float]] = {}
        self._times: dict[int, float] = {}
        self._last = 0
        self._stepped = False

    def add(self, row: Mapping[str, float]) -> None:
        """Add what one row says; an empty one is none."""
        if not row:
            return
        name = next((name for name in STEPS if name in row and _is_step(row[name])), None)
        if name is not None:
            self._last, self._stepped = int(row[name]), True
        elif not self._stepped:
            self._last += 1
        time = next((row[each] for each in TIMES if each in row), 0.0)
        left_out = {name, *TIMES}
        metrics = {each: value for each, value in row.items() if each not in left_out}
        if metrics:
            self._metrics.setdefault(self._last, {}).update(metrics)
            self._times[self._last] = time

    def events(self) -> tuple[MetricEvent, ...]:
        """One event per step, in the order of steps."""
        return tuple(
            MetricEvent(step=step, time=self._times[step], metrics=self._metrics[step])
            for step in sorted(self._metrics)
        )


def _is_step(value: float) -> bool:
    return math.isfinite(value) and value == int(value) and value >= 0
