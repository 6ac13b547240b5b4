"""What is wrong with a data set, in the study that names it: one message, with both places."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ablatekit_rft.backend import RftBackend

from ablatekit.design.build import build_plan
from ablatekit.errors import StudyError
from ablatekit.study.load import load_study

STUDY = """\
version: 1
name: trial
question: Which?
backend:
  name: rft
  settings:
    train_items: 8
    evaluation: {probe_items: 8, test_items: 4}
    budget: {unit: rounds, amount: 12}
    queries_per_round: 4
factors:
  advantage: {baseline: none, levels: [none, batch_norm]}
contexts:
  model: [tiny-llama]
  dataset: [rows.jsonl]
replicates: 2
"""


def refusal(folder: Path, rows: list[dict[str, Any]], *overrides: str) -> tuple[str, str]:
    """Place in the study, and what the one message says else."""
    (folder / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    study = folder / "study.yaml"
    study.write_text(STUDY)
    for old, new in (override.split(" -> ") for override in overrides):
        study.write_text(study.read_text().replace(old, new))
    with pytest.raises(StudyError) as raised:
        build_plan(load_study(study), RftBackend())
    (problem,) = raised.value.problems
    assert problem.where is not None
    return f"{problem.where.line}:{problem.where.column}", f"{problem}"


def numbers(count: int, *odd: Any) -> list[dict[str, Any]]:
    answers = [*range(count), *odd]
    return [{"question": f"Is {i}?", "answer": answer} for i, answer in enumerate(answers)]


@pytest.fixture(autouse=True)
def _in_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where a study names its data set in few characters, and nothing is remembered."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("rows", "override", "place", "message"),
    [
        (numbers(60), "test_items: 4 -> test_items: 99", "8:46", "evaluation.test_items: 99; 99 a"),
        (
            numbers(60),
            ", test_items: 4 -> ",
            "13:1",
            "there (the default of evaluation.test_items)",
        ),
        (numbers(60), "train_items: 8 -> train_items: 99", "7:18", "train_items: 99; 99 asked for"),
        (numbers(60, "x", "y"), "", "15:13", "rows.jsonl:61: the answer 'x' is not a number; "),
        (numbers(40, True), "", "15:13", "rows.jsonl:41: the answer answer is the truth value"),
        ([{"ask": 1}] * 60, "", "15:13", "rows.jsonl:1, "),
        (
            numbers(60),
            "train_items: 8 -> train_items: 8\n    fields: {question: question, answer: key.0}",
            "8:42",
            "received fields.answer: key.0; ",
        ),
        (numbers(60) * 2, "rows.jsonl -> none.jsonl", "15:13", "no data file"),
        (numbers(60), "tiny-llama -> tiny-lama", "14:11", "no such"),
    ],
)
def test_what_is_wrong_with_a_data_set_is_said_at_its_setting(
    tmp_path: Path, rows: list[dict[str, Any]], override: str, place: str, message: str
) -> None:
    found, text = refusal(tmp_path, rows, *([override] if override else []))
    assert message in text
    assert found == place
