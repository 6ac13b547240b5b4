"""Every effect as one row of a CSV file."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from typing import Any

from ablatekit.analysis.core.schema.analysis import Analysis
from ablatekit.analysis.core.schema.effects import Effect
from ablatekit.report.language.reading import Unit, subject_of
from ablatekit.report.language.sentences import is_statement, say, say_all

NAMES: tuple[str, ...] = tuple(Effect.__annotations__)


def effects_csv(analysis: Analysis) -> str:
    """All estimands of every response and gap, at full precision; what is missing is empty.

    Verdicts are codes, as in `analysis.json`; reasons, notes and methods are words.
    """
    unit = subject_of(analysis).unit
    rows = [
        {"response": name, **{key: _shown(value, unit) for key, value in effect.items()}}
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


def _parts(analysis: Analysis) -> Iterator[tuple[str, list[Effect]]]:
    for name, response in analysis["responses"].items():
        yield name, response["effects"]
    for name, gap in analysis.get("comparisons", {}).items():
        yield name, gap["effects"]


def _shown(value: Any, unit: Unit) -> Any:
    """Statements in words, another method's numbers as JSON, everything else as it is."""
    if is_statement(value):
        return say(value, unit)
    if isinstance(value, list):
        return say_all(value, "; ", unit)
    if isinstance(value, Mapping):
        return json.dumps({key: _shown(item, unit) for key, item in value.items()})
    return value
