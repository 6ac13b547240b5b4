"""Scalars of the YAML 1.2 core schema: from text to value and back."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import TypeAlias

ScalarValue: TypeAlias = bool | int | float | str | None

_INTEGER = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
PLAIN_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-/+]*")
"""Text that may stand in a flow collection without quotes."""
_CONSTANTS: Mapping[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


def resolve_scalar(text: str) -> ScalarValue:
    """A plain scalar by the YAML 1.2 core schema (section 10.3 of the specification).

    Raises ValueError for infinities, NaN and numbers too large to be represented.
    """
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _OCTAL.fullmatch(text):
        return int(text[2:], 8)
    if _HEXADECIMAL.fullmatch(text):
        return int(text[2:], 16)
    if _NOT_FINITE.fullmatch(text):
        raise ValueError(f"{text} is not a finite number")
    if _FLOAT.fullmatch(text):
        return _finite(text)
    return text


def scalar_number(text: str) -> float | int | None:
    """The number that `text` spells; None where it spells anything else."""
    value = _resolved(text)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def scalar_text(value: ScalarValue) -> str:
    """A scalar as one would write it in a flow collection of a study file."""
    if isinstance(value, str):
        is_plain = PLAIN_WORD.fullmatch(value) and isinstance(_resolved(value), str)
        return value if is_plain else json.dumps(value, ensure_ascii=False)
    if isinstance(value, float):
        return repr(value).replace("e-0", "e-").replace("e+", "e")
    return json.dumps(value)


def _resolved(text: str) -> ScalarValue:
    try:
        return resolve_scalar(text)
    except ValueError:
        return None


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text} is not a finite number")
    return value
