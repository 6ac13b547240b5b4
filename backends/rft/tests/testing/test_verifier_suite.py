"""Our verifiers pass the suite that a plugin's verifiers are asked to pass; bad ones do not."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from ablatekit_rft.tasks.query import Judgement, Query, Verdict
from ablatekit_rft.tasks.verifiers.registry import MATH, NAMES, BatchJudge
from ablatekit_rft.testing.verifier_suite import VerifierSuite

Pairs = Sequence[tuple[str, str]]

EXAMPLES: dict[str, tuple[Pairs, Pairs]] = {
    "exact": ([("Paris", " Paris\n")], [("Paris", "paris")]),
    "number": ([("7", "3 + 4 = 7"), ("7", "#### 7")], [("7", "3 + 4 = 8"), ("7", "seven")]),
    "number_strict": ([("7", " 7. ")], [("7", "3 + 4 = 7"), ("7", "8")]),
    "hash": ([("18", "9 * 2\n#### 18")], [("18", "18"), ("18", "#### 17")]),
    "boxed": ([("\\frac{1}{2}", "\\boxed{1/2}")], [("2", "\\boxed{3}"), ("2", "2")]),
}
"""Pairs of key and completion that are correct and wrong, by the name of the verifier."""


def test_every_verifier_by_name_is_tested() -> None:
    assert {"auto", MATH, *EXAMPLES} == set(NAMES)


TESTS = [name for name in vars(VerifierSuite) if name.startswith("test_")]


@pytest.mark.parametrize("test", TESTS)
@pytest.mark.parametrize("name", EXAMPLES)
def test_our_verifiers_pass(name: str, test: str) -> None:
    right, false = EXAMPLES[name]

    class Suite(VerifierSuite):
        verifier, correct, wrong = name, right, false

    run_test(Suite, test)


def run_test(suite: type[VerifierSuite], test: str) -> None:
    suite.setup_class()
    try:
        getattr(suite(), test)()
    finally:
        suite.teardown_class()


@pytest.mark.skipif(
    importlib.util.find_spec("math_verify") is None,
    reason="no module math_verify: pip install 'ablatekit-rft[math]'",
)
class TestMathematics(VerifierSuite):
    verifier = MATH
    correct = (
        ("\\frac{1}{2}", "\\boxed{0.5}"),
        ("x^2+1", "thus \\boxed{1+x^2}"),
        ("\\{1,2\\}", "\\boxed{\\{2,1\\}}"),
        ("2\\sqrt{3}", "\\boxed{\\sqrt{12}}"),
        ("\\text{Evelyn}", "\\boxed{\\text{Evelyn}}"),
    )
    wrong = (("5", "\\boxed{6}"), ("5", "no answer"))
    unreadable = ("", "??")
    may_give_up = True
    examples = 3

    def test_an_answer_stands_in_a_box(self) -> None:
        pairs = [("5", "\\boxed{6}"), ("5", "no answer"), ("??", "\\boxed{??}")]
        assert [judgement.format_ok for judgement in self.judge(pairs)] == [True, False, True]
        assert self.judge(pairs)[2].verdict is Verdict.ERROR


class TestUsersFunction(VerifierSuite):
    verifier = f"{Path(__file__).with_name('users_verifier.py')}:judge"
    correct = (("7", "7"),)
    wrong = (("7", "8"),)
    examples = 5


def judging(verdict: Callable[[str, str], Verdict], why: str = "a reason") -> BatchJudge:
    def judge(queries: Sequence[Query], completions: Sequence[str]) -> list[Judgement]:
        pairs = zip(queries, completions, strict=True)
        return [Judgement(verdict(query.gold, text), True, why) for query, text in pairs]

    return judge


def equal(gold: str, text: str) -> Verdict:
    if not gold.strip():
        return Verdict.ERROR
    return Verdict.CORRECT if text == gold else Verdict.WRONG


def refuse(gold: str, text: str) -> Verdict:
    if text and text != gold:
        raise ValueError(text)
    return equal(gold, text)


def blame(gold: str, text: str) -> Verdict:
    return Verdict.CORRECT if text == gold else Verdict.WRONG


def count() -> Callable[[str, str], Verdict]:
    calls: list[str] = []

    def judge(gold: str, text: str) -> Verdict:
        calls.append(text)
        return equal(gold, text) if len(calls) < 4 else Verdict.WRONG

    return judge


@pytest.mark.parametrize(
    ("verifier", "test"),
    [
        (judging(lambda *_: Verdict.WRONG), "test_a_correct_answer_is_correct_and_in_form"),
        (judging(lambda *_: Verdict.CORRECT), "test_a_wrong_answer_is_wrong"),
        (judging(lambda *_: Verdict.CORRECT), "test_an_empty_completion_is_wrong"),
        (judging(blame), "test_an_unreadable_key_is_an_error_and_not_wrong"),
        (judging(equal, why=""), "test_an_unreadable_key_is_an_error_and_not_wrong"),
        (judging(refuse), "test_any_completion_gets_a_verdict"),
        (judging(lambda *_: Verdict.ERROR), "test_any_completion_gets_a_verdict"),
        (judging(count()), "test_judgements_depend_on_nothing_but_key_and_completion"),
    ],
)
def test_a_verifier_that_breaks_the_contract_is_caught(verifier: BatchJudge, test: str) -> None:
    class Suite(VerifierSuite):
        correct, wrong = (("7", "7"),), (("7", "8"),)

        @classmethod
        def build(cls) -> BatchJudge:
            return verifier

    with pytest.raises((AssertionError, ValueError)):
        run_test(Suite, test)
    Suite.build = classmethod(lambda _: judging(equal))  # type: ignore[method-assign, assignment]
    run_test(Suite, test)
