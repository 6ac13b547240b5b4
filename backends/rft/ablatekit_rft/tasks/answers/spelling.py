"""Short answers: items with a name and a unit, and when two spellings are one answer.

The rules are those of the field's published normalisations (Hendrycks et al., arXiv:2103.03874;
Lewkowycz et al., arXiv:2206.14858, appendix D.1; Lightman et al., arXiv:2305.20050), with one
difference: what they drop from each answer alone (a unit, a percent sign, the `x=` in front) is
dropped here only where the other answer has none, so that 5 cm is not 5 m.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ablatekit_rft.tasks.answers.notation import Node, Nodes, fraction, read_notation, sign
from ablatekit_rft.tasks.answers.symbols import (
    CLOSING,
    FUNCTIONS,
    OPENING,
    RELATIONS,
    SEPARATORS,
)
from ablatekit_rft.tasks.answers.units import canonical_unit, currency, is_unit_text

_IN_TEXT = re.compile(r"\\(?:text|mbox|textbf|textit|textrm|mathrm|operatorname)\b")
_END_MARKS = frozenset((".", ",", ";", ":"))
_HALF = (Node("number", "0.5"),)
_MOST_BRACKETS = 5
_LEAST_WORD = 3
"""Letters of a word whose case does not count: AB and ab are other products."""


@dataclass(frozen=True, slots=True)
class Item:
    """One item of an answer: its expression, the `x=` in front of it and the unit behind it."""

    nodes: Nodes
    name: Nodes = ()
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """The items of an answer in their order, and the signs between them.

    `in_text`: part of the answer is set as text. `choice`: the capital letter that the answer is,
    in brackets or not; `chosen`: the one that it is, or begins with as the mark of a choice.
    """

    items: tuple[Item, ...]
    separators: tuple[str, ...]
    in_text: bool
    choice: str
    chosen: str

    @property
    def letters(self) -> str:
        """The word that the answer is; empty if it is none."""
        if len(self.items) != 1 or self.items[0].unit or self.items[0].name:
            return ""
        nodes = self.items[0].nodes
        plain = all(node.kind in ("letter", "text") and node.name.isalpha() for node in nodes)
        longest = max((len(node.name) for node in nodes if node.kind == "letter"), default=1)
        return "".join(node.name for node in nodes) if plain and longest == 1 else ""


def read_answer(text: str, *, grouped: bool = True) -> Answer | None:
    """The answer in a text; None if it is empty or no well-formed LaTeX.

    `grouped` as in `read_notation`.
    """
    nodes = read_notation(text, grouped=grouped)
    while nodes and nodes[-1].kind == "sign" and nodes[-1].name in _END_MARKS:
        nodes = nodes[:-1]
    if not nodes:
        return None
    parts = [part for part in split(nodes, SEPARATORS) if part]
    if not parts:
        return None
    separators = tuple(node.name for node in top_level_signs(nodes) if node.name in SEPARATORS)
    choice, chosen = _choice(parts[0]) if len(parts) == 1 else ("", "")
    in_text = _IN_TEXT.search(text) is not None
    return Answer(tuple(map(_item, parts)), separators, in_text, choice, chosen)


def top_level_signs(nodes: Nodes) -> list[Node]:
    """The signs outside of brackets."""
    found, depth = [], 0
    for node in nodes:
        if node.kind == "sign":
            depth += (node.name in OPENING) - (node.name in CLOSING)
            if depth <= 0 and node.name not in CLOSING:
                found.append(node)
    return found


def split(nodes: Nodes, signs: frozenset[str]) -> list[Nodes]:
    """The parts between those of the signs that stand outside of brackets."""
    parts: list[list[Node]] = [[]]
    depth = 0
    for node in nodes:
        if node.kind == "sign":
            depth += (node.name in OPENING) - (node.name in CLOSING)
        if node.kind == "sign" and node.name in signs and depth <= 0:
            parts.append([])
        else:
            parts[-1].append(node)
    return [tuple(part) for part in parts]


def equal_answers(gold: str, answer: str) -> bool:
    """Whether two answers are spellings of one; nothing is computed."""
    return any(same_spelling(*pair) for pair in read_pair(gold, answer))


def read_pair(gold: str, answer: str) -> Iterator[tuple[Answer, Answer]]:
    """Two answers in each reading that holds for both; nothing if one cannot be read.

    A comma before three digits separates thousands; it may separate items where the other answer,
    or the rest of the same one, is a list: 100,200,300 and 100, 200, 300.
    """
    one, other = read_answer(gold), read_answer(answer)
    if one is None or other is None:
        return
    yield one, other
    if len(one.items) > 1 or len(other.items) > 1:
        one, other = read_answer(gold, grouped=False), read_answer(answer, grouped=False)
        if one is not None and other is not None:
            yield one, other


def same_spelling(gold: Answer, answer: Answer) -> bool:
    """Whether two answers that have been read are spellings of one."""
    if gold.choice and gold.choice == answer.chosen:
        return True
    if gold.letters and answer.letters:
        return same_words(gold, answer)
    return len(gold.items) == len(answer.items) and all(
        compatible(one, other) and _spelled(one.nodes) == _spelled(other.nodes)
        for one, other in zip(gold.items, answer.items, strict=True)
    )


def same_words(gold: Answer, answer: Answer) -> bool:
    """Whether two answers are the same word; case counts only between two formulas."""
    one, other = gold.letters, answer.letters
    as_text = gold.in_text or answer.in_text or min(len(one), len(other)) > _LEAST_WORD
    if as_text and _is_word(one) and _is_word(other):
        return one.casefold() == other.casefold()
    return one == other


def _is_word(letters: str) -> bool:
    return len(letters) >= _LEAST_WORD or (len(letters) > 1 and letters[1:].islower())


def compatible(gold: Item, answer: Item) -> bool:
    """Whether unit and name are the same, or missing in one of the two."""
    names = gold.name == answer.name or not gold.name or not answer.name
    return names and same_unit(gold, answer)


def same_unit(gold: Item, answer: Item) -> bool:
    """Whether the unit is the same, or missing in one of the two.

    The key 0.5 is not 0.5%: a key that is a proportion says so.
    """
    if answer.unit == "%" and not gold.unit and _is_proportion(gold.nodes):
        return False
    return gold.unit == answer.unit or not gold.unit or not answer.unit


def _is_proportion(nodes: Nodes) -> bool:
    (first, *_) = nodes
    return first.name == "frac" or (first.kind == "number" and first.name.startswith("0."))


def _choice(nodes: Nodes) -> tuple[str, str]:
    """The capital letter of a multiple choice, `(B)`, and the letter that an answer chooses.

    A chosen letter may stand without brackets, and with the answer that it stands for behind it:
    B, `(B) 12`, `B. 12`.
    """
    names = [node.name for node in nodes[:3]]
    bracketed = len(names) == 3 and names[0] == "(" and names[2] == ")"
    letter = names[1] if bracketed else names[0]
    if len(letter) != 1 or not "A" <= letter <= "Z":
        return "", ""
    length = 3 if bracketed else 1
    if len(nodes) == length:
        return letter, letter
    marked = bracketed or names[1] in (".", ")", ":")
    explained = nodes[length].kind != "sign" if bracketed else len(nodes) > length + 1
    return "", letter if marked and explained else ""


def _item(nodes: Nodes) -> Item:
    name, rest = _named(nodes)
    rest, unit = _measured(rest)
    return Item(_unwrapped(rest), name, unit)


def _named(nodes: Nodes) -> tuple[Nodes, Nodes]:
    """What is named in `x=`, `f(x)=` or `x \\in`, and what it is said to be."""
    places = [i for i, node in enumerate(nodes) if node.kind == "sign" and node.name in RELATIONS]
    if len(places) != 1 or nodes[places[0]].name not in ("=", "in"):
        return (), nodes
    end = places[0]
    name = nodes[: end + 1]
    named = is_name(nodes[:end]) and end + 1 < len(nodes)
    return (name, nodes[end + 1 :]) if named else ((), nodes)


def is_name(nodes: Nodes) -> bool:
    """A letter, with an index, a function of something, a point: x, a_1, f(x), P(A), (x,y)."""
    if nodes[:1] == (sign("("),) and _closing(nodes) == len(nodes) - 1:
        inner = split(nodes[1:-1], frozenset((",",)))
        return len(inner) > 1 and all(map(is_name, inner))
    if not nodes or nodes[0].kind != "letter" or nodes[0].name == "pi":
        return False
    rest = nodes[1:]
    while rest and (rest[0].kind == "_" or rest[0] == sign("'")):
        rest = rest[1:]
    return not rest or (rest[0] == sign("(") and _closing(rest) == len(rest) - 1)


def _closing(nodes: Nodes) -> int:
    """Where the bracket closes that the first node opens; -1 if nowhere."""
    depth = 0
    for i, node in enumerate(nodes):
        if node.kind == "sign":
            depth += (node.name in OPENING) - (node.name in CLOSING)
        if depth == 0:
            return i
    return -1


def _measured(nodes: Nodes) -> tuple[Nodes, str]:
    """The expression in front of a unit, and the unit's one name."""
    first = 1 if nodes[:1] == (sign("-"),) else 0
    front, length = _currency(nodes[first:])
    if front and len(nodes) > first + length:
        rest, behind = _measured(nodes[:first] + nodes[first + length :])
        return rest, front if behind in ("", front) else f"{front} {behind}"
    nodes = _without_brackets(nodes)
    end = len(nodes)
    while end > 0 and _in_unit(nodes[:end]):
        end -= 1
    while end < len(nodes) and nodes[end].kind in ("sign", "^"):
        end += 1
    words = _unit_words(nodes[end:])
    inner = any(node.kind in ("function", "unit") for node in nodes[:end])
    usable = words and _ends_expression(nodes[:end]) and not inner
    unit = canonical_unit(words) if usable else ""
    return (nodes[:end], unit) if unit else (nodes, "")


def _currency(nodes: Nodes) -> tuple[str, int]:
    """The currency in front of a number, and how many nodes it takes: $, `\\text{USD}`, `Rs.`"""
    name = currency(nodes[0].name) if nodes and nodes[0].kind in ("unit", "text") else ""
    length = 2 if nodes[1:2] == (sign("."),) else 1
    then = nodes[length] if len(nodes) > length else sign("")
    return (name, length) if name and (name == "$" or then.kind == "number") else ("", 0)


def _without_brackets(nodes: Nodes) -> Nodes:
    """The nodes, where they end in words in brackets without these brackets: 10 (units)."""
    opened = max((i for i, node in enumerate(nodes) if node == sign("(")), default=0)
    inner = nodes[opened + 1 : -1]
    words = opened > 0 and nodes[-1] == sign(")") and all(node.kind == "text" for node in inner)
    return nodes[:opened] + inner if words and inner else nodes


def _in_unit(nodes: Nodes) -> bool:
    """Whether the last of the nodes can be part of a unit."""
    last = nodes[-1]
    if last.kind in ("text", "unit"):
        return True
    if last.kind == "letter" and last.name in "CF":
        return nodes[-2:-1] == (Node("unit", "°"),)
    if last.kind == "^" and len(nodes) > 1:
        return nodes[-2].kind == "text"
    joins = last.kind == "sign" and last.name in ("/", "cdot", "-", ".")
    return (joins and len(nodes) > 1 and nodes[-2].kind in ("text", "^")) or _unit_ratio(last)


def _unit_ratio(node: Node) -> bool:
    parts = [one for part in node.parts for one in part]
    return node.name == "frac" and all(one.kind == "text" for one in parts) and bool(parts)


def _unit_words(nodes: Nodes) -> tuple[str, ...]:
    """The words and signs of a unit; empty where one of them says a value."""
    names = [node.name for node in nodes]
    if names[:1] == ["°"] and names[1:] in (["C"], ["F"], ["Celsius"], ["Fahrenheit"]):
        return (f"°{names[1][0]}",)
    words: list[str] = []
    for node in nodes:
        if node.kind == "text" and not is_unit_text(node.name):
            return ()
        if _unit_ratio(node):
            top, bottom = (_unit_words(part) for part in node.parts)
            words += [*top, "/", *bottom] if top and bottom else []
        elif node.kind == "^":
            words.append("^" + "".join(one.name for one in node.parts[0]))
        else:
            words.append(node.name)
    return tuple(words)


def _ends_expression(nodes: Nodes) -> bool:
    if not nodes:
        return False
    last = nodes[-1]
    if last.kind == "sign":
        return last.name in CLOSING or last.name in ("!", "|", "'")
    return (
        last.kind in ("number", "letter", "call", "^", "_", "unit") and last.name not in FUNCTIONS
    )


def _unwrapped(nodes: Nodes) -> Nodes:
    """Without brackets around the whole; a half as the fraction, as the field has it."""
    listed = any(node.kind == "sign" and node.name in SEPARATORS for node in nodes)
    for _ in range(_MOST_BRACKETS if not listed else 0):
        if nodes[:1] != (sign("("),) or _closing(nodes) != len(nodes) - 1 or len(nodes) < 3:
            break
        nodes = nodes[1:-1]
    return (fraction((Node("number", "1"),), (Node("number", "2"),)),) if nodes == _HALF else nodes


def _spelled(nodes: Sequence[Node]) -> Nodes:
    """Words as their letters: `\\text{Evelyn}` is Evelyn."""
    out: list[Node] = []
    for node in nodes:
        if node.kind == "text":
            out += [Node("letter", letter) for letter in node.name]
        else:
            out.append(Node(node.kind, node.name, tuple(_spelled(part) for part in node.parts)))
    return tuple(out)
