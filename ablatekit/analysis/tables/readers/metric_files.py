"""Folders of metrics as JSON lines, one file a run, such as verl's file logger writes them."""

from __future__ import annotations

from typing import ClassVar

from ablatekit.analysis.tables.readers.logged_runs import RunsReader


class MetricFilesReader(RunsReader):
    """One row per file."""

    name: ClassVar[str] = "metric_files"
    yields_to: ClassVar[frozenset[str]] = frozenset(
        {"inspect", "lm_eval", "mlflow", "trackio", "trainer_state", "wandb"}
    )
