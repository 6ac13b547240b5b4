"""The effect against size: R's `lm` and `predict.lm` on the per-model means of the contrast."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pytest

from ablatekit.analysis.cells.covariates import covariate_rows, fit_line
from ablatekit.analysis.cells.effects import evaluate, fit
from ablatekit.analysis.core.layout import layout
from ablatekit.analysis.core.schema.effects import CovariateRow
from ablatekit.analysis.tables.responses import respond
from ablatekit.analysis.tables.study_tables import StudyTables
from ablatekit.design.plan import Plan

Study: TypeAlias = Callable[..., tuple[Plan, StudyTables]]

FOLDER = Path(__file__).parents[2] / "reference" / "covariates"
REFERENCE = json.loads((FOLDER / "reference.json").read_text(encoding="utf-8"))
AT = {"params": REFERENCE["at"]}


@pytest.fixture(scope="module")
def runs() -> pd.DataFrame:
    return pd.read_csv(FOLDER / "runs.csv").drop(columns="run")


def _row(
    study: Study,
    frame: pd.DataFrame,
    size: Mapping[str, float],
    at: Mapping[str, float] | None = None,
    contexts: tuple[str, ...] = ("model", "dataset"),
) -> CovariateRow:
    plan, tables = study(frame, ["A"], contexts)
    design = layout(plan)
    fitted = fit(respond(plan.analysis.responses[0], tables, design, "score").values, design, 2)
    covariates = {"model": {level: {"params": value} for level, value in size.items()}}
    (row,) = covariate_rows(evaluate(fitted, "average"), design, covariates, at or {}, 0.05)
    return row


def test_slope_and_predictions_are_those_of_least_squares(study: Study, runs: pd.DataFrame) -> None:
    row = _row(study, runs, REFERENCE["size"], AT)
    names = ("slope", "se", "df", "p", "low", "high")
    given: dict[str, Any] = {name: REFERENCE[name] for name in names}
    assert {name: value for name, value in row.items() if name in names} == pytest.approx(given)
    assert (row["variable"], row["covariate"], row["levels"]) == ("model", "params", 5)
    (prediction,) = row["predictions"]
    expected = {
        "at": REFERENCE["at"],
        "estimate": REFERENCE["estimate"],
        "se": REFERENCE["se_at"],
        "low": REFERENCE["low_at"],
        "high": REFERENCE["high_at"],
        "low_new": REFERENCE["low_new"],
        "high_new": REFERENCE["high_new"],
    }
    assert prediction == pytest.approx(expected)
    (note,) = row["notes"]
    assert note["code"] == "extrapolated"
    assert note["arguments"] == {"covariate": "params", "at": 7e9, "low": 1.1e5, "high": 5e8}


def test_a_prediction_between_the_levels_is_no_extrapolation(
    study: Study, runs: pd.DataFrame
) -> None:
    row = _row(study, runs, REFERENCE["size"], {"params": 1e6})
    assert len(row["predictions"]) == 1
    assert row["notes"] == []
    assert _row(study, runs, REFERENCE["size"], {"layers": 3.0})["predictions"] == []


def test_the_unit_of_the_covariate_changes_no_number(study: Study, runs: pd.DataFrame) -> None:
    row = _row(study, runs, REFERENCE["size"], AT)
    in_millions = {level: value / 1e6 for level, value in REFERENCE["size"].items()}
    other = _row(study, runs, in_millions, {"params": 7e3})
    for name in ("slope", "se", "p", "low", "high"):
        assert other[name] == pytest.approx(row[name], rel=1e-9)
    assert other["predictions"][0]["high_new"] == pytest.approx(row["predictions"][0]["high_new"])


def test_levels_without_the_contrast_do_not_count(study: Study, runs: pd.DataFrame) -> None:
    lacking = runs[(runs["A"] == "a0") | ~runs["model"].isin(["m0", "m2", "m4"])]
    row = _row(study, lacking, REFERENCE["size"], AT)
    assert row["levels"] == 2
    assert row["reason"] is not None
    assert row["reason"]["code"] == "too_few_levels"
    counts = {"levels": 2, "fewest": 3, "of_levels": 5}
    assert row["reason"]["arguments"] == {"variable": "model", **counts}
    assert row["slope"] is None
    assert row["predictions"] == []


def test_levels_of_one_size_have_no_slope(study: Study, runs: pd.DataFrame) -> None:
    row = _row(study, runs, dict.fromkeys(REFERENCE["size"], 7e9))
    assert row["reason"] is not None
    assert row["reason"]["code"] == "constant_covariate"


def test_effects_on_a_line_have_a_slope_without_an_error(study: Study, runs: pd.DataFrame) -> None:
    size = REFERENCE["size"]
    on = np.where(runs["A"] == "a1", 2.0 * np.log(runs["model"].map(size)), 0.0)
    row = _row(study, runs.assign(y=on), size, AT)
    assert row["slope"] == pytest.approx(2.0)
    assert row["reason"] is not None
    assert row["reason"]["code"] == "on_a_line"
    assert (row["se"], row["p"], row["predictions"]) == (None, None, [])


def test_models_nested_in_families_are_no_sample(study: Study, runs: pd.DataFrame) -> None:
    family = runs["model"].map({"m0": "f", "m1": "f", "m2": "g", "m3": "g", "m4": "h"})
    row = _row(study, runs.assign(family=family), REFERENCE["size"], AT, ("family", "model"))
    assert row["reason"] is not None
    assert row["reason"]["code"] == "nested_variable"


def test_a_contrast_without_values_says_why(study: Study, runs: pd.DataFrame) -> None:
    alone = runs[(runs["A"] == "a1") == runs["dataset"].eq("d0")]
    row = _row(study, alone, REFERENCE["size"], AT)
    assert row["levels"] == 0
    assert row["reason"] is not None
    assert row["reason"]["code"] == "never_in_one_context"


def test_a_line_by_hand() -> None:
    line = fit_line(np.array([0.0, 1.0, 2.0]), np.array([1.0, 1.0, 4.0]))
    assert (line.slope, line.mean, line.df, line.variance) == (1.5, 2.0, 1, 1.5)
    assert line.se == pytest.approx(0.75**0.5)
    value, se = line.at(3.0)
    assert value == 5.0
    assert se == pytest.approx((1.5 * (1 / 3 + 4 / 2)) ** 0.5)
