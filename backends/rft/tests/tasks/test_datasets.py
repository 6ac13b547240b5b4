"""Question data sets from files, from the hub and from generators: splits, fields, identity."""

from __future__ import annotations

import gzip
import importlib.machinery
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ablatekit_rft.backend import RftBackend
from ablatekit_rft.sources.hub import parse_hub_dataset
from ablatekit_rft.tasks import find_task, questions
from ablatekit_rft.tasks.query import Query, Verdict
from ablatekit_rft.tasks.registry import (
    FEWER_ITEMS,
    GENERATED,
    HASHED_ITEMS,
    PINNED,
    TASKS,
    dataset_content,
    generated_content,
    get_task,
)
from ablatekit_rft.tasks.rows import Fields, question_id

from ablatekit.errors import UsageError
from ablatekit.testing.specs import run_spec

COMMIT = "0123456789abcdef0123456789abcdef01234567"
HAS_REASONING = importlib.util.find_spec("reasoning_gym") is not None
NO_REASONING = "no module reasoning_gym: pip install 'ablatekit-rft[reasoning]'"


def gsm(number: int) -> dict[str, str]:
    answer = f"It is {number}+1=<<{number}+1={number + 1}>>{number + 1}.\n#### {number + 1}"
    return {"question": f"Add one to {number}.", "answer": answer}


def write_lines(path: Path, records: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records), "utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve train and five test questions, one of them also in the train file."""
    write_lines(tmp_path / "gsm" / "train.jsonl", [gsm(number) for number in range(12)])
    write_lines(tmp_path / "gsm" / "test.jsonl", [gsm(number) for number in range(11, 16)])
    return tmp_path / "gsm"


def test_a_folder_in_the_form_of_gsm8k(folder: Path) -> None:
    task = find_task(str(folder))
    train, test = task.items("train", None), task.items("test", None)
    assert (task.answers, len(train), len(test)) == ("hash", 11, 5)
    assert not {query.item for query in train} & {query.item for query in test}
    query = next(query for query in train if query.prompt == "Add one to 4.")
    assert (query.gold, query.solution) == ("5", "It is 4+1=5.\n#### 5")
    verdicts = [one.verdict for one in task.judge([query] * 2, ["#### 5", "it is 5"])]
    assert verdicts == [Verdict.CORRECT, Verdict.WRONG]


def test_the_order_of_a_file_is_not_the_order_of_the_items(folder: Path) -> None:
    before = find_task(str(folder)).items("train", None)
    lines = (folder / "train.jsonl").read_text().splitlines(keepends=True)
    (folder / "train.jsonl").write_text("".join(reversed(lines)))
    assert find_task(str(folder)).items("train", None) == before
    assert [query.item for query in before] == sorted(query.item for query in before)
    assert find_task(str(folder)).items("train", 4) == before[:4]


def test_one_file_is_split_by_its_questions(tmp_path: Path) -> None:
    write_lines(tmp_path / "all.jsonl", [gsm(number) for number in range(200)])
    task = find_task(str(tmp_path / "all.jsonl"))
    train, test = task.items("train", None), task.items("test", None)
    assert len(train) + len(test) == 200
    assert 20 < len(test) < 60
    write_lines(tmp_path / "all.jsonl", [gsm(number) for number in range(190)])
    moved = find_task(str(tmp_path / "all.jsonl")).items("test", None)
    assert {query.item for query in moved} <= {query.item for query in test}


def test_latex_answers_of_math_come_from_the_last_box_or_their_own_field(tmp_path: Path) -> None:
    solutions = ["so \\boxed{1}, no, \\boxed{\\frac{1}{2}}", "\\boxed{3}"]
    records = [{"problem": f"P{i}", "solution": text} for i, text in enumerate(solutions)]
    write_lines(tmp_path / "math" / "train.jsonl", records)
    with_answer = {"problem": "T", "solution": "...\\boxed{9}", "answer": "\\pi"}
    write_lines(tmp_path / "math" / "test.jsonl", [with_answer])
    task = find_task(str(tmp_path / "math"))
    golds = {query.prompt: query.gold for query in task.items("train", None)}
    assert task.answers == "latex"
    assert golds == {"P0": "\\frac{1}{2}", "P1": "3"}
    assert task.items("test", 1)[0].gold == "\\pi"


def test_parquet_and_other_kinds_of_answers(tmp_path: Path) -> None:
    rows = {"input": ["a?", "b?", "c?", "d?"], "target": [1, 2, 3, 4]}
    pq.write_table(pa.table(rows), tmp_path / "train.parquet")
    write_lines(tmp_path / "test.jsonl", [{"input": "e?", "target": "5"}])
    task = find_task(str(tmp_path))
    assert task.answers == "number"
    assert {query.gold for query in task.items("train", None)} == {"1", "2", "3", "4"}
    words = [{"input": f"{word}?", "target": word} for word in ("Paris", "Rome", "Oslo", "Bern")]
    write_lines(tmp_path / "test.jsonl", words)
    assert find_task(str(tmp_path)).answers == "text"


def test_fields_can_be_named(tmp_path: Path) -> None:
    write_lines(tmp_path / "x.jsonl", [{"ask": f"q{i}", "say": str(i)} for i in range(50)])
    with pytest.raises(UsageError, match=r"x\.jsonl:1, .*no question.*fields\.question.*ask, say"):
        find_task(str(tmp_path / "x.jsonl"))
    task = find_task(str(tmp_path / "x.jsonl"), Fields(question="ask", answer="say"))
    assert len(task.items("train", None)) + len(task.items("test", None)) == 50


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("not json\n", r"not a JSON object.*bad\.jsonl:1"),
        ('{"question": "q", "answer": "1"}\n[1]\n', r"bad\.jsonl:2"),
        ('{"question": "q", "answer": null}\n', "no answer"),
        ("", "needs train and test questions"),
    ],
)
def test_damaged_files_name_their_line(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "bad.jsonl").write_text(content)
    with pytest.raises(UsageError, match=message):
        find_task(str(tmp_path / "bad.jsonl"))


def test_missing_files_and_sizes_are_refused_when_planning(folder: Path, tmp_path: Path) -> None:
    backend = RftBackend()
    with pytest.raises(UsageError, match="no data file"):
        backend.content({"dataset": str(tmp_path / "none.jsonl")})
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="needs a train file"):
        backend.content({"dataset": str(tmp_path / "empty")})
    with pytest.raises(UsageError, match="train_items: 12; 12 asked for, 11 there"):
        backend.content({"dataset": str(folder), "train_items": 12})
    with pytest.raises(UsageError, match="a generated task has no end; received train_items: null"):
        backend.content({"dataset": "letter-sort", "train_items": None})
    sizes = {"train_items": None, "evaluation.test_items": None, "evaluation.probe_items": None}
    assert backend.content({"dataset": str(folder), **sizes})["dataset"]


def test_a_folder_has_splits_by_many_names(tmp_path: Path) -> None:
    rows = [gsm(number) for number in range(40)]
    for number, row in enumerate(rows[:30]):
        write_lines(tmp_path / "math" / "train" / "sums" / f"{number}.json", [row])
    write_lines(tmp_path / "math" / "trainer_log.json", [{"loss": 1.0}])
    write_lines(tmp_path / "math" / "dev.jsonl", rows[30:35])
    (tmp_path / "math" / "._train.jsonl").write_bytes(b"\xff")
    task = find_task(str(tmp_path / "math"))
    assert [len(task.items(split, None)) for split in ("train", "test")] == [30, 5]
    with gzip.open(tmp_path / "math" / "test-00000-of-00001.jsonl.gz", "wt") as stream:
        stream.write("".join(f"{json.dumps(row)}\n" for row in rows[35:39]))
    task = find_task(str(tmp_path / "math"))
    assert [len(task.items(split, None)) for split in ("train", "test")] == [30, 4]


def test_a_data_set_is_what_its_files_hold(folder: Path, tmp_path: Path) -> None:
    backend, sizes = RftBackend(), {"train_items": 8, "evaluation.test_items": 4}
    before = run_spec(backend, {"dataset": str(folder), **sizes}).run_id
    moved = folder.rename(tmp_path / "moved")
    assert run_spec(backend, {"dataset": str(moved), **sizes}).run_id == before
    with (moved / "test.jsonl").open("a") as stream:
        stream.write(json.dumps(gsm(99)) + "\n")
    assert run_spec(backend, {"dataset": str(moved), **sizes}).run_id != before


def test_white_space_makes_no_other_question() -> None:
    assert question_id(" a\n b ") == question_id("a b") != question_id("ab")


@pytest.mark.parametrize("name", ["gsm8k", "math"])
def test_benchmarks_are_planned_without_network(name: str) -> None:
    content = dataset_content(name)
    commit = f"hub-dataset:{PINNED[name]}@{PINNED[name].revision}"
    assert content == f"{commit} read as {questions.VERSION}"
    assert parse_hub_dataset(commit) == PINNED[name]


def test_hub_data_sets_need_a_commit_or_the_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    read_as = f" read as {questions.VERSION}"
    assert dataset_content(f"o/n/sub@{COMMIT}") == f"hub-dataset:o/n/sub@{COMMIT}{read_as}"
    with pytest.raises(UsageError, match=r"hub dataset is not pinned.*--repo-type dataset"):
        dataset_content("o/n")
    reference = tmp_path / "datasets--o--n" / "refs" / "main"
    reference.parent.mkdir(parents=True)
    reference.write_text(COMMIT)
    assert dataset_content("o/n") == f"hub-dataset:o/n@{COMMIT}{read_as}"


def test_a_hub_data_set_is_read_at_the_commit_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def load_dataset(name: str, subset: str | None, revision: str) -> Any:
        asked.append((name, subset, revision))
        return {"train": [gsm(1), gsm(2)], "test": [gsm(3)]}

    fake = ModuleType("datasets")
    fake.__spec__ = importlib.machinery.ModuleSpec("datasets", None)
    fake.load_dataset = load_dataset  # type: ignore[attr-defined]
    errors = ModuleType("datasets.exceptions")
    errors.DatasetNotFoundError = FileNotFoundError  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "datasets", fake)
    monkeypatch.setitem(sys.modules, "datasets.exceptions", errors)
    questions.hub_task.cache_clear()
    task = find_task("o/n/sub@v1", content=f"hub-dataset:o/n/sub@{COMMIT} read as 2")
    assert asked == [("o/n", "sub", COMMIT)]
    assert (task.name, task.answers, len(task.items("train", None))) == ("o/n/sub", "hash", 2)


@pytest.mark.parametrize("name", ["arithmetic-1", "arithmetic-2", "number-stories"])
def test_generated_arithmetic(name: str) -> None:
    task = find_task(name)
    splits = {split: task.items(split, None) for split in ("train", "test", "pretrain")}
    items = [query.item for queries in splits.values() for query in queries]
    assert len(items) == len(set(items))
    assert len(splits["train"]) > len(splits["test"]) > len(splits["pretrain"]) > 0
    for query in splits["test"][:100]:
        assert task.judge([query], [query.solution])[0].verdict is Verdict.CORRECT
        wrong = query.solution.replace(query.gold, str(int(query.gold) + 1))
        assert task.judge([query], [wrong])[0].verdict is Verdict.WRONG


def test_sums_are_right_by_another_way_and_sizes_are_known() -> None:
    for query in find_task("arithmetic-1").items("train", None):
        expression = query.prompt.removeprefix("What is ").removesuffix("?")
        left, sign, right = expression.split()
        expected = {"+": int(left) + int(right), "-": int(left) - int(right)}
        product = sum([int(left)] * int(right))
        assert int(query.gold) == expected.get(sign, product)
    sizes = [len(find_task("arithmetic-1").items(split, None)) for split in ("train", "test")]
    assert sizes == [153, 120]


@pytest.mark.full
@pytest.mark.skipif(not HAS_REASONING, reason=NO_REASONING)
def test_reasoning_gym_tasks_are_scored_by_themselves() -> None:
    task = find_task("reasoning-gym/basic_arithmetic")
    train, test = task.items("train", 20), task.items("test", 20)
    assert not {query.prompt for query in train} & {query.prompt for query in test}
    assert task.items("train", 5) == train[:5]
    found = task.judge([train[0], train[0], train[1]], [train[0].gold, "no number", train[0].gold])
    assert [one.verdict for one in found] == [Verdict.CORRECT, Verdict.WRONG, Verdict.WRONG]
    with pytest.raises(UsageError, match=r"no such task in reasoning-gym.*basic_arithmetic"):
        dataset_content("reasoning-gym/basic_arithmetics")


def test_reasoning_gym_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    from ablatekit_rft.tasks import reasoning

    reasoning._dataset.cache_clear()
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(UsageError, match=r"ablatekit-rft\[reasoning\]"):
        dataset_content("reasoning-gym/basic_arithmetic")


def test_queries_show_their_solution_or_their_answer() -> None:
    assert Query("i", "p", "g").shown == "g"
    assert Query("i", "p", "g", "s").shown == "s"


@pytest.mark.parametrize("name", TASKS)
def test_what_identifies_a_shipped_task_is_the_hash_of_its_first_items(name: str) -> None:
    assert dataset_content(name) == GENERATED[name] == generated_content(name)


@pytest.mark.parametrize("name", sorted({*TASKS} - {*FEWER_ITEMS}))
def test_a_shipped_task_has_the_items_that_identify_it(name: str) -> None:
    for split in ("train", "test"):
        assert len(get_task(name).items(split, HASHED_ITEMS)) == HASHED_ITEMS
