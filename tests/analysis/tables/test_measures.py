"""Units follow values, never names; directions are guessed unless they are given."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablatekit.analysis.tables.measures import (
    Measure,
    guessed,
    measured_name,
    planned_response,
    unit_of,
)
from ablatekit.analysis.tables.responses import shown_unit
from ablatekit.errors import TableError

SHARES = np.array([0.2, 0.9, np.nan])
PERCENTAGES = np.array([20.0, 90.0, np.nan])


@pytest.mark.parametrize("name", ["accuracy", "test/pass@1", "y", "error"])
def test_values_decide_the_unit_whatever_the_name(name):
    assert unit_of(SHARES, name) == "fraction"
    assert unit_of(PERCENTAGES, name) == ""


@given(st.lists(st.floats(1.0001, 1e6), min_size=1), st.sampled_from(["accuracy", "y", "rate"]))
def test_nothing_above_1_is_a_fraction(values, name):
    assert unit_of(np.array([0.5, *values]), name) == ""


@pytest.mark.parametrize(
    ("values", "name"),
    [
        (SHARES, "val_loss"),  # has no bound at 1
        (SHARES, "mean_kl"),
        (np.array([1e-9, 2e-9]), "y"),
        (np.array([np.nan]), "accuracy"),
        (np.array([-0.1, 0.5]), "accuracy"),
    ],
)
def test_what_may_be_another_quantity_is_shown_as_it_is(values, name):
    assert unit_of(values, name) == ""


@pytest.mark.parametrize(
    ("chosen", "unit"), [("percent", "percent"), ("nats", "nats"), ("none", ""), ("", "")]
)
def test_a_chosen_unit_wins(chosen, unit):
    assert unit_of(PERCENTAGES, "y", chosen) == unit


@pytest.mark.parametrize("unit", ["fraction", "accuracy", "Rate"])
def test_a_unit_of_fractions_is_refused_for_other_values(unit):
    with pytest.raises(TableError, match=r"lie between 0 and 1; received y with 20 in row 1"):
        unit_of(PERCENTAGES, "y", unit)


def test_a_guess_is_told_and_a_choice_is_none():
    frame = pd.DataFrame({"loss": [1.5, 2.5], "acc": [0.5, 0.6]})
    measures = [Measure(column="loss"), Measure(column="acc", direction="lower")]
    assert [planned_response(frame, m).direction for m in measures] == ["lower", "lower"]
    told = guessed(measures)
    assert list(told) == ["loss"]
    assert told["loss"][0]["arguments"] == {"direction": "lower", "word": "loss"}


@pytest.mark.parametrize(
    ("left", "name"),
    [
        ("loss", "loss"),
        ("`val loss`", "val loss"),
        ("log(loss)", "loss"),
        ("np.log(err)", "err"),
        ("cbind(hits, failures)", "hits"),
        ("I(1 - error)", ""),
        ("1/loss", ""),
    ],
)
def test_of_a_formula_the_column_counts_unless_it_is_turned_round(left, name):
    assert measured_name(left) == name


@pytest.mark.parametrize(
    ("unit", "values", "shown"),
    [
        ("accuracy", [0.5, 0.6], "fraction"),
        ("accuracy", [50.0, 60.0], ""),
        ("", [0.5, 0.6], "fraction"),
        ("nats", [0.5, 0.6], "nats"),
    ],
)
def test_a_study_shows_no_value_above_1_in_points(response, unit, values, shown):
    assert shown_unit(response("y", unit=unit), np.array(values)) == shown
