"""Columns out of the nested values that logs and lines of JSON hold."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from ablatekit.analysis.tables.readers.base import FIXED, Role

LARGEST = 2**63 - 1
"""The largest whole number that a column holds; a longer one is a name."""


class WrittenNumber(float):
    """A number that remembers how it is written."""

    written: str

    def __new__(cls, text: str) -> WrittenNumber:
        number = super().__new__(cls, text)
        number.written = text
        return number


def column_names(groups: Mapping[str, Iterable[str]]) -> dict[tuple[str, str], str]:
    """The column for every (group, name): the name alone where it tells, else GROUP.NAME.

    Names that several groups have, and those of FIXED, do not tell.
    """
    distinct = {group: dict.fromkeys(names) for group, names in groups.items()}
    uses = Counter(name for names in distinct.values() for name in names)
    return {
        (group, name): name if uses[name] == 1 and name not in FIXED else f"{group}.{name}"
        for group, names in distinct.items()
        for name in names
    }


def role_of_setting(name: str) -> Role:
    """`seed` for what is called a seed, such as `torch_seed` or `data.seed`; else `setting`."""
    last = name.rpartition(".")[2].lower()
    return "seed" if last == "seed" or last.endswith("_seed") else "setting"


def typed_column(values: Sequence[Any], *, text: bool = False) -> pd.Series[Any]:
    """A column of truth values or numbers, or of text as it is written; None is missing.

    With `text`, numbers and truth values are text too.
    """
    there = [value for value in values if value is not None]
    if text or not (_all_bools(there) or all(map(_is_number, there))):
        return pd.Series([None if v is None else _text(v) for v in values], dtype="str")
    if len(there) == len(values):
        return pd.Series(values if not _has_floats(there) else [float(v) for v in values])
    return pd.Series([None if v is None else float(v) for v in values], dtype=float)


def _all_bools(values: Sequence[Any]) -> bool:
    return all(isinstance(value, bool) for value in values)


def _has_floats(values: Sequence[Any]) -> bool:
    return any(isinstance(value, float) for value in values)


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, float) or -LARGEST <= value <= LARGEST


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    return value.written if isinstance(value, WrittenNumber) else json.dumps(value)
