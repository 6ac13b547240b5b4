"""Doses against R (contr.poly and emmeans), and by hand on a straight line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ablatekit.analysis.cells.dose import dose
from ablatekit.analysis.cells.effects import fit
from ablatekit.analysis.core.layout import layout
from ablatekit.analysis.stats.verdict import rule_for
from ablatekit.analysis.table import plan_from_table
from ablatekit.analysis.tables.responses import respond

FOLDER = Path(__file__).parents[2] / "reference" / "answer_table"
REFERENCE = json.loads((FOLDER / "simultaneous.json").read_text())["dose"]
PER_SCORE = {"log": np.log(2.0), "linear": 1.0, "order": 1.0}
"""R's log scores are natural logarithms; a slope here is the change per doubling."""


@pytest.fixture
def trends(response):
    """The section `dose` of a table; `scales` states the scales of factors."""

    def build(frame, factors, contexts=(), *, scales=None, order=2):
        planned = response("y", smallest_effect=0.01)
        plan, tables = plan_from_table(frame, [planned], factors, contexts, {})
        stated = tuple(replace(f, scale=(scales or {}).get(f.name)) for f in plan.factors)
        design = layout(replace(plan, factors=stated))
        values = respond(planned, tables, design, "score").values  # noqa: PD011
        rule = rule_for("higher", 0.05, "holm", 0.01)
        return dose(fit(values, design, order), "y", rule, ("narrow", "broad"))

    return build


@pytest.mark.parametrize("scale", ["log", "linear", "order"])
def test_trend_and_slopes_agree_with_r(trends, scale):
    expected = REFERENCE[scale]
    frame = pd.read_csv(FOLDER / "data" / "dose.csv")
    section = trends(frame, ["rollouts", "B"], ["model"], scales={"rollouts": scale})
    (test,) = section["tests"]
    assert (test["factor"], test["scale"]) == ("rollouts", scale)
    assert (test["num_df"], test["den_df"]) == (2, expected["f"]["den_df"])
    assert test["statistic"] == pytest.approx(expected["f"]["statistic"], rel=1e-9)
    assert test["p"] == test["p_adjusted"] == pytest.approx(expected["f"]["p"], rel=1e-9)
    narrow, broad = section["slopes"]
    for row, reference in ((narrow, expected["slope"]), (broad, expected["slope_over_models"])):
        assert row["estimate"] == pytest.approx(reference["estimate"] * PER_SCORE[scale], rel=1e-9)
        assert row["se"] == pytest.approx(reference["se"] * PER_SCORE[scale], rel=1e-9)
        assert row["df"] == reference["df"]
        assert row["p"] == row["p_adjusted"] == pytest.approx(reference["p"], rel=1e-9)
        assert row["verdict"] == "inconclusive"
    assert (narrow["scope"], broad["scope"]) == ([], ["model"])
    assert (broad["contexts"], broad["of_contexts"]) == (3, 3)


def straight(levels, others=("b0", "b1"), slope=0.5, runs=2):
    """A response that rises by `slope` per doubling, and by 3 from b0 to b1."""
    noise = np.linspace(-0.1, 0.1, runs)
    return pd.DataFrame(
        {"dose": str(level), "B": other, "y": slope * np.log2(level) + 3.0 * place + offset}
        for level in levels
        for place, other in enumerate(others)
        for offset in noise
    )


def test_a_straight_line_has_its_slope_and_no_curve(trends):
    section = trends(straight([8, 1, 64]), ["dose", "B"])
    (test,), (row, none) = section["tests"], section["slopes"]
    assert test["scores"] == [3.0, 0.0, 6.0]
    linear = 18.0 * 0.5**2 / (0.02 / 2 / 2)  # two runs at each of two levels of B
    assert test["statistic"] == pytest.approx(linear / 2.0)
    assert row["estimate"] == pytest.approx(0.5)
    assert row["se"] == pytest.approx((0.02 / 2 / 2 / 18.0) ** 0.5)
    assert row["verdict"] == "helps"
    assert none["reason"]["code"] == "no_blocking_variable"


def test_two_levels_have_a_line_only(trends):
    section = trends(straight([1, 4]), ["dose", "B"])
    assert section["tests"][0]["num_df"] == 1
    assert section["slopes"][0]["estimate"] == pytest.approx(0.5)
    assert section["tests"][0]["p"] == pytest.approx(section["slopes"][0]["p"])


def test_only_combinations_with_every_level_count(trends):
    frame = straight([1, 2, 8])
    without = frame[~((frame["dose"] == "8") & (frame["B"] == "b1"))]
    assert trends(without, ["dose", "B"])["slopes"][0]["estimate"] == pytest.approx(0.5)
    apart = without[~((without["dose"] == "2") & (without["B"] == "b0"))]
    section = trends(apart, ["dose", "B"])
    assert section["tests"][0]["reason"]["code"] == "no_full_order"
    assert section["slopes"][0]["reason"]["code"] == "no_full_order"


def test_a_model_without_interactions_serves_one_replicate(trends):
    section = trends(straight([1, 2, 4, 16], runs=1), ["dose", "B"], order=1)
    assert section["slopes"][0]["estimate"] == pytest.approx(0.5)


def test_a_model_without_interactions_serves_a_fraction(trends):
    """No level of B has all doses; doses 2 and 4 join the two halves."""
    frame = straight([1, 2, 4, 16], runs=1).query(
        "(dose != '16' or B == 'b0') and (dose != '1' or B == 'b1')"
    )
    section = trends(frame, ["dose", "B"], order=1)
    assert section["slopes"][0]["estimate"] == pytest.approx(0.5)
    assert section["tests"][0]["num_df"] == 2


def test_without_an_order_there_is_no_dose(trends):
    frame = straight([1, 2]).assign(dose=lambda table: "d" + table["dose"])
    assert trends(frame, ["dose", "B"]) is None


def test_levels_that_spell_the_same_number_have_no_order(trends):
    frame = straight([1, 2]).assign(dose=lambda table: table["dose"].map({"1": "1", "2": "1.0"}))
    assert trends(frame, ["dose", "B"]) is None
