"""The verifier `math`: equal as mathematics, exactly where that can be decided, else math-verify.

Two answers are equal if they are spellings of one (`answers`), or mean the same (`meanings`). What
is no formula that is read there goes to the package math-verify; as it rounds, its agreement counts
only where values of high precision agree too.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any

from ablatekit_rft.tasks.answers.formulas import COMPUTED
from ablatekit_rft.tasks.answers.meanings import has_value, same_meaning
from ablatekit_rft.tasks.answers.notation import Node, Nodes, UnreadableError, read_notation
from ablatekit_rft.tasks.answers.spelling import equal_answers, read_answer, read_pair
from ablatekit_rft.tasks.answers.symbols import CLOSING, FUNCTIONS, LETTERS, OPENING, SIGNS
from ablatekit_rft.tasks.answers.values import points
from ablatekit_rft.tasks.query import Judgement, Verdict, unreadable_key
from ablatekit_rft.tasks.verifiers.latex import last_boxed

_TAIL = 2_000
"""Characters from the end in which an answer without a box is looked for."""
_LONGEST = 500
"""Characters of an answer that math-verify is asked about."""
_DIGITS = 60
_OPERATORS = frozenset(("sum", "prod", "int", "iint", "oint", "partial", "backslash"))
_LEFT_TO_MATH_VERIFY = _OPERATORS | (FUNCTIONS - COMPUTED) | {"cap"}
_WORD = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{2}")
_SET_AS_TEXT = re.compile(r"\\[a-z]+\s*\{[^{}]*\}")
_DELIMITED = re.compile(
    r"\$\$.+?\$\$|(?<!\\)\$(?:\\.|[^$\\])+\$|\\\(.+?\\\)|\\\[.+?\\\]", re.DOTALL
)
_BOLD = re.compile(r"\*\*(?=\S)([^*\n]+?)(?<=\S)\*\*")
_STATED = re.compile(
    r"\b(?:answer|option|choice)\b(?:\s+(?:is|would be|should be))?\s*[:=]?\s*(\S.*?)[\s.]*$", re.I
)
_DELIMITERS = re.compile(r"^(?:\$\$?|\\[\[(])|(?:\$\$?|\\[\])])$")
_SAYS_SOMETHING = re.compile(r"[^\W_]")
_LARGE = re.compile(r"\^\s*\{?[^{}]*(?:\^|\d{4})|!|\d{100}")
"""What math-verify may compute for minutes: towers of powers, large powers, factorials."""


def judge_mathematics(gold: str, text: str) -> Judgement:
    """Equal as mathematics; an error where the gold answer cannot be read.

    The last box is the answer. Without one it is what stands behind `####`, else behind `answer is`
    on the last line, else a text of one line as a whole, else the last formula, else what
    math-verify takes as the answer of the last 2,000 characters.
    """
    boxed = last_boxed(text)
    format_ok = boxed is not None
    if not _SAYS_SOMETHING.search(gold) or _is_unreadable(gold):
        return unreadable_key(gold, format_ok=format_ok)
    answers = [boxed] if boxed is not None else _without_box(text)
    right = any(equal_as_mathematics(gold, answer) for answer in answers)
    return Judgement(Verdict.CORRECT if right else Verdict.WRONG, format_ok)


def equal_as_mathematics(gold: str, answer: str) -> bool:
    """Whether two answers in LaTeX are equal."""
    if equal_answers(gold, answer):
        return True
    try:
        return any(same_meaning(*pair) for pair in read_pair(gold, answer))
    except ArithmeticError:
        return False
    except UnreadableError:
        return _math_verify_agrees(*(one.rstrip(" .,;\n") for one in (gold, answer)))


def _is_unreadable(gold: str) -> bool:
    """Whether a key is no well-formed LaTeX, or divides by zero, say."""
    key = read_answer(gold)
    return key is None or not has_value(key)


def _without_box(text: str) -> list[str]:
    """What may be the answer: what stands behind `####` or `answer is`, else a text of one line.

    Else what stands at its end: the last formula, else the last number. A formula stands between
    signs such as dollars; plain text is left to math-verify.
    """
    from math_verify import parse

    tail = _BOLD.sub(r"\1", text[-_TAIL:]).strip()
    if "####" in tail:
        return [tail.rpartition("####")[2]]
    stated = _STATED.findall(tail.rpartition("\n")[2])
    if stated and not _has_words(stated[-1]):
        return stated[-1:]
    whole = [tail] if "\n" not in tail and len(tail) == len(text.strip()) else []
    if whole and not _has_words(tail):
        return whole
    delimited = [formula for formula in _DELIMITED.findall(tail) if not _has_words(formula)]
    if delimited:
        return [*whole, _DELIMITERS.sub("", delimited[-1])]
    found = parse(tail, parsing_timeout=None)
    return whole + [part for part in found if isinstance(part, str)]


def _has_words(text: str) -> bool:
    """Whether there are words outside of the texts of a formula."""
    return _WORD.search(_SET_AS_TEXT.sub("", text)) is not None


def _math_verify_agrees(gold: str, answer: str) -> bool:
    from math_verify import parse, verify

    if any(_LARGE.search(one) or _speaks(one) for one in (gold, answer)):
        return False
    if not any(_mentions(read_notation(one) or (), _LEFT_TO_MATH_VERIFY) for one in (gold, answer)):
        return False
    key, said = (parse(f"${one}$", parsing_timeout=None) for one in (gold, answer))
    read = [[one for one in parsed if not isinstance(one, str)] for parsed in (key, said)]
    if not all(read):
        return False
    return bool(verify(read[0], read[1], timeout_seconds=None)) and _confirmed(*read)


def _mentions(nodes: Nodes, names: frozenset[str]) -> bool:
    """Whether one of the names stands anywhere in a tree."""
    return any(
        node.name in names or any(_mentions(part, names) for part in node.parts) for node in nodes
    )


def _speaks(text: str) -> bool:
    """Whether an answer is too long, or holds words or signs that are no mathematics."""
    nodes = read_notation(text) if len(text) <= _LONGEST else None
    brackets = [node.name for node in nodes or () if node.name in OPENING | CLOSING]
    closed = sum(1 if name in OPENING else -1 for name in brackets) == 0
    return nodes is None or not closed or any(map(_is_word, nodes))


def _is_word(node: Node) -> bool:
    if node.kind == "letter" and len(node.name) > 1 and node.name not in LETTERS | _OPERATORS:
        return True
    if node.kind in ("text", "unit") or (
        node.kind == "sign" and node.name not in SIGNS - {".", ":"}
    ):
        return True
    return any(_is_word(one) for part in node.parts for one in part)


def _confirmed(golds: list[Any], answers: list[Any]) -> bool:
    return any(_same_values(gold, answer) for gold in golds for answer in answers)


def _same_values(gold: Any, answer: Any) -> bool:
    """Whether two expressions of sympy have equal values to many digits, part by part."""
    import sympy

    if isinstance(gold, sympy.Expr) and isinstance(answer, sympy.Expr):
        letters = sorted(gold.free_symbols | answer.free_symbols, key=str)
        names = [str(letter) for letter in letters]
        return all(
            _vanishes(gold - answer, gold, {letter: point[str(letter)] for letter in letters})
            for point in points(frozenset(names))
        )
    return bool(gold == answer)


def _vanishes(difference: Any, gold: Any, point: dict[Any, Any]) -> bool:
    import sympy

    values = {
        letter: sympy.Rational(one.numerator, one.denominator) for letter, one in point.items()
    }
    size = sympy.Abs(gold.subs(values).doit()).evalf(_DIGITS)
    rest = sympy.Abs(difference.subs(values).doit()).evalf(_DIGITS)
    bound = sympy.Float(10) ** (-_DIGITS // 2) * (size or 1)
    return bool(rest.is_number and rest.is_finite and rest <= bound)


def mathematics_judge() -> Callable[[str, str], Judgement]:
    """`judge_mathematics` with its package imported: sympy takes longer than one judgement."""
    import math_verify  # noqa: F401

    # It warns that its own time limits are off: the process has a hard one.
    logging.getLogger("math_verify").setLevel(logging.ERROR)
    return judge_mathematics
