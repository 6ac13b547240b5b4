"""Text of others as it may be shown: nothing invisible acts, and no password is told."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

Json = TypeVar("Json")

_ACTING = (
    r"\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls other than the tabulator and the end of a line
    r"\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    r"\ud800-\udfff\U000e0000-\U000e007f"
)
_INVISIBLE = re.compile(f"[{_ACTING}]")
_URI = re.compile("://")
_IN_JSON = re.compile(rf"[{_ACTING}]|\\u00[01]|\\[bfr]|://")
"""What JSON contains where one of its strings is not to be shown as it is."""
_USER = re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)(?:[^\s:/@?#\"']*|[^\s:/@?#\"']*:[^\s\"']*)@")
_SECRET = re.compile(r"(?i)([?&;](?:password|passwd|pwd|token|secret|api_?key)=)[^&;\s\"'#]+")
MASK = "***"


def visible(text: str) -> str:
    """The text with control, bidirectional and other acting characters written out: \\u202e."""
    return _INVISIBLE.sub(_written_out, text)


def has_invisible(text: str) -> bool:
    """Whether a text has characters that are not seen but act."""
    return _INVISIBLE.search(text) is not None


def masked(text: str) -> str:
    """The text with the user information and the passwords of its URIs replaced by ***."""
    return _SECRET.sub(rf"\g<1>{MASK}", _USER.sub(rf"\g<1>{MASK}@", text))


def legible(text: str) -> str:
    """A text of others as it may be shown."""
    return visible(masked(text))


def legible_json(value: Json) -> Json:
    """A JSON value whose every string, keys too, is legible; the same object where all are."""
    return _rewritten(value, legible, _IN_JSON)


def masked_json(value: Json) -> Json:
    """A JSON value whose every string is masked; the same object where nothing is a URI."""
    return _rewritten(value, masked, _URI)


def _rewritten(value: Json, write: Callable[[str], str], occasion: re.Pattern[str]) -> Json:
    """Every string of a value written anew, where its JSON contains an occasion to."""
    if not occasion.search(json.dumps(value, ensure_ascii=False)):
        return value
    rewritten: Json = _each(value, write)
    return rewritten


def _each(value: Any, write: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return write(value)
    if isinstance(value, Mapping):
        return {_each(key, write): _each(part, write) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_each(part, write) for part in value]
    return value


def _written_out(match: re.Match[str]) -> str:
    point = ord(match[0])
    if point < 0x100:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"
