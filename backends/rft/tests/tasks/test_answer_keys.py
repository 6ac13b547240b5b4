"""Kinds of answers by what most rows look like, and what becomes of the others."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from ablatekit_rft.tasks import find_task
from ablatekit_rft.tasks.base import AnswerKind
from ablatekit_rft.tasks.query import Verdict
from ablatekit_rft.tasks.questions import QuestionTask, build_task, refuse_many
from ablatekit_rft.tasks.rows import Fields, read_rows
from hypothesis import given, settings
from hypothesis import strategies as st

from ablatekit.errors import UsageError

BASES: Mapping[AnswerKind, Any] = {
    "hash": lambda i: {"answer": f"Half of {2 * i} is <<{2 * i}/2={i}>>{i}.\n#### {i}"},
    "latex": lambda i: {"solution": f"So it is \\boxed{{\\sqrt{{{i}}}}}."},
    "number": lambda i: {"answer": i / 4},
    "text": lambda i: {"answer": f"word {i}"},
}
GOLDS: Mapping[AnswerKind, Any] = {
    "hash": str,
    "latex": lambda i: f"\\sqrt{{{i}}}",
    "number": lambda i: f"{i / 4:g}",
    "text": lambda i: f"word {i}",
}
ODD: Sequence[Mapping[str, Any]] = (
    {"answer": "\\pi \\text{ or so}"},
    {"answer": "\\frac{1}{2}"},
    {"answer": "1/2"},
    {"answer": "12"},
    {"answer": 12},
    {"answer": "Paris"},
    {"answer": "It is 5.\n#### 5"},
    {"answer": "#### 5\n#### 6"},
    {"answer": "words\n####"},
    {"answer": "words\n#### words"},
    {"answer": "So \\boxed{7}."},
    {"answer": "So \\boxed{}."},
    {"answer": None},
    {"answer": ""},
    {"answer": True},
    {"answer": float("nan")},
    {"answer": ["1", "2"]},
    {"answer": {"value": 1}},
    {"solution": "A long solution without any box."},
    {"solution": "It is \\boxed{9}."},
    {"question": None, "answer": "1"},
    {"question": [{"role": "user", "content": "?"}], "answer": "1"},
    {},
)


def task_of(
    records: Sequence[Mapping[str, Any]],
    test: Sequence[Mapping[str, Any]] = (),
    kind: AnswerKind | None = None,
) -> QuestionTask:
    fields = Fields(kind=kind)
    train = list(read_rows(((f"d.jsonl:{n}", r) for n, r in enumerate(records, 1)), fields))
    tested = list(read_rows(((f"t.jsonl:{n}", r) for n, r in enumerate(test, 1)), fields))
    return build_task("d", train, tested, kind)


def base(kind: AnswerKind, count: int) -> list[dict[str, Any]]:
    return [{"question": f"Question {i}?", **BASES[kind](i)} for i in range(1, count + 1)]


def golds(task: QuestionTask) -> dict[str, str]:
    return {query.prompt: query.gold for query in (*task.train, *task.test)}


def answers(*texts: Any) -> list[dict[str, Any]]:
    return [{"question": f"Ask {i}?", "answer": text} for i, text in enumerate(texts)]


@pytest.mark.parametrize("kind", BASES)
@pytest.mark.parametrize("odd", ODD, ids=lambda odd: json.dumps(odd)[:40])
def test_an_odd_row_changes_no_other(kind: AnswerKind, odd: Mapping[str, Any]) -> None:
    records = base(kind, 100)
    alone = task_of(records)
    assert (alone.answers, alone.left_out, alone.rows) == (kind, (), 100)
    assert golds(alone) == {f"Question {i}?": GOLDS[kind](i) for i in range(1, 101)}
    mixed = task_of([*records[:50], {"question": "Odd?", **odd}, *records[50:]])
    assert (mixed.answers, mixed.rows) == (kind, 101)
    others = {question: gold for question, gold in golds(mixed).items() if question[0] == "Q"}
    assert others == golds(alone)
    read = len(golds(mixed)) - len(golds(alone))
    assert [row.where for row in mixed.left_out] == ["d.jsonl:51"] * (1 - read)


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(sorted(BASES)),
    count=st.integers(100, 120),
    odd=st.lists(
        st.tuples(st.sampled_from(ODD), st.integers(0, 120)),
        max_size=2,
        unique_by=lambda odd: odd[1],
    ),
)
def test_two_in_a_hundred_change_no_other(
    kind: AnswerKind, count: int, odd: list[tuple[Mapping[str, Any], int]]
) -> None:
    records = base(kind, count)
    mixed = list(records)
    for row, place in odd:
        mixed.insert(place, {"question": "Odd?", **row})
    alone, together = task_of(records), task_of(mixed)
    assert together.answers == alone.answers
    assert golds(together).items() >= golds(alone).items()
    for row in together.left_out:
        assert mixed[int(row.where.removeprefix("d.jsonl:")) - 1] not in records


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (["1/2", *"123456789"], "number"),
        (["\\sqrt{2}", "\\pi", *"1234567890123456"], "latex"),
        (["\\sqrt{2}", "x + y", "\\pi"], "latex"),
        (["5", "7", "Paris", "Rome", "Oslo"], "text"),
        (["5", "Paris"], "text"),
        (["#### 5", "so\n#### 1/2", "7"], "hash"),
        (["#### Paris", "so\n#### Rome", "Oslo"], "text"),
        (["so\n#### 5", "so\n#### 6", "7", "8"], "number"),
        (["so\n#### 5", "so\n#### 6", "\\pi", "\\sqrt{2}"], "latex"),
        (["so\n#### 5", "so\n#### 6", "Paris", "Rome", "Oslo"], "text"),
        (["#### \\sqrt{2}", "so\n#### \\pi"], "latex"),
        (["So $1$ is \\boxed{5}.", "\\boxed{6}"], "latex"),
        (["-1,000", "$5", "50%", "3e4"], "number"),
    ],
)
def test_kinds(texts: list[str], kind: AnswerKind) -> None:
    records = answers(*texts)
    task = task_of(records[:-1], records[-1:])
    assert (task.answers, task.left_out) == (kind, ())


def test_numbers_with_units_are_keys_of_data_sets_of_numbers() -> None:
    keys = ["$3", "12 apples", "30 minutes", "5 dollars", "9 cm^2"]
    task = task_of(answers(*(f"so\n#### {key}" for key in keys)), base("hash", 1))
    assert sorted(golds(task).values()) == sorted([*keys, "1"])


def test_answers_behind_the_mark_are_keys_whatever_they_are() -> None:
    task = task_of(answers("so\n#### Paris", "#### Rome"), base("text", 1))
    assert sorted(golds(task).values()) == ["Paris", "Rome", "word 1"]
    texts = ["a #### 5\n#### 6", "7", "\\boxed{8}", "#### 9", "#### 1/2", "<<1+1=2>> #### 2 "]
    task = task_of(answers(*texts), base("hash", 1))
    assert {query.gold: query.solution for query in task.train} == {
        "6": "a #### 5\n#### 6",
        "7": "#### 7",
        "8": "#### 8",
        "9": "#### 9",
        "1/2": "#### 1/2",
        "2": "#### 2",
    }


@pytest.mark.parametrize(
    ("texts", "keys"),
    [
        (["so\n#### 5", "so\n#### 6", "7", "8"], ["5", "6", "7", "8"]),
        (["so\n#### 5", "so \\boxed{6}", *"ABCDE"], ["5", "6", *"ABCDE"]),
        (["so\n#### 5", "\\pi", "$\\pi$ is \\boxed{\\pi}"], ["5", "\\pi", "\\pi"]),
        (["#### A heading\nand text", *"ABC"], ["#### A heading\nand text", *"ABC"]),
    ],
)
def test_no_key_is_a_worked_solution(texts: list[str], keys: list[str]) -> None:
    task = task_of(answers(*texts)[:-1], answers(*texts)[-1:])
    assert task.left_out == ()
    assert list(dict(sorted(golds(task).items())).values()) == keys


def test_formulas_lose_the_signs_around_them_and_nothing_else() -> None:
    texts = ["$\\pi$", "\\(2\\pi\\)", "\\[3\\pi\\]", "$$4\\pi$$", "$a$ and $b$", "\\pi"]
    task = task_of(answers(*texts), [{"question": "?", "answer": "$\\sqrt{2}$"}])
    keys = ["\\pi", "2\\pi", "3\\pi", "4\\pi", "$a$ and $b$", "\\pi"]
    assert golds(task) == {
        **{f"Ask {i}?": key for i, key in enumerate(keys)},
        "?": "\\sqrt{2}",
    }


def test_solutions_that_are_nothing_but_the_answer_are_keys() -> None:
    bare = [{"question": f"Q{i}", "solution": f"${i}\\pi$"} for i in range(9)]
    task = task_of(bare, [{"question": "?", "solution": "$\\pi$"}])
    assert task.answers == "latex"
    assert {query.gold for query in task.train} == {f"{i}\\pi" for i in range(9)}


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (
            ["Paris", *map(str, range(20))],
            (
                r"^1 of 21 rows of 'd' cannot be used: up to 2% are .* d\.jsonl:1: .*'Paris' is not"
                r" a number; answers are read as numbers, and rows look like 20 numbers, 1 text"
            ),
        ),
        (
            ["\\pi", *map(str, range(20))],
            r"d\.jsonl:1: the answer '\\\\pi' is not a number; .* 1 LaTeX, 20 numbers.*kind: latex",
        ),
        (
            [*["Paris"] * 40, *range(60)],
            r"40 of 100 .* d\.jsonl:1, d\.jsonl:2, d\.jsonl:3: .*; 37 more; .* 60 numbers, 40 text",
        ),
        (["#### 1", "#### 2", "none"], r"'none' is not a number behind ####; .* 2 numbers behind"),
        ([*range(20), None], r"d\.jsonl:21: a row has no answer"),
        ([*range(20), True], r"d\.jsonl:21: the answer answer is the truth value true"),
    ],
)
def test_more_than_two_in_a_hundred_are_refused(texts: list[Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        task_of(answers(*texts))
    assert len(caught.value.problems) == 1


def test_train_and_test_of_different_kinds_are_refused() -> None:
    with pytest.raises(UsageError, match=r"t\.jsonl:1: .* t\.jsonl:2: .* 20 numbers, 10 text"):
        task_of(answers(*range(20)), base("text", 10))


def test_a_declared_kind_reads_every_row_so() -> None:
    mixed = [*answers("5", "Paris", "\\pi", *range(9)), *base("number", 20)]
    assert task_of(mixed, kind="text").left_out == ()
    assert task_of(mixed, kind="latex").answers == "latex"
    whole = task_of(base("text", 2), answers("so\n#### 5", "#### 6"), kind="text")
    assert {query.gold for query in whole.test} == {"so\n#### 5", "#### 6"}
    with pytest.raises(UsageError, match="'Paris' is not a number"):
        task_of(mixed, kind="number")


def test_one_question_has_one_answer() -> None:
    records = base("number", 200)
    again = [
        {"question": "Question  4? ", "answer": "1.00"},
        {"question": "Question 8?", "answer": 2},
        {"question": "Question 5?", "answer": "1/4"},
    ]
    task = task_of([*records, *again])
    assert golds(task)["Question 4?"] == "1"
    assert golds(task)["Question 8?"] == "2"
    assert "Question 5?" not in golds(task)
    assert [str(row) for row in task.left_out] == [
        "d.jsonl:5: two answers to one question, '1.25' and '1/4' at d.jsonl:203",
        "d.jsonl:203: two answers to one question, '1/4' and '1.25' at d.jsonl:5",
    ]
    with pytest.raises(UsageError, match="two answers to one question"):
        task_of([*records[:20], *again])


def test_a_train_row_that_contradicts_the_test_set_is_named() -> None:
    records, test = base("latex", 100), base("latex", 3)
    test[0] = {"question": "Question 1?", "answer": "\\pi"}
    task = task_of(records, test)
    assert [str(row) for row in task.left_out] == [
        "d.jsonl:1: two answers to one question, '\\\\sqrt{1}' and '\\\\pi' at t.jsonl:1"
    ]
    assert task.test[0].gold in ("\\pi", "\\sqrt{2}", "\\sqrt{3}")
    assert (len(task.train), len(task.test), task.rows) == (97, 3, 103)


def test_the_budget_counts_all_that_is_left_out() -> None:
    task = task_of([*base("number", 199), *answers("Paris")[:1]])
    assert [row.where for row in task.left_out] == ["d.jsonl:200"]
    refuse_many(task.name, [*task.left_out] * 4, task.rows)
    with pytest.raises(UsageError, match="5 of 200 rows of 'd' cannot be used"):
        refuse_many(task.name, [*task.left_out] * 5, task.rows)


def test_conversations_are_items_of_their_own(tmp_path: Path) -> None:
    turns = [{"role": "system", "content": "Count."}, {"role": "user", "content": "1 + 1?"}]
    rows = [
        {"prompt": turns, "reward_model": {"ground_truth": "2", "style": "rule"}},
        {"prompt": turns[1:], "reward_model": {"ground_truth": "2", "style": "rule"}},
    ]
    (tmp_path / "train.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    (tmp_path / "val.csv").write_text("question,answer\n2 + 2?,4\n")
    task = find_task(str(tmp_path))
    train = task.items("train", None)
    assert sorted(len(query.turns) for query in train) == [0, 2]
    assert {query.prompt for query in train} == {"1 + 1?"}
    assert [query.prompt for query in task.items("test", None)] == ["2 + 2?"]
    assert task.judge(train[:1], ["2"])[0].verdict is Verdict.CORRECT
