"""Studies of rows: what planning says of them stands in the plan, or at a line of the file."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from ablatekit.design.build import build_plan, study_backend
from ablatekit.design.plan import Plan
from ablatekit.errors import StudyError
from ablatekit.study.load import parse_study

STUDY = """\
version: 1
name: rows
question: What do two rollouts add on rows of one's own?
backend:
  name: rft
  settings:
    train_items: 32
    evaluation: {probe_items: 4, test_items: 4}
    SETTING
factors:
  rollouts: {baseline: 1, levels: [1, 2]}
contexts:
  dataset: [DATASET]
"""


def planned(dataset: str, setting: str, **factor: str) -> Plan:
    text = STUDY.replace("SETTING", setting).replace("DATASET", dataset)
    if factor:
        text = text.replace("rollouts: {baseline: 1, levels: [1, 2]}", factor["factor"])
    loaded = parse_study(text, Path("study.yaml"))
    return build_plan(loaded, study_backend(loaded))


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kinds: Any, rows_file: Any) -> str:
    """A hundred rows, of which one says another answer in its solution."""
    monkeypatch.chdir(tmp_path)
    rows = [{**kinds["number"](n), "solution": f"It is \\boxed{{{n + 2}}}."} for n in range(100)]
    rows[7]["solution"] = "It is \\boxed{8}."
    rows_file(tmp_path / "rows.jsonl", rows)
    return "rows.jsonl"


def test_a_row_that_is_left_out_is_told_once_and_part_of_every_run(dataset: str) -> None:
    plan = planned(dataset, "verifier: number")
    (warning,) = [said for said in plan.warnings if said.startswith("left out")]
    assert warning.startswith(f"left out: 1 of 100 rows of {dataset}: {dataset}:8: key '9'")
    contents = [run.spec.content for run in plan.runs]
    assert {content["verifier"] for content in contents} == {"number/2"}
    assert len({content["left_out"] for content in contents}) == 1


def test_a_level_under_which_rows_are_left_out_is_told_apart(dataset: str) -> None:
    factor = "verifier: {baseline: number, levels: [number, number_strict]}"
    plan = planned(dataset, "rollouts: 1", factor=factor)
    (warning,) = [said for said in plan.warnings if said.startswith("left out")]
    assert warning.endswith("(in 1 of 2 cells x contexts)")
    assert sum("left_out" in run.spec.content for run in plan.runs) == len(plan.runs) / 2


@pytest.mark.parametrize(
    ("setting", "line", "said"),
    [
        ("instruction: hash\n    verifier: exact", 9, "asks for a form"),
        (
            "verifier: exact\n    instruction: boxed\n    template: qa",
            10,
            "asks for a form",
        ),
        ('stop: ["box"]\n    verifier: number', 9, "a stop text ends it"),
        ('few_shot: 2\n    stop: ["is"]\n    verifier: number', 10, "ends a solved example"),
    ],
)
def test_a_refusal_stands_at_the_line_of_its_setting(
    dataset: str, setting: str, line: int, said: str
) -> None:
    with pytest.raises(StudyError, match=said) as raised:
        planned(dataset, setting)
    where = raised.value.problems[0].where
    assert where is not None
    assert (where.file, where.line) == ("study.yaml", line)


def test_a_verifier_whose_package_is_missing_is_told_at_its_line(
    dataset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "math_verify" else found(name)
    )
    with pytest.raises(StudyError, match=r"study.yaml:9.*needs the package math-verify"):
        planned(dataset, "verifier: math")


def test_a_verifier_that_cannot_start_is_told_at_its_line(dataset: str, tmp_path: Path) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text(
        "import sys\nif 'verifiers.child' in ' '.join(sys.orig_argv):\n    sys.exit(3)\n"
        "def judge(question, gold, text):\n    return True\n"
    )
    with pytest.raises(StudyError, match=r"study.yaml:9.*cannot be asked.*cannot start"):
        planned(dataset, f"verifier: {mine}:judge")
