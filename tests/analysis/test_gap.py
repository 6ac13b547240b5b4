"""Learning against generalization."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from ablatekit.analysis.analyse import analyse

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
    flat = pick(gap["effects"], factor="B", estimand="average", inference="broad")
    assert flat["verdict"] == "equivalent"
    assert flat["family"] == "gap: average effects, broad"
    assert "within +-0.02, the smaller of the two" in gap["footer"]
    learning = pick(
        result["responses"]["learning"]["effects"],
        factor="A",
        estimand="average",
        inference="narrow",
    )
    assert learning["verdict"] == "inconclusive"


def test_broad_gap_is_the_t_over_context_values(paired, study, response, pick):
    plan, tables = study(paired, "AB", CONTEXTS, responses=_responses(response, None, 0.02))
    gap = analyse(plan, tables, {}, [])["comparisons"]["gap"]
    row = pick(gap["effects"], factor="B", estimand="average", inference="broad")
    cells = paired.assign(gap=paired["learning"] - paired["generalization"])
    means = cells.groupby([*CONTEXTS, "B"])["gap"].mean().unstack("B")
    assert row["p"] == pytest.approx(stats.ttest_1samp(means["l1"] - means["l0"], 0).pvalue)
    assert row["verdict"] == "inconclusive"
    assert "no smallest effect is declared for both" in gap["footer"]


def test_narrowing_and_runs_without_both_responses(paired, study, response, pick):
    paired.loc[3, "generalization"] = np.nan
    plan, tables = study(
        paired, "AB", CONTEXTS, responses=_responses(response, 0.02, 0.02), baselines={"A": "l1"}
    )
    gap = analyse(plan, tables, {}, [])["comparisons"]["gap"]
    row = pick(gap["effects"], factor="A", estimand="average", inference="narrow")
    assert row["verdict"] == "narrows"
    assert gap["messages"] == ["1 run without both responses left out"]


def test_no_gap_without_both_responses(factorial, study):
    assert analyse(*study(factorial((2,)), "A", CONTEXTS), {}, [])["comparisons"] == {}
