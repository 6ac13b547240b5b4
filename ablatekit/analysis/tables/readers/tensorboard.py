"""TensorBoard event folders, every folder a run; what it was given from its hparams."""

from __future__ import annotations

from typing import ClassVar

from ablatekit.analysis.tables.readers.logged_runs import RunsReader


class TensorboardReader(RunsReader):
    """One row per folder with event files."""

    name: ClassVar[str] = "tensorboard"
    yields_to: ClassVar[frozenset[str]] = frozenset({"mlflow", "trackio", "trainer_state", "wandb"})
