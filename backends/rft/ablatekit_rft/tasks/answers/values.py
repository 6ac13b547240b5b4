"""Values of formulas, and whether two formulas are equal.

Rational parts are computed exactly with `fractions`, the rest by mpmath at two precisions (50
digits, and 150 or more): a difference is zero only if it vanishes at both. Formulas with letters
are compared at rational points. Nothing larger than the bounds below is computed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from fractions import Fraction
from types import MappingProxyType
from typing import Any, TypeAlias

from mpmath import mp

from ablatekit_rft.tasks.answers.formulas import Formula
from ablatekit_rft.tasks.answers.notation import UnreadableError

Number: TypeAlias = Any
"""A Fraction, or a real or complex number of mpmath."""
Sides: TypeAlias = Callable[[Callable[[Formula], Number]], tuple[Number, Number]]
"""The two values to compare, given the function that evaluates a formula."""

LOW_DIGITS, HIGH_DIGITS, MOST_DIGITS = 50, 150, 3_000
MOST_BITS = 40_000
"""Of an exact power or factorial; larger ones are computed as floating-point numbers."""
MOST_EXACT_FACTORIAL = 3_000
LARGEST_EXPONENT = 10**15
"""Powers, exponentials and factorials of more than that are not computed."""
LARGEST_ANGLE = 10**300
MOST_LETTERS = 12
_POINTS, _POSITIVE_POINTS, _FEWEST_POINTS = 16, 6, 3
_SLACK = 25
"""Digits that rounding may cost."""
_BITS_PER_DIGIT = 3.33
_OF_MPMATH: Mapping[str, str] = MappingProxyType(
    {"arcsin": "asin", "arccos": "acos", "arctan": "atan", "ln": "log"}
)


class TooLargeError(ArithmeticError):
    """A value is beyond what is computed."""


class Evaluation:
    """Values of formulas at one point, in the precision that mpmath is set to.

    `largest` is the largest decimal exponent of a summand so far.
    """

    def __init__(self, point: Mapping[str, Fraction]) -> None:
        self.point = point
        self.largest = 0.0

    def value(self, formula: Formula) -> Number:
        """The value. Raises ArithmeticError where there is none, or none that is computed."""
        if formula.operation == "number":
            return formula.value
        if formula.operation == "letter":
            return self.point[formula.name]
        if formula.operation == "sign":
            return self.point["pm"] * (1 if formula.name == "pm" else -1)
        if formula.operation == "constant":
            return {"pi": mp.pi(), "e": mp.e(), "i": mp.mpc(0, 1)}[formula.name]
        arguments = [self.value(argument) for argument in formula.arguments]
        if formula.operation == "+":
            self.largest = max(self.largest, *map(_decimal_exponent, arguments))
        return _OPERATIONS[formula.operation](formula.name, arguments)


def _decimal_exponent(value: Number) -> float:
    if isinstance(value, Fraction):
        return _bits(value) / _BITS_PER_DIGIT
    if not mp.isfinite(value):
        raise ZeroDivisionError("no finite value")
    return float(abs(mp.mag(value)) / _BITS_PER_DIGIT) if value else 0.0


def _inexact(value: Number) -> Number:
    if isinstance(value, Fraction):
        return mp.mpf(value.numerator) / value.denominator
    return value


def _add(_name: str, values: list[Number]) -> Number:
    exact = [value for value in values if isinstance(value, Fraction)]
    total = sum(exact, Fraction(0))
    if len(exact) == len(values):
        return total
    return mp.fsum([_inexact(total), *(one for one in values if not isinstance(one, Fraction))])


def _multiply(_name: str, values: list[Number]) -> Number:
    exact, inexact = Fraction(1), mp.mpf(1)
    for value in values:
        if isinstance(value, Fraction):
            exact *= value
        else:
            inexact *= value
    if all(isinstance(value, Fraction) for value in values) or not exact:
        return exact
    return _inexact(exact) * inexact


def _divide(_name: str, values: list[Number]) -> Number:
    one, other = values
    if not other:
        raise ZeroDivisionError("a division by zero")
    if isinstance(one, Fraction) and isinstance(other, Fraction):
        return one / other
    return _inexact(one) / _inexact(other)


def _bits(value: Fraction) -> int:
    return max(value.numerator.bit_length(), value.denominator.bit_length())


def _power(_name: str, values: list[Number]) -> Number:
    base, exponent = values
    if not base:
        real = exponent.real if not isinstance(exponent, Fraction) else exponent
        if real <= 0:
            raise ZeroDivisionError("zero to a power that is not positive")
        return Fraction(0)
    whole = isinstance(exponent, Fraction) and exponent.denominator == 1
    if isinstance(base, Fraction) and abs(base) == 1 and whole:
        return base ** (int(exponent) % 2)
    if whole and isinstance(base, Fraction) and abs(exponent) * _bits(base) <= MOST_BITS:
        return base ** int(exponent)
    size = abs(mp.mag(_inexact(base))) + 1
    if abs(exponent) * size > LARGEST_EXPONENT:
        raise TooLargeError("a power")
    return mp.power(_inexact(base), int(exponent) if whole else _inexact(exponent))


def _root(_name: str, values: list[Number]) -> Number:
    radicand, index = values[0], values[1] if len(values) > 1 else Fraction(2)
    if not isinstance(index, Fraction) or index.denominator != 1 or not 0 < index < 1000:
        return _power("", [radicand, _divide("", [Fraction(1), index])])
    value = _inexact(radicand)
    if index == 2:
        return mp.sqrt(value)
    negative = index % 2 == 1 and not isinstance(value, mp.mpc) and value < 0
    return -mp.root(-value, int(index)) if negative else mp.root(value, int(index))


def _factorial(_name: str, values: list[Number]) -> Number:
    (value,) = values
    if not isinstance(value, Fraction | mp.mpc) and value > MOST_EXACT_FACTORIAL:
        raise TooLargeError("a factorial of a rounded number")
    if not isinstance(value, Fraction) or value.denominator != 1 or value < 0:
        raise ZeroDivisionError("a factorial of no whole number")
    if value <= MOST_EXACT_FACTORIAL:
        return _exact_factorial(value)
    if value > LARGEST_EXPONENT:
        raise TooLargeError("a factorial")
    return mp.factorial(_inexact(value))


def _exact_factorial(value: Fraction) -> Fraction:
    product = 1
    for factor in range(2, int(value) + 1):
        product *= factor
    return Fraction(product)


def _binomial(_name: str, values: list[Number]) -> Number:
    whole = all(isinstance(one, Fraction) and one.denominator == 1 for one in values)
    if not whole or not 0 <= values[1] <= values[0] <= MOST_EXACT_FACTORIAL:
        raise ZeroDivisionError("a binomial of no small whole numbers")
    rest = _exact_factorial(values[1]) * _exact_factorial(values[0] - values[1])
    return _exact_factorial(values[0]) / rest


def _logarithm(_name: str, values: list[Number]) -> Number:
    argument, base = (_inexact(one) for one in values)
    if not argument or not base or base == 1:
        raise ZeroDivisionError("a logarithm of zero")
    return mp.log(argument) / mp.log(base)


def _function(name: str, values: list[Number]) -> Number:
    (argument,) = map(_inexact, values)
    largest = LARGEST_EXPONENT if name in ("exp", "sinh", "cosh", "tanh") else LARGEST_ANGLE
    if name != "ln" and abs(argument) > largest:
        raise TooLargeError(name)
    try:
        return getattr(mp, _OF_MPMATH.get(name, name))(argument)
    except ValueError as error:
        raise ZeroDivisionError(name) from error


def _magnitude(_name: str, values: list[Number]) -> Number:
    return abs(values[0])


def _whole(name: str) -> Callable[[str, list[Number]], Number]:
    def rounded(_name: str, values: list[Number]) -> Number:
        (value,) = values
        if isinstance(value, mp.mpc):
            raise ZeroDivisionError("a complex number has no whole part")
        if not isinstance(value, Fraction) and abs(value) > LARGEST_ANGLE:
            raise TooLargeError(name)
        if isinstance(value, Fraction):
            return Fraction(value.__floor__() if name == "floor" else value.__ceil__())
        return Fraction(int(getattr(mp, name)(value)))

    return rounded


_OPERATIONS: Mapping[str, Callable[[str, list[Number]], Number]] = {
    "+": _add,
    "*": _multiply,
    "/": _divide,
    "^": _power,
    "!": _factorial,
    "sqrt": _root,
    "binom": _binomial,
    "log": _logarithm,
    "function": _function,
    "abs": _magnitude,
    "floor": _whole("floor"),
    "ceil": _whole("ceil"),
}


def equal_formulas(one: Formula, other: Formula) -> bool:
    """Whether two formulas have one value wherever both have a real one.

    Raises ArithmeticError where they have none, TooLargeError where it is not computed.
    """
    if one == other:
        return True
    return _always_equal(lambda at: (at(one), at(other)), one, other)


def proportional(one: Formula, other: Formula, *, positive: bool = False) -> bool:
    """Whether one is the other times a constant that is not zero (or is positive)."""
    reference = Evaluation(points(one.letters() | other.letters())[0])
    with mp.workdps(LOW_DIGITS):
        top, bottom = reference.value(one), reference.value(other)
        ratio = _inexact(top) / _inexact(bottom) if top and bottom else mp.mpc(0)
    if isinstance(ratio, mp.mpc) or (positive and ratio < 0):
        return False

    def sides(at: Callable[[Formula], Number]) -> tuple[Number, Number]:
        left = _multiply("", [at(one), reference.value(other)])
        return left, _multiply("", [at(other), reference.value(one)])

    return _always_equal(sides, one, other)


def _always_equal(sides: Sides, *formulas: Formula) -> bool:
    letters = frozenset[str]().union(*(formula.letters() for formula in formulas))
    if len(letters) > MOST_LETTERS:
        raise UnreadableError("too many letters")
    complex_too = not letters or any(map(_mentions_i, formulas))
    compared = _compared(sides, letters, complex_too=complex_too)
    if compared == 0 and not complex_too:
        compared = _compared(sides, letters, complex_too=True)
    return compared is not None and compared >= (_FEWEST_POINTS if letters else 1)


def _compared(sides: Sides, letters: frozenset[str], *, complex_too: bool) -> int | None:
    """At how many points both sides have a value, and the same one; None where they differ."""
    valid = 0
    for point in points(letters):
        equal = _equal_at(sides, point, complex_too=complex_too)
        if equal is False:
            return None
        valid += equal is True
    return valid


def _mentions_i(formula: Formula) -> bool:
    own = formula.operation == "constant" and formula.name == "i"
    return own or any(map(_mentions_i, formula.arguments))


def points(letters: frozenset[str]) -> list[dict[str, Fraction]]:
    """Rational points at which formulas of these letters are compared; always the same."""
    if not letters:
        return [{}]
    draws = random.Random("points")
    found = []
    for i in range(_POINTS):
        point = {}
        for k, letter in enumerate(sorted(letters)):
            size = Fraction(draws.randrange(1, 97 if i % 2 else 400), draws.choice((97, 101, 103)))
            negative = i >= _POSITIVE_POINTS and (i // 2) >> (k % 3) & 1
            point[letter] = -size if negative else size
        found.append(point)
    return found


def _equal_at(
    sides: Sides,
    point: Mapping[str, Fraction],
    *,
    complex_too: bool,
) -> bool | None:
    """Whether both sides are equal at a point; None where one of them has no real value."""
    try:
        low, largest = _at(sides, point, LOW_DIGITS)
        if not complex_too and any(isinstance(value, mp.mpc) for value in low):
            return None
        if all(isinstance(value, Fraction) for value in low):
            return bool(low[0] == low[1])
        digits = HIGH_DIGITS + 2 * int(min(largest, MOST_DIGITS))
        high, largest = _at(sides, point, digits)
    except TooLargeError:
        raise
    except ArithmeticError:
        if not point:
            raise
        return None
    with mp.workdps(digits):
        return _vanishes(low, high, digits, cancelled=largest > MOST_DIGITS)


def _at(
    sides: Sides,
    point: Mapping[str, Fraction],
    digits: int,
) -> tuple[tuple[Number, Number], float]:
    evaluation = Evaluation(point)
    with mp.workdps(digits):
        return sides(evaluation.value), evaluation.largest


def _vanishes(
    low: tuple[Number, Number], high: tuple[Number, Number], digits: int, *, cancelled: bool
) -> bool:
    """Whether the difference is zero, given both sides at a low and at a high precision.

    `cancelled`: larger summands than the digits hold stood in between, so that a small result may
    be what rounding left of them.
    """
    one, other = (_inexact(value) for value in high)
    scale = max(abs(one), abs(other))
    if cancelled and mp.mag(scale) < MOST_DIGITS:
        raise TooLargeError("a difference of large numbers")
    if abs(one - other) <= scale * mp.mpf(10) ** (_SLACK - digits):
        return True
    return all(_is_zero(*pair, digits) for pair in zip(low, high, strict=True))


def _is_zero(low: Number, high: Number, digits: int) -> bool:
    """A value is zero if more digits make it smaller by as much."""
    if not high or (isinstance(high, Fraction) and high == 0):
        return True
    if isinstance(high, Fraction):
        return False
    if not low:
        return bool(abs(high) < mp.mpf(10) ** (_SLACK - digits))
    return bool(abs(high) < abs(_inexact(low)) * mp.mpf(10) ** (-(digits - LOW_DIGITS) // 2))
