"""Columns out of the nested values that logs and lines of JSON hold."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from ablatekit.analysis.tables.readers.base import FIXED, Role

LARGEST = 2**63 - 1
"""The largest whole number that a column holds; a longer one is a name."""
SEEDS = re.compile(r"(^|[._-])(seed|random_state|randomseed|rngseed)$", re.IGNORECASE)
PLACES = frozenset(
    {
        "output_dir", "logging_dir", "log_dir", "save_dir", "run_dir", "work_dir", "workdir", "cwd",
        "checkpoint_dir", "run_name", "run_id", "exp_name", "experiment_name", "name", "id", "uuid",
        "host", "hostname", "node", "pid", "user", "username", "date", "time", "timestamp",
        "git_commit", "git_sha", "git_hash", "commit", "sha", "version",
    }
)  # fmt: skip
"""Settings that say where, when and under which name a run was made, if their whole name is so."""


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
    """What a setting is by its name: a seed (`torch_seed`, `random_state`), a place, or neither."""
    if SEEDS.search(name):
        return "seed"
    return "about" if name.casefold() in PLACES else "setting"


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
