"""Questions that are conversations: what the templates make of them, before the first run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from ablatekit_rft.planning.examine import examine, untold
from ablatekit_rft.planning.prompts import Prompts, build_prompts
from ablatekit_rft.settings import RftSettings
from ablatekit_rft.tasks.forms import INSTRUCTIONS
from ablatekit_rft.tasks.judged import own_task

from ablatekit.errors import UsageError

SYSTEM = {"role": "system", "content": "Be brief."}


def asked(number: int, *before: dict[str, str]) -> dict[str, Any]:
    question = {"role": "user", "content": f"What is {number} + 1?"}
    return {"prompt": [*before, question], "reward_model": {"ground_truth": str(number + 1)}}


@pytest.fixture
def chosen(
    tmp_path: Path,
    rows_file: Callable[[Path, Sequence[dict[str, Any]]], str],
    settings_for: Callable[..., RftSettings],
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., RftSettings]:
    monkeypatch.setenv("ABLATEKIT_CACHE", str(tmp_path / "cache"))

    def make(rows: Sequence[dict[str, Any]], **changed: Any) -> RftSettings:
        return settings_for(rows_file(tmp_path / "rows.jsonl", rows), **changed)

    return make


def prompts_of(settings: RftSettings) -> tuple[Prompts, Any]:
    task = own_task(settings)
    train = task.items("train", settings.train_items)
    return build_prompts(settings, task, train), train[0]


def test_a_conversation_is_shown_by_the_chat_template_alone(chosen: Any) -> None:
    rows = [asked(number, SYSTEM) for number in range(80)]
    with pytest.raises(UsageError, match=r"received template: qa; 80 of 80 rows; .*chat"):
        examine(chosen(rows, template="qa"), untold)
    settings = chosen(rows, template="chat")
    assert examine(settings, untold) == ()
    prompts, query = prompts_of(settings)
    assert prompts.messages(query) == [SYSTEM, {"role": "user", "content": query.prompt}]
    with pytest.raises(UsageError, match=r"template: chat, 2 turns at \S*rows\.jsonl:\d+"):
        prompts.text(query)


def test_one_turn_is_a_question_under_every_template(chosen: Any) -> None:
    settings = chosen([asked(number) for number in range(80)], template="qa")
    assert examine(settings, untold) == ()
    prompts, query = prompts_of(settings)
    assert prompts.text(query) == f"Q: {query.prompt}\nA:"


def test_a_conversation_among_questions_is_left_out_by_name(chosen: Any) -> None:
    rows = [asked(number) for number in range(80)]
    rows[7] = asked(7, SYSTEM)
    (warning,) = examine(chosen(rows, template="none"), untold)
    assert warning.endswith("rows.jsonl:8: a conversation of 2 turns, and template: none shows one")
    assert examine(chosen(rows, template="chat"), untold) == ()


def test_two_system_turns_are_refused(chosen: Any) -> None:
    rows = [asked(number, SYSTEM) for number in range(80)]
    settings = chosen(rows, template="chat", system_prompt="Be long.")
    with pytest.raises(UsageError, match=r"system_prompt: 'Be long\.', 'Be brief\.' at \S*:\d+"):
        examine(settings, untold)
    plain = chosen([asked(number) for number in range(80)], template="chat", system_prompt="Be.")
    prompts, query = prompts_of(plain)
    assert prompts.messages(query)[0] == {"role": "system", "content": "Be."}


def test_solved_examples_bring_their_turns_and_no_second_system_turn(chosen: Any) -> None:
    before = ({"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Yes?"})
    rows = [asked(number, SYSTEM, *before) for number in range(80)]
    prompts, query = prompts_of(chosen(rows, template="chat", few_shot=2))
    roles = [message["role"] for message in prompts.messages(query)]
    assert roles == ["system", *["user", "assistant"] * 2 * 2, "user", "assistant", "user"]


def test_what_a_question_asks_for_itself_is_not_asked_for_twice(chosen: Any) -> None:
    sentence = INSTRUCTIONS["boxed"]
    rows = [{"question": f"Root {n}?", "answer": f"\\sqrt{{{n}}}"} for n in range(80)]
    own = [{**row, "question": row["question"] + sentence} for row in rows]
    for data in (rows, own):
        prompts, query = prompts_of(chosen(data, template="none"))
        assert prompts.text(query).count(sentence.strip()) == 1
        assert prompts.text(query).endswith(sentence)
