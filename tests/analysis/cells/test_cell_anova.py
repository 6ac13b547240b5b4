"""The ANOVA table against R, Goodnight's hypotheses, statsmodels, and closed forms."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.anova import anova_lm

from ablatekit.analysis.core.schema.vocabulary import statement
from ablatekit.analysis.engine.formula import parse_formula
from ablatekit.analysis.engine.frame import build_frame
from ablatekit.analysis.posthoc.ols import fit_ols, ols_anova
from ablatekit.analysis.stats.effectsize import with_interval
from ablatekit.analysis.study import analyse

CONTEXTS = ("model", "dataset")


def _anova(plan_and_tables, response="y"):
    result = analyse(*plan_and_tables, {}, [])["responses"][response]
    return {row["term"]: row for row in result["anova"]}, result["anova_note"]


def _about_cells(row):
    return [note for note in row["notes"] if note["code"] == "tests_observed_cells"]


@pytest.mark.parametrize(
    ("case", "response", "factors"),
    [
        ("warpbreaks", "breaks", ("wool", "tension")),
        ("toothgrowth_unbal", "len", ("supp", "dose")),
    ],
)
def test_type_three_equals_r(reference, study, case, response, factors):
    """car::Anova(type=3) with contr.sum; effectsize partial eta2 and omega2."""
    expected = reference(case)
    table, note = _anova(study(expected["frame"], factors, responses=response), response)
    assert note == statement("cell_anova", order=2, pure=True)
    total = np.sum((expected["frame"][response] - expected["frame"][response].mean()) ** 2)
    for row in expected["anova_III_sumcontrasts"][1:-1]:
        ours = table[row[".row"]]
        assert ours["num_df"] == row["Df"]
        assert ours["den_df"] == 48
        assert ours["statistic"] == pytest.approx(row["F value"], rel=1e-9)
        assert ours["p"] == pytest.approx(row["Pr(>F)"], rel=1e-7)
        assert ours["share"] == pytest.approx(row["Sum Sq"] / total, rel=1e-9)
    for ours_key, theirs, column in (
        ("partial_eta2", "eta2_partial_type3", "Eta2_partial"),
        ("partial_omega2", "omega2_partial_type3", "Omega2_partial"),
    ):
        for row in expected[theirs]:
            ours = table[row["Parameter"]]
            assert ours[ours_key] == pytest.approx(row[column], rel=1e-9)
            for end in ("low", "high"):
                limit = row[f"CI_{end}"]
                assert ours[f"{ours_key}_{end}"] == pytest.approx(limit, rel=1e-6, abs=1e-7)


def test_balanced_shares_are_the_closed_forms_and_add_up(factorial, study):
    frame = factorial((2, 2), replicates=3, seed=2, mean=lambda a, b, m, d: a + 2 * b * d + m)
    table, _ = _anova(study(frame, "AB", CONTEXTS, interactions=2))
    grand = frame["y"].mean()
    total = np.sum((frame["y"] - grand) ** 2)
    effect = frame.groupby("A")["y"].transform("mean") - grand
    assert table["A"]["share"] == pytest.approx(np.sum(effect**2) / total)
    context = frame.groupby(list(CONTEXTS))["y"].transform("mean") - grand
    assert table["context"]["share"] == pytest.approx(np.sum(context**2) / total)
    noise = frame["y"] - frame.groupby([*"AB", *CONTEXTS])["y"].transform("mean")
    assert table["seed_noise"]["share"] == pytest.approx(np.sum(noise**2) / total)
    assert sum(row["share"] for row in table.values()) == pytest.approx(1.0)
    assert table["higher_interactions"]["num_df"] == 5


def test_unbalanced_runs_equal_statsmodels_type_three(factorial, study):
    frame = factorial((2, 3), replicates=3, seed=7, mean=lambda a, b, m, d: a * b + m - d)
    frame = frame.drop(index=[0, 5, 6, 29, 50, 81]).assign(
        context=lambda f: f["model"] + f["dataset"]
    )
    table, _ = _anova(study(frame, "AB", CONTEXTS, interactions=3))
    fit = smf.ols("y ~ C(A, Sum) * C(B, Sum) * C(context, Sum)", frame).fit()
    theirs = anova_lm(fit, typ=3)
    for name, row in theirs.iterrows():
        plain = str(name).replace("C(", "").replace(", Sum)", "")
        if plain in table:
            assert table[plain]["statistic"] == pytest.approx(row["F"], rel=1e-8)
            assert table[plain]["p"] == pytest.approx(row["PR(>F)"], rel=1e-6)
    assert {"A", "B", "context", "A:B", "A:context", "B:context", "A:B:context"} <= set(table)


def test_a_model_whose_terms_have_all_cells_is_not_changed_by_cells_of_higher_order(
    factorial, study
):
    frame = factorial((2, 3), models=1, datasets=1, replicates=4, seed=7)
    frame = frame[~((frame["A"] == "l1") & (frame["B"] == "l2"))].iloc[1:]
    table, note = _anova(study(frame, "AB", CONTEXTS, interactions=1))
    assert note == statement("cell_anova", order=1, pure=True)
    theirs = anova_lm(smf.ols("y ~ C(A, Sum) + C(B, Sum)", frame).fit(), typ=3)
    scale = np.sum((frame["y"] - frame.groupby(["A", "B"])["y"].transform("mean")) ** 2) / (
        len(frame) - 5
    )
    for name in ("A", "B"):
        row = theirs.loc[f"C({name}, Sum)"]
        assert table[name]["statistic"] == pytest.approx(row["sum_sq"] / row["df"] / scale)
        assert table[name]["den_df"] == len(frame) - 5
        assert _about_cells(table[name]) == []


@pytest.mark.parametrize("name", ["missing_cell_a", "missing_cell_b", "two_holes"])
def test_empty_cells_are_tested_as_goodnight_does(name, corpus, study):
    """F of tests/reference/estimable/goodnight.R, which print six decimals."""
    case = corpus.goodnight(name)
    factors = [row["term"] for row in case["rows"]][:2]
    table, _ = _anova(study(case["frame"], factors, interactions=2))
    for row in case["rows"]:
        ours = table[row["term"]]
        assert (ours["num_df"], ours["den_df"]) == (row["num_df"], row["den_df"])
        assert ours["statistic"] == pytest.approx(row["f"], abs=1e-6)
        assert ours["p"] == pytest.approx(row["p"], rel=1e-5)
        holes = [9 - len(case["frame"][factors].drop_duplicates())]
        arguments = {"terms": [":".join(factors)], "empty": holes, "cells": [9]}
        assert _about_cells(ours) == [statement("tests_observed_cells", **arguments)]


def test_both_ways_agree_where_cells_are_empty(factorial, study):
    """Empty cells and empty combinations with contexts, by factors and by a formula."""
    frame = factorial((2, 3, 2), models=2, datasets=2, replicates=2, seed=3)
    lost = (frame["A"] == "l1") & (frame["B"] == "l2")
    lost |= (frame["B"] == "l1") & (frame["model"] == "m1") & (frame["dataset"] == "d0")
    frame = frame[~lost].drop(index=[5, 30]).assign(context=lambda f: f["model"] + f["dataset"])
    table, _ = _anova(study(frame, "ABC", CONTEXTS, interactions=2))
    terms = "(A + B + C + context)^2"
    higher = "A:B:C + A:B:context + A:C:context + B:C:context + A:B:C:context"
    other = fit_ols(build_frame(frame, parse_formula(f"y ~ {terms}")))
    full = fit_ols(build_frame(frame, parse_formula(f"y ~ {terms} + {higher}")))
    rows = {row["term"]: row for row in ols_anova(other, "III")}
    assert len(rows) == 10
    for name, row in rows.items():
        ours = table[name]
        assert ours["num_df"] == row["num_df"]
        assert ours["sum_squares"] == pytest.approx(row["sum_squares"], rel=1e-9)
        statistic = row["mean_square"] / full.sigma**2
        assert ours["statistic"] == pytest.approx(statistic, rel=1e-9)
        assert _about_cells(ours) == _about_cells(row)


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_names_and_order_of_levels_and_rows_do_not_matter(factorial, study, seed):
    rng = np.random.default_rng(seed)
    frame = factorial((3, 3, 2), models=2, datasets=1, replicates=2, seed=seed % 1000)
    frame = frame.drop(index=rng.permutation(len(frame))[: int(rng.integers(1, 40))])
    renamed = frame.iloc[rng.permutation(len(frame))]
    for name in ("A", "B", "C", "model"):
        levels = sorted(set(frame[name]))
        new = dict(zip(levels, rng.permutation(levels).tolist(), strict=True))
        renamed = renamed.assign(**{name: renamed[name].map(new)})
    first, _ = _anova(study(frame, "ABC", ("model",), interactions=2))
    second, _ = _anova(study(renamed, "ABC", ("model",), interactions=2))
    assert first.keys() == second.keys()
    for name, row in first.items():
        assert row["num_df"] == second[name]["num_df"]
        squares = row["sum_squares"]
        assert second[name]["sum_squares"] == pytest.approx(squares, rel=1e-9, abs=1e-9)
        assert _about_cells(row) == _about_cells(second[name])


def test_what_a_truncated_model_leaves_over_is_not_called_noise(factorial, study):
    one = factorial((2, 3), models=3, datasets=1, replicates=1, seed=1)
    table, _ = _anova(study(one, "AB", CONTEXTS, interactions=1))
    assert "left_over" in table
    assert "seed_noise" not in table
    again = one.assign(y=one["y"] + 0.1)
    table, _ = _anova(study(pd.concat([one, again], ignore_index=True), "AB", CONTEXTS))
    assert "seed_noise" in table
    assert "left_over" not in table


def test_without_replicates_higher_interactions_are_the_error(factorial, study):
    frame = factorial((2, 2, 2), models=1, datasets=1, replicates=1, seed=1)
    table, note = _anova(study(frame, "ABC", interactions=1))
    theirs = anova_lm(smf.ols("y ~ A + B + C", frame.drop(columns=["model"])).fit())
    for name in "ABC":
        assert table[name]["p"] == pytest.approx(theirs.loc[name, "PR(>F)"], rel=1e-8)
    assert note == statement("cell_anova", order=1, pure=False)


def test_no_error_left_gives_shares_and_a_reason(factorial, study):
    frame = factorial((2, 2), models=1, datasets=1, replicates=1, seed=1)
    table, _ = _anova(study(frame, "AB", interactions=2))
    assert table["A"]["statistic"] is None
    assert table["A"]["reason"] == statement("no_error_to_test")
    assert table["A"]["share"] is not None


@pytest.mark.parametrize(
    ("size", "num_df", "den_df"), [(0.1576408249537599, 5, 4800), (0.9, 1, 5000), (0.99, 1, 50000)]
)
def test_limits_of_large_effects_are_those_of_a_mixture_of_chi_squares(size, num_df, den_df):
    """Far out in the tail scipy's noncentral F is NaN; P(F <= f) = E[P(chi2(ncp) <= f k X / d)]."""
    found = with_interval(size, num_df, den_df)
    f = (size / num_df) / ((1 - size) / den_df)
    middles = stats.chi2.ppf((np.arange(20_000) + 0.5) / 20_000, den_df)
    for limit, probability in ((found.low, 0.975), (found.high, 0.025)):
        noncentrality = den_df * limit / (1 - limit)
        below = stats.ncx2.cdf(f * num_df * middles / den_df, num_df, noncentrality).mean()
        assert below == pytest.approx(probability, abs=2e-4)
