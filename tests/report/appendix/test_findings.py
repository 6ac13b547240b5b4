"""What sections say they found, from the numbers of the analysis."""

from __future__ import annotations

from typing import Any

import pytest

from ablatekit.report.appendix import findings
from ablatekit.report.language.appendix import findings as words
from ablatekit.report.language.numbers import Scale
from ablatekit.report.language.reading import Subject

POINTS = Scale(100.0, "pp", 1)
STUDY, TABLE = Subject("run", True, 6, True), Subject("row", False, 1, False)
MINUS = "\N{MINUS SIGN}"


def average(analysis: Any, level: str, response: str = "learning") -> Any:
    return next(
        row
        for row in analysis["responses"][response]["effects"]
        if (row["level"], row["estimand"], row["inference"]) == (level, "average", "narrow")
    )


def test_effects_count_signs_and_name_the_largest_difference(analysis: Any) -> None:
    said = findings.effects(analysis)
    assert said.startswith("All ")
    row = average(analysis, "batch_norm")
    other = next(
        part
        for part in analysis["responses"]["learning"]["effects"]
        if (part["level"], part["estimand"], part["inference"])
        == ("batch_norm", "baseline", "narrow")
    )
    other["estimate"] = -row["estimate"]
    apart = f"{200 * row['estimate']:.1f} points (advantage: batch_norm, Learning)"
    changed = findings.effects(analysis)
    assert apart in changed
    assert not changed.startswith("All ")


def test_without_effects_at_the_baseline_the_largest_is_named(analysis: Any) -> None:
    for part in analysis["responses"].values():
        part["effects"] = [row for row in part["effects"] if row["estimand"] == "average"]
    assert findings.effects(analysis).startswith("The largest effect is that of rollouts per")
    for part in analysis["responses"].values():
        for row in part["effects"]:
            row["estimate"] = None
    assert findings.effects(analysis).startswith("None of ")


def test_the_gap_counts_its_verdicts(analysis: Any) -> None:
    rows = analysis["comparisons"]["gap"]["effects"]
    widened = sum(row["verdict"] == "widens" and row["inference"] == "narrow" for row in rows)
    assert widened
    assert f" {widened} widen" in findings.gap(analysis)
    for row in rows:
        row["verdict"] = "inconclusive"
    assert "is shown to change the gap; the largest change is " in findings.gap(analysis)


def test_contexts_with_another_sign_are_named(analysis: Any) -> None:
    for response in analysis["responses"].values():
        for row in response["contexts"]:
            row["estimate"] = 0.01
    assert findings.contexts(analysis).startswith("All 10 effects have the same sign")
    row["estimate"] = -0.01
    said = f"except KL penalty: {row['level']} on Generalization (5 of 6)."
    assert findings.contexts(analysis).endswith(said)


def test_an_effect_that_some_contexts_lack_is_not_said_of_all(analysis: Any) -> None:
    for response in analysis["responses"].values():
        for row in response["contexts"]:
            row["estimate"] = 0.01
    row["estimate"] = None
    said = "All 10 effects have the same sign in every context with them."
    assert findings.contexts(analysis) == said


def test_effects_over_training_without_a_step_between_say_how_curves_end(analysis: Any) -> None:
    row = {"factor": "kl", "level": "k3"}
    steps = [row | {"step": step, "estimate": size} for step, size in ((0, 0.0), (8, -0.1))]
    response = analysis["responses"]["generalization"]
    response["effects_over_training"] = steps
    assert "ends better than it began at" in findings.dynamics(analysis)
    response["effects_over_training"] = [*steps, row | {"step": 4, "estimate": -0.01}]
    assert findings.dynamics(analysis).startswith("The one effect has halfway through training")


def test_lost_runs_are_counted(analysis: Any) -> None:
    said = "191 of 192 runs were analysed; 1 diverged, 1 failed."
    assert findings.missing(analysis) == said
    analysis["counts"].update(finished=192, analysed=192, diverged=0, failed=0)
    assert findings.missing(analysis) == "All 192 planned runs finished and were analysed."


def test_shares_are_those_of_generalization_and_the_largest_first(analysis: Any) -> None:
    rows = analysis["responses"]["generalization"]["anova"]
    largest = max((row for row in rows if row["share"]), key=lambda row: row["share"])
    said = findings.variance(analysis)
    assert said.startswith("Of the variance of Generalization: ")
    assert f"{100 * largest['share']:.1f}%" in said.split(",")[0]


def test_the_best_configuration_is_by_the_direction_of_the_response(analysis: Any) -> None:
    effect = average(analysis, "4", "generalization")
    cell = {**effect, "factor": "configuration", "estimand": "configuration", "may_be_best": True}
    rows = [
        {**cell, "level": name, "estimate": size, "low": size - 0.01, "high": size + 0.01}
        for name, size in (("a=1", 0.04), ("b=1", -0.05))
    ]
    response = analysis["responses"]["generalization"]
    response["configurations"] = {"rows": rows, "baseline_may_be_best": False}
    said = "Largest gain on Generalization: a=1, +4.0 points [3.0, 5.0]; 1 of 2 other cells may be"
    assert findings.configurations(analysis) == f"{said} as good."
    rows[1]["may_be_best"] = False
    assert findings.configurations(analysis).startswith("Best on Generalization: a=1")
    assert findings.configurations(analysis).endswith("no other cell may be the best.")
    response["direction"] = "lower"
    assert f"on Generalization: b=1, {MINUS}5.0" in findings.configurations(analysis)
    for row in rows:
        row["may_be_best"] = None
    assert findings.configurations(analysis).startswith("Largest gain on Generalization: b=1")
    rows[1].update(estimate=0.01, low=0.0, high=0.02)
    assert findings.configurations(analysis).startswith("No cell gains on Generalization; the near")


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        (words.of_all(8, 8, "effect"), "all 8 effects"),
        (words.of_all(1, 1, "effect"), "the one effect"),
        (words.sized(-0.021, None, None, POINTS), f"{MINUS}2.1 points"),
        (words.gap(1, 2, 4, ""), "Of 4 levels, 1 widens and 2 narrow the gap."),
        (words.contexts(2, 6, []), "Both effects have the same sign in all 6 contexts."),
        (
            words.contexts(3, 6, [("x on y", 5, 6)]),
            "Every effect has the same sign in all 6 contexts except x on y (5 of 6).",
        ),
        (
            words.contexts(9, 6, [("x", 5, 6)] * 4),
            "5 of 9 effects have the same sign in all 6 contexts.",
        ),
        (
            words.half_way(1, 8),
            "1 of 8 effects has halfway through training the sign that it has at the end.",
        ),
        (words.robust((0, 0), (0, 0)), "No companion can be computed."),
        (
            words.design(STUDY, "full", (4, 16, 2), 192),
            "Full design: 4 factors, 16 cells, 6 contexts, 2 replicates; 192 runs.",
        ),
        (
            words.design(TABLE, "full", (2, 4, 3), 12),
            "Table: 2 factors, 4 cells, up to 3 rows of a cell; 12 rows.",
        ),
        (words.gap(2, 0, 2, "a"), "Both levels widen the gap; the largest change is a."),
        (
            words.best("y", "a=1", "+1", 3, 4),
            "Largest gain on y: a=1, +1; every other cell may be as good.",
        ),
        (words.settled("t", 1, 2), "The clearest interaction is settled: t; the other one is too."),
        (words.some_lost(STUDY, (8, 8), 2, 0), "All 8 runs were analysed; 2 diverged."),
        (words.all_ended(TABLE, 12), "All 12 rows were analysed."),
        (
            words.diagnostics([("learning", "<0.001")], tested=True, flipped=(1, 8), unit="run"),
            (
                "Cells are not noisy alike for learning (p <0.001); leaving out one run changes the"
                " sign of 1 of 8 effects."
            ),
        ),
        (
            words.provenance(0, "0.1.0", (4, 5)),
            (
                "No deviation from the plan that was frozen before the first run; made by ablatekit"
                " 0.1.0; 4 of 5 numbers recomputed by other code."
            ),
        ),
        (words.model(3, 0, 0.05, ""), "No coefficient has p < 0.05."),
        (words.settled("t", 0, 1), "The clearest interaction is settled: t."),
        (
            words.settled("t", 2, 4),
            "The clearest interaction is settled: t; 2 of 3 others are.",
        ),
        (
            words.unsettled(3, "t", tested=True),
            "None of 3 interactions is settled; the largest estimate is t.",
        ),
    ],
)
def test_findings_are_plain_sentences(said: str, wanted: str) -> None:
    assert said == wanted
