"""Rows in the shapes that people's data sets have: what is read of each, and what is not."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from ablatekit_rft.tasks.query import LeftOut, Turn
from ablatekit_rft.tasks.rows import (
    ANSWER_FIELDS,
    QUESTION_FIELDS,
    USUAL_FIELDS,
    Fields,
    Row,
    conversation_id,
    lookup,
    question_id,
    read_rows,
)
from hypothesis import given, settings
from hypothesis import strategies as st

USER = [{"role": "user", "content": "What is 3 + 4?"}]
SYSTEM = {"role": "system", "content": "Be brief."}
PART = {"type": "text", "text": "What is "}
IMAGE = {"type": "image", "url": "x.png"}


def read(record: Mapping[str, Any], fields: Fields = USUAL_FIELDS) -> Row | LeftOut:
    (row,) = read_rows([("data.jsonl:7", record)], fields)
    return row


def row(record: Mapping[str, Any], **fields: str) -> Row:
    read_row = read(record, Fields(**fields))  # type: ignore[arg-type]
    assert isinstance(read_row, Row), read_row
    return read_row


def refused(record: Mapping[str, Any], **fields: str) -> str:
    left_out = read(record, Fields(**fields))  # type: ignore[arg-type]
    assert isinstance(left_out, LeftOut), left_out
    assert left_out.where == "data.jsonl:7"
    return f"{left_out}. {left_out.remedy}"


SHAPES = {
    "openai/gsm8k": {"question": "What is 3 + 4?", "answer": "3 + 4 = 7\n#### 7"},
    "MATH": {"problem": "What is 3 + 4?", "level": "Level 1", "solution": "It is \\boxed{7}."},
    "verl": {
        "data_source": "openai/gsm8k",
        "prompt": USER,
        "ability": "math",
        "reward_model": {"ground_truth": "7", "style": "rule"},
        "extra_info": {"index": 0, "split": "train", "answer": "3 + 4 = 7", "question": "?"},
    },
    "verl in CSV": {
        "prompt": json.dumps(USER),
        "reward_model": "{'ground_truth': '7', 'style': 'rule'}",
        "extra_info": '{"index": 0}',
    },
    "open-r1/DAPO-Math-17k-Processed": {
        "prompt": "What is 3 + 4?",
        "solution": "7",
        "source_prompt": USER,
        "reward_model": {"ground_truth": "7", "style": "rule-lighteval/MATH_v2"},
    },
    "open-r1/OpenR1-Math-220k": {
        "problem": "What is 3 + 4?",
        "solution": "Count on: 7.",
        "answer": "7",
        "messages": [*USER, {"role": "assistant", "content": "<think>...</think> 7"}],
        "generations": ["7"],
    },
    "Big-Math": {"problem": "What is 3 + 4?", "answer": "7", "domain": ["a"], "rate": 0.5},
    "TRL prompt and completion": {
        "prompt": USER,
        "completion": [{"role": "assistant", "content": "7"}],
    },
    "trl-lib/DeepMath-103K": {"prompt": USER, "solution": "7"},
    "open-instruct": {"messages": USER, "ground_truth": "7", "dataset": "gsm8k"},
    "SFT messages": {"messages": [*USER, {"role": "assistant", "content": "7"}]},
    "an empty system turn": {"prompt": [{**SYSTEM, "content": " "}, *USER], "answer": 7},
    "columns of turns": {
        "prompt": {"role": ["user"], "content": ["What is 3 + 4?"]},
        "answer": 7,
    },
    "parts": {
        "prompt": [{"role": "user", "content": [PART, {"type": "text", "text": "3 + 4?"}]}],
        "answer": "7",
    },
}


@pytest.mark.parametrize("name", SHAPES)
def test_rows_in_the_shapes_of_data_sets(name: str) -> None:
    read_row = row(SHAPES[name])
    assert read_row.question == "What is 3 + 4?"
    assert read_row.turns == ()
    assert read_row.item == question_id("What is 3 + 4?")
    keys = {"openai/gsm8k": "3 + 4 = 7\n#### 7", "MATH": "It is \\boxed{7}."}
    assert read_row.answer == keys.get(name, "7")


def test_conversations_keep_their_turns() -> None:
    earlier = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Yes?"}]
    read_row = row({"prompt": [SYSTEM, *earlier, *USER], "answer": "7"})
    assert read_row.question == "What is 3 + 4?"
    assert read_row.turns == (
        Turn("system", "Be brief."),
        Turn("user", "Hello"),
        Turn("assistant", "Yes?"),
        Turn("user", "What is 3 + 4?"),
    )
    shared = [
        {"from": "system", "value": "Be brief."},
        {"from": "human", "value": "Hello"},
        {"from": "gpt", "value": " Yes? "},
        {"from": "human", "value": "What is\n3 + 4?"},
    ]
    other = row({"conversations": shared, "answer": "7"}, question="conversations")
    assert other.item == read_row.item == conversation_id(read_row.turns)
    alone = row({"prompt": USER, "answer": "7"})
    assert len({read_row.item, alone.item, row({"prompt": [SYSTEM, *USER], "gold": 7}).item}) == 3


def test_the_last_word_of_the_assistant_in_messages_is_the_worked_solution() -> None:
    said = {"role": "assistant", "content": " It is 7.\n#### 7 "}
    read_row = row({"messages": [*USER, said]})
    assert (read_row.answer, read_row.solution) == ("It is 7.\n#### 7", "It is 7.\n#### 7")
    assert row({"messages": [*USER, said], "answer": 7}).answer == "7"
    assert "must end with a turn of the user" in refused({"prompt": [*USER, said], "answer": 7})


def test_names_with_dots_lead_into_fields_unless_a_field_has_them() -> None:
    record = {
        "a": {"b": {"c": 1}, "b.c": 2},
        "a.b": {"d": 3},
        "text": '{"b": [4, {"c": 5}]}',
        "python": "{'b': [6]}",
    }
    assert [lookup(record, name) for name in ("a.b.d", "a.b", "a.b.c")] == [3, {"d": 3}, 2]
    assert [lookup(record, name) for name in ("text.b.0", "text.b.1.c", "python.b.0")] == [4, 5, 6]
    for missing in ("a.x", "a.b.c.d", "text.b.2", "text.c", "text.b.-1", "none", "a.b.d.e"):
        assert lookup(record, missing) is None
    assert lookup({"a.b": 1, "a": {"b": 2}}, "a.b") == 1


def test_named_fields() -> None:
    record = {"x": {"ask": "q", "key": ["18", "eighteen"]}, "why": "because"}
    read_row = row(record, question="x.ask", answer="x.key.0", solution="why")
    assert (read_row.question, read_row.answer, read_row.solution) == ("q", "18", "because")
    message = refused(record, question="x.ask", answer="x.none")
    assert "a row has no answer under fields.answer: x.none" in message
    assert "fields.answer; the row has why, x.ask, x.key" in message
    assert "list" in refused(record, question="x.ask", answer="x.key")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (18, "18"),
        (-3, "-3"),
        (10**30, "1" + "0" * 30),
        (18.0, "18"),
        (-0.0, "0"),
        (0.1 + 0.2, "0.30000000000000004"),
        (1e-05, "0.00001"),
        (1e20, "1" + "0" * 20),
        (1e22, "1e+22"),
        (2.5e-30, "2.5e-30"),
        (Decimal("3.10"), "3.1"),
        (Decimal("100"), "100"),
        (Decimal("1e2"), "100"),
        (Decimal("0.12345678901234567890"), "0.1234567890123456789"),
        (Decimal("0E-10"), "0"),
        ("18.0", "18.0"),
        (" x\n", "x"),
        ("true", "true"),
        ("nan", "nan"),
        ("[1, 2]", "[1, 2]"),
    ],
)
def test_answers_as_text(value: Any, text: str) -> None:
    assert row({"question": "q", "answer": value}).answer == text


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (True, r"the answer answer is the truth value true, .*Write it as text"),
        (False, "the truth value false"),
        (math.nan, "is nan, which is no number"),
        (-math.inf, "is -inf, which is no number"),
        (Decimal("NaN"), "is NaN, which is no number"),
        (
            ["18", "eighteen"],
            'a list: ["18", "eighteen"]. Name one of its parts: fields.answer: an',
        ),
        ([], "is a list: []. Write the answer as text"),
        ({"value": 18, "unit": "m"}, "a mapping: .*fields.answer: answer.value"),
        ({}, "is a mapping: {}. Write"),
        (b"18", "a value of type bytes"),
        ("\ud800", "half a character"),
        (None, "a row has no answer"),
        ("", "a row has no answer"),
        (" \n", "a row has no answer"),
    ],
)
def test_answers_that_are_none(value: Any, message: str) -> None:
    text = refused({"question": "q", "answer": value})
    for part in message.split(".*"):
        assert part in text


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"question": "", "answer": 1}, "a row has no question"),
        ({"question": "\u2028 ", "answer": 1}, "a row has no question"),
        ({"question": None, "answer": 1}, "a row has no question"),
        ({"target": 28, "nums": [1, 2, 3]}, "a row has no question"),
        ({"question": True, "answer": 1}, "neither text nor a list of turns: true"),
        ({"question": ["a", "b"], "answer": 1}, "neither text nor a list of turns"),
        ({"question": [], "answer": 1}, "neither text nor a list of turns: []"),
        ({"prompt": [PART], "answer": 1}, "neither text nor a list of turns"),
        ({"prompt": "[{'role': 'user' 'content': 'q'}]", "answer": 1}, "cannot be read"),
        ({"prompt": [{"role": "tool", "content": "q"}], "answer": 1}, 'the role "tool"'),
        ({"prompt": [{"role": [], "content": "q"}], "answer": 1}, "the role []"),
        ({"prompt": [{"role": "user", "content": None}], "answer": 1}, "a turn without text"),
        ({"prompt": [{"role": "user", "content": " "}], "answer": 1}, "prompt is empty"),
        ({"prompt": [{"role": "user", "content": [IMAGE]}], "answer": 1}, 'the type "image"'),
        ({"prompt": [*USER, SYSTEM], "answer": 1}, "must end with a turn of the user"),
        ({"prompt": [*USER, SYSTEM, *USER], "answer": 1}, "have its system turn first"),
        ({"messages": [{"role": "assistant", "content": "q"}]}, "must end with a turn of the user"),
        ({"question": "\udcff", "answer": 1}, "half a character"),
        ({"instruction": "Sort.", "input": "b a", "answer": 1}, "both instruction and input"),
    ],
)
def test_questions_that_are_none(record: Mapping[str, Any], message: str) -> None:
    assert message in refused(record)


def test_text_that_looks_like_a_list_is_text() -> None:
    for text in ("[1, 2, 3] sorted?", '[{"name": "x"}]', "{'a': 1}", "[Q] {x}"):
        assert row({"question": text, "answer": 1}).question == text
    assert row({"instruction": "Add.", "input": " ", "answer": 1}).question == "Add."
    assert row({"question": 12, "answer": 1}).question == "12"


def test_a_solution_is_text_or_nothing() -> None:
    assert row({"question": "q", "answer": 1, "solution": ["a"]}).solution == ""
    assert row({"question": "q", "answer": 1, "solution": "", "rationale": " r "}).solution == "r"


NAMES = (
    *QUESTION_FIELDS,
    *ANSWER_FIELDS,
    "reward_model",
    "role",
    "content",
    "type",
    "text",
    "from",
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.decimals()
    | st.text(st.characters(), max_size=8)
    | st.binary(max_size=2)
    | st.sampled_from(["user", "system", "assistant", "text", "image", '[{"role": "user"}]']),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(NAMES), VALUES, min_size=1, max_size=4))
def test_whatever_a_record_holds_is_read_or_named(record: dict[str, Any]) -> None:
    read_row = read(record)
    if isinstance(read_row, LeftOut):
        assert read_row.why
    else:
        assert read_row.question.strip()
        assert read_row.answer.strip()
        assert len(read_row.item) == 16
