"""Formulas: what the tree of an answer computes, as operations on numbers and letters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType

from ablatekit_rft.tasks.answers.notation import Node, Nodes, UnreadableError, sign
from ablatekit_rft.tasks.answers.symbols import FUNCTIONS, LETTERS

_MOST_NESTED = 40
_MOST_DIGITS = 4_000
"""Python converts no longer texts into whole numbers."""
_CONSTANTS = ("pi", "e", "i")
_MULTIPLIERS: Mapping[str, int] = MappingProxyType(
    {
        "dozen": 12,
        "hundred": 100,
        "thousand": 1000,
        "million": 10**6,
        "billion": 10**9,
        "trillion": 10**12,
    }
)
_INVERSES: Mapping[str, str] = MappingProxyType({"sin": "arcsin", "cos": "arccos", "tan": "arctan"})
COMPUTED = FUNCTIONS - {"log", "lg", "max", "min", "gcd", "lcm", "det", "arg", "deg", "lim"}
"""Functions of one argument that are computed."""


@dataclass(frozen=True, slots=True)
class Formula:
    """An operation on formulas; `name` is a letter, a constant or a function, `value` a number."""

    operation: str
    arguments: tuple[Formula, ...] = ()
    name: str = ""
    value: Fraction = Fraction(0)

    def letters(self) -> frozenset[str]:
        """The letters whose value is not given."""
        own = {"letter": {self.name}, "sign": {"pm"}}.get(self.operation, set())
        return frozenset(own).union(*(one.letters() for one in self.arguments))


def number(value: int | Fraction) -> Formula:
    """A rational number."""
    return Formula("number", value=Fraction(value))


def product(factors: Sequence[Formula]) -> Formula:
    """The product of some formulas, the formula itself for one."""
    return factors[0] if len(factors) == 1 else Formula("*", tuple(factors))


def read_formula(nodes: Nodes) -> Formula:
    """The formula that a tree writes. Raises UnreadableError if it is none."""
    parser = _Parser(nodes)
    formula = parser.sum()
    if parser.place < len(nodes):
        raise UnreadableError(f"unexpected {nodes[parser.place].name!r}")
    return formula


class _Parser:
    """Reads formulas from a place of a tree's level on."""

    def __init__(self, nodes: Nodes) -> None:
        self.nodes = nodes
        self.place = 0
        self.bars = 0
        self.nested = 0

    def peek(self) -> Node:
        return self.nodes[self.place] if self.place < len(self.nodes) else Node("end", "")

    def next_is(self, *signs: str) -> bool:
        node = self.peek()
        return node.kind == "sign" and node.name in signs

    def take(self) -> Node:
        node = self.peek()
        self.place += 1
        return node

    def sum(self) -> Formula:
        terms: list[Formula] = []
        while not terms or self.next_is("+", "-", "pm", "mp"):
            terms.append(self.signed())
        return terms[0] if len(terms) == 1 else Formula("+", tuple(terms))

    def signed(self) -> Formula:
        """A term with the signs in front of it."""
        signs: list[Formula] = []
        while self.next_is("+", "-", "pm", "mp"):
            name = self.take().name
            if name != "+":
                signs.append(number(-1) if name == "-" else Formula("sign", name=name))
        return product([*signs, *self.factors()])

    def factors(self) -> list[Formula]:
        """What stands between two sums, divisors as reciprocals."""
        found = [self.power()]
        while True:
            if self.next_is("cdot", "times"):
                self.place += 1
                found.append(self.factor())
            elif self.next_is("/", "div"):
                self.place += 1
                found.append(Formula("/", (number(1), self.factor())))
            elif self.starts_factor():
                found.append(self.juxtaposed())
            else:
                return found

    def factor(self) -> Formula:
        """What stands behind an operator: its sign may be its own."""
        negative = self.next_is("-")
        self.place += negative
        power = self.power()
        return product([number(-1), power]) if negative else power

    def starts_factor(self) -> bool:
        node = self.peek()
        if node.kind == "sign":
            opens = node.name in ("(", "[", "lfloor", "lceil")
            return opens or (node.name == "|" and not self.bars)
        return node.kind in ("letter", "call", "function", "number", "text")

    def juxtaposed(self) -> Formula:
        if self.peek().kind == "number" and self.nodes[self.place - 1].kind == "number":
            raise UnreadableError("two numbers side by side")
        return self.power()

    def power(self) -> Formula:
        formula = self.mixed() or self.primary()
        for _ in range(_MOST_NESTED):
            node = self.peek()
            if node.kind == "^":
                self.place += 1
                formula = Formula("^", (formula, read_formula(node.parts[0])))
            elif node == sign("!"):
                self.place += 1
                formula = Formula("!", (formula,))
            elif node.kind == "unit" and node.name in ("%", "°"):
                self.place += 1
                share = number(Fraction(1, 100))
                formula = product([formula, share if node.name == "%" else _DEGREE])
            else:
                return formula
        raise UnreadableError("too many signs behind a number")

    def mixed(self) -> Formula | None:
        """A whole number and a fraction of two whole ones side by side: their sum."""
        pair = self.nodes[self.place : self.place + 2]
        if len(pair) < 2 or pair[0].kind != "number" or pair[1].name != "frac":
            return None
        whole = all(part[0].kind == "number" and len(part) == 1 for part in pair[1].parts if part)
        digits = (pair[0].name, *(one.name for part in pair[1].parts for one in part))
        if not whole or len(digits) != 3 or not all(one.isdigit() for one in digits):
            return None
        self.place += 2
        above, below = (read_formula(part) for part in pair[1].parts)
        return Formula("+", (_decimal(pair[0].name), Formula("/", (above, below))))

    def primary(self) -> Formula:
        node = self.take()
        readers: Mapping[str, Callable[[Node], Formula]] = {
            "number": self.numeral,
            "letter": self.letter,
            "text": self.text,
            "call": self.call,
            "function": self.function,
            "sign": self.bracketed,
        }
        self.nested += 1
        if node.kind not in readers or self.nested > _MOST_NESTED:
            raise UnreadableError(f"no formula starts with {node.name!r}")
        formula = readers[node.kind](node)
        self.nested -= 1
        return formula

    def numeral(self, node: Node) -> Formula:
        """A number; with an index it is a numeral in another base, which is like a letter."""
        index = self.index()
        return _decimal(node.name) if index in ("", "10") else _letter(f"{node.name}_{index}")

    def letter(self, node: Node) -> Formula:
        index = self.index()
        if self.next_is("'"):
            raise UnreadableError("a derivative")
        if node.name in _CONSTANTS and not index:
            return Formula("constant", name=node.name)
        if len(node.name) > 1 and node.name not in LETTERS:
            raise UnreadableError(f"the command {node.name!r}")
        applied = node.name in ("f", "g", "h") and self.next_is("(")
        if applied:
            raise UnreadableError("an unknown function")
        return _letter(f"{node.name}_{index}" if index else node.name)

    def index(self) -> str:
        node = self.peek()
        if node.kind != "_":
            return ""
        self.place += 1
        return _flat(node.parts[0])

    def text(self, node: Node) -> Formula:
        multiplier = _MULTIPLIERS.get(node.name.removesuffix("s"))
        if multiplier and self.place > 1:
            return number(multiplier)
        if len(node.name) == 1:
            return _letter(node.name)
        raise UnreadableError(f"the word {node.name!r}")

    def call(self, node: Node) -> Formula:
        if node.name not in ("frac", "sqrt", "binom"):
            if node.name in ("overline", "vec", "hat", "mathbb", "mathcal", "mathfrak"):
                return _letter(f"{node.name} {_flat(node.parts[0])}")
            raise UnreadableError(f"the command {node.name!r}")
        parts = tuple(read_formula(part) for part in node.parts)
        return Formula("/" if node.name == "frac" else node.name, parts)

    def function(self, node: Node) -> Formula:
        name, power = node.name, None
        base = read_formula(self.take().parts[0]) if self.peek().kind == "_" else None
        if self.peek().kind == "^":
            power = read_formula(self.take().parts[0])
        argument = self.argument()
        if power == Formula("*", (number(-1), number(1))) and name in _INVERSES:
            name, power = _INVERSES[name], None
        if name in ("log", "lg"):
            formula = Formula("log", (argument, base or number(10)))
        elif name in COMPUTED and base is None:
            formula = Formula("function", (argument,), name=name)
        else:
            raise UnreadableError(f"the function {name!r}")
        return Formula("^", (formula, power)) if power else formula

    def argument(self) -> Formula:
        """What a function is of: a bracket, or the product up to the next sign or function."""
        if self.next_is("(", "["):
            return self.bracketed(self.take())
        factors = [self.factor()]
        while self.starts_factor() and self.peek().kind not in ("function", "sign"):
            factors.append(self.juxtaposed())
        return product(factors)

    def bracketed(self, node: Node) -> Formula:
        closing = {"(": ")", "[": "]", "lfloor": "rfloor", "lceil": "rceil", "|": "|"}
        if node.name not in closing:
            raise UnreadableError(f"the sign {node.name!r}")
        bars, self.bars = self.bars, int(node.name == "|")
        inner = self.sum()
        self.bars = bars
        if not self.next_is(closing[node.name]):
            raise UnreadableError("a bracket is not closed")
        self.place += 1
        operation = {"lfloor": "floor", "lceil": "ceil", "|": "abs"}.get(node.name)
        return Formula(operation, (inner,)) if operation else inner


_DEGREE = Formula("/", (Formula("constant", name="pi"), number(180)))


def _letter(name: str) -> Formula:
    return Formula("letter", name=name)


def _decimal(name: str) -> Formula:
    """The value of a decimal whose digits in round brackets repeat without end."""
    if len(name) > _MOST_DIGITS:
        raise UnreadableError("a number of thousands of digits")
    fixed, _, period = name.rstrip(")").partition("(")
    value = Fraction(fixed + ("0" if fixed.endswith(".") else ""))
    if period:
        decimals = len(fixed.partition(".")[2])
        value += Fraction(int(period), (10 ** len(period) - 1) * 10**decimals)
    return number(value)


def _flat(nodes: Sequence[Node]) -> str:
    return "".join(f"{node.name}{''.join(map(_flat, node.parts))}" for node in nodes)
