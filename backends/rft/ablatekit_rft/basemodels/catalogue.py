"""The shipped base models by name: where they lie and what they contain. Imports no torch."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from ablatekit.errors import Problem, UsageError, nearest

FAMILIES: Mapping[str, str] = {
    "tiny-llama": "llama",
    "tiny-qwen3": "qwen3",
    "tiny-neox": "gpt_neox",
}
"""Name of each shipped model and its transformers model type."""

FILES = ("config.json", "model.safetensors")
RECORD_FILE = "record.json"


class UnknownBaseModelError(UsageError):
    """No shipped base model has the name that was asked for."""

    def __init__(self, name: str) -> None:
        super().__init__(Problem("no such base model", repr(name), nearest(name, FAMILIES)))


@dataclass(frozen=True, slots=True)
class BaseModelInfo:
    """A shipped base model. `content`: SHA-256 over its files as they now lie in `path`."""

    name: str
    family: str
    path: Path
    content: str


def catalogue() -> Mapping[str, BaseModelInfo]:
    """Every shipped base model by name."""
    return {name: model_info(name) for name in FAMILIES}


@functools.cache  # a plan asks for every run, and the files of an installed package stay
def model_info(name: str) -> BaseModelInfo:
    """One shipped base model; `UnknownBaseModelError` lists the known names."""
    if name not in FAMILIES:
        raise UnknownBaseModelError(name)
    path = data_folder() / name
    return BaseModelInfo(name, FAMILIES[name], path, content_of(path))


def data_folder() -> Path:
    """The folder of the package that holds one folder per model."""
    return Path(str(resources.files("ablatekit_rft.basemodels") / "data"))


def content_of(folder: Path, files: Iterable[str] = FILES) -> str:
    """SHA-256 (hexadecimal) over the names and bytes of a model's files."""
    digest = hashlib.sha256()
    for name in files:
        data = (folder / name).read_bytes()
        digest.update(f"{name}\0{len(data)}\0".encode())
        digest.update(data)
    return digest.hexdigest()


def record() -> Mapping[str, Any]:
    """What the recipe wrote down when it made the stored files: hashes, steps, Pass@1, versions."""
    content: dict[str, Any] = json.loads((data_folder() / RECORD_FILE).read_text("utf-8"))
    return content
