"""Are `number`, `hash` and `number_strict` ever wrong? Pairs equal and unequal by construction.

    python benchmarks/judgements.py > benchmarks/results/judgements.txt

A value is drawn as an exact fraction and written in a random form (`FORMS`), dressed (units,
currency, names) and put where an answer stands (`PLACES`); the key is the value in another form, or
another value that is easily taken for it. `BROKEN` holds expressions around a number that are no
written number: no number in them may count. In prose, `The answer is 3!` is an exclamation, so
factorials are written into boxes and behind `####` only. An exception or a verdict ERROR counts
as wrong.
`judgements_latex.py` tries `boxed` and `math` in the same way.
"""

from __future__ import annotations

import argparse
import math
import platform
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from ablatekit_rft.tasks.query import Verdict
from ablatekit_rft.tasks.verifiers.registry import BY_RULE

PAIRS, SEED, SHOWN = 100_000, 20261130, 30
MINUSES = ("-", "\N{MINUS SIGN}", "\N{EN DASH}", "\N{NON-BREAKING HYPHEN}", "minus ", "negative ")
SPACES = (" ", "\N{NO-BREAK SPACE}", "\N{NARROW NO-BREAK SPACE}", "\N{THIN SPACE}", "\\,", "\\ ")
RAISED = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
LOWERED = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
SINGLE = {(1, 2): "½", (1, 4): "¼", (3, 4): "¾", (1, 3): "⅓", (2, 3): "⅔", (5, 8): "⅝"}
OTHER_DIGITS = tuple(
    str.maketrans("0123456789", "".join(chr(zero + i) for i in range(10)))
    for zero in (0xFF10, 0x0660, 0x06F0, 0x0966)
)
UNITS = ("dollars", "cm", "square feet", "miles per hour", "apples left", "cm^2", "m/s", "$", "€")

Form = Callable[[Fraction, random.Random], str | None]


@dataclass(frozen=True, slots=True)
class Pair:
    """A key, a completion and the verdict that it deserves; `form` says what is tried."""

    verifier: str
    form: str
    gold: str
    completion: str
    right: bool


def signed(value: Fraction, draws: random.Random, text: str) -> str:
    """A spelling of the absolute value with the sign of the value."""
    return draws.choice(MINUSES) + text if value < 0 else text


def plain(value: Fraction, _: random.Random) -> str:
    """The spelling of keys: 7, -7, 3/4."""
    return str(value)


def whole(value: Fraction, draws: random.Random) -> str | None:
    if value.denominator != 1:
        return None
    dressed = draws.choice(("{}", "{}.0", "{}.00", "{:,}", "00{}", "{}."))
    return signed(value, draws, dressed.format(abs(value.numerator)))


def thousands(value: Fraction, draws: random.Random) -> str | None:
    if value.denominator != 1 or abs(value) < 1000:
        return None
    mark = draws.choice((",", "{,}", ",\\!", "'", *SPACES))
    return signed(value, draws, f"{abs(value.numerator):,}".replace(",", mark))


def decimal(value: Fraction, draws: random.Random) -> str | None:
    digits = next((n for n in range(7) if (value * 10**n).denominator == 1), None)
    if digits is None:
        return None
    shown = digits + draws.randrange(3)
    top = abs(value.numerator) * 10**shown // value.denominator
    head, tail = divmod(top, 10**shown)
    point = f".{tail:0{shown}d}" if shown else ""
    return signed(value, draws, point if point and not head else f"{head}{point}")


def ratio(value: Fraction, draws: random.Random) -> str:
    factor = draws.choice((1, 1, 2, 3))
    top, bottom = abs(value.numerator) * factor, value.denominator * factor
    spellings = [
        f"{top}/{bottom}",
        f"{top} / {bottom}",
        f"\\frac{{{top}}}{{{bottom}}}",
        f"\\dfrac{{{top}}}{{{bottom}}}",
        f"\\tfrac{{{top}}}{{{bottom}}}",
        f"({top}/{bottom})",
        f"{str(top).translate(RAISED)}\N{FRACTION SLASH}{str(bottom).translate(LOWERED)}",
    ]
    if top < 10 and bottom < 10:
        spellings.append(f"\\frac{top}{bottom}")
    if (top, bottom) in SINGLE:
        spellings.append(SINGLE[top, bottom])
    if value < 0:
        inside = (f"\\frac{{-{top}}}{{{bottom}}}", f"\\frac{{{top}}}{{-{bottom}}}")
        return draws.choice([*inside, *(draws.choice(MINUSES) + text for text in spellings)])
    return draws.choice(spellings)


def mixed(value: Fraction, draws: random.Random) -> str | None:
    head, rest = divmod(abs(value), 1)
    if not head or not rest:
        return None
    top, bottom = rest.numerator, rest.denominator
    spellings = [f"{head} {top}/{bottom}", f"{head}\\frac{{{top}}}{{{bottom}}}"]
    if (top, bottom) in SINGLE:
        spellings.append(f"{head}{SINGLE[top, bottom]}")
    return signed(value, draws, draws.choice(spellings))


def scientific(value: Fraction, draws: random.Random) -> str | None:
    exponent = draws.randrange(-6, 10)
    head = decimal(abs(value) / Fraction(10) ** exponent, draws)
    if head is None:
        return None
    raised = str(exponent).translate(RAISED)
    spellings = [
        f"{head}e{exponent}",
        f"{head}E{exponent:+03d}",
        f"{head} \\times 10^{{{exponent}}}",
        f"{head}\\cdot10^{{{exponent}}}",
        f"{head} \N{MULTIPLICATION SIGN} 10{raised}",
        f"{head} x 10^{exponent}",
        f"{head}*10^{exponent}",
    ]
    return signed(value, draws, draws.choice(spellings))


def power(value: Fraction, draws: random.Random) -> str | None:
    """Of the few values that are powers; `drawn_value` draws some on purpose."""
    for base in (2, 3, 5, 10):
        exponent = round(math.log(abs(value), base)) if value else 0
        if exponent and Fraction(base) ** exponent == abs(value):
            forms = (f"{base}^{{{exponent}}}", f"{base}^{exponent}", f"{base}**{exponent}")
            text = draws.choice((*forms, f"{base}{str(exponent).translate(RAISED)}"))
            return signed(value, draws, text)
    return None


def factorial(value: Fraction, draws: random.Random) -> str | None:
    for number in range(3, 9):
        if abs(value) == math.factorial(number):
            return signed(value, draws, f"{number}!")
    return None


def root(value: Fraction, draws: random.Random) -> str | None:
    if abs(value) > 10**4:
        return None
    square = abs(value) ** 2
    inner = f"{square.numerator}"
    if square.denominator != 1:
        return signed(value, draws, f"\\sqrt{{\\frac{{{inner}}}{{{square.denominator}}}}}")
    return signed(value, draws, draws.choice((f"\\sqrt{{{inner}}}", f"sqrt({inner})", f"√{inner}")))


def multiplied(value: Fraction, draws: random.Random) -> str | None:
    word, by = draws.choice((("million", 10**6), ("billion", 10**9), ("thousand", 1000)))
    head = decimal(abs(value) / by, draws)
    return None if head is None else signed(value, draws, f"{head} {word}")


def recurring(value: Fraction, draws: random.Random) -> str | None:
    whole_part, rest = divmod(abs(value), 1)
    if not rest or 999 % rest.denominator:
        return None
    digits = f"{rest * 999}".rjust(3, "0")
    return signed(value, draws, f"{whole_part}.\\overline{{{digits}}}")


def other_digits(value: Fraction, draws: random.Random) -> str | None:
    text = decimal(abs(value), draws)
    return (
        None if text is None else signed(value, draws, text.translate(draws.choice(OTHER_DIGITS)))
    )


def currency(value: Fraction, draws: random.Random) -> str | None:
    text = decimal(abs(value), draws)
    sign = draws.choice(("$", "\\$", "€", "£", "₹", "$ "))
    if text is None:
        return None
    spellings = [sign + text, text + sign.strip(), f"USD {text}"]
    if value < 0:
        spellings = [f"-{sign}{text}", f"{sign}-{text}", f"\N{MINUS SIGN}{sign}{text}"]
    return draws.choice(spellings)


def percent(value: Fraction, draws: random.Random) -> str | None:
    text = decimal(value, draws)
    return None if text is None else text + draws.choice(("%", "\\%", " %", " percent"))


def latex_dress(value: Fraction, draws: random.Random) -> str | None:
    text = decimal(abs(value), draws)
    if text is None:
        return None
    if value < 0:
        return draws.choice(("\\text{-}", "-")) + text
    return (
        draws.choice(("\\text{%s}", "\\mathbf{%s}", "{%s}", "\\boxed{%s}", "\\textbf{%s}")) % text
    )


FORMS: Mapping[str, Form] = {
    form.__name__: form
    for form in (
        *(plain, whole, thousands, decimal, ratio, mixed, scientific, power, factorial, root),
        *(multiplied, recurring, other_digits, currency, percent, latex_dress),
    )
}
STRICT = tuple(name for name in FORMS if name != "latex_dress")

PLACES: Mapping[str, tuple[str, ...]] = {
    "number": (
        "{}",
        "#### {}",
        "9 - 2 = 7.\n#### {}",
        "\\boxed{{{}}}",
        "It took 5 steps. So we get $\\boxed{{{}}}$.",
        "The answer is {}",
        "After 3 days and 4 nights: {} ",
        "x = {}",
        "\\fbox{{{}}}\n",
        "First 12, then 15.\nThe answer is {} (see step 2).",
        "\\boxed{{x={}}}",
    ),
    "hash": ("#### {}", "2 * 3 = 6\n#### {}", "#### {}\nQ: 5 apples?", "#### 1\n#### {}\n"),
    "number_strict": ("{}", " {}\n"),
}

BROKEN = (
    *("{}x", "{} y", "{}\\pi", "{} pi", "{}i", "{}e", "{}ab", "x^{}", "x-{}", "log {}", "\\ln {}"),
    *("{} or 1001", "{}, 1001", "1001 or {}", "{} + 1001", "{} - 1001", "1001 + {}", "{}*1001"),
    *("{} \\times 1001", "2001 - {}", "{}:1001", "1001:{}", "x < {}", "x \\le {}", "x \\ne {}"),
    *("\\pm {}", "{} < x", "1001 < x < {}", "{} \\pm 1001", "{}_1001", "{}.1.1", "{}^1001.5"),
    *("{} feet 1001 inches", "{} hours and 1001 minutes", "between 1001 and {}", "{} mod 1001"),
    *("{} to 1001", "1001-{}", "{} out of 1001", "1001 out of {}", "{} squared", "twice {}"),
    *(
        "sin({})",
        "f({})",
        "({}, 1001)",
        "(1001, {})",
        "[{}, 1001]",
        "{}\\sqrt{{2}}",
        "\\sqrt{{{}}}i",
    ),
    *("{} and a half", "{}/0", "{}!!", "{}k", "{} or more", "not {}", "{} dozen", "{} million"),
    *(
        "2y = {}",
        "x^2 = {}",
        "\\frac{{{}}}{{x}}",
        "{} \\text{{ or }} 1001",
        "0x{}A",
        "{},{}",
        "\\sqrt{{{}}}i",
    ),
)
"""Expressions around a whole number from 2 to 99 that are not that number."""


def drawn_value(draws: random.Random) -> Fraction:
    """Whole numbers, decimals, fractions, powers, factorials, and large and small ones."""
    sign = draws.choice((1, 1, 1, -1))
    kind = draws.randrange(6)
    if kind == 0:
        return Fraction(sign * draws.randrange(0, 200))
    if kind == 1:
        return Fraction(sign * draws.randrange(1000, 10**9))
    if kind == 2:
        return Fraction(sign * draws.randrange(1, 10**5), 10 ** draws.randrange(1, 5))
    if kind == 3:
        return Fraction(sign * draws.randrange(1, 60), draws.choice((2, 3, 4, 5, 7, 8, 9, 37)))
    if kind == 4:
        return sign * Fraction(draws.choice((2, 3, 5, 10))) ** draws.randrange(-8, 12)
    return Fraction(sign * math.factorial(draws.randrange(3, 9)))


def taken_for(value: Fraction, draws: random.Random) -> Fraction:
    """Another value that a verifier may take for it."""
    others = [
        -value,
        value + 1,
        value - 1,
        value * 10,
        value / 10,
        value * 1000,
        value / 1000,
        value + Fraction(1, 10**6),
        Fraction(value.numerator),
        Fraction(value.denominator),
        Fraction(math.floor(value)),
        1 / (value or Fraction(1)),
    ]
    return draws.choice([other for other in others if other != value])


def written_pairs(draws: random.Random) -> Iterator[Pair]:
    """A value in a form: its own key, and the key of another value."""
    value = drawn_value(draws)
    verifier = draws.choice(tuple(PLACES))
    name = draws.choice(STRICT if verifier == "number_strict" else tuple(FORMS))
    text = FORMS[name](value, draws)
    if text is None or (name == "whole" and text.endswith(".") and verifier == "number"):
        return
    places = PLACES[verifier]
    if name == "factorial" and verifier == "number":
        places = tuple(place for place in places if "####" in place or "box" in place)
    place = draws.choice(places)
    if verifier != "number_strict" and draws.random() < 0.3 and name in ("whole", "ratio"):
        text = f"{text.rstrip('.')} {draws.choice(UNITS)}"
    completion = place.format(text)
    key = gold_form(value, draws)
    yield Pair(verifier, name, key, completion, right=True)
    other = taken_for(value, draws)
    share = name == "percent" and other * 100 == value
    yield Pair(verifier, name, gold_form(other, draws), completion, right=share)


def gold_form(value: Fraction, draws: random.Random) -> str:
    """A key as data sets write them."""
    form = draws.choice((plain, plain, decimal, thousands, ratio))
    return form(value, draws) or str(value)


def broken_pairs(draws: random.Random) -> Iterator[Pair]:
    """An expression that is no written number, against each number in it."""
    number = draws.randrange(2, 100)
    pattern = draws.choice(BROKEN)
    text = pattern.replace("{}", str(number)).replace("{{", "{").replace("}}", "}")
    verifier = draws.choice(("number", "hash", "number", "number_strict"))
    if verifier == "hash":
        completion = f"#### {text}"
    elif verifier == "number_strict":
        completion = text
    else:
        places = ("\\boxed{%s}", "So 12 and then $\\boxed{%s}$", "#### %s", "%s")
        completion = draws.choice(places) % text
    for gold in (number, 1001):
        yield Pair(verifier, f"no number: {pattern}", str(gold), completion, right=False)


def pairs(count: int, seed: int) -> Iterator[Pair]:
    """That many pairs, the same ones for a seed."""
    draws = random.Random(seed)
    made = 0
    while made < count:
        source = written_pairs if draws.random() < 0.7 else broken_pairs
        for pair in source(draws):
            yield pair
            made += 1
            if made == count:
                return


def is_right(pair: Pair) -> bool:
    wanted = Verdict.CORRECT if pair.right else Verdict.WRONG
    return BY_RULE[pair.verifier](pair.gold, pair.completion).verdict is wanted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument("--seed", type=int, default=SEED)
    arguments = parser.parse_args()
    counts: Counter[tuple[str, str, bool]] = Counter()
    wrong: list[Pair] = []
    start = time.process_time()
    for pair in pairs(arguments.pairs, arguments.seed):
        form = pair.form.partition(":")[0]
        counts[pair.verifier, form, pair.right] += 1
        if not is_right(pair):
            wrong.append(pair)
    seconds = time.process_time() - start
    print(f"{arguments.pairs} pairs, seed {arguments.seed}, Python {platform.python_version()}")
    print(f"{len(wrong)} wrong verdicts; {1e6 * seconds / arguments.pairs:.0f} us of CPU a pair\n")
    print(f"{'verifier':14} {'form':14} {'equal':>7} {'unequal':>8}")
    for verifier, form in sorted({(verifier, form) for verifier, form, _ in counts}):
        equal, unequal = counts[verifier, form, True], counts[verifier, form, False]
        print(f"{verifier:14} {form:14} {equal:7} {unequal:8}")
    for pair in wrong[:SHOWN]:
        print(f"\nWRONG VERDICT {pair}")
    raise SystemExit(bool(wrong))


if __name__ == "__main__":
    main()
