"""Levels that are shown on their own are shown over what they share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from ablatekit.analysis.companions.matched import matched_levels
from ablatekit.analysis.core.layout import layout
from ablatekit.analysis.study import analyse
from ablatekit.analysis.tables.responses import positions

CONTEXTS = ("model", "dataset")


def _matched(plan_and_tables: Any, factor: int) -> Any:
    plan, tables = plan_and_tables
    design = layout(plan)
    present = np.zeros((len(design.units), len(design.contexts)), dtype=bool)
    unit, context = (positions(tables.runs[name], getattr(design, f"{name}s"))
                     for name in ("unit", "context"))  # fmt: skip
    present[unit, context] = True
    return matched_levels(design, present)[factor]


def test_a_complete_design_is_shown_whole(factorial: Any, study: Any) -> None:
    matched = _matched(study(factorial((3, 2)), "AB", CONTEXTS), 0)
    assert (matched.levels, matched.whole, bool(matched.units.all())) == ((0, 1, 2), True, True)


def test_a_cell_that_one_context_lost_leaves_that_combination_there(
    factorial: Any, study: Any
) -> None:
    frame = factorial((3, 2), models=2, datasets=1)
    lost = (frame["A"] == "l2") & (frame["B"] == "l1") & (frame["model"] == "m0")
    plan_and_tables = study(frame[~lost], "AB", CONTEXTS)
    matched = _matched(plan_and_tables, 0)
    assert (matched.levels, matched.whole) == ((0, 1, 2), False)
    assert matched.units.sum(axis=0).tolist() == [3, 6]


@pytest.fixture
def confounded(study: Any) -> Any:
    """Level b meets the baseline where the other factor is low, level c where it is high."""
    rng = np.random.default_rng(3)
    cells = [("a", "low"), ("b", "low"), ("a", "high"), ("c", "high"), ("d", "mid")]
    rows = [
        {"A": a, "B": b, "model": model, "y": 10.0 * (b == "high") + rng.normal()}
        for a, b in cells
        for model in ("m0", "m1")
        for _ in range(3)
    ]
    return study(pd.DataFrame(rows), "AB", ("model",))


def test_levels_that_share_no_combination_are_withheld(confounded: Any, pick: Any) -> None:
    assert _matched(confounded, 0).levels == ()
    response = analyse(*confounded, {}, [])["responses"]["y"]
    row = pick(response["robust"]["iqm"], factor="A", level="c")
    assert (row["iqm"], row["n"], row["reason"]["code"]) == (None, 0, "unmatched_level")
    assert not [row for row in response["robust"]["profiles"] if row["factor"] == "A"]
    told = [part["arguments"] for part in response["footers"]["robust"]]
    assert {"factors": ["A"]} in told
    effect = pick(response["effects"], factor="A", level="c", estimand="average",
                  inference="narrow")  # fmt: skip
    assert abs(effect["estimate"]) < 2.5


def test_a_level_without_a_pair_does_not_take_the_others_along(study: Any, pick: Any) -> None:
    rows = [
        {"A": a, "B": b, "y": float(a == "b") + 0.1 * r}
        for a, b in (("a", "x"), ("b", "x"), ("a", "y"), ("b", "y"), ("c", "z"))
        for r in range(2)
    ]
    plan_and_tables = study(pd.DataFrame(rows), "AB")
    matched = _matched(plan_and_tables, 0)
    assert (matched.levels, matched.whole) == ((0, 1), False)
    iqm = analyse(*plan_and_tables, {}, [])["responses"]["y"]["robust"]["iqm"]
    assert pick(iqm, factor="A", level="b")["iqm"] == pytest.approx(1.05)
    assert pick(iqm, factor="A", level="c")["iqm"] is None
