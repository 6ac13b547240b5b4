"""The ANOVA table against R's car and effectsize, statsmodels, and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.formula.api as smf
from scipy import stats
from statsmodels.stats.anova import anova_lm

from ablatekit.analysis.core.schema.vocabulary import statement
from ablatekit.analysis.stats.effectsize import with_interval
from ablatekit.analysis.study import analyse

CONTEXTS = ("model", "dataset")


def _anova(plan_and_tables, response="y"):
    result = analyse(*plan_and_tables, {}, [])["responses"][response]
    return {row["term"]: row for row in result["anova"]}, result["anova_note"]


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
    assert note == statement("cell_anova", type="III", order=2, pure=True)
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


def test_empty_cells_give_type_two_as_statsmodels(factorial, study):
    frame = factorial((2, 3), models=1, datasets=1, replicates=4, seed=7)
    frame = frame[~((frame["A"] == "l1") & (frame["B"] == "l2"))].iloc[1:]
    table, note = _anova(study(frame, "AB", CONTEXTS, interactions=1))
    assert note == statement("cell_anova", type="II", order=1, pure=True)
    additive = smf.ols("y ~ A + B", frame).fit()
    theirs = anova_lm(additive, typ=2)
    scale = np.sum((frame["y"] - frame.groupby(["A", "B"])["y"].transform("mean")) ** 2) / (
        len(frame) - 5
    )
    for name in ("A", "B"):
        expected = theirs.loc[name, "sum_sq"] / theirs.loc[name, "df"] / scale
        assert table[name]["statistic"] == pytest.approx(expected, rel=1e-9)
        assert table[name]["den_df"] == len(frame) - 5


def test_without_replicates_higher_interactions_are_the_error(factorial, study):
    frame = factorial((2, 2, 2), models=1, datasets=1, replicates=1, seed=1)
    table, note = _anova(study(frame, "ABC", interactions=1))
    theirs = anova_lm(smf.ols("y ~ A + B + C", frame.drop(columns=["model"])).fit())
    for name in "ABC":
        assert table[name]["p"] == pytest.approx(theirs.loc[name, "PR(>F)"], rel=1e-8)
    assert note == statement("cell_anova", type="III", order=1, pure=False)


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
