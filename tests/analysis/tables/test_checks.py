"""What is odd in a table: spellings of levels, repeated rows, factors that nobody named."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ablatekit.analysis.core.schema.vocabulary import statement
from ablatekit.analysis.tables.checks import odd_rows, refuse_columns, spelling_variants
from ablatekit.errors import TableError

ROWS = 48


@pytest.fixture
def crossed(factorial):
    """Two factors and six contexts, two replicates that nothing tells apart."""
    return factorial((2, 2))


def hidden(frame, column):
    told = odd_rows(frame, ["y"], ["A", "B", "model", "dataset"])
    return [row for row in told if row["arguments"].get("column") == column]


def test_spellings_of_one_level_are_told_together():
    levels = {"opt": ["adam", "adam ", "sgd", "Adam"], "rate": ["1", "1.0", "2"], "m": ["x", "y"]}
    assert spelling_variants(levels) == [
        statement("spelling_variants", column="opt", spellings=["adam", "adam ", "Adam"]),
        statement("spelling_variants", column="rate", spellings=["1", "1.0"]),
    ]


def test_a_plain_table_has_nothing_odd(crossed):
    assert odd_rows(crossed, ["y"], ["A", "B", "model", "dataset"]) == []


def test_rows_that_repeat_others_are_named(crossed):
    frame = pd.concat([crossed, crossed.iloc[[3, 7]]], ignore_index=True)
    told = odd_rows(frame, ["y"], ["A", "B", "model", "dataset"])
    assert told == [statement("repeated_rows", rows=[49, 50])]


def test_row_numbers_without_a_name_hide_no_copies(crossed):
    frame = pd.concat([crossed, crossed.iloc[[3]]], ignore_index=True)
    numbered = frame.assign(**{"Unnamed: 0": np.arange(len(frame))})
    told = odd_rows(numbered, ["y"], ["A", "B", "model", "dataset"])
    assert told == [statement("repeated_rows", rows=[49])]


def test_outcomes_of_few_values_repeat_by_chance(crossed):
    frame = crossed.assign(y=np.arange(ROWS) % 2)
    assert odd_rows(frame, ["y"], ["A", "B", "model", "dataset"]) == []


@pytest.mark.parametrize(
    "values",
    [[32, 64], [True, False], ["cosine", "linear"], [None, "warm"], [0.1, 0.2]],
    ids=str,
)
def test_replicates_that_differ_in_a_column_are_told_with_its_name(crossed, values):
    (told,) = hidden(crossed.assign(batch=np.tile(np.array(values, dtype=object), 24)), "batch")
    assert told["code"] == "hidden_factor"
    assert told["arguments"]["levels"] == sorted("" if v is None else str(v) for v in values)


@pytest.mark.parametrize("name", ["model", "dataset"])
def test_a_context_that_is_not_named_is_told(crossed, name):
    left = [label for label in ("A", "B", "model", "dataset") if label != name]
    told = odd_rows(crossed, ["y"], left)
    assert [row["arguments"].get("column") for row in told] == [name]


@pytest.mark.parametrize(
    "name", ["seed", "train_seed", "replicate", "run_id", "Trial", "Unnamed: 0"]
)
def test_what_tells_replicates_apart_is_no_factor(crossed, name):
    assert not hidden(crossed.assign(**{name: np.tile([1, 2], 24)}), name)


@pytest.mark.parametrize(
    "values",
    [
        np.random.default_rng(0).normal(size=ROWS),  # a measurement
        np.random.default_rng(0).integers(0, 5, ROWS),  # a count
        np.arange(ROWS),
        [f"run-{i}" for i in range(ROWS)],
        np.repeat([1, 2], 24),  # decided by the contexts
        ["same"] * ROWS,
        [[1]] * ROWS,
    ],
    ids=["measured", "count", "number", "name", "constant inside", "constant", "lists"],
)
def test_measurements_names_and_constants_are_no_factors(crossed, values):
    assert not hidden(crossed.assign(other=pd.Series(list(values))), "other")


def test_a_numbering_of_three_replicates_is_no_factor(factorial):
    frame = factorial((2, 2), replicates=3)
    assert not hidden(frame.assign(copy=np.tile([0, 1, 2], 24)), "copy")
    assert hidden(frame.assign(copy=np.tile([0, 5, 9], 24)), "copy")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"y_1": 1.0, "y_2": 2.0, "y_3": 3.0}, r"y_1, y_2, y_3 look like .* --wide 'y_\*'"),
        ({"seed0": 1.0, "seed1": 2.0, "f_1": "a"}, r"seed0, seed1 look like .* --wide 'seed\*'"),
        ({"yy": 1.0, "x1": 2.0, "x2": 3.0}, "Did you mean 'yy'"),
        ({"x1": 2.0, "z": 3.0}, "Known: x1, z"),
    ],
)
def test_a_response_in_several_columns_is_answered_with_how_to_melt_them(columns, message):
    with pytest.raises(TableError, match=message):
        refuse_columns(pd.DataFrame([columns]), ["y"], [], [])
