"""Run specs straight from a backend, for tests that need a run and no study."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from ablatekit.backend import Backend
from ablatekit.runs.records import RunSpec
from ablatekit.study.settings import flatten_model, nest


def run_spec(
    backend: Backend,
    settings: Mapping[str, Any],
    context: Mapping[str, str] | None = None,
    replicate: int = 1,
) -> RunSpec:
    """The spec of one run: the backend's defaults with `settings` (dotted names) and `context`."""
    chosen = backend.settings(**nest({**settings, **(context or {})}))
    resolved = flatten_model(chosen)
    execution = execution_settings(backend.settings)
    return RunSpec(
        backend=backend.name,
        results_version=backend.results_version,
        settings={name: value for name, value in resolved.items() if name not in execution},
        execution={name: value for name, value in resolved.items() if name in execution},
        context=dict(context or {}),
        content=dict(backend.content(resolved)),
        replicate=replicate,
    )


def execution_settings(model: type[BaseModel], prefix: str = "") -> frozenset[str]:
    """Dotted names of the settings that decide only where and how fast a run executes."""
    names = set()
    for name, part in model.model_fields.items():
        extra = part.json_schema_extra
        if isinstance(extra, dict) and extra.get("execution"):
            names.add(prefix + name)
        if isinstance(part.annotation, type) and issubclass(part.annotation, BaseModel):
            names |= execution_settings(part.annotation, f"{prefix}{name}.")
    return frozenset(names)
