"""The verifier `math`: equal as mathematics, by the package math-verify."""

from __future__ import annotations

from collections.abc import Callable

from ablatekit_rft.tasks.query import Judgement, Verdict, unreadable_key
from ablatekit_rft.tasks.verifiers.latex import last_boxed


def judge_mathematics(gold: str, text: str) -> Judgement:
    """Equal as mathematics; an error where the gold answer cannot be read."""
    from math_verify import parse, verify

    format_ok = last_boxed(text) is not None
    key = parse(f"${gold}$", parsing_timeout=None)
    # What cannot be parsed comes back as its own text.
    if all(isinstance(part, str) for part in key):
        return unreadable_key(gold, format_ok=format_ok)
    answer = parse(text, parsing_timeout=None)
    right = bool(answer) and verify(key, answer, timeout_seconds=None)
    return Judgement(Verdict.CORRECT if right else Verdict.WRONG, format_ok)


def mathematics_judge() -> Callable[[str, str], Judgement]:
    """`judge_mathematics` with its package imported: sympy takes longer than one judgement."""
    import math_verify  # noqa: F401

    return judge_mathematics
