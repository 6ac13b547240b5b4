"""A user's verifier: a function named by `module:function` or `path/to/file.py:function`.

It is called with the question, the gold answer and the completion, all text, and returns true
(correct), false (wrong) or None (it cannot judge), or a pair of one of these and whether the
completion has the right form. It runs in a process of its own.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from ablatekit.errors import Problem, UsageError
from ablatekit_rft.references import referenced, source_hash
from ablatekit_rft.verdicts import Judgement, Verdict

UserFunction = Callable[[str, str, str], Any]


def verifier_hash(reference: str) -> str:
    """Hash of a user's function and its source: part of the run's identity."""
    return source_hash(reference.rpartition(":")[2], _function(reference))


def judge_of(reference: str) -> Callable[[str, str, str], Judgement]:
    """The judge of (question, gold, completion) that a reference names.

    Raises UsageError when there is no such function.
    """
    function = _function(reference)

    def judge(question: str, gold: str, completion: str) -> Judgement:
        said = function(question, gold, completion)
        verdict, format_ok = said if isinstance(said, tuple) else (said, True)
        return Judgement(_verdict(verdict), bool(format_ok))

    return judge


def _verdict(said: Any) -> Verdict:
    if said is None:
        return Verdict.ERROR
    return Verdict.CORRECT if said else Verdict.WRONG


def _function(reference: str) -> UserFunction:
    found = referenced(reference)
    if not inspect.isfunction(found):
        raise UsageError(Problem("a verifier is a function", repr(reference)))
    return found
