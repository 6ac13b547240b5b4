"""What is wrong with a table, and what is odd in it: levels, repeated rows, hidden factors."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ablatekit.analysis.core.schema.vocabulary import Statement, statement
from ablatekit.analysis.engine.numeric import finite, remedy_for_text
from ablatekit.analysis.tables.item_table import ITEM, RUN
from ablatekit.analysis.tables.values import endings, first_text, text_rows, with_levels
from ablatekit.analysis.tables.wide import NUMBERED, REPLICATE, numbered_columns
from ablatekit.analysis.tables.words import STATUS, spelling, words_of
from ablatekit.errors import Problem, TableError, nearest

SHOWN = 5
MOST_LEVELS = 1000
"""Of a column whose spellings are compared: names of items are no levels."""
MOST_VALUES = 12
"""Of a column that may be a factor which nobody named."""
ALIKE = 0.8
"""The part of the groups that hold the same values where a column is crossed with the others."""
REPLICATE_WORDS = frozenset(
    {"seed", "seeds", "replicate", "rep", "repeat", "repetition", "trial", "run", "runs", "id",
     "uuid", "index", "unnamed", "name", "path", "file", "fold", "split", "try", "attempt", "date",
     "timestamp", "created", "started", "ended", "updated", "state", "r", "nr", "idx", STATUS}
)  # fmt: skip
"""Words in the names of columns that tell replicates apart without being a choice."""


def refuse_columns(
    frame: pd.DataFrame, responses: Sequence[str], labels: Sequence[str], factors: Sequence[str]
) -> None:
    """Raises TableError with every mistake: columns that are missing, text, empty, used twice.

    labels: factors and contexts; a cell of a factor may be empty by the rule of `with_levels`.
    """
    problems = [
        _unknown(frame, name, is_response=name in responses)
        for name in (*responses, *labels)
        if name not in frame.columns
    ]
    problems += [
        _text(frame[name])
        for name in responses
        if name in frame.columns
        and name not in labels
        and not pd.api.types.is_numeric_dtype(frame[name])
    ]
    levels = with_levels(frame, [name for name in factors if name in frame.columns])
    problems += [
        _gaps(levels[name])
        for name in labels
        if name in levels.columns and levels[name].isna().any()
    ]
    if frame.empty:
        problems.append(Problem("the table has no rows"))
    problems += [
        Problem("a column has more than one role", repr(name), "Name every column once")
        for name, count in Counter((*responses, *labels)).items()
        if count > 1
    ]
    if problems:
        raise TableError(*problems)


def refuse_empty(frame: pd.DataFrame, responses: Sequence[str]) -> None:
    """Raises TableError for a response without a value."""
    problems = [
        Problem("a response has no value in any row", repr(name), "Name a column of numbers")
        for name in responses
        if frame[name].isna().all()
    ]
    if problems:
        raise TableError(*problems)


def refuse_infinite(frame: pd.DataFrame, responses: Sequence[str], labels: Sequence[str]) -> None:
    """Raises TableError for an infinite value, except of a diverged run, which may end in one."""
    known = frame[list(responses)].notna().any(axis=1).to_numpy()
    diverged = endings(frame, known, [*responses, *labels]) == "diverged"
    for name in responses:
        column = frame.loc[frame[name].notna() & ~diverged, name]
        finite(column.to_numpy(dtype=float), name, column.index)


def spelling_variants(levels: Mapping[str, Iterable[str]]) -> list[Statement]:
    """Levels of a column that differ by nothing but case, blanks or the form of their letters."""
    told = []
    for column, names in levels.items():
        alike: dict[str, list[str]] = {}
        for name in dict.fromkeys(names):
            alike.setdefault(spelling(name), []).append(name)
        if sum(map(len, alike.values())) > MOST_LEVELS:
            continue
        variants = (spellings for spellings in alike.values() if len(spellings) > 1)
        told += [statement("spelling_variants", column=column, spellings=s) for s in variants]
    return told


def odd_rows(
    frame: pd.DataFrame, responses: Sequence[str], labels: Sequence[str]
) -> list[Statement]:
    """Rows that repeat others, and columns that tell replicates apart without having a role."""
    kept = [name for name in frame.columns if _is_plain(frame[name]) and not _is_unnamed(name)]
    frame = frame[kept]
    others = [str(name) for name in frame.columns if name not in (*responses, *labels)]
    return [*_repeated_rows(frame, responses), *_hidden_factors(frame, labels, others)]


def _is_unnamed(name: object) -> bool:
    """Whether a column is one that pandas names for lack of a name: row numbers, or nothing."""
    return re.fullmatch(r"Unnamed: \d+", str(name)) is not None


def _is_plain(column: pd.Series[Any]) -> bool:
    """Whether the values can be compared: no lists, no mappings."""
    return column.dtype != object or all(isinstance(value, Hashable) for value in column)


def _unknown(frame: pd.DataFrame, name: str, *, is_response: bool) -> Problem:
    """The nearest column; of a response that stands in several columns, how to melt them."""
    numbered = numbered_columns(frame, name) if is_response else []
    near = nearest(name, (other for other in map(str, frame.columns) if other not in numbered))
    if numbered and not near.startswith("Did you"):
        pattern = re.sub(r"\d+$", "*", numbered[0])
        near = f"{listed(numbered)} look like its replicates: add --wide '{pattern}'"
    return Problem("a column is missing from the table", repr(name), near)


def _text(column: pd.Series[Any]) -> Problem:
    """The first value that is no number and no word for a missing one, with its row from 1."""
    rule, rows = "a response must be numeric", text_rows(column)
    if not rows:
        return Problem(rule, f"{column.name} with values of type {column.dtype}")
    row = first_text(column)
    shown = f"{column.name} with {column.iloc[row]!r} in row {row + 1}"
    return Problem(rule, shown, remedy_for_text(str(column.iloc[row])))


def refuse_wide(frame: pd.DataFrame, response: str) -> None:
    """Raises TableError where a formula's response is missing and numbered columns may hold it."""
    numbered = [] if response in frame.columns else numbered_columns(frame, response)
    stem = NUMBERED.match(numbered[0]) if numbered else None
    if stem is None or stem[1] != response:
        return
    pattern = re.sub(r"\d+$", "*", numbered[0])
    remedy = (
        f"{listed(numbered)} look like its replicates: melt the table to one row per run, or ask"
        f" by --factors with --wide '{pattern}'"
    )
    raise TableError(Problem("the table has no such column", response, remedy))


def _gaps(column: pd.Series[Any]) -> Problem:
    empty = np.flatnonzero(column.isna().to_numpy()) + 1
    rows = listed([str(row) for row in empty.tolist()])
    remedy = (
        "Fill them or drop the rows; cells of a factor may be empty only at all rows (two or"
        " more) of some levels of another factor"
    )
    word = "row" if len(empty) == 1 else "rows"
    return Problem(
        "a factor or context has empty cells", f"{str(column.name)!r} in {word} {rows}", remedy
    )


def listed(texts: Sequence[str]) -> str:
    """The first few of many, and how many more there are."""
    more = f" and {len(texts) - SHOWN} more" if len(texts) > SHOWN else ""
    return ", ".join(texts[:SHOWN]) + more


def _repeated_rows(frame: pd.DataFrame, responses: Sequence[str]) -> list[Statement]:
    """Rows that agree with an earlier one in every column, where chance would not make them.

    Chance does where responses take few values: outcomes of 0 and 1, counts.
    """
    known = frame[list(responses)].notna().any(axis=1)
    repeated = frame.duplicated() & known
    if not repeated.any():
        return []
    distinct = frame.loc[~frame.duplicated() & known, list(responses)]
    if 2 * len(distinct.drop_duplicates()) < len(distinct) or len(distinct) < 3:
        return []
    rows = (np.flatnonzero(repeated.to_numpy()) + 1).tolist()
    return [statement("repeated_rows", rows=rows)]


def _hidden_factors(
    frame: pd.DataFrame, labels: Sequence[str], others: Sequence[str]
) -> list[Statement]:
    group = frame.groupby(list(labels), sort=False, dropna=False).ngroup()
    return [
        statement("hidden_factor", column=name, levels=sorted(map(_shown, frame[name].unique())))
        for name in others
        if name not in (RUN, ITEM, REPLICATE)
        and not REPLICATE_WORDS.intersection(words_of(name))
        and _is_hidden(frame[name], group)
    ]


def _shown(value: object) -> str:
    return "" if pd.isna(value) else str(value)  # type: ignore[call-overload]


def _is_hidden(column: pd.Series[Any], group: pd.Series[int]) -> bool:
    """Whether a column of few values differs between rows that agree in every factor and context.

    A measurement of few values differs too; numbers count where every group has the same ones, as
    a crossed factor has, and are no plain numbering of the replicates.
    """
    codes, values = pd.factorize(column, use_na_sentinel=False)
    if not 1 < len(values) <= min(MOST_VALUES, len(column) / 2):
        return False
    inside = pd.Series(codes).groupby(group.to_numpy(), sort=False)
    if (inside.min() == inside.max()).all():
        return False
    if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        return True
    sets = Counter(tuple(sorted(part)) for _, part in inside)
    return sets.most_common(1)[0][1] >= ALIKE * sets.total() and not _counts_up(column, group)


def _counts_up(column: pd.Series[Any], group: pd.Series[int]) -> bool:
    """Whether the values are 0, 1, 2 ... or 1, 2, 3 ..., each once in every group."""
    values = sorted(set(column.dropna().tolist()))
    numbering = len(values) > 2 and values in (
        list(range(len(values))),
        list(range(1, len(values) + 1)),
    )
    once = not pd.DataFrame({"value": column, "group": group}).duplicated().any()
    return numbering and once
