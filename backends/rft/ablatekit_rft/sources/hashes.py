"""What a name of a file or a model stands for, as a hash of its content. Imports no torch."""

from __future__ import annotations

from pathlib import Path

from ablatekit.canonical import bytes_hash, content_hash
from ablatekit.errors import Problem, UsageError, nearest
from ablatekit_rft.basemodels import smollm2
from ablatekit_rft.basemodels.catalogue import FAMILIES, model_info
from ablatekit_rft.sources.checkpoints import (
    check_cache_type,
    check_directory,
    configuration_of,
    stored_parameters,
)
from ablatekit_rft.sources.hub import parse_hub_name, pinned

_SMALL_MODEL_MEMORY = 1.0
_HUB_MODEL_MEMORY = 8.0
_BYTES_PER_PARAMETER = 16


def model_content(model: str) -> str:
    """Content hash of a shipped model or of a directory's files; a hub model's name and commit.

    Raises UsageError when `model` is none of them, or a hub model whose commit is not known here.
    """
    if model in FAMILIES:
        return model_info(model).content
    if model == smollm2.NAME:
        return smollm2.CONTENT
    if Path(model).is_dir():
        return _directory_content(Path(model))
    named = parse_hub_name(model)
    if named is not None:
        return pinned(named).content
    raise UsageError(
        Problem(
            "no such model: not shipped, not a directory, not a hub name owner/name[@revision]",
            repr(model),
            nearest(model, (*FAMILIES, smollm2.NAME)),
        )
    )


def training_memory(model: str) -> float:
    """GiB that training a model takes at most: float32 weights, gradients and Adam's moments.

    16 bytes per parameter beside a constant; a hub model, unknown before it is downloaded, counts
    as a small one.
    """
    if model in FAMILIES:
        return _SMALL_MODEL_MEMORY
    if model == smollm2.NAME:
        return smollm2.MEMORY
    if not Path(model).is_dir():
        return _HUB_MODEL_MEMORY
    return _SMALL_MODEL_MEMORY + _BYTES_PER_PARAMETER * stored_parameters(Path(model)) / 2**30


def _directory_content(directory: Path) -> str:
    check_directory(directory)
    paths = sorted(path for path in directory.iterdir() if _is_content(path))
    return content_hash({path.name: bytes_hash(path) for path in paths})


def check_cache(model: str) -> None:
    """Raise UsageError for a directory of a type that is known to keep no keys and values."""
    if Path(model).is_dir():
        check_cache_type(configuration_of(Path(model)), model)


def _is_content(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".") and path.suffix != ".md"
