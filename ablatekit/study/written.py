"""A study as the text of its file: the inverse of reading one, for studies that programs make."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

from ablatekit.errors import Location, Problem, StudyError
from ablatekit.study.scalars import scalar_text

_SHOWN = 60


def study_text(content: Mapping[str, Any]) -> str:
    """YAML 1.2 with a line for every key and for every key below it; the rest inside braces.

    Numbers and arrays of numpy are numbers and lists, paths are text. Raises StudyError, located
    at its key, for a value that a study file cannot hold.
    """
    return "".join(f"{line}\n" for line in _lines(content))


def flow_text(value: Any, at: str) -> str:
    """A value as one writes it on the line of its key `at`."""
    return _flow(_plain(value, at))


def _lines(content: Mapping[str, Any]) -> Iterator[str]:
    for key, value in content.items():
        plain = _plain(value, str(key))
        if isinstance(plain, dict) and plain:
            yield f"{scalar_text(key)}:"
            yield from (f"  {scalar_text(name)}: {_flow(part)}" for name, part in plain.items())
        else:
            yield f"{scalar_text(key)}: {_flow(plain)}"


def _flow(value: Any) -> str:
    """A plain value on one line."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{scalar_text(k)}: {_flow(part)}' for k, part in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_flow, value))}]"
    return scalar_text(value)


def _plain(value: Any, at: str) -> Any:
    """A value as dicts, lists and scalars of Python's own types."""
    if isinstance(value, Mapping):
        odd = [key for key in value if not isinstance(key, str | bool | int | float)]
        if odd:
            raise _refusal(odd[0], at)
        return {key: _plain(part, f"{at}.{key}") for key, part in value.items()}
    if isinstance(value, PurePath):
        return str(value)
    if hasattr(value, "tolist"):  # arrays and scalars of numpy, columns of pandas
        return _plain(value.tolist(), at)
    if isinstance(value, list | tuple | range):
        return [_plain(part, f"{at}[{place}]") for place, part in enumerate(value)]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | str):  # members of enumerations as what they are
        return int(value) if isinstance(value, int) else str.__str__(value)
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    raise _refusal(value, at)


def _refusal(value: Any, at: str) -> StudyError:
    shown = repr(value)
    shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."
    remedy = "A study holds finite numbers, text, true, false, null, lists and mappings"
    rule = f"{type(value).__name__} has no place in a study"
    return StudyError(Problem(rule, shown, remedy, Location(at)))
