"""Any list of records as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ablatekit.report.document import Column, Entry, Quantity, Table, Text
from ablatekit.report.language.numbers import general
from ablatekit.report.language.reading import words


def plain_table(identifier: str, caption: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    """Any list of records as a table, one column per key."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return Table(
        id=identifier,
        caption=caption,
        columns=[
            Column(name.replace("_", " "), numeric=all(_is_number(row.get(name)) for row in rows))
            for name in names
        ],
        rows=[[_any_entry(row.get(name)) for name in names] for row in rows],
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _any_entry(value: Any) -> Entry:
    if _is_number(value):
        return Quantity(general(value), float(value))
    return Text("" if value is None else words(value))
