"""Answers in LaTeX: the last `\\boxed{}`, and the verifiers that compare spellings."""

from __future__ import annotations

import re

from ablatekit_rft.tasks.answers.spelling import equal_answers, read_answer
from ablatekit_rft.tasks.query import Judgement, Verdict, unreadable_key

_BOX = re.compile(r"\\f?box(?:ed)?\s*(?=\{)|\\boxed (?=[^\s{])")
_LONGEST_WORD = 200
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)


def last_boxed(text: str) -> str | None:
    """The content of the last `\\boxed{...}` with balanced braces; None if there is none.

    A box inside of another belongs to the outer one. Escaped braces, as in `\\{1\\}`, are signs.
    """
    closed = _closings(text)
    content: str | None = None
    end = 0
    for box in _BOX.finditer(text):
        start = box.end()
        if start < end:
            continue
        if text[start] != "{":
            words = text[start : start + _LONGEST_WORD].split("$", 1)[0].split(maxsplit=1)
            content = words[0] if words else content
        elif start in closed:
            end = closed[start]
            content = text[start + 1 : end]
    return content


def _closings(text: str) -> dict[int, int]:
    """Where each brace is closed, by the place where it opens."""
    closed: dict[int, int] = {}
    opened: list[int] = []
    for brace in _BRACE.finditer(text):
        if brace[0] == "{":
            opened.append(brace.start())
        elif brace[0] == "}" and opened:
            closed[opened.pop()] = brace.start()
    return closed


def judge_boxed(gold: str, text: str) -> Judgement:
    """The last `\\boxed{}` must spell the answer, by the rules of `equal_answers`.

    Without a box it is wrong; a key that is empty or no well-formed LaTeX is an error.
    """
    answer = last_boxed(text)
    if read_answer(gold) is None:
        return unreadable_key(gold, format_ok=answer is not None)
    right = answer is not None and equal_answers(gold, answer)
    return Judgement(Verdict.CORRECT if right else Verdict.WRONG, format_ok=answer is not None)


def judge_exact(gold: str, text: str) -> Judgement:
    """The completion is the answer, to the character, but for white space around both."""
    if not gold.strip():
        return unreadable_key(gold, format_ok=bool(text.strip()))
    right = text.strip() == gold.strip()
    return Judgement(Verdict.CORRECT if right else Verdict.WRONG, format_ok=bool(text.strip()))
