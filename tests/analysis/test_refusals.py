"""Where there is no number there is a reason: one test per way of having none."""

from __future__ import annotations

import json

import numpy as np
import pytest

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
    return {row["reason"] for row in rows}


def test_a_single_replicate_without_higher_interactions(factorial, analysed):
    found = analysed(factorial((2, 2), replicates=1), "AB", interactions=2)
    (reason,) = _reasons(found, "average")
    assert reason == (
        "no cell has two runs in one context, so nothing estimates the seed noise; add replicates"
    )
    assert found["residual_sd"] is None


def test_an_empty_cell_takes_its_combination_out(factorial, analysed, pick):
    frame = factorial((2, 2), mean=lambda a, b, *_: a + 10 * a * b, sd=0.01)
    frame.loc[(frame["A"] == "l1") & (frame["B"] == "l1"), "y"] = np.nan
    found = analysed(frame, "AB")
    rows = found["effects"]
    row = pick(rows, factor="A", estimand="average", inference="narrow")
    assert row["note"] == "without the combinations whose runs are missing: B=l1"
    assert row["estimate"] == pytest.approx(1.0, abs=0.02)
    reason = "no matched pair of cells has runs in the same contexts"
    assert pick(rows, factor="A", estimand="removal", inference="narrow")["reason"] == reason
    assert _reasons(found, "shapley") == {reason}
    assert _reasons(found, "interaction") == {reason}


def test_an_all_failed_level_has_reasons_in_every_section(factorial, analysed, pick):
    frame = factorial((2, 2))
    frame.loc[frame["A"] == "l1", "y"] = np.nan
    found = analysed(frame, "AB")
    reason = "no matched pair of cells has runs in the same contexts"
    for inference in ("narrow", "broad"):
        row = pick(found["effects"], factor="A", estimand="average", inference=inference)
        assert (row["estimate"], row["reason"]) == (None, reason)
        detectable = pick(found["detectable"], factor="A", estimand="average", inference=inference)
        assert (detectable["half_width"], detectable["reason"]) == (None, reason)
    assert pick(found["heterogeneity"], factor="A")["reason"] == reason
    robust = found["robust"]
    assert pick(robust["improvement"], factor="A")["reason"] == reason
    assert pick(robust["permutation"], factor="A")["reason"] == reason
    assert pick(robust["iqm"], factor="A", level="l1")["reason"] == "no run has a value"


def test_an_aliased_term_of_a_fraction(factorial, analysed):
    """Half of a 2^3 with C = A x B: under order 2 every main effect is aliased."""
    frame = factorial((2, 2, 2), replicates=1)
    high = (frame[["A", "B", "C"]] == "l1").sum(axis=1)
    found = analysed(frame[high % 2 == 0].reset_index(drop=True), "ABC", interactions=2)
    (reason,) = _reasons(found, "average")
    assert reason == "not estimable: aliased under no interaction above order 2"
    terms = {row["term"]: row["reason"] for row in found["anova"]}
    assert "aliased with other terms" in terms.values()


def test_a_constant_response(factorial, analysed):
    found = analysed(factorial((2, 2), sd=0.0), "AB")
    assert _reasons(found, "average") == {"the response is constant over all runs"}
    assert _reasons(found, "average", "broad") == {
        "the contrast has the same value in every context, so its spread is unknown"
    }
    assert found["anova"][0]["reason"] == "nothing varies: the response is constant"
    assert found["robust"]["profiles"] == []


def test_one_context_has_no_broad_inference(factorial, analysed, pick):
    found = analysed(factorial((2, 2), models=1, datasets=1), "AB")
    (reason,) = _reasons(found, "average", "broad")
    assert reason.startswith("1 of at least 5 contexts: too few to generalise from")
    assert pick(found["heterogeneity"], factor="A")["reason"] == "1 of at least 5 contexts"


@pytest.mark.parametrize("bound", [0.0, 1.0])
def test_cells_at_a_bound_are_told(factorial, analysed, response, bound):
    """Cells of 0% or 100% have no variance of their own; the pooled one stands, with a warning."""
    frame = factorial((2, 2), mean=lambda *_: 0.5, sd=0.05)
    frame.loc[frame["A"] == "l1", "y"] = bound
    found = analysed(frame, "AB", responses=[response("y", unit="accuracy")])
    near = [row for row in found["diagnostics"]["near_bounds"] if row["mean"] == bound]
    assert len(near) == 12
    messages = " ".join(found["diagnostics"]["messages"])
    assert (
        "12 cell means within 0.05 of 0 or 1: unequal room alone makes effects differ" in messages
    )
    assert "run-to-run variance differs between cells" in messages


def test_every_run_at_a_bound_is_a_constant_response(factorial, analysed):
    found = analysed(factorial((2,), mean=lambda *_: 1.0, sd=0.0), "A")
    assert _reasons(found, "average") == {"the response is constant over all runs"}
