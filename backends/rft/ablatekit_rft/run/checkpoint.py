"""Checkpoints: a directory that appears whole, and holds all that a run needs to go on.

Random numbers need no state here (see `queries`): weights, the optimizer's moments, what levels
remember (see `memory`) and a few numbers are everything.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from ablatekit.canonical import file_hash, read_json, sync_directory, write_atomically, write_json
from ablatekit.errors import DamagedFileError

TENSORS, STATE = "tensors.safetensors", "state.json"
PREFIX, UNFINISHED = "round-", ".unfinished-"
LARGEST_SHARE = 0.02
"""Checkpoints are spaced so that writing them takes about this share of a run's time."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a checkpoint holds: tensors by name, and JSON."""

    tensors: Mapping[str, Tensor]
    state: Mapping[str, Any]


def save_checkpoint(directory: Path, round_index: int, snapshot: Snapshot) -> None:
    """Write the checkpoint of a round, then remove the older ones.

    Files are durable before the directory gets its name; a name that exists is therefore whole.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for leftover in directory.glob(f"{UNFINISHED}*"):
        shutil.rmtree(leftover)
    final = directory / f"{PREFIX}{round_index:08d}"
    if final.exists():
        shutil.rmtree(final)
    unfinished = directory / f"{UNFINISHED}{round_index:08d}"
    unfinished.mkdir()
    write_atomically(unfinished / TENSORS, save(_apart(snapshot.tensors)))
    digest = file_hash(unfinished / TENSORS)
    write_json(unfinished / STATE, {"tensors": digest, "state": dict(snapshot.state)})
    unfinished.rename(final)
    sync_directory(directory)
    for older in _checkpoints(directory):
        if older != final:
            shutil.rmtree(older)


def _apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors on the CPU; those that share memory are copied, because the format refuses them.

    Log-probabilities of one pass may serve as the policy's and as those of the old policy.
    """
    apart: dict[str, Tensor] = {}
    places: set[int] = set()
    for name, tensor in tensors.items():
        value = tensor.detach().cpu().contiguous()
        place = value.untyped_storage().data_ptr()
        apart[name] = value.clone() if place in places else value
        places.add(place)
    return apart


def load_checkpoint(directory: Path) -> Snapshot | None:
    """The latest checkpoint that is whole, or None."""
    for candidate in reversed(_checkpoints(directory)):
        snapshot = _read(candidate)
        if snapshot is not None:
            return snapshot
    return None


def _checkpoints(directory: Path) -> list[Path]:
    return sorted(directory.glob(f"{PREFIX}*"))


def _read(path: Path) -> Snapshot | None:
    try:
        content = read_json(path / STATE)
        if file_hash(path / TENSORS) != content["tensors"]:
            return None
        return Snapshot(load_file(path / TENSORS), content["state"])
    except (OSError, ValueError, KeyError, DamagedFileError, SafetensorError):
        return None


class CheckpointClock:
    """Says when the next checkpoint is due, from what the last one took."""

    def __init__(self) -> None:
        self._written_at = time.monotonic()
        self._cost = 0.0

    def is_due(self) -> bool:
        """Whether the run has earned another checkpoint."""
        elapsed = time.monotonic() - self._written_at
        return elapsed * LARGEST_SHARE >= self._cost

    def wrote(self, seconds: float) -> None:
        """Remember what a checkpoint took."""
        self._cost, self._written_at = seconds, time.monotonic()
