"""Answers as mathematics: lists, sets, points, intervals, matrices, relations; when two are one.

A list and a set have no order, a point has; (0,1) is a point and an open interval, whichever the
other answer is. Equations are one if they are proportional, inequalities if they describe one
region. What a unit, a percent sign or an `x=` says must not contradict the other answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TypeVar

from ablatekit_rft.tasks.answers.formulas import (
    Formula,
    number,
    read_formula,
)
from ablatekit_rft.tasks.answers.notation import Node, Nodes, UnreadableError, sign
from ablatekit_rft.tasks.answers.spelling import (
    Answer,
    Item,
    is_name,
    same_unit,
    split,
    top_level_signs,
)
from ablatekit_rft.tasks.answers.symbols import CLOSING, OPENING, RELATIONS
from ablatekit_rft.tasks.answers.values import TooLargeError, equal_formulas, proportional

T = TypeVar("T")

_CLOSED_BY = {"(": ")", "[": "]", "\\{": "\\}", "langle": "rangle"}
_FLIPPED = {">": "<", "ge": "le"}
_LEAST_BARE_WORD = 4
_NOTHING: Nodes = (Node("letter", "emptyset"),)
_INFINITY = Formula("letter", name="infty")
_BELOW = Formula("*", (number(-1), _INFINITY))


@dataclass(frozen=True, slots=True)
class Interval:
    """From `low` to `high`; whether these belong to it; the letter whose values these are."""

    low: Formula
    high: Formula
    low_closed: bool
    high_closed: bool
    letter: str = ""


def same_meaning(gold: Answer, answer: Answer) -> bool:
    """Whether two answers say the same.

    Raises UnreadableError for an answer that is no formula of those that are read here, and
    ArithmeticError for one without a value, or with one that is not computed.
    """
    if gold.choice or _is_text(gold) or _is_text(answer):
        return False
    gold, answer = _unbuilt(gold), _unbuilt(answer)
    one, other = _regions(gold), _regions(answer)
    if one is not None and other is not None:
        return _matched(one, other, _same_interval)
    items, others = _items(gold), _items(answer)
    if len(items) != len(others):
        return False
    in_order = any(len({item.name for item in one}) > 1 for one in (items, others))
    if in_order and not all(item.name for item in (*items, *others)):
        return all(map(_same_item, items, others))
    return _matched(items, others, _same_item)


def _unbuilt(answer: Answer) -> Answer:
    """The condition of a set that is written as {x | condition}; other answers as they are."""
    inner = _inside(answer.items[0].nodes, "\\{") if len(answer.items) == 1 else None
    parts = split(inner or (), frozenset(("|", ":")))
    if len(parts) != 2 or not parts[0] or not is_name(parts[0][:1]):
        return answer
    if parts[0][1:] not in ((), (sign("in"), *_REALS)) or not _has(parts[1], RELATIONS):
        return answer
    return replace(answer, items=(replace(answer.items[0], nodes=parts[1]),))


def has_value(answer: Answer) -> bool:
    """Whether no item divides by zero, say, as far as it is a formula without letters."""
    for item in answer.items:
        try:
            formula = read_formula(item.nodes)
            if not formula.letters():
                equal_formulas(formula, number(0))
        except (UnreadableError, TooLargeError):
            continue
        except ArithmeticError:
            return False
    return True


def _is_text(answer: Answer) -> bool:
    """Whether the answer is a word: set as text, or no product of different letters."""
    word = answer.letters
    repeated = len(set(word)) < len(word)
    bare = len(word) >= _LEAST_BARE_WORD or (len(word) > 1 and repeated)
    return bare or (len(word) > 1 and answer.in_text)


def _matched(ones: Sequence[T], others: Sequence[T], same: Callable[[T, T], bool]) -> bool:
    """Whether each of the ones is the same as one of the others, in any order."""
    left = list(others)
    for one in ones:
        partner = next((i for i, other in enumerate(left) if same(one, other)), None)
        if partner is None:
            return False
        del left[partner]
    return not left


def _items(answer: Answer) -> list[Item]:
    """The items of a list or of a set, those with a plus-minus sign twice."""
    items = list(answer.items)
    if len(items) == 1:
        inner = _inside(items[0].nodes, "\\{")
        if inner and inner != _NOTHING and not _has(inner, RELATIONS | {"|", ":"}):
            parts = split(inner, frozenset((",", ";")))
            name = tuple(sign("=") if node == sign("in") else node for node in items[0].name)
            items = [replace(items[0], nodes=part, name=name) for part in parts]
    first, *rest = items
    if first.name and not any(item.name or _has(item.nodes, RELATIONS) for item in rest):
        items = [replace(item, name=first.name) for item in items]
    return [one for item in items for one in _both_signs(item)]


def _both_signs(item: Item) -> list[Item]:
    upper, lower = (_signed(item.nodes, signs) for signs in (_UPPER, _LOWER))
    return [item] if upper == lower else [replace(item, nodes=one) for one in (upper, lower)]


_UPPER = MappingProxyType({"pm": sign("+"), "mp": sign("-")})
_LOWER = MappingProxyType({"pm": sign("-"), "mp": sign("+")})


def _signed(nodes: Nodes, signs: Mapping[str, Node]) -> Nodes:
    """The nodes with one of the signs of each plus-minus."""
    return tuple(
        signs.get(node.name, node)
        if node.kind == "sign"
        else replace(node, parts=tuple(_signed(part, signs) for part in node.parts))
        for node in nodes
    )


def _has(nodes: Nodes, signs: frozenset[str]) -> bool:
    """Whether one of the signs stands outside of brackets."""
    return len(split(nodes, signs)) > 1


def _inside(nodes: Nodes, opening: str) -> Nodes | None:
    """What stands between brackets around the whole; None without them."""
    whole = len(nodes) > 1 and nodes[0] == sign(opening) and nodes[-1] == sign(_CLOSED_BY[opening])
    if not whole:
        return None
    depth = 0
    for i, node in enumerate(nodes):
        if node.kind == "sign":
            depth += (node.name in OPENING) - (node.name in CLOSING)
        if depth == 0 and i < len(nodes) - 1:
            return None
    return nodes[1:-1]


def _same_item(gold: Item, answer: Item) -> bool:
    if {gold.unit, answer.unit} in ({"", "%"}, {"", "°"}):
        one, other = (_as_number(item) for item in (gold, answer))
        if one is not None and other is not None and equal_formulas(one, other):
            return True
    if not same_unit(gold, answer):
        return False
    if gold.name and answer.name and gold.name != answer.name:
        if sign("(") in gold.name + answer.name:
            return False
        return _same_relation(_whole(gold), _whole(answer))
    if gold.name and not answer.name and _has(answer.nodes, RELATIONS):
        return _same_relation(_whole(gold), answer.nodes)
    if answer.name and not gold.name and _has(gold.nodes, RELATIONS):
        return _same_relation(gold.nodes, _whole(answer))
    return _same_nodes(gold.nodes, answer.nodes)


def _whole(item: Item) -> Nodes:
    return item.name + item.nodes


def _as_number(item: Item) -> Formula | None:
    """The value with its percent or degree sign; None for what is no single formula."""
    unit = (Node("unit", item.unit),) if item.unit else ()
    try:
        return read_formula(_grouped(item.nodes) + unit)
    except UnreadableError:
        return None


def _grouped(nodes: Nodes) -> Nodes:
    return (sign("("), *nodes, sign(")"))


def _same_nodes(gold: Nodes, answer: Nodes) -> bool:
    if gold == answer:
        return True
    if _has(gold, RELATIONS) and _has(answer, RELATIONS):
        return _same_relation(gold, answer)
    if _has(gold, RELATIONS):
        said = _said_value(gold)
        return said is not None and _same_nodes(said, answer)
    if _has(answer, RELATIONS):
        said = _said_value(answer)
        return said is not None and _same_nodes(gold, said)
    for structure in (_unions, _matrix, _point):
        one, other = structure(gold), structure(answer)
        if one is not None or other is not None:
            return one is not None and other is not None and _same_structure(one, other)
    return equal_formulas(read_formula(gold), read_formula(answer))


@dataclass(frozen=True, slots=True)
class _Structure:
    """Parts of a kind, whose order counts or not."""

    kind: str
    parts: tuple[Nodes, ...]
    ordered: bool = True


def _same_structure(one: _Structure, other: _Structure) -> bool:
    if one.kind != other.kind or len(one.parts) != len(other.parts):
        return False
    if one.ordered:
        return all(map(_same_nodes, one.parts, other.parts))
    return _matched(one.parts, other.parts, _same_nodes)


def _unions(nodes: Nodes) -> _Structure | None:
    parts = split(nodes, frozenset(("cup",)))
    return _Structure("union", tuple(parts), ordered=False) if len(parts) > 1 else None


def _matrix(nodes: Nodes) -> _Structure | None:
    """A matrix, with the factor in front of it in each cell."""
    *factor, matrix = nodes or (sign(""),)
    if matrix.kind != "matrix" or any(node.kind == "matrix" for node in factor):
        return None
    if factor and matrix.name != "matrix":
        return None
    rows = [row for (row,) in matrix.parts]
    shape = "x".join(str(len(row.parts)) for row in rows)
    cells = [cell for row in rows for cell in row.parts]
    if factor:
        cells = [(*factor, *_grouped(cell)) for cell in cells]
    return _Structure(f"{matrix.name} {shape}", tuple(cells))


def _point(nodes: Nodes) -> _Structure | None:
    """A point, an interval, a set or a vector: brackets with commas."""
    ends = (nodes[0].name, nodes[-1].name) if len(nodes) > 1 else ("", "")
    if ends[0] not in ("(", "[", "\\{", "langle") or ends[1] not in (")", "]", "\\}", "rangle"):
        return None
    parts = split(nodes[1:-1], frozenset((",", ";")))
    if len(parts) < 2 and ends == ("(", ")"):
        return None
    return _Structure("".join(ends), tuple(parts), ordered=ends[0] != "\\{")


def _said_value(nodes: Nodes) -> Nodes | None:
    """What a chain says at its end: the 5 of x=5, of AB=5 and of 2+3=5; None for another one.

    Behind a sign of approximation stands no answer.
    """
    exact = split(nodes, frozenset(("approx",)))
    nodes = exact[0] if len(exact) > 1 and not _is_label(exact[0]) else nodes
    *before, last = split(nodes, frozenset(("=", "approx", "in")))
    if _has(last, RELATIONS) or any(_has(part, RELATIONS) for part in before) or not last:
        return None
    told = all(_is_label(part) or _computes(part, last) for part in before)
    return last if told else None


def _computes(part: Nodes, last: Nodes) -> bool:
    formula = read_formula(part)
    return not formula.letters() and equal_formulas(formula, read_formula(last))


def _is_label(nodes: Nodes) -> bool:
    """A name of a quantity: x, f(x), AB, an angle, a word; no sum, product or power."""
    if is_name(nodes):
        return True
    return bool(nodes) and all(map(_in_label, nodes))


def _in_label(node: Node) -> bool:
    if node.kind == "letter":
        return node.name in ("angle", "triangle") or node.name.isupper()
    allowed = {"sign": ("|", "(", ")", "'"), "call": ("overline", "vec", "hat")}
    return node.kind in ("text", "_") or node.name in allowed.get(node.kind, ())


def _same_relation(gold: Nodes, answer: Nodes) -> bool:
    """Whether two relations hold for the same values, as far as proportions show it."""
    one, other = _links(gold), _links(answer)
    if len(one) != len(other):
        return False
    backward = [_turned(link) for link in reversed(other)]
    return all(map(_same_link, one, other)) or all(map(_same_link, one, backward))


Link = tuple[Formula, str, Formula]


def _links(nodes: Nodes) -> list[Link]:
    """The single relations of a chain."""
    signs = [node.name for node in top_level_signs(nodes) if node.name in RELATIONS]
    sides = [read_formula(part) for part in split(nodes, RELATIONS)]
    return list(zip(sides[:-1], signs, sides[1:], strict=True))


def _turned(link: Link) -> Link:
    left, relation, right = link
    turned = {"<": ">", ">": "<", "le": "ge", "ge": "le"}
    return right, turned.get(relation, relation), left


def _same_link(one: Link, other: Link) -> bool:
    one, other = (_turned(link) if link[1] in _FLIPPED else link for link in (one, other))
    if one[1] != other[1] or one[1] not in ("=", "ne", "<", "le"):
        return False
    first, second = (_difference(link) for link in (one, other))
    return proportional(first, second, positive=one[1] in ("<", "le"))


def _difference(link: Link) -> Formula:
    left, _, right = link
    return Formula("+", (left, Formula("*", (number(-1), right))))


def _regions(answer: Answer) -> list[Interval] | None:
    """The intervals that an answer describes; None if it describes none."""
    if len(answer.items) > 1 and "or" not in answer.separators:
        return None
    found: list[Interval] = []
    for item in answer.items:
        named = item.name[-1:] == (sign("in"),)
        if item.unit or (item.name and not named):
            return None
        for part in split(item.nodes, frozenset(("cup",))):
            intervals = _intervals(part)
            if intervals is None:
                return None
            letter = item.name[0].name if named else ""
            found += [replace(one, letter=one.letter or letter) for one in intervals]
    return found


def _intervals(nodes: Nodes) -> list[Interval] | None:
    try:
        return _of_brackets(nodes) or _of_relation(nodes)
    except UnreadableError:
        return None


def _of_brackets(nodes: Nodes) -> list[Interval] | None:
    point = _point(nodes)
    if point is None or len(point.parts) != 2 or point.kind not in ("()", "[]", "(]", "[)"):
        return _of_reals(nodes)
    low, high = (read_formula(part) for part in point.parts)
    return [Interval(low, high, point.kind[0] == "[", point.kind[1] == "]")]


def _of_reals(nodes: Nodes) -> list[Interval] | None:
    """All reals, or all but one."""
    if nodes == _REALS:
        return [Interval(_BELOW, _INFINITY, False, False)]
    excluded = _inside(nodes[2:], "\\{") if nodes[:2] == (*_REALS, sign("backslash")) else None
    if not excluded or _has(excluded, frozenset((",", ";"))):
        return None
    value = read_formula(excluded)
    ends = ((_BELOW, value), (value, _INFINITY))
    return [Interval(low, high, False, False) for low, high in ends]


_REALS: Nodes = (Node("call", "mathbb", ((Node("letter", "R"),),)),)


def _of_relation(nodes: Nodes) -> list[Interval] | None:
    """The intervals of an inequality in one letter that stands alone on its side."""
    if not _has(nodes, RELATIONS):
        return None
    links = [_turned(one) if one[1] in _FLIPPED else one for one in _links(nodes)]
    if len(links) == 1:
        return _half_line(links[0])
    if len(links) != 2 or any(link[1] not in ("<", "le") for link in links):
        return None
    first, second = links if links[0][2] == links[1][0] else links[::-1]
    if first[2] != second[0] or not _is_unknown(first[2], first[0], second[2]):
        return None
    closed = (first[1] == "le", second[1] == "le")
    return [Interval(first[0], second[2], *closed, first[2].name)]


def _half_line(link: Link) -> list[Interval] | None:
    left, relation, right = link
    if relation == "ne" and _is_unknown(left, right):
        ends = ((_BELOW, right), (right, _INFINITY))
        return [Interval(low, high, False, False, left.name) for low, high in ends]
    if relation not in ("<", "le"):
        return None
    closed = relation == "le"
    if left.operation == "abs" and _is_unknown(left.arguments[0], right):
        below = Formula("*", (number(-1), right))
        return [Interval(below, right, closed, closed, left.arguments[0].name)]
    if _is_unknown(left, right):
        return [Interval(_BELOW, right, False, closed, left.name)]
    return (
        [Interval(left, _INFINITY, closed, False, right.name)] if _is_unknown(right, left) else None
    )


def _is_unknown(formula: Formula, *ends: Formula) -> bool:
    letters = frozenset[str]().union(*(end.letters() for end in ends)) - {"infty"}
    return formula.operation == "letter" and not letters


def _same_interval(one: Interval, other: Interval) -> bool:
    if one.letter and other.letter and one.letter != other.letter:
        return False
    closed = (one.low_closed, one.high_closed) == (other.low_closed, other.high_closed)
    ends = ((one.low, other.low), (one.high, other.high))
    return closed and all(equal_formulas(*pair) for pair in ends)
