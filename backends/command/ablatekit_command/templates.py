"""Placeholders in texts: `{name}` is replaced, `{{name}}` is `{name}`, other braces are braces."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ablatekit.study.factors import level_name

_NAME = r"[A-Za-z_+~@][\w.+~@/-]*"
_PLACEHOLDER = re.compile(rf"\{{\{{(?P<kept>{_NAME})\}}\}}|\{{(?P<name>{_NAME})\}}")
_FORMATTED = re.compile(rf"(?<!\{{)\{{\s*(?P<name>{_NAME})(\s+|\s*[:!][^{{}}\s]*\s*)\}}(?!\}})")
_UNCLOSED = re.compile(rf"(?<![{{$])\{{(?P<name>{_NAME})(?=[^}}]*$)")
_PLAIN_OVERRIDE = re.compile(r"[\w./:@%+-]+")


def placeholders(text: str) -> tuple[str, ...]:
    """The names that a text has in braces, each once."""
    names = (match["name"] for match in _PLACEHOLDER.finditer(text) if match["name"])
    return tuple(dict.fromkeys(names))


def formatted(text: str) -> tuple[str, ...]:
    """The names in braces that carry a format, as in `{rate:.3f}`: they are not replaced."""
    return tuple(match["name"] for match in _FORMATTED.finditer(text))


def unclosed(text: str) -> tuple[str, ...]:
    """The names behind an opening brace that no closing one follows, as in `--lr {rate`."""
    return tuple(match["name"] for match in _UNCLOSED.finditer(text))


def fill(text: str, values: Mapping[str, Any], write: Callable[[Any], str] | None = None) -> str:
    """The text with its placeholders replaced; KeyError for a name without value."""
    written = write or as_text

    def replaced(match: re.Match[str]) -> str:
        kept, name = match["kept"], match["name"]
        return f"{{{kept}}}" if kept else written(values[name])

    return _PLACEHOLDER.sub(replaced, text)


def only_placeholder(text: str) -> str | None:
    """The name of the placeholder that a text consists of, None for any other text."""
    match = _PLACEHOLDER.fullmatch(text)
    return match["name"] if match else None


def as_text(value: Any) -> str:
    """A value as programs read it: true and false, null, numbers as levels are called, JSON."""
    if value is None:
        return "null"
    if isinstance(value, list | dict):
        return json.dumps(value)
    return level_name(value)


def as_arguments(parameters: Mapping[str, Any]) -> Iterator[str]:
    """`--name value` for every parameter; the values of a list one by one, null left out."""
    for name, value in parameters.items():
        if value is None:
            continue
        yield f"--{name}"
        yield from map(as_text, value if isinstance(value, list) else [value])


def as_overrides(parameters: Mapping[str, Any]) -> Iterator[str]:
    """`name=value` for every parameter, in the grammar of Hydra's overrides."""
    for name, value in parameters.items():
        yield f"{name}={_as_override(value)}"


def _as_override(value: Any) -> str:
    if isinstance(value, list):
        return f"[{','.join(map(_as_override, value))}]"
    if isinstance(value, dict):
        inside = (f"{key}:{_as_override(part)}" for key, part in value.items())
        return f"{{{','.join(inside)}}}"
    if not isinstance(value, str) or _PLAIN_OVERRIDE.fullmatch(value):
        return as_text(value)
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
