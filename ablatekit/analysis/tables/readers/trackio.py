"""Trackio projects: a database by its path, or `trackio:PROJECT` in $TRACKIO_DIR."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import ClassVar

import pandas as pd

from ablatekit.analysis.tables.readers.logged_runs import RunsReader
from ablatekit.logs.base import LoggedRun


class TrackioReader(RunsReader):
    """One row per run of a project."""

    name: ClassVar[str] = "trackio"
    suffixes: ClassVar[tuple[str, ...]] = (".db",)
    scheme: ClassVar[str] = "trackio"

    def logged_named(self, name: str) -> Sequence[LoggedRun]:
        """The runs of a project by its name."""
        from ablatekit.logs.trackio import project_database

        return self.logged(project_database(name))

    def read_named(
        self, name: str, labels: Collection[str] = (), columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """One row per run of a project by its name."""
        from ablatekit.logs.trackio import project_database

        return self.read(project_database(name), labels, columns)
