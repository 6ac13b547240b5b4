"""Folders of transformers and TRL: the last trainer_state.json of every run."""

from __future__ import annotations

from typing import ClassVar

from ablatekit.analysis.tables.readers.logged_runs import RunsReader


class TrainerStateReader(RunsReader):
    """One row per run; what it was given from files beside it or the names of its folders."""

    name: ClassVar[str] = "trainer_state"
