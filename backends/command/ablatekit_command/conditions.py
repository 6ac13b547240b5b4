"""When a training counts as diverged: declared conditions, and metrics that end as no number."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

_OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_CONDITION = re.compile(r"\s*(?P<metric>\S.*?)\s*(?P<operator>>=|<=|>|<)\s*(?P<bound>\S+)\s*")


@dataclass(frozen=True, slots=True)
class Divergence:
    """One declared condition on a metric."""

    metric: str
    text: str
    operator: str
    bound: float

    def met_by(self, metrics: Mapping[str, float]) -> bool:
        """Whether metrics of one step meet it."""
        value = metrics.get(self.metric)
        return value is not None and _OPERATORS[self.operator](value, self.bound)


def read_condition(text: str) -> Divergence:
    """`METRIC > NUMBER`, or with >=, < or <=; ValueError for any other text."""
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise ValueError(text)
    bound = float(match["bound"])
    if math.isnan(bound):
        raise ValueError(text)
    return Divergence(match["metric"], text.strip(), match["operator"], bound)


def no_numbers(last: Mapping[str, float], allowed: Sequence[str]) -> list[str]:
    """The metrics whose last value is NaN or infinite, without those that may be so."""
    return [
        name
        for name, value in last.items()
        if not math.isfinite(value) and not any(fnmatchcase(name, part) for part in allowed)
    ]
