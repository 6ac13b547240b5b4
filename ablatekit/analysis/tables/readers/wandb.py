"""Weights & Biases: offline folders and downloaded runs by path, or `wandb:ENTITY/PROJECT`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import ClassVar

import pandas as pd

from ablatekit.analysis.tables.readers.logged_runs import RunsReader, frame_of
from ablatekit.logs.base import LoggedRun


class WandbReader(RunsReader):
    """One row per run."""

    name: ClassVar[str] = "wandb"
    suffixes: ClassVar[tuple[str, ...]] = (".wandb",)
    scheme: ClassVar[str] = "wandb"

    def logged_named(self, name: str) -> Sequence[LoggedRun]:
        """The runs of a project of an account."""
        from ablatekit.logs.wandb import project_runs

        return project_runs(name)

    def read_named(
        self, name: str, labels: Collection[str] = (), columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """One row per run of a project of an account."""
        source = f"{self.scheme}:{name}"
        return frame_of(self.logged_named(name), source, labels, columns)
