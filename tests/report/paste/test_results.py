"""The results paragraph says what the answer says, in its numbers, and nothing more."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ablatekit.analysis.core.schema.vocabulary import statement
from ablatekit.report.language.numbers import p_value, scale_of
from ablatekit.report.paste.length import words_of
from ablatekit.report.paste.results import WORDS, results_text

SHIPPED = sorted((Path(__file__).parents[3] / "reports").glob("*/analysis.json"))
INTERVAL = r"(?P<estimate>[+\u2212]?[\d.,]+)(?: \w+)? \[(?P<low>[^,\]]+), (?P<high>[^\]]+)\]"


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.parent.name)
def test_every_interval_is_one_of_the_answer(path):
    analysis = json.loads(path.read_text())
    text = results_text(analysis)
    assert 60 < words_of(text) <= WORDS
    shown = set()
    for response in analysis["responses"].values():
        for gap in (*analysis["comparisons"].values(), response):
            for scale in map(scale_of, analysis["responses"].values()):
                for row in gap["effects"]:
                    if row["estimand"] == "average" and row["low"] is not None:
                        ends = scale.plain(row["low"]), scale.plain(row["high"])
                        shown.add((scale.effect(row["estimate"]), *ends))
    for gap in analysis["comparisons"].values():
        for row in gap.get("carry_over", []):
            if row["low"] is not None:
                shown.add(tuple(f"{row[key]:.2f}" for key in ("ratio", "low", "high")))
    found = [match.groups() for match in re.finditer(INTERVAL, text)]
    assert len(found) >= 3
    for numbers in found:
        assert tuple(part.strip() for part in numbers) in shown


def test_a_direction_is_told_with_size_p_and_price(analysis):
    text = results_text(analysis, 1000)
    effect = next(
        row
        for row in analysis["responses"]["generalization"]["effects"]
        if (row["factor"], row["estimand"], row["inference"]) == ("rollouts", "average", "narrow")
    )
    p = p_value(effect["p_adjusted"]).replace("<", "p <")
    assert "rollouts per query 4 helps, +4.9 pp [3.7, 6.1]" in text
    assert f"{p}, by more than matters, at 4" in text
    assert "95% intervals, Holm-adjusted p" in text


def test_what_stays_open_is_told_with_its_precision(analysis):
    text = results_text(analysis, 1000)
    assert re.search(r"KL penalty k3 \(\u22120\.9 pp \[[^\]]+\]\) is inconclusive on Gen", text)
    assert re.search(r"queries q64 \(.*\) is equivalent on Learning", text, flags=re.I)


def test_inference_over_levels_replaces_what_was_refused(analysis):
    for response in analysis["responses"].values():
        for row in response["effects"]:
            if row["inference"] == "narrow":
                row.update(p=None, low=None, high=None, verdict="not_estimated", size=None)
    text = results_text(analysis, 1000)
    assert "against the baseline over models, on these 2 data sets" in text
    assert "No verdict was possible" in text


def test_a_table_without_levels_has_no_results(analysis):
    analysis["design"]["factors"] = []
    for part in (*analysis["responses"].values(), *analysis["comparisons"].values()):
        part["effects"] = []
    assert results_text(analysis) == ""


def test_a_model_without_interactions_is_named_as_an_assumption(analysis):
    assert "assuming" not in results_text(analysis, 1000)
    for response in analysis["responses"].values():
        response["model"]["method"] = statement("truncated_least_squares", order=1)
    assert "Holm-adjusted p, assuming additivity." in results_text(analysis, 1000)
