"""Verifiers of numbers: what is read, what is not, and that no spelling changes a value."""

from __future__ import annotations

import json
import random
from fractions import Fraction
from pathlib import Path

import pytest
from ablatekit_rft.tasks.query import Judgement, Verdict
from ablatekit_rft.tasks.verifiers.expressions import MOST_DIGITS, written_quantity
from ablatekit_rft.tasks.verifiers.numbers import (
    judge_hash,
    judge_number,
    judge_number_strict,
    read_number,
)
from ablatekit_rft.tasks.verifiers.registry import BY_RULE
from ablatekit_rft.testing.verifier_suite import PIECES
from hypothesis import given, settings
from hypothesis import strategies as st

C, W, E = Verdict.CORRECT, Verdict.WRONG, Verdict.ERROR

PAIRS = Path(__file__).parent / "number_pairs.jsonl"
"""A key, a completion and the verdict that it deserves, kind by kind."""


@pytest.mark.parametrize("name", ["number", "hash", "number_strict"])
def test_what_is_read_and_what_is_not(name: str) -> None:
    rows = [json.loads(line) for line in PAIRS.read_text(encoding="utf-8").splitlines()]
    rows = [row for row in rows if row["verifier"] == name]
    assert {row["verdict"] for row in rows} >= {"correct", "wrong"}
    judged = [BY_RULE[name](row["gold"], row["completion"]).verdict for row in rows]
    pairs = zip(rows, judged, strict=True)
    assert [row for row, verdict in pairs if verdict != row["verdict"]] == []


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("18", 18),
        ("-3", -3),
        ("+3", 3),
        ("1,234", 1234),
        ("$1,234,567.5", 1234567.5),
        ("50%", 50),
        (" 7. ", 7),
        (".5", 0.5),
        ("3/4", 0.75),
        ("2e3", 2000),
        ("007", 7),
        ("\u22123", -3),
        ("9" * MOST_DIGITS, 10**MOST_DIGITS - 1),
        ("2^{1000}", 2**1000),
        ("(((7)))", 7),
        ("(1/2)^2", 0.25),
        ("-2^2", -4),
        ("-1^{999999999999}", -1),
        ("2^{3^2}", 512),
        ("", None),
        ("12,34", None),
        ("1 2", None),
        ("1,2,3", None),
        ("0,500", None),
        ("seven", None),
        ("3/0", None),
        ("0^0", None),
        ("0^{-1}", None),
        ("4^{1/2}", None),
        ("-", None),
        ("--3", None),
        ("nan", None),
        ("inf", None),
        ("1e999999999", None),
        ("1e99999", None),
        ("9^{9^{9^9}}", None),
        ("99999!", None),
        ("3!!", None),
        ("9" * (MOST_DIGITS + 1), None),
        ("(" * 99 + "7" + ")" * 99, None),
        ("3\\frac{5}{2}", None),
        ("\\frac123", None),
    ],
)
def test_what_is_a_written_number(text: str, value: float | None) -> None:
    assert read_number(text) == value


@pytest.mark.parametrize(
    ("gold", "text", "verdict", "format_ok"),
    [
        ("18", "####18", W, False),
        ("18", "The answer is 18", W, False),
        ("18", "#### eighteen", W, False),
        ("18", "#### 18x", W, False),
        ("18", "#### 18" + " " * 300, W, False),
        ("18", "x" * 1000 + "#### 18", C, True),
        ("5" * 290, "#### " + "5" * 290, C, True),
        ("", "#### 18", E, True),
        ("18 or 19", "#### 18", E, True),
        ("18 dollars", "#### 18", C, True),
    ],
)
def test_form_and_key_of_strict_gsm8k(
    gold: str, text: str, verdict: Verdict, format_ok: bool
) -> None:
    assert judge_hash(gold, text) == Judgement(verdict, format_ok)


@pytest.mark.parametrize(
    ("gold", "text", "verdict", "format_ok"),
    [
        ("7", "seven", W, False),
        ("7", "7x", W, True),
        ("7", "\\boxed{x}", W, True),
        ("?", "7", E, True),
        ("eighteen", "18", E, True),
        ("x + 1", "none", E, False),
    ],
)
def test_form_and_key_of_the_lenient_number(
    gold: str, text: str, verdict: Verdict, format_ok: bool
) -> None:
    assert judge_number(gold, text) == Judgement(verdict, format_ok)


RAISED = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
SPACES = (" ", "\N{NO-BREAK SPACE}", "\N{NARROW NO-BREAK SPACE}", "\\,", "\\ ")
MINUSES = ("-", "\N{MINUS SIGN}", "\N{EN DASH}", "minus ", "\\text{-}")
PLACES = ("%s", "#### %s", "2 + 3 = 5\n#### %s", "So \\boxed{%s}", "\\boxed{x = %s}", "It is %s")


@st.composite
def spelt_numbers(draw: st.DrawFn) -> tuple[Fraction, str]:
    """A rational number in one of its spellings."""
    top, bottom = draw(st.integers(0, 10**7)), draw(st.integers(1, 40))
    exponent = draw(st.integers(-9, 12))
    head, rest = divmod(top % 5000, 40)
    raised = str(exponent).translate(RAISED)
    spelt = [
        (Fraction(top), str(top)),
        (Fraction(top), f"{top}.000"),
        (Fraction(top), f"{top:,}".replace(",", draw(st.sampled_from((",", "{,}", *SPACES))))),
        (Fraction(top, bottom), f"{top}/{bottom}"),
        (Fraction(top, bottom), f"\\dfrac{{{top}}}{{{bottom}}}"),
        (Fraction(top, 10**5), f"{top // 10**5}.{top % 10**5:05d}"),
        (Fraction(top) * Fraction(10) ** exponent, f"{top}e{exponent}"),
        (Fraction(top) * Fraction(10) ** exponent, f"{top} \\times 10^{{{exponent}}}"),
        (Fraction(top) * Fraction(10) ** exponent, f"{top} \N{MULTIPLICATION SIGN} 10{raised}"),
        (Fraction(bottom) ** abs(exponent), f"{bottom}^{{{abs(exponent)}}}"),
        (Fraction(top * 10**6), f"{top} million"),
    ]
    if head and rest:
        spelt.append((head + Fraction(rest, 40), f"{head} {rest}/40"))
        spelt.append((head + Fraction(rest, 40), f"{head}\\frac{{{rest}}}{{40}}"))
    value, text = draw(st.sampled_from(spelt))
    if draw(st.booleans()):
        return -value, draw(st.sampled_from(MINUSES)) + text
    return value, text


@given(number=spelt_numbers(), place=st.sampled_from(PLACES), other=st.fractions())
def test_every_spelling_has_its_exact_value(
    number: tuple[Fraction, str], place: str, other: Fraction
) -> None:
    value, text = number
    completion = place % text
    assert judge_number(str(value), completion).verdict is C
    assert judge_number(text, completion).verdict is C
    for wrong in (other, value + 1, value * 10, -value):
        verdict = C if wrong == value else W
        assert judge_number(str(wrong), completion).verdict is verdict
    assert judge_hash(str(value), f"#### {text}").verdict is C
    assert judge_number_strict(str(value), text).verdict is C


GOES_ON = (
    "x",
    " y",
    "\\pi",
    " or 1001",
    " + 1001",
    " - x",
    ":1001",
    "^1.5",
    " feet 1001 in",
    "i",
    "k",
)
GOES_AHEAD = (
    "x^",
    "\\ln ",
    "1001 or ",
    "1001 + ",
    "x < ",
    "not ",
    "1001:",
    "\\pm ",
    "x \\ne ",
    "z - ",
)


@given(
    number=st.integers(2, 999),
    behind=st.sampled_from(GOES_ON),
    ahead=st.sampled_from(GOES_AHEAD),
    place=st.sampled_from(PLACES),
)
def test_no_part_of_a_longer_expression_counts(
    number: int, behind: str, ahead: str, place: str
) -> None:
    for text in (f"{number}{behind}", f"{ahead}{number}", f"{ahead}{number}{behind}"):
        assert judge_number(str(number), place % text).verdict is W
        assert judge_number_strict(str(number), text).verdict is W
    assert judge_hash(str(number), f"#### {number}{behind}").verdict is W


ODD_PIECES = (*PIECES, "(", ")", "[", "!", "*", "<", "~", "|", ":", "or", "million", "x", "minus")


@settings(max_examples=300)
@given(text=st.lists(st.sampled_from(ODD_PIECES), max_size=25).map("".join))
def test_garbage_gets_a_verdict(text: str) -> None:
    for name in ("number", "hash", "number_strict"):
        assert BY_RULE[name]("12", text).verdict is not E
        BY_RULE[name](text, text)
    written_quantity(text)


REPEATED = (
    "1,",
    "#### ",
    "#### 1\n",
    "\\boxed{",
    "(",
    "(1",
    "1!",
    "9^",
    "1/",
    "{1",
    "- ",
    "x1. ",
    "½",
)


@pytest.mark.parametrize("piece", REPEATED)
def test_a_long_completion_of_garbage_is_wrong_and_quick(piece: str) -> None:
    # Code that is quadratic in these would need minutes here.
    for name in ("number", "hash", "number_strict"):
        assert BY_RULE[name]("12", piece * (100_000 // len(piece))).verdict is W


def test_a_key_answers_itself_in_every_form() -> None:
    draws = random.Random(5)
    for _ in range(200):
        top, bottom = draws.randrange(1, 99), draws.randrange(2, 99)
        for key in (
            f"{top}/{bottom}",
            f"{top}.{bottom}e{bottom}",
            f"{top},{bottom + 100}",
            f"-{top}",
        ):
            for text in (f"#### {key}", f"\\boxed{{{key}}}", f"The answer is {key}.", key):
                assert judge_number(key, text) == Judgement(C, True)
            assert judge_hash(key, f"so\n#### {key}") == Judgement(C, True)
            assert judge_number_strict(key, key) == Judgement(C, True)
