"""Every effect as one row of a CSV file, and what a figure shows."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ablatekit.analysis.core.schema.analysis import Analysis
from ablatekit.analysis.core.schema.effects import Configuration, Effect
from ablatekit.analysis.core.schema.vocabulary import Number
from ablatekit.legible import legible_json
from ablatekit.report.document import FigureData
from ablatekit.report.language.reading import Unit, subject_of
from ablatekit.report.language.sentences import is_statement, say, say_all

FORMULA = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20|%]")
"""How a cell begins that spreadsheets compute."""
NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?%?\s*")
NAMES: tuple[str, ...] = tuple({**Effect.__annotations__, **Configuration.__annotations__})


def effects_csv(analysis: Analysis) -> str:
    """All estimands and configurations, at full precision; what is missing is empty.

    Verdicts are codes, as in `analysis.json`; reasons, notes and methods are words. Texts that look
    like formulas are `inert`.
    """
    analysis = legible_json(analysis)
    unit = subject_of(analysis).unit
    rows = [
        {"response": inert(name), **{key: _shown(value, unit) for key, value in effect.items()}}
        for name, effects in _parts(analysis)
        for effect in effects
    ]
    known = {key for row in rows for key in row}
    text = io.StringIO()
    names = ["response", *(name for name in NAMES if name in known)]
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def data_csv(data: FigureData) -> str:
    """What a figure shows, in seven digits; what is missing is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(inert, data.columns))
    writer.writerows([_short(value) for value in row] for row in data.rows)
    return text.getvalue()


def _short(value: str | Number) -> str:
    if isinstance(value, str):
        return inert(value)
    return "" if value is None else f"{value:.7g}"


def _parts(analysis: Analysis) -> Iterator[tuple[str, Sequence[Effect]]]:
    for name, response in analysis["responses"].items():
        yield name, response["effects"]
        if "configurations" in response:
            yield name, response["configurations"]["rows"]
    for name, gap in analysis.get("comparisons", {}).items():
        yield name, gap["effects"]


def _shown(value: Any, unit: Unit) -> Any:
    """Statements in words, nested numbers as JSON, everything else as it is."""
    if is_statement(value):
        return inert(say(value, unit))
    if isinstance(value, list):
        return _listed(value, unit)
    if isinstance(value, Mapping):
        return json.dumps({key: _shown(item, unit) for key, item in value.items()})
    return inert(value) if isinstance(value, str) else value


def inert(text: str) -> str:
    """A text that no spreadsheet takes for a formula: after an apostrophe, where it looks like one.

    A text that is a number stays as it is.
    """
    return f"'{text}" if FORMULA.match(text) and not NUMBER.fullmatch(text) else text


def _listed(values: Sequence[Any], unit: Unit) -> str:
    """Notes as sentences, a scope as its names, nested numbers as JSON."""
    if all(is_statement(value) for value in values):
        return inert(say_all(values, "; ", unit))
    if all(isinstance(value, str) for value in values):
        return inert(" ".join(values))
    return json.dumps(values)
