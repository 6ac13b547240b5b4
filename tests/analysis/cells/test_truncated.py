"""Incomplete designs and hidden replication, against statsmodels."""

from __future__ import annotations

import pytest
import statsmodels.formula.api as smf

from ablatekit.analysis.core.schema.vocabulary import statement
from ablatekit.analysis.study import analyse

CONTEXTS = ("model", "dataset")


def _response(plan_and_tables):
    return analyse(*plan_and_tables, {}, [])["responses"]["y"]


def test_one_replicate_of_a_full_factorial_uses_higher_interactions_as_error(
    factorial, study, pick
):
    frame = factorial((2, 2, 2), replicates=1, seed=3, mean=lambda a, b, c, m, _: a + b * c + m)
    result = _response(study(frame, "ABC", CONTEXTS, interactions=2))
    row = pick(result["effects"], factor="A", estimand="average", inference="narrow")
    context = frame["model"] + frame["dataset"]
    fit = smf.ols(
        "y ~ context * (A + B + W)**2 - context:A:B:W",
        frame.rename(columns={"C": "W"}).assign(context=context),
    ).fit()
    means = frame.groupby("A")["y"].mean()
    assert row["estimate"] == pytest.approx(means["l1"] - means["l0"])
    assert row["df"] == fit.df_resid == 6
    assert row["se"] == pytest.approx((fit.scale * 4 / len(frame)) ** 0.5)
    assert row["method"] == statement("hidden_replication_t", order=2)
    assert row["notes"] == [statement("assumes_order", order=2)]
    shapley = pick(result["effects"], factor="A", estimand="shapley", inference="narrow")
    assert shapley["estimate"] is None
    assert shapley["reason"] == statement("shapley_is_average", order=2)


def test_one_replicate_without_higher_interactions_refuses_narrow_inference(factorial, study, pick):
    frame = factorial((2, 2), replicates=1, seed=3)
    result = _response(study(frame, "AB", CONTEXTS, interactions=2))
    row = pick(result["effects"], factor="A", estimand="average", inference="narrow")
    means = frame.groupby("A")["y"].mean()
    assert row["estimate"] == pytest.approx(means["l1"] - means["l0"])
    assert (row["se"], row["verdict"]) == (None, "not_estimated")
    assert row["reason"] == statement("no_replicates")
    broad = pick(result["effects"], factor="A", estimand="average", scope=["model"])
    assert broad["p"] is not None


def test_a_half_fraction_is_estimated_under_main_effects(factorial, study, pick):
    """2^(3-1) with I = ABC: no two cells differ in one factor only."""
    frame = factorial((2, 2, 2), replicates=2, seed=5, mean=lambda a, b, c, *_: a - b + 2 * c)
    parity = sum(frame[name].str[1].astype(int) for name in "ABC") % 2
    frame = frame[parity == 1]
    result = _response(study(frame, "ABC", CONTEXTS, interactions=1))
    row = pick(result["effects"], factor="C", estimand="average", inference="narrow")
    baselines = {name: frame[name].iloc[0] for name in "ABC"}
    sign = -1 if baselines["C"] == "l1" else 1
    means = frame.groupby("C")["y"].mean()
    assert row["estimate"] == pytest.approx(sign * (means["l1"] - means["l0"]))
    fit = smf.ols("y ~ (A + B + C) * model * dataset", frame).fit()
    assert row["df"] == fit.df_resid
    assert row["se"] == pytest.approx((fit.scale * 4 / len(frame)) ** 0.5)
    assert row["averaged_over"]["arguments"]["grid"]
    assert statement("truncated_model", order=1) in result["footers"]["narrow"]


def test_an_aliased_effect_is_refused(factorial, study, pick):
    """The half fraction cannot tell A from B:C once two-way interactions are in the model."""
    frame = factorial((2, 2, 2), replicates=2, seed=5)
    parity = sum(frame[name].str[1].astype(int) for name in "ABC") % 2
    result = _response(study(frame[parity == 1], "ABC", CONTEXTS, interactions=2))
    row = pick(result["effects"], factor="A", estimand="average", inference="narrow")
    assert row["estimate"] is None
    assert row["reason"] == statement("aliased_below_order", order=2)


def test_one_at_a_time_without_replicates_has_no_error(factorial, study, pick):
    frame = factorial((2, 2), replicates=1, seed=5)
    frame = frame[~((frame["A"] == "l1") & (frame["B"] == "l1"))]
    result = _response(study(frame, "AB", CONTEXTS, interactions=1))
    row = pick(result["effects"], factor="A", estimand="baseline", inference="narrow")
    assert row["estimate"] is not None
    assert row["se"] is None
    assert row["reason"] == statement("no_replicates")


def test_one_at_a_time_with_replicates_uses_its_own_cells(factorial, study, pick):
    frame = factorial((2, 2), replicates=3, seed=5)
    frame = frame[~((frame["A"] == "l1") & (frame["B"] == "l1"))]
    result = _response(study(frame, "AB", CONTEXTS, interactions=1))
    row = pick(result["effects"], factor="A", estimand="average", inference="narrow")
    assert row["df"] == 36
    assert row["method"] == statement("cell_means_t")
