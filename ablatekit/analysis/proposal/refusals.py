"""What cannot be stated of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from ablatekit.analysis.proposal.base import Stated
from ablatekit.errors import Problem, TableError, UsageError, nearest


def refuse_unknown(frame: pd.DataFrame, stated: Stated) -> None:
    """Raises TableError for what is stated of columns that are not there, or used and excluded."""
    columns = [str(name) for name in frame.columns]
    named = (*stated.responses, *stated.factors, *stated.contexts, *stated.exclude, *stated.where)
    unknown = [name for name in named if name not in columns]
    if unknown:
        rule = "a column is missing from the table"
        raise TableError(*(Problem(rule, repr(name), nearest(name, columns)) for name in unknown))
    twice = [name for name in stated.exclude if name in (*stated.responses, *stated.factors)]
    if twice:
        raise TableError(*(Problem("--exclude names a column in use", name) for name in twice))


def refuse_baselines(baselines: Mapping[str, str], factors: Sequence[str]) -> None:
    """Raises UsageError for baselines of what is no factor."""
    unknown = [name for name in baselines if name not in factors]
    if unknown:
        problems = (Problem("not one of --factors", n, nearest(n, factors)) for n in unknown)
        raise UsageError(*problems)
