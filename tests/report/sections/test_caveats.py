"""What a reader must know first, and what a small study must not claim."""

from __future__ import annotations

import pytest

from ablatekit.analysis.core.schema.vocabulary import statement
from ablatekit.report.brief.trust import trust_box
from ablatekit.report.compose import compose
from ablatekit.report.document import Table, Text
from ablatekit.report.language.captions import NO_SCOPE
from ablatekit.report.language.notes import answer_warnings
from ablatekit.report.paste.methods import LONG, methods_text
from ablatekit.report.sections.answer import answer_table

REFUSED = statement("no_blocking_variable")


@pytest.fixture
def diverged(analysis):
    """A level that lost a third of its runs, with different sizes on the two responses."""
    for name, shift in (("learning", 0.0), ("generalization", 0.01)):
        analysis["responses"][name]["missing"]["by_level"] = [
            {"factor": "kl", "level": "k3", "planned": 60, "finished": 40, "diverged": 20}
        ]
        analysis["responses"][name]["missing"]["policies"] = [
            {"factor": "kl", "level": "k3", "score": -0.0388 + shift, "worst": -0.0913 + shift,
             "exclude": 0.0117 + shift}
        ]  # fmt: skip
    return analysis


@pytest.fixture
def alone(analysis):
    """The study in a single context: broad inference is refused everywhere."""
    analysis["design"]["contexts"] = analysis["design"]["contexts"][:1]
    parts = [*analysis["responses"].values(), *analysis["comparisons"].values()]
    for part in parts:
        for effect in part["effects"]:
            if effect["inference"] == "broad" and effect["verdict"] != "identical":
                effect.update(verdict="not_estimated", reason=REFUSED)
                effect.update(scope=[])
                effect.update(dict.fromkeys(("low", "high", "se", "df", "p", "p_adjusted")))
    for response in analysis["responses"].values():
        for row in response["heterogeneity"]:
            row.update(dict.fromkeys(("tau", "i2", "prediction_low", "prediction_high")))
    return analysis


def section(analysis, name):
    return next((one for one in compose(analysis).sections if one.id == name), None)


def methods(analysis):
    return " ".join(methods_text(analysis, LONG))


def test_a_level_that_lost_many_runs_is_named_beside_the_verdicts(diverged):
    told = answer_warnings(diverged)
    assert (
        "Learning, KL penalty k3: 20 of 60 runs diverged. The effect is \N{MINUS SIGN}3.9 pp with"
        " their last valid scores, \N{MINUS SIGN}9.1 pp with the worst score and +1.2 pp without"
        " them." in told
    )
    assert any(text.startswith("Generalization, KL penalty k3: 20 of 60") for text in told)
    shown = trust_box(diverged).points
    assert sum("KL penalty k3: 20 of 60" in text for text in shown) == 1


def test_an_effect_that_a_policy_leaves_open_is_said_in_words(diverged):
    for row in diverged["responses"]["learning"]["missing"]["policies"]:
        row["exclude"] = None
    told = answer_warnings(diverged)
    assert any(
        text.endswith("with the worst score and not estimable without them.") for text in told
    )


def test_runs_that_did_not_finish_are_listed_once_for_all_responses(diverged):
    tables = [block for block in section(diverged, "missing").blocks if isinstance(block, Table)]
    assert [table.id for table in tables] == [
        "missing-learning-runs", "missing-learning-by_level", "policies-learning",
        "policies-generalization",
    ]  # fmt: skip


def test_a_study_in_one_context_is_not_described_as_many(alone):
    said = methods(alone)
    assert "each cell in each context" not in said
    assert "over contexts" not in said
    assert "Narrow inference speaks for this context" in said
    assert "Broad inference was not possible (needs more than one context)." in said
    assert section(alone, "contexts") is None
    assert "beside them" not in answer_table(alone).footer


def test_a_reason_is_said_once_in_a_row_of_the_answer(alone):
    alone["design"]["factors"] = alone["design"]["factors"][2:3]
    for part in [*alone["responses"].values(), *alone["comparisons"].values()]:
        part["effects"] = [row for row in part["effects"] if row["factor"] == "queries"]
    table = answer_table(alone)
    notes = [entry.note for entry in table.rows[0] if isinstance(entry, Text) and entry.note]
    assert len(table.rows) == 1
    assert notes == ["vs q32"]
    assert table.footer.count(NO_SCOPE) == 1


def test_the_forest_explains_only_what_it_shows(alone):
    figure = next(one for one in compose(alone).pictures() if one.id.startswith("forest")).draw()
    words = {text.get_text() for text in figure.texts}
    assert {"Learning", "Generalization"} <= words
    assert "one new level" not in words


def test_the_item_model_is_in_the_methods_paragraph(analysis):
    assert "item outcomes" not in methods(analysis)
    analysis["responses"]["learning"]["items"] = {
        "runs": 192, "items": 200, "outcomes": 38400, "effects": [], "shares": [], "random": [],
        "messages": [], "footer": statement("item_model"), "reason": None, "split": "train",
        "model": {"formula": "outcome ~ cell:context + (1 | run)", "messages": []},
    }  # fmt: skip
    assert "A mixed model of item outcomes with crossed random items and runs" in methods(analysis)


def test_entries_of_provenance_without_a_value_are_left_out(analysis):
    analysis["provenance"]["overrides"] = []
    facts = section(analysis, "provenance").blocks[-1].pairs
    assert "plan_hash" in dict(facts)
    assert "overrides" not in dict(facts)


def test_what_holds_for_several_responses_is_said_once(analysis):
    learning = analysis["responses"]["learning"]
    for name in ("second", "third"):
        analysis["responses"][name] = {**learning, "label": name}
    analysis["responses"]["third"]["smallest_effect"] = None
    del analysis["comparisons"]["gap"]
    table = answer_table(analysis)
    lines = table.footer.splitlines()
    assert "Learning, Generalization, Second: Smallest effect that matters: 2 pp." in lines
    assert sum(line.startswith("Third: No smallest effect") for line in lines) == 1
    assert len(table.computed) == 1
