"""The JSON schema of `analysis.json`, made from its types and kept in `docs`."""

from __future__ import annotations

import json
from typing import Any

from ablatekit.analysis.core.schema.analysis import SCHEMA_VERSION, Analysis


def analysis_schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) that the analysis of every way in validates against."""
    from pydantic import TypeAdapter

    schema = TypeAdapter(Analysis).json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": f"analysis.json of ablatekit, version {SCHEMA_VERSION}",
    }


def schema_text() -> str:
    """The schema as the text of its file."""
    return json.dumps(analysis_schema(), indent=1, ensure_ascii=False) + "\n"
