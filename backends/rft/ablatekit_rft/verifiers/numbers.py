"""Verifiers of numeric answers: what counts as the answer, and when two numbers are one."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from fractions import Fraction

from ablatekit_rft.verdicts import Judgement, Verdict
from ablatekit_rft.verifiers.latex import last_boxed

HASH_TAIL = 300
"""Characters from the end in which the strict GSM8K verifier looks, as verl's `gsm8k` reward."""

_PLAIN = re.compile(r"[+-]?(\d[\d,]*)?(\.\d+)?([eE][+-]?\d+)?")
_FRACTION = re.compile(r"([+-]?\d[\d,]*)\s*/\s*(\d[\d,]*)")
_IN_TEXT = re.compile(r"(?<![\w.,])[+-]?(?:\d[\d,]*(?:\.\d+)?|\.\d+)")
_AFTER_HASH = re.compile(r"#### (-?[0-9.,]*[0-9])")
_THOUSANDS = re.compile(r"\d{1,3}(,\d{3})+")
_DIGITS = 40


def read_number(text: str) -> Fraction | None:
    """The exact value of a whole text that is a number: 1,234 and -.5 and 3/4 and 2e3; else None.

    A currency or percent sign around it and a full stop behind it do not count. Commas must
    separate thousands.
    """
    inner = text.strip().removesuffix(".").strip().strip("$%€£").strip()
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


def last_number(text: str) -> str | None:
    """The last number that stands in a text; None if there is none."""
    found = _IN_TEXT.findall(text)
    return found[-1].rstrip(",") if found else None


def hash_answer(text: str) -> str | None:
    """What stands behind the last `#### ` within the last 300 characters, if it is a number."""
    found = _AFTER_HASH.findall(text[-HASH_TAIL:])
    return found[-1] if found else None


def judge_number(gold: str, text: str) -> Judgement:
    """Lenient: the number behind `####`, else in the last `\\boxed{}`, else the last one at all."""
    candidates = (hash_answer(text), last_boxed(text), last_number(text))
    return _compare(gold, next((one for one in candidates if one is not None), None))


def judge_number_strict(gold: str, text: str) -> Judgement:
    """The whole completion must be a number."""
    return _compare(gold, text if read_number(text) is not None else None)


def judge_hash(gold: str, text: str) -> Judgement:
    """GSM8K strict: `#### number` within the last 300 characters; without it the answer is wrong.

    Source: the reward of arXiv:2601.22532's release and of verl (`gsm8k`, method strict).
    """
    return _compare(gold, hash_answer(text))


def _compare(gold: str, found: str | None) -> Judgement:
    wanted = read_number(gold)
    if wanted is None:
        return Judgement(Verdict.ERROR, format_ok=found is not None)
    right = found is not None and read_number(found) == wanted
    return Judgement(Verdict.CORRECT if right else Verdict.WRONG, format_ok=found is not None)
