r"""Verifiers of numeric answers: where the answer stands, and whether it is the right number.

What is a written number, and its exact value, is decided by `expressions`; what a box, a line or a
sentence states by `sentences`. The last expression decides: where it is no number (`3x`, `10:30`,
`1.2.3`, `2, 3`) the answer is wrong, and no earlier number is taken instead of it. A verdict
`correct` for a wrong answer teaches a policy to give it; a verdict `wrong` for an odd spelling
costs one sample.
"""

from __future__ import annotations

import functools
import re
from fractions import Fraction

from ablatekit_rft.tasks.query import Judgement, Verdict, unreadable_key
from ablatekit_rft.tasks.verifiers.expressions import Quantity, written_quantity
from ablatekit_rft.tasks.verifiers.latex import last_boxed
from ablatekit_rft.tasks.verifiers.sentences import of_box, of_line, of_prose

HASH = "#### "
HASH_TAIL = 300
"""Characters from the end in which the strict GSM8K verifier looks, as verl's `gsm8k` reward."""
WINDOW = 500
"""Characters that an answer may be long, and a sentence is read back from its last number."""

_LAST_NUMBER = re.compile(r"(?s).*(?:[\d¼½¾⅐-⅞]|\N{FRACTION SLASH}[₀-₉]+)")
_SENTENCE_ENDS = ("\n", ". ", "? ", "。", "</think>")
_HEADING = re.compile(r"\d+[.):]\s+[^\W\d_]")
_TAIL = 200
"""Characters behind the last number that are read for its unit."""
_MOST_TRIES = 8
_MARKUP = re.compile(r"^\s*(?:[*_#>`]|<(?!\|))|[*_`]\s*$")
"""Where a completion begins or ends with Markdown or with a tag."""


def read_number(text: str) -> Fraction | None:
    """The exact value of a whole text that is a written number (see `expressions`); else None.

    Currency and percent signs around it and a full stop behind it do not count: 50% is 50.
    """
    quantity = written_quantity(text)
    return None if quantity is None else quantity.value


def read_key(text: str) -> Fraction | None:
    """The exact value of an answer key: a written number, its unit behind it, and nothing else."""
    quantity = written_quantity(text)
    if quantity is None and len(text) <= WINDOW and last_boxed(text) is None:
        quantity = of_box(text) if of_line(text)[1] is not None else None
    return None if quantity is None else quantity.value


def judge_number(gold: str, text: str) -> Judgement:
    """Lenient: the number behind `####` or in the last box, whichever is later, else the last one.

    A box that holds anything but one number, or a line that begins with an expression without a
    value, is an answer that is no number: wrong.
    """
    stated, answer = _lenient_answer(text)
    return _compare(gold, answer, format_ok=stated)


def judge_number_strict(gold: str, text: str) -> Judgement:
    """The whole completion must be a written number, without Markdown or tags."""
    answer = None if _MARKUP.search(text) else written_quantity(text)
    return _compare(gold, answer, format_ok=answer is not None)


def judge_hash(gold: str, text: str) -> Judgement:
    """GSM8K strict: `#### number` within the last 300 characters; without it the answer is wrong.

    Source: the reward of arXiv:2601.22532's release and of verl (`gsm8k`, method strict), which
    read digits, commas and points only; here the whole expression behind the mark is read, as far
    as its line goes.
    """
    marked = _behind_hash(text, max(0, len(text) - HASH_TAIL))
    answer = None if marked is None else marked[1]
    return _compare(gold, answer, format_ok=answer is not None)


@functools.lru_cache(maxsize=4096)
def _key(gold: str) -> Quantity | None:
    """A key is read as a box is: `18 dollars` is the key 18."""
    return written_quantity(gold) or (of_box(gold) if len(gold) <= WINDOW else None)


def _compare(gold: str, answer: Quantity | None, *, format_ok: bool) -> Judgement:
    key = _key(gold)
    if key is None:
        return unreadable_key(gold, format_ok=format_ok)
    right = answer is not None and answer.equals(key)
    return Judgement(Verdict.CORRECT if right else Verdict.WRONG, format_ok)


def _lenient_answer(text: str) -> tuple[bool, Quantity | None]:
    """Whether a completion states a number expression at all, and the value of its answer."""
    marked = _behind_hash(text, 0, headings=True)
    boxed = last_boxed(text) if "box" in text else None
    if boxed is not None and not boxed.strip(" {}\n"):
        boxed = None  # `\boxed{}` is quoted from the question
    if marked is not None and (boxed is None or marked[0] > text.rfind("box")):
        return True, marked[1]
    if boxed is not None:
        return True, of_box(boxed) if len(boxed) <= WINDOW else None
    return _last_stated(text)


def _behind_hash(
    text: str, start: int, *, headings: bool = False
) -> tuple[int, Quantity | None] | None:
    """The last `#### ` from a place on with a number expression right behind it; and its value.

    `headings`: `#### 3. Add up` with more text below it is a heading of Markdown. One without a
    number in front is never an answer.
    """
    place = len(text)
    for _ in range(_MOST_TRIES):
        place = text.rfind(HASH, start, place)
        if place < 0:
            return None
        line = text[place + len(HASH) : place + len(HASH) + WINDOW]
        line, _, below = line.partition("\n")
        stated, quantity = of_line(line)
        if stated and not (headings and below.strip() and _HEADING.match(line)):
            return place, quantity
    return None


def _last_stated(text: str) -> tuple[bool, Quantity | None]:
    """What the last sentence states that holds a number expression."""
    for _ in range(_MOST_TRIES):
        last = _LAST_NUMBER.match(text)
        if last is None:
            return False, None
        start = _start_of_sentence(text, last.end())
        behind = text[last.end() : last.end() + _TAIL].partition("\n")[0]
        sentence = text[max(start, last.end() - WINDOW) : last.end()] + behind
        stated, quantity = of_prose(sentence, fresh=not text[:start].strip())
        if stated:
            return True, quantity
        text = text[:start]
    return False, None


def _start_of_sentence(text: str, end: int) -> int:
    places = ((text.rfind(mark, 0, end), len(mark)) for mark in _SENTENCE_ENDS)
    return max((place + length for place, length in places if place >= 0), default=0)
