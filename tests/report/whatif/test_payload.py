"""The payload holds the analysis: every number of every family, every cell, every word."""

from __future__ import annotations

import copy
import json
from importlib.resources import files
from typing import Any

import pytest

from ablatekit.analysis.core.lookup import comparisons, find_effect
from ablatekit.analysis.core.schema.vocabulary import statement
from ablatekit.report.brief.headline import level_gains
from ablatekit.report.compose import compose
from ablatekit.report.formats.html import as_json
from ablatekit.report.language.verdicts import LOOKS, SIZES
from ablatekit.report.sections.answer import questions
from ablatekit.report.whatif.payload import exploration

NUMBERS = ("estimate", "se", "df", "p", "p_adjusted", "low", "high", "verdict", "size")
LARGEST = 60_000


@pytest.fixture(scope="module")
def study(analysed_study: Any) -> Any:
    return analysed_study("two scopes")


def known(record: Any, name: str) -> Any:
    return next(one for one in record["questions"] if one["name"] == name)


def test_it_survives_json_with_every_digit(study: Any) -> None:
    payload = exploration(study)
    assert json.loads(json.dumps(payload, allow_nan=False)) == json.loads(json.dumps(payload))
    rows = known(payload, "learning")["families"][0]["rows"]
    effects = [row for row in study["responses"]["learning"]["effects"]
               if row["estimand"] == "average" and row["inference"] == "narrow"]  # fmt: skip
    text = json.loads(json.dumps(rows))
    assert [row["estimate"] for row in text] == [row["estimate"] for row in effects]


@pytest.mark.parametrize("name", ["two scopes", "holes", "one run per cell", "lower is better"])
def test_every_row_that_is_shown_stands_in_its_whole_family(analysed_study: Any, name: str) -> None:
    analysis = analysed_study(name)
    payload = exploration(analysis)
    assert payload is not None
    for question, record in zip(questions(analysis), payload["questions"], strict=True):
        for level, places in zip(comparisons(analysis), record["shown"], strict=True):
            for inference, place in zip(("narrow", "broad"), places, strict=True):
                if place is None:
                    continue
                effect = find_effect(question.effects, level, inference)  # type: ignore[arg-type]
                assert effect is not None
                family = record["families"][place[0]]
                row = family["rows"][place[1]]
                assert {key: row[key] for key in NUMBERS} == {key: effect[key] for key in NUMBERS}  # type: ignore[literal-required]
                members = [one for one in question.effects if one["family"] == effect["family"]]
                assert len(family["rows"]) == len(members)
                assert family["adjustment"] == "holm"
                assert ("parts" in row) == bool(effect["parts"])
                assert ("fixed" in row) == (effect["verdict"] in ("identical", "not_estimated"))


def test_a_gap_takes_the_smaller_of_both_smallest_effects(analysis: Any) -> None:
    learning, generalization = (analysis["responses"][name] for name in
                                ("learning", "generalization"))  # fmt: skip
    learning["smallest_effect"], generalization["smallest_effect"] = 0.02, 0.01
    payload: Any = exploration(analysis)
    assert [bound["margin"] for bound in payload["bounds"]] == [0.02, 0.01]
    assert known(payload, "gap")["bounds"] == [0, 1]
    assert (known(payload, "gap")["rise"], known(payload, "gap")["fall"]) == ("widens", "narrows")
    generalization["smallest_effect"] = 0.02
    assert [bound["labels"] for bound in exploration(analysis)["bounds"]] == [  # type: ignore[index]
        [learning["label"], generalization["label"]]
    ]


def test_lower_is_better_turns_the_verdicts(analysed_study: Any) -> None:
    (record,) = exploration(analysed_study("lower is better"))["questions"]  # type: ignore[index]
    assert (record["rise"], record["fall"]) == ("hurts", "helps")


def test_a_formula_without_effects_has_nothing_to_explore(analysis: Any) -> None:
    for response in analysis["responses"].values():
        response["effects"] = []
    del analysis["design"]
    analysis["comparisons"] = {}
    assert exploration(analysis) is None
    assert compose(analysis).exploration is None


def test_choices_are_the_cells_of_tested_responses(study: Any) -> None:
    choices: Any = exploration(study)["choices"]  # type: ignore[index]
    assert [factor["levels"] for factor in choices["factors"]] == [["l0", "l1"], ["l0", "l1", "l2"]]
    assert [factor["baseline"] for factor in choices["factors"]] == [0, 0]
    for shown, name in zip(choices["responses"], ("learning", "generalization"), strict=True):
        cells = study["responses"][name]["cells"]
        assert len(shown["rows"]) == len(cells["rows"]) == 6
        for row, cell in zip(shown["rows"], cells["rows"], strict=True):
            assert row["mean"][:3] == [cell["estimate"], cell["se"], cell["df"]]
            assert row["where"] == "1" * 12
            if cell["gain"] is not None:
                gain = cell["gain"]
                assert row["gain"][:3] == [gain["estimate"], gain["se"], gain["df"]]
                new = max(cell["gain_new"], key=lambda one: len(one["scope"]))
                assert row["gain_new"] == [
                    new["estimate"], new["se"], new["df"], "in a new model and a new data set"
                ]  # fmt: skip


def test_what_a_prediction_lacks_is_said(analysed_study: Any) -> None:
    choices: Any = exploration(analysed_study("one run per cell"))["choices"]  # type: ignore[index]
    rows = choices["responses"][0]["rows"]
    assert all(row["mean"][1] is None and row["mean"][3] for row in rows)
    flat: Any = exploration(analysed_study("no contexts"))["choices"]  # type: ignore[index]
    assert all(row["new"] == "needs more contexts" for row in flat["responses"][0]["rows"])
    assert flat["here"] == "in these rows"


def test_responses_without_a_claim_are_not_predicted(analysed_study: Any) -> None:
    mixed = analysed_study("one scope", names=["learning", "generalization", "loss"])
    mixed["responses"]["loss"]["smallest_effect"] = None
    choices: Any = exploration(mixed)["choices"]  # type: ignore[index]
    assert [shown["label"] for shown in choices["responses"]] == ["learning", "generalization"]


def test_every_verdict_and_size_can_be_shown(study: Any) -> None:
    payload: Any = exploration(study)
    assert payload["looks"].keys() == LOOKS.keys()
    assert payload["sizes"].keys() == SIZES.keys()


def test_scripts_of_a_page_are_small_and_speak_no_language() -> None:
    folder = files("ablatekit.report.formats") / "templates"
    scripts = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()
               if path.name.endswith(".js")}  # fmt: skip
    assert {"statistics.js", "choices.js", "headline.js", "whatif.js", "page.js"} == set(scripts)
    assert sum(len(text.encode()) for text in scripts.values()) < LARGEST
    assert not any("http" in text.replace("http://www.w3.org", "") for text in scripts.values())


def test_a_hostile_label_stays_text(analysed_study: Any) -> None:
    analysis = analysed_study("one scope")
    hostile = analysis["responses"]["learning"]["label"] = "</script><b>&amp;$x_1$"
    text = as_json(exploration(analysis))
    assert "<" not in text
    assert json.loads(text)["bounds"][0]["labels"][0] == hostile


def test_the_headline_of_the_page_names_levels_as_the_printed_one(study: Any) -> None:
    analysis = copy.deepcopy(study)
    level = comparisons(analysis)[0]
    for name in ("learning", "generalization"):
        row = find_effect(analysis["responses"][name]["effects"], level, "narrow")
        assert row is not None
        row["notes"] = [statement("compared_inside", outer="kl", level="k3")]
    payload = exploration(analysis)
    assert payload is not None
    names = [level["name"] for level in payload["headline"]["levels"]]
    assert names == [gain.name for gain in level_gains(analysis)]
    assert names[0].endswith(" (inside kl k3)")
