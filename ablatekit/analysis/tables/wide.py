"""Tables with one column per replicate, brought to one row per run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

import pandas as pd

from ablatekit.analysis.core.schema.vocabulary import Statement
from ablatekit.analysis.tables.values import first_text, text_rows, with_numbers
from ablatekit.analysis.tables.words import is_absent
from ablatekit.errors import Problem, TableError, UsageError, nearest

REPLICATE = "replicate"
NUMBERED = re.compile(r"(.*?)[ _.\-]*\d+$")


def melted(
    frame: pd.DataFrame, response: str, patterns: Sequence[str]
) -> tuple[pd.DataFrame, list[Statement]]:
    """One row per row and column that a pattern names, its value in the column `response`.

    patterns: names of columns, or parts of names with * for the rest. The column that a value was
    in is its `replicate`, unless the table has such a column. An empty cell stays a run without a
    value. Raises UsageError for patterns that name no column, and a name that is taken.
    """
    columns = _matching(frame, patterns)
    rest = [name for name in frame.columns if name not in columns]
    if response in rest:
        rule = "--response names the new column that --wide makes, and this one is there already"
        raise UsageError(Problem(rule, response, "Give another name to --response"))
    frame, messages = with_numbers(frame, columns)
    for name in columns:
        if not pd.api.types.is_numeric_dtype(frame[name]):
            row = first_text(frame[name])
            shown = f"{name} with {frame[name].iloc[row]!r} in row {row + 1}"
            raise TableError(Problem("a column of --wide must be numeric", shown))
    numbering = [] if REPLICATE in rest else [REPLICATE]
    parts = [
        frame[rest].assign(**{response: frame[name], **dict.fromkeys(numbering, name)})
        for name in columns
    ]
    stacked = pd.concat(parts).sort_index(kind="stable")
    return stacked.reset_index(drop=True), messages


def numbered_columns(frame: pd.DataFrame, response: str) -> list[str]:
    """Numeric columns that differ by a number at their end: those named like the response first.

    Empty where there are fewer than two.
    """
    groups: dict[str, list[str]] = {}
    for name in map(str, frame.columns):
        numbered = NUMBERED.match(name)
        if numbered and numbered[1] and _is_numeric(frame[name]):
            groups.setdefault(numbered[1], []).append(name)
    several = {stem: names for stem, names in groups.items() if len(names) > 1}
    if response in several:
        return several[response]
    return max(several.values(), key=len, default=[])


def _is_numeric(column: pd.Series[Any]) -> bool:
    """Whether the column holds numbers and, at most, words for missing ones."""
    return pd.api.types.is_numeric_dtype(column) or all(
        is_absent(str(column.iloc[row])) for row in text_rows(column)
    )


def _matching(frame: pd.DataFrame, patterns: Sequence[str]) -> list[str]:
    names = [str(name) for name in frame.columns]
    found = [name for name in names if any(_names(pattern, name) for pattern in patterns)]
    problems = [
        Problem("--wide names no column", pattern, nearest(pattern.strip("*"), names))
        for pattern in patterns
        if not any(_names(pattern, name) for name in names)
    ]
    if len(found) == 1:
        remedy = "One column per run needs two or more; one is a --response as it is"
        problems.append(Problem("--wide names a single column", found[0], remedy))
    if problems:
        raise UsageError(*problems)
    return found


def _names(pattern: str, name: str) -> bool:
    return pattern == name or fnmatchcase(name, pattern)
