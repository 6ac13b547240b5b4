"""Verifiers by name, and how one is set over a task."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from ablatekit.errors import Problem, UsageError, nearest
from ablatekit.references import is_reference
from ablatekit_rft.tasks.base import about
from ablatekit_rft.tasks.query import Judgement, Query
from ablatekit_rft.tasks.verifiers.latex import judge_boxed, judge_exact
from ablatekit_rft.tasks.verifiers.numbers import judge_hash, judge_number, judge_number_strict
from ablatekit_rft.tasks.verifiers.pool import JudgePool
from ablatekit_rft.tasks.verifiers.user import verifier_hash

PairJudge = Callable[[str, str], Judgement]
BatchJudge = Callable[[Sequence[Query], Sequence[str]], list[Judgement]]

BY_RULE: Mapping[str, PairJudge] = MappingProxyType(
    {
        "exact": judge_exact,
        "number": judge_number,
        "number_strict": judge_number_strict,
        "hash": judge_hash,
        "boxed": judge_boxed,
    }
)
"""Verifiers that only compare text: fast, and they cannot hang."""

MATH = "math"

VERSIONS: Mapping[str, int] = MappingProxyType(
    {"exact": 1, "number": 2, "number_strict": 2, "hash": 2, "boxed": 2, MATH: 2}
)
"""Raised when a verifier judges some completion otherwise: part of a run that names it."""

NAMES = ("auto", *BY_RULE, MATH)

_MATH_JUDGE = "ablatekit_rft.tasks.verifiers.mathematics:mathematics_judge"
_USER_JUDGE = "ablatekit_rft.tasks.verifiers.user:judge_of"


@dataclass(frozen=True, slots=True)
class ByRule:
    """A verifier that looks at the gold answer and the completion."""

    judge_pair: PairJudge

    def __call__(self, queries: Sequence[Query], completions: Sequence[str]) -> list[Judgement]:
        return [
            self.judge_pair(query.gold, text)
            for query, text in zip(queries, completions, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class InPool:
    """A verifier in processes of its own; `parts` is what it is asked about each completion."""

    pool: JudgePool
    parts: Callable[[Query], tuple[str, ...]]

    def __call__(self, queries: Sequence[Query], completions: Sequence[str]) -> list[Judgement]:
        pairs = zip(queries, completions, strict=True)
        return self.pool.judge([(*self.parts(query), text) for query, text in pairs])


def check_verifier(name: str) -> str:
    """`name` if it can name a verifier. Raises UsageError with the known names."""
    if name in NAMES or is_reference(name):
        return name
    remedy = f"{nearest(name, NAMES)}, or name a function: module:function or file.py:function"
    raise UsageError(Problem("no such verifier", repr(name), remedy))


def verifier_content(name: str) -> str:
    """What identifies the verifier that a study names, empty for `auto` and for first versions.

    A named one is known by its version, a user's function by its source. `auto` is part of what
    identifies its data set. Raises UsageError when there is no such verifier.
    """
    if is_reference(check_verifier(name)):
        return verifier_hash(name)
    version = VERSIONS.get(name, 1)
    return f"{name}/{version}" if version > 1 else ""


def build_verifier(name: str) -> BatchJudge:
    """The verifier of that name, `auto` excepted. Raises UsageError for a missing package."""
    if name in BY_RULE:
        return ByRule(BY_RULE[name])
    if name == MATH:
        with about("verifier", MATH):
            rule = "the verifier math needs the package math-verify"
            require_package("math_verify", "math", rule)
        return InPool(JudgePool(_MATH_JUDGE), lambda query: (query.gold,))
    pool = JudgePool(_USER_JUDGE, check_verifier(name))
    return InPool(pool, lambda query: (query.prompt, query.gold))


def require_package(module: str, extra: str, rule: str) -> None:
    """Raise UsageError with the remedy when a package of an extra is missing."""
    if importlib.util.find_spec(module) is None:
        remedy = f"pip install 'ablatekit-rft[{extra}]'"
        raise UsageError(Problem(rule, f"no module {module}", remedy))
