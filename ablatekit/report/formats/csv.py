"""Every effect as one row of a CSV file."""

from __future__ import annotations

import csv
import io

from ablatekit.analysis.core.schema.analysis import Analysis
from ablatekit.analysis.core.schema.effects import Effect

COLUMNS = ("response", *(name for name in Effect.__annotations__))


def effects_csv(analysis: Analysis) -> str:
    """All estimands of every response and gap, at full precision; what is missing is empty."""
    parts = {name: response["effects"] for name, response in analysis["responses"].items()}
    parts |= {name: gap["effects"] for name, gap in analysis.get("comparisons", {}).items()}
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for name, effects in parts.items():
        writer.writerows({"response": name, **effect} for effect in effects)
    return text.getvalue()
