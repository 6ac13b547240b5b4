"""The answer table: which columns and lines it has, and what stands below it."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ablatekit.analysis.core.lookup import comparisons
from ablatekit.analysis.core.schema.vocabulary import statement
from ablatekit.analysis.table import analyse_table
from ablatekit.report.document import Badge, Quantity, Text
from ablatekit.report.formats.terminal import answer
from ablatekit.report.language.captions import NO_SCOPE
from ablatekit.report.sections.answer import answer_remarks, answer_table
from ablatekit.report.sections.effects import forest_pictures

ALIASED = statement("aliased_with", partners=["queries"])


def rows_of(analysis: Any) -> Any:
    for part in (*analysis["responses"].values(), *analysis["comparisons"].values()):
        yield from part["effects"]


def withhold(analysis: Any, levels: set[str], reason: Any = ALIASED) -> None:
    for row in rows_of(analysis):
        if row["level"] in levels:
            numbers = dict.fromkeys(("estimate", "low", "high", "se", "df", "p", "size"))
            row.update(numbers, verdict="not_estimated", reason=reason)


def groups(analysis: Any) -> list[str]:
    return list(dict.fromkeys(column.group for column in answer_table(analysis).columns))


def test_what_matters_most_comes_first_then_its_price_and_the_gap_last(analysis: Any) -> None:
    assert groups(analysis) == ["", "Generalization", "price", "Learning", "Gap"]
    table = answer_table(analysis)
    place = next(at for at, column in enumerate(table.columns) if column.group == "price")
    assert table.columns[place].title == "samples"
    prices = [row[place] for row in table.rows]
    assert Quantity("4\N{MULTIPLICATION SIGN} samples", 4.0) in prices


def test_a_level_that_multiplies_the_data_is_said_to(analysis: Any) -> None:
    (remark,) = (text for text in answer_remarks(analysis) if "data" in text)
    assert (
        "in samples: rollouts per query: 4 (4\N{MULTIPLICATION SIGN}). Such an effect is that of"
        in remark
    )
    assert remark in (answer_table(analysis).footer or "")
    for row in rows_of(analysis):
        row["price"] = 1.05 if row["price"] == 1.0 else 0.9
    assert not [text for text in answer_remarks(analysis) if "data" in text]
    for row in rows_of(analysis):
        row["price"] = 4.0
    analysis["study"]["price"] = "cost/updates"
    assert not [text for text in answer_remarks(analysis) if "data" in text]


def test_without_any_price_there_is_no_such_column(analysis: Any) -> None:
    for row in rows_of(analysis):
        row["price"] = None
    assert groups(analysis) == ["", "Generalization", "Learning", "Gap"]


def test_levels_without_an_estimate_for_one_reason_are_one_sentence(analysis: Any) -> None:
    withhold(analysis, {"q64", "k3"})
    table = answer_table(analysis)
    assert [dict(key)["level"] for key in table.keys] == [
        "batch_norm", "group_norm", "4", "k3_alias",
    ]  # fmt: skip
    said = (
        "Not estimated: queries: q64, KL penalty: k3 (aliased: it always changes together with"
        " queries)."
    )
    assert table.footer.splitlines().count(said) == 1


def test_a_single_level_without_an_estimate_keeps_its_line(analysis: Any) -> None:
    withhold(analysis, {"q64"})
    assert len(answer_table(analysis).rows) == 6


def test_a_table_of_nothing_else_keeps_its_lines(analysis: Any) -> None:
    withhold(analysis, {row["level"] for row in rows_of(analysis)})
    assert len(answer_table(analysis).rows) == 6


@pytest.mark.parametrize("compared", [True, False])
def test_of_many_responses_those_that_are_compared_have_room(analysis: Any, compared: bool) -> None:
    for number in range(3):
        other = copy.deepcopy(analysis["responses"]["learning"])
        analysis["responses"][f"other {number}"] = {**other, "label": f"other {number}"}
    if not compared:
        analysis["comparisons"] = {}
    shown = [group for group in groups(analysis) if group not in ("", "price")]
    assert shown == (
        ["Generalization", "Learning", "Gap"]
        if compared
        else ["Learning", "Generalization", "Other 0"]
    )
    left = "Other 0; Other 1; Other 2" if compared else "Other 1; Other 2"
    assert f"Further responses, under Effects: {left}." in answer_table(analysis).footer


def test_what_no_level_holds_beyond_is_one_sentence(analysis: Any) -> None:
    for row in rows_of(analysis):
        if row["inference"] == "broad":
            row.update(verdict="not_estimated", low=None, high=None)
            row["reason"] = statement("no_blocking_variable")
    table = answer_table(analysis)
    assert "beyond" not in [column.title for column in table.columns]
    assert table.footer.splitlines().count(f"Beyond what was measured: {NO_SCOPE}.") == 1
    assert all(NO_SCOPE not in entry.note for row in table.rows for entry in row
               if isinstance(entry, Text))  # fmt: skip


def test_how_numbers_were_made_stands_apart_from_what_must_be_read(analysis: Any) -> None:
    table = answer_table(analysis)
    assert "Smallest effect that matters: 2 pp." in table.footer
    assert table.computed
    assert not any(text in table.footer for text in table.computed)


def test_a_terminal_says_the_answer_before_the_table(analysis: Any, terminal_text: Any) -> None:
    lines = terminal_text(answer(analysis), width=400).splitlines()
    assert lines[0].startswith(
        "What helps Generalization on average over the other choices: rollouts per query 4, +4.9"
    )
    assert lines[1].startswith("Limited evidence: read with care. ")


def test_nothing_is_averaged_over_other_choices_where_there_are_none(analysis: Any) -> None:
    assert "averaged over the other choices" in answer_table(analysis).footer
    kept = analysis["design"]["factors"][0]
    analysis["design"]["factors"] = [kept]
    for part in (*analysis["responses"].values(), *analysis["comparisons"].values()):
        part["effects"] = [row for row in part["effects"] if row["factor"] == kept["name"]]
    assert "averaged over" not in answer_table(analysis).footer


def test_a_verdict_beyond_stands_beside_an_estimate_without_one_here() -> None:
    rng = np.random.default_rng(1)
    rows = [
        {"a": a, "b": b, "model": model, "y": 10.0 * (a == "1") + rng.normal()}
        for a in "01" for b in "01" for model in "mno"
    ]  # fmt: skip
    table = answer_table(analyse_table(pd.DataFrame(rows), "y", ["a", "b"], ["model"]))
    badges = [entry for entry in table.rows[0] if isinstance(entry, Badge)]
    assert [badge.verdict for badge in badges] == ["not_estimated", "helps"]
    assert badges[1].scope == ["model"]


def test_a_forest_without_any_effect_is_not_drawn(analysis: Any) -> None:
    levels = comparisons(analysis)
    assert forest_pictures(analysis, levels)
    withhold(analysis, {level.level for level in levels})
    assert forest_pictures(analysis, levels) == []
