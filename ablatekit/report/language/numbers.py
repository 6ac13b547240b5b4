"""How numbers are written: one true minus, few digits, intervals as [low, high].

The digits of a response follow its standard errors: the last digit shown is never coarser than a
third of the typical standard error, so rounding hides nothing that the data can tell.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ablatekit.analysis.core.schema.analysis import ResponseAnalysis
from ablatekit.analysis.core.schema.vocabulary import Number
from ablatekit.runs.records import PROPORTION_UNITS

MINUS = "\N{MINUS SIGN}"
MISSING = "\N{EM DASH}"
POINTS, PERCENT = "pp", "percent"
MOST_DECIMALS = 6
"""Of a response; numbers that are too small for them are written with an exponent."""
LARGEST_SPELT = 1e6
"""Of a stated number; larger ones have an exponent."""
LEAST_DIGITS, MOST_DIGITS = 3, 6
"""Of an effect without a standard error, and of one whose standard error is next to nothing."""


SIGNS = (
    (r"\+-", "\N{PLUS-MINUS SIGN}"),
    (r"\btau\b(?=\^2|:)", "\N{GREEK SMALL LETTER TAU}"),
    (r"\bsqrt\(", "\N{SQUARE ROOT}("),
    (r"(?<=[\w\N{GREEK SMALL LETTER TAU}])\^2\b", "\N{SUPERSCRIPT TWO}"),
)


@dataclass(frozen=True, slots=True)
class Scale:
    """How values of one response are shown: multiplied by `factor`, in `unit`, with `decimals`."""

    factor: float
    unit: str
    decimals: int

    def effect(self, value: Number) -> str:
        """A signed difference, such as +1.2 or \N{MINUS SIGN}0.3."""
        text = self.plain(value)
        return f"+{text}" if re.search("[1-9]", text) and not text.startswith(MINUS) else text

    def plain(self, value: Number) -> str:
        """An unsigned-if-positive value."""
        if absent(value):
            return MISSING
        assert value is not None
        write = fixed if self.decimals <= MOST_DECIMALS else _with_exponent
        return write(value * self.factor, self.decimals)

    def interval(self, low: Number, high: Number) -> str:
        """[low, high], or a dash when either end is missing."""
        if absent(low) or absent(high):
            return MISSING
        return f"[{self.plain(low)}, {self.plain(high)}]"

    def amount(self, value: float) -> str:
        """A magnitude with its unit, in as few digits as it has: 2 pp, 0.02 nats."""
        return f"{general(value * self.factor)} {self.unit}".strip()


def absent(value: Number) -> bool:
    """Whether there is no number to show."""
    return value is None or math.isnan(value)


def scale_of(response: ResponseAnalysis) -> Scale:
    """Points for proportions and percentages, the response's own unit otherwise."""
    unit, effects = response["unit"].lower(), response["effects"]
    factor = 100.0 if unit in PROPORTION_UNITS else 1.0
    errors = [effect["se"] for effect in effects if effect["se"]]
    sizes = [factor * abs(effect["estimate"]) for effect in effects if effect["estimate"]]
    decimals = decimals_for(errors, factor) if errors else decimals_of(sizes, LEAST_DIGITS, 3)
    decimals = min(decimals, max(MOST_DECIMALS, decimals_of(sizes, MOST_DIGITS, MOST_DECIMALS)))
    if unit in PROPORTION_UNITS:
        return Scale(factor, POINTS, max(1, decimals))
    return Scale(factor, POINTS if unit == PERCENT else response["unit"], decimals)


def decimals_for(errors: Iterable[Number], factor: float) -> int:
    """Decimals at which the last digit is at most a third of the median standard error."""
    known = [error * factor for error in errors if error is not None and error > 0]
    if not known:
        return 3
    return max(0, -math.floor(math.log10(float(np.median(known)) / 3)))


def decimals_of(sizes: Sequence[float], digits: int, default: int) -> int:
    """Decimals at which the median size has so many digits; the default without any size."""
    if not sizes:
        return default
    return max(0, digits - 1 - math.floor(math.log10(float(np.median(sizes)))))


def fixed(value: float, decimals: int) -> str:
    """Fixed decimals with a true minus, thousands separators, and no negative zero."""
    text = f"{value:,.{decimals}f}"
    if float(text.replace(",", "")) == 0:
        text = text.removeprefix("-")
    return text.replace("-", MINUS)


def _with_exponent(value: float, decimals: int) -> str:
    """The number down to its decimals, such as 1.23e-09; 0 below the last one."""
    if abs(value) < 0.5 * 10.0**-decimals:
        return "0"
    digits = max(0, math.floor(math.log10(abs(value))) + decimals)
    return f"{value:.{digits}e}".replace("-", MINUS)


def general(value: Number, digits: int = 4) -> str:
    """A number of unknown size: `digits` significant digits, thousands separated."""
    if absent(value):
        return MISSING
    assert value is not None
    if value == 0 or 1e-4 <= abs(value) < 1e15:
        magnitude = math.floor(math.log10(abs(value))) if value else 0
        text = fixed(value, max(0, digits - 1 - magnitude))
        return text.rstrip("0").rstrip(".") if "." in text else text
    return f"{value:.{digits - 1}e}".replace("-", MINUS)


def round_number(value: float) -> str:
    """A number that a study states, as short as it can be written: 7e9, 250,000, 0.5."""
    if value >= LARGEST_SPELT:
        mantissa, exponent = f"{value:.3e}".split("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    return general(value)


def general_interval(low: Number, high: Number) -> str:
    """[low, high] of numbers of unknown size, or a dash when either end is missing."""
    return MISSING if absent(low) or absent(high) else f"[{general(low)}, {general(high)}]"


def level_unit(scale: Scale) -> str:
    """The unit of a value that is no difference: percent where differences are in pp."""
    return "%" if scale.unit == "pp" else scale.unit


def sentence(text: str) -> str:
    """The text with a capital first letter, as a heading has it."""
    return text[:1].upper() + text[1:]


def typeset(text: str) -> str:
    """The signs for the +-, tau, sqrt and ^2 of plain text."""
    for plain, signs in SIGNS:
        text = re.sub(plain, signs, text)
    return text


def p_value(value: Number) -> str:
    """Three decimals; below that, <0.001."""
    if absent(value):
        return MISSING
    assert value is not None
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def percent(value: Number) -> str:
    """A share of one as a percentage with one decimal."""
    if absent(value):
        return MISSING
    assert value is not None
    return f"{fixed(100 * value, 1)}%"


def count(value: int, noun: str, plural: str | None = None) -> str:
    """1 run, 2 runs."""
    return f"{value:,} {noun if value == 1 else plural or noun + 's'}"
