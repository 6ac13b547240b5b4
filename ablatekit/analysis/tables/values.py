"""Columns of a table as the values that they stand for: numbers, levels, how every run ended."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ablatekit.analysis.core.arrays import Booleans
from ablatekit.analysis.core.layout import NOT_SET
from ablatekit.analysis.core.schema.vocabulary import Statement, statement
from ablatekit.analysis.tables.words import ENDINGS, STATUS, ending_of, is_absent
from ablatekit.errors import Problem, TableError, nearest

MOST_SHOWN = 5
MOST_LEVELS_NAMED = 20
FEWEST_ROWS = 2
"""Rows at a level before their common gap counts as a rule rather than as an accident."""


def with_numbers(frame: pd.DataFrame, names: Sequence[str]) -> tuple[pd.DataFrame, list[Statement]]:
    """Columns of numbers among which words such as n/a stand, with these as missing values.

    Numbers that are stored as text or as objects are numbers, too. A column with any other text
    stays as it is. Each statement names the words and their rows.
    """
    messages = []
    for name in names:
        if name not in frame.columns or pd.api.types.is_numeric_dtype(frame[name]):
            continue
        numbers = pd.to_numeric(frame[name].astype(object), errors="coerce")
        rows = text_rows(frame[name])
        words = [str(frame[name].iloc[row]) for row in rows]
        if not all(map(is_absent, words)):
            continue
        frame = frame.assign(**{name: numbers})
        if rows:
            told = statement("absent_words", column=name, words=words, rows=[r + 1 for r in rows])
            messages.append(told)
    return frame, messages


def in_words(frame: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Columns as text; empty cells stay empty."""
    return frame.assign(**{name: _as_text(frame[name]) for name in names})


def rows_where(frame: pd.DataFrame, where: Mapping[str, str]) -> pd.DataFrame:
    """The rows in which every column of `where` has its level, numbered anew.

    Raises TableError for a column that is not there, and where no row is left.
    """
    names = [str(name) for name in frame.columns]
    unknown = [name for name in where if name not in names]
    if unknown:
        rule = "a column is missing from the table"
        raise TableError(*(Problem(rule, repr(name), nearest(name, names)) for name in unknown))
    for name, level in where.items():
        text = _as_text(frame[name])
        if not (text == level).any():
            known = map(str, text.dropna().unique()[:MOST_LEVELS_NAMED])
            raise TableError(Problem(f"no row has this {name}", level, nearest(level, known)))
        frame = frame[(text == level).to_numpy()]
    return frame.reset_index(drop=True) if where else frame


def text_rows(column: pd.Series[Any]) -> list[int]:
    """Positions of the values that are no numbers; an empty cell is none."""
    text = pd.to_numeric(column.astype(object), errors="coerce").isna() & column.notna()
    return np.flatnonzero(text.to_numpy()).tolist()


def first_text(column: pd.Series[Any]) -> int:
    """Position of the first value that is neither a number nor a word for a missing one.

    0 where there is none, as in a column of dates.
    """
    rows = text_rows(column)
    return next(
        (row for row in rows if not is_absent(str(column.iloc[row]))), rows[0] if rows else 0
    )


def with_levels(frame: pd.DataFrame, factors: Sequence[str]) -> pd.DataFrame:
    """Factors as text; an empty cell of a conditional factor is the level NOT_SET.

    A factor is conditional where another one decides whether it is set: at each of that one's
    levels all of its cells are filled, or all of several are empty. Other gaps stay gaps.
    """
    text = {name: _as_text(frame[name]) for name in factors}
    complete = [name for name in factors if not text[name].isna().any()]
    waiting = [name for name in factors if name not in complete]
    while waiting:
        decided = [
            name
            for name in waiting
            if any(_decides(text[other], text[name].isna()) for other in complete)
        ]
        if not decided:
            break
        for name in decided:
            text[name] = text[name].fillna(NOT_SET)
        complete += decided
        waiting = [name for name in waiting if name not in decided]
    return frame.assign(**text)


def without_unplaced(
    frame: pd.DataFrame, names: Sequence[str], factors: Sequence[str], contexts: Sequence[str]
) -> tuple[pd.DataFrame, list[Statement]]:
    """The rows but those that have no result in `names` and lack a factor or a context.

    They tell nothing, as the parent of nested runs does, and a log cannot be rid of them.
    """
    known = [name for name in names if name in frame.columns]
    labels = [name for name in (*factors, *contexts) if name in frame.columns]
    if not known or not labels or not frame[labels].isna().any(axis=None):
        return frame, []
    levels = with_levels(frame, [name for name in factors if name in labels])
    unplaced = levels[labels].isna().any(axis=1) & frame[known].isna().all(axis=1)
    if not unplaced.any() or unplaced.all():
        return frame, []
    kept = frame[~unplaced].reset_index(drop=True)
    return kept, [statement("rows_unplaced", rows=int(unplaced.sum()))]


def _as_text(column: pd.Series[Any]) -> pd.Series[Any]:
    """The values as text, gaps as gaps; millions of rows have few levels."""
    codes, values = pd.factorize(column)
    text = np.array([*map(str, values), None], dtype=object)
    return pd.Series(text[codes], column.index)


def _decides(levels: pd.Series[Any], empty: pd.Series[Any]) -> bool:
    if empty.all():
        return False
    rows = empty.groupby(levels, sort=False).agg(["sum", "size"])
    never, always = rows["sum"] == 0, rows["sum"] == rows["size"]
    return bool((never | (always & (rows["size"] >= FEWEST_ROWS))).all())


def endings(frame: pd.DataFrame, known: Booleans, roles: Sequence[str]) -> NDArray[np.str_]:
    """How every run ended: by the column `status` where there is one without another role.

    Where it says nothing, a run with a value of some response (`known`) has finished, another one
    has failed. Raises TableError for a word whose meaning is not known.
    """
    by_value = np.where(known, "finished", "failed")
    if STATUS not in frame.columns or STATUS in roles:
        return by_value
    codes, words = pd.factorize(frame[STATUS])
    meanings = [ending_of(str(word)) for word in words]
    unknown = [place for place, meaning in enumerate(meanings) if meaning is None]
    if unknown:
        rows = [(str(words[place]), int((codes == place).argmax()) + 1) for place in unknown]
        raise TableError(_unknown_ending(rows))
    stated = np.array([*map(str, meanings), ""])[codes]
    return np.where(codes >= 0, stated, by_value)


def without_failed(
    frame: pd.DataFrame, mentioned: str, response: str
) -> tuple[pd.DataFrame, list[Statement]]:
    """The rows whose column `status` does not say that the run has no result, and what it says.

    A column of numbers, and one that the text `mentioned` names, says nothing about endings. Raises
    TableError for a word whose meaning is not known, and where no row has a result.
    """
    named = re.search(rf"(?<![\w.]){STATUS}(?![\w.])", mentioned)
    if STATUS not in frame.columns or named or pd.api.types.is_numeric_dtype(frame[STATUS]):
        return frame, []
    ended = endings(frame, np.ones(len(frame), dtype=np.bool_), [])
    lost = np.isin(ended, ("failed", "missing"))
    if lost.all():
        rule = f"the column {STATUS} says that no run has a result"
        raise TableError(Problem(rule, f"{len(frame)} rows", "Rename it if it says something else"))
    valued = frame[response].notna().to_numpy() if response in frame.columns else ~lost
    diverged = int(((ended == "diverged") & valued).sum())
    told = [statement("failed_left_out", rows=int(lost.sum()))] if lost.any() else []
    told += [statement("diverged_with_score", runs=diverged)] if diverged else []
    return (frame[~lost] if lost.any() else frame), told


def _unknown_ending(rows: Sequence[tuple[str, int]]) -> Problem:
    """Every word with the first row in which it stands, and the words that are known."""
    shown = ", ".join(f"{word!r} in row {row}" for word, row in rows[:MOST_SHOWN])
    listed = "; ".join(f"{ending} ({', '.join(known)})" for ending, known in ENDINGS.items())
    rule = f"an unknown word in the column {STATUS}, which says how runs ended"
    remedy = f"Rename the column if it says something else. Known, in any case: {listed}"
    return Problem(rule, shown, remedy)
