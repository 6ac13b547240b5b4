"""Are `boxed` and `math` ever wrong? Pairs of a key and an answer, equal or not by construction.

    python benchmarks/judgements_latex.py > benchmarks/results/judgements_latex.txt

Every pair is made from values that Python computes exactly (integers, fractions, polynomials with
integer coefficients, words), written in random spellings. `math` must be right about every pair;
`boxed` must call no unequal pair equal, and equal what it claims: other spellings of one
expression. An exception or a verdict ERROR counts as wrong.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import math
import platform
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from ablatekit_rft.tasks.query import Verdict
from ablatekit_rft.tasks.verifiers.latex import judge_boxed
from ablatekit_rft.tasks.verifiers.mathematics import mathematics_judge

PAIRS, SEED, SHOWN = 50_000, 20261130, 20
WORDS = ("east", "seat", "even", "odd", "Evelyn", "Angela", "ellipse", "circle", "north", "thorn")
UNITS = (
    ("\\text{ cm}", "\\text{ centimeters}", "\\,\\mathrm{cm}", "~\\text{cm}", " \\mbox{ cm}"),
    ("\\text{ m}", "\\text{ meters}", "\\ \\mathrm{m}"),
    ("\\text{ cm}^2", "\\text{ square centimeters}", "\\text{ cm}^{2}"),
    ("^\\circ", "^{\\circ}", "\\text{ degrees}"),
    ("\\text{ hours}", "\\text{ hr}", "\\text{ h}"),
    ("\\text{ apples}", "\\text{ apple}"),
)


@dataclass(frozen=True, slots=True)
class Pair:
    """`spelled`: equal without computing anything, so that `boxed` claims it."""

    gold: str
    answer: str
    equal: bool
    spelled: bool = False


def plain(value: Fraction) -> str:
    """The one way in which a value is written where the way is not what is tried."""
    if value.denominator == 1:
        return str(value.numerator)
    minus = "-" if value < 0 else ""
    return f"{minus}\\frac{{{abs(value.numerator)}}}{{{value.denominator}}}"


def fraction(value: Fraction, draws: random.Random) -> str:
    """A spelling of a fraction that computes nothing."""
    top, bottom, minus = abs(value.numerator), value.denominator, "-" * (value < 0)
    if bottom == 1:
        return f"{minus}{top}"
    short = f"\\frac{top}{bottom}" if top < 10 and bottom < 10 else f"\\frac{{{top}}}{{{bottom}}}"
    forms = [
        f"{minus}\\{draws.choice('dt')}frac{{{top}}}{{{bottom}}}",
        f"{minus}{top}/{bottom}",
        f"\\frac{{{minus}{top}}}{{{bottom}}}",
        f"{minus}{short}",
        f"{minus}\\frac {{ {top} }} {{ {bottom} }}",
    ]
    return draws.choice(forms)


def grouped(number: int, draws: random.Random) -> str:
    """A whole number with or without separators of thousands."""
    separator = draws.choice((",", "{,}", "\\,", ",\\!", "", "\\ "))
    return f"{number:,}".replace(",", separator)


def computed(value: Fraction, draws: random.Random) -> str:
    """A spelling of a number from which its value has to be computed."""
    factor = draws.randrange(2, 9)
    top, bottom = value.numerator, value.denominator
    split = Fraction(draws.randrange(1, 9), draws.choice((1, 2, 3)))
    forms = [
        f"\\frac{{{factor * top}}}{{{factor * bottom}}}",
        f"{plain(value - split)}+{plain(split)}",
        f"({plain(value * factor)})\\div {factor}",
        f"{plain(value * 100)}\\%",
    ]
    whole, rest = divmod(value, 1)
    if value > 1 and rest:
        forms.append(f"{whole}\\frac{{{rest.numerator}}}{{{rest.denominator}}}")
    if bottom in (2, 4, 5, 8, 10) and bottom > 1:
        forms.append(repr(float(value)))
    if bottom == 1:
        forms.append(f"{top}.{'0' * factor}")
    return draws.choice(forms)


def dressed(text: str, draws: random.Random) -> str:
    """The same answer with what means nothing around it."""
    dresses: Sequence[Callable[[str], str]] = (
        lambda one: one,
        lambda one: f"${one}$",
        lambda one: f" {one}. ",
        lambda one: f"\\displaystyle {one}",
        lambda one: f"{{{one}}}",
        lambda one: one.replace("-", "\N{MINUS SIGN}"),
        lambda one: one.replace("(", "\\left(").replace(")", "\\right)"),
        lambda one: one.replace("+", " + ").replace("-", " - "),
        lambda one: one.replace("^2", "^{2}"),
    )
    return draws.choice(dresses)(text)


def rational(draws: random.Random) -> Fraction:
    return Fraction(draws.randrange(-400, 400), draws.choice((1, 1, 2, 3, 4, 5, 7, 8, 9, 10, 12)))


def changed(value: Fraction, draws: random.Random) -> Fraction:
    """Another value that is easily taken for it."""
    others = [
        -value,
        value + 1,
        value + Fraction(1, 1000),
        value * 10,
        value / 10,
        1 / (value or Fraction(1)),
    ]
    return draws.choice([one for one in others if one != value] or [value + 1])


def rationals(draws: random.Random) -> Iterator[Pair]:
    value = rational(draws)
    yield Pair(plain(value), dressed(fraction(value, draws), draws), equal=True, spelled=True)
    yield Pair(fraction(value, draws), computed(value, draws), equal=True)
    other = changed(value, draws)
    wrong = draws.choice((fraction, computed))(other, draws)
    per_cent = "%" in wrong and other * 100 == value
    yield Pair(fraction(value, draws), dressed(wrong, draws), equal=per_cent)


def thousands(draws: random.Random) -> Iterator[Pair]:
    number = draws.randrange(1000, 10**9)
    yield Pair(grouped(number, draws), grouped(number, draws), equal=True, spelled=True)
    yield Pair(grouped(number, draws), f"\\${number}", equal=True, spelled=True)
    wrong = draws.choice((number // 1000, number + 1, number % 1000, number * 10))
    yield Pair(grouped(number, draws), grouped(wrong, draws), equal=wrong == number)


def decimals(draws: random.Random) -> Iterator[Pair]:
    digits = draws.randrange(1, 30)
    number = f"{draws.randrange(10)}.{draws.randrange(10**digits):0{digits}d}"
    short = number.rstrip("0").rstrip(".")
    respelled = draws.choice(
        (number + "00", short, short.removeprefix("0") if "." in short else short)
    )
    yield Pair(number, respelled, equal=True, spelled=True)
    yield Pair(
        number, plain(Fraction(number)), equal=True, spelled=Fraction(number).denominator == 1
    )
    near = Fraction(number) + Fraction(1, 10 ** (digits + draws.randrange(20)))
    yield Pair(number, plain(near), equal=False)
    yield Pair(plain(Fraction(1, 3)), "0." + "3" * draws.randrange(1, 60), equal=False)
    yield Pair(plain(Fraction(1, 3)), draws.choice(("0.\\overline{3}", "0.\\bar{3}")), equal=True)


def radicals(draws: random.Random) -> Iterator[Pair]:
    root = draws.choice((2, 3, 5, 6, 7, 10, 23))
    factor, term = draws.randrange(2, 12), draws.randrange(1, 12)
    gold = f"{term}+{factor}\\sqrt{{{root}}}"
    spelled = (
        f"{term} + {factor} \\sqrt{{{root}}}",
        f"{term}+{factor}\\cdot\\sqrt{{{root}}}",
        f"+{term}+{factor}\\sqrt {{{root}}}",
        f"({term}+{factor}\\sqrt{{{root}}})",
    )
    yield Pair(gold, dressed(draws.choice(spelled), draws), equal=True, spelled=True)
    same = (
        f"{factor}\\sqrt{{{root}}}+{term}",
        f"{term}+\\sqrt{{{factor**2 * root}}}",
        f"{term}+\\frac{{{factor * root}}}{{\\sqrt{{{root}}}}}",
        f"\\frac{{{2 * term}+{2 * factor}\\sqrt{{{root}}}}}{{2}}",
    )
    yield Pair(gold, dressed(draws.choice(same), draws), equal=True)
    value = repr(term + factor * math.sqrt(root))
    others = (
        f"{term}-{factor}\\sqrt{{{root}}}",
        f"{term}+{factor}\\sqrt{{{root + 1}}}",
        f"{term}+{factor + 1}\\sqrt{{{root}}}",
        f"{term}\\pm {factor}\\sqrt{{{root}}}",
        f"{term}+{factor}{root}",
        f"{term}+{factor}\\sqrt[3]{{{root}}}",
        value,
    )
    yield Pair(gold, draws.choice(others), equal=False)
    plus_minus = f"{term}+{factor}\\sqrt{{{root}}}, {term}-{factor}\\sqrt{{{root}}}"
    yield Pair(f"{term}\\pm {factor}\\sqrt{{{root}}}", plus_minus, equal=True)


def polynomial(terms: Sequence[tuple[int, int]], letter: str) -> str:
    """A sum of terms, each a coefficient and an exponent."""
    text = ""
    for coefficient, exponent in terms:
        size = str(abs(coefficient)) if abs(coefficient) != 1 or not exponent else ""
        power = "" if not exponent else letter if exponent == 1 else f"{letter}^{{{exponent}}}"
        text += f"{'-' if coefficient < 0 else '+'}{size}{power}"
    return text.removeprefix("+")


def polynomials(draws: random.Random) -> Iterator[Pair]:
    letter = draws.choice("xyzabn")
    exponents = draws.sample(range(12), draws.randrange(2, 5))
    terms = [(draws.choice((-1, 1)) * draws.randrange(1, 20), one) for one in exponents]
    gold = polynomial(terms, letter)
    yield Pair(gold, dressed(gold, draws), equal=True, spelled=True)
    shuffled = draws.sample(terms, len(terms))
    yield Pair(gold, polynomial(shuffled, letter), equal=True, spelled=shuffled == terms)
    place = draws.randrange(len(terms))
    other = list(terms)
    coefficient, exponent = other[place]
    other[place] = draws.choice(((coefficient + 21, exponent), (coefficient, exponent + 12)))
    yield Pair(gold, polynomial(other, letter), equal=False)
    yield Pair(gold, polynomial(terms, draws.choice("pqrst")), equal=exponents == [0])
    first, second = draws.randrange(1, 20), draws.randrange(-19, 0)
    product = polynomial([(1, 2), (-first - second, 1), (first * second, 0)], letter)
    if first + second:
        yield Pair(f"({letter}-{first})({letter}+{-second})", product, equal=True)


def intervals(draws: random.Random) -> Iterator[Pair]:
    low, high = sorted(draws.sample(range(-50, 50), 2))
    left, right = draws.choice("(["), draws.choice(")]")
    gold = f"{left}{low},{high}{right}"
    yield Pair(gold, dressed(f"{left}{low} , {high}{right}", draws), equal=True, spelled=True)
    signs = {"(": "<", "[": "\\le ", ")": "<", "]": "\\leq "}
    yield Pair(gold, f"{low}{signs[left]}x{signs[right]}{high}", equal=True)
    flipped = "[" if left == "(" else "("
    other = draws.choice((f"{flipped}{low},{high}{right}", f"{left}{low},{high + 1}{right}"))
    yield Pair(gold, other, equal=False)
    ray = f"(-\\infty,{high}{right}"
    yield Pair(ray, f"x{signs[right]}{high}", equal=True)
    yield Pair(ray, "x" + draws.choice((">", "\\ge ")) + str(high), equal=False)
    union = (f"(-\\infty,{low})", f"({high},\\infty)")
    respelled = f"({high},+\\infty)\\cup(-\\infty,{low})"
    yield Pair("\\cup".join(union), respelled, equal=True)
    yield Pair("\\cup".join(union), f"x<{low}\\text{{ or }}x>{high}", equal=True)
    yield Pair("\\cup".join(union), draws.choice(union), equal=False)


def collections(draws: random.Random) -> Iterator[Pair]:
    values = draws.sample(range(-99, 99), draws.randrange(2, 6))
    shuffled = draws.sample(values, len(values))
    texts, others = [str(one) for one in values], [str(one) for one in shuffled]
    same = texts == others
    yield Pair(",".join(texts), ", ".join(texts), equal=True, spelled=True)
    yield Pair(", ".join(texts), ", ".join(others), equal=True, spelled=same)
    yield Pair(
        f"\\{{{','.join(texts)}\\}}", f"\\{{{', '.join(others)}\\}}", equal=True, spelled=same
    )
    yield Pair(
        f"({','.join(texts)})", f"\\left({', '.join(texts)}\\right)", equal=True, spelled=True
    )
    yield Pair(f"({','.join(texts)})", f"({','.join(others)})", equal=same, spelled=same)
    longer = [*texts, str(max(values) + 1)]
    for opening, closing in (("", ""), ("(", ")"), ("\\{", "\\}")):
        gold = opening + ", ".join(texts) + closing
        yield Pair(gold, opening + ", ".join(longer) + closing, equal=False)
        yield Pair(gold, opening + ", ".join([*texts[:-1], longer[-1]]) + closing, equal=False)


def matrices(draws: random.Random) -> Iterator[Pair]:
    rows, columns = draws.randrange(1, 4), draws.randrange(1, 4)
    values = [[rational(draws) for _ in range(columns)] for _ in range(rows)]

    def written(table: Sequence[Sequence[Fraction]], name: str, gap: str = "") -> str:
        cells = [f"{gap}&{gap}".join(plain(one) for one in row) for row in table]
        inside = f"{gap}\\\\{gap}".join(cells)
        return f"\\begin{{{name}}}{gap}{inside}{gap}\\end{{{name}}}"

    gold = written(values, "pmatrix")
    yield Pair(gold, written(values, draws.choice(("pmatrix", "bmatrix")), " "), True, spelled=True)
    turned = [list(column) for column in zip(*values, strict=True)]
    yield Pair(gold, written(turned, "pmatrix"), equal=turned == values)
    yield Pair(gold, written([*values, values[0]], "pmatrix"), equal=False)
    other = [list(row) for row in values]
    place = (draws.randrange(rows), draws.randrange(columns))
    other[place[0]][place[1]] = changed(values[place[0]][place[1]], draws)
    yield Pair(gold, written(other, "pmatrix"), equal=False)
    if rows * columns > 1:
        yield Pair(
            gold, written([[one for row in values for one in row][:1]], "pmatrix"), equal=False
        )


def complex_numbers(draws: random.Random) -> Iterator[Pair]:
    real, imaginary = draws.randrange(1, 99), draws.randrange(2, 99)
    gold = f"{real}+{imaginary}i"
    yield Pair(gold, dressed(gold, draws), equal=True, spelled=True)
    yield Pair(gold, f"{imaginary}i+{real}", equal=True)
    others = (f"{real}-{imaginary}i", f"{imaginary}+{real}i", f"{real}+{imaginary}", f"-{gold}")
    other = draws.choice(others)
    yield Pair(gold, other, equal=real == imaginary and other == f"{imaginary}+{real}i")
    square = f"{real**2 - imaginary**2}+{2 * real * imaginary}i"
    yield Pair(f"({gold})^2", square.replace("+-", "-"), equal=True)


def texts(draws: random.Random) -> Iterator[Pair]:
    word, other = draws.sample(WORDS, 2)
    font = draws.choice(("\\text{%s}", "\\textbf{%s}", "\\mbox{%s}", "\\mathrm{%s}", "%s"))
    yield Pair(f"\\text{{{word}}}", font % word, equal=True, spelled=True)
    yield Pair(f"\\text{{{word}}}", font % other, equal=False)
    shuffled = "".join(draws.sample(word, len(word)))
    same = shuffled.casefold() == word.casefold()
    yield Pair(f"\\text{{{word}}}", font % shuffled, equal=same, spelled=same)


def choices(draws: random.Random) -> Iterator[Pair]:
    letter, other = draws.sample("ABCDE", 2)
    forms = (
        "\\text{(%s)}",
        "(%s)",
        "%s",
        "\\textbf{(%s)}",
        "\\text{%s}",
        "\\text{(%s) } 12",
        "%s.",
    )
    form = draws.choice(forms)
    yield Pair(f"\\text{{({letter})}}", form % letter, equal=True, spelled=True)
    yield Pair(f"\\text{{({letter})}}", form % other, equal=False)
    yield Pair(f"\\text{{({letter})}}", f"{letter}{other}", equal=False)


def units(draws: random.Random) -> Iterator[Pair]:
    number = draws.randrange(3, 500)
    unit, other = draws.sample(UNITS, 2)
    gold = f"{number}{draws.choice(unit)}"
    yield Pair(gold, f"{number}{draws.choice(unit)}", equal=True, spelled=True)
    yield Pair(gold, str(number), equal=True, spelled=True)
    yield Pair(str(number), gold, equal=True, spelled=True)
    yield Pair(gold, f"{number}{draws.choice(other)}", equal=False)
    yield Pair(gold, f"{number + 1}{draws.choice(unit)}", equal=False)
    behind = draws.choice(("x", "!", "_2", "i", "\\pi", "^2", "\\text{ million}"))
    yield Pair(str(number), f"{number}{behind}", equal=False)


def numerals(draws: random.Random) -> Iterator[Pair]:
    base = draws.randrange(2, 10)
    digits = str(draws.randrange(1, base)) + "".join(str(draws.randrange(base)) for _ in range(4))
    yield Pair(f"{digits}_{base}", f"{digits}_{{{base}}}", equal=True, spelled=True)
    yield Pair(f"{digits}_{{{base}}}", digits, equal=False)
    yield Pair(f"{digits}_{base}", f"{digits}_{base + 1 if base < 9 else 3}", equal=False)
    yield Pair(f"{digits}_{base}", f"{int(digits) + 1}_{base}", equal=False)


def huge(draws: random.Random) -> Iterator[Pair]:
    base, exponent = draws.randrange(2, 30), draws.randrange(50, 10 ** draws.randrange(3, 9))
    gold = f"{base}^{{{exponent}}}"
    yield Pair(gold, f"{base}\\cdot {base}^{{{exponent - 1}}}", equal=True)
    yield Pair(gold, f"{base}^{{{exponent - 1}}}", equal=False)
    yield Pair(f"\\frac{{1}}{{{gold}}}", f"\\frac{{1}}{{{base}^{{{exponent + 1}}}}}", equal=False)
    yield Pair(f"\\frac{{1}}{{{gold}}}", f"{base}^{{-{exponent}}}", equal=True)
    yield Pair(f"{exponent}!", f"{exponent + 1}!", equal=False)
    yield Pair(f"{exponent}!", f"{exponent}\\cdot {exponent - 1}!", equal=True)


def equations(draws: random.Random) -> Iterator[Pair]:
    a, b, c = (draws.choice((-1, 1)) * draws.randrange(2, 20) for _ in range(3))
    gold = f"{a}x{b:+d}y{c:+d}=0"
    scale = draws.choice((-3, -2, 2, 5))
    yield Pair(gold, f"{scale * a}x{scale * b:+d}y{scale * c:+d}=0", equal=True)
    yield Pair(gold, f"{a}x{b:+d}y={-c}", equal=True)
    yield Pair(gold, f"{a}x{b:+d}y{c + 1:+d}=0", equal=False)
    yield Pair(gold, f"{a}x{-b:+d}y{c:+d}=0", equal=False)
    yield Pair(f"x={a}", str(a), equal=True, spelled=True)
    yield Pair(str(a), f"x = {a}", equal=True, spelled=True)
    yield Pair(f"x={a}", f"y={a}", equal=False)
    yield Pair(f"y={a}x{b:+d}", f"y={b:+d}{a:+d}x", equal=True)
    yield Pair(f"y={a}x{b:+d}", f"y={a}x{-b:+d}", equal=False)


def trigonometry(draws: random.Random) -> Iterator[Pair]:
    letter = draws.choice("xyt")
    one, other = draws.sample(("\\sin", "\\cos", "\\tan", "\\cot", "\\ln", "\\exp"), 2)
    factor = draws.randrange(2, 9)
    yield Pair(f"{factor}{one} {letter}", f"{one}({letter})\\cdot {factor}", equal=True)
    yield Pair(f"{factor}{one} {letter}", f"{factor}{other} {letter}", equal=False)
    yield Pair(f"\\cot {letter}", f"\\frac{{1}}{{\\tan {letter}}}", equal=True)
    yield Pair(f"\\sin 2{letter}", f"2\\sin {letter}\\cos {letter}", equal=True)
    yield Pair(f"\\sin {factor}{letter}", f"{factor}\\sin {letter}", equal=False)


KINDS: Sequence[Callable[[random.Random], Iterator[Pair]]] = (
    *(rationals, thousands, decimals, radicals, polynomials, intervals, collections, matrices),
    *(complex_numbers, texts, choices, units, numerals, huge, equations, trigonometry),
)


def pairs(number: int, seed: int) -> Iterator[tuple[str, Pair]]:
    """So many pairs of all kinds in turn, each with the name of its kind."""
    draws = random.Random(seed)
    made = 0
    while made < number:
        for kind in KINDS:
            for pair in kind(draws):
                yield kind.__name__, pair
                made += 1


def main() -> None:
    """Judge the pairs and print what was wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument("--seed", type=int, default=SEED)
    arguments = parser.parse_args()
    judge_math = mathematics_judge()
    judged: Counter[str] = Counter()
    wrong: list[tuple[str, str, Pair]] = []
    claimed = {True: 0, False: 0}
    spent = {"boxed": 0.0, "math": 0.0}
    for kind, pair in pairs(arguments.pairs, arguments.seed):
        completion = f"so it is $\\boxed{{{pair.answer}}}$."
        for name, judge in (("boxed", judge_boxed), ("math", judge_math)):
            start = time.perf_counter()
            verdict = judge(pair.gold, completion).verdict
            spent[name] += time.perf_counter() - start
            right = Verdict.CORRECT if pair.equal else Verdict.WRONG
            unclaimed = name == "boxed" and pair.equal and not pair.spelled
            if name == "boxed" and pair.equal:
                claimed[verdict is Verdict.CORRECT] += 1
            judged[f"{name} {'equal' if pair.equal else 'unequal'}"] += 1
            if verdict is not right and not (unclaimed and verdict is Verdict.WRONG):
                wrong.append((name, kind, pair))
    report(judged, wrong, claimed, spent)


def report(
    judged: Counter[str],
    wrong: Sequence[tuple[str, str, Pair]],
    claimed: dict[bool, int],
    spent: dict[str, float],
) -> None:
    """Print the counts, and the first of the wrong verdicts."""
    versions = ", ".join(
        f"{name} {importlib.metadata.version(name)}" for name in ("math-verify", "sympy", "mpmath")
    )
    print(f"python {platform.python_version()}, {versions}")
    for name, number in sorted(judged.items()):
        print(f"  {name:14} {number:7,} pairs")
    total = sum(judged.values())
    print(f"  equal pairs that boxed calls equal {claimed[True]:,}, and leaves {claimed[False]:,}")
    each = {name: 2e3 * seconds / total for name, seconds in spent.items()}
    print(f"  milliseconds a judgement: boxed {each['boxed']:.2f}, math {each['math']:.2f}")
    print(f"{total:,} judgements, {len(wrong)} wrong")
    for name, kind, pair in wrong[:SHOWN]:
        said = "equal" if pair.equal else "unequal"
        print(f"  {name} {kind}: {pair.gold!r} and {pair.answer!r} are {said}")


if __name__ == "__main__":
    main()
