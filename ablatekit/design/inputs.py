"""Inputs that a study names (data, code, folders) resolve against the study file (DESIGN 3.3).

A backend declares a setting that may name one with `json_schema_extra={"input": True}`. The plan
keeps what the study says; only what a backend is asked, and what a run is told, has the place.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ablatekit.study.settings import SettingField


def with_inputs_at(
    folder: Path, settings: Mapping[str, Any], fields: Mapping[str, SettingField]
) -> dict[str, Any]:
    """Settings in which relative inputs that lie in `folder` are absolute paths.

    What does not lie there stays as written: a registered name, or a path from the working
    directory. `file.py:name` is the file with what it names.
    """
    return {
        name: _placed(folder, value) if name in fields and fields[name].input else value
        for name, value in settings.items()
    }


def _placed(folder: Path, value: Any) -> Any:
    if isinstance(value, list):
        return [_placed(folder, part) for part in value]
    if not isinstance(value, str) or not _is_path(value):
        return value
    file, colon, attribute = value.rpartition(":") if ".py:" in value else (value, "", "")
    place = folder / file
    return f"{place.resolve()}{colon}{attribute}" if _is_there(place) else value


def _is_there(place: Path) -> bool:
    try:
        return place.exists()
    except OSError:  # no file is called so, for its length
        return False


def _is_path(text: str) -> bool:
    """Whether a text is spelled as a relative path: `.`, or with a slash or a suffix."""
    return bool(text) and not Path(text).is_absolute() and ("." in text or "/" in text)
