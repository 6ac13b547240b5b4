"""LaTeX of short answers as a tree: one tree for the spellings of one expression.

Spacing, font and sizing commands vanish; synonyms (`\\dfrac`, `\\leq`, signs of Unicode) get one
name; `\\frac12` and `\\frac{1}{2}`, `x^2` and `x^{2}`, 1,000 and `1{,}000`, 16.0 and 16 are one.
An argument without braces is one token, as in LaTeX: `\\sqrt23` is the root of 2, times 3. Nothing
is computed, and no digit, letter, sign, row or cell is dropped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ablatekit_rft.tasks.answers.symbols import (
    ARGUMENTS,
    BASES,
    BRACKET_SIZES,
    CLOSING,
    DROPPED_WITH_ARGUMENT,
    FENCED,
    FONTS,
    FUNCTIONS,
    LAYOUT,
    OPENING,
    SIGNS,
    SUBSCRIPTS,
    SUPERSCRIPTS,
    SWITCHES,
    SYNONYMS,
    TERM_ENDS,
    TERM_STARTS,
    TEXT_FONTS,
    UNICODE,
)
from ablatekit_rft.tasks.answers.units import is_unit_text, is_unit_word

MOST_CHARACTERS = 5_000
"""Longer answers are not read."""
_MOST_NESTED = 40

_GROUPING = r"\{,\}|,\\!\s*|\\[,;: ]|~|[ \u00a0\u2009\u202f]"
_THOUSANDS = rf"[1-9]\d{{0,2}}(?:(?:{_GROUPING}|,)\d{{3}})+(?!(?:{_GROUPING}|,)?\d)"
_SPACED = rf"[1-9]\d{{0,2}}(?:(?:{_GROUPING}|,(?=0))\d{{3}})+(?!(?:{_GROUPING}|,(?=0))?\d)"
_DECIMAL = r"(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d{1,3}(?![\d.^A-Za-z]))?"
_GROUPED_NUMBER = re.compile(rf"{_THOUSANDS}(?:\.\d+)?|{_DECIMAL}")
_SPACED_NUMBER = re.compile(rf"{_SPACED}(?:\.\d+)?|{_DECIMAL}")
_REPEATING = re.compile(r"(\d*)\.(\d*)\\(?:overline|bar)\s*(?:\{(\d+)\}|(\d))")
_BLANK = re.compile(
    r"\s+|[~$]|\\[ ,;:!>()\[\]]"
    r"|\\(?:left|right)\s*\.(?!\d)"
    rf"|\\(?:{'|'.join(sorted(BRACKET_SIZES | LAYOUT))})(?![A-Za-z])"
)
_OVER = {"over": "frac", "choose": "binom"}
_HALF_OF_DAY = re.compile(r"(?<![A-Za-z\\])([ap])\. ?m\.", re.IGNORECASE)
_CLOCK = re.compile(r"(\d:\d\d\s*|\d\s+)([ap]m)(?![A-Za-z])", re.IGNORECASE)
_POWER = re.compile(r"(?<=[A-Za-z])\^(?:-?\d|\{-?\d\})")
_TEXT_SPACE = re.compile(r"~|\\[ ,;:!]|\\q?quad(?![A-Za-z])")
_ROW = re.compile(r"\\\\(?:\[-?\d+(?:\.\d+)?(?:pt|em|ex|mm|cm)\])?")
_COMMAND = re.compile(r"\\([A-Za-z]+)\*?|\\(.)", re.DOTALL)
_WORD = re.compile(r"[A-Za-z]+")
_NAME = re.compile(r"\s*\{([a-zA-Z]+)\*?\}")
_COLUMNS = re.compile(r"\s*\{[clr|\s]*\}")
_RAISED = re.compile(f"[{''.join(map(chr, SUPERSCRIPTS))}]+")
_LOWERED = re.compile(f"[{''.join(map(chr, SUBSCRIPTS))}]+")
_WORD_RUN = re.compile(r"[^\W\d_]+")

Nodes = tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Node:
    """A sign of an answer with its arguments.

    `kind`: number, letter, text (a word), unit (a sign such as % or $), function, sign (operators,
    relations, brackets and whatever else), call (a command with arguments), `^`, `_`, matrix, row.
    """

    kind: str
    name: str
    parts: tuple[Nodes, ...] = ()


class UnreadableError(ValueError):
    """A text is no well-formed LaTeX: a brace or an environment is not closed, say."""


def read_notation(text: str, *, grouped: bool = True) -> Nodes | None:
    """The tree of an answer; None for one that is too long, or no well-formed LaTeX.

    `grouped`: commas without a blank before groups of three digits, outside of brackets, separate
    thousands; otherwise only those before a group such as 000, which is no number of its own.
    """
    if len(text) > MOST_CHARACTERS:
        return None
    for character, name in UNICODE.items():
        text = text.replace(character, name)
    text = _RAISED.sub(lambda run: f"^{{{run[0].translate(SUPERSCRIPTS)}}}", text)
    text = _LOWERED.sub(lambda run: f"_{{{run[0].translate(SUBSCRIPTS)}}}", text)
    text = _CLOCK.sub(r"\1\\text{\2}", _HALF_OF_DAY.sub(r"\1m", text))
    reader = _Reader(text, grouped=grouped)
    try:
        nodes = reader.sequence()
    except UnreadableError:
        return None
    return tuple(nodes) if reader.ended else None


def sign(name: str) -> Node:
    """An operator, a relation or a bracket."""
    return Node("sign", name)


def fraction(top: Nodes, bottom: Nodes) -> Node:
    """A quotient."""
    return Node("call", "frac", (top, bottom))


class _Reader:
    """Reads nodes from a place of a text on."""

    def __init__(self, text: str, *, grouped: bool) -> None:
        self.text = text
        self.place = 0
        self.nested = 0
        self.brackets = 0
        self.grouped = grouped

    @property
    def ended(self) -> bool:
        return self.place >= len(self.text)

    def sequence(self, stops: tuple[str, ...] = ()) -> list[Node]:
        """Nodes up to one of the stops, which is left standing, or to the end."""
        self._deeper()
        nodes: list[Node] = []
        while not self.ended and not self.text.startswith(stops, self.place):
            nodes += self._next(nodes)
        self.nested -= 1
        return settled(nodes)

    def _deeper(self) -> None:
        self.nested += 1
        if self.nested > _MOST_NESTED:
            raise UnreadableError("nested too deeply")

    def _next(self, before: Sequence[Node]) -> list[Node]:
        if self._take(_BLANK):
            return []
        number = self._number()
        if number is not None:
            return [number]
        if self.text.startswith("{", self.place):
            return self._braced()
        row = self._take(_ROW) is not None
        if row and not self.text[self.place :].strip():
            return []
        if row or self.text.startswith(("\\end", "}"), self.place):
            raise UnreadableError("closed before it was opened")
        command = self._take(_COMMAND)
        if command:
            return self._command(command[1] or command[2])
        word = self._take(_WORD)
        return self._letters(word[0], before) if word else self._character()

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        match = pattern.match(self.text, self.place)
        if match:
            self.place = match.end()
        return match

    def _number(self) -> Node | None:
        repeating = self._take(_REPEATING)
        if repeating:
            whole, fixed, *period = repeating.groups()
            digits = next(part for part in period if part is not None)
            return Node("number", f"{whole.lstrip('0') or '0'}.{fixed}({digits})")
        by_comma = self.grouped and not self.brackets
        number = self._take(_GROUPED_NUMBER if by_comma else _SPACED_NUMBER)
        return Node("number", plain_number(number[0])) if number else None

    def _braced(self) -> list[Node]:
        self.place += 1
        nodes = self.sequence(("}",))
        if self.ended:
            raise UnreadableError("a brace is not closed")
        self.place += 1
        return nodes

    def _character(self) -> list[Node]:
        character = self.text[self.place]
        self.place += 1
        if character in "^_":
            return [Node(character, "", (tuple(self._argument()),))]
        if character in "([":
            self.brackets += 1
        elif character in ")]":
            self.brackets -= 1
        if character == "%":
            return [Node("unit", "%")]
        if character.isalpha():
            return [Node("letter", character)]
        return [sign("cdot" if character == "*" else character)]

    def _letters(self, word: str, before: Sequence[Node]) -> list[Node]:
        """A word without a font: a function, a unit behind a number, or single letters."""
        measures = len(word) > 1 and before and before[-1].kind == "number"
        if measures and is_unit_word(word):
            return [Node("text", word)]
        if word in FUNCTIONS or word in ("sqrt", "frac", "pi", "infty", "infinity"):
            return self._command({"infinity": "infty"}.get(word, word))
        if word in ("and", "or"):
            return [sign("," if word == "and" else "or")]
        return [Node("letter", letter) for letter in word]

    def _argument(self) -> list[Node]:
        """What a command takes: a group in braces, or one token."""
        self._deeper()
        nodes = self._group_or_token()
        self.nested -= 1
        return nodes

    def _group_or_token(self) -> list[Node]:
        while self._take(_BLANK):
            pass
        if self.ended:
            raise UnreadableError("an argument is missing")
        if self.text.startswith("{", self.place):
            return self._braced()
        if self.text.startswith("-", self.place):
            self.place += 1
            return [sign("-"), *self._argument()]
        command = self._take(_COMMAND)
        if command:
            return settled(self._command(command[1] or command[2]))
        character = self.text[self.place]
        if character.isdigit():
            self.place += 1
            return [Node("number", character)]
        if character in "})]&,":
            raise UnreadableError("an argument is missing")
        return self._character()

    def _command(self, name: str) -> list[Node]:
        name = SYNONYMS.get(name, name)
        special = self._special(name)
        if special is not None:
            return special()
        if name in FONTS:
            return self._font(name)
        if name in DROPPED_WITH_ARGUMENT:
            self._argument()
            return []
        if name in ARGUMENTS:
            parts = [self._argument() for _ in range(ARGUMENTS[name])]
            return [Node("call", name, tuple(tuple(part) for part in parts))]
        if name in FUNCTIONS:
            return [Node("function", name)]
        self.brackets += {"\\{": 1, "\\}": -1}.get(name, 0)
        return [Node(_kind(name), name)]

    def _special(self, name: str) -> Callable[[], list[Node]] | None:
        return {
            "sqrt": self._root,
            "begin": self._environment,
            "textcolor": self._coloured,
            "not": self._negated,
            "$": lambda: [Node("unit", "$")],
            "%": lambda: [Node("unit", "%")],
            "degree": lambda: [Node("unit", "°")],
            "euro": lambda: [Node("text", "euro")],
            "pounds": lambda: [Node("text", "pound")],
        }.get(name)

    def _root(self) -> list[Node]:
        index: tuple[Nodes, ...] = ()
        if self._take(re.compile(r"\s*\[")):
            index = (tuple(self.sequence(("]",))),)
            self.place += 1
        while self._take(_BLANK):
            pass
        radicand = self._bracketed() if self.text.startswith("(", self.place) else self._argument()
        return [Node("call", "sqrt", (tuple(radicand), *index))]

    def _bracketed(self) -> list[Node]:
        """The inside of round brackets: sqrt(3) as people type it."""
        self.place += 1
        self.brackets += 1
        nodes = self.sequence((")",))
        if self.ended:
            raise UnreadableError("a bracket is not closed")
        self.place += 1
        self.brackets -= 1
        return nodes

    def _coloured(self) -> list[Node]:
        self._argument()
        return self._argument()

    def _negated(self) -> list[Node]:
        (node,) = self._argument()[:1] or (sign(""),)
        return [sign({"=": "ne", "in": "notin"}.get(node.name, f"not {node.name}"))]

    def _font(self, name: str) -> list[Node]:
        while self._take(_BLANK):
            pass
        if not self.text.startswith("{", self.place):
            return [] if self.ended or name in SWITCHES else self._argument()
        start = self.place
        nodes = self._braced()
        inside = _TEXT_SPACE.sub(" ", self.text[start + 1 : self.place - 1])
        upright = name in ("mathrm", "operatorname")
        unit = upright and inside.strip() not in ("e", "i", "d") and is_unit_text(inside.strip())
        if name in TEXT_FONTS or unit or (upright and len(inside) > 1):
            return self._words(inside, nodes, operator=name == "operatorname")
        return nodes

    def _words(self, inside: str, nodes: list[Node], *, operator: bool) -> list[Node]:
        """The words and signs of a text; its formulas are read as formulas."""
        name = inside.strip()
        if name in FUNCTIONS and (operator or not is_unit_word(name)):
            return [Node("function", name)]
        inside = inside.replace("\\cdot", ".")
        if any(mark in _POWER.sub("", inside) for mark in "\\$^_"):
            return nodes
        words: list[Node] = []
        for part in re.findall(rf"{_POWER.pattern}|[^\W\d_]+|\d+(?:[.,]\d+)*|[^\s\w]|_", inside):
            if part[0] == "^":
                words.append(Node("^", "", (read_notation(part[1:].strip("{}")) or (),)))
            elif _WORD_RUN.fullmatch(part):
                words.append(_meaning(part) or Node("text", part))
            elif part[0].isdigit():
                words += read_notation(part) or ()
            else:
                words.append(sign(part) if part not in "%$" else Node("unit", part))
        return words

    def _environment(self) -> list[Node]:
        name = self._take(_NAME)
        if not name:
            raise UnreadableError("an environment without a name")
        if name[1] in ("array", "tabular"):
            self._take(_COLUMNS)
        brackets, self.brackets = self.brackets, 1
        rows, cells = [], []
        while True:
            cells.append(tuple(self.sequence(("&", "\\\\", "\\end"))))
            if self.ended:
                raise UnreadableError("an environment is not closed")
            if self.text.startswith("&", self.place):
                self.place += 1
                continue
            rows.append(Node("row", "", tuple(cells)))
            cells = []
            if not self._take(_ROW):
                break
        self.brackets = brackets
        self._close(name[1])
        return [_matrix(name[1], rows)]

    def _close(self, name: str) -> None:
        self.place += len("\\end")
        closing = self._take(_NAME)
        if not closing or closing[1] != name:
            raise UnreadableError("an environment is closed by another name")


def plain_number(spelled: str) -> str:
    """Digits without separators of thousands and without zeros that mean nothing."""
    mantissa, _, exponent = spelled.lower().partition("e")
    whole, _, decimals = re.sub(r"[^\d.]", "", mantissa).partition(".")
    decimals = decimals.rstrip("0")
    plain = (whole.lstrip("0") or "0") + (f".{decimals}" if decimals else "")
    return f"{plain}e{int(exponent)}" if exponent else plain


def _meaning(word: str) -> Node | None:
    joining = {"and": sign(","), "or": sign("or"), "infinity": Node("letter", "infty")}
    return joining.get(word)


def _kind(name: str) -> str:
    return "sign" if name in SIGNS or len(name) == 1 else "letter"


def _matrix(name: str, rows: list[Node]) -> Node:
    while len(rows) > 1 and rows[-1].parts == ((),):
        rows.pop()
    return Node("matrix", FENCED.get(name, name), tuple((row,) for row in rows))


def settled(nodes: list[Node]) -> list[Node]:
    """The nodes of one level in their one spelling."""
    for step in (_over, _scripts, _degrees, _fenced, _sets, _products, _ratios, _signs):
        nodes = step(nodes)
    return nodes


def _over(nodes: list[Node]) -> list[Node]:
    """What plain TeX writes as {a \\over b} and {a \\choose b}."""
    places = [i for i, node in enumerate(nodes) if node.name in _OVER and node.kind == "letter"]
    if len(places) != 1:
        return nodes
    (place,) = places
    parts = (tuple(nodes[:place]), tuple(nodes[place + 1 :]))
    return [Node("call", _OVER[nodes[place].name], parts)]


def _scripts(nodes: list[Node]) -> list[Node]:
    """An index stands before a power; the digits of (101)_2 need no brackets."""
    out: list[Node] = []
    for node in map(_base, nodes):
        if node.kind == "_" and out and out[-1].kind == "^":
            out.insert(len(out) - 1, node)
        elif node.kind == "_" and [one.name for one in out[-3:][::2]] == ["(", ")"]:
            out[-3:] = [out[-2], node] if out[-2].kind == "number" else [*out[-3:], node]
        else:
            out.append(node)
    return out


def _base(node: Node) -> Node:
    """A base that is written as a word, as a number."""
    if node.kind != "_" or len(node.parts[0]) != 1 or node.parts[0][0].kind != "text":
        return node
    base = BASES.get(node.parts[0][0].name)
    return Node("_", "", ((Node("number", base),),)) if base else node


def _degrees(nodes: list[Node]) -> list[Node]:
    """What is raised as the sign of degrees, or as the end of an ordinal, is no power."""
    raised = {((sign("circ"),),): Node("unit", "°")}
    raised |= {((Node("text", end),),): Node("text", end) for end in ("st", "nd", "rd", "th")}
    return [raised.get(node.parts, node) if node.kind == "^" else node for node in nodes]


def _fenced(nodes: list[Node]) -> list[Node]:
    """Brackets around a matrix that has none of its own belong to it."""
    out: list[Node] = []
    for node in nodes:
        inside = len(out) > 1 and out[-1].kind == "matrix" and out[-1].name == "matrix"
        if inside and (out[-2].name, node.name) in (("(", ")"), ("[", "]")):
            out[-2:] = [out[-1]]
        elif inside and out[-2] == node == sign("|"):
            out[-2:] = [Node("matrix", "determinant", out[-1].parts)]
        else:
            out.append(node)
    return out


def _sets(nodes: list[Node]) -> list[Node]:
    """The letter U between two intervals is a union, braces around nothing are the empty set."""
    out = list(nodes)
    if out == [sign("\\{"), sign("\\}")]:
        return [Node("letter", "emptyset")]
    for i in range(1, len(out) - 1):
        between = out[i - 1].name in CLOSING and out[i + 1].name in OPENING
        if between and out[i] == Node("letter", "U"):
            out[i] = sign("cup")
    return out


def _products(nodes: list[Node]) -> list[Node]:
    """One dot for the products of numbers, none between a number and a letter or a root."""
    out: list[Node] = []
    for i, node in enumerate(nodes):
        after = nodes[i + 1] if i + 1 < len(nodes) else sign("")
        before = out[-1] if out else sign("")
        if node.kind == "sign" and node.name in ("cdot", "times"):
            if before.kind == "number" and (after.kind == "letter" or after.name == "sqrt"):
                continue
            numbers = before.kind == "number" or after.kind == "number" or before.name == ")"
            node = sign("cdot") if numbers else node
        out.append(node)
    return out


def _ratios(nodes: list[Node]) -> list[Node]:
    """a/b of numbers, letters and roots that stands alone is a fraction."""
    out: list[Node] = []
    i = 0
    while i < len(nodes):
        three = nodes[i : i + 3]
        if len(three) == 3 and three[1] == sign("/") and _stands_alone(nodes, i):
            out.append(fraction((three[0],), (three[2],)))
            i += 3
        else:
            out.append(nodes[i])
            i += 1
    return out


def _stands_alone(nodes: list[Node], i: int) -> bool:
    """Whether the ratio at a place is a term of its own, or the part of a mixed number."""
    before = nodes[i - 1] if i else None
    after = nodes[i + 3] if i + 3 < len(nodes) else None
    numbers = nodes[i].kind == nodes[i + 2].kind == "number"
    if not numbers and not all(map(_is_single, (nodes[i], nodes[i + 2]))):
        return False
    starts = before is None or before.name in TERM_STARTS or (numbers and before.kind == "number")
    ends = after is None or after.kind in ("text", "unit") or after.name in TERM_ENDS
    return starts and ends


def _is_single(node: Node) -> bool:
    """Whether a node is a number, a letter or a root."""
    letter = node.kind == "letter" or (node.kind == "text" and len(node.name) == 1)
    return letter or node.kind == "number" or node.name == "sqrt"


def _signs(nodes: list[Node]) -> list[Node]:
    """No plus in front of a term; the minus of a fraction stands in front of the fraction."""
    out: list[Node] = []
    for i, node in enumerate(nodes):
        first = not out or (out[-1].kind == "sign" and out[-1].name in TERM_STARTS - {"+", "-"})
        if first and node == sign("+") and i + 1 < len(nodes):
            continue
        minus = first and node.kind == "call" and node.name == "frac"
        out += _signed_fraction(node) if minus else [node]
    return out


def _signed_fraction(node: Node) -> list[Node]:
    top, bottom = node.parts
    negative = False
    if _is_negative_term(top):
        top, negative = top[1:], not negative
    if _is_negative_term(bottom):
        bottom, negative = bottom[1:], not negative
    positive = fraction(top, bottom)
    return [sign("-"), positive] if negative else [positive]


def _is_negative_term(nodes: Nodes) -> bool:
    sums = (sign("+"), sign("-"), sign("pm"), sign("mp"))
    return len(nodes) > 1 and nodes[0] == sign("-") and not any(one in sums for one in nodes[1:])
