"""What logs have in common: single values by dotted name, metrics by step, names of runs."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

from ablatekit.logs.base import LoggedRun
from ablatekit.runs.records import MetricEvent

NOT_FINITE = {
    "nan": math.nan,
    "inf": math.inf,
    "+inf": math.inf,
    "infinity": math.inf,
    "-inf": -math.inf,
    "-infinity": -math.inf,
}
"""How JSON without these numbers writes them."""


class LoggedPoint(NamedTuple):
    """Metrics logged together; `time` in seconds since the epoch, NaN where it is not known."""

    step: int
    time: float
    metrics: Mapping[str, float]


def flatten(values: Mapping[Any, Any], before: str = "") -> dict[str, Any]:
    """Nested values by dotted name; a list is its JSON text."""
    return dict(leaves(values, before))


def leaves(values: Mapping[Any, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """As `flatten`, one by one: names that come out alike are all there."""
    for key, value in values.items():
        name = f"{before}{key}"
        if isinstance(value, Mapping):
            yield from leaves(value, f"{name}.")
        elif value is None or isinstance(value, str | int | float):
            yield name, value
        else:
            yield name, json.dumps(value, default=str, ensure_ascii=False)


def metrics_of(values: Mapping[Any, Any]) -> dict[str, float]:
    """The numbers among logged values, nested ones by dotted name.

    Media and tables, which have a `_type`, are no metrics; neither are names with a leading
    underscore, which tools keep for themselves.
    """
    metrics: dict[str, float] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            nested = {} if "_type" in value else metrics_of(value)
            metrics |= {f"{key}.{name}": number for name, number in nested.items()}
        elif not str(key).startswith("_") and (number := number_of(value)) is not None:
            metrics[str(key)] = number
    return metrics


def number_of(value: object) -> float | None:
    """A logged value as a number, True as 1; None for anything else."""
    if isinstance(value, int | float):
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    return NOT_FINITE.get(value.strip().casefold()) if isinstance(value, str) else None


def plain_value(text: str) -> str | int | float | bool:
    """The value that a text stands for where its spelling is the usual one: 0.1, but not 1e-4."""
    if text in ("True", "False"):
        return text == "True"
    for kind in (int, float):
        try:
            value = kind(text)
        except ValueError:
            continue
        if str(value) == text and math.isfinite(value):
            return value
    return text


def step_of(value: object, before: int) -> int:
    """A logged step; the next one where there is none."""
    number = number_of(value)
    return int(number) if number is not None and math.isfinite(number) else before + 1


def in_order(points: Iterable[LoggedPoint]) -> list[MetricEvent]:
    """Metrics by step; where a resumed run has logged a step again, the later value stands."""
    by_step: dict[int, MetricEvent] = {}
    for step, time, metrics in points:
        earlier = by_step.get(step)
        known = earlier.metrics if earlier else {}
        by_step[step] = MetricEvent(step=step, time=time, metrics={**known, **metrics})
    return [by_step[step] for step in sorted(by_step) if by_step[step].metrics]


def seconds_of(text: object) -> float | None:
    """Seconds since the epoch of an ISO date, in UTC where it names no zone; None for others."""
    if not isinstance(text, str):
        return None
    try:
        date = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()


def distinctly_named(runs: Sequence[LoggedRun]) -> Iterator[LoggedRun]:
    """The runs in the order of their names, each name once: `a`, `a (2)`."""
    taken: set[str] = {run.name for run in runs}
    seen: set[str] = set()
    for run in sorted(runs, key=lambda run: run.name):
        name, number = run.name, 1
        while name in seen or (number > 1 and name in taken):
            number += 1
            name = f"{run.name} ({number})"
        seen.add(name)
        yield replace(run, name=name)
