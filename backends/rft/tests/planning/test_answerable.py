"""Keys that cannot be answered: found under every verifier, named, left out, remembered."""

from __future__ import annotations

import importlib.machinery
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ablatekit_rft.backend import RftBackend
from ablatekit_rft.planning import answerable, judging
from ablatekit_rft.planning.answerable import find_answerable
from ablatekit_rft.planning.examine import ready_task, untold
from ablatekit_rft.planning.memory import Memory
from ablatekit_rft.settings import RftSettings
from ablatekit_rft.tasks import find_task, get_task, questions, reasoning, task_names
from ablatekit_rft.tasks.query import Judgement, Query, Verdict
from ablatekit_rft.tasks.verifiers.pool import FAILED
from ablatekit_rft.tasks.verifiers.registry import BY_RULE

from ablatekit.errors import UsageError
from ablatekit.testing.specs import run_spec

TEMPLATES = ("none", "qa", "chat", "r1", "qwen_math")
KINDS = ("hash", "latex", "number")


def found_in(settings: RftSettings, *folders: Path) -> Any:
    answerable._answered.cache_clear()
    return find_answerable(settings, untold, Memory(folders))


def seen(dataset: str, **changed: Any) -> tuple[str, ...]:
    answerable._answered.cache_clear()
    flat = {"dataset": dataset, "train_items": 8, "evaluation.test_items": 4, **changed}
    return tuple(RftBackend().examine(flat, untold))


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_own_verifier_accepts_every_key_in_every_template(
    tmp_path: Path, kind: str, template: str, kinds: Any, rows_file: Any, settings_for: Any
) -> None:
    dataset = rows_file(tmp_path / "rows.jsonl", [kinds[kind](number) for number in range(1, 60)])
    found = found_in(settings_for(dataset, template=template))
    assert (found.count, found.rows) == (0, 59)
    assert not [said for said in seen(dataset, template=template) if said.startswith("left out")]


@pytest.mark.parametrize("instruction", ["auto", "none", "hash", "boxed"])
@pytest.mark.parametrize("verifier", ["auto", *BY_RULE])
@pytest.mark.parametrize("kind", KINDS)
def test_every_combination_is_answerable_or_refused_with_its_reason(
    tmp_path: Path,
    kind: str,
    verifier: str,
    instruction: str,
    kinds: Any,
    rows_file: Any,
    settings_for: Any,
) -> None:
    dataset = rows_file(tmp_path / "rows.jsonl", [kinds[kind](number) for number in range(1, 60)])
    for template in ("none", "r1", "qwen_math"):
        chosen = {"verifier": verifier, "instruction": instruction, "template": template}
        try:
            seen(dataset, **chosen)
        except UsageError as error:
            said = str(error)
            assert "does not read" in said or "does not accept the answers" in said
            assert "Set " in said
        else:
            assert found_in(settings_for(dataset, **chosen)).count == 0


def test_a_form_that_the_verifier_does_not_read_is_refused_with_what_fits(
    tmp_path: Path, kinds: Any, rows_file: Any
) -> None:
    dataset = rows_file(tmp_path / "rows.jsonl", [kinds["hash"](number) for number in range(60)])
    with pytest.raises(UsageError) as raised:
        seen(dataset, verifier="hash", instruction="boxed")
    said = str(raised.value)
    assert "no completion can be right" in said
    assert "instruction: boxed, verifier: hash: '\\\\boxed{ANSWER}' is wrong" in said
    assert "Set instruction: auto or hash or none, or verifier: number or" in said
    with pytest.raises(UsageError, match=r"stop text ends it before its answer; received stop: "):
        seen(dataset, stop=("####",))


def test_what_fits_reads_the_keys_of_the_data_set(tmp_path: Path, rows_file: Any) -> None:
    rows = [{"question": f"{number}?", "answer": "yes"} for number in range(60)]
    dataset = rows_file(tmp_path / "rows.jsonl", rows)
    with pytest.raises(UsageError, match="Set verifier: boxed, or a system_prompt") as raised:
        seen(dataset, template="qwen_math")
    assert "number" not in str(raised.value)


def test_refused_rows_are_named_with_their_line_and_the_verifiers_that_accept_them(
    tmp_path: Path, rows_file: Any
) -> None:
    rows = [{"question": f"Q{number}", "answer": f"\\boxed{{x+{number}}}"} for number in range(50)]
    dataset = rows_file(tmp_path / "rows.jsonl", rows)
    with pytest.raises(UsageError) as raised:
        seen(dataset, verifier="number")
    said = str(raised.value)
    assert f"verifier: number, 50 of 50 rows of {dataset}: {dataset}:" in said
    assert "up to 2% of its rows are left out" in said
    assert "and 47 more" in said
    assert "boxed accepts 100 %" in said


@pytest.mark.parametrize(("odd", "refused"), [(1, False), (2, False), (3, True)])
def test_two_per_cent_is_the_most_that_is_left_out(
    tmp_path: Path, odd: int, refused: bool, kinds: Any, rows_file: Any
) -> None:
    rows = [kinds["number"](number) for number in range(100)]
    # Odd in the eyes of a verifier of one's own: the reader finds nothing wrong with them.
    (tmp_path / "mine.py").write_text(
        f"def judge(question, gold, text):\n    return text == gold and int(gold) > {1 + odd}\n"
    )
    dataset = rows_file(tmp_path / "rows.jsonl", rows)
    verifier = f"{tmp_path / 'mine.py'}:judge"
    if refused:
        with pytest.raises(UsageError, match=r"3 of (the first \d+ of )?100 rows"):
            seen(dataset, verifier=verifier)
        return
    (warning,) = seen(dataset, verifier=verifier)
    assert warning.startswith(f"left out: {odd} of 100 rows of {dataset}: {dataset}:")
    assert "key '2': '2' is wrong" in warning


def test_a_verifier_that_rejects_its_own_keys_is_refused(
    tmp_path: Path, kinds: Any, rows_file: Any
) -> None:
    dataset = rows_file(tmp_path / "rows.jsonl", [kinds["number"](number) for number in range(50)])
    (tmp_path / "mine.py").write_text("def judge(question, gold, text):\n    return False\n")
    with pytest.raises(
        UsageError, match=r"mine.py:judge, 4 of the first 4 of 50 rows.*number accepts 100 %"
    ):
        seen(dataset, verifier=f"{tmp_path / 'mine.py'}:judge")


def test_a_worked_solution_that_says_another_answer_is_left_out(
    tmp_path: Path, kinds: Any, rows_file: Any
) -> None:
    rows = [
        {**kinds["number"](number), "solution": f"It is \\boxed{{{number + 2}}}."}
        for number in range(99)
    ]
    rows[7]["solution"] = "It is \\boxed{8}."
    dataset = rows_file(tmp_path / "rows.jsonl", rows)
    warning, *_ = seen(dataset)
    assert f"{dataset}:8: " in warning
    assert "1 of 99 rows" in warning


def test_left_out_rows_are_part_of_the_run_and_no_item_of_it(
    tmp_path: Path, make_context: Any, kinds: Any, rows_file: Any
) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text("def judge(question, gold, text):\n    return gold in text and gold != '9'\n")
    dataset = rows_file(tmp_path / "rows.jsonl", [kinds["number"](number) for number in range(100)])
    flat = {"dataset": dataset, "verifier": f"{mine}:judge", "train_items": 8}
    flat["evaluation.test_items"] = 4
    content = RftBackend().content(flat)
    assert set(content) == {"model", "dataset", "verifier", "left_out"}
    chosen = RftSettings.from_dotted(flat)
    task = ready_task(chosen, content, make_context().cache_lock)
    items = [query for split in ("train", "test") for query in task.items(split, None)]
    assert len(items) == 99
    assert "Add 2 to 7." not in [query.prompt for query in items]
    spec = run_spec(RftBackend(), flat)
    without = {name: value for name, value in content.items() if name != "left_out"}
    assert spec.run_id != run_spec(RftBackend(), {**flat, "verifier": "number"}).run_id
    with pytest.raises(UsageError, match="other rows than when the study was planned"):
        ready_task(chosen, without, make_context().cache_lock)
    with pytest.raises(UsageError, match="other rows than when the study was planned"):
        ready_task(chosen, {**content, "left_out": "others"}, make_context().cache_lock)


def test_a_run_may_ask_for_no_more_rows_than_are_left(
    tmp_path: Path, kinds: Any, rows_file: Any
) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text("def judge(question, gold, text):\n    return gold in text and gold != '9'\n")
    (tmp_path / "data").mkdir()
    rows_file(tmp_path / "data" / "train.jsonl", [kinds["number"](number) for number in range(80)])
    rows_file(
        tmp_path / "data" / "test.jsonl", [kinds["number"](number) for number in range(80, 100)]
    )
    flat = {"dataset": str(tmp_path / "data"), "verifier": f"{mine}:judge"}
    flat |= {"evaluation.test_items": 20}
    assert RftBackend().content({**flat, "train_items": 79})
    with pytest.raises(UsageError, match=r"train_items: 80; 80 asked for, 79 there"):
        RftBackend().content({**flat, "train_items": 80})


def test_what_was_found_is_remembered_and_a_damaged_memory_is_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kinds: Any, rows_file: Any, settings_for: Any
) -> None:
    dataset = rows_file(tmp_path / "rows.jsonl", [kinds["hash"](number) for number in range(60)])
    settings, memory = settings_for(dataset), tmp_path / "memory"
    first = found_in(settings, memory)
    (kept,) = memory.iterdir()
    calls: list[Any] = []
    judge = answerable._judged
    monkeypatch.setattr(answerable, "_judged", lambda asked: calls.append(asked) or judge(asked))
    assert found_in(settings, memory) == first
    assert not calls
    for damage in (b"", b"{}", kept.read_bytes().replace(b'"rows": 60', b'"rows": 61')):
        kept.write_bytes(damage)
        assert found_in(settings, memory) == first
    assert len(calls) == 3
    assert found_in(settings, memory) == first
    assert len(calls) == 3


def test_other_rows_verifiers_and_sources_are_judged_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kinds: Any, rows_file: Any, settings_for: Any
) -> None:
    mine, memory = tmp_path / "mine.py", tmp_path / "memory"
    mine.write_text("def judge(question, gold, text):\n    return gold in text\n")
    dataset = rows_file(tmp_path / "rows.jsonl", [kinds["hash"](number) for number in range(60)])
    variants = [{}, {"verifier": "number"}, {"template": "r1"}, {"verifier": f"{mine}:judge"}]
    for count, changed in enumerate(variants, start=1):
        found_in(settings_for(dataset, **changed), memory)
        assert len(list(memory.iterdir())) == count
    mine.write_text("def judge(question, gold, text):\n    return gold in text or False\n")
    found_in(settings_for(dataset, verifier=f"{mine}:judge"), memory)
    rows_file(tmp_path / "rows.jsonl", [kinds["hash"](number) for number in range(61)])
    found_in(settings_for(dataset), memory)
    monkeypatch.setattr(answerable, "_code", lambda: "another version")
    found_in(settings_for(dataset), memory)
    assert len(list(memory.iterdir())) == 7


def test_what_is_remembered_of_moved_rows_names_their_place(
    tmp_path: Path, kinds: Any, rows_file: Any, settings_for: Any
) -> None:
    rows = [kinds["hash"](number) for number in range(60)]
    rows[4]["answer"] = "4+1=5\n#### five"
    first = rows_file(tmp_path / "rows.jsonl", rows)
    before = found_in(settings_for(first), tmp_path / "memory")
    second = str((tmp_path / "rows.jsonl").rename(tmp_path / "moved.jsonl"))
    after = found_in(settings_for(second), tmp_path / "memory")
    assert len(list((tmp_path / "memory").iterdir())) == 1
    assert [row.where for row in before.left_out] == [f"{first}:5"]
    assert [row.where for row in after.left_out] == [f"{second}:5"]


def test_a_folder_that_cannot_be_written_is_no_error(
    tmp_path: Path, kinds: Any, rows_file: Any, settings_for: Any
) -> None:
    (tmp_path / "file").write_text("")
    dataset = rows_file(tmp_path / "rows.jsonl", [kinds["hash"](number) for number in range(60)])
    nowhere, second = tmp_path / "file" / "below", tmp_path / "second"
    assert found_in(settings_for(dataset), nowhere).rows == 60
    assert found_in(settings_for(dataset), nowhere, second).rows == 60
    assert len(list(second.iterdir())) == 1


def test_a_judgement_that_ran_out_of_time_is_made_again_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kinds: Any, rows_file: Any, settings_for: Any
) -> None:
    dataset = rows_file(tmp_path / "rows.jsonl", [kinds["number"](number) for number in range(60)])
    asked: list[int] = []

    class Busy:
        """Too slow whenever it is asked about more than one row."""

        name, version, max_new_tokens, answers = "busy", 1, 8, "number"

        def judge(self, queries: Sequence[Query], _: Sequence[str]) -> list[Judgement]:
            asked.append(len(queries))
            late = FAILED if len(queries) > 1 else Judgement(Verdict.CORRECT, True)
            return [late] * len(queries)

    monkeypatch.setattr(judging, "open_task", lambda *_: Busy())
    assert found_in(settings_for(dataset)).count == 0
    assert asked == [4, *[1] * 4, 32, *[1] * 32, 24, *[1] * 24]


def test_progress_counts_every_judgement(
    tmp_path: Path, kinds: Any, rows_file: Any, settings_for: Any
) -> None:
    dataset = rows_file(tmp_path / "rows.jsonl", [kinds["hash"](number) for number in range(300)])
    told: list[tuple[str, int, int]] = []
    answerable._answered.cache_clear()
    find_answerable(settings_for(dataset), lambda *words: told.append(words), Memory(()))
    done = [count for _, count, _ in told]
    assert done == sorted(done)
    assert {(what, total) for what, _, total in told} == {("answers of rows.jsonl under auto", 600)}
    assert done[-1] == 600


@pytest.mark.parametrize("name", task_names())
def test_shipped_tasks_accept_their_own_answers(name: str) -> None:
    task = get_task(name)
    for split in ("train", "test", "pretrain"):
        queries = task.items(split, 200 if name != "arithmetic-1" else None)
        for texts in ([query.gold for query in queries], [query.shown for query in queries]):
            if task.answers == "hash":
                texts = [text if "####" in text else f"#### {text}" for text in texts]
            verdicts = {one.verdict for one in task.judge(queries, texts)}
            assert verdicts == {Verdict.CORRECT}
    assert seen(name) == ()


def test_a_shipped_task_under_another_verifier_is_judged(tmp_path: Path, settings_for: Any) -> None:
    settings = settings_for("letter-sort", verifier="exact")
    found = found_in(settings, tmp_path)
    assert (found.count, found.rows) == (0, (8 + 1) + (4 + 1))
    with pytest.raises(UsageError, match="does not accept the answers"):
        seen("letter-sort", verifier="number")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[dict[str, str]]]:
    """What the hub has, by split."""
    splits: dict[str, list[dict[str, str]]] = {}
    fake, errors = ModuleType("datasets"), ModuleType("datasets.exceptions")
    fake.__spec__ = importlib.machinery.ModuleSpec("datasets", None)
    fake.load_dataset = lambda *_, **__: splits  # type: ignore[attr-defined]
    errors.DatasetNotFoundError = FileNotFoundError  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "datasets", fake)
    monkeypatch.setitem(sys.modules, "datasets.exceptions", errors)
    questions.hub_task.cache_clear()
    return splits


def test_rows_of_the_hub_are_judged_when_a_run_loads_them(
    hub: dict[str, list[dict[str, str]]], kinds: Any, make_context: Any
) -> None:
    hub["train"] = [kinds["hash"](number) for number in range(98)]
    hub["train"][3]["answer"] = "3+1=4\n#### four"
    hub["test"] = [kinds["hash"](number) for number in range(100, 102)]
    name = f"o/n@{40 * '1'}"
    flat = {"dataset": name, "train_items": 8, "evaluation.test_items": 2}
    assert RftBackend().examine(flat, untold) == ()
    content = RftBackend().content(flat)
    assert set(content) == {"model", "dataset"}
    task = ready_task(RftSettings.from_dotted(flat), content, make_context().cache_lock)
    assert len(task.items("train", None)) == 97
    # What a run has found is known when a study is planned again; its runs keep their ids.
    answerable._answered.cache_clear()
    (warning,) = RftBackend().examine(flat, untold)
    assert warning.startswith(f"left out: 1 of 100 rows of {name}: ")
    assert RftBackend().content(flat) == content
    refused = {**flat, "verifier": "boxed", "instruction": "hash"}
    with pytest.raises(UsageError, match="no completion can be right"):
        ready_task(RftSettings.from_dotted(refused), content, make_context().cache_lock)


def test_items_of_a_generator_that_its_scorer_rejects_are_replaced(
    monkeypatch: pytest.MonkeyPatch, make_context: Any
) -> None:
    entries = [{"question": f"q{number}", "answer": str(number)} for number in range(2000)]

    def judge(_: object, queries: Sequence[Query], texts: Sequence[str]) -> list[Judgement]:
        right = [text == query.gold != rejected for query, text in zip(queries, texts, strict=True)]
        return [Judgement(Verdict.CORRECT if one else Verdict.WRONG, True) for one in right]

    monkeypatch.setattr(reasoning, "_dataset", lambda _: entries)
    monkeypatch.setattr(reasoning, "package_version", lambda: "1")
    monkeypatch.setattr(reasoning.ReasoningTask, "judge", judge)
    flat = {"dataset": "reasoning-gym/puzzle", "train_items": 100, "evaluation.test_items": 60}
    rejected = ""
    plain = find_task("reasoning-gym/puzzle").items("train", 101)
    rejected = plain[7].gold
    answerable._answered.cache_clear()
    (warning,) = RftBackend().examine(flat, untold)
    assert warning.startswith("left out: 1 of 165 rows of reasoning-gym/puzzle: item ")
    content = RftBackend().content(flat)
    task = ready_task(RftSettings.from_dotted(flat), content, make_context().cache_lock)
    assert task.items("train", 100) == (*plain[:7], *plain[8:101])
