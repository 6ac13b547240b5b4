"""What rows of an ANOVA test: empty and nested cells, and the place of covariates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from ablatekit.analysis.core.schema.vocabulary import statement
from ablatekit.analysis.engine.fit import fit_formula
from ablatekit.analysis.engine.formula import parse_formula
from ablatekit.analysis.engine.frame import build_frame
from ablatekit.analysis.posthoc.anova import anova
from ablatekit.analysis.posthoc.coefficient_tests import linear_model
from ablatekit.analysis.posthoc.emm import contrast_table
from ablatekit.analysis.posthoc.ols import fit_ols, ols_anova

FORMULAS = {
    "missing_cell_a": "y ~ a*b",
    "missing_cell_b": "y ~ a*b",
    "nested": "Fruit ~ Block + ctr/(Form*Conc)",
    "two_holes": "y ~ A*B",
    "blocks": "y ~ model:dataset + A*B*C*D",
}


def _least_squares(data: pd.DataFrame, formula: str, **options: Any) -> Any:
    return fit_ols(build_frame(data, parse_formula(formula), **options))


@pytest.mark.parametrize("coding", ["treatment", "sum"])
@pytest.mark.parametrize("name", FORMULAS)
def test_least_squares_equals_goodnight(name: str, coding: Any, corpus: Any) -> None:
    """tests/reference/estimable/goodnight.R, which prints six decimals."""
    case = corpus.goodnight(name)
    factors = [column for column in ("Block", "Conc") if column in case["frame"]]
    fit = _least_squares(case["frame"], FORMULAS[name], factors=factors, coding=coding)
    table = {row["term"]: row for row in ols_anova(fit, "III")}
    assert len(table) == len(case["rows"])
    for row in case["rows"]:
        ours = table[row["term"]]
        assert (ours["num_df"], ours["den_df"]) == (row["num_df"], row["den_df"])
        assert ours["statistic"] == pytest.approx(row["f"], abs=1e-6)
        assert ours["p"] == pytest.approx(row["p"], rel=1e-4)


def test_a_row_names_the_cells_that_it_cannot_compare(corpus: Any) -> None:
    case = corpus.goodnight("nested")
    fit = _least_squares(case["frame"], FORMULAS["nested"], factors=["Block", "Conc"])
    notes = {row["term"]: row["notes"] for row in ols_anova(fit, "III")}
    assert notes["Block"] == []
    (told,) = notes["ctr:Form"]
    arguments = {"terms": ["ctr:Form", "ctr:Form:Conc"], "empty": [4, 17], "cells": [8, 24]}
    assert told == statement("tests_observed_cells", **arguments)


def test_mixed_models_take_the_same_hypotheses(corpus: Any) -> None:
    """A random intercept of two groups that share every cell leaves least squares' F."""
    data = corpus.goodnight("missing_cell_a")["frame"].assign(g=["g1", "g2"] * 8)
    data["y"] += 10.0 * (data["g"] == "g2")
    mixed = {term.term: term for term in anova(linear_model(fit_formula(data, "y~a*b+(1|g)")))}
    fixed = {row["term"]: row for row in ols_anova(_least_squares(data, "y ~ a*b + g"), "III")}
    for name in ("a", "b", "a:b"):
        test = mixed[name].test
        assert test is not None
        assert test.num_df == fixed[name]["num_df"]
        assert test.statistic == pytest.approx(fixed[name]["statistic"], rel=1e-6)
        assert mixed[name].notes[0] == fixed[name]["notes"][0]


def test_a_factor_is_tested_at_the_mean_of_its_covariates(corpus: Any) -> None:
    """R: car::Anova(type = 3) of treat * poly(pre, 2), in another basis of the same curves."""
    data = pd.read_csv(corpus.estimable / "anova-at-covariate-zero.csv")
    (expected,) = (row for row in corpus.curve() if row[".row"] == "treat")
    for formula in ("post ~ treat*pre + treat*I(pre^2)", "post ~ treat*poly(pre, 2)"):
        row = ols_anova(_least_squares(data, formula), "III")[0]
        assert row["statistic"] == pytest.approx(expected["F value"], rel=1e-8)
        assert row["p"] == pytest.approx(expected["Pr(>F)"], rel=1e-8)
        assert [note["code"] for note in row["notes"]] == ["tests_at_mean"]


@pytest.mark.parametrize("binary", [False, True])
def test_the_test_of_two_levels_is_that_of_their_effect(binary: bool) -> None:
    rng = np.random.default_rng(4)
    data = pd.DataFrame({"a": ["u", "v"] * 30, "x": rng.normal(5.0, 1.0, 60).round(2)})
    data["x"] = (data["x"] > 5.3) * 1.0 if binary else data["x"]
    data["y"] = data["x"] * (data["a"] == "v") + rng.normal(size=60)
    fit = _least_squares(data, "y ~ a*x")
    row = ols_anova(fit, "III")[0]
    effect = contrast_table(fit.model, ["a"], "baseline").test
    assert row["statistic"] == pytest.approx(effect.statistic[0] ** 2, rel=1e-10)
    place = 0.5 if binary else data["x"].mean()
    (told,) = row["notes"]
    assert told["arguments"]["covariates"] == ["x"]
    assert told["arguments"]["values"] == [[pytest.approx(place)]]


def test_a_factor_without_another_place_is_tested_at_zero_and_says_so() -> None:
    rng = np.random.default_rng(5)
    data = pd.DataFrame({"a": ["u", "v", "w"] * 20, "b": ["s"] * 30 + ["t"] * 30})
    data["x"] = rng.normal(3.0, 1.0, 60)
    data["y"] = rng.normal(size=60)
    fit = _least_squares(data, "y ~ a + a:b:x")
    row = ols_anova(fit, "III")[0]
    assert row["notes"] == [statement("tests_at_zero", covariates=["x"])]
    own = [j for j, name in enumerate(fit.names) if name in ("av", "aw")]
    assert row["statistic"] == pytest.approx(fit.model.joint(np.eye(len(fit.beta))[own]).statistic)


def test_without_an_intercept_a_factor_is_averaged_over_the_others(corpus: Any) -> None:
    """R: the three means of A in sum coding of B; lmerTest tests them at B's first level."""
    data = pd.read_csv(corpus.folder.parent / "mixed" / "data" / "covariate.csv")
    test = anova(linear_model(fit_formula(data, "y ~ 0 + A + B + (1 | grp)")))[0].test
    (expected,) = corpus.no_intercept()
    assert test is not None
    assert test.num_df == 3
    assert test.statistic == pytest.approx(expected["F value"], rel=1e-6)
    assert test.den_df == pytest.approx(expected["DenDF"], rel=1e-5)


@pytest.mark.parametrize(
    "formula", ["y ~ a*b*x + c", "y ~ c + a/b + x", "y ~ 0 + a*b + c", "y ~ 0 + a*x + c"]
)
def test_an_empty_level_of_an_unrelated_factor_changes_no_hypothesis(formula: str) -> None:
    """A column that is always 0 leads to estimable functions; they equal those of sum coding."""
    rng = np.random.default_rng(1)
    sizes = {"a": 3, "b": 2, "c": 2}
    data = pd.DataFrame({name: rng.integers(0, k, 90).astype(str) for name, k in sizes.items()})
    data = data.assign(x=rng.normal(30.0, 5.0, 90), z=rng.normal(-3.0, 1.0, 90))
    data["y"] = rng.normal(size=90)
    data["d"] = pd.Categorical(data["c"], ["0", "1", "never"])
    plain = ols_anova(_least_squares(data, formula.replace("c", "d")), "III")
    for row, other in zip(ols_anova(_least_squares(data, formula), "III"), plain, strict=True):
        assert row["num_df"] == other["num_df"]
        assert other["statistic"] == pytest.approx(row["statistic"], rel=1e-9)
