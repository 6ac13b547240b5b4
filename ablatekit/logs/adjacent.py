"""The configuration of a run that lies beside its log: in files, or in the names of folders."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from ablatekit.logs.values import flatten, plain_value

CONFIGURATIONS = (
    ".hydra/config.yaml", "config.yaml", "config.yml", "config.json", "params.json",
    "run_config.yaml", "run_config.json", "training_args.json", "args.json", "args.yaml",
    "hparams.yaml", "hparams.json", "settings.json", "settings.yaml",
)  # fmt: skip
"""Names under which programs keep what a run was given; the first that is there counts."""
OF_MODEL = frozenset({"architectures", "model_type", "transformers_version"})
"""Keys of a model's own config.json, which is no configuration of a run."""
_PAIR = re.compile(r"([A-Za-z][\w.]*?)=([^=,;]+?)(?=$|[,;]|[_-]+[A-Za-z][\w.]*=)")
_NUMBERED = re.compile(r"([A-Za-z]+)[_-]?(\d+(?:\.\d+)?(?:e[+-]?\d+)?)", re.IGNORECASE)
_PARTS = re.compile(r"__|[,;]|(?<!\d[eE])[-_]")


def configuration_beside(folder: Path) -> dict[str, Any]:
    """The single values in a run's configuration file by dotted name; empty without one.

    A file that cannot be read, or is no mapping, says nothing.
    """
    for name in CONFIGURATIONS:
        path = folder / name
        if path.is_file() and (content := mapping_in(text_of(path), path.suffix)):
            return flatten(content)
    return {}


def text_of(path: Path) -> str:
    """The text of a file; empty where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def mapping_in(text: str, suffix: str) -> Mapping[str, Any]:
    """The names with values in a JSON or YAML text; empty for any other text."""
    try:
        content = json.loads(text) if suffix == ".json" else yaml.safe_load(text)
    except (ValueError, RecursionError, yaml.YAMLError):
        return {}
    if not isinstance(content, dict) or OF_MODEL & content.keys():
        return {}
    return {str(key): value for key, value in content.items()}


def configuration_in_names(names: Sequence[str]) -> list[dict[str, Any]]:
    """What the runs' own paths say of them: `lr=0.1,seed=0`, `lr0.1_seed0`, or their parts.

    Words with a number count where they stand in every name; parts without either are `folder_1`,
    `folder_2` where all names have as many, and where they differ.
    """
    pairs = [_pairs(name) for name in names]
    if all(pairs):
        return pairs
    parts = [_parts(name) for name in names]
    if len({len(words) for words in parts}) > 1:
        return pairs
    columns = [dict(zip(_titles(parts), words, strict=True)) for words in parts] if parts else []
    return [{title: _value(title, word) for title, word in row.items() if title} for row in columns]


def _pairs(name: str) -> dict[str, Any]:
    found = (match for part in name.split("/") for match in _PAIR.finditer(part))
    return {match.group(1): plain_value(match.group(2).strip()) for match in found}


def _parts(name: str) -> list[str]:
    return [word for part in name.split("/") for word in _PARTS.split(part) if word]


def _titles(parts: Sequence[Sequence[str]]) -> list[str]:
    """A name for every position that differs; empty for the others."""
    titles: list[str] = []
    for place, words in enumerate(zip(*parts, strict=True), 1):
        stems = {match.group(1) if (match := _NUMBERED.fullmatch(w)) else "" for w in words}
        stem = stems.pop() if len(stems) == 1 else ""
        title = stem if stem and stem not in titles else f"folder_{place}"
        titles.append(title if len(set(words)) > 1 else "")
    return titles


def _value(title: str, word: str) -> Any:
    match = _NUMBERED.fullmatch(word)
    return plain_value(match.group(2) if match and match.group(1) == title else word)
