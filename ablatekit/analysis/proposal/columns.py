"""Every column of a table by its values: codes of levels, numbers, gaps. Whatever it holds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd
from pandas.api import types

from ablatekit.analysis.core.arrays import Floats, Integers
from ablatekit.analysis.tables.readers.base import ROLES, Role
from ablatekit.analysis.tables.words import is_absent

Kind: TypeAlias = Literal["number", "truth", "time", "text"]
SAMPLE = 1000
"""Values that are looked at first: most columns of text show at once that they hold no numbers."""


@dataclass(frozen=True, slots=True, eq=False)
class RunColumn:
    """A column of n rows: `codes` (n,) number its distinct values as they come, -1 where empty.

    `values` are these. `numeric`: they are numbers, at most with words for missing ones among them.
    """

    name: str
    role: Role | None
    kind: Kind
    codes: Integers
    values: Sequence[Any]
    numeric: bool

    @property
    def gaps(self) -> int:
        """RunRows without a value."""
        return int((self.codes < 0).sum())

    @property
    def distinct(self) -> int:
        """How many values there are, an empty cell not counted."""
        return len(self.values)

    @property
    def levels(self) -> tuple[str, ...]:
        """The values as text."""
        return tuple(map(str, self.values))

    @property
    def numbers(self) -> Floats:
        """The rows as numbers (n,), NaN where there is none."""
        return np.asarray(np.append(_parsed(self.values), math.nan)[self.codes])

    @property
    def broken(self) -> bool:
        """Whether numbers among the first ones are not whole."""
        known = _parsed(self.values[:SAMPLE])
        return bool((known[np.isfinite(known)] % 1 != 0).any())

    def at(self, rows: Integers) -> RunColumn:
        """The column of some rows, its values numbered as they come there."""
        codes, kept = pd.factorize(self.codes[rows])
        gone = np.flatnonzero(kept < 0)
        values = [self.values[int(code)] for code in kept if code >= 0]
        if len(gone):
            place = int(gone[0])
            codes = np.where(codes == place, -1, codes - (codes > place))
        return replace(self, codes=codes.astype(np.int64), values=values)


def columns_of(frame: pd.DataFrame) -> tuple[list[RunColumn], list[str]]:
    """The columns under their first name, and names that stand twice. No content raises."""
    told = frame.attrs.get(ROLES, {})
    roles = told if isinstance(told, dict) else {}
    columns: dict[str, RunColumn] = {}
    repeated = []
    for place, label in enumerate(frame.columns):
        name = str(label)
        if name in columns:
            repeated.append(name)
            continue
        columns[name] = _column(name, roles.get(name), frame.iloc[:, place])
    return list(columns.values()), list(dict.fromkeys(repeated))


def _column(name: str, role: Role | None, series: pd.Series[Any]) -> RunColumn:
    codes, values = _factorized(series)
    kind = _kind(series, values)
    numeric = kind in ("number", "truth") or (kind == "text" and _holds_numbers(values))
    return RunColumn(name, role, kind, codes, values, numeric)


def _factorized(series: pd.Series[Any]) -> tuple[Integers, Sequence[Any]]:
    try:
        codes, values = pd.factorize(series)
    except (TypeError, ValueError):  # lists and mappings have no hash
        words = [None if value is None else str(value) for value in series]
        codes, values = pd.factorize(pd.Series(words, dtype=object))
    return codes.astype(np.int64), list(values)


def _kind(series: pd.Series[Any], values: Sequence[Any]) -> Kind:
    dtype = series.dtype
    if types.is_bool_dtype(dtype) or _holds_truth(values):
        return "truth"
    if types.is_numeric_dtype(dtype):
        return "text" if types.is_complex_dtype(dtype) else "number"
    if types.is_datetime64_any_dtype(dtype) or types.is_timedelta64_dtype(dtype):
        return "time"
    return "time" if _holds_times(values) else "text"


def _holds_truth(values: Sequence[Any]) -> bool:
    return 0 < len(values) <= 2 and all(isinstance(value, bool | np.bool_) for value in values)


def _holds_numbers(values: Sequence[Any]) -> bool:
    """Whether all are numbers or words for missing ones, and one is a number."""
    return _are_numbers(values[:SAMPLE]) and _are_numbers(values)


def _are_numbers(values: Sequence[Any]) -> bool:
    if not all(isinstance(value, str | int | float | np.number) for value in values):
        return False
    known = _parsed(values)
    rest = (value for value, number in zip(values, known, strict=True) if math.isnan(number))
    return bool((~np.isnan(known)).any()) and all(is_absent(str(value)) for value in rest)


def _parsed(values: Sequence[Any]) -> Floats:
    """Values as numbers, NaN where they are none."""
    try:
        parsed = pd.to_numeric(pd.Series(values, dtype=object), errors="coerce")
        return parsed.to_numpy(dtype=float, na_value=math.nan)
    except (TypeError, ValueError, OverflowError):  # whole numbers that no machine holds
        return np.full(len(values), math.nan)


def _holds_times(values: Sequence[Any]) -> bool:
    """Whether all texts begin with a date, as 2026-11-30 does."""
    first = pd.Series(list(values[:SAMPLE]), dtype=object)
    dates = first.map(lambda value: isinstance(value, str) and _begins_with_date(value))
    return bool(len(first)) and bool(dates.all())


def _begins_with_date(text: str) -> bool:
    return len(text) >= 10 and text[4] + text[7] == "--" and text[:4].isdigit()
