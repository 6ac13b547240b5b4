"""Rows of question data sets: from a record's fields, found or named, to question and answer.

Rows are read one by one: what is odd in one of them changes nothing in another.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ablatekit_rft.tasks.base import AnswerKind
from ablatekit_rft.tasks.files import Record
from ablatekit_rft.tasks.query import LeftOut, Turn

QUESTION_FIELDS = ("question", "problem", "prompt", "instruction", "input", "messages")
ANSWER_FIELDS = (
    *("answer", "final_answer", "ground_truth", "reward_model.ground_truth", "expected_answer"),
    *("gold", "target", "solution", "completion"),
)
SOLUTION_FIELDS = ("solution", "rationale", "completion")

FIELD_SETTING = re.compile(r"fields\.\w+: \S+")
"""How a message shows the setting that names a field."""

_ROLES: Mapping[Any, str] = {
    "system": "system",
    "user": "user",
    "assistant": "assistant",
    "human": "user",
    "gpt": "assistant",
}
"""Roles of turns, those of ShareGPT among them."""
_SPACE = re.compile(r"\s+")
_STRUCTURE = re.compile(r"\s*[\[{]")
_TURNS = re.compile(r"\s*\[\s*\{\s*['\"](role|content|from|value)['\"]\s*:")
_PLAIN_DIGITS = 21
"""Longest number that is written without an exponent, as JavaScript writes them."""
_SHOWN = 60
_NAMES_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Fields:
    """Names of the fields of a row; None: the first of the usual names that a row has.

    A name with dots leads into nested fields, `reward_model.ground_truth`, unless a field has it.
    `kind`: what the answers are; None: what most of them look like.
    """

    question: str | None = None
    answer: str | None = None
    solution: str | None = None
    kind: AnswerKind | None = None


USUAL_FIELDS = Fields()


@dataclass(frozen=True, slots=True)
class Row:
    """One row as text; `where` is its file and line.

    `turns`: the conversation that ends with the question, where it is more than that one turn.
    """

    question: str
    answer: str
    solution: str
    where: str
    turns: tuple[Turn, ...] = ()

    @property
    def worked(self) -> bool:
        """Whether the answer is the worked solution: the row has no other."""
        return self.answer == self.solution

    @property
    def item(self) -> str:
        """Identifies the question, or the conversation that leads to it."""
        return conversation_id(self.turns) if self.turns else question_id(self.question)


class _UnusableError(Exception):
    """A value that cannot be read, and what to do about it."""

    def __init__(self, why: str, remedy: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.remedy = remedy


def read_rows(records: Iterable[Record], fields: Fields) -> Iterator[Row | LeftOut]:
    """Rows of records, each with its place; why a record is no row where it is none."""
    for where, record in records:
        try:
            yield _row(where, record, fields)
        except _UnusableError as error:
            yield LeftOut(where, error.why, error.remedy)


def question_id(question: str) -> str:
    """Identifies a question whatever its white space: 16 hex digits, evenly spread."""
    plain = _SPACE.sub(" ", question).strip()
    return hashlib.sha256(plain.encode()).hexdigest()[:16]


def conversation_id(turns: Sequence[Turn]) -> str:
    """The same for a conversation: roles and words of all its turns."""
    spoken = [[turn.role, _SPACE.sub(" ", turn.content).strip()] for turn in turns]
    return hashlib.sha256(json.dumps(spoken).encode()).hexdigest()[:16]


def _row(where: str, record: Mapping[str, Any], fields: Fields) -> Row:
    name, asked = _value(record, "question", fields.question, QUESTION_FIELDS)
    if fields.question is None and name == "instruction" and _given(record.get("input")):
        why = "the row has both instruction and input: which of them is the question is not known"
        raise _UnusableError(why, "Name the field: fields.question; or write both into one")
    turns = _turns(name, asked)
    turns, said = _parted(name, turns)
    answer = _answer(*_value(record, "answer", fields.answer, ANSWER_FIELDS, said))
    names = SOLUTION_FIELDS if fields.solution is None else (fields.solution,)
    solution = next((text for text in (_solution(record, name) for name in names) if text), said)
    earlier = turns if len(turns) > 1 else ()
    return Row(turns[-1].content.strip(), answer, solution, where, earlier)


def _value(
    record: Mapping[str, Any], what: str, named: str | None, usual: Sequence[str], said: str = ""
) -> tuple[str, Any]:
    """The first field of those names that holds something, and what it holds."""
    names = usual if named is None else (named,)
    for name in names:
        value = lookup(record, name)
        if _given(value):
            return name, value
    if said:
        return "messages", said
    where = "under a usual name" if named is None else f"under fields.{what}: {named}"
    remedy = f"Name the field: fields.{what}; the row has {_known(record)}"
    raise _UnusableError(f"a row has no {what} {where}", remedy)


def _given(value: Any) -> bool:
    return value is not None and not (isinstance(value, str) and not value.strip())


def lookup(record: Any, name: str) -> Any:
    """The value at a dotted name, None if there is none; a key that has the dots itself wins.

    A step leads into a mapping, into a list (`answers.0`), or into either of them as JSON text.
    """
    if isinstance(record, str):
        record = _structure(record)
    if isinstance(record, list):
        head, _, rest = name.partition(".")
        inside = head.isdecimal() and int(head) < len(record)
        return (lookup(record[int(head)], rest) if rest else record[int(head)]) if inside else None
    if not isinstance(record, Mapping):
        return None
    if "." not in name:
        return record.get(name)
    steps = name.split(".")
    for length in range(len(steps), 0, -1):
        below, rest = record.get(".".join(steps[:length])), ".".join(steps[length:])
        value = lookup(below, rest) if rest else below
        if value is not None:
            return value
    return None


def _structure(text: str) -> Any:
    """The list or mapping that a text spells in JSON or in Python; None for any other text."""
    if not _STRUCTURE.match(text):
        return None
    for read in (_from_json, ast.literal_eval):
        try:
            value = read(text.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
        return value if isinstance(value, list | dict) else None
    return None


def _from_json(text: str) -> Any:
    return json.loads(text, parse_float=Decimal)


def _known(record: Mapping[str, Any]) -> str:
    names = sorted(_leaves(record))
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return ", ".join(names[:_NAMES_SHOWN]) + more


def _leaves(record: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in record.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def _solution(record: Mapping[str, Any], name: str) -> str:
    """A worked solution, nothing where the field holds no text: it is never judged against."""
    try:
        return _answer(name, lookup(record, name))
    except _UnusableError:
        return ""


def _answer(name: str, value: Any) -> str:
    """An answer as text. Numbers are written in full, without the zeros of a float: 18.0 is 18."""
    if isinstance(value, list) and _are_turns(value):
        turns = _turns(name, value)
        if len(turns) == 1:
            return turns[0].content.strip()
    if isinstance(value, str):
        return _text(name, value).strip()
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return _number(name, value)
    shown = _shown(value)
    if isinstance(value, bool):
        why = f"the answer {name} is the truth value {shown}, which has no one spelling"
        raise _UnusableError(why, "Write it as text, as a completion has to say it")
    why = f"the answer {name} is {_sort(value)}: {shown}"
    raise _UnusableError(why, _remedy(name, value))


def _remedy(name: str, value: Any) -> str:
    if isinstance(value, list) and value:
        return f"Name one of its parts: fields.answer: {name}.0; or write the answer as text"
    if isinstance(value, Mapping) and value:
        part = next(_leaves(value))
        return f"Name one of its parts: fields.answer: {name}.{part}; or write the answer as text"
    return "Write the answer as text"


def _sort(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "a list"
    return "a mapping" if isinstance(value, Mapping) else f"a value of type {type(value).__name__}"


def _shown(value: Any) -> str:
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} ..."


def _number(name: str, value: int | float | Decimal) -> str:
    """The shortest decimal that means the number; an exponent beyond 21 digits only."""
    exact = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if not exact.is_finite():
        why = f"the answer {name} is {value}, which is no number"
        raise _UnusableError(why, "Write the answer as text, or leave the row out")
    if isinstance(value, int) or not exact:
        return str(value) if isinstance(value, int) else "0"
    if not -_PLAIN_DIGITS <= exact.adjusted() < _PLAIN_DIGITS:
        return f"{exact:e}"
    text = f"{exact:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _text(name: str, text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        why = f"{name} has half a character: {text[error.start]!a}"
        raise _UnusableError(why, "Write the text anew as UTF-8") from None
    return text


def _turns(name: str, value: Any) -> tuple[Turn, ...]:
    """A question as turns: a text is one by the user."""
    if isinstance(value, str):
        turns = _structure(value) if _TURNS.match(value) else None
        if turns is None and _TURNS.match(value):
            why = f"{name} is a conversation that cannot be read: {_shown(value)}"
            raise _UnusableError(why, "Write it as JSON")
        value = turns if turns is not None and _are_turns(turns) else value
    if isinstance(value, str):
        return (Turn("user", _text(name, value)),)
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return (Turn("user", _number(name, value)),)
    if isinstance(value, Mapping):
        value = _transposed(value)
    if not isinstance(value, list) or not _are_turns(value):
        why = f"the question {name} is neither text nor a list of turns: {_shown(value)}"
        raise _UnusableError(why, "Name the field: fields.question")
    return tuple(_turn(name, turn) for turn in value)


def _transposed(value: Mapping[str, Any]) -> Any:
    """Turns that stand as columns, as `datasets` writes a sequence of structures."""
    columns = list(value.values())
    if columns and all(isinstance(column, list) for column in columns):
        return [dict(zip(value, row, strict=False)) for row in zip(*columns, strict=False)]
    return [value]


def _are_turns(value: Sequence[Any]) -> bool:
    return bool(value) and all(
        isinstance(turn, Mapping) and ("role" in turn or "from" in turn) for turn in value
    )


def _turn(name: str, turn: Mapping[str, Any]) -> Turn:
    role, content = turn.get("role", turn.get("from")), turn.get("content", turn.get("value"))
    if not isinstance(role, str) or role not in _ROLES:
        why = f"{name} has a turn of the role {_shown(role)}"
        raise _UnusableError(why, f"Roles are {', '.join(dict.fromkeys(_ROLES.values()))}")
    parts = content if isinstance(content, list) else [content]
    return Turn(_ROLES[role], "".join(_part(name, part) for part in parts))


def _part(name: str, part: Any) -> str:
    """The text of a turn, or of one of its parts as in `{"type": "text", "text": ...}`."""
    if isinstance(part, Mapping):
        sort = part.get("type", "text")
        part = part.get("text") if sort == "text" else part
        if isinstance(part, Mapping):
            why = f"{name} has a part of the type {_shown(sort)}, and only text is read"
            raise _UnusableError(why, "Leave such rows out, or write the part as text")
    if not isinstance(part, str):
        raise _UnusableError(f"{name} has a turn without text: {_shown(part)}")
    return _text(name, part)


def _parted(name: str, turns: tuple[Turn, ...]) -> tuple[tuple[Turn, ...], str]:
    """The turns up to the question, and what the assistant says to it in `messages`."""
    said = ""
    if name.rpartition(".")[2] in ("messages", "conversations") and turns[-1].role == "assistant":
        turns, said = turns[:-1], turns[-1].content.strip()
    turns = tuple(turn for turn in turns if turn.role != "system" or turn.content.strip())
    roles = [turn.role for turn in turns]
    if not turns or roles[-1] != "user" or "system" in roles[1:]:
        why = f"{name} must end with a turn of the user and have its system turn first"
        raise _UnusableError(f"{why}: {', '.join(roles) or 'no turn'}", "Mend these turns")
    if not turns[-1].content.strip():
        raise _UnusableError(f"the question {name} is empty", "Name the field: fields.question")
    return turns, said
