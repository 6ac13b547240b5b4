"""Verifiers of numeric answers: what counts as the answer, and when two numbers are one."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from fractions import Fraction

from ablatekit_rft.tasks.query import Judgement, Verdict, unreadable_key
from ablatekit_rft.tasks.verifiers.latex import last_boxed

HASH_TAIL = 300
"""Characters from the end in which the strict GSM8K verifier looks, as verl's `gsm8k` reward."""

_PLAIN = re.compile(r"[+-]?(\d[\d,]*)?(\.\d+)?([eE][+-]?\d+)?")
_FRACTION = re.compile(r"([+-]?\d[\d,]*)\s*/\s*(\d[\d,]*)")
_IN_TEXT = re.compile(r"(?<![\w.])[+-]?(?:(?:\d{1,3}(?:,\d{3})+(?!,?\d)|\d+)(?:\.\d+)?|\.\d+)")
_AFTER_HASH = re.compile(r"#### (-?[0-9.,]*[0-9])")
_THOUSANDS = re.compile(r"\d{1,3}(,\d{3})+")
_DIGIT = re.compile(r"\d")
_LATEX_WORDS = re.compile(r"\\(?:text(?:bf|it|rm)?|mbox|mathrm|mathbf)\b|\\[ ,;!%$]|[{}~]")
_PRODUCT = re.compile(r"\d[^\W\d_](?![^\W\d_])")
"""A letter that stands alone behind a digit: `2x`."""
_WORDS = re.compile(r"(?:[^\W\d_]|[\s.,:;=!?%°$€£'])*")
_DIGITS = 40


def read_number(text: str) -> Fraction | None:
    """The exact value of a whole text that is a number: 1,234 and -.5 and 3/4 and 2e3; else None.

    A currency or percent sign around it and a full stop behind it do not count. Commas must
    separate thousands. The minus may be the typographic one.
    """
    inner = plain_minus(text).strip().removesuffix(".").strip().strip("$%€£").strip()
    if len(inner) > _DIGITS:
        return None
    ratio = _FRACTION.fullmatch(inner)
    if ratio:
        top, bottom = (_decimal(part) for part in ratio.groups())
        return top / bottom if top is not None and bottom else None
    return _decimal(inner) if _PLAIN.fullmatch(inner) else None


def _decimal(text: str) -> Fraction | None:
    whole = re.match(r"[+-]?([\d,]*)", text)
    if whole and "," in whole[1] and not _THOUSANDS.fullmatch(whole[1]):
        return None
    try:
        value = Decimal(text.replace(",", ""))
    except InvalidOperation:
        return None
    exponent = value.as_tuple().exponent
    return Fraction(value) if isinstance(exponent, int) and abs(exponent) <= _DIGITS else None


def plain_minus(text: str) -> str:
    """The text with U+2212 as the minus of a keyboard."""
    return text.replace("\N{MINUS SIGN}", "-")


def last_number(text: str) -> str | None:
    """The last number that stands in a text; None if there is none.

    A comma belongs to a number only before groups of three digits: 1,234 is one, 1,2,3 are three.
    """
    numbers = _IN_TEXT.findall(plain_minus(text))
    return numbers[-1] if numbers else None


def number_in_words(text: str) -> str | None:
    """The one number of a text that is otherwise words: `18 dollars`, `x = 3`, `\\text{about }5`.

    None for several numbers, and for an expression such as `x+1` or `2x`.
    """
    plain = _LATEX_WORDS.sub(" ", plain_minus(text))
    numbers = _IN_TEXT.findall(plain)
    only_words = _WORDS.fullmatch(_IN_TEXT.sub(" ", plain)) and not _PRODUCT.search(plain)
    return numbers[0] if len(numbers) == 1 and only_words else None


def hash_answer(text: str) -> str | None:
    """What stands behind the last `#### ` within the last 300 characters, if it is a number."""
    answers = _AFTER_HASH.findall(text[-HASH_TAIL:])
    return answers[-1] if answers else None


def judge_number(gold: str, text: str) -> Judgement:
    """Lenient: the number behind `####`, else in the last `\\boxed{}`, else the last one at all.

    A box with words around its number counts as the number; one with several numbers, or with an
    expression, is an answer that is no number: wrong.
    """
    return _compare(gold, _lenient_answer(plain_minus(text)))


def _lenient_answer(text: str) -> str | None:
    hashed, boxed = hash_answer(text), last_boxed(text)
    if hashed is not None and read_number(hashed) is not None:
        return hashed
    if boxed is None or not _DIGIT.search(boxed):
        return last_number(text)
    return boxed if read_number(boxed) is not None else number_in_words(boxed) or boxed


def judge_number_strict(gold: str, text: str) -> Judgement:
    """The whole completion must be a number."""
    return _compare(gold, text if read_number(text) is not None else None)


def judge_hash(gold: str, text: str) -> Judgement:
    """GSM8K strict: `#### number` within the last 300 characters; without it the answer is wrong.

    Source: the reward of arXiv:2601.22532's release and of verl (`gsm8k`, method strict).
    """
    return _compare(gold, hash_answer(text))


def _compare(gold: str, answer: str | None) -> Judgement:
    wanted = read_number(gold)
    if wanted is None:
        return unreadable_key(gold, format_ok=answer is not None)
    right = answer is not None and read_number(answer) == wanted
    return Judgement(Verdict.CORRECT if right else Verdict.WRONG, format_ok=answer is not None)
