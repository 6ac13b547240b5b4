"""Outcomes of single items that a program wrote: JSON lines, CSV or Parquet."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablatekit.errors import Location, Problem, TableError

if TYPE_CHECKING:
    import pandas as pd

FORMATS = (".jsonl", ".csv", ".parquet")
NEEDED = ("split", "item", "outcome")
DEFAULTS: Mapping[str, Any] = {"dataset": "", "sample": 0}
_REMEDY = "A row has split, dataset, item, sample and outcome: see the README of ablatekit-command"


def read_outcomes(path: Path) -> Iterator[tuple[int | None, dict[str, list[Any]]]]:
    """Outcomes by step (None where the file has no column `step`), as columns.

    Without `dataset` all items are of one data set, without `sample` every item was tried once.
    Raises TableError, at its line, for a file that is not of the format, a missing column, an
    outcome that is no finite number, and an item x sample that is there twice.
    """
    frame = _frame(path)
    missing = [name for name in NEEDED if name not in frame.columns]
    if missing:
        received = f"columns {', '.join(map(str, frame.columns)) or 'none'}"
        raise _wrong(path, f"item outcomes lack {', '.join(missing)}", received)
    for name, value in DEFAULTS.items():
        if name not in frame.columns:
            frame[name] = value
    columns = ["split", "dataset", "item", "sample", "outcome"]
    for name in ("split", "dataset", "item"):
        frame[name] = [str(value) for value in frame[name]]
    frame["sample"] = [int(value) for value in _numbers(path, frame, "sample")]
    frame["outcome"] = _numbers(path, frame, "outcome")
    if "step" not in frame.columns:
        yield None, _columns(path, frame[columns])
        return
    frame["step"] = [int(value) for value in _numbers(path, frame, "step")]
    for step, part in frame.groupby("step", sort=True):
        yield int(str(step)), _columns(path, part[columns])


def _columns(path: Path, frame: pd.DataFrame) -> dict[str, list[Any]]:
    keys = frame[["split", "dataset", "item", "sample"]]
    doubled = keys[keys.duplicated()]
    if len(doubled):
        received = ", ".join(f"{name} {value}" for name, value in doubled.iloc[0].items())
        raise _wrong(path, "an item x sample is there twice", received)
    return {str(name): list(frame[name]) for name in frame.columns}


def _numbers(path: Path, frame: pd.DataFrame, name: str) -> list[float]:
    numbers = []
    for row, value in enumerate(frame[name], start=1):
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            raise _wrong(path, f"{name} is no finite number", f"{value!r} in row {row}")
        numbers.append(number)
    return numbers


def _frame(path: Path) -> pd.DataFrame:
    import pandas as pd

    if path.suffix == ".jsonl":
        return pd.DataFrame(list(_objects(path)))
    try:
        if path.suffix == ".csv":
            return pd.read_csv(path, dtype=dict.fromkeys(("split", "dataset", "item"), str),
                               keep_default_na=False)  # fmt: skip
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise _wrong(path, "item outcomes cannot be read", str(error).splitlines()[0]) from None


def _objects(path: Path) -> Iterator[dict[str, Any]]:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            where = Location(str(path), number)
            rule = "a line of item outcomes is no JSON object"
            raise TableError(Problem(rule, line[:60], _REMEDY, where))
        yield value


def _wrong(path: Path, rule: str, received: str) -> TableError:
    return TableError(Problem(rule, received, _REMEDY, Location(str(path))))
