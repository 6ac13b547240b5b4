"""Answers of a data set: what kind they are, and the answer key of every row.

The kind is what most rows look like, so that an odd row changes the reading of no other. A row that
looks like another kind is read where it can be, and left out with its place and reason where not.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from ablatekit_rft.tasks.answers.spelling import equal_answers
from ablatekit_rft.tasks.base import AnswerKind
from ablatekit_rft.tasks.query import LeftOut, Query
from ablatekit_rft.tasks.rows import Row
from ablatekit_rft.tasks.verifiers.latex import last_boxed
from ablatekit_rft.tasks.verifiers.numbers import read_key, read_number

HASH = "####"
LATEX_SHARE = 10
"""Of rows that are otherwise numbers, one in so many that is LaTeX makes the data set LaTeX."""

_CALCULATOR = re.compile(r"<<[^<>]*>>")
_DELIMITERS = (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"))
_SHOWN = 60
_KINDS: Mapping[AnswerKind, str] = MappingProxyType(
    {
        "hash": f"numbers behind {HASH}",
        "latex": "LaTeX",
        "number": "numbers",
        "text": "text",
    }
)


@dataclass(frozen=True, slots=True)
class Reading:
    """How the answers of a data set are read.

    whole: answers are text as they stand, because that is declared. worked: most rows have no
    answer but their worked solution. bare: most such solutions are nothing but the answer. looks:
    how many rows look like each kind, read one by one.
    """

    kind: AnswerKind
    whole: bool = False
    worked: bool = False
    bare: bool = False
    looks: Mapping[AnswerKind, int] = field(default_factory=dict)

    def __str__(self) -> str:
        counts = ", ".join(f"{count} {_KINDS[kind]}" for kind, count in self.looks.items() if count)
        looks = f"; answers are read as {_KINDS[self.kind]}, and rows look like {counts}"
        return looks if counts else ""


def reading(rows: Sequence[Row], declared: AnswerKind | None) -> Reading:
    """How to read the answers of these rows: as declared, else by what most of them look like."""
    counts = Counter(map(_looks, rows))
    solutions = [row for row in rows if row.worked]
    return Reading(
        declared or _kind(counts),
        declared == "text",
        _most(row.worked for row in rows),
        not _most(last_boxed(row.answer) is not None for row in solutions),
        {kind: counts[kind] for kind in _KINDS},
    )


def _most(flags: Iterable[bool]) -> bool:
    told = list(flags)
    return 2 * sum(told) > len(told)


def _looks(row: Row) -> AnswerKind:
    """The kind that a row has by itself."""
    hashed = _behind_hash(row.answer)
    answer = row.answer if hashed is None else hashed
    if hashed is not None and read_key(hashed) is not None:
        return "hash"
    if "\\" in answer or last_boxed(row.solution if hashed is None else answer) is not None:
        return "latex"
    return "number" if read_number(answer) is not None else "text"


def _behind_hash(answer: str) -> str | None:
    """The line behind the last `####`, if that is how the answer ends."""
    _, mark, behind = answer.rpartition(HASH)
    return behind.strip() if mark and "\n" not in behind.strip() else None


def _kind(counts: Mapping[AnswerKind, int]) -> AnswerKind:
    """The kind of most rows; plain numbers among LaTeX are LaTeX, too.

    Answers of mathematics are mostly plain numbers (64 % of MATH-500): from a tenth of the rows on,
    and never for one row alone, those in LaTeX are no oddity.
    """
    total = sum(counts.values())
    if 2 * counts["hash"] > total:
        return "hash"
    latex = counts["latex"]
    if 2 * latex > total or (latex > 1 and LATEX_SHARE * latex > total):
        return "latex"
    return "number" if 2 * (counts["number"] + counts["hash"]) > total else "text"


def read_answers(rows: Iterable[Row], how: Reading) -> Iterator[Query | LeftOut]:
    """The query of every row, or why it is none."""
    for row in rows:
        key = _KEYS[how.kind](row, how)
        if key is None or not key.strip():
            yield _unread(row, how)
        else:
            yield _query(row, how, key.strip())


def _unread(row: Row, how: Reading) -> LeftOut:
    shown = repr(row.answer if len(row.answer) <= _SHOWN else f"{row.answer[:_SHOWN]} ...")
    mend = "Mend or remove these rows"
    if row.worked and how.kind in ("latex", "text"):
        why = f"no answer, and none in a box in the solution {shown}"
        return LeftOut(row.where, why, f"{mend}, or name the field of the answer: fields.answer")
    why = f"the answer {shown} is not {_KINDS[how.kind].replace('numbers', 'a number')}"
    others = [kind for kind in _KINDS if kind != how.kind and how.looks.get(kind)]
    other = max(others, key=lambda kind: how.looks[kind], default="text")
    return LeftOut(row.where, why, f"{mend}, or declare what all answers are: fields.kind: {other}")


def _query(row: Row, how: Reading, key: str) -> Query:
    return Query(row.item, row.question, key, _shown(row, how, key), row.turns, row.where)


def _shown(row: Row, how: Reading, key: str) -> str:
    """The worked answer of a row: what a solved example shows."""
    if not how.whole and _behind_hash(row.answer) is not None:
        return _CALCULATOR.sub("", row.answer).strip()
    if how.kind == "hash":
        return f"{row.solution}\n{HASH} {key}".strip()
    if how.kind == "latex":
        return (row.solution or row.answer).strip()
    return row.solution.strip()


def _text_key(row: Row, how: Reading) -> str | None:
    """The answer as it is; of one that ends behind `####` or has a box, what stands there."""
    if how.whole:
        return row.answer
    keys = (_behind_hash(row.answer), last_boxed(row.answer))
    marked = next((key for key in keys if key is not None), None)
    if marked is None:
        return None if row.worked and not how.worked else row.answer
    return marked


def _number_key(row: Row, _how: Reading) -> str | None:
    """The whole answer, what stands behind `####`, or in the last box: what is a number of them."""
    hashed = _behind_hash(row.answer)
    keys = (row.answer if hashed is None else hashed, last_boxed(row.answer))
    return next((key for key in keys if key is not None and read_key(key) is not None), None)


def _latex_key(row: Row, how: Reading) -> str | None:
    """The last box, what stands behind `####`, or the answer where it is no worked solution."""
    keys = (last_boxed(row.answer), _behind_hash(row.answer))
    marked = next((key for key in keys if key is not None), None)
    if marked is None:
        return None if row.worked and not (how.worked and how.bare) else _undelimited(row.answer)
    return _undelimited(marked)


def _undelimited(answer: str) -> str:
    """An answer without the signs of a formula around it."""
    text = answer.strip()
    for begin, end in _DELIMITERS:
        inner = text.removeprefix(begin).removesuffix(end)
        if text == begin + inner + end and begin not in inner and end not in inner:
            return inner.strip()
    return text


_KEYS = {"text": _text_key, "number": _number_key, "hash": _number_key, "latex": _latex_key}


def same_key(kind: AnswerKind, one: str, other: str) -> bool:
    """Whether two answers to one question are one answer."""
    if one == other or (kind == "latex" and equal_answers(one, other)):
        return True
    number = read_key(one)
    return number is not None and number == read_key(other)


def one_per_question(
    queries: Iterable[Query], kind: AnswerKind
) -> tuple[list[Query], list[LeftOut]]:
    """Each question once, in an order that follows from the questions alone; and what contradicts.

    Files are often sorted (by subject, by level): their first rows are not a sample. Of rows that
    answer one question differently nobody knows which is right: all of them are left out.
    """
    by_item: dict[str, list[Query]] = {}
    for query in queries:
        by_item.setdefault(query.item, []).append(query)
    agreed, left_out = [], []
    for item in sorted(by_item):
        first, *others = by_item[item]
        if all(same_key(kind, first.gold, other.gold) for other in others):
            agreed.append(first)
        else:
            left_out += [contradiction(query, by_item[item], kind) for query in by_item[item]]
    return agreed, left_out


def contradiction(query: Query, among: Sequence[Query], kind: AnswerKind) -> LeftOut:
    """A row that gives a question another answer than another row does."""
    differing = (each for each in among if not same_key(kind, query.gold, each.gold))
    other = next(differing, among[0])
    shown = " and ".join(repr(each.gold[:_SHOWN]) for each in (query, other))
    why = f"two answers to one question, {shown} at {other.where}"
    return LeftOut(query.where, why, "Keep one row for each question")
