"""Rows without numbers become sentences, one per reason."""

from __future__ import annotations

import pytest

from ablatekit.analysis.core.schema.vocabulary import statement
from ablatekit.report.appendix.below import Unknown, missing_scopes, parted, said_below

ONE_CELL = "occur in one cell only"


def few(variable: str, levels: int = 2) -> object:
    return statement("too_few_levels", variable=variable, levels=levels, fewest=3, of_levels=levels)


@pytest.mark.parametrize(
    ("unknown", "every", "said"),
    [
        (
            [("rollouts", "128"), ("rollouts", "256"), ("queries", "1"), ("queries", "2")],
            9,
            "rollouts 128, 256; queries 1, 2: occur in one cell only.",
        ),
        ([("rollouts", "4"), ("queries", "2")], 2, "Every level: occur in one cell only."),
        ([("rollouts", "4")], 1, "rollouts 4: occur in one cell only."),
        ([("rollouts", "")], 5, "rollouts (not set): occur in one cell only."),
        ([("rollouts", None)], 5, "rollouts: occur in one cell only."),
        ([("", "lr=1")], 5, "lr=1: occur in one cell only."),
        ([("", "a=1"), ("", "a=1, b=2")], 9, "a=1; a=1, b=2: occur in one cell only."),
        (
            [("a", str(number)) for number in range(20)],
            50,
            "a 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 8 more levels: occur in one cell only.",
        ),
    ],
)
def test_levels_that_share_a_reason_are_one_sentence(
    unknown: list[tuple[str, str | None]], every: int, said: str
) -> None:
    assert said_below([Unknown(*part, ONE_CELL) for part in unknown], every) == [said]


def test_estimands_that_share_levels_and_reason_are_named_together() -> None:
    unknown = [
        Unknown("a", "x", ONE_CELL, "Shapley value"),
        Unknown("a", "x", ONE_CELL, "effect of removal"),
        Unknown("a", "y", "other", "Shapley value"),
        Unknown("a", "z", ""),
    ]
    assert said_below(unknown) == [
        "a x (Shapley value, effect of removal): occur in one cell only.",
        "a y (Shapley value): other.",
    ]


def test_a_scope_is_not_named_where_the_narrow_estimand_is_concerned_too() -> None:
    unknown = [
        Unknown("a", "x", ONE_CELL, what)
        for what in ("average effect", "average effect over models", "interaction over models")
    ]
    assert said_below(unknown) == [
        "a x (average effect, interaction over models): occur in one cell only."
    ]


def test_rows_with_numbers_stay_and_their_reasons_are_said_too() -> None:
    rows, below = parted([1, 2, 3], lambda row: row > 1, lambda row: Unknown("a", str(row), "odd"))
    assert rows == [2, 3]
    assert below == ["a 1, 2, 3: odd."]


def test_scopes_that_lack_levels_for_all_are_one_sentence() -> None:
    rows = [
        (["model"], None),
        (["dataset"], few("dataset")),
        (["dataset"], few("dataset")),
        (["model", "dataset"], few("dataset")),
    ]
    refused, said = missing_scopes("effect", rows, "run")
    assert refused == {("dataset",), ("model", "dataset")}
    assert len(said) == 1
    assert said[0].startswith("No effect is given over data sets, nor over models and data sets:")
    assert said[0].endswith(": that needs a third data set.")


def test_a_scope_that_some_rows_have_is_kept() -> None:
    rows = [(["model"], None), (["model"], few("model", 1))]
    assert missing_scopes("effect", rows, "run") == (set(), [])


def test_without_blocking_variables_nothing_is_given_beyond() -> None:
    refused, said = missing_scopes("ratio", [([], statement("no_blocking_variable"))], "row")
    assert refused == {()}
    assert said == ["No ratio is given beyond these contexts: that needs more than one context."]
