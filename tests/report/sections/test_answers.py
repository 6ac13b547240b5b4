"""What stands beside the effect table: configurations, trends, companions, second opinion."""

from __future__ import annotations

import copy
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ablatekit.analysis.core.schema.vocabulary import statement
from ablatekit.analysis.table import analyse_table
from ablatekit.report.brief.trust import trust_box
from ablatekit.report.compose import compose
from ablatekit.report.document import Excerpt, Paragraph, Table
from ablatekit.report.formats.csv import effects_csv
from ablatekit.report.formats.latex import render_latex
from ablatekit.report.formats.terminal import answer
from ablatekit.report.language.verdicts import Room
from ablatekit.report.sections.answer import answer_table, baseline_sentences, beyond
from ablatekit.report.write import report_contents

LEVEL = {"factor": "rollouts", "level": "4", "baseline": "1"}
NUMBERS = {
    "estimate": 0.0401, "se": 0.0131, "df": 5.0, "low": 0.0144, "high": 0.0658, "p": 0.0021,
}  # fmt: skip


def configuration(effect: dict[str, Any], inference: str, **changes: Any) -> dict[str, Any]:
    broad = inference == "broad"
    return {
        **effect, **NUMBERS, "factor": "configuration", "level": "rollouts = 4",
        "estimand": "configuration", "inference": inference, "scope": ["model"] if broad else [],
        "levels": {"rollouts": "4", "advantage": "none"}, "may_be_best": None if broad else True,
        "best_low": None if broad else -0.0123, "best_high": None if broad else 0.0456,
        "price": 4.0, **changes,
    }  # fmt: skip


def suffices(answer: str, **changes: Any) -> dict[str, Any]:
    return {
        "inference": "narrow", "scope": [], "answer": answer, "bound": 0.0713,
        "configuration": "rollouts = 4", "reason": None, **changes,
    }  # fmt: skip


def tables_of(blocks: Any) -> Any:
    for block in blocks:
        if isinstance(block, Table):
            yield block
        yield from tables_of(getattr(block, "blocks", ()))


def plain(estimand: str, **names: str) -> dict[str, Any]:
    return {**LEVEL, **names, "estimand": estimand, "contexts": 6, **NUMBERS, "reason": None}


@pytest.fixture
def whole(built_analysis: Any) -> Any:
    """An analysis with every further answer on learning, and the second opinion."""
    analysis = copy.deepcopy(built_analysis)
    learning = analysis["responses"]["learning"]
    effect = learning["effects"][0]
    broad = next(row for row in learning["effects"] if row["inference"] == "broad")
    learning["configurations"] = {
        "baseline": {"rollouts": "1", "advantage": "none"},
        "baseline_may_be_best": False, "baseline_best_low": -0.05, "baseline_best_high": 0.0,
        "rows": [configuration(effect, "narrow"), configuration(broad, "broad")],
        "plain_contexts": [plain("configuration", factor="configuration", level="rollouts = 4")],
        "suffices": [suffices("no"), suffices("open", inference="broad", scope=["model"])],
        "best_reason": None,
        "notes": [],
    }  # fmt: skip
    learning["plain_contexts"] = [plain("average")]
    learning["dose"] = {
        "tests": [
            {"factor": "rollouts", "scale": "log", "scores": [0.0, 0.69, 1.39],
             "method": statement("cell_means_t"), "num_df": 1.0, "den_df": 96.0,
             "statistic": 7.1234, "p": 0.009, "p_adjusted": 0.018, "reason": None}
        ],
        "slopes": [
            {**NUMBERS, "factor": "rollouts", "scale": "log", "inference": "broad",
             "scope": ["model"], "method": statement("levels_t"), "family": broad["family"],
             "contexts": 6, "of_contexts": 6, "p_adjusted": 0.03, "verdict": "helps",
             "reason": None}
        ],
    }  # fmt: skip
    learning["covariates"] = [
        {**LEVEL, "variable": "model", "covariate": "params", "levels": 5, "slope": 0.0091,
         "se": 0.0031, "df": 3.0, "low": 0.0001, "high": 0.0181, "p": 0.04, "reason": None,
         "predictions": [{"at": 7e9, "estimate": 0.0312, "se": 0.0051, "low": 0.0112,
                          "high": 0.0512, "low_new": -0.0101, "high_new": 0.0725}]}
    ]  # fmt: skip
    learning["mixed"] = {
        "effects": [{**LEVEL, **NUMBERS, "contexts": 6, "reason": None}],
        "random": [{"factor": "rollouts", "level": "4", "group": "model", "name": "",
                    "variance": 0.0004, "sd": 0.02}],
        "notes": [statement("few_kenward_roger_df", df=1.5)],
    }  # fmt: skip
    analysis["comparisons"]["gap"]["carry_over"] = [
        {**LEVEL, "inference": "broad", "scope": ["model"], "ratio": 0.6123, "low": 0.31,
         "high": 0.95, "df": 2.0, "learning_p": 0.01, "reason": None}
    ]  # fmt: skip
    analysis["second_opinion"] = {
        "recomputed": 41, "of": 43, "worst": 3.1e-12, "disagreements": [],
        "kinds": [{"kind": "narrow", "count": 41, "worst": 3.1e-12, "tolerance": 1e-8}],
        "not_recomputed": [{"kind": "broad", "count": 2, "reason": statement("no_statsmodels")}],
    }  # fmt: skip
    return analysis


@pytest.fixture
def page(whole: Any, parse: Any, page_without_figures: Any) -> Any:
    return parse(page_without_figures(whole))


@pytest.mark.parametrize(
    ("table", "wanted", "said"),
    [
        ("configurations-learning", [0.0401, 0.0144, 0.0658, 4.0], ["rollouts = 4", "yes",
         "4\N{MULTIPLICATION SIGN} samples", "over models, on these 2 data sets"]),
        ("configuration-scopes-learning", [-0.0123, 0.0456, 0.0131], ["narrow"]),
        ("dose-learning", [7.1234, 0.009, 0.018], ["rollouts per query", "log of the level"]),
        ("slopes-learning", [0.0401, 0.0144, 0.0658], ["over models", "per doubling", "helps"]),
        ("covariates-learning", [0.0091, 0.0001, 0.0181], ["params of 5 models",
         "+3.1 [1.1, 5.1], one new level [\N{MINUS SIGN}1.0, 7.2]"]),
        ("mixed-learning", [0.0401, 0.0131], ["+4.0"]),
        ("mixed-variances-learning", [0.02, 0.0004], ["model"]),
        ("carry-over-gap", [0.6123, 0.31, 0.95], ["over models"]),
        ("second-opinion", [41.0, 3.1e-12, 1e-8], ["narrow"]),
    ],
)  # fmt: skip
def test_tables_hold_the_rows(page: Any, table: str, wanted: list[float], said: list[str]) -> None:
    (box,) = page.all("table", id=table)
    around = box.parents[-2]
    numbers = {
        float(text)
        for cell in page.all("td")
        if cell.inside(box)
        for name in ("data-value", "data-low", "data-high")
        if (text := cell.attributes.get(name))
    }
    assert set(wanted) <= numbers
    assert all(text in around.text for text in said)


def test_the_baseline_is_judged_in_a_sentence(whole: Any) -> None:
    sentence = (
        "The baseline suffices within 2 pp on Learning in these 6 contexts: no (rollouts = 4 helps"
        " by more than matters); over models, on these 2 data sets: open (gains up to 7.1 pp are"
        " not excluded, rollouts = 4)."
    )
    assert baseline_sentences(whole) == [sentence]
    configurations = next(s for s in compose(whole).sections if s.id == "configurations")
    said = [part.text for part in configurations.blocks if isinstance(part, Paragraph)]
    assert said == [sentence]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (suffices("yes"), "yes (gains above 7.1 pp are excluded)"),
        (suffices("open", bound=None, reason=statement("no_replicates")), "open (no cell has two"),
    ],
)
def test_every_answer_says_what_it_rests_on(whole: Any, answer: Any, said: str) -> None:
    whole["responses"]["learning"]["configurations"]["suffices"] = [answer]
    assert f"in these 6 contexts: {said}" in baseline_sentences(whole)[0]


def test_without_a_smallest_effect_nothing_is_judged(whole: Any) -> None:
    whole["responses"]["learning"]["smallest_effect"] = None
    assert baseline_sentences(whole) == [
        "Whether the baseline suffices on Learning is not judged: no smallest effect is declared."
    ]


def test_a_disagreement_is_a_warning_in_the_trust_box(whole: Any) -> None:
    opinion = whole["second_opinion"]
    opinion["disagreements"] = [
        {"kind": "narrow", "name": "rollouts 4", "ours": 0.5, "theirs": 0.4}
    ]
    trust = trust_box(whole)
    assert trust.level == "weak"
    assert trust.points[0] == "The second opinion differs on rollouts 4 (narrow): 0.4, not 0.5."
    assert not any("agrees" in point for point in trust.points)


def test_how_numbers_were_made_stands_apart_from_the_table(whole: Any) -> None:
    tables = {
        table.id: table
        for section in compose(whole).sections
        for table in tables_of(section.blocks)
    }
    made = " ".join(tables["mixed-learning"].computed)
    assert "df are 1.5, below 2" in made
    assert "Fieller" in " ".join(tables["carry-over-gap"].computed)
    assert "Fieller" not in tables["carry-over-gap"].footer
    assert not [name for name in tables if name.startswith("plain-")]


def test_what_decides_a_widest_interval_is_said_below(analysis: Any) -> None:
    effect = next(
        row for row in analysis["responses"]["learning"]["effects"] if row["inference"] == "broad"
    )
    effect["parts"] = [
        {"by": ["model", "dataset"], "estimate": 0.06, "se": 0.0131, "df": 1.7},
        {"by": ["model"], "estimate": 0.06, "se": 0.0111, "df": 2.0},
    ]
    effect["notes"] = [statement("decided_by", by=["model", "dataset"])]
    table = next(
        block
        for section in compose(analysis).sections
        for fold in section.blocks
        for block in getattr(fold, "blocks", [])
        if isinstance(block, Table) and block.id == "estimands-learning"
    )
    assert "decided by the crossed variance of models and data sets" in table.footer
    assert '""df"": 1.7' in effects_csv(analysis)


def test_the_row_over_common_pairs_stands_in_the_footer(analysis: Any) -> None:
    effects = analysis["responses"]["learning"]["effects"]
    effects[0]["common_pairs"] = {
        "method": statement("cell_means_t"), **NUMBERS, "reason": None
    }  # fmt: skip
    document = compose(analysis)
    folds = [block for section in document.sections for block in section.blocks]
    text = " ".join(
        part.footer
        for fold in folds
        for part in getattr(fold, "blocks", [])
        if isinstance(part, Table)
    )
    assert "Over the pairs that all contexts share: advantage: batch_norm +4.0 [1.4, 6.6]." in text


def test_configurations_are_rows_of_the_csv(whole: Any) -> None:
    lines = effects_csv(whole).splitlines()
    assert "may_be_best" in lines[0]
    assert sum("rollouts = 4" in line for line in lines) == 2


def test_all_says_what_its_tables_assume_and_are_in(whole: Any, terminal_text: Any) -> None:
    text = terminal_text(answer(whole, everything=True), width=80)
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    assert "Plain t over contexts, as if they were a plain sample" in text
    assert "per doubling" in " ".join(text.split())
    start = next(at for at, line in enumerate(lines) if line.startswith("Configurations against"))
    table = lines[start:]
    end = next(at for at, line in enumerate(table) if at and line[:1].strip())
    assert any(re.search(r"\[\S+, \S+\]", line) for line in table[:end])
    assert any(line.strip().startswith("configuration") for line in table[:end])
    assert not re.search(r"(?m)^\S.*: \[.*\]$", text)


def test_mixed_models_of_too_few_levels_have_no_variances_and_reports_in_every_format(
    whole: Any,
) -> None:
    whole["responses"]["learning"]["mixed"]["random"] = []
    document = compose(whole)
    tables = [table.id for section in document.sections for table in tables_of(section.blocks)]
    assert "mixed-learning" in tables
    assert "mixed-variances-learning" not in tables
    assert "longtable" in render_latex(document)


def test_a_table_without_rows_is_a_table(whole: Any) -> None:
    document = compose(whole)
    empty = replace(next(iter(tables_of(document.sections[0].blocks))), rows=[])
    section = replace(document.sections[0], blocks=[empty])
    assert "longtable" in render_latex(replace(document, sections=[section]))


def test_a_prediction_names_its_place_briefly(whole: Any, terminal_text: Any) -> None:
    assert "at 7e9" in terminal_text(answer(whole, everything=True), width=200)


def test_a_level_that_is_compared_inside_another_says_so(whole: Any, terminal_text: Any) -> None:
    note = statement("compared_inside", outer="advantage", level="batch_norm")
    rows = whole["responses"]["learning"]["effects"]
    row = next(r for r in rows if (r["level"], r["estimand"]) == ("4", "average"))
    row["notes"] = [note]
    said = "4: compared inside advantage = batch_norm, where alone the level exists"
    assert said in " ".join(terminal_text(answer(whole), width=80).split())
    assert said in answer_table(whole).footer


def methods_of(analysis: Any) -> tuple[str, list[str]]:
    (excerpt,) = (
        block
        for section in compose(analysis).sections
        for block in section.blocks
        if isinstance(block, Excerpt) and block.id == "methods-text"
    )
    return " ".join(excerpt.paragraphs), [reference.key for reference in excerpt.references]


def test_methods_name_what_was_done_alone(whole: Any) -> None:
    learning = whole["responses"]["learning"]
    configurations = learning["configurations"]
    configurations["notes"] = [statement("dunnett_family")]
    text, keys = methods_of(whole)
    assert "(Dunnett, 1955)" in text
    assert "dunnett1955" in keys
    configurations["notes"] = [statement("welch_family", p=0.01)]
    text, keys = methods_of(whole)
    assert "Welch's t" in text
    assert "dunnett1955" not in keys
    for row in (*configurations["rows"], *learning["mixed"]["effects"], *learning["dose"]["tests"]):
        row["p"] = None
    text, keys = methods_of(whole)
    assert not any(word in text for word in ("Dunnett", "Welch's t", "mixed model with Kenward"))
    assert "tested by one F test" not in text


def test_where_nothing_varies_beyond_the_badge_asks_for_contexts(whole: Any) -> None:
    row = next(r for r in whole["responses"]["learning"]["effects"] if r["inference"] == "broad")
    row = {**row, "verdict": "not_estimated", "low": None}
    room = Room(2, {}, "", "row")
    none = {**row, "reason": statement("no_blocking_variable")}
    assert beyond([none], room).note == "needs more contexts"
    few = {
        **row,
        "reason": statement("too_few_levels", variable="dataset", levels=2, fewest=3, of_levels=2),
    }
    assert beyond([few, few], room).note == "needs a third data set"
    few["reason"]["arguments"]["of_levels"] = 5
    assert beyond([few, few], room).note == "needs a third data set with both levels"
    same = {**row, "reason": statement("same_in_every_level", variable="model")}
    assert "same at every model" in beyond([same, few], room).note


def test_a_slope_is_per_what_its_label_says():
    """A response that rises by 3 a doubling, over levels 1, 2 and 8."""
    rng = np.random.default_rng(4)
    rows = [
        {"rollouts": str(r), "model": m, "y": 30 + 3 * np.log2(r) + rng.normal(0, 0.01)}
        for r in (1, 2, 8)
        for m in ("a", "b", "c")
        for _ in range(3)
    ]
    analysis = analyse_table(pd.DataFrame(rows), "y", ["rollouts"], ["model"])
    narrow = next(s for s in analysis["responses"]["y"]["dose"]["slopes"] if not s["scope"])
    assert narrow["estimate"] == pytest.approx(3.0, abs=0.02)
    text = report_contents(analysis)["report.md"].decode()
    assert "per doubling" in text
    assert "per e-fold" not in text
