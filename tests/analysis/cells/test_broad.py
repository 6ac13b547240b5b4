"""Kenward-Roger over contexts against pbkrtest and our general mixed model, and against the t.

Reference values: tests/reference/broad, made by its make.R with lme4 and pbkrtest.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ablatekit.analysis.cells.broad import FEWEST_DF, SLOPE_METHOD, T_METHOD
from ablatekit.analysis.cells.context_slope import context_slope, unit_sums
from ablatekit.analysis.cells.effects import evaluate, fit
from ablatekit.analysis.core.layout import layout
from ablatekit.analysis.engine.fit import fit_formula
from ablatekit.analysis.posthoc.coefficient_tests import linear_model
from ablatekit.analysis.study import analyse
from ablatekit.analysis.tables.responses import respond

CONTEXTS = ("model", "dataset")
FOLDER = Path(__file__).parents[2] / "reference" / "broad"
REFERENCE = json.loads((FOLDER / "reference.json").read_text())
ESTIMANDS = ("average", "baseline", "removal", "interaction")


def _runs(name):
    frame = pd.read_csv(FOLDER / "runs.csv")
    own = frame[frame["study"] == name]
    return own.sort_values(["A", "B", "model", "dataset"], kind="stable", ignore_index=True)


def _effects(frame, study, names="AB"):
    return analyse(*study(frame, names, CONTEXTS), {}, [])["responses"]["y"]


@pytest.mark.parametrize("estimand", ESTIMANDS)
@pytest.mark.parametrize("name", sorted(REFERENCE))
def test_unbalanced_studies_agree_with_pbkrtest(study, pick, name, estimand):
    factor = "A:B" if estimand == "interaction" else "A"
    rows = _effects(_runs(name), study)["effects"]
    row = pick(rows, factor=factor, estimand=estimand, inference="broad")
    expected = REFERENCE[name][estimand]
    contexts = 6 if name != "context_without_a1" else 5
    # In this one every context happens to have as many runs of the contrast's cells.
    equal = (name, estimand) == ("lost", "removal")
    slope, by_t = (row["alternative"], row) if equal else (row, row["alternative"])
    assert (slope["method"], by_t["method"]) == (SLOPE_METHOD, T_METHOD)
    assert slope["estimate"] == pytest.approx(expected["estimate"], rel=1e-5)
    assert slope["se"] == pytest.approx(expected["se"], rel=1e-5)
    assert slope["df"] == pytest.approx(min(expected["df"], contexts - 1), rel=1e-4)
    assert by_t["df"] == contexts - 1


@pytest.mark.parametrize("estimand", ["average", "baseline", "removal", "shapley"])
def test_with_real_variation_a_balanced_study_gives_the_t_either_way(
    factorial, study, pick, estimand
):
    frame = factorial((2, 2), seed=2, sd=0.1, mean=lambda a, b, m, d: a * (1 + m) + a * b * d + m)
    rows = _effects(frame, study)["effects"]
    row = pick(rows, factor="A", estimand=estimand, inference="broad")
    assert (row["method"], row["alternative"]["method"]) == (T_METHOD, SLOPE_METHOD)
    for key in ("estimate", "se", "df", "low", "high", "p"):
        assert row["alternative"][key] == pytest.approx(row[key], rel=1e-6)


@pytest.mark.parametrize("sizes", [(2, 3), (2, 2, 2)])
def test_the_projected_model_is_the_general_one(factorial, study, sizes):
    rng = np.random.default_rng(5)
    frame = factorial(sizes, seed=4, mean=lambda a, *rest: 0.5 * a * rest[-2] + rest[-1])
    frame = frame[rng.random(len(frame)) > 0.2]
    plan, tables = study(frame, "ABC"[: len(sizes)], CONTEXTS)
    design = layout(plan)
    values = respond(plan.analysis.responses[0], tables, design, "score").values  # noqa: PD011
    fitted = fit(values, design, 2)
    for one in (evaluate(fitted, "average")[1], evaluate(fitted, "interaction")[0]):
        row = one.values.row  # noqa: PD011
        found = context_slope(fitted.sums, row)
        table = pd.DataFrame(
            {
                "y": values.y,
                "unit": [f"u{u:02d}" for u in values.unit],
                "context": [f"k{c}" for c in values.context],
                "c": (row / (row @ row))[values.unit],
            }
        )
        general = fit_formula(table, "y ~ 0 + unit + (1 | context) + (0 + c | context)")
        expected = linear_model(general, "kenward-roger").test(row[None, :])
        assert found.estimate == pytest.approx(expected.estimate[0], rel=1e-7)
        assert found.se == pytest.approx(expected.se[0], rel=1e-6)
        assert found.df == pytest.approx(expected.df[0], rel=1e-5)


@pytest.mark.parametrize("slope", [0.0, 0.3])
def test_equal_contexts_reach_the_same_optimum_from_their_mean_squares(factorial, study, slope):
    frame = factorial((2, 3), seed=6, sd=0.3, mean=lambda a, b, m, d: slope * a * (m - d) + b + m)
    plan, tables = study(frame, "AB", CONTEXTS)
    design = layout(plan)
    values = respond(plan.analysis.responses[0], tables, design, "score").values  # noqa: PD011
    fitted = fit(values, design, 2)
    for one in (*evaluate(fitted, "average"), *evaluate(fitted, "interaction")):
        row = one.values.row  # noqa: PD011
        near, far = (context_slope(fitted.sums, row, balanced=flag) for flag in (True, False))
        for key in ("estimate", "se", "df"):
            assert getattr(near, key) == pytest.approx(getattr(far, key), rel=1e-6)
        assert near.tau == pytest.approx(far.tau, abs=1e-5)


def test_a_truncated_model_projects_its_own_columns(factorial, study):
    frame = factorial((2, 2, 2), replicates=1, seed=9, mean=lambda a, b, _, m, d: a * m + b + d)
    frame = frame.drop(index=[3, 17, 40])
    plan, tables = study(frame, "ABC", CONTEXTS)
    design = layout(plan)
    values = respond(plan.analysis.responses[0], tables, design, "score").values  # noqa: PD011
    fitted = fit(values, design, 2)
    assert fitted.truncated
    row = evaluate(fitted, "average")[0].values.row  # noqa: PD011
    found = context_slope(fitted.sums, row)
    levels = frame.sort_index()
    sign = {name: np.where(levels[name] == "l1", 1.0, -1.0) for name in "ABC"}
    table = pd.DataFrame({"y": levels["y"], **sign, "k": levels["model"] + levels["dataset"]})
    table["c"] = np.where(levels["A"] == "l1", 0.5, -0.5)
    general = fit_formula(table, "y ~ (A + B + C)**2 + (1 | k) + (0 + c | k)")
    contrast = np.array([2.0 if name == "A" else 0.0 for name in general.names])
    expected = linear_model(general, "kenward-roger").test(contrast[None, :])
    assert found.estimate == pytest.approx(expected.estimate[0], rel=1e-7)
    assert found.se == pytest.approx(expected.se[0], rel=1e-6)
    assert found.df == pytest.approx(expected.df[0], rel=1e-5)


def test_df_below_two_give_way_to_the_t_and_say_so(factorial, study, pick):
    """Five contexts, of which two carry nearly all the information on the contrast."""
    frame = factorial((2, 2), models=5, datasets=1, replicates=40, seed=3, sd=3.0)
    thin = (frame["A"] == "l1") & frame["model"].isin(["m0", "m1", "m2"])
    keep = ~thin | (frame.groupby(["model", "A", "B"]).cumcount() < 1)
    row = pick(
        _effects(frame[keep], study)["effects"], factor="A", estimand="average", inference="broad"
    )
    refused = row["alternative"]
    if refused["reason"] is None:
        assert row["df"] >= FEWEST_DF
        pytest.fail(f"the design no longer leaves fewer than two df: {row['df']}")
    assert row["method"] == T_METHOD
    unequal = row["notes"][-1]
    assert unequal["code"] == "unequal_contexts"
    assert unequal["arguments"]["reason"]["code"] == "few_kenward_roger_df"
    assert refused["p"] is None


def test_sums_of_units_are_those_of_the_runs(factorial, study):
    plan, tables = study(factorial((2, 2), seed=1), "AB", CONTEXTS)
    design = layout(plan)
    values = respond(plan.analysis.responses[0], tables, design, "score").values  # noqa: PD011
    sums = unit_sums(values, design, None)
    assert sums.count.sum() == len(values.y)
    assert sums.total.sum() == pytest.approx(0.0, abs=1e-9)
    assert sums.squares == pytest.approx(np.var(values.y) * len(values.y))
