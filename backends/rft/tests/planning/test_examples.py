"""Solved examples: every one that a run shows is judged correct by the run's own verifier."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ablatekit_rft.planning import examine as examine_module
from ablatekit_rft.planning.examine import examine, refuse_wrong_examples, untold
from ablatekit_rft.planning.prompts import Prompts, build_prompts
from ablatekit_rft.settings import RftSettings
from ablatekit_rft.tasks.forms import in_form, solved
from ablatekit_rft.tasks.judged import open_task
from ablatekit_rft.tasks.query import Verdict

from ablatekit.errors import UsageError

TEMPLATES = ("none", "qa", "chat", "r1", "qwen_math")
KINDS = ("hash", "latex", "number")

VERIFIERS: Mapping[str, tuple[str, ...]] = {
    "hash": ("auto", "number", "hash", "boxed", "number_strict", "exact"),
    "latex": ("auto", "boxed", "exact"),
    "number": ("auto", "number", "hash", "boxed", "number_strict", "exact"),
}
"""Verifiers that read the answers of each kind of rows."""


def prompts_of(settings: RftSettings) -> tuple[Prompts, Any]:
    task = open_task(settings)
    return build_prompts(settings, task, task.items("train", settings.train_items)), task


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_solved_example_is_judged_correct(
    tmp_path: Path, kind: str, template: str, kinds: Any, rows_file: Any, settings_for: Any
) -> None:
    dataset = rows_file(tmp_path / "rows.jsonl", [kinds[kind](number) for number in range(1, 60)])
    for verifier in VERIFIERS[kind]:
        if template == "qwen_math" and verifier in ("exact", "number_strict"):
            continue  # its system message asks for a box: refused, see test_answerable
        settings = settings_for(dataset, template=template, verifier=verifier, few_shot=20)
        prompts, task = prompts_of(settings)
        queries = [example.query for example in prompts.examples]
        judged = task.judge(queries, [example.completion for example in prompts.examples])
        assert {one.verdict for one in judged} == {Verdict.CORRECT}, (verifier, template)
        assert all(one.format_ok for one in judged)
        examine(settings, untold)


def test_the_answer_of_an_example_stands_in_the_form_that_is_asked_for(
    tmp_path: Path, kinds: Any, rows_file: Any, settings_for: Any
) -> None:
    dataset = rows_file(tmp_path / "rows.jsonl", [kinds["hash"](number) for number in range(60)])

    def shown(**changed: Any) -> str:
        prompts, _ = prompts_of(settings_for(dataset, few_shot=1, **changed))
        (example,) = prompts.examples
        gold = example.query.gold
        return example.completion.replace(gold, "G").replace(str(int(gold) - 1), "Q")

    assert shown() == "\nQ+1=G\n#### G"
    assert shown(verifier="boxed") == "\nQ+1=G\n\\boxed{G}"
    assert shown(verifier="number_strict") == "\nG"
    assert shown(template="r1") == " Q+1=G\n#### G </think> <answer> #### G </answer>"
    assert shown(template="r1", verifier="number_strict").endswith("<answer> G </answer>")
    assert shown(template="chat", verifier="math") == "Q+1=G\n\\boxed{G}"


@pytest.mark.parametrize(
    ("form", "solution", "expected"),
    [
        ("hash", "so 5\n#### 5", "so 5\n#### 5"),
        ("hash", "so \\boxed{5}", "so \\boxed{5}\n#### 5"),
        ("boxed", "so 5\n#### 5", "so 5\n\\boxed{5}"),
        ("boxed", "so \\boxed{5}.", "so \\boxed{5}."),
        ("boxed", "#### 5", "\\boxed{5}"),
        ("bare", "so 5", "so 5"),
    ],
)
def test_a_worked_solution_ends_in_form(form: Any, solution: str, expected: str) -> None:
    assert solved(form, "5", solution) == expected
    assert in_form(form, "5") in expected


def test_a_solution_whose_last_number_is_another_one_is_followed_by_the_answer(
    tmp_path: Path, kinds: Any, rows_file: Any, settings_for: Any
) -> None:
    rows = [
        {**kinds["number"](number), "solution": f"{number + 2}, in 1 step"} for number in range(60)
    ]
    settings = settings_for(rows_file(tmp_path / "rows.jsonl", rows), few_shot=3)
    prompts, task = prompts_of(settings)
    for example in prompts.examples:
        assert example.completion == f"\n{example.query.solution}\n{example.query.gold}"
    refuse_wrong_examples(prompts, task)


def test_an_example_that_the_verifier_rejects_is_refused_with_its_line(
    tmp_path: Path, kinds: Any, rows_file: Any, settings_for: Any
) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text("def judge(question, gold, text):\n    return text == gold\n")
    rows = [{**kinds["number"](number), "solution": f"It is {number + 2}."} for number in range(60)]
    dataset = rows_file(tmp_path / "rows.jsonl", rows)
    settings = settings_for(dataset, few_shot=2, verifier=f"{mine}:judge")
    with pytest.raises(UsageError) as raised:
        examine(settings, untold)
    said = str(raised.value)
    assert "a solved example would not be judged correct; received few_shot: 2, verifier: " in said
    assert f"2 of them, first {dataset}:" in said
    assert "Set few_shot: 0, or verifier to one that reads it: exact, number" in said


def test_a_shipped_task_that_is_compared_to_the_character_takes_no_line_break(
    settings_for: Any,
) -> None:
    """Behind a prompt without template an example begins on a line of its own."""
    with pytest.raises(
        UsageError, match=r"first '[a-z]+>': '.n[a-z]+' is wrong.*one that reads it: exact"
    ):
        examine(settings_for("letter-sort", few_shot=30), untold)
    examine(settings_for("letter-sort", few_shot=30, verifier="exact"), untold)


def test_examples_that_were_right_are_not_judged_again(
    tmp_path: Path, kinds: Any, rows_file: Any, settings_for: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = rows_file(tmp_path / "rows.jsonl", [kinds["hash"](number) for number in range(60)])
    judged: list[int] = []
    check = examine_module.refuse_wrong_examples

    def count(prompts: Prompts, task: Any) -> None:
        judged.append(len(prompts.examples))
        check(prompts, task)

    monkeypatch.setattr(examine_module, "refuse_wrong_examples", count)
    for changed in ({}, {}, {"few_shot": 3}, {"stop": ["Q:"]}, {"template": "qa"}, {}):
        examine_module._examples_are_right.cache_clear()
        examine(settings_for(dataset, **{"few_shot": 2, **changed}), untold)
    assert judged == [2, 3, 2, 2]


def test_more_examples_than_there_are_rows_name_the_setting(
    tmp_path: Path, kinds: Any, rows_file: Any, settings_for: Any
) -> None:
    dataset = rows_file(tmp_path / "rows.jsonl", [kinds["number"](number) for number in range(50)])
    with pytest.raises(UsageError, match=r"too few items; received few_shot: 64"):
        examine(settings_for(dataset, few_shot=64), untold)


@pytest.mark.parametrize("name", ["stop", "evaluation"])
def test_a_stop_text_may_not_end_an_example_before_its_answer(
    tmp_path: Path, name: str, kinds: Any, rows_file: Any, settings_for: Any
) -> None:
    rows = [{**kinds["hash"](number), "answer": f"Think.\n\n#### {number}"} for number in range(60)]
    dataset = rows_file(tmp_path / "rows.jsonl", rows)
    stops: dict[str, Any] = {"stop": ["\n\n"]}
    if name == "evaluation":
        stops = {"evaluation": {"probe_items": 4, "test_items": 4, "stop": ["\n\n"]}}
    examine(settings_for(dataset, **stops), untold)
    with pytest.raises(UsageError, match=r"stop text ends a solved example before its answer") as e:
        examine(settings_for(dataset, few_shot=2, **stops), untold)
    assert f"{'stop' if name == 'stop' else 'evaluation.stop'}: ['\\n\\n'], few_shot: 2" in str(
        e.value
    )
    # What stands behind the answer may be cut.
    examine(settings_for(dataset, few_shot=2, stop=["Question:"]), untold)


@pytest.mark.parametrize("few_shot", [0, 2])
def test_the_closing_tag_of_the_answer_may_be_a_stop(
    tmp_path: Path, few_shot: int, kinds: Any, rows_file: Any, settings_for: Any
) -> None:
    """The verifier of a run reads it, too."""
    dataset = rows_file(tmp_path / "rows.jsonl", [kinds["hash"](number) for number in range(60)])
    chosen = {"template": "r1", "few_shot": few_shot}
    stops = {"probe_items": 4, "test_items": 4, "stop": ["</answer>"]}
    examine(settings_for(dataset, stop=["</answer>"], evaluation=stops, **chosen), untold)
    with pytest.raises(UsageError, match="stop text ends"):
        examine(settings_for(dataset, stop=["<answer>", "</answer>"], **chosen), untold)


def test_two_forms_that_are_asked_for_are_told(
    tmp_path: Path, kinds: Any, rows_file: Any, settings_for: Any
) -> None:
    dataset = rows_file(tmp_path / "rows.jsonl", [kinds["hash"](number) for number in range(60)])
    (warning,) = examine(settings_for(dataset, template="qwen_math"), untold)
    assert "two forms are asked for" in warning
    for changed in ({"system_prompt": "Be brief."}, {"verifier": "boxed"}):
        assert examine(settings_for(dataset, template="qwen_math", **changed), untold) == ()
