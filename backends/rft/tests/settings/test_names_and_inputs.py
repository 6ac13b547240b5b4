from __future__ import annotations

import json
from pathlib import Path

import pytest
from ablatekit_rft.levels.registry import levels_of
from ablatekit_rft.settings import RftSettings
from ablatekit_rft.settings.synonyms import LEVEL_SYNONYMS, SYNONYMS

from ablatekit.design.build import build_plan
from ablatekit.errors import StudyError
from ablatekit.plugins import load_backend
from ablatekit.study.load import load_study
from ablatekit.study.settings import setting_fields

STUDY = """
version: 1
name: beside
backend:
  name: rft
  settings:
    {train_items: 32, evaluation: {test_items: 16, probe_items: 16}, max_new_tokens: 4}
factors:
  advantage: {baseline: none, levels: [none, "levels/mine.py:halved"]}
contexts: {model: [tiny-llama], dataset: [sums.jsonl]}
"""


def test_every_other_name_leads_to_a_setting_and_is_none_itself() -> None:
    fields = setting_fields(RftSettings)
    assert set(SYNONYMS.values()) <= set(fields)
    assert set(SYNONYMS).isdisjoint(fields)


def test_every_other_name_of_a_level_leads_to_one() -> None:
    for stage, names in LEVEL_SYNONYMS.items():
        assert set(names.values()) <= set(levels_of(stage)), stage
        assert set(names).isdisjoint(levels_of(stage)), stage


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("grpo", "setting 'advantage' has no such level; received grpo. Did you mean 'group_norm'"),
        (
            '"mine.py:half"',
            "setting 'advantage' names no level: no such file; received \"mine.py:half\". Paths",
        ),
    ],
)
def test_a_level_that_there_is_not_is_one_message(tmp_path: Path, value: str, says: str) -> None:
    text = STUDY.replace('"levels/mine.py:halved"', value).replace("sums.jsonl", "letter-sort")
    (tmp_path / "study.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(StudyError) as raised:
        build_plan(load_study(tmp_path / "study.yaml"), load_backend("rft"))
    (problem,) = raised.value.problems
    assert says in str(problem)
    assert problem.where is not None
    assert problem.where.line == 9


def test_files_that_a_study_names_lie_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study, elsewhere = tmp_path / "study", tmp_path / "elsewhere"
    for folder in (study / "levels", elsewhere):
        folder.mkdir(parents=True)
    mine = study / "levels" / "mine.py"
    mine.write_text("def halved(view):\n    return view.rewards / 2\n", encoding="utf-8")
    rows = [json.dumps({"question": f"{n}+1=", "answer": str(n + 1)}) for n in range(80)]
    (study / "sums.jsonl").write_text("\n".join(rows), encoding="utf-8")
    (study / "study.yaml").write_text(STUDY, encoding="utf-8")
    monkeypatch.chdir(elsewhere)
    plan = build_plan(load_study(study / "study.yaml"), load_backend("rft"))
    settings = [run.spec.settings for run in plan.runs]
    assert {each["advantage"] for each in settings} == {"none", f"{mine}:halved"}
    assert {each["dataset"] for each in settings} == {str(study / "sums.jsonl")}
    assert plan.held_equal["dataset"] == "sums.jsonl"
    assert [run.context["dataset"] for run in plan.runs] == ["sums.jsonl", "sums.jsonl"]
