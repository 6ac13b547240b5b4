"""The trust box: which reasons are said, in which order, and how loud."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from ablatekit.analysis.core.schema.vocabulary import statement
from ablatekit.analysis.table import analyse_table
from ablatekit.report.brief.trust import GRAVITY, SAME_SUBJECT, ranked_reasons, trust_box

OPINION = {
    "recomputed": 41, "of": 43, "worst": 3.1e-12, "kinds": [], "not_recomputed": [],
    "disagreements": [],
}  # fmt: skip


def effects_of(analysis: Any, response: str = "generalization") -> Any:
    return [row for row in analysis["responses"][response]["effects"] if row["df"] is not None]


@pytest.fixture
def calm(analysis: Any) -> Any:
    """The fixture analysis without a reason to worry: five models, no warning."""
    for response in analysis["responses"].values():
        response["diagnostics"]["messages"] = []
    analysis["design"]["contexts"] = [{"model": name} for name in "abcde"]
    return analysis


def test_sound_evidence_has_no_serious_reason(calm: Any) -> None:
    box = trust_box(calm)
    assert box.level == "sound"
    assert box.points == []


@pytest.mark.parametrize(
    ("contexts", "said"),
    [
        ([{}], "No models or data sets are told apart"),
        ([{"model": "a"}], "One model (a): nothing says whether it holds on others."),
        ([{"model": "a", "dataset": "x"}, {"model": "b", "dataset": "x"}],
         "It holds for these 2 models and one data set: too few to speak for others."),
        ([{"model": m, "dataset": "x"} for m in "abcdef"],
         "One data set (x): nothing says whether it holds on others."),
        ([{"model": m, "dataset": d} for m in "abc" for d in "xy"],
         "It holds for these 3 models and 2 data sets: a small sample to speak for others."),
    ],
)  # fmt: skip
def test_how_far_the_contexts_reach(calm: Any, contexts: Any, said: str) -> None:
    calm["design"]["contexts"] = contexts
    box = trust_box(calm)
    assert box.level == "limited"
    assert len(box.points) == 1
    assert box.points[0].startswith(said)


@pytest.mark.parametrize(("models", "said"), [(30, False), (4, True)])
def test_one_row_per_cell_in_many_contexts_is_repeated_by_them(models: int, said: bool) -> None:
    rng = np.random.default_rng(1)
    rows = [
        {"a": a, "model": f"m{m}", "y": 10.0 * (a == "1") + rng.normal()}
        for a in "01" for m in range(models)
    ]  # fmt: skip
    analysis = analyse_table(pd.DataFrame(rows), "y", ["a"], ["model"])
    assert ("one_per_cell" in [reason.code for reason in ranked_reasons(analysis)]) is said


def test_one_run_per_cell_is_weak_and_comes_first(calm: Any) -> None:
    calm["design"]["replicates"] = 1
    calm["deviations"] = ["look 2: p values not adjusted for looks"]
    calm["responses"]["generalization"]["model"]["method"] = statement(
        "truncated_least_squares", order=1
    )
    box = trust_box(calm)
    assert box.level == "weak"
    assert "Weak" in box.title
    assert box.points[0].startswith("One run per cell")
    assert box.points[1:] == [
        "look 2: p values not adjusted for looks",
        "The effects assume that choices add up without interacting.",
    ]


@pytest.mark.parametrize(("df", "level"), [(4.0, "weak"), (9.0, "limited"), (10.0, "sound")])
def test_few_degrees_of_freedom(calm: Any, df: float, level: str) -> None:
    for row in effects_of(calm):
        row["df"] = df
    box = trust_box(calm)
    assert box.level == level
    assert any(f"{df:g} degrees of freedom" in point for point in box.points) == (df < 10)


def test_a_disagreement_of_the_second_opinion_is_grave(calm: Any) -> None:
    row = {"kind": "narrow", "name": "rollouts 4", "ours": 0.5, "theirs": 0.4}
    calm["second_opinion"] = {**OPINION, "disagreements": [row]}
    box = trust_box(calm)
    assert box.level == "weak"
    assert "differs on rollouts 4" in box.points[0]
    calm["second_opinion"] = OPINION
    assert trust_box(calm).points == [
        (
            "A second program recomputed 41 of 43 numbers and agrees; the others are beyond what"
            " it can do."
        )
    ]


def test_an_opinion_that_recomputed_nothing_does_not_agree(calm: Any) -> None:
    calm["second_opinion"] = {**OPINION, "recomputed": 0}
    assert trust_box(calm).points == []


def test_levels_without_a_match_or_an_estimate_are_named(calm: Any) -> None:
    for row in calm["responses"]["generalization"]["effects"]:
        if row["level"] == "4":
            row["notes"] = [statement("model_based", order=1)]
        if row["level"] == "q64":
            row.update(verdict="not_estimated", estimate=None, low=None, high=None)
            row["reason"] = statement("aliased_with", partners=["rollouts"])
    assert trust_box(calm).points == [
        "rollouts per query 4 rests on a model alone: no two cells differ in just that choice.",
        "queries q64 has no estimate.",
    ]


def test_without_any_test_the_box_is_loud(calm: Any) -> None:
    for row in calm["responses"]["generalization"]["effects"]:
        row.update(verdict="not_estimated", low=None, high=None, df=None)
        row["reason"] = statement("no_replicates")
    box = trust_box(calm)
    assert (box.level, box.points[0]) == ("weak", "No effect could be tested.")


def test_runs_that_were_lost_count_from_a_share_on(calm: Any) -> None:
    calm["counts"].update(diverged=4, analysed=191)
    assert trust_box(calm).points == []
    calm["counts"].update(diverged=8, analysed=190)
    assert trust_box(calm).points == ["Of 192 runs, 8 diverged and 2 have no value."]


def test_diverged_runs_that_are_left_out_are_counted_once(calm: Any) -> None:
    calm["counts"].update(diverged=10, analysed=180)
    calm["study"]["analysis"] = {**calm["study"].get("analysis", {}), "diverged": "exclude"}
    said = "Of 192 runs, 10 diverged and are left out and 2 have no value."
    assert trust_box(calm).points == [said]


def test_a_table_without_a_plan_says_so(calm: Any) -> None:
    calm["study"]["backend"] = "table"
    calm["counts"].update(diverged=0, failed=0, finished=192, analysed=192)
    guessed = statement("direction_guessed", direction="higher", word="")
    calm["responses"]["learning"]["diagnostics"]["messages"] = [guessed]
    for response in calm["responses"].values():
        response["smallest_effect"] = None
        for row in response["effects"]:
            row["price"] = None
    box = trust_box(calm)
    assert box.level == "limited"
    assert box.points[0].startswith("No plan assigned the levels")
    assert box.points[1].startswith("Whether higher or lower values are better was guessed")
    assert box.points[2:] == ["3 smaller remarks in the sections below."]
    codes = [reason.code for reason in ranked_reasons(calm)]
    assert {"no_smallest", "no_price"} < set(codes)


def test_one_subject_is_said_once_and_in_plain_words(calm: Any) -> None:
    for name, response in calm["responses"].items():
        cells = len(name)
        response["diagnostics"]["messages"] = [
            statement("near_bounds", cells=cells),
            statement("shorter_broad", scope=["model"], effects=["rollouts: 4"]),
        ]
    calm["comparisons"]["gap"]["messages"] = [statement("gap_near_bounds", cells=14)]
    assert trust_box(calm).points == [
        "8 means lie within 0.05 of 0 or 1, where effects have no room.",
        (
            "Intervals over models may be too short: the few values behind them lie close together"
            " by chance."
        ),
        "2 smaller remarks in the sections below.",
    ]


def test_minor_warnings_are_counted(calm: Any) -> None:
    messages = calm["responses"]["learning"]["diagnostics"]["messages"]
    messages.append(statement("unequal_variances", p=0.02, pooled=False))
    box = trust_box(calm)
    assert (box.level, box.points) == ("sound", ["1 smaller remark in the sections below."])


def test_every_subject_has_a_gravity() -> None:
    assert set(SAME_SUBJECT.values()) <= set(GRAVITY)


def test_the_appendix_has_what_is_only_counted(calm: Any, page_without_figures: Any) -> None:
    learning = calm["responses"]["learning"]
    learning["diagnostics"]["messages"] = [statement("unequal_variances", p=0.02, pooled=False)]
    learning["missing"]["messages"] = [statement("without_result", runs=3)]
    text = page_without_figures(calm)
    assert "run-to-run variance differs between cells" in text
    assert "3 runs without a result" in text
