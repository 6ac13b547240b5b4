r"""The exact value of a written number: numerals, fractions, powers, factorials and roots.

A written number is one number however it is spelt: `1,200`, `1{,}200`, `3 1/2`, `\frac12`, `2e-3`,
`3 \times 10^8`, `2^{10}`, `3!`, `\sqrt{9}`, `5 million`, `20\%`, `90^\circ`. A sum, a difference
or a product of numbers is a computation that was left open and no written number: a completion
that repeats the question `What is 3 + 4?` must not earn the answer. The product with a power of
ten, which is how large numbers are written, is the one exception.

Values are exact (`fractions.Fraction`). Sizes are bounded: numerals of 300 digits, results of 4096
bits, groups 12 deep; what is larger is no number, and costs neither time nor memory.
"""

from __future__ import annotations

import functools
import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from ablatekit_rft.tasks.answers.symbols import (
    BRACKET_SIZES,
    DROPPED_WITH_ARGUMENT,
    FONTS,
    LAYOUT,
)
from ablatekit_rft.tasks.verifiers.words import MULTIPLIERS

MOST_DIGITS = 300
MOST_BITS = 4096
MOST_DEPTH = 12
_SIMPLE = re.compile(r"-?[0-9]{1,18}")
_PLAIN = re.compile(r"\d*(?:\.\d+)?")
_GROUPED = re.compile(
    r"[1-9]\d{0,2}(?:(?:,\d{3})+|(?:'\d{3})+|(?: \d{3})+)(?:\.\d+)?"
    r"|[1-9]\d?(?:,\d\d)+,\d{3}(?:\.\d+)?"
)
"""Thousands by comma, apostrophe or space; lakhs by comma. A point is the decimal point."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number, and whether a percent sign stood behind it: 50% is 50 with the sign."""

    value: Fraction
    percent: bool = False

    def equals(self, other: Quantity) -> bool:
        """Whether both are one number. A percent sign on one side only may be read either way:

        50 % is 50 (the question asked for percent) and 0.5 (it asked for a share).
        """
        if self.value == other.value or self.percent == other.percent:
            return self.value == other.value
        sign, bare = (self, other) if self.percent else (other, self)
        return sign.value == 100 * bare.value


class Token(NamedTuple):
    """A piece of an answer. `gap`: white space stands in front of it."""

    kind: str
    text: str
    gap: bool


# Spelling: one string of a few signs for everything that typesetters and keyboards write

_CHARACTERS = {
    **dict.fromkeys("\N{MINUS SIGN}\N{FULLWIDTH HYPHEN-MINUS}", "-"),
    **dict.fromkeys("\N{EM DASH}\N{HORIZONTAL BAR}", "\N{EM DASH}"),
    **dict.fromkeys("\N{MULTIPLICATION SIGN}\N{MULTIPLICATION X}\N{VECTOR OR CROSS PRODUCT}", "*"),
    **dict.fromkeys("\N{DOT OPERATOR}\N{MIDDLE DOT}\N{BULLET OPERATOR}", "*"),
    **dict.fromkeys("\N{FRACTION SLASH}\N{DIVISION SLASH}", "/"),
    **dict.fromkeys("≃≅≒≐\N{TILDE OPERATOR}", "≈"),
    **dict.fromkeys("⩽≦", "≤"),
    **dict.fromkeys("⩾≧", "≥"),
    **dict.fromkeys("⇒→⟹➜", "→"),
    **dict.fromkeys("\N{MASCULINE ORDINAL INDICATOR}\N{RING ABOVE}", "°"),
    **dict.fromkeys("\N{DEGREE CELSIUS}\N{DEGREE FAHRENHEIT}", "°"),
    **dict.fromkeys("\N{LEFT SINGLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}", "'"),
    "\N{ARABIC PERCENT SIGN}": "%",
    "\N{PER MILLE SIGN}": " permille ",
    "\N{INFINITY}": " infinity ",
    "\N{HORIZONTAL ELLIPSIS}": "...",
    "\N{IDEOGRAPHIC FULL STOP}": ". ",
    "\N{IDEOGRAPHIC COMMA}": ", ",
    "\N{ARABIC DECIMAL SEPARATOR}": ".",
    "\N{ARABIC THOUSANDS SEPARATOR}": ",",
}
_RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻"
_LOWERED = "₀₁₂₃₄₅₆₇₈₉"
_SMALL_DIGITS = str.maketrans(_RAISED + _LOWERED, "0123456789+-0123456789")
_SMALL_FRACTION = re.compile(f"([{_RAISED[:10]}]+)[/\N{FRACTION SLASH}]([{_LOWERED}]+)")
_RAISED_RUN = re.compile(f"[{_RAISED}]+")
_LOWERED_RUN = re.compile(f"[{_LOWERED}]+")
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]")

_CALCULATION = re.compile(r"<<[^<>]*>>")
"""GSM8K's calculator notes."""
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>|<\|[^<>|]*\|>")
"""Tags and special tokens: what stands on both sides of one is apart."""
_MARKUP = re.compile(
    r"(?<![\w)}*% ])\*{1,3}(?=[^\s*])|(?<=[^\d)}*%] )\*{1,3}(?=[^\s*])"
    r"|(?<=[^\s*])\*{1,3}(?![\w({$\\*]|-\d)"
    r"|(?<![\w}_])_{1,2}(?=[^\s_])|(?<=[^\s_])_{1,2}(?![\w{])"
)
_TIMES = re.compile(r"(?<=[\d)])(?:\s|(?<!(?<![\d.])0))[xX]\s?(?=[\d$(.])")
_HOURS = re.compile(r"\s?\b([ap])\.m\.")
_ORDINAL = re.compile(r"\^\s*\{?\s*(?:\\(?:text\w*|mathrm|mbox)\s*\{)?\s*(?:st|nd|rd|th)\b\s*\}*")
_WRITTEN_OUT = re.compile(
    rf"\\(?:text\w*|hbox|mathbb|{'|'.join(sorted(FONTS - {'boxed', 'fbox'}))})\s*\{{([^{{}}]*)\}}"
)
_DROPPED = re.compile(rf"\\(?:{'|'.join(sorted(DROPPED_WITH_ARGUMENT))})\*?\s*\{{[^{{}}]*\}}")
_UNIT_FRACTION = re.compile(
    r"\\[dt]?frac\s*\{\s*\\(?:text|mathrm)\{([^{}]*)\}\s*\}"
    r"\s*\{\s*\\(?:text|mathrm)\{([^{}]*)\}\s*\}"
)
_DEGREE = re.compile(r"\^\s*\{?\s*\\(?:circ|degree)\b\s*\}?|\\(?:circ|degrees?)\b")
_ENVIRONMENT = re.compile(r"\\(?:begin|end)\s*\{[^{}]*\}|\\\\|\\[()\[\]]")
_SPACING = re.compile(r"\\[,;: ]|~(?=\\)|(?<=[\d}])~")
_ESCAPED = re.compile(r"\\([$%#&_])")
_COMMAND = re.compile(r"\\([a-zA-Z]+)")
_COMMANDS = {
    **dict.fromkeys(("times", "ast", "cdot", "bullet"), "*"),
    **dict.fromkeys(("approx", "simeq", "cong", "sim", "doteq"), "≈"),
    **dict.fromkeys(("le", "leq", "leqslant", "lt"), "≤"),
    **dict.fromkeys(("ge", "geq", "geqslant", "gt"), "≥"),
    **dict.fromkeys(("ne", "neq", "equiv", "in", "pm", "mp", "propto", "mid"), "≠"),
    **dict.fromkeys(("to", "rightarrow", "Rightarrow", "implies", "iff", "therefore"), "→"),
    **dict.fromkeys(BRACKET_SIZES | FONTS - {"rm", "bf", "it"}, ""),
    **dict.fromkeys(LAYOUT | {"newline", "mathstrut", "rm", "bf", "it"}, " "),
    **{name: f" {name} " for name in ("log", "ln", "lg", "exp", "sin", "cos", "tan", "pi")},
    **dict.fromkeys(("mod", "pmod", "bmod"), " mod "),
    "infty": " infinity ",
    "div": "÷",
    "colon": ":",
    "percent": "%",
    "minus": "-",
    "textminus": "-",
    "textdollar": "$",
    "textdegree": "°",
    **dict.fromkeys(("euro", "pounds", "textsterling", "texteuro", "yen", "textyen"), "$"),
}


def plain_spelling(text: str) -> str:
    """The text in one spelling of digits, signs, spaces, dashes, markup and LaTeX."""
    if "*" in text or "_" in text:
        text = _MARKUP.sub("", text)
    if not text.isascii():
        text = _plain_characters(text)
    if "<" in text:
        text = _TAG.sub(" ", _CALCULATION.sub("", text))
    if "^" in text:
        text = _ORDINAL.sub("", text)
    if "\\" in text or "~" in text:
        text = _plain_latex(text)
    if "x" in text or "X" in text:
        text = _TIMES.sub("*", text)
    if ".m." in text:
        text = _HOURS.sub(r" \1m", text)
    return text.replace("{,}", ",").replace("{-}", "-")


def _plain_characters(text: str) -> str:
    text = _SMALL_FRACTION.sub(lambda pair: rf"\frac{{{_full(pair[1])}}}{{{_full(pair[2])}}}", text)
    text = _RAISED_RUN.sub(lambda run: f"^{{{_full(run[0])}}}", text)
    text = _LOWERED_RUN.sub(lambda run: f"_{{{_full(run[0])}}}", text)
    return _BEYOND_ASCII.sub(lambda character: _plain_character(character[0]), text)


def _full(small: str) -> str:
    return small.translate(_SMALL_DIGITS)


@functools.lru_cache(maxsize=1024)
def _plain_character(character: str) -> str:
    if character in _CHARACTERS:
        return _CHARACTERS[character]
    category = unicodedata.category(character)
    if category == "Nd":
        return str(unicodedata.decimal(character))
    if category in _BY_CATEGORY:
        return _BY_CATEGORY[category]
    plain = unicodedata.normalize("NFKC", character)
    top, slash, bottom = plain.partition("\N{FRACTION SLASH}")
    if category == "No" and slash and bottom:
        return rf"\frac{{{top}}}{{{bottom}}}"
    return plain if "\uff01" <= character <= "\uff5e" else character


_BY_CATEGORY = {"Zs": " ", "Cf": "", "Pd": "-", "Sc": "$", "Pi": '"', "Pf": '"', "Cs": " "}


def _plain_latex(text: str) -> str:
    text = _UNIT_FRACTION.sub(r" \1/\2 ", _DROPPED.sub(" ", text.replace("\\!", "")))
    for _ in range(3):
        text, changes = _WRITTEN_OUT.subn(_words, text)
        if not changes:
            break
    text = _ENVIRONMENT.sub(" $ ", _DEGREE.sub("°", text))
    text = _ESCAPED.sub(r"\1", _SPACING.sub(" ", text))
    return _COMMAND.sub(_plain_command, text)


def _words(command: re.Match[str]) -> str:
    """What `\\text{...}` holds; words stand apart from what is around them, signs do not.

    A tie, `\\mathrm{~cm}`, is a space there.
    """
    content = command[1].replace("~", " ")
    return f" {content} " if any(map(str.isalnum, content)) else content.strip() or " "


def _plain_command(command: re.Match[str]) -> str:
    return _COMMANDS.get(command[1], command[0])


# Tokens

_TOKEN = re.compile(
    r"""
    (?P<currency>
        [$] | (?:US|NT|HK|[RAC])(?=[$]) | R[sM]\.?(?=[ ]?\d)
      | (?:USD|EUR|GBP|CAD|AUD|INR|CNY|JPY|CHF)(?![^\W\d_]) )
  | (?P<prose>(?!sqrt)[^\W\d_]{2,}+(?=[ ,]))
  | (?P<recurring>\d*\.\d*\\overline\s*\{\s*\d+\s*\})
  | (?P<numeral>
        (?:[1-9]\d{0,2}(?:[ ]\d{3})+(?:\.\d+)?(?![\d,.'_]*\d|\s*/) | \.?\d(?:[\d,.'_]*\d)?)
        (?:[eE][+-]?\d+(?![\w]))? )
  | (?P<root>\\sqrt(?![a-zA-Z]) | √ | sqrt(?=\s*[(\d]))
  | (?P<fraction>\\[dtc]?frac(?![a-zA-Z]))
  | (?P<name>[A-Za-z\u03b1-\u03c9]++(?:_(?:\{[^{}]*\}|\w)|\d)\w*)
  | (?P<word>[^\W\d_]++(?:'[^\W\d_]++)*)
  | (?P<command>\\[a-zA-Z]+)
  | (?P<arrow>={1,2}> | -{1,2}> | → | \N{EM DASH}(?!\s*$))
  | (?P<relation><= | >= | == | := | != | [=<>≤≥≠≈≡∈±~])
  | (?P<operator>\*\* | [-+*/^÷])
  | (?P<open>\\?[({[])
  | (?P<close>\\?[)}\]])
  | (?P<factorial>!(?:\s*[$])?)
  | (?P<percent>%)
  | (?P<degree>°)
  | (?P<point>[.?])
  | (?P<comma>,)
  | (?P<colon>:)
  | (?P<stop>;)
  | (?P<under>_)
  | (?P<bar>\|)
  | (?P<other>\S)
    """,
    re.VERBOSE,
)
_FACTORIAL_EQUALS = re.compile(r"(?<=[\d)])!=")


def tokens_of(text: str) -> list[Token]:
    """The tokens of a text in `plain_spelling`; currency signs are left out."""
    if "!=" in text:
        text = _FACTORIAL_EQUALS.sub("! =", text)
    tokens: list[Token] = []
    end = 0
    apart = False
    for piece in _TOKEN.finditer(text):
        start = piece.start()
        apart = apart or start > end
        end = piece.end()
        kind = piece.lastgroup
        if kind != "currency" and kind is not None:
            tokens.append(Token("word" if kind == "prose" else kind, piece[0], apart))
            apart = False
    return tokens


# The grammar


class _NoNumberError(Exception):
    """What was read is no written number."""


STARTS = frozenset({"numeral", "recurring", "fraction", "root"})
"""Kinds of tokens that begin a number; a sign or a bracket may stand in front of them."""
_END = Token("end", "", gap=True)
_PAIRS = {"(": ")", "{": "}", "[": "]"}


def read_quantity(tokens: Sequence[Token], start: int = 0) -> tuple[Quantity | None, int]:
    """The number that begins at a token, and the place behind it; None where there is none.

    The number is read as far as it goes: what stands behind may still turn it into another
    expression, which is the caller's to judge.
    """
    reader = _Reader(tokens, start)
    try:
        return reader.quantity(), reader.place
    except _NoNumberError:
        return None, reader.place


class _Reader:
    """Recursive descent over tokens; every method reads one rule of the grammar or raises."""

    __slots__ = ("_depth", "_tokens", "place")

    def __init__(self, tokens: Sequence[Token], place: int) -> None:
        self._tokens = tokens
        self._depth = 0
        self.place = place

    def quantity(self) -> Quantity:
        """number, words that multiply it, percent or degrees."""
        value = self._signed()
        while (token := self._next()).kind == "word" and token.text.lower() in MULTIPLIERS:
            value = _bounded(value * MULTIPLIERS[token.text.lower()])
            self.place += 1
        percent = self._percent()
        if not percent and self._next().kind == "degree":
            self.place += 1
            if self._next().text in ("C", "F"):
                self.place += 1
        return Quantity(value, percent)

    def _percent(self) -> bool:
        token, then = self._next(), self._next(1)
        word = token.text.lower() if token.kind == "word" else ""
        if token.kind == "percent" or word in ("percent", "pct"):
            self.place += 1
            return True
        if word == "per" and then.text.lower() == "cent":
            self.place += 2
            return True
        return False

    def _next(self, ahead: int = 0) -> Token:
        place = self.place + ahead
        return self._tokens[place] if place < len(self._tokens) else _END

    def _take(self, kind: str, text: str) -> bool:
        token = self._next()
        if token.kind == kind and token.text == text:
            self.place += 1
            return True
        return False

    def _signed(self) -> Fraction:
        """sign? ratio"""
        return -self._ratio() if self._negative() else self._ratio()

    def _negative(self) -> bool:
        token = self._next()
        word = token.text.lower() if token.kind == "word" else ""
        negative = token.text == "-" or word in ("minus", "negative")
        if negative or token.text == "+":
            self.place += 1
        return negative

    def _ratio(self) -> Fraction:
        """mixed (/ sign? factor)? (times 10 ^ exponent)?"""
        value = self._mixed()
        if self._next().text == "/" and self._starts(1):
            self.place += 1
            negative = self._negative()
            bottom = self._factor()
            value = _quotient(value, -bottom if negative else bottom)
        times, ten, power = self._next(), self._next(1), self._next(2)
        if times.text == "*" and ten.text == "10" and power.text in ("^", "**"):
            self.place += 1
            value = _bounded(value * self._factor())
        return value

    def _starts(self, ahead: int) -> bool:
        token = self._next(ahead)
        if token.text in ("+", "-"):
            token = self._next(ahead + 1)
        return token.kind in STARTS or token.text in ("(", "{")

    def _mixed(self) -> Fraction:
        """whole fraction, as in `3 1/2`; or a factor"""
        in_text = self._part_follows()
        if self._next().kind == "numeral" and (in_text or self._next(1).kind == "fraction"):
            first = self._primary()
            part = self._primary()
            if in_text:
                self.place += 1
                part = _quotient(part, self._primary())
            if first.denominator != 1 or not 0 < part < 1:
                raise _NoNumberError
            return first + part
        return self._factor()

    def _part_follows(self) -> bool:
        """Whether ` a/b` of whole numbers stands behind the numeral."""
        top, slash, bottom = self._next(1), self._next(2), self._next(3)
        numerals = top.kind == bottom.kind == "numeral" and slash.text == "/"
        return numerals and top.gap and top.text.isdigit() and bottom.text.isdigit()

    def _factor(self) -> Fraction:
        """primary (! | ^ exponent)*"""
        value = self._primary()
        factorial = False
        while True:
            token = self._next()
            if token.kind == "factorial" and not token.gap:
                if factorial:  # 5!! is another function
                    raise _NoNumberError
                value, factorial = _factorial(value), True
                self.place += 1
            elif token.text in ("^", "**"):
                self.place += 1
                value = _power(value, self._exponent())
            else:
                return value

    def _exponent(self) -> Fraction:
        negative = self._negative()
        value = self._primary()
        if self._next().text in ("^", "**"):
            self.place += 1
            value = _power(value, self._exponent())
        if self._next().kind == "factorial":  # 2^3! may be 2^(3!) and (2^3)!
            raise _NoNumberError
        return -value if negative else value

    def _primary(self) -> Fraction:
        token = self._next()
        if token.kind in ("numeral", "recurring"):
            self.place += 1
            return _numeral(token.text) if token.kind == "numeral" else _recurring(token.text)
        if token.kind == "fraction":
            self.place += 1
            return self._fraction()
        if token.kind == "root":
            self.place += 1
            return self._root()
        return self._group()

    def _group(self) -> Fraction:
        """Brackets or braces around a number."""
        opening = self._next().text
        self._depth += 1
        if opening not in ("(", "{") or self._depth > MOST_DEPTH:
            raise _NoNumberError
        self.place += 1
        value = self._signed()
        if not self._take("close", _PAIRS[opening]):
            raise _NoNumberError
        self._depth -= 1
        return value

    def _fraction(self) -> Fraction:
        """The two arguments of `\\frac`: groups, or single digits as in `\\frac12`."""
        both = self._next()
        if both.kind == "numeral" and len(both.text) == 2 and both.text.isdigit():
            self.place += 1
            return _quotient(Fraction(int(both.text[0])), Fraction(int(both.text[1])))
        top = self._argument()
        return _quotient(top, self._argument())

    def _argument(self) -> Fraction:
        token = self._next()
        if token.kind != "numeral":
            return self._group()
        if len(token.text) != 1:
            raise _NoNumberError
        self.place += 1
        return _numeral(token.text)

    def _root(self) -> Fraction:
        degree = 2
        if self._take("open", "["):
            degree = int(_root_degree(self._primary()))
            if not self._take("close", "]"):
                raise _NoNumberError
        in_latex = self._tokens[self.place - 1].text.startswith("\\")
        return _root_of(self._argument() if in_latex else self._primary(), degree)


def _numeral(text: str) -> Fraction:
    digits, _, exponent = text.lower().partition("e")
    if not _PLAIN.fullmatch(digits):
        if not _GROUPED.fullmatch(digits):
            raise _NoNumberError
        digits = digits.replace(",", "").replace("'", "").replace(" ", "")
    if len(digits) > MOST_DIGITS or len(exponent) > 5:
        raise _NoNumberError
    value = Fraction(digits) if "." in digits else Fraction(int(digits))
    return _bounded(value * _power(Fraction(10), Fraction(int(exponent)))) if exponent else value


def _recurring(text: str) -> Fraction:
    """`0.1\\overline{6}`: the last digits without end."""
    head, _, tail = text.partition("\\overline")
    again = tail.strip(" {}\t")
    whole, _, digits = head.partition(".")
    if len(text) > MOST_DIGITS:
        raise _NoNumberError
    shown = Fraction(int(whole + digits or "0"), 10 ** len(digits))
    return shown + Fraction(int(again), (10 ** len(again) - 1) * 10 ** len(digits))


def _quotient(top: Fraction, bottom: Fraction) -> Fraction:
    if bottom == 0:
        raise _NoNumberError
    return _bounded(top / bottom)


def _bits(value: Fraction) -> int:
    return max(value.numerator.bit_length(), value.denominator.bit_length())


def _bounded(value: Fraction) -> Fraction:
    if _bits(value) > MOST_BITS:
        raise _NoNumberError
    return value


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    """A whole power. 0^0 and fractional powers are no numbers here."""
    if exponent.denominator != 1 or (base == 0 and exponent <= 0):
        raise _NoNumberError
    if _bits(base) > 1 and abs(exponent) * (_bits(base) - 1) > MOST_BITS:
        raise _NoNumberError
    return Fraction(_bounded(base ** int(exponent % 2 if abs(base) == 1 else exponent)))


def _factorial(value: Fraction) -> Fraction:
    if value.denominator != 1 or not 0 <= value <= MOST_DIGITS:
        raise _NoNumberError
    return Fraction(_bounded(Fraction(math.factorial(int(value)))))


def _root_degree(degree: Fraction) -> Fraction:
    if degree.denominator != 1 or not 2 <= degree <= 9:
        raise _NoNumberError
    return degree


def _root_of(value: Fraction, degree: int) -> Fraction:
    """The exact root; an irrational one is no number here."""
    if value < 0:
        raise _NoNumberError
    return Fraction(_whole_root(value.numerator, degree), _whole_root(value.denominator, degree))


def _whole_root(value: int, degree: int) -> int:
    low, high = 0, 1 << (value.bit_length() // degree + 1)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if middle**degree < value else (low, middle)
    if low**degree != value:
        raise _NoNumberError
    return low


def written_quantity(text: str) -> Quantity | None:
    """The value of a whole text that is a written number; a full stop behind it does not count.

    A box is where a number stands and no part of one.
    """
    stripped = text.strip()
    if _SIMPLE.fullmatch(stripped):
        return Quantity(Fraction(int(stripped)))
    if len(text) > 4 * MOST_DIGITS or "box{" in text or "boxed" in text:
        return None
    tokens = tokens_of(plain_spelling(text))
    if tokens and tokens[-1].kind == "point" and tokens[-1].text == ".":
        tokens.pop()
    quantity, end = read_quantity(tokens)
    return quantity if end == len(tokens) else None
