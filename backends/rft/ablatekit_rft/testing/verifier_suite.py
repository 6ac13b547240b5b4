"""What every verifier must fulfil, as tests that a plugin's own test suite inherits.

    class TestMine(VerifierSuite):
        verifier = "mine.py:judge"
        correct = (("7", "so it is 7"),)
        wrong = (("7", "so it is 8"),)

pytest collects the subclass. A user's function runs in its own process here as it does in a run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ablatekit_rft.tasks.query import Judgement, Query, Verdict
from ablatekit_rft.tasks.verifiers.registry import BatchJudge, InPool, build_verifier

PIECES = (
    *("\\boxed", "\\boxed ", "\\fbox", "\\frac", "\\sqrt", "\\text", "\\left", "\\$", "^", "_"),
    *("{", "}", "$", "####", "#### ", " ", "\n", ",", ".", "-", "\u2212", "/", "e", "=", "%", "x"),
    *("0", "1", "12", "1,234", "1,2", "3/0", "1e999", "\u00bd", "\u00b2", "\u0663", "\u4e09"),
    *("\x00", "</think>", "<answer>", "</answer>", "=>", "What is 1 + 2?"),
)
"""What answers are made of, whole and broken: random characters alone seldom look like one."""
ANY_TEXT = st.text() | st.lists(st.sampled_from(PIECES), max_size=12).map("".join)


class VerifierSuite:
    """Fill in the class variables; every `test_` method is then a conformance test.

    `verifier` is the name as a study writes it; override `build` for one that has none. `correct`
    and `wrong` hold pairs of an answer key and a completion.
    """

    verifier: ClassVar[str]
    correct: ClassVar[Sequence[tuple[str, str]]]
    wrong: ClassVar[Sequence[tuple[str, str]]]
    unreadable: ClassVar[Sequence[str]] = ("", "  ")
    """Answer keys that hold no answer. Empty for a verifier that can read every key."""
    may_give_up: ClassVar[bool] = False
    """Whether an odd completion may take longer than the time limit of a judgement."""
    question: ClassVar[str] = "What is it?"
    examples: ClassVar[int] = 20
    """How many batches of arbitrary texts are tried."""

    _judge: ClassVar[BatchJudge]

    @classmethod
    def build(cls) -> BatchJudge:
        """The verifier that is tested."""
        return build_verifier(cls.verifier)

    @classmethod
    def setup_class(cls) -> None:
        """Build the verifier once for all tests: its processes may start slowly."""
        cls._judge = cls.build()

    @classmethod
    def teardown_class(cls) -> None:
        """End the verifier's processes, where it has some."""
        if isinstance(cls._judge, InPool):
            cls._judge.pool.close()

    def judge(self, pairs: Sequence[tuple[str, str]]) -> list[Judgement]:
        """Judgements of pairs of an answer key and a completion."""
        queries = [Query(str(i), self.question, gold) for i, (gold, _) in enumerate(pairs)]
        return type(self)._judge(queries, [text for _, text in pairs])

    def test_there_are_examples_of_both_verdicts(self) -> None:
        assert self.correct
        assert self.wrong

    def test_a_correct_answer_is_correct_and_in_form(self) -> None:
        for pair, judgement in zip(self.correct, self.judge(self.correct), strict=True):
            assert judgement.verdict is Verdict.CORRECT, (pair, judgement)
            assert judgement.format_ok, pair

    def test_a_wrong_answer_is_wrong(self) -> None:
        for pair, judgement in zip(self.wrong, self.judge(self.wrong), strict=True):
            assert judgement.verdict is Verdict.WRONG, (pair, judgement)

    def test_an_empty_completion_is_wrong(self) -> None:
        pairs = [(gold, "") for gold, _ in self.correct]
        assert all(judgement.verdict is Verdict.WRONG for judgement in self.judge(pairs))

    def test_an_unreadable_key_is_an_error_and_not_wrong(self) -> None:
        completions = ["", *(text for _, text in self.correct)]
        pairs = [(key, text) for key in self.unreadable for text in completions]
        for pair, judgement in zip(pairs, self.judge(pairs), strict=True):
            assert judgement.verdict is Verdict.ERROR, (pair, judgement)
            assert judgement.why, pair

    def test_any_completion_gets_a_verdict(self) -> None:
        key = self.correct[0][0]

        def check(texts: Sequence[str]) -> None:
            judgements = self.judge([(key, text) for text in texts])
            for text, judgement in zip(texts, judgements, strict=True):
                _check_types(judgement)
                failed = judgement.verdict is Verdict.ERROR
                assert not failed or self.may_give_up, (text, judgement)

        self._over_texts(check)

    def test_any_answer_key_gets_a_judgement(self) -> None:
        completion = self.correct[0][1]

        def check(keys: Sequence[str]) -> None:
            for judgement in self.judge([(key, completion) for key in keys]):
                _check_types(judgement)

        self._over_texts(check)

    def test_judgements_depend_on_nothing_but_key_and_completion(self) -> None:
        pairs = [*self.correct, *self.wrong]
        judgements = self.judge(pairs)
        assert self.judge(pairs) == judgements
        assert self.judge(pairs[::-1]) == judgements[::-1]
        assert [self.judge([pair])[0] for pair in pairs] == judgements

    def _over_texts(self, check: Callable[[Sequence[str]], None]) -> None:
        """Try batches of texts; a method under `given` could not be inherited."""
        limits = settings(
            max_examples=self.examples,
            deadline=None,
            database=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=[HealthCheck.too_slow],
        )
        limits(given(st.lists(ANY_TEXT, min_size=1, max_size=16))(check))()


def _check_types(judgement: Judgement) -> None:
    assert isinstance(judgement, Judgement)
    assert isinstance(judgement.verdict, Verdict)
    assert isinstance(judgement.format_ok, bool)
    assert isinstance(judgement.why, str)
