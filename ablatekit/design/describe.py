"""What a backend declares, as rows for tables and JSON."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined, to_jsonable_python

from ablatekit.backend import Backend, Condition
from ablatekit.plugins import answer_of
from ablatekit.study.settings import (
    SettingField,
    documented,
    flatten_model,
    models_in,
    other_names,
    setting_fields,
)

_BOUNDS = {
    "ge": ">=",
    "gt": ">",
    "le": "<=",
    "lt": "<",
    "min_length": "length >=",
    "max_length": "length <=",
    "multiple_of": "multiple of",
    "pattern": "matches",
}


def describe_settings(backend: Backend) -> list[dict[str, Any]]:
    """Every setting: name, default, allowed values, meaning, and whether it decides results."""
    return [
        {
            "name": field.name,
            "default": _default(field),
            "allowed": _allowed(field),
            "kind": "execution" if field.execution else "results",
            "meaning": _meaning(field.info),
        }
        for field in setting_fields(documented(backend.settings)).values()
    ]


def setting_defaults(backend: Backend) -> dict[str, Any]:
    """Every setting's default as a JSON value; "required" where a study has to give it."""
    return {name: _default(field) for name, field in setting_fields(backend.settings).items()}


def describe_factors(backend: Backend) -> list[dict[str, Any]]:
    """The settings that a study can vary, with what the backend tells about their levels.

    `group` is what the class that declares a setting says of itself in its first line.
    """
    called = other_names(backend.settings)
    return [
        {
            "name": field.name,
            "group": _group(backend.settings, field.name),
            "other_names": sorted(other for other, name in called.items() if name == field.name),
            "default": _default(field),
            "allowed": _allowed(field),
            "levels": _levels(field),
            "meaning": _meaning(field.info),
        }
        for field in setting_fields(documented(backend.settings)).values()
        if not field.execution
    ]


def _group(model: type[BaseModel], name: str) -> str:
    first, _, rest = name.partition(".")
    part = next(iter(models_in(model.model_fields[first].annotation)), None)
    if rest and part is not None:
        return _group(part, rest)
    declaring = next(
        (base for base in model.__mro__ if first in vars(base).get("__annotations__", {})), model
    )
    return (inspect.getdoc(declaring) or "").partition("\n")[0].rstrip(".")


def describe_rules(backend: Backend) -> list[dict[str, Any]]:
    """The backend's rules: which combinations are refused, merged or warned about, and why."""
    return [
        {
            "name": rule.name,
            "kind": rule.kind,
            "when": {name: _condition(test) for name, test in rule.when.items()},
            "then": to_jsonable_python(dict(rule.then)),
            "why": rule.why,
            "remedy": rule.remedy,
        }
        for rule in answer_of("backend", backend, "rules")
    ]


def describe_metrics(backend: Backend) -> list[dict[str, Any]]:
    """What a run with default settings reports."""
    settings = flatten_model(backend.settings())
    return [
        {
            "name": metric.name,
            "direction": metric.direction,
            "role": metric.role,
            "unit": metric.unit,
            "repeatable": metric.repeatable,
            "partial": metric.partial,
            "items": metric.items,
            "meaning": metric.doc,
        }
        for metric in answer_of("backend", backend, "metrics", settings)
    ]


def _condition(test: Condition) -> str:
    if test.is_in is not None:
        return f"one of {', '.join(map(str, test.is_in))}"
    if test.not_in is not None:
        return f"none of {', '.join(map(str, test.not_in))}"
    if test.below is not None:
        return f"< {test.below}"
    if test.at_least is not None:
        return f">= {test.at_least}"
    product = " x ".join(test.compared)
    return f"> {product}" if test.above_product is not None else f"<= {product}"


def _default(field: SettingField) -> Any:
    value = field.info.get_default(call_default_factory=True)
    return "required" if value is PydanticUndefined else to_jsonable_python(value)


def _meaning(info: FieldInfo) -> str:
    return " ".join((info.description or "").split())


def _levels(field: SettingField) -> dict[str, Any]:
    declared = field.extra.get("levels", {})
    if isinstance(declared, dict):
        return dict(declared)
    named = (level if isinstance(level, dict) else {"name": level} for level in declared)
    return {
        str(level["name"]): {key: told for key, told in level.items() if key != "name"}
        for level in named
    }


def _allowed(field: SettingField) -> str:
    """Type and bounds; a text whose levels the backend declares is one of them, or a user's own."""
    info, levels = field.info, _levels(field)
    if info.annotation is str and levels:
        return " | ".join([*levels, "module:function"])
    return ", ".join([_type_text(info.annotation), *_bounds(info.metadata)])


def _bounds(metadata: Sequence[Any]) -> list[str]:
    return [
        f"{text} {getattr(limit, name)}"
        for limit in metadata
        for name, text in _BOUNDS.items()
        if getattr(limit, name, None) is not None
    ]


def _type_text(annotation: Any) -> str:
    if get_origin(annotation) is Annotated:
        kind, *metadata = get_args(annotation)
        bounds = [
            text for limit in metadata for text in _bounds(getattr(limit, "metadata", [limit]))
        ]
        return " ".join([_type_text(kind), *bounds])
    if get_origin(annotation) is Literal:
        return " | ".join(str(value) for value in get_args(annotation))
    if annotation is type(None):
        return "null"
    if get_origin(annotation) is None and isinstance(annotation, type):
        names = {"bool": "true | false", "int": "integer", "float": "number", "str": "text"}
        return names.get(annotation.__name__, annotation.__name__)
    parts = [_type_text(part) for part in get_args(annotation) if part is not Ellipsis]
    origin = get_origin(annotation)
    if origin in (list, tuple):
        return f"list of {', '.join(parts)}"
    if origin is dict:
        return f"map of {', '.join(parts)}"
    return " | ".join(parts) or str(annotation)
