"""Learning against generalization."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from ablatekit.analysis.core.schema.vocabulary import statement
from ablatekit.analysis.study import analyse

CONTEXTS = ("model", "dataset")


@pytest.fixture
def paired(factorial):
    """Strong run-to-run noise shared by both responses; A widens the gap by 0.1, B does nothing."""
    frame = factorial((2, 2), seed=4, sd=1.0).rename(columns={"y": "learning"})
    rng = np.random.default_rng(5)
    gap = 0.2 + 0.1 * (frame["A"] == "l1") + 0.005 * rng.normal(size=len(frame))
    return frame.assign(generalization=frame["learning"] - gap)


def _responses(response, first, second):
    return [
        response("learning", smallest_effect=first),
        response("generalization", smallest_effect=second),
    ]


def test_effects_on_the_gap_are_paired_within_the_run(paired, study, response, pick):
    plan, tables = study(paired, "AB", CONTEXTS, responses=_responses(response, 0.03, 0.02))
    result = analyse(plan, tables, {}, [])
    gap = result["comparisons"]["gap"]
    wide = pick(gap["effects"], factor="A", estimand="average", inference="narrow")
    paired = paired.assign(gap=paired["learning"] - paired["generalization"])
    means = paired.groupby("A")["gap"].mean()
    variance = paired.groupby(["A", "B", *CONTEXTS])["gap"].var().mean()
    assert wide["estimate"] == pytest.approx(means["l1"] - means["l0"])
    assert wide["se"] == pytest.approx(np.sqrt(variance * 4 / len(paired)))
    assert wide["verdict"] == "widens"
    assert wide["size"] == "by_more"
    flat = pick(gap["effects"], factor="B", estimand="average", inference="narrow")
    assert (flat["verdict"], flat["size"]) == ("narrows", "less")
    named = {"response": "gap", "estimand": "average", "inference": "narrow", "scope": []}
    assert flat["family"] == statement("effect_family", **named)
    assert statement("gap_rule", alpha=0.05, smallest_effect=0.02) in gap["footer"]
    learning = pick(
        result["responses"]["learning"]["effects"],
        factor="A",
        estimand="average",
        inference="narrow",
    )
    assert learning["verdict"] == "inconclusive"


def test_broad_gap_is_the_t_over_levels_of_a_variable(paired, study, response, pick):
    plan, tables = study(paired, "AB", CONTEXTS, responses=_responses(response, None, 0.02))
    gap = analyse(plan, tables, {}, [])["comparisons"]["gap"]
    row = pick(gap["effects"], factor="B", estimand="average", scope=["model"])
    cells = paired.assign(gap=paired["learning"] - paired["generalization"])
    means = cells.groupby([*CONTEXTS, "B"])["gap"].mean().unstack("B")
    values = (means["l1"] - means["l0"]).groupby(level="model").mean()
    assert row["p"] == pytest.approx(stats.ttest_1samp(values, 0).pvalue)
    plain = pick(gap["plain_contexts"], factor="B", estimand="average")
    assert plain["p"] == pytest.approx(stats.ttest_1samp(means["l1"] - means["l0"], 0).pvalue)
    assert row["size"] is None
    assert statement("gap_rule", alpha=0.05, smallest_effect=None) in gap["footer"]


def test_narrowing_and_runs_without_both_responses(paired, study, response, pick):
    paired.loc[3, "generalization"] = np.nan
    plan, tables = study(
        paired, "AB", CONTEXTS, responses=_responses(response, 0.02, 0.02), baselines={"A": "l1"}
    )
    gap = analyse(plan, tables, {}, [])["comparisons"]["gap"]
    row = pick(gap["effects"], factor="A", estimand="average", inference="narrow")
    assert row["verdict"] == "narrows"
    assert gap["messages"] == [statement("unpaired_runs", runs=1)]


def test_no_gap_without_both_responses(factorial, study):
    assert analyse(*study(factorial((2,)), "A", CONTEXTS), {}, [])["comparisons"] == {}


def _gap(paired, study, response, *changes):
    names = ("learning", "generalization")
    responses = [response(name, **one) for name, one in zip(names, changes, strict=True)]
    plan, tables = study(paired, "AB", CONTEXTS, responses=responses)
    return analyse(plan, tables, {}, [])["comparisons"]["gap"]


def test_the_gap_of_losses_widens_when_generalization_falls_behind(paired, study, response, pick):
    gains = _gap(paired, study, response, {}, {})
    losses = paired.assign(learning=-paired["learning"], generalization=-paired["generalization"])
    lower = {"direction": "lower"}
    found = _gap(losses, study, response, lower, lower)
    assert (
        pick(found["effects"], factor="A", estimand="average", inference="narrow")["verdict"]
        == "widens"
    )
    assert [row["estimate"] for row in found["effects"]] == pytest.approx(
        [row["estimate"] for row in gains["effects"]]
    )
    assert statement("gap", direction="lower") in found["footer"]
    assert statement("gap", direction="higher") in gains["footer"]


@pytest.mark.parametrize(
    ("change", "learning"),
    [
        ({"direction": "lower"}, ["higher"]),
        ({"unit": "nats"}, [""]),
        ({"summary": "best"}, ["final"]),
        ({"unit": "nats", "summary": "auc"}, ["", "final"]),
    ],
)
def test_responses_that_cannot_be_subtracted_have_no_gap(paired, study, response, change, learning):
    found = _gap(paired, study, response, {}, change)
    reason = statement(
        "unlike_responses",
        parts=list(change),
        learning=learning,
        generalization=list(change.values()),
    )
    assert found["effects"]
    for row in found["effects"]:
        assert (row["estimate"], row["verdict"], row["reason"]) == (None, "not_estimated", reason)
    assert found["messages"] == [reason]
    assert found["footer"] == [statement("no_gap", reason=reason)]


@pytest.mark.parametrize("replicates", [1, 2])
def test_without_any_value_the_reason_says_so(factorial, study, response, pick, replicates):
    frame = factorial((2, 2), replicates=replicates).assign(generalization=np.nan)
    frame = frame.rename(columns={"y": "learning"})
    plan, tables = study(frame, "AB", CONTEXTS, responses=_responses(response, None, None))
    result = analyse(plan, tables, {}, [])
    rows = result["responses"]["generalization"]["effects"]
    assert {row["reason"]["code"] for row in rows} == {"no_response_value"}
    gap = result["comparisons"]["gap"]
    assert {row["reason"]["code"] for row in gap["effects"]} == {"no_run_of_both"}
    learning = pick(
        result["responses"]["learning"]["effects"],
        factor="A",
        estimand="average",
        scope=["model"],
    )
    assert learning["estimate"] is not None
