"""The methods paragraph states what the analysis holds, and cites only what it used."""

from __future__ import annotations

import pytest

from ablatekit.analysis.core.schema.vocabulary import statement
from ablatekit.report.language.references import references
from ablatekit.report.sections.methods import methods_section


@pytest.fixture
def text(analysis):
    def written():
        return " ".join(methods_section(analysis).blocks[0].paragraphs)

    return written


def test_numbers_come_from_the_analysis(text):
    said = text()
    for phrase in (
        "4 factors",
        "30 cells were run in 6 contexts (model \N{MULTIPLICATION SIGN} dataset)",
        "2 independent replicates",
        "among them the budget of 60 rounds",
        "smallest effect that matters was set to 2 pp",
        "residual df of the saturated cell means, df 96",
        "t over means of the variable's levels, df 5",
        "90% interval",
        "Of 192 planned runs, 192 started, 190 finished, 1 diverged and 1 failed",
        "191 were analysed",
        "Diverged runs enter with their last valid score",
        "Excluded: advantage = group_norm, rollouts = 1",
        "ablatekit 0.1.0, numpy 2.0.0",
    ):
        assert phrase in said


def test_the_minimalist_baseline_is_cited_where_it_is_the_baseline(analysis, text):
    assert "2601.22532" in " ".join(one.text for one in references(analysis))
    assert "minimalist baseline of Xie et al." in text()


@pytest.mark.parametrize(
    "change",
    [
        lambda analysis: analysis["study"].update(backend="simulated"),
        lambda analysis: analysis["design"]["factors"][0].update(baseline="batch_norm"),
        lambda analysis: analysis["design"]["factors"][1].update(baseline="4"),
        lambda analysis: analysis["design"]["factors"].pop(0),
    ],
)
def test_it_is_not_cited_elsewhere(analysis, text, change):
    change(analysis)
    assert "2601.22532" not in " ".join(one.text for one in references(analysis))
    assert "Xie" not in text()


def test_a_table_without_a_plan_is_not_called_planned(analysis, text):
    assert "in randomised order" in text()
    assert "frozen before the first run, with no deviation" in text()
    analysis["study"]["backend"] = "table"
    for claim in ("randomised", "frozen", "equal in all runs", "evaluation draws"):
        assert claim not in text()


def test_the_variance_test_is_reported_with_its_p_values(text):
    assert "Brown and Forsythe (1974): Learning p = 0.021; Generalization p = 0.410." in text()


def test_unused_methods_are_neither_described_nor_cited(analysis, text):
    analysis["study"]["analysis"]["adjust"] = "none"
    for response in analysis["responses"].values():
        response["smallest_effect"] = None
        response["diagnostics"]["brown_forsythe_p"] = None
    analysis["study"]["backend"] = "simulated"
    assert references(analysis) == []
    assert "Holm" not in text()
    assert "Otherwise it is called equivalent" not in text()


def test_levels_that_cost_more_are_named(analysis, text):
    analysis["design"]["cost"] = [
        {"factor": "rollouts", "level": level, "metric": "cost/samples", "mean": mean}
        for level, mean in (("1", 1920.0), ("4", 7680.0))
    ] + [
        {"factor": "queries", "level": level, "metric": "cost/updates", "mean": 60.0}
        for level in ("q32", "q64")
    ]
    said = text()
    assert "samples (rollouts per query 1: 1,920, 4: 7,680)." in said
    assert "updates" not in said


def test_the_analysis_of_variance_is_a_sentence(analysis, text):
    for response in analysis["responses"].values():
        response["anova_note"] = statement("cell_anova", order=2, pure=True)
    told = (
        "uses type III sums of squares by estimable hypotheses, tested against runs within cell and"
        " context."
    )
    assert told in text()
