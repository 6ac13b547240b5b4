"""The answer table in a terminal."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ablatekit.analysis.core.schema.vocabulary import statement
from ablatekit.report.formats.terminal import answer, summary
from ablatekit.report.language.notes import answer_warnings
from ablatekit.report.language.numbers import MINUS
from ablatekit.report.sections.answer import questions

INTERVAL = re.compile(r"\[[^\[\]]*\]")


@pytest.fixture
def shown(terminal_text: Any) -> Any:
    """One response or gap of the answer, whose columns then fold nothing."""

    def text(analysis: Any, place: int = 0) -> str:
        return str(terminal_text([summary(analysis, questions(analysis)[place : place + 1])]))

    return text


def test_one_line_per_level_with_effects_and_verdicts(analysis: Any, shown: Any) -> None:
    text = "".join(shown(analysis, place) for place in range(3))
    assert summary(analysis).row_count == 6
    for part in (
        "191 of 192",
        "batch_norm vs none",
        "Learning, pp",
        "+6.1 [4.9, 7.4]",
        "▲ helps, by more than matters",
        "▲ helps, size open",
        "▼ hurts, less than matters",
        "= equivalent",
        "○ inconclusive (needs about 5 replicates)",
        "←→ widens",
        "→← narrows",
        "≡ identical",
        "over models: ○ inconclusive",
        "needs a third model",
        "40 of 48 pairs",
        "4\N{MULTIPLICATION SIGN} samples",
    ):
        assert part in text


def test_hostile_names_are_not_markup(analysis: Any, renamed: Any, shown: Any) -> None:
    text = shown(renamed(analysis, "batch_norm", "[red]x[/]"))
    assert "[red]x[/] vs none" in text


@pytest.mark.parametrize("everything", [False, True])
def test_intervals_are_whole_at_80_columns(
    analysis: Any, terminal_text: Any, everything: bool
) -> None:
    text = terminal_text(answer(analysis, everything=everything), width=80)
    framed = [line for line in text.splitlines() if line and line[0] in "┃│├┡┏└"]
    assert {line.rstrip()[-1] for line in framed} <= set("┃│┤┩┓┘")
    assert len(framed) > 20
    effects = analysis["responses"]["learning"]["effects"]
    chosen = [
        row
        for row in effects
        if row["low"] is not None and (everything or row["estimand"] == "average")
    ]
    whole = set(INTERVAL.findall(text))
    for row in chosen if everything else [r for r in chosen if r["inference"] == "narrow"]:
        low, high = (f"{100 * row[end]:.1f}".replace("-", MINUS) for end in ("low", "high"))
        assert f"[{low}, {high}]".replace(f"{MINUS}0.0", "0.0") in whole


def test_every_warning_is_a_line(analysis: Any, terminal_text: Any) -> None:
    learning = analysis["responses"]["learning"]
    learning["missing"]["messages"] = [statement("without_result", runs=3)]
    learning["model"]["messages"] = [statement("zero_variance", group="model")]
    learning["items"] = {"model": {"messages": [statement("zero_variance", group="run")]}}
    analysis["comparisons"]["gap"]["messages"] = [statement("constant_gap")]
    analysis["deviations"] = ["interim analysis: 7 of 192 runs are outstanding"]
    text = " ".join(terminal_text(answer(analysis), width=80).split())
    warnings = answer_warnings(analysis)
    assert len(warnings) == 7
    assert any("item model: the variance between run levels" in warning for warning in warnings)
    assert all(f"note: {warning}" in text for warning in warnings)


def test_what_was_recomputed_stands_below(analysis: Any, terminal_text: Any) -> None:
    analysis["second_opinion"] = {
        "recomputed": 41, "of": 43, "worst": 3.1e-12, "kinds": [],
        "disagreements": [{"kind": "narrow", "name": "rollouts 4", "ours": 0.5, "theirs": 0.4}],
        "not_recomputed": [
            {"kind": "broad", "count": 2, "reason": statement("no_statsmodels")}
        ],
    }  # fmt: skip
    text = " ".join(terminal_text(answer(analysis), width=200).split())
    assert "Second opinion: 41 of 43 numbers recomputed by statsmodels, worst relative" in text
    assert "Not recomputed: 2 broad (statsmodels is not installed)." in text
    assert "differs on rollouts 4 (narrow): 0.4, not 0.5." in text


def test_all_shows_every_scope_and_estimand(analysis: Any, terminal_text: Any) -> None:
    brief, whole = (
        terminal_text(answer(analysis, everything=everything)) for everything in (False, True)
    )
    assert "Every estimand of Learning" in whole
    assert re.search(r"interaction,\s", whole)
    assert "Every estimand" not in brief
