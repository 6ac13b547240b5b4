"""Verifiers: tables of valid and invalid answers, user functions, and processes that hang."""

from __future__ import annotations

import importlib.util
import time
from pathlib import Path
from typing import Any

import pytest
from ablatekit_rft.backend import RftBackend
from ablatekit_rft.settings import RftSettings
from ablatekit_rft.tasks import registry
from ablatekit_rft.tasks.base import AnswerKind
from ablatekit_rft.tasks.judged import TAGGED, in_tags, open_task
from ablatekit_rft.tasks.query import Judgement, Query, Verdict
from ablatekit_rft.tasks.questions import QuestionTask
from ablatekit_rft.tasks.verifiers.pool import JudgePool
from ablatekit_rft.tasks.verifiers.registry import (
    BY_RULE,
    NAMES,
    VERSIONS,
    build_verifier,
    check_verifier,
    verifier_content,
)
from ablatekit_rft.tasks.verifiers.user import judge_of
from ablatekit_rft.testing.verifier_suite import ANY_TEXT
from hypothesis import HealthCheck, given, settings

from ablatekit.errors import UsageError

C, W, E = Verdict.CORRECT, Verdict.WRONG, Verdict.ERROR
HOSTILE = ("", " ", "\x00", "####", "\\boxed{", "\\boxed", "1" * 100_000, "\ud800", "{" * 9999)
UNHURRIED = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
USER_JUDGE = "ablatekit_rft.tasks.verifiers.user:judge_of"


@pytest.mark.parametrize("name", sorted(BY_RULE))
@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_completions_are_never_correct(name: str, text: str) -> None:
    assert BY_RULE[name]("12", text).verdict is W


SEVEN = Query("q", "?", "7")
TASKS = [(one, *one.items("train", 1)) for one in map(registry.get_task, registry.task_names())]
KINDS: tuple[AnswerKind, ...] = ("text", "number", "hash", "latex")
TASKS += [(QuestionTask(kind, kind, (), ()), SEVEN) for kind in KINDS]


@pytest.mark.parametrize(("task", "query"), TASKS, ids=[task.name for task, _ in TASKS])
@UNHURRIED
@given(text=ANY_TEXT)
def test_no_task_raises_over_a_completion(task: Any, query: Query, text: str) -> None:
    for judge in (task.judge, in_tags(task.judge)):
        assert judge([query], [text])[0].verdict is not E


def test_an_answer_in_tags() -> None:
    judge = in_tags(build_verifier("number_strict"))
    texts = [
        " 3 + 4 </think> <answer> 7 </answer>",
        "x</think><answer>8</answer>\n",
        "7",
        "<answer>7</answer>",
        " a </think> <answer>7</answer> and more",
    ]
    found = judge([Query("q", "", "7")] * 5, texts)
    assert [one.verdict for one in found] == [C, W, W, W, W]
    assert [one.format_ok for one in found] == [True, True, False, False, False]
    assert TAGGED.fullmatch("no tags") is None


USER = """
import os, time

def judge(question, gold, completion):
    if completion == "hang":
        time.sleep(600)
    if completion == "exit":
        os._exit(3)
    if completion == "raise":
        raise ValueError(completion)
    print("noise on standard output")
    if completion == "unsure":
        return None
    if completion == "form":
        return False, False
    return completion == gold and question == "Q"
"""


@pytest.fixture
def user_file(tmp_path: Path) -> str:
    (tmp_path / "mine.py").write_text(USER)
    return f"{tmp_path / 'mine.py'}:judge"


def test_a_users_function_judges_and_its_failures_are_errors(user_file: str) -> None:
    pool = JudgePool(USER_JUDGE, user_file, processes=2, time_limit=2.0)
    texts = ["7", "8", "hang", "exit", "raise", "unsure", "form", "7"]
    start = time.monotonic()
    found = pool.judge([("Q", "7", text) for text in texts])
    assert [one.verdict for one in found] == [C, W, E, E, E, E, W, C]
    assert [one.format_ok for one in found] == [True, True, False, False, False, True, False, True]
    assert time.monotonic() - start < 60
    assert pool.judge([("Q", "7", "7")])[0].verdict is C
    pool.close()


def test_a_verdict_is_true_false_or_none_and_nothing_that_counts_as_true(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import numpy as np\ndef judge(question, gold, completion):\n    return eval(completion)\n"
    )
    judge = judge_of(f"{tmp_path / 'mine.py'}:judge")
    right = ("True", "1", "np.bool_(True)", "np.int64(1)", "(True, True)", "(1, 1)")
    wrong = ("False", "0", "np.bool_(False)", "(False, True)")
    for said in right + wrong:
        assert judge("", "", said) == Judgement(C if said in right else W, True)
    assert judge("", "", "(True, False)") == Judgement(C, False)
    assert judge("", "", "None") == judge("", "", "(None, True)") == Judgement(E, True)
    no_verdict = ("float('nan')", "'wrong'", "[False]", "0.3", "1.0", "2", "(True, 0.5)", "()")
    for said in (*no_verdict, "(True, None)", "(True, True, True)", "np.array([1])"):
        with pytest.raises(UsageError, match=r"returns True, False or None"):
            judge("", "", said)
    found = JudgePool(USER_JUDGE, f"{tmp_path / 'mine.py'}:judge", processes=1).judge(
        [("", "", "0.3")]
    )
    assert found == [Judgement(E, False)]
    assert "received 0.3" in found[0].why


def test_a_function_that_does_not_exist_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("")
    with pytest.raises(RuntimeError, match="cannot start"):
        JudgePool(USER_JUDGE, f"{tmp_path / 'mine.py'}:judge").judge([("q", "1", "1")])


def test_the_source_of_a_verifier_is_part_of_the_runs_identity(
    user_file: str, tmp_path: Path
) -> None:
    before = verifier_content(user_file)
    copy = tmp_path / "elsewhere.py"
    copy.write_text(USER)
    assert verifier_content(f"{copy}:judge") == before
    (tmp_path / "mine.py").write_text(USER + "\n# changed\n")
    assert verifier_content(user_file) != before


def test_the_version_of_a_named_verifier_is_part_of_the_runs_identity() -> None:
    assert set(VERSIONS) == {*NAMES} - {"auto"}
    versions = {name: verifier_content(name) for name in NAMES}
    assert versions["auto"] == versions["exact"] == ""
    changed = ("number", "number_strict", "hash", "boxed", "math")
    assert {versions[name] for name in changed} == {f"{name}/2" for name in changed}


def test_an_unknown_verifier_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="exact, number"):
        RftSettings(verifier="nmber")
    with pytest.raises(UsageError, match="Did you mean 'number'"):
        check_verifier("numbr")
    with pytest.raises(UsageError, match="no such file"):
        RftBackend().content({"verifier": f"{tmp_path / 'none.py'}:judge"})


def test_a_chosen_verifier_replaces_the_tasks_own() -> None:
    query = Query("q", "What is 3 + 4?", "7")
    own = open_task(RftSettings(dataset="arithmetic-1"))
    strict = open_task(RftSettings(dataset="arithmetic-1", verifier="number_strict"))
    assert own.judge([query], ["3 + 4 = 7"])[0].verdict is C
    assert strict.judge([query], ["3 + 4 = 7"])[0].verdict is W
    assert strict.items("train", 3) == own.items("train", 3)
    assert (strict.name, strict.answers, strict.max_new_tokens) == ("arithmetic-1", "number", 32)


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(UsageError, match=r"pip install 'ablatekit-rft\[math\]'"):
        build_verifier("math")
