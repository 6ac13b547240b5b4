"""Where a run is, and the checkpoints of TRL that hold the rest of it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ablatekit_rft.metrics.budget import Costs
from ablatekit_rft.run.divergence import Collapse

from ablatekit.canonical import read_json, write_json
from ablatekit.errors import DamagedFileError

PREFIX = "checkpoint-"
STATE = "ablatekit.json"


@dataclass(frozen=True, slots=True)
class RunState:
    """Where a run is: what a checkpoint of TRL does not hold.

    `last` are the last valid metrics by name; `evaluated_at` is the round of the last evaluation.
    """

    costs: Costs
    collapse: Collapse
    evaluated_at: int
    last: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> RunState:
        parts = {"costs": Costs(**state["costs"]), "collapse": Collapse(**state["collapse"])}
        return cls(**{**state, **parts})


def write_state(checkpoint: Path, state: RunState) -> None:
    """Write a run's state into a checkpoint of TRL, as its last file: now it is whole."""
    write_json(checkpoint / STATE, state.to_json())


def latest_checkpoint(folder: Path) -> tuple[Path, RunState] | None:
    """The latest whole checkpoint in TRL's folder, or None; what is not whole is removed."""
    whole = {}
    for checkpoint in folder.glob(f"{PREFIX}*"):
        try:
            state = RunState.from_json(read_json(checkpoint / STATE))
        except (OSError, ValueError, KeyError, TypeError, DamagedFileError):
            shutil.rmtree(checkpoint, ignore_errors=True)
            continue
        whole[state.costs.rounds] = (checkpoint, state)
    return whole[max(whole)] if whole else None
