"""Carry-over against R (Fieller), and what it is shown for."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ablatekit.analysis.cells.carry_over import carry_over
from ablatekit.analysis.core.layout import layout
from ablatekit.analysis.table import plan_from_table
from ablatekit.analysis.tables.responses import respond

FOLDER = Path(__file__).parents[2] / "reference" / "answer_table"
REFERENCE = json.loads((FOLDER / "simultaneous.json").read_text())["carry_over"]
SCOPES = {(): "narrow", ("model",): "over_models"}


@pytest.fixture
def ratios(response):
    def build(frame, factors, contexts=(), drop=()):
        planned = [response(name) for name in ("learning", "generalization")]
        plan, tables = plan_from_table(frame, planned, factors, contexts, {})
        design = layout(plan)
        learning, generalization = (
            respond(part, tables, design, "score").values  # noqa: PD011
            for part in planned
        )
        keep = [i for i in range(len(learning.run)) if i not in drop]
        kept = replace(
            learning,
            y=learning.y[keep],
            unit=learning.unit[keep],
            context=learning.context[keep],
            run=tuple(learning.run[i] for i in keep),
        )
        return carry_over(kept, generalization, design, 2, 0.05, ("narrow", "broad"))

    return build


def test_ratios_and_intervals_agree_with_r(ratios):
    frame = pd.read_csv(FOLDER / "data" / "carry_over.csv")
    rows = ratios(frame, ["A", "B"], ["model", "dataset"])
    by_scope = {(row["factor"], tuple(row["scope"])): row for row in rows}
    assert by_scope.keys() == {(f, s) for f in "AB" for s in ((), ("model",), ("dataset",))}
    for factor, scope in ((f, s) for f in "AB" for s in SCOPES):
        row, expected = by_scope[factor, scope], REFERENCE[factor][SCOPES[scope]]
        assert row["learning_p"] == pytest.approx(expected["p_denominator"], rel=1e-8)
        if expected["bounded"]:
            for key in ("ratio", "low", "high"):
                assert row[key] == pytest.approx(expected[key], rel=1e-8)
            assert (row["df"], row["reason"]) == (expected["df"], None)
        else:
            assert row["reason"]["code"] == "no_effect_on_learning"
            assert row["ratio"] is row["low"] is row["high"] is None
    assert by_scope["A", ("dataset",)]["reason"]["code"] == "too_few_levels"


def simulated(runs=4):
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {"A": level, "learning": 2.0 * on + e, "generalization": on + 0.8 * e + 0.1 * g}
        for on, level in enumerate(("off", "on"))
        for e, g in rng.normal(0.0, 0.3, (runs, 2))
    )


def test_runs_without_both_responses_take_no_part(ratios):
    frame = simulated()
    assert ratios(frame, ["A"], drop=[5]) == ratios(frame.drop(index=5), ["A"])


def test_what_both_share_narrows_the_ratio(ratios):
    """Errors that go together cancel: breaking the pairs widens the interval."""
    paired = ratios(simulated(), ["A"])[0]
    shuffled = simulated()
    shuffled["generalization"] = shuffled.groupby("A")["generalization"].transform(
        lambda part: part.to_numpy()[::-1]
    )
    apart = ratios(shuffled, ["A"])[0]
    assert paired["ratio"] == pytest.approx(apart["ratio"])
    assert paired["high"] - paired["low"] < apart["high"] - apart["low"]


def test_one_run_per_cell_says_why_there_is_no_ratio(ratios):
    (row,) = ratios(simulated(runs=1), ["A"])
    assert row["reason"]["code"] == "no_replicates"
    assert row["learning_p"] is None
