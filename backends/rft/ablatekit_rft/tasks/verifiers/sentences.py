r"""The number that a sentence, a line or a box states, read with what stands around it.

Every number expression of the text is found and measured with `expressions`. One that goes on to
something else (`3x`, `3 + 4`, `3 \pi`, `3:4`, `x \ne 3`, `3 or 4`, `5 feet 3 inches`) is an
expression without a value; no part of it is taken. Three ways to choose among what was found:

- `of_box`: the whole text is one answer. Words, a name with `=`, units may stand around the number.
- `of_line`: the answer begins the text (behind `####`); prose may follow.
- `of_prose`: the last expression of a sentence, or the one right behind `answer is` / `Answer:`.

An equation states its last side; one that is still to be solved (`2x = 6`) states nothing. A
remark in brackets behind a number, `18 (see step 2)`, is no answer.
"""

from __future__ import annotations

from collections.abc import Sequence

from ablatekit_rft.tasks.verifiers import words
from ablatekit_rft.tasks.verifiers.expressions import (
    STARTS,
    Quantity,
    Token,
    plain_spelling,
    tokens_of,
)
from ablatekit_rft.tasks.verifiers.scan import END, Found, Scan

_STOP = Token("stop", ";", gap=False)


def of_box(text: str) -> Quantity | None:
    """The one number of a text that is all answer."""
    scan = _scan_of(text, prose=False)
    if not scan.found or scan.listed or any(one.chain != scan.found[0].chain for one in scan.found):
        return None
    return scan.found[-1].quantity


def of_line(text: str) -> tuple[bool, Quantity | None]:
    """Whether a line begins with a number expression, and the value of that expression."""
    return _scan_of(text, prose=False).leading(0)


def of_prose(text: str, *, fresh: bool) -> tuple[bool, Quantity | None]:
    """Whether a sentence holds a number expression, and the value of the one that it states.

    `fresh`: nothing stands in front of the sentence, so that a dash there is no bullet.
    """
    scan = _scan_of(text, prose=True, fresh=fresh)
    anchor = scan.anchor() if "nswer" in text else None
    if anchor is not None:
        direct, quantity = scan.leading(anchor)
        if direct:
            return True, quantity
    if not scan.found:
        return False, None
    return True, None if scan.joined(len(scan.found) - 1) else scan.found[-1].quantity


def _scan_of(text: str, *, prose: bool, fresh: bool = True) -> _Statements:
    tokens = tokens_of(plain_spelling(text))
    scan = _Statements(_exclaimed(tokens) if prose else tokens, prose=prose, fresh=fresh)
    scan.run()
    return scan


def _exclaimed(tokens: list[Token]) -> list[Token]:
    """The tokens with marks of exclamation as stops: `The answer is 18!` states 18.

    In a sentence with words, a `!` is one where the sentence ends or a capital follows; `3! ways`,
    `$3!$`, `(3!)` and a text that is nothing but `3!` are factorials.
    """
    if not any(token.kind == "factorial" for token in tokens):
        return tokens
    if not any(token.kind == "word" and len(token.text) > 1 for token in tokens):
        return tokens
    plain = []
    for token, then in zip(tokens, [*tokens[1:], END], strict=True):
        ends = then.kind in ("end", "factorial") or (then.gap and then.text[:1].isupper())
        plain.append(_STOP if token.text == "!" and ends else token)
    return plain


class _Statements(Scan):
    """The number expressions of a text, and which of them is its answer."""

    __slots__ = ()

    def anchor(self) -> int | None:
        """The place behind the last `answer is`, `answer:` or `answer =`."""
        for place in reversed(range(len(self.tokens))):
            if self._at(place).text.lower() == "answer":
                return self._behind_answer(place)
        return None

    def _behind_answer(self, place: int) -> int | None:
        for ahead in range(place + 1, min(place + 9, len(self.tokens))):
            token = self.tokens[ahead]
            if token.text.lower() in ("is", "are", "=", ":", "equals", "be"):
                return None if self._at(ahead + 1).text.lower() == "not" else ahead + 1
            if token.kind in STARTS:
                return None
        return None

    def leading(self, start: int) -> tuple[bool, Quantity | None]:
        """Whether the text from a place on begins with an expression, and its value."""
        places = [index for index, one in enumerate(self.found) if one.start >= start]
        if not places or not self._is_direct(start, self.found[places[0]].start):
            return False, None
        chain = self.found[places[0]].chain
        last = max(index for index in places if self.found[index].chain == chain)
        behind = last + 1 < len(self.found)
        if behind and (self.joined(last + 1, strict=True) or self._solved_later(start, last)):
            return self._solved_later(start, last) is False, None
        return True, self.found[last].quantity

    def _solved_later(self, start: int, last: int) -> bool:
        """Whether an equation further on states the answer: `the answer is 2 times 9 = 18`."""
        if start == 0:
            return False
        later = self.tokens[self.found[last].after :]
        return any(token.kind == "relation" for token in later)

    def _is_direct(self, start: int, end: int) -> bool:
        """Whether only `about`, signs or a name with `=` stand in front of the expression."""
        between = self.tokens[start:end]
        if between and between[-1].kind == "relation":
            return len(between) <= 4
        return all(
            token.text.lower() in words.ABOUT or token.kind in ("colon", "open", "relation", "bar")
            for token in between
        )

    def joined(self, index: int, *, strict: bool = False) -> bool:
        """Whether an expression is part of a longer one with the expression in front of it.

        `3 or 4`, `3 out of 4`, `5 feet 3 inches`, `2, 3, and 4`; `strict`: also `3, 4` with
        prose behind it.
        """
        if index == 0 or self.found[index].chain == self.found[index - 1].chain:
            return False
        prior, one = self.found[index - 1], self.found[index]
        there = self.tokens[prior.end : one.start]
        between = [token for token in there if token.text not in words.ARTICLES]
        kinds = [token.kind for token in between]
        if _is_restated(prior, one) and between and between[-1].text.lower() == "or":
            return False
        if "relation" in kinds:
            return self._repeats(prior, one, between)
        if "operator" in kinds or self._compound(prior, one):
            return True
        if kinds[:1] == ["comma"]:
            return self._enumerated(one, between, strict=strict)
        if kinds == ["colon"]:  # 10:30 and 3 : 4, but not `Step 2: 18`
            return between[0].gap is self.tokens[one.start].gap
        only_words = 0 < len(kinds) <= 3 and all(kind == "word" for kind in kinds)
        return only_words and self._linked(one, [token.text.lower() for token in between])

    def _enumerated(self, one: Found, between: Sequence[Token], *, strict: bool) -> bool:
        """Whether a comma in front of an expression makes it an item of a list."""
        last = self._at(one.after).kind not in ("word", "name")
        alone = len(between) == 1 and (last or strict)
        return alone or (len(between) == 2 and between[1].text.lower() in ("and", "or"))

    def _linked(self, one: Found, link: Sequence[str]) -> bool:
        """Whether the words in front of an expression join it to the one before them."""
        if link[-1] in words.JOINERS:
            stating = {"to": words.LEADING_TO, "of": words.TOTALS}.get(link[-1], frozenset())
            return stating.isdisjoint(link[-2:-1])
        if link == ["in"]:
            return not self._is_measured(one)
        unit = len(link) == 1 and self._at(one.after).kind == "word"
        return unit and link[0] not in words.PREPOSITIONS

    def _is_measured(self, one: Found) -> bool:
        """Whether a word stands behind an expression: its unit, but for the one of odds."""
        behind = self._at(one.end)
        return behind.kind == "word" and behind.text.lower() not in ("chance", "chances", "odds")

    def _compound(self, prior: Found, one: Found) -> bool:
        """Whether two expressions in units of one kind, side by side, are one quantity."""
        units = {self._at(expression.end).text.lower() for expression in (prior, one)}
        between = {token.kind for token in self.tokens[prior.end + 1 : one.start]}
        alike = any(units <= kind for kind in words.COMPOUND_UNITS)
        return len(units) == 2 and alike and between <= {"comma"}

    def _repeats(self, prior: Found, one: Found, between: Sequence[Token]) -> bool:
        """Whether both are values of one name: `x = 2 or x = 5`, `x_1 = 2, x_2 = 5`.

        In `2x = 10, x = 5` the first is the value of another expression.
        """
        places = (prior.start, one.start)
        names = [self._at(place - 2).text.rstrip("0123456789{}").rstrip("_") for place in places]
        signs = [self._at(place - 1).kind for place in places]
        computed = self._at(prior.start - 3).kind in ("numeral", "operator", "close")
        other = prior.quantity and one.quantity and not _is_restated(prior, one)
        listed = bool(other) and len(between) == 3 and between[0].kind == "comma"
        linked = listed or between[0].text.lower() in ("or", "and")
        return linked and names[0] == names[1] and signs == ["relation"] * 2 and not computed


def _is_restated(prior: Found, one: Found) -> bool:
    """Whether two expressions are the same number, as in `3/4 or 0.75`."""
    if prior.quantity is None or one.quantity is None:
        return False
    return one.quantity.equals(prior.quantity)
