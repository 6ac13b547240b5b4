"""A user's verifier: a function named by `module:function` or `path/to/file.py:function`.

It is called with the question, the gold answer and the completion, all text, and returns True
(correct), False (wrong) or None (it cannot judge), or a pair of one of these and whether the
completion has the right form. numpy's booleans and the integers 1 and 0 stand for True and False;
anything else is an error of the verifier: a score of 0.3 is no verdict. It runs in a process of its
own.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from ablatekit.errors import Problem, UsageError
from ablatekit.references import referenced, source_hash
from ablatekit_rft.tasks.query import Judgement, Verdict

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
        verdict, format_ok = said if isinstance(said, tuple) and len(said) == 2 else (said, True)
        if verdict is None:
            return Judgement(Verdict.ERROR, _flag(format_ok), "it returned None")
        right = _flag(verdict)
        return Judgement(Verdict.CORRECT if right else Verdict.WRONG, _flag(format_ok))

    return judge


def _flag(said: Any) -> bool:
    """True or False. Raises UsageError for what is neither, whatever its truth value."""
    if isinstance(said, bool | int | np.bool_ | np.integer) and said in (0, 1):
        return bool(said)
    rule = "a verifier returns True, False or None, or a pair with whether the form is right"
    raise UsageError(Problem(rule, repr(said)[:200], "Compare a score with a threshold"))


def _function(reference: str) -> UserFunction:
    function = referenced(reference)
    if not inspect.isfunction(function):
        raise UsageError(Problem("a verifier is a function", repr(reference)))
    return function
