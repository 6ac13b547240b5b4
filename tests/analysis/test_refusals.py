"""Where there is no number there is a reason: one test per way of having none."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ablatekit.analysis.core.schema.vocabulary import statement
from ablatekit.analysis.study import analyse

CONTEXTS = ("model", "dataset")


@pytest.fixture
def analysed(study):
    def run(frame, factors, contexts=CONTEXTS, **options):
        result = analyse(*study(frame, factors, contexts, **options), {}, [])
        json.dumps(result, allow_nan=False)
        return result["responses"]["y"]

    return run


def _reasons(response, estimand, inference="narrow"):
    rows = [
        row
        for row in response["effects"]
        if (row["estimand"], row["inference"]) == (estimand, inference)
    ]
    assert rows
    assert all(row["se"] is None and row["p"] is None for row in rows)
    return {row["reason"]["code"] for row in rows}


def test_a_single_replicate_without_higher_interactions(factorial, analysed):
    found = analysed(factorial((2, 2), replicates=1), "AB", interactions=2)
    (reason,) = _reasons(found, "average")
    assert reason == "no_replicates"
    assert found["residual_sd"] is None


def test_an_empty_cell_takes_its_combination_out(factorial, analysed, pick):
    frame = factorial((2, 2), mean=lambda a, b, *_: a + 10 * a * b, sd=0.01)
    frame.loc[(frame["A"] == "l1") & (frame["B"] == "l1"), "y"] = np.nan
    found = analysed(frame, "AB")
    rows = found["effects"]
    row = pick(rows, factor="A", estimand="average", inference="narrow")
    assert (row["pairs"], row["of_pairs"]) == (6, 12)
    assert row["estimate"] == pytest.approx(1.0, abs=0.02)
    removal = pick(rows, factor="A", estimand="removal", inference="narrow")
    assert removal["reason"] == statement("no_shared_runs")
    assert _reasons(found, "shapley") == {"no_shared_runs"}
    assert _reasons(found, "interaction") == {"no_shared_runs"}


def test_an_all_failed_level_has_reasons_in_every_section(factorial, analysed, pick):
    frame = factorial((2, 2))
    frame.loc[frame["A"] == "l1", "y"] = np.nan
    found = analysed(frame, "AB")
    reason = statement("no_run_at_level", level="l1")
    for scope in ([], ["model"]):
        row = pick(found["effects"], factor="A", estimand="average", scope=scope)
        assert (row["estimate"], row["reason"]) == (None, reason)
        detectable = pick(found["detectable"], factor="A", estimand="average", scope=scope)
        assert (detectable["half_width"], detectable["reason"]) == (None, reason)
    assert pick(found["heterogeneity"], factor="A", scope=["model"])["reason"] == reason
    robust = found["robust"]
    assert pick(robust["improvement"], factor="A")["reason"] == reason
    assert pick(robust["permutation"], factor="A")["reason"] == reason
    assert pick(robust["iqm"], factor="A", level="l1")["reason"] == statement("unmatched_level")


def test_an_aliased_term_of_a_fraction(factorial, analysed):
    """Half of a 2^3 with C = A x B: under order 2 every main effect is aliased."""
    frame = factorial((2, 2, 2), replicates=1)
    high = (frame[["A", "B", "C"]] == "l1").sum(axis=1)
    found = analysed(frame[high % 2 == 0].reset_index(drop=True), "ABC", interactions=2)
    (reason,) = _reasons(found, "average")
    assert reason == "aliased_below_order"
    assert statement("aliased_term") in [row["reason"] for row in found["anova"]]


def test_a_constant_response(factorial, analysed):
    found = analysed(factorial((2, 2), sd=0.0), "AB")
    assert _reasons(found, "average") == {"constant_response"}
    assert _reasons(found, "average", "broad") == {"same_in_every_level", "too_few_levels"}
    assert found["anova"][0]["reason"] == statement("no_response_varies")
    assert found["robust"]["profiles"] == []


def test_one_context_has_no_broad_inference(factorial, analysed, pick):
    found = analysed(factorial((2, 2), models=1, datasets=1), "AB")
    (reason,) = _reasons(found, "average", "broad")
    assert reason == "no_blocking_variable"
    none = statement("no_blocking_variable")
    assert pick(found["heterogeneity"], factor="A")["reason"] == none


@pytest.mark.parametrize("bound", [0.0, 1.0])
def test_cells_at_a_bound_are_told(factorial, analysed, response, bound):
    """Cells of 0% or 100% have no variance of their own; the pooled one stands, with a warning."""
    frame = factorial((2, 2), mean=lambda *_: 0.5, sd=0.05)
    frame.loc[frame["A"] == "l1", "y"] = bound
    found = analysed(frame, "AB", responses=[response("y", unit="accuracy")])
    near = [row for row in found["diagnostics"]["near_bounds"] if row["mean"] == bound]
    assert len(near) == 12
    messages = found["diagnostics"]["messages"]
    assert statement("near_bounds", cells=12) in messages
    assert "unequal_variances" in [message["code"] for message in messages]


def test_every_run_at_a_bound_is_a_constant_response(factorial, analysed):
    found = analysed(factorial((2,), mean=lambda *_: 1.0, sd=0.0), "A")
    assert _reasons(found, "average") == {"constant_response"}
