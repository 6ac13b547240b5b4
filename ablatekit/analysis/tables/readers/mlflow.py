"""MLflow experiments: a tracking database or `mlruns` by its path, or `mlflow:EXPERIMENT`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import ClassVar

import pandas as pd

from ablatekit.analysis.tables.readers.logged_runs import RunsReader, frame_of
from ablatekit.logs.base import LoggedRun


class MlflowReader(RunsReader):
    """One row per run of an experiment; params that all are numbers are numbers."""

    name: ClassVar[str] = "mlflow"
    suffixes: ClassVar[tuple[str, ...]] = (".db", ".sqlite")
    scheme: ClassVar[str] = "mlflow"

    def logged_named(self, name: str) -> Sequence[LoggedRun]:
        """The runs of an experiment by its name."""
        from ablatekit.logs.mlflow import experiment_runs

        return experiment_runs(name)

    def read_named(
        self, name: str, labels: Collection[str] = (), columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """One row per run of an experiment by its name."""
        source = f"{self.scheme}:{name}"
        return frame_of(self.logged_named(name), source, labels, columns)
