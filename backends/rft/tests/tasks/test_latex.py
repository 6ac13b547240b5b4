"""Answers in LaTeX: boxes, spellings, equality as mathematics; unequal answers stay unequal."""

from __future__ import annotations

import importlib.util
import random
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest
from ablatekit_rft.tasks.answers.notation import read_notation
from ablatekit_rft.tasks.answers.spelling import equal_answers, read_answer
from ablatekit_rft.tasks.query import Judgement, Verdict
from ablatekit_rft.tasks.verifiers.latex import judge_boxed, judge_exact, last_boxed
from ablatekit_rft.tasks.verifiers.pool import JudgePool
from hypothesis import given, settings
from hypothesis import strategies as st

C, W, E = Verdict.CORRECT, Verdict.WRONG, Verdict.ERROR
MATH_JUDGE = "ablatekit_rft.tasks.verifiers.mathematics:mathematics_judge"
USER_JUDGE = "ablatekit_rft.tasks.verifiers.user:judge_of"
needs_math = pytest.mark.skipif(
    importlib.util.find_spec("math_verify") is None,
    reason="no module math_verify: pip install 'ablatekit-rft[math]'",
)


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("so \\boxed{12}.", "12"),
        ("\\boxed{\\frac{1}{2}} and \\boxed{\\sqrt{3}}", "\\sqrt{3}"),
        ("\\fbox{a}", "a"),
        ("\\boxed 5$", "5"),
        ("\\boxed{{}", None),
        ("\\boxed{1} then \\boxed{2", "1"),
        ("no box", None),
        (r"so \boxed $42$", None),
        (r"\boxed $ ", None),
        (r"\boxed{3}, \boxed $", "3"),
    ],
)
def test_the_last_box(text: str, content: str | None) -> None:
    assert last_boxed(text) == content


def pairs(kind: str) -> list[tuple[str, str]]:
    """Key and answer of each line of the table that begins with the kind."""
    lines = Path(__file__).with_name("latex_pairs.txt").read_text().splitlines()
    sides = [line.removeprefix(kind).strip() for line in lines if line.startswith(kind)]
    return [(gold, answer) for gold, _, answer in (side.partition(" :: ") for side in sides)]


SPELLED, COMPUTED, DIFFERENT = pairs("spelled"), pairs("computed"), pairs("different")
"""Other spellings of one answer; what only mathematics makes equal; different answers."""


def test_the_table_of_pairs_is_there() -> None:
    assert min(map(len, (SPELLED, COMPUTED, DIFFERENT))) > 100


def called_equal(asked: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The pairs that `boxed` calls equal."""
    found = [judge_boxed(gold, f"so \\boxed{{{answer}}}") for gold, answer in asked]
    return [pair for pair, one in zip(asked, found, strict=True) if one.verdict is C]


def test_spellings_of_one_answer() -> None:
    assert called_equal(SPELLED) == SPELLED


def test_different_answers_are_no_spellings_of_one() -> None:
    assert called_equal(DIFFERENT) == []
    assert called_equal([(answer, gold) for gold, answer in DIFFERENT]) == []


def test_a_comparison_of_spellings_computes_nothing() -> None:
    assert called_equal(COMPUTED) == []


@pytest.fixture(scope="module")
def mathematics() -> Iterator[JudgePool]:
    pool = JudgePool(MATH_JUDGE, processes=1)
    yield pool
    pool.close()


@needs_math
def test_equal_and_different_as_mathematics(mathematics: JudgePool) -> None:
    equal = [*SPELLED, *COMPUTED]
    asked = [*equal, *DIFFERENT]
    found = mathematics.judge([(gold, f"7 is not \\boxed{{{answer}}}") for gold, answer in asked])
    said = {pair: judgement.verdict for pair, judgement in zip(asked, found, strict=True)}
    assert {pair: said[pair] for pair in equal if said[pair] is not C} == {}
    assert {pair: said[pair] for pair in DIFFERENT if said[pair] is C} == {}
    assert all(judgement.format_ok for judgement in found)


@needs_math
def test_different_in_both_directions_as_mathematics(mathematics: JudgePool) -> None:
    asked = [(answer, gold) for gold, answer in DIFFERENT]
    found = mathematics.judge([(gold, f"\\boxed{{{answer}}}") for gold, answer in asked])
    assert [pair for pair, one in zip(asked, found, strict=True) if one.verdict is C] == []


@needs_math
def test_an_unfinished_answer_is_not_the_part_that_is_there(mathematics: JudgePool) -> None:
    keys = ["5", "\\frac{1}{2}", "x+1", "\\sqrt{2}", "(1,2)", "2\\pi"]
    ends = [
        "/",
        "+",
        "-",
        "\\cdot",
        "\\times",
        "^",
        "^{}",
        "_",
        "\\sqrt{}",
        "\\frac{}{}",
        "=",
        "(",
        ")",
    ]
    asked = [(key, f"\\boxed{{{key}{end}}}") for key in keys for end in ends]
    found = mathematics.judge(asked)
    assert [pair for pair, one in zip(asked, found, strict=True) if one.verdict is not W] == []


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("2\u22123", "2-3"),
        ("x\u22642", "x\\le 2"),
        ("90\u00b0", "90^\\circ"),
        ("x\u00b2", "x^2"),
        ("10\u207b\u00b9\u00b2", "10^{-12}"),
        ("11\u2082", "11_2"),
        ("x<=2", "x\\le 2"),
        ("2\u00d710^8", "2\\times 10^8"),
        ("2\u221a3", "2\\sqrt{3}"),
        ("\u00b11", "\\pm 1"),
        ("\u03c0", "\\pi"),
        ("(2,\u221e)", "(2,\\infty)"),
        ("\u00bd", "\\frac12"),
    ],
)
def test_signs_of_unicode_are_those_of_latex(left: str, right: str) -> None:
    assert equal_answers(left, right)


def test_a_percent_sign_is_dropped_unless_the_key_is_a_proportion() -> None:
    assert equal_answers("75", "75\\%")
    assert equal_answers("75\\%", "75")
    assert not equal_answers("0.5", "0.5\\%")
    assert not equal_answers("\\frac{1}{2}", "\\frac{1}{2}\\%")


def test_a_key_that_cannot_be_read_is_an_error() -> None:
    for key in ("", "  ", "\\frac{1}{", "{", "\\begin{pmatrix}1", "."):
        assert judge_boxed(key, "\\boxed{1}") == Judgement(E, True), key
        assert judge_boxed(key, "1") == Judgement(E, False), key


@needs_math
def test_a_key_that_says_nothing_is_an_error_of_mathematics(mathematics: JudgePool) -> None:
    keys = ("", "??", "\\frac{1}{", "\\frac{1}{0}", "5/0", "0^{0}")
    found = mathematics.judge([(key, f"\\boxed{{{key}}}") for key in keys])
    assert [one.verdict for one in found] == [E] * len(keys)
    assert all("answer key" in one.why for one in found)


def test_boxed_and_exact_answers() -> None:
    assert judge_boxed("\\frac{1}{2}", "thus \\boxed{1/2}") == Judgement(C, True)
    assert judge_boxed("\\frac{1}{2}", "thus 1/2") == Judgement(W, False)
    assert judge_boxed("", "\\boxed{1}") == Judgement(E, True)
    assert judge_exact("Paris", " Paris\n") == Judgement(C, True)
    assert judge_exact("Paris", "paris") == Judgement(W, True)
    assert judge_exact("  ", "") == Judgement(E, False)


@needs_math
def test_only_the_last_box_is_judged(mathematics: JudgePool) -> None:
    texts = {
        "It is 5. \\boxed{6}": W,
        "\\boxed{5}, no: \\boxed{6}": W,
        "\\boxed{6}, no: \\boxed{5}": C,
        "\\boxed{6} and the final answer is $5$": W,
        "\\boxed{6}, I hope that 5 is correct": W,
        "\\boxed{}": W,
        "\\boxed{5": W,
        "so it is 5": C,
        "The answer is $\\frac{10}{2}$.": C,
        "The answer is 5.\nThe answer is 6.": W,
        "3 + 2 is \\[\\sum_{n=2}^{3} n.\\]": C,
        "$3$ and $2$ make $5$": C,
        "$5$ and $2$ make $7$": W,
        "It costs $5\\text{ million}$.": W,
        "7 - 2\n#### 5": C,
        "It is 5.\n#### 6": W,
        "5": C,
        " x = 5 ": C,
        "5x": W,
        "": W,
    }
    found = mathematics.judge([("5", text) for text in texts])
    assert dict(zip(texts, (one.verdict for one in found), strict=True)) == texts


numbers = st.fractions(max_denominator=99).filter(lambda one: abs(one) < 10**6)
words = st.text("abcdeghimnorst", min_size=3, max_size=8)


def written(value: Fraction) -> str:
    if value.denominator == 1:
        return str(value)
    return f"{'-' * (value < 0)}\\frac{{{abs(value.numerator)}}}{{{value.denominator}}}"


quick = settings(max_examples=25, deadline=None)


@quick
@given(st.lists(numbers, min_size=2, max_size=2, unique=True))
def test_different_numbers_have_no_common_spelling(values: list[Fraction]) -> None:
    forms = [
        {written(one), written(one).replace("frac", "dfrac"), str(one), f"x = {one}"}
        for one in values
    ]
    for mine in forms[0]:
        assert all(equal_answers(mine, other) for other in forms[0])
        assert not any(equal_answers(mine, other) for other in forms[1])


@quick
@given(st.integers(0, 10**12), st.sampled_from((",", "{,}", "\\,", ",\\!", "~", " ")), st.data())
def test_separators_of_thousands_separate_nothing_else(
    number: int, separator: str, data: st.DataObject
) -> None:
    grouped = f"{number:,}".replace(",", separator)
    assert equal_answers(str(number), grouped)
    digits = str(number)
    place = data.draw(st.integers(0, len(digits) - 1))
    other = digits[:place] + data.draw(st.sampled_from("0123456789")) + digits[place + 1 :]
    assert equal_answers(grouped, other) == (int(other) == number)


@quick
@given(st.lists(st.lists(numbers, min_size=1, max_size=3), min_size=1, max_size=3), st.data())
def test_a_matrix_keeps_its_rows_and_its_cells(
    table: list[list[Fraction]], data: st.DataObject
) -> None:
    def matrix(rows: list[list[Fraction]], name: str, gap: str) -> str:
        cells = [f"{gap}&{gap}".join(map(written, row)) for row in rows]
        inside = f"{gap}\\\\{gap}".join(cells)
        return f"\\begin{{{name}}}{gap}{inside}{gap}\\end{{{name}}}"

    rows = [row[: min(map(len, table))] for row in table]
    gold = matrix(rows, "pmatrix", "")
    assert equal_answers(gold, matrix(rows, "bmatrix", " "))
    turned = [list(column) for column in zip(*rows, strict=True)]
    assert equal_answers(gold, matrix(turned, "pmatrix", "")) == (turned == rows)
    flat = [[one for row in rows for one in row]]
    assert equal_answers(gold, matrix(flat, "pmatrix", "")) == (flat == rows)
    other = [list(row) for row in rows]
    place = data.draw(st.integers(0, len(rows) - 1))
    other[place][0] += 1
    assert not equal_answers(gold, matrix(other, "pmatrix", ""))


@quick
@given(words, st.permutations(range(8)), st.sampled_from(("text", "mbox", "textbf", "mathrm")))
def test_words_are_their_letters_in_their_order(word: str, order: list[int], font: str) -> None:
    shuffled = "".join(word[i] for i in order if i < len(word))
    assert equal_answers(f"\\text{{{word}}}", f"\\{font}{{{word}}}")
    assert equal_answers(f"\\text{{{word}}}", f"\\{font}{{{shuffled}}}") == (word == shuffled)


BRACKETS = tuple((left, right) for left in ("(", "[", "\\{") for right in (")", "]", "\\}"))


@quick
@given(numbers, numbers, st.sampled_from(BRACKETS), st.sampled_from(BRACKETS))
def test_brackets_mean_something(
    low: Fraction, high: Fraction, ends: tuple[str, str], others: tuple[str, str]
) -> None:
    gold = f"{ends[0]}{written(low)},{written(high)}{ends[1]}"
    answer = f"\\left{others[0]} {written(low)} , {written(high)} \\right{others[1]}"
    assert equal_answers(gold, answer) == (ends == others)


UNIT_NAMES = ("cm", "m", "kg", "hours", "minutes", "dollars", "degrees", "apples", "cm^2", "m/s")


@quick
@given(numbers, st.sampled_from(UNIT_NAMES), st.sampled_from(UNIT_NAMES))
def test_a_unit_may_be_missing_but_not_another(value: Fraction, unit: str, other: str) -> None:
    name, caret, power = unit.partition("^")
    gold = f"{written(value)}\\text{{ {name}}}{caret}{power}"
    name, caret, power = other.partition("^")
    answer = f"{written(value)}~\\mathrm{{{name}}}{caret}{power}"
    assert equal_answers(gold, answer) == (unit == other)
    assert equal_answers(gold, written(value))
    assert equal_answers(written(value), answer)


SIGNS = ("1", "2", "12", "x", "+", "-", "/", "^", "_", "{", "}", ",", ".", "!", "\\frac", "\\sqrt")
SIGNS += ("(", ")", "[", "\\pi", "\\text{a}", "\\cdot", "=", " ", "\\pm", "\\%", "\\begin{matrix}")


@quick
@given(st.lists(st.sampled_from(SIGNS), max_size=10).map("".join))
def test_what_is_read_equals_itself(text: str) -> None:
    read = read_notation(text)
    assert read is None or read_notation(f" {text} ") == read
    if read_answer(text) is not None:
        assert equal_answers(text, f"{{{text}}}")


def test_hostile_answers_take_no_time_and_no_stack() -> None:
    hostile = ("{" * 4000, "^" * 4000, "\\sqrt" * 900, "(" * 4000, "-" * 4000, "1" * 4900)
    hostile += ("x" * 4900,)
    hostile += ("\\boxed{" * 100_000, "\\begin{matrix}" * 300, "\\frac" * 900, "1," * 2000, "\x00")
    for text in hostile:
        assert judge_boxed("7", f"\\boxed{{{text}}}").verdict is W
    assert judge_boxed("7", "x " * 500_000 + "\\boxed{7}").verdict is C
    assert judge_boxed("7", "\\boxed 7 " * 100_000).verdict is C


@needs_math
def test_nothing_large_is_computed(mathematics: JudgePool) -> None:
    towers = (
        "10^{10^{10}}",
        "9^{9^{9^{9}}}",
        "(10^{10})!",
        "((((9!)!)!)!)!",
        "2^{2^{2^{2^{2^{2}}}}}",
    )
    texts = (*towers, "x" * 4000, "-" * 4000 + "1", "(" * 2000 + "1" + ")" * 2000, "1" * 4900)
    texts += ("(((x+1)^{99}+1)^{99}+1)^{99}", "\\int_0^1 10^{10^{10}} dx", "\\binom{10^{10}}{10^9}")
    found = mathematics.judge([("7", f"\\boxed{{{text}}}") for text in texts])
    assert [one.verdict for one in found] == [W] * len(texts)
    same = mathematics.judge([(tower, f"\\boxed{{{tower}}}") for tower in towers])
    assert [one.verdict for one in same] == [C] * len(towers)
    long = mathematics.judge([("7", "7 " * 500_000), ("7", "$x$ " * 250_000 + "\\boxed{7}")])
    assert [one.verdict for one in long] == [C, C]


GREEDY = """
import time

import numpy as np

def judge(question, gold, completion):
    if completion == "bytes":
        return bool(bytearray(8 * 2**30))
    if completion == "numpy":
        return bool(np.ones(2**30).any())
    if completion == "hang":
        time.sleep(600)
    return completion == gold and bool(np.ones(2**16).all())
"""


def test_a_judgement_that_takes_too_much_memory_or_time_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "greedy.py").write_text(GREEDY)
    pool = JudgePool(USER_JUDGE, f"{tmp_path / 'greedy.py'}:judge", processes=1, time_limit=2.0)
    texts = ["7", "bytes", "7", "numpy", "8", "hang", "7"]
    found = pool.judge([("Q", "7", text) for text in texts])
    pool.close()
    assert [one.verdict for one in found] == [C, E, C, E, W, E, C]
    assert "memory" in found[1].why
    assert "memory" in found[3].why
    assert "time limit" in found[5].why


def test_an_interrupt_of_the_asking_process_ends_no_judgement(tmp_path: Path) -> None:
    (tmp_path / "patient.py").write_text(
        "import os, signal\n\ndef judge(question, gold, completion):\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n    return completion == gold\n"
    )
    pool = JudgePool(USER_JUDGE, f"{tmp_path / 'patient.py'}:judge", processes=1)
    found = pool.judge([("Q", "7", "7"), ("Q", "7", "8")])
    pool.close()
    assert [one.verdict for one in found] == [C, W]


@needs_math
def test_random_formulas_are_equal_to_what_they_are_worth(mathematics: JudgePool) -> None:
    draws = random.Random(13)
    asked, equal = [], []
    for _ in range(60):
        a, b, c = (Fraction(draws.randrange(-60, 60), draws.randrange(1, 12)) for _ in range(3))
        value = a * b - c
        formula = f"({written(a)})\\cdot({written(b)})-({written(c)})"
        near = value + Fraction(1, 10 ** draws.randrange(1, 40))
        asked += [(written(value), formula), (written(near), formula)]
        equal += [C, W]
    found = mathematics.judge([(gold, f"\\boxed{{{answer}}}") for gold, answer in asked])
    assert [one.verdict for one in found] == equal
