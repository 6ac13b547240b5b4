"""No table raises, whatever it holds, and every proposal fits its table."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ablatekit.analysis.proposal.base import Proposal
from ablatekit.analysis.proposal.propose import propose
from ablatekit.report.language.sentences import say

ODD = (
    None, math.nan, pd.NA, pd.NaT, True, 1, 1.0, "1", "1e-4", 1e-4, math.inf, -math.inf, 10**400,
    "", " ", "n/a", [1, 2], {"a": 1}, (), {1}, b"x", 1j, "x" * 300,
    datetime(2026, 1, 1, tzinfo=UTC),
    np.float32(2), np.int8(3), "2026-01-01",
)  # fmt: skip
NAMES = (
    "lr", "model", "seed", "status", "run", "item", "outcome", "acc", "loss", "filter", "step",
    "dataset", "a,b", " x", "", "lr", "Unnamed: 0", "time", "sample", "epoch", 3, None, ("a", 1),
)  # fmt: skip


@st.composite
def frames(draw):
    rows = draw(st.integers(0, 12))
    columns = draw(st.integers(0, 9))
    pools = st.lists(st.sampled_from(ODD), min_size=1, max_size=4)
    data = []
    for _ in range(columns):
        pool = draw(pools)
        picks = draw(st.lists(st.integers(0, len(pool) - 1), min_size=rows, max_size=rows))
        data.append(pd.Series([pool[pick] for pick in picks], dtype=object))
    frame = pd.concat(data, axis=1) if data else pd.DataFrame(index=range(rows))
    frame.columns = pd.Index([draw(st.sampled_from(NAMES)) for _ in range(columns)], dtype=object)
    return frame.infer_objects() if draw(st.booleans()) else frame


def check(frame: pd.DataFrame, proposal: Proposal) -> None:
    parts = (*proposal.factors, *proposal.contexts, *proposal.responses)
    assert len(set(parts)) == len(parts)
    assert set(parts) <= {str(name) for name in frame.columns}
    assert not set(parts) & {left.column for left in proposal.left_out if
                             left.reason["code"] != "column_repeated"}  # fmt: skip
    assert bool(proposal.lacking) == (
        not proposal.factors
        or not proposal.responses
        or any(told["code"] == "rows_per_step" for told in proposal.lacking)
    )
    for told in (*proposal.warnings, *proposal.lacking, *(x.reason for x in proposal.left_out)):
        assert say(told)


@settings(max_examples=150, deadline=None)
@given(frames())
def test_no_table_raises(frame):
    check(frame, propose(frame))


@pytest.mark.parametrize(
    "column",
    [
        pd.Series(["a", "b"] * 6, dtype="category"),
        pd.Series([1, None] * 6, dtype="Int64"),
        pd.Series([True, None] * 6, dtype="boolean"),
        pd.Series(["a", "b"] * 6, dtype="string"),
        pd.Series(pd.to_timedelta(range(12), unit="s")),
        pd.Series(pd.date_range("2026", periods=12, tz="UTC")),
        pd.Series(pd.period_range("2026", periods=12, freq="D")),
        pd.Series(pd.interval_range(0, 12)),
        pd.Series(np.arange(12) * 1j),
        pd.Series(pd.arrays.SparseArray([0, 1] * 6)),
    ],
    ids=lambda column: str(column.dtype),
)
@pytest.mark.parametrize("name", ["x", "acc", "model", "seed", "status"])
def test_no_kind_of_column_raises(column, name):
    frame = pd.DataFrame({"opt": list("aaabbb") * 2, "score": np.arange(12) / 13, name: column})
    check(frame, propose(frame))
