"""The CSV that the table of runs in the interface of Weights & Biases exports."""

from __future__ import annotations

import pandas as pd

from ablatekit.analysis.tables.readers.base import ROLES, Role
from ablatekit.analysis.tables.readers.columns import role_of_setting
from ablatekit.analysis.tables.words import STATUS

ALWAYS = frozenset({"Name", "State", "Created"})
KEPT_BY_WANDB = "_"
"""Begins names of what W&B logs by itself: _step, _runtime, _timestamp, _wandb."""
ABOUT = frozenset(
    {"ID", "State", "Notes", "User", "Tags", "Created", "Updated", "End Time", "Runtime", "Sweep",
     "Group", "Job Type", "JobType", "Hostname", "Host", "Commit", "GitHub", "Command", "Report",
     "Python version", "OS", "Path"}
)  # fmt: skip
"""Columns that say where, when and by whom."""


def is_export(frame: pd.DataFrame) -> bool:
    """Whether columns are those of an export of runs."""
    names = set(map(str, frame.columns))
    by_wandb = any(name == "Runtime" or name.startswith(KEPT_BY_WANDB) for name in names)
    return by_wandb and names >= ALWAYS


def with_meaning(frame: pd.DataFrame) -> pd.DataFrame:
    """An export with `status` and `started` beside its columns, and the roles that are known.

    Settings and metrics are not told apart in it: they have no role, except seeds.
    """
    created = pd.to_datetime(
        frame["Created"].astype("str"), utc=True, format="ISO8601", errors="coerce"
    )
    seconds = (created - pd.Timestamp(0, tz="UTC")).dt.total_seconds()
    added = {STATUS: frame["State"], "started": seconds}
    whole = frame.assign(**{n: column for n, column in added.items() if n not in frame})
    roles = {name: _role(name) for name in map(str, frame.columns)}
    known: dict[str, Role] = {name: role for name, role in roles.items() if role is not None}
    whole.attrs[ROLES] = {**known, "started": "started"}
    return whole


def _role(name: str) -> Role | None:
    if name == "Name":
        return "name"
    if name in ABOUT or name.startswith(KEPT_BY_WANDB):
        return "about"
    return "seed" if role_of_setting(name) == "seed" else None
