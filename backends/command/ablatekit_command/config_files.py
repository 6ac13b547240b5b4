"""Files of settings that are written for a program, as YAML, JSON or TOML."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

import yaml

from ablatekit.errors import Problem, UsageError

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
SUFFIXES = (".yaml", ".yml", ".json", ".toml")


def written(name: str, values: Mapping[str, Any]) -> str:
    """Nested values in the format that the name's suffix says.

    Raises UsageError for another suffix, and for null in TOML, which has none.
    """
    match PurePath(name).suffix:
        case ".yaml" | ".yml":
            return str(yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True))
        case ".json":
            return json.dumps(values, indent=2, ensure_ascii=False) + "\n"
        case ".toml":
            return "".join(f"{line}\n" for line in _toml(values, ()))
    remedy = f"Use one of {', '.join(SUFFIXES)}, or give config.template"
    raise UsageError(Problem("the config file has no known format", f"config.file: {name}", remedy))


def understood(name: str, text: str) -> str | None:
    """What is wrong with a text as a file of this name; None if nothing, or of another format."""
    try:
        match PurePath(name).suffix:
            case ".yaml" | ".yml":
                yaml.safe_load(text)
            case ".json":
                json.loads(text)
            case ".toml":
                tomllib.loads(text)
    except (ValueError, yaml.YAMLError) as error:
        return " ".join(str(error).split())
    return None


def _toml(values: Mapping[str, Any], above: tuple[str, ...]) -> Iterator[str]:
    """Lines of a table: its own values first, then the tables in it."""
    for name, value in values.items():
        if not isinstance(value, Mapping):
            yield f"{_toml_key(name)} = {_toml_value(value, '.'.join((*above, name)))}"
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield f"[{'.'.join(map(_toml_key, (*above, name)))}]"
            yield from _toml(value, (*above, name))


def _toml_key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else json.dumps(name)


def _toml_value(value: Any, name: str) -> str:
    if value is None:
        remedy = "Leave the parameter out of this level, or write the file as YAML or JSON"
        raise UsageError(Problem("TOML has no null", f"{name}: null", remedy))
    if isinstance(value, list):
        return f"[{', '.join(_toml_value(part, name) for part in value)}]"
    return json.dumps(value, ensure_ascii=False)
