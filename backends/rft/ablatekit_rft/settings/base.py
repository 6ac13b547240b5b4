"""What all settings have in common."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, JsonValue, field_validator


class Part(BaseModel):
    """A part of the settings: closed, frozen, documented by docstrings, finite numbers only."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)

    @field_validator("*", mode="before")
    @classmethod
    def _no_setting_is_a_truth_value(cls, value: Any) -> Any:
        if isinstance(value, bool):
            raise ValueError("must not be true or false")
        # A list of JSON reaches strict validation as a list, and a setting holds a tuple.
        return tuple(value) if isinstance(value, list) else value


UNSTATED: dict[str, JsonValue] = {"unstated": True}
"""The `json_schema_extra` of a setting that came later and changes nothing at its default: a run at
the default does not state it, and so keeps its identity and its seeds."""

INPUT: dict[str, JsonValue] = {"input": True}
"""The `json_schema_extra` of a setting that may name a file or folder, which is sought beside the
study first."""


def with_levels(levels: dict[str, Any]) -> dict[str, Any]:
    """The `json_schema_extra` of a setting whose values are documented levels."""
    return {"levels": levels}


def stop_texts(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Stop texts in one order, each once. Raises ValueError for an empty one."""
    if not all(texts):
        raise ValueError("a stop text must not be empty")
    return tuple(sorted(set(texts)))
