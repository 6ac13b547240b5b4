"""Answers in LaTeX: the last `\\boxed{}`, and when two strings are one answer.

The normalisation follows the one that the MATH benchmark was published with (Hendrycks et al.,
arXiv:2103.03874): spelling variants of one expression become one string; nothing is computed.
"""

from __future__ import annotations

import re

from ablatekit_rft.tasks.query import Judgement, Verdict, unreadable_key

_BOX = re.compile(r"\\f?box(?:ed)?\s*(?=\{)|\\boxed (?=[^\s{])")
_DROPPED = (
    *("\\left", "\\right", "\\!", "\\,", "\\;", "\\ ", "\\$", "$", "\\%", "%"),
    *("^{\\circ}", "^\\circ", "\n"),
)
_RENAMED = {"tfrac": "frac", "dfrac": "frac", "\\\\": "\\"}
_UNITS = re.compile(r"\\(text|mbox)\{ [^{}]*\}\s*$")
_TEXT = re.compile(r"\\(?:text|mbox|textbf|mathrm)\{([^{}]*)\}")
_SHORT_FRACTION = re.compile(r"\\frac(?:(\d)(\d)|(\d)\{([^{}]*)\}|\{([^{}]*)\}(\d))")
_SHORT_ROOT = re.compile(r"\\sqrt(\w)")
_RATIO = re.compile(r"(-?\d+)/(\d+)")
_LEADING_POINT = re.compile(r"(?<![\d.])\.(?=\d)")


def last_boxed(text: str) -> str | None:
    """The content of the last `\\boxed{...}` with balanced braces; None if there is none."""
    for box in reversed(list(_BOX.finditer(text))):
        content = _content(text, box.end())
        if content is not None:
            return content
    return None


def _content(text: str, start: int) -> str | None:
    """What a box holds: the braces at `start`, or the word there as in `\\boxed 5`."""
    if text[start] == "{":
        return _braced(text, start)
    words = text[start:].split("$")[0].split()
    return words[0] if words else None


def _braced(text: str, start: int) -> str | None:
    """What stands between the brace at `start` and the one that closes it."""
    depth = 0
    for place in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if depth == 0:
            return text[start + 1 : place]
    return None


def normalise(answer: str) -> str:
    """One string for the spelling variants of an answer."""
    text = _UNITS.sub("", answer.strip())
    for old, new in _RENAMED.items():
        text = text.replace(old, new)
    for sign in _DROPPED:
        text = text.replace(sign, "")
    text = _TEXT.sub(r"\1", text).replace(" ", "").rstrip(".")
    name, equals, value = text.partition("=")
    if equals and len(name) <= 2:
        text = value
    text = _LEADING_POINT.sub("0.", text)
    text = _SHORT_ROOT.sub(r"\\sqrt{\1}", text)
    text = _SHORT_FRACTION.sub(_full_fraction, text)
    ratio = _RATIO.fullmatch(text)
    text = f"\\frac{{{ratio[1]}}}{{{ratio[2]}}}" if ratio else text
    return "\\frac{1}{2}" if text == "0.5" else text


def _full_fraction(fraction: re.Match[str]) -> str:
    top, bottom = (part for part in fraction.groups() if part is not None)
    return f"\\frac{{{top}}}{{{bottom}}}"


def judge_boxed(gold: str, text: str) -> Judgement:
    """The last `\\boxed{}` must be the answer after normalisation; without one it is wrong.

    Source: the reward of arXiv:2601.22532's release for MATH.
    """
    answer = last_boxed(text)
    if not gold.strip():
        return unreadable_key(gold, format_ok=answer is not None)
    right = answer is not None and normalise(answer) == normalise(gold)
    return Judgement(Verdict.CORRECT if right else Verdict.WRONG, format_ok=answer is not None)


def judge_exact(gold: str, text: str) -> Judgement:
    """The completion is the answer, to the character, but for white space around both."""
    if not gold.strip():
        return unreadable_key(gold, format_ok=bool(text.strip()))
    right = text.strip() == gold.strip()
    return Judgement(Verdict.CORRECT if right else Verdict.WRONG, format_ok=bool(text.strip()))
