"""Verifiers of numbers: what is read, what is not, and that no spelling changes a value."""

from __future__ import annotations

import random
from fractions import Fraction

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

STATED = (
    ("18", "The answer is 18!"),
    ("3", "The answer is 3!"),
    ("6", "3!"),
    ("6", "There are 3! ways."),
    ("6", "The answer is $3!$."),
    ("18", "so the answer is 18 (see step 2)."),
    ("3/4", "The probability is 3/4"),
    ("3/4", "The probability is 3/4."),
    ("5", "Total \N{EN DASH} 5"),
    ("5", "Total - 5"),
    ("-5", "Total -5"),
    ("5", "total\N{EM DASH}5"),
    ("-5", "\N{EM DASH}5"),
    ("-5", "x = \N{EN DASH} 5"),
    ("-5", r"\boxed{x=-5}"),
    ("2.5", "2 1/2"),
    ("2.5", r"\boxed{2\frac{1}{2}}"),
    ("2.5", r"\boxed{2\tfrac12}"),
    ("-2.5", "-2 1/2"),
    ("-2.5", r"\boxed{-2\dfrac{1}{2}}"),
    ("3.5", "3\N{VULGAR FRACTION ONE HALF}"),
    ("0.5", "\N{VULGAR FRACTION ONE HALF}"),
    ("0.5", "\N{VULGAR FRACTION ONE HALF} cup"),
    ("-0.5", "-\N{VULGAR FRACTION ONE HALF}"),
    ("3e8", "3 \N{MULTIPLICATION SIGN} 10\N{SUPERSCRIPT EIGHT}"),
    ("3e8", "3\N{MULTIPLICATION SIGN}10^8 m/s"),
    ("3e8", "3 x 10^8"),
    ("3e8", "3x10^8"),
    ("3e8", "3*10^8"),
    ("3e8", r"$3 \times 10^{8}$"),
    ("3e8", r"\boxed{3 \cdot 10^8}"),
    ("3e-8", "3 \N{MULTIPLICATION SIGN} 10\N{SUPERSCRIPT MINUS}\N{SUPERSCRIPT EIGHT}"),
    ("1024", r"\boxed{2^{10}}"),
    ("0.001", "10^{-3}"),
    ("0.001", "10^-3"),
    ("3", r"\sqrt{9}"),
    ("3", "sqrt(9)"),
    ("3", "\N{SQUARE ROOT}9"),
    ("2", r"\boxed{\sqrt[3]{8}}"),
    ("7", "3 + 4 = 7"),
    ("18", "9 * 2 = $<<9*2=18>>18"),
    ("12", "3 x 4 = 12"),
    ("3", "2x = 6, so x = 3"),
    ("3", "2x = 6, x = 3"),
    ("6", "y = 2 * 3 = 6"),
    ("1200", "1,200"),
    ("1200", r"\boxed{1{,}200}"),
    ("1200", r"\boxed{1\,200}"),
    ("1200", "1 200"),
    ("1200", "1'200"),
    ("100000", "1,00,000"),
    ("-5", "$-5"),
    ("-5", r"-\$5"),
    ("5", r"\$5"),
    ("5", "\N{EURO SIGN}5"),
    ("5", "5 \N{EURO SIGN}"),
    ("5", "5\N{EURO SIGN}"),
    ("5", "USD 5"),
    ("5", "USD5"),
    ("5", "5 dollars"),
    ("5", "(5)"),
    ("50", "50%"),
    ("0.5", "50%"),
    ("50%", "0.5"),
    ("50%", "50"),
    ("50%", r"50\%"),
    ("50", "50 percent"),
    ("50", r"\boxed{50\%}"),
    ("90", "90 degrees"),
    ("90", r"\boxed{90^{\circ}}"),
    ("20", "20 cm^2"),
    ("20", "20 cm\N{SUPERSCRIPT TWO}"),
    ("20", r"\boxed{20 \text{ cm}^2}"),
    ("20", r"\boxed{20\,\text{m/s}^2}"),
    ("18", "18 dollars/day"),
    ("18", "18 per hour"),
    ("18", r"\boxed{18 \text{ dollars per day}}"),
    ("2", "2nd"),
    ("5", "$x=5$"),
    ("5", "$x = 5$."),
    ("18", "__18__"),
    ("18", "**18**"),
    ("18", "**Answer: 18**"),
    ("18", "*18*"),
    ("-5", "minus 5"),
    ("-5", "negative 5"),
    ("5000000", "5 million"),
    ("36", "3 dozen"),
    ("18", "\N{FULLWIDTH DIGIT ONE}\N{FULLWIDTH DIGIT EIGHT}"),
    ("18", "\N{ARABIC-INDIC DIGIT ONE}\N{ARABIC-INDIC DIGIT EIGHT}"),
    ("0", "-0"),
    ("18", r"\boxed{\text{18}}"),
    ("18", r"\boxed{\boxed{18}}"),
    ("18", r"\fbox{18}"),
    ("18", r"\boxed 18"),
    ("18", r"\boxed{17} or rather \boxed{18}"),
    ("18", r"\boxed{18"),
    ("18", r"\boxed{\frac{36}{2}"),
    ("18", "The answer is 18 for 2 people"),
    ("18", "Answer: $18 for 2 people"),
    ("18", "I need at least 18 more apples."),
    ("18", "After day 5, 18 remain."),
    ("18", "18 apples (9 * 2)"),
    ("18", "Step 2: the answer is (18)."),
    ("18", "The answer is (18)."),
    ("6", "f(3) = 6"),
    ("1/3", r"0.\overline{3}"),
    ("1/3", r"\boxed{0.\overline{3}}"),
    ("18", "18..."),
    ("18", "It costs $18!"),
    ("18", "18 元"),
    ("18", "答案是18\N{IDEOGRAPHIC FULL STOP}"),
    ("18", "18个"),
    ("0.75", r"\boxed{\frac{3}{4}}"),
    ("0.75", r"\boxed{\frac34}"),
    ("-0.75", r"\boxed{-\frac{3}{4}}"),
    ("-0.75", r"\boxed{\frac{-3}{4}}"),
    ("-0.75", r"\boxed{\frac{3}{-4}}"),
    ("0.75", r"\boxed{\dfrac{3}{4}}"),
    ("0.75", "3\N{FRACTION SLASH}4"),
    ("0.75", "\N{SUPERSCRIPT THREE}\N{FRACTION SLASH}\N{SUBSCRIPT FOUR}"),
    ("0.75", "\N{VULGAR FRACTION THREE QUARTERS}"),
    ("2.75", "2\N{VULGAR FRACTION THREE QUARTERS}"),
    ("0.5", ".5"),
    ("5", "5."),
    ("1.5", "1.50"),
    ("7", "007"),
    ("2000", "2E+3"),
    ("0.00015", "1.5e-4"),
    ("3", r"The answer is $\boxed{3}$. It was 5 steps."),
    ("18", "#### 18\n\nQuestion: 5 apples"),
    ("18", "#### Step 3: foo 4\nThe answer is 18."),
    ("18", "#### 3. Add up\nThe answer is 18."),
    ("18", "The answer is $18 per day."),
    ("18", "She makes $18."),
    ("18", "She makes 18.00 dollars"),
    ("18", "18 - that is the answer"),
    ("18", "18 \N{EN DASH} that is it"),
    ("18", "18-year-old"),
    ("3", "log_2(8) = 3"),
    ("3", r"\boxed{\log_2 8 = 3}"),
    ("5", r"\boxed{5 = x}"),
    ("5", "a = 3, b = 5"),
    ("-18", "- 18"),
    ("18", "* 18 apples"),
    ("18", "1) 18 apples"),
    ("18", "| total | 18 |"),
    ("18", "<answer>18</answer>"),
    ("18", "`18`"),
    ("18", '"18"'),
    ("18", "'18'"),
    ("18", '"The answer is 18."'),
    ("18", "The answer is 18.\n\nI hope this helps!"),
    ("18", "Final Answer: The final answer is $18$. I hope it is correct."),
    ("18", r"\[ 18 \]"),
    ("18", r"\( x = 18 \)"),
    ("18", "$$x = 18$$"),
    ("5", "x_1 = 5"),
    ("18", "The answer is 18 for x2"),
    ("18", r"18 \boxed{}"),
    ("18", r"\boxed{18\%}"),
    ("18", r"\boxed{\$18.00}"),
    ("18", r"\boxed{18.00 \text{ USD}}"),
    ("18", r"\boxed{\textbf{18}}"),
    ("18", r"\boxed{\mathbf{18}}"),
    ("18", r"\boxed{\text{The answer is } 18}"),
    ("18", r"\boxed{18~\text{cm}}"),
    ("18", r"\boxed{18\text{ cm}^{3}}"),
    ("18", r"\boxed{18\mathrm{cm}}"),
    ("18", r"\boxed{18cm}"),
    ("18", r"\boxed{18 \, \text{km/h}}"),
    ("1", r"\boxed{1^{\text{st}}}"),
    ("4", r"\boxed{4^{th}}"),
    ("16", "4^2"),
    ("9", "3\N{SUPERSCRIPT TWO}"),
    ("-8", "(-2)^3"),
    ("-5", "\N{MINUS SIGN}5"),
    ("-5", "\N{NON-BREAKING HYPHEN}5"),
    ("-1.5", "-$1.50"),
    ("1500000", "$1.5 million"),
    ("300", "3 hundred"),
    ("3", "3 times"),
    ("18", "She has 18 apples left"),
    ("-0.75", "\N{MINUS SIGN}3/4"),
    ("5", r"\boxed{5\text{ apples}}"),
    ("20", r"\boxed{20 \text{ miles per hour}}"),
    ("1/3", "1/3 (approximately 0.333)"),
    ("3/4", "3/4 (0.75)"),
    ("3/4", "3/4 or 0.75"),
    ("15", "15 minutes"),
    ("15", "15 min"),
    ("15", "15min"),
    ("15", "15 m"),
    ("7", "It's 7 I think"),
    ("7", "7 a day"),
    ("1/2", r"\boxed{\frac{1}{2}\text{ mile}}"),
    ("18", r"\boxed{\approx 18}"),
    ("18", "\N{ALMOST EQUAL TO}18"),
    ("18", "~18"),
    ("18", "about 18"),
    ("10^100", "1e100"),
    ("5!", "120"),
    ("18 dollars", "18"),
    ("5 cm", r"\boxed{5}"),
    ("7", r"\boxed{7 \text{ (seven)}}"),
    ("3", "3rd"),
    ("13", "It is 13th"),
    ("25", r"\boxed{25 \text{ square units}}"),
    ("25", "25 sq. ft."),
    ("25", "25 square feet"),
    ("18", "18,"),
    ("18", "18;"),
    ("18", "(18 dollars)"),
    ("18", "18 %"),
    ("1/4", r"\boxed{1/4}"),
    ("1/4", r"\boxed{1 / 4}"),
    ("1/4", r"\boxed{{1}/{4}}"),
    ("1/4", r"\boxed{\frac{1}{4}.}"),
    ("7", "#### 7\n"),
    ("7", "#### x = 7"),
    ("-7", "#### \N{MINUS SIGN}7"),
    ("-7", "#### \N{EN DASH}7"),
    ("-7", "#### minus 7"),
    ("-7", "#### \N{EN DASH} 7"),
    ("-7", "\\boxed{\N{EM DASH}7}"),
    ("-7", "The answer is \N{EN DASH} 7"),
    ("-7", "The answer is minus 7."),
    ("20", "It grew by 20%"),
    ("18", "18.0 (rounded)"),
    ("1000000", "1000000"),
    ("1000000", "1,000,000.00"),
    ("1000000", "1 000 000"),
    ("1000000", "10^6"),
    ("3/4", "3/4"),
    ("3/4", r"\boxed{3/4}"),
    ("3/4", "#### 3/4"),
    ("1.5e-4", "The answer is 1.5e-4"),
    ("-5", "-$5"),
    ("1000", "1 000"),
    ("3.5", "3 1/2"),
    ("18", "The answer is **18**."),
    ("18", "18."),
    ("18", "So, 18 dollars/day"),
    ("1", "Answer: 1st"),
    ("5", "x=5"),
    ("-5", "x= -5"),
    ("-5", r"\boxed{-5}"),
    ("-5", r"\boxed{\text{-}5}"),
    ("-5", "\N{EN DASH}5"),
    ("1200", r"\boxed{1,\!200}"),
    ("1200", "1,200.00"),
    ("0.5", r"\boxed{1/2}"),
    ("20", r"\boxed{20^\circ}"),
    ("20", r"\boxed{20\ \mathrm{m/s}}"),
    ("3000000", "3 million"),
    ("3", r"\boxed{x \approx 3}"),
    ("6", r"\boxed{3!}"),
    ("3", "\\boxed{3\N{DEGREE SIGN}}"),
)
NOT_STATED = (
    ("6", "The answer is 3!"),
    ("2", "so the answer is 18 (see step 2)."),
    ("4", "The probability is 3/4"),
    ("3", r"\boxed{3!}"),
    ("2", "2e-5"),
    ("30", "at 10:30"),
    ("3", "version 1.2.3"),
    ("31", "0x1F"),
    ("0", "0x1F"),
    ("-5", "Total - 5"),
    ("5", "x - 5"),
    ("5", r"\boxed{x-5}"),
    ("210", r"\boxed{2^{10}}"),
    ("2", r"\boxed{\sqrt{2}}"),
    ("3", r"\boxed{\sqrt{3}}"),
    ("5", "2+3"),
    ("3", "2+3"),
    ("6", "2*3"),
    ("3", "2*3"),
    ("7", "3 + 4"),
    ("6", "2x = 6"),
    ("9", "x^2 = 9"),
    ("1.2", "1.200,50"),
    ("50", "1.200,50"),
    ("1200.5", "1.200,50"),
    ("1000", "1_000"),
    ("-5", "(5)"),
    ("50%", "5%"),
    ("2", "20 cm^2"),
    ("5", "minus 5"),
    ("5", "5 million"),
    ("5", "5k"),
    ("5000", "5k"),
    ("3", "3 dozen"),
    ("3", "three"),
    ("3", r"\boxed{1,2,3}"),
    ("3", r"\boxed{(1,3)}"),
    ("3", "1, 2, 3"),
    ("3", "2 and 3"),
    ("3", "2 or 3"),
    ("3", "2:3"),
    ("2", "2:3"),
    ("3", "2 to 3"),
    ("3", "2-3"),
    ("2023", "12/25/2023"),
    ("2", "2020-01-02"),
    ("4567", "555-4567"),
    ("8", "It is 7, not 8"),
    ("3", "x < 3"),
    ("3", r"\boxed{x \leq 3}"),
    ("3", r"\boxed{3 < x}"),
    ("3", r"\boxed{\pm 3}"),
    ("3", r"\boxed{5 \pm 3}"),
    ("3", "3 and a half"),
    ("3", "5 feet 3 inches"),
    ("5", "5 feet 3 inches"),
    ("5", r"\boxed{5 feet 3 inches}"),
    ("20", "3 hours and 20 minutes"),
    ("3", "3 or more"),
    ("4", "The point (3, 4)"),
    ("4", r"\boxed{(3, 4)}"),
    ("3", "f(3)"),
    ("3", r"\boxed{3x}"),
    ("3", r"\boxed{3+x}"),
    ("3", r"\boxed{3ab}"),
    ("3", r"\boxed{3i}"),
    ("3", r"\boxed{3 \text{ or } 4}"),
    ("3", r"\boxed{3, 4}"),
    ("3", r"\boxed{\{3\}}"),
    ("11", r"\boxed{11_2}"),
    ("1/3", r"\boxed{0.333...}"),
    ("18", "18 + tax"),
    ("5", "Question: What is 2 + 3? 2 + 3"),
    ("8", "log_2(8)"),
    ("8", r"\boxed{\log_2 8}"),
    ("5", "5 (mod 7)"),
    ("3", r"\boxed{3 \pmod 7}"),
    ("6", r"\boxed{2x = 6}"),
    ("18", "- 18"),
    ("18", "So:\n- 18 apples"),
    ("1", "x_1"),
    ("2", "x2"),
    ("18", r"18 apples, \boxed{eighteen}"),
    ("5", r"\boxed{x = 5 \text{ or } x = 3}"),
    ("4", "4^2"),
    ("5", "\N{MINUS SIGN}5"),
    ("1.5", "$1.5 million"),
    ("3", "twice 3"),
    ("6", "half of 6"),
    ("3", "3 out of 4"),
    ("4", "3 out of 4"),
    ("4", "3 of 4"),
    ("-3", "-3/4"),
    ("3", "three 3"),
    ("15", "15 mod 7"),
    ("15", "15m"),
    ("7", "7 a"),
    ("7", "7i"),
    ("7", r"7\sqrt{2}"),
    ("2", r"7\sqrt{2}"),
    ("7", r"\boxed{7\sqrt{4}}"),
    ("3", "3 < x < 5"),
    ("5", "3 < x < 5"),
    ("5", "between 3 and 5"),
    ("5", r"\boxed{[3,5]}"),
    ("5", "[3,5]"),
    ("2", "2\N{DIVISION SIGN}5"),
    ("5", "2\N{DIVISION SIGN}5"),
    ("7", r"\boxed{7\ldots}"),
    ("12", r"\boxed{12\text{ inches} = 1\text{ foot}}"),
    ("2", r"\boxed{\text{2 and 3}}"),
    ("1", "1/0"),
    ("25", r"\boxed{25\pi}"),
    ("25", "25\N{GREEK SMALL LETTER PI}"),
    ("25", "25 \N{GREEK SMALL LETTER PI}"),
    ("25", "\\boxed{25\\text{\N{GREEK SMALL LETTER PI}}}"),
    ("5", r"\boxed{|-5|}"),
    ("-5", r"\boxed{|-5|}"),
    ("7", "#### \N{EN DASH} 7"),
    ("7", "The answer is \N{EN DASH} 7"),
    ("7", "5 minus 7"),
    ("-7", "5 minus 7"),
    ("20", "Therefore, 20% of 50"),
    ("7", "he has 7 apples & 3"),
    ("3", "#### 3/4"),
    ("3", "x^3"),
    ("2", "10^2"),
    ("5", r"\boxed{- 5}"),
    ("5", "\\boxed{\N{EN DASH}5}"),
    ("3", r"\boxed{3 dozen}"),
    ("3", r"\boxed{x \ne 3}"),
    ("3", r"\boxed{3\pi}"),
    ("3", r"\boxed{3 x}"),
    ("3", r"\boxed{3e}"),
    ("3", r"\boxed{log 3}"),
    ("3", r"\boxed{\ln 3}"),
    ("3", r"\boxed{minus 3}"),
    ("3", r"\boxed{3 or 4}"),
)
MARKED = (
    ("1000", "#### 1e3"),
    ("18", "#### 18. So 5 apples"),
    ("18", "#### $18"),
    ("18", "#### 18 dollars"),
    ("18", "#### 18 dollars per day"),
    ("-5", "#### -5"),
    ("18", r"#### \$18"),
    ("18", "#### **18**"),
    ("18", "#### 18 apples for 5 people"),
    ("5.5", "#### 5 1/2"),
    ("5", "#### x = 5"),
    ("1000", "#### 1 000"),
    ("10000000", "#### 10 million"),
    ("6", "#### 3!"),
    ("7", "#### 7 (from 3 and 4)"),
    ("18", "#### 9 * 2 = 18"),
    ("0.5", "#### 50%"),
    ("18", "#### 18."),
    ("3/4", "#### 3/4"),
    ("1500", "#### 1.5e3"),
    ("1200", "#### 1,200"),
    ("1200", "#### 1,200.00"),
    ("0.5", "#### 0.5"),
)
NOT_MARKED = (
    ("1", "#### 1e3"),
    ("5", "####5"),
    ("18", "#### 18\n#### 19"),
    ("5", "#### 5 or 6"),
    ("5", "#### 5, 6"),
    ("5", "#### 5,6"),
    ("5", "#### 5:6"),
    ("5", "#### 5-6"),
    ("5", "#### 5x"),
    ("3", "#### 3!"),
    ("9", "#### 9 * 2"),
    ("18", "#### \n18"),
    ("1.5", "#### 1.5e3"),
    ("5", "#### 5 1/2"),
    ("10", "#### 10 million"),
    ("1", "#### 1 000"),
)
WHOLE = (
    ("18", "$18.00"),
    ("0.5", r"\frac{1}{2}"),
    ("0.5", r"$\frac{1}{2}$"),
    ("1000", "1 000"),
    ("18", "$18"),
    ("18", "18\n"),
    ("-0.5", "-1/2"),
)
NOT_WHOLE = (
    ("18", "18!"),
    ("18", "18 dollars"),
    ("1", "1 000"),
    ("18", "x = 18"),
)


@pytest.mark.parametrize(("gold", "text"), STATED)
def test_the_number_that_a_completion_states(gold: str, text: str) -> None:
    assert judge_number(gold, text) == Judgement(C, True)


@pytest.mark.parametrize(("gold", "text"), NOT_STATED)
def test_a_part_of_an_expression_is_no_answer(gold: str, text: str) -> None:
    assert judge_number(gold, text).verdict is W


@pytest.mark.parametrize(("gold", "text"), MARKED)
def test_the_number_behind_the_mark(gold: str, text: str) -> None:
    assert judge_hash(gold, text) == Judgement(C, True)


@pytest.mark.parametrize(("gold", "text"), NOT_MARKED)
def test_another_number_behind_the_mark(gold: str, text: str) -> None:
    assert judge_hash(gold, text).verdict is W


@pytest.mark.parametrize(("gold", "text"), WHOLE)
def test_a_completion_that_is_the_number(gold: str, text: str) -> None:
    assert judge_number_strict(gold, text) == Judgement(C, True)


@pytest.mark.parametrize(("gold", "text"), NOT_WHOLE)
def test_a_completion_that_is_not_the_number(gold: str, text: str) -> None:
    assert judge_number_strict(gold, text).verdict is W


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
