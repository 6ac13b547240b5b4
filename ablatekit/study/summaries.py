"""Summaries of a metric's history as a study writes them: `final`, `mean_last(3)`, ..."""

from __future__ import annotations

import math
import re

from ablatekit.study.scalars import resolve_scalar

FORMS = "final | mean_last(k) | auc | best | time_to(x)"
LARGEST_COUNT = 1_000_000
_WITHOUT_ARGUMENT = ("final", "auc", "best")
_SUMMARY = re.compile(r"(\w+)(?:\(([^()]*)\))?")


def parse_summary(summary: str) -> tuple[str, float]:
    """The name of a summary and its argument, NaN if it takes none.

    Raises ValueError, with what the text lacks, for anything that is no summary.
    """
    matched = _SUMMARY.fullmatch(summary)
    if matched is None or (matched[1] in _WITHOUT_ARGUMENT) != (matched[2] is None):
        raise ValueError("has another form")
    name, argument = matched[1], matched[2]
    if argument is None:
        return name, math.nan
    if name == "mean_last":
        return name, float(_count(argument))
    if name == "time_to":
        return name, _threshold(argument)
    raise ValueError("has another form")


def is_last_value(summary: str) -> bool:
    """Whether a summary looks at the last value alone; every other one joins several steps."""
    name, argument = parse_summary(summary)
    return name == "final" or (name == "mean_last" and argument == 1)


def _count(text: str) -> int:
    value = _number(text)
    if not isinstance(value, int) or not 1 <= value <= LARGEST_COUNT:
        raise ValueError(f"needs a whole number k from 1 to {LARGEST_COUNT} in mean_last(k)")
    return value


def _threshold(text: str) -> float:
    value = _number(text)
    try:
        if value is not None:
            return float(value)
    except OverflowError:
        pass
    raise ValueError("needs a finite number x in time_to(x)")


def _number(text: str) -> int | float | None:
    try:
        value = resolve_scalar(text.strip())
    except ValueError:
        return None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
