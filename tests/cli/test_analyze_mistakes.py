"""Formulas and tables that `ablatekit analyze --formula` refuses, and odd ones that it reads."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ablatekit.analysis.core.schema.vocabulary import statement
from ablatekit.cli.main import invoke

N = 60


@pytest.fixture
def path(tmp_path: Any) -> Any:
    rng = np.random.default_rng(3)
    row = np.arange(N)
    frame = pd.DataFrame(
        {
            "y": rng.normal(size=N),
            "x": rng.normal(size=N),
            "a": np.tile(["p", "q", "r"], 20),
            "b": np.tile(["k", "k", "k", "l", "l", "l"], 10),
            "g": np.repeat(list("stuvwxyzab"), 6),
            "one": "same",
            "c": 1.0,
            "void": np.nan,
            "inf": np.where(row == 6, np.inf, 1.5),
            "w": np.where(row == 3, 0.0, 1.0),
            "neg": np.where(row == 4, -1.0, 1.0),
            "text": np.where(row == 8, "high", "1.5"),
            "big": np.repeat(np.arange(10) * 10**17 + 1, 6),
            "flag": rng.integers(0, 2, N) > 0,
            "hit": rng.integers(0, 2, N),
            "yes": np.tile(["yes", "no"], 30),
            "batch size": np.tile(["small", "large"], 30),
            "acc (%)": rng.normal(size=N),
            "größe": np.tile(["k", "l"], 30),
            "cell": [f"r{i}" for i in range(N)],
        }
    )
    frame["sure"] = np.where(frame["a"] == "p", 0, rng.integers(0, 2, N))
    frame["lost"] = np.where((frame["a"] == "r") & (frame["b"] == "l"), np.nan, frame["y"])
    place = tmp_path / "rows.csv"
    frame.to_csv(place, index=False)
    return place


def _ask(path: Any, *arguments: str) -> int:
    return invoke(["analyze", str(path), "--formula", *arguments])


def _found(path: Any, capsys: Any, *arguments: str) -> dict[str, Any]:
    assert _ask(path, *arguments, "--json", "-") == 0
    response: dict[str, Any] = next(iter(json.loads(capsys.readouterr().out)["responses"].values()))
    return response


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("y ~ a +",), "the formula cannot be parsed"),
        (("y ~ a + (1|g) +",), "the formula cannot be parsed"),
        (("y ~ a b",), "names with spaces stand in backquotes"),
        (("y ~",), "nothing after ~; received y ~. Write `y ~ 1` for a mean"),
        (("y ~ a ~ b",), "a formula has one ~"),
        (("y ~ `a",), "a backquote is not closed"),
        (("y ~ log(a)",), "log(a) needs numbers; received a with 'p' in row 1"),
        (("y ~ I(a == 'p')",), "needs numbers; received a with 'p' in row 1"),
        (("log(text) ~ a",), "log(text) needs numbers; received text with 'high' in row 9"),
        (("y ~ a + offset(x)",), "offsets are not supported; received offset(x). Subtract"),
        (("y ~ a + spline(x)",), "an unknown function; received spline(x)"),
        (("y ~ a * (1|g)",), "random terms are joined by +"),
        (("y ~ a + (1|g) + (1|g)",), "neither variance can be told from the other"),
        (("y ~ a + (1|g) + (1+x|g)",), "received (1 | g) and (1 + x | g)"),
        (("y ~ y + a",), "the response is also a term of the formula; received y"),
        (("log(y) ~ a + (1|y)",), "the response is also a term"),
        (("y ~ nope",), "no such column; received nope"),
        (("inf ~ a",), "values must be finite; received inf with inf in row 7"),
        (("y ~ inf",), "received inf with inf in row 7"),
        (("y ~ log(x)",), "received log(x) with nan in row"),
        (("y ~ one",), "a factor needs at least two levels; received one is always same"),
        (("y ~ a + (1|one)",), "a grouping factor needs at least two levels"),
        (("y ~ void",), "no row is complete"),
        (("text ~ a",), "received text with 'high' in row 9. Recode it as numbers"),
        (("yes ~ a + (1|g)", "--family", "binomial"), "0 and 1 for two outcomes"),
        (("x ~ a + (1|g)", "--family", "binomial"), "a binomial response is 0 or 1"),
        (("hit ~ a", "--family", "binomial"), "needs a random term"),
        (("cbind(hit, c) ~ a + (1|g)",), "Add --family binomial"),
        (("y ~ a + (1|g)", "--weights", "w"), "received w with 0 in row 4"),
        (("y ~ a + (1|g)", "--weights", "neg"), "received neg with -1 in row 5"),
        (("y ~ a + (1|g)", "--weights", "text"), "weights must be numeric"),
        (
            ("hit ~ a + (1|g)", "--family", "binomial", "--unit", "nats"),
            "--unit is not for a logis",
        ),
        (("y ~ a + (1|cell)",), "a random term cannot be told from the residual"),
        (("y ~ a", "--method", "dl"), "this estimator is for a meta-analysis"),
        (("y ~ a + (1|g)", "--variances", "c"), "a meta-analysis has no random terms"),
        (("y ~ a", "--variances", "c", "--df", "kenward-roger"), "by Knapp and Hartung or by z"),
        (("y ~ a", "--variances", "c", "--against", "y ~ 1"), "not for a meta-analysis"),
        (("y ~ a", "--random-tests"), "needs a linear model with random terms"),
        (("y ~ a", "--random-intervals", "profile"), "needs a linear model with random terms"),
        (("y ~ a + (1|g)", "--categorical", "nope"), "no such column; received nope"),
        (("y ~ x + a", "--means", "x"), "Numeric columns become factors by --categorical"),
        (("y ~ a + (1|g)", "--against", "y ~ x + (1|g)", "--method", "ml"), "are not nested"),
        (("y ~ a + (1|g)", "--against", "y ~ 1 + (1|g)"), "Refit both with --method ml"),
        (("y ~ a + (1|g)", "--against", "x ~ 1 + (1|g)"), "the same response and rows"),
        (("y ~ a + (1|g)", "--against", "lost ~ a + (1|g)"), "the same response and rows"),
        (("y ~ a", "--df", "kenward-roger", "--factors", "a"), "has no meaning with --formula"),
    ],
)
def test_one_message_and_exit_code_2(
    path: Any, capsys: Any, arguments: tuple[str, ...], message: str
) -> None:
    assert _ask(path, *arguments) == 2
    told = capsys.readouterr()
    assert message in told.err
    assert told.err.startswith("error: ")
    assert told.out == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("c ~ a + (1|g)",), "the response is constant"),
        (("y ~ cell",), "60 rows cannot estimate 60 fixed effects and an error variance"),
        (("c ~ a + (1|g)", "--family", "binomial"), "every outcome is 1"),
        (("c ~ 1", "--variances", "c"), "the effects do not vary at all"),
        (("sure ~ a + (1|g)", "--family", "binomial"), "0% or 100%"),
    ],
)
def test_what_cannot_be_estimated_is_exit_code_3(
    path: Any, capsys: Any, arguments: tuple[str, ...], message: str
) -> None:
    assert _ask(path, *arguments) == 3
    assert message in capsys.readouterr().err


def test_an_empty_cell_leaves_rows_with_their_reason(path: Any, capsys: Any) -> None:
    found = _found(path, capsys, "lost ~ a * b + (1|g)", "--df", "kenward-roger", "--means", "a:b")
    lost = [row for row in found["effects"] if row["level"].startswith("r")]
    assert lost
    for row in lost:
        assert row["estimate"] is None
        assert row["reason"]["code"] == "not_estimable"
        assert row["verdict"] == "not_estimated"
    assert [row["term"] for row in found["aliased"]] == ["ar:bl"]
    assert statement("terms_aliased", terms=["ar:bl"]) in found["model"]["messages"]
    means = {row["level"]: row for row in found["means"]}
    assert means["r:l"]["estimate"] is None
    assert means["r:k"]["estimate"] is not None


def test_a_constant_column_is_aliased_with_the_intercept(path: Any, capsys: Any) -> None:
    found = _found(path, capsys, "y ~ c + a + (1|g)")
    assert [row["term"] for row in found["aliased"]] == ["c"]
    row = next(row for row in found["anova"] if row["term"] == "c")
    assert row["p"] is None
    assert row["reason"]["code"] == "aliased"


@pytest.mark.parametrize(
    ("formula", "label"),
    [
        ("y ~ `batch size` * a + (1|g)", "batch size"),
        ("`acc (%)` ~ `batch size` + (1|g)", "batch size"),
        ("y ~ größe + (1|g)", "größe"),
        ("y ~ C(`batch size`, Sum) + (1|g)", "C(`batch size`, Sum)"),
    ],
)
def test_any_column_name_can_be_used(path: Any, capsys: Any, formula: str, label: str) -> None:
    effects = _found(path, capsys, formula)["effects"]
    assert effects[0]["factor"] == label
    frame = pd.read_csv(path)
    source = label.removeprefix("C(`").removesuffix("`, Sum)")
    response = "acc (%)" if "acc" in formula else "y"
    means = frame.groupby(source)[response].mean()
    base = frame[source].iloc[0]
    assert effects[0]["baseline"] == base
    assert effects[0]["estimate"] == pytest.approx(means.drop(base).iloc[0] - means[base])


def test_a_group_may_have_spaces_and_huge_numbers(path: Any, capsys: Any) -> None:
    frame = pd.read_csv(path)
    frame.rename(columns={"g": "the group"}).to_csv(path, index=False)
    named = _found(path, capsys, "y ~ a + (1|`the group`)")
    huge = _found(path, capsys, "y ~ a + (1|big)")
    assert named["model"]["formula"] == "y ~ a + (1 | `the group`)"
    assert named["random"][0]["levels"] == huge["random"][0]["levels"] == 10
    assert named["model"]["criterion"] == pytest.approx(huge["model"]["criterion"])


def test_booleans_are_0_and_1_and_repeated_terms_count_once(path: Any, capsys: Any) -> None:
    found = _found(path, capsys, "flag ~ a + a + (1|g)")
    assert statement("written_twice", term="a") in found["model"]["messages"]
    frame = pd.read_csv(path)
    means = frame.groupby("a")["flag"].mean()
    assert found["effects"][0]["estimate"] == pytest.approx(means["q"] - means["p"])


def test_powers_are_powers(path: Any, capsys: Any) -> None:
    found = _found(path, capsys, "y ~ I((x - 1)^2) + (1|g)")
    frame = pd.read_csv(path)
    slope = np.polyfit((frame["x"] - 1) ** 2, frame["y"], 1)[0]
    plain = _found(path, capsys, "y ~ I((x - 1)^2)")
    assert plain["fixed"][1]["term"] == "I((x - 1)^2)"
    assert plain["fixed"][1]["estimate"] == pytest.approx(slope)
    assert found["fixed"][1]["term"] == "I((x - 1)^2)"


def test_roots_of_a_covariate_have_marginal_means(path: Any, capsys: Any) -> None:
    found = _found(path, capsys, "y ~ sqrt(w + 1) + a")
    assert found["fixed"][1]["term"] == "sqrt(w + 1)"
    assert all(row["estimate"] is not None for row in found["means"])


def test_categorical_columns_outside_the_formula_are_named(path: Any, capsys: Any) -> None:
    found = _found(path, capsys, "y ~ a + (1|g)", "--categorical", "c,g,x")
    unused = statement("unused_categorical", columns=["c", "x"])
    assert unused in found["model"]["messages"]


def test_a_probability_that_needs_an_empty_cell_is_a_row_with_its_reason(
    path: Any, capsys: Any
) -> None:
    """Setting every row to level r would need r with l, which no row has."""
    frame = pd.read_csv(path)
    frame[(frame["a"] != "r") | (frame["b"] != "l")].to_csv(path, index=False)
    found = _found(path, capsys, "hit ~ a * b + (1|g)", "--family", "binomial")
    rows = {row["level"]: row for row in found["effects"]}
    assert rows["q"]["estimate"] is not None
    for level in ("r", "l"):
        assert rows[level]["estimate"] is None
        assert rows[level]["reason"]["code"] == "not_estimable"
        assert rows[level]["verdict"] == "not_estimated"


@pytest.mark.parametrize("columns", [("y", "a,y"), ("y,y", "a"), ("y", "a,a"), ("text", "a,text")])
def test_a_column_has_one_role(path: Any, capsys: Any, columns: tuple[str, str]) -> None:
    assert invoke(["analyze", str(path), "--response", columns[0], "--factors", columns[1]]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert "a column has more than one role" in lines[0]
