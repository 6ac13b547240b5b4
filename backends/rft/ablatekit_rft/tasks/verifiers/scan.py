"""The number expressions of a text, measured with what stands in front of them and behind.

One pass over the tokens. An expression that goes on to something else than a number (`3x`, `3 + 4`,
`3 \\pi`, `x \\ne 3`) is noted without a value, so that no part of it can be taken for the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ablatekit_rft.tasks.verifiers import words
from ablatekit_rft.tasks.verifiers.expressions import STARTS, Quantity, Token, read_quantity

_MOST_BETWEEN = 6
"""Words between a number and the negation that it belongs to."""
_DASHES = ("-", "\N{EM DASH}")
END = Token("end", "", gap=True)
_MATH = STARTS | {"operator", "factorial", "percent", "degree", "under", "command", "name", "bar"}
_EQUAL = frozenset(("=", "==", ":=", "≈", "~"))


@dataclass(slots=True)
class Found:
    """A number expression: its tokens, and its value where it is a written number.

    `end` is where the number ends, `after` where what belongs to it does (a unit). Expressions
    that `=` links are one `chain`.
    """

    quantity: Quantity | None
    start: int
    end: int
    after: int
    chain: int
    unsolved: bool = False


@dataclass(slots=True)
class _Pending:
    """What stands in front of the next expression: a relation, and whether it spoils the value."""

    place: int
    chain: int
    spoilt: bool


@dataclass(slots=True)
class Scan:
    """One pass over the tokens of a text, which collects its number expressions."""

    tokens: Sequence[Token]
    prose: bool
    fresh: bool
    found: list[Found] = field(default_factory=list)
    listed: bool = False
    """A comma, a semicolon or a brace of a set stands in the text."""
    _closes: dict[int, int] = field(default_factory=dict)
    _opens: dict[int, int] = field(default_factory=dict)
    _pending: _Pending | None = None
    _clause: int = 0
    """How many expressions stand in front of the last colon."""

    def run(self) -> None:
        """Collect the expressions."""
        self._closes = _matching(self.tokens)
        self._opens = {close: opening for opening, close in self._closes.items()}
        place = 0
        while place < len(self.tokens):
            token = self.tokens[place]
            if token.kind == "word" and len(token.text) > 1 and self._at(place + 1).kind == "word":
                place += 1
            elif token.kind == "point" and self.found and self._ends_sentence(place):
                break
            else:
                place = self._step(place, token)

    def _ends_sentence(self, place: int) -> bool:
        then = self._at(place + 1)
        return then.gap and then.kind != "point"

    def _step(self, place: int, token: Token) -> int:
        """Read what begins at a token; returns the place behind it."""
        if token.kind in STARTS or self._is_sign(place):
            return self._expression(place)
        if token.kind == "word":
            return self._word(place)
        if token.kind in ("name", "command"):
            return self._symbol(place)
        if token.kind == "open":
            return self._bracket(place)
        if token.kind == "relation":
            self._relation(place)
        elif token.kind in ("comma", "stop", "colon", "arrow"):
            self._pending = None
            self.listed = self.listed or token.kind in ("comma", "stop")
            self._clause = len(self.found) if token.kind in ("colon", "arrow") else self._clause
        return place + 1

    def _at(self, place: int) -> Token:
        return self.tokens[place] if 0 <= place < len(self.tokens) else END

    def _is_sign(self, place: int) -> bool:
        """Whether a sign stands here with a number behind it."""
        token, then = self._at(place), self._at(place + 1)
        if token.text == "\N{EM DASH}" and (then.gap or not (token.gap or place == 0)):
            return False
        signed = token.text in ("+", *_DASHES)
        return signed and (then.kind in STARTS or self._math_group(place + 1))

    def _math_group(self, place: int) -> bool:
        """Whether brackets open here around nothing but signs and numbers."""
        close = self._closes.get(place)
        if close is None or self._at(place).text not in ("(", "{"):
            return False
        inner = self.tokens[place + 1 : close]
        kinds = {token.kind for token in inner}
        return bool(kinds & STARTS) and kinds <= _MATH | {"open", "close"}

    # What stands in front of a number

    def _expression(self, start: int) -> int:
        """Read the number expression that begins here, with its sign."""
        first = start
        if self._at(start).text in ("+", *_DASHES):
            role = self._role_of_sign(start)
            if role == "hyphen":
                _, end = read_quantity(self.tokens, start + 1)
                return max(end, start + 2)
            if role == "separator":
                first = start = start + 1
            elif role == "operator":
                return self._broken(start)
        elif self._at(start - 1).text.lower() in ("minus", "negative"):
            if self.found and self.found[-1].end == start - 1:  # 5 minus 7
                return self._broken(start)
            first = start - 1
        if self._at(first).text == "\N{EM DASH}":
            return self._negated(first)
        quantity, end = read_quantity(self.tokens, first)
        return self._finish(quantity, first, end)

    def _negated(self, start: int) -> int:
        quantity, end = read_quantity(self.tokens, start + 1)
        minus = None if quantity is None else Quantity(-quantity.value, quantity.percent)
        return self._finish(minus, start, end)

    def _role_of_sign(self, place: int) -> str:
        """What a dash in front of a number is: `sign`, `separator`, `hyphen` or `operator`.

        A dash that touches the number is its sign. With white space behind it, it is one where a
        value is expected (at the start, behind `=` or `is`) and sets words apart elsewhere; at the
        start of a line that others precede it may be a bullet, so the number has no value.
        """
        before, then = self._at(place - 1), self._at(place + 1)
        touches = not self._at(place).gap and place > 0
        if before.kind in STARTS or before.kind in ("name", "close", "factorial", "percent"):
            return "operator"
        if before.kind == "word" and (touches or len(before.text) == 1):
            return "operator" if len(before.text) == 1 else "hyphen"
        if not then.gap:
            return "sign"
        if before.kind == "word" and before.text.lower() not in words.COPULAS:
            return "separator" if self.prose else "operator"
        return "sign" if self.fresh or place > 0 else "operator"

    def _changed(self, start: int) -> bool:
        """Whether words in front of a number make it another value."""
        before = self._at(start - 1)
        if before.kind == "bar" and not self._at(start).gap and self._at(start).text == "-":
            return True
        if before.kind != "word":
            return before.kind == "command"
        word = before.text.lower()
        if _is_variable(before.text) and word not in ("a", "i"):
            return True
        near = [one.text.lower() for one in self.tokens[max(0, start - 3) : start]]
        if word in words.ARTICLES and len(near) > 1:
            near.pop()
        linked = near[-1] in ("of", "by") and any(one in words.BEFORE_OF for one in near[:-1])
        counted = word in words.NUMERALS and self._at(start).kind != "open"
        return word in words.BEFORE or linked or counted or self._denied(start)

    def _denied(self, start: int) -> bool:
        """Whether a sentence says of a number that something is not it: `it cannot be 18`."""
        place = start - 1
        while place > start - _MOST_BETWEEN and self._at(place).text.lower() in words.ABOUT:
            place -= 1
        return self._at(place).text.lower() in words.NEGATIONS

    # What stands behind a number

    def _finish(self, quantity: Quantity | None, start: int, end: int) -> int:
        """Note the expression, with a value where it ends as a number does."""
        if quantity is None:
            return self._broken(start, end)
        after, whole = self._behind(end)
        if not whole:
            return self._broken(start, after)
        self._note(None if self._changed(start) else quantity, start, end, after)
        return after

    def _broken(self, start: int, end: int = 0) -> int:
        """Note an expression that is no written number, as far as it goes."""
        end = self._end_of_math(start, max(end, start + 1))
        numeric = any(token.kind == "numeral" for token in self.tokens[start:end])
        self._note(None, start, end, end, unsolved=numeric and self._has_variable(start, end))
        return end

    def _note(
        self, quantity: Quantity | None, start: int, end: int, after: int, *, unsolved: bool = False
    ) -> None:
        pending, self._pending = self._pending, None
        chain = len(self.found)
        if pending is not None and start - pending.place <= 4:
            chain = pending.chain
            unsolved = unsolved if chain == len(self.found) else pending.spoilt
            quantity = None if pending.spoilt else quantity
        whole = self._whole_before(quantity, start)
        if whole is not None and quantity is not None and whole.quantity is not None:
            sign = -1 if whole.quantity.value < 0 else 1
            whole.quantity = Quantity(whole.quantity.value + sign * quantity.value)
            whole.end, whole.after = end, after
            return
        self.found.append(Found(quantity, start, end, after, chain, unsolved))

    def _whole_before(self, part: Quantity | None, start: int) -> Found | None:
        """The whole number of `4 and 1/2`, where the part of it begins at a token."""
        if part is None or not self.found or self._at(start - 1).text.lower() != "and":
            return None
        prior = self.found[-1]
        whole = prior.quantity
        if whole is None or whole.percent or part.percent or prior.end != start - 1:
            return None
        return prior if whole.value.denominator == 1 and 0 < part.value < 1 else None

    def _behind(self, place: int) -> tuple[int, bool]:
        """Past the unit of a number; and whether nothing behind it makes it another expression."""
        while True:
            token = self._at(place)
            if token.kind == "word":
                past, whole = self._word_behind(place, token)
                if past == place or not whole:
                    return past, whole
                place = past
            elif token.kind == "operator":
                past = self._operator_behind(place, token)
                if past <= place:
                    return place, past == place
                place = past
            else:
                return place, self._may_end(place, token)

    def _word_behind(self, place: int, token: Token) -> tuple[int, bool]:
        """Past a word if it is a unit (with its exponent or `/ day`); and whether it may stand."""
        word, then = token.text.lower(), self._at(place + 1)
        if word in words.BEHIND or (token.gap is False and not _is_tight_unit(token.text)):
            return place, False
        if _is_variable(token.text):
            article = word in ("a", "i") and then.kind == "word"
            if token.text not in words.UNIT_LETTERS:
                return place, article
        if self._alters(place):
            return place, False
        unit_end = self._unit(place)
        arithmetic = self._at(unit_end).text in ("+", "*", "^", "/", "÷")
        bound = token.gap is False or unit_end > place + 1 or arithmetic
        return (unit_end if bound else place), True

    def _alters(self, place: int) -> bool:
        """Whether words such as `or more`, `and a half`, `below zero` change the number."""
        near = [token.text.lower() for token in self.tokens[place : place + 5]]
        if "or" in near[:2]:
            behind = near[near.index("or") + 1 :]
            return bool(behind) and behind[0] in ("more", "less", "fewer", "greater", "higher")
        if "and" in near[:3]:
            return any(word in words.PARTS for word in near[near.index("and") + 1 :])
        if near[0] == "times":
            then = self._at(place + 1)
            return then.kind == "word" and _is_variable(then.text) and then.text != "a"
        return "below" in near[:3] and "zero" in near

    def _unit(self, place: int) -> int:
        """Past `cm`, `cm^2`, `m/s^2`, `dollars/day`."""
        while True:
            place += 1
            if self._at(place).text == "^":
                place = self._past_exponent(place + 1)
            joined = self._at(place).text in ("/", "*")
            if not (joined and self._at(place + 1).kind == "word"):
                return place
            place += 1

    def _past_exponent(self, place: int) -> int:
        if self._at(place).text == "{":
            return self._closes.get(place, place) + 1
        return place + (2 if self._at(place).text == "-" else 1)

    def _operator_behind(self, place: int, token: Token) -> int:
        """Past `/day`; the place itself where a dash begins a remark; -1 for arithmetic."""
        then = self._at(place + 1)
        word = then.kind == "word" and then.text.lower() not in words.FUNCTIONS
        unit = word and (not _is_variable(then.text) or then.text in words.UNIT_LETTERS)
        if token.text == "/" and unit:
            return self._unit(place + 1)
        dash = token.text == "-" and (then.kind == "end" or (unit and len(then.text) > 1))
        return place if dash or (then.kind == "end" and token.text == "*") else -1

    def _may_end(self, place: int, token: Token) -> bool:
        """Whether a number may end in front of this token, which is no word and no operator."""
        then = self._at(place + 1)
        if token.kind in STARTS or token.kind in ("command", "under", "factorial", "percent"):
            return False
        if token.kind == "name":
            return token.gap and len(token.text.rstrip("0123456789")) > 1
        if token.kind == "open":
            return self._bracket_behind(place, token)
        if token.kind == "colon":
            numbers = then.kind in STARTS
            return not (numbers and token.gap is then.gap)
        if token.kind == "point":
            dots = token.text == then.text == "."
            return not (dots and "." in self._at(place - 1).text)
        if token.kind == "arrow":
            return token.gap or then.gap or then.kind not in STARTS
        return token.kind != "degree"

    def _bracket_behind(self, place: int, token: Token) -> bool:
        if token.gap:
            return token.text != "{" or self._at(place + 1).kind == "close"
        inner = self._at(place + 1)
        return token.text == "(" and inner.kind == "word" and len(inner.text) > 2

    def _end_of_math(self, start: int, place: int) -> int:
        """Where signs, numbers and variables end that an expression goes on with."""
        while True:
            token = self._at(place)
            letter = token.kind == "word" and (
                _is_variable(token.text) or token.text.lower() in words.FUNCTIONS
            )
            opened = token.kind == "open" and self._closes.get(place) is not None
            closed = token.kind == "close" and self._opens.get(place, -1) >= start
            if not (token.kind in _MATH or letter or opened or closed):
                return place
            place += 1

    def _has_variable(self, start: int, end: int) -> bool:
        return any(self._variable_at(place) for place in range(start, end))

    def _variable_at(self, place: int) -> bool:
        token = self._at(place)
        if token.kind == "name":
            return not token.text[1:2].isalpha()
        before = self._at(place - 1)
        unit = token.text in words.UNIT_LETTERS and (before.kind == "numeral" or before.text == "/")
        if token.text in ("x", "X") and self._at(place + 1).kind == "numeral":  # times
            return before.kind == "operator"
        return token.kind == "word" and _is_variable(token.text) and not unit

    # Words, symbols, brackets, relations

    def _word(self, place: int) -> int:
        """A word outside of a number: a function, a variable of an expression, or prose."""
        token, then = self._at(place), self._at(place + 1)
        close = self._closes.get(place + 1, place)
        if then.kind == "open" and not then.gap and self._at(close + 1).text == "=":
            return close + 1  # P(X = 2) = 3/4
        variable = _is_variable(token.text)
        function = token.text.lower() in words.FUNCTIONS - {"min", "sec", "max", "pi", "in"}
        if variable or (function and (then.kind in _MATH or then.kind == "open")):
            return self._symbol(place)
        if then.kind == "open" and not then.gap and self._math_group(place + 1):
            return self._symbol(place)
        return self._unit(place) if then.text in ("^", "/") else place + 1

    def _symbol(self, place: int) -> int:
        """A name such as `x_1`, a variable or `\\pi`: with numbers joined to it an expression."""
        token, then = self._at(place), self._at(place + 1)
        joined = then.kind == "operator" or (then.kind == "open" and not then.gap)
        if token.kind == "word" and not _is_variable(token.text):
            joined = True
        dash = then.text == "-" and then.gap and self._at(place + 2).gap and len(token.text) > 1
        if not joined or (dash and token.kind == "name"):
            return place + 1
        end = self._end_of_math(place, place + 1)
        numeric = any(one.kind in STARTS for one in self.tokens[place:end])
        called = then.kind == "open" and self._at(end).kind == "relation"
        if not numeric or (called and self._closes.get(place + 1) == end - 1):
            return end
        return self._broken(place, end)

    def _bracket(self, place: int) -> int:
        """Brackets: around a number, a list, a remark behind a number, or plain prose."""
        close = self._closes.get(place)
        opening = self._at(place).text
        self.listed = self.listed or opening.startswith("\\")
        if close is None or opening.startswith("\\"):
            return place + 1
        inner = self.tokens[place + 1 : close]
        kinds = {token.kind for token in inner}
        wordy = any(token.kind == "word" and len(token.text) > 1 for token in inner)
        prior = self.found[-1] if len(self.found) > self._clause else None
        if prior is not None and opening != "{" and self._is_remark(prior, place, close):
            return close + 1
        if self._math_group(place):
            return self._expression(place)
        if "comma" in kinds and kinds & STARTS and not wordy:
            self._note(None, place, close + 1, close + 1)
            return close + 1
        return place + 1

    def _is_remark(self, prior: Found, place: int, close: int) -> bool:
        """Whether brackets explain the number in front of them. They may contradict it.

        `18 (9 * 2)` and `3/4 (0.75)` are 3/4 and 18; `3 (or 4)`, `3 (mod 5)` and `3 (4)` nothing.
        """
        inner = self.tokens[place + 1 : close]
        first = inner[0].text.lower() if inner else ""
        near = place - prior.end <= 3
        if not any(token.kind in STARTS for token in inner):
            return False
        if not self._math_group(place) and self._at(place).text == "(":
            wordy = any(len(token.text) > 1 and token.kind == "word" for token in inner)
            explains = wordy or any(token.kind == "relation" for token in inner)
            prior.quantity = None if first in ("or", "mod") else prior.quantity
            return explains
        quantity, end = read_quantity(self.tokens, place + 1)
        if near and end == close and quantity is not None and prior.quantity is not None:
            prior.quantity = prior.quantity if quantity.equals(prior.quantity) else None
        return near

    def _relation(self, place: int) -> None:
        """Note what `=` or an inequality links; an inequality leaves both sides without value."""
        prior = self.found[-1] if self.found and self.found[-1].after == place else None
        sign = self._at(place).text
        equal = sign in _EQUAL and not (sign == "~" and prior is not None)
        chain = len(self.found) if prior is None else prior.chain
        if not equal and prior is not None:
            prior.quantity = None
        self._pending = _Pending(place, chain, not equal or (prior is not None and prior.unsolved))


def _matching(tokens: Sequence[Token]) -> dict[int, int]:
    """Where each bracket closes, by the place where it opens; intervals `[0, 1)` included."""
    closes: dict[int, int] = {}
    opened: list[int] = []
    for place, token in enumerate(tokens):
        if token.kind == "open":
            opened.append(place)
        elif token.kind == "close" and opened:
            closes[opened.pop()] = place
    return closes


def _is_variable(word: str) -> bool:
    """Whether a word is a single Latin or Greek letter."""
    return len(word) == 1 and (word.isascii() or "\u03b1" <= word <= "\u03c9")


def _is_tight_unit(word: str) -> bool:
    """Whether a word may touch the number in front of it: `5cm`, `18dollars`, `18元`."""
    if _is_variable(word):
        return word in words.TIGHT_LETTERS
    short = word.isascii() and len(word) < 4
    return word.lower() in words.SHORT_UNITS if short else word.lower() not in words.BEHIND
