"""What columns stand for: numbers among words, endings of runs, levels of conditional factors."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablatekit.analysis.core.schema.vocabulary import statement
from ablatekit.analysis.tables.values import endings, with_levels, with_numbers
from ablatekit.errors import TableError


def test_words_for_missing_values_are_gaps_and_are_named_with_their_rows():
    frame = pd.DataFrame({"y": ["0.5", "n/a", "1e-3", "None", None]})
    read, messages = with_numbers(frame, ["y"])
    assert read["y"].fillna(-1).tolist() == [0.5, -1, 1e-3, -1, -1]
    assert messages == [statement("absent_words", column="y", words=["n/a", "None"], rows=[2, 4])]


@pytest.mark.parametrize("values", [["0.5", "1e-3"], [Decimal("0.5"), Decimal("0.001")]])
def test_numbers_in_other_clothes_are_numbers(values):
    read, messages = with_numbers(pd.DataFrame({"y": pd.Series(values, dtype=object)}), ["y"])
    assert read["y"].tolist() == [0.5, 0.001]
    assert messages == []


def test_a_column_with_other_words_stays_as_it_is():
    frame = pd.DataFrame({"y": ["0.5", "n/a", "high"], "x": [1, 2, 3]})
    read, messages = with_numbers(frame, ["y", "x"])
    assert read is frame
    assert messages == []


def test_endings_follow_the_words_and_else_the_values():
    frame = pd.DataFrame({"status": ["FINISHED", "oom", "NaN", "Running", None, None]})
    known = np.array([True, True, True, False, True, False])
    assert endings(frame, known, []).tolist() == [
        "finished", "failed", "diverged", "missing", "finished", "failed",
    ]  # fmt: skip


def test_a_status_with_another_role_says_nothing_about_endings():
    frame = pd.DataFrame({"status": ["married", "single"]})
    assert endings(frame, np.array([True, False]), ["status"]).tolist() == ["finished", "failed"]


def test_an_unknown_ending_is_refused_with_its_rows_and_the_known_ones():
    frame = pd.DataFrame({"status": ["ok", "single", "single", "married"]})
    with pytest.raises(TableError) as refused:
        endings(frame, np.ones(4, dtype=bool), [])
    told = str(refused.value)
    assert "received 'single' in row 2, 'married' in row 4" in told
    assert all(f"{word} (" in told for word in ("finished", "diverged", "failed", "missing"))


LOOPS = ["lcwa", "lcwa", "owa", "owa", "slcwa"]


def test_gaps_that_another_factor_decides_are_a_level():
    frame = pd.DataFrame({"loop": LOOPS, "sampler": [None, None, "basic", "bern", "basic"]})
    levels = with_levels(frame, ["loop", "sampler"])
    assert levels["sampler"].tolist() == ["", "", "basic", "bern", "basic"]


def test_a_condition_may_itself_be_conditional():
    frame = pd.DataFrame(
        {
            "kind": ["a", "a", "b", "b", "b", "b"],
            "way": [None, None, "x", "x", "y", "y"],
            "rate": [None, None, None, None, "1", "2"],
        }
    )
    levels = with_levels(frame, ["rate", "way", "kind"])
    assert levels["way"].tolist() == ["", "", "x", "x", "y", "y"]
    assert levels["rate"].tolist() == ["", "", "", "", "1", "2"]


@pytest.mark.parametrize(
    "sampler",
    [
        [None, "basic", "basic", "bern", "basic"],  # one of two rows of a level
        ["basic", "bern", "basic", "bern", None],  # the only row of a level
        [None] * 5,
    ],
)
def test_other_gaps_stay_gaps(sampler):
    frame = pd.DataFrame({"loop": LOOPS, "sampler": sampler})
    assert with_levels(frame, ["loop", "sampler"])["sampler"].isna().sum() == sampler.count(None)


def test_two_factors_with_the_same_gaps_do_not_excuse_each_other():
    frame = pd.DataFrame({"a": ["x", "x", None, None], "b": ["u", "v", None, None]})
    assert with_levels(frame, ["a", "b"]).isna().sum().tolist() == [2, 2]


@given(st.lists(st.sampled_from(["a", "b", "c"]), min_size=6, max_size=12), st.randoms())
def test_the_order_of_rows_decides_nothing(outer, random):
    inner = [None if level == "a" else "x" for level in outer]
    frame = pd.DataFrame({"outer": outer, "inner": inner})
    order = list(range(len(outer)))
    random.shuffle(order)
    straight, shuffled = (with_levels(f, ["outer", "inner"]) for f in (frame, frame.iloc[order]))
    assert straight.iloc[order].equals(shuffled)
