"""Rows of question data sets: from files, with their fields found or named, to queries."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablatekit.errors import Problem, UsageError
from ablatekit_rft.tasks.base import AnswerKind
from ablatekit_rft.tasks.query import Query
from ablatekit_rft.tasks.verifiers.latex import last_boxed
from ablatekit_rft.tasks.verifiers.numbers import read_number

SUFFIXES = (".jsonl", ".parquet")
QUESTION_FIELDS = ("question", "problem", "prompt", "instruction", "input")
ANSWER_FIELDS = ("answer", "final_answer", "gold", "target", "solution")
SOLUTION_FIELDS = ("solution", "rationale")
HASH = "####"

_CALCULATOR = re.compile(r"<<[^<>]*>>")
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Fields:
    """Names of the fields of a row; None: the first of the usual names that a row has."""

    question: str | None = None
    answer: str | None = None
    solution: str | None = None


USUAL_FIELDS = Fields()


@dataclass(frozen=True, slots=True)
class Row:
    """One row as text; `where` is its file and line."""

    question: str
    answer: str
    solution: str
    where: str


def read_file(path: Path, fields: Fields) -> list[Row]:
    """The rows of a .jsonl or .parquet file. Raises UsageError with file and line."""
    records = _json_lines(path) if path.suffix == ".jsonl" else _parquet(path)
    return read_records(records, fields)


def _json_lines(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    with path.open(encoding="utf-8") as stream:
        for number, line in enumerate(stream, start=1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except ValueError:
                record = None
            if not isinstance(record, dict):
                raise UsageError(Problem("not a JSON object", f"{path}:{number}"))
            yield f"{path}:{number}", record


def _parquet(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        records = pq.read_table(path).to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise UsageError(Problem("not a Parquet file", f"{path}: {error}")) from error
    return ((f"{path}: row {number}", record) for number, record in enumerate(records, start=1))


def read_records(records: Iterable[tuple[str, Mapping[str, Any]]], fields: Fields) -> list[Row]:
    """Rows of records, each with its place. Raises UsageError for a field that is missing."""
    return [_row(where, record, fields) for where, record in records]


def _row(where: str, record: Mapping[str, Any], fields: Fields) -> Row:
    question = _value(where, record, "question", fields.question, QUESTION_FIELDS)
    answer = _value(where, record, "answer", fields.answer, ANSWER_FIELDS)
    names = SOLUTION_FIELDS if fields.solution is None else (fields.solution,)
    solution = next((str(record[name]) for name in names if record.get(name) is not None), "")
    return Row(question, answer, solution, where)


def _value(
    where: str, record: Mapping[str, Any], what: str, named: str | None, usual: Sequence[str]
) -> str:
    names = usual if named is None else (named,)
    for name in names:
        if record.get(name) is not None:
            return str(record[name])
    remedy = f"Name the field: fields.{what}; the row has {', '.join(sorted(record))}"
    raise UsageError(Problem(f"a row has no {what}", f"{where}: no {', '.join(names)}", remedy))


def answer_kind(rows: Sequence[Row]) -> AnswerKind:
    """What the answers of a data set are.

    `hash` when all hold `####`, `latex` when one stands in a box or has a LaTeX command, `number`
    when all are numbers, else `text`.
    """
    if all(HASH in row.answer for row in rows):
        return "hash"
    if any("\\" in row.answer or last_boxed(row.solution) is not None for row in rows):
        return "latex"
    return "number" if all(read_number(row.answer) is not None for row in rows) else "text"


def queries(rows: Iterable[Row], kind: AnswerKind) -> list[Query]:
    """One query per question, in an order that follows from the questions alone.

    Files are often sorted (by subject, by level): their first rows are not a sample. A question
    that is repeated is kept once, with its first answer.
    """
    by_item: dict[str, Query] = {}
    for row in rows:
        item = question_id(row.question)
        by_item.setdefault(item, _query(item, row, kind))
    return [by_item[item] for item in sorted(by_item)]


def question_id(question: str) -> str:
    """Identifies a question whatever its white space: 16 hex digits, evenly spread."""
    plain = _SPACE.sub(" ", question).strip()
    return hashlib.sha256(plain.encode()).hexdigest()[:16]


def _query(item: str, row: Row, kind: AnswerKind) -> Query:
    question = row.question.strip()
    if kind == "hash":
        gold = row.answer.rpartition(HASH)[2].strip()
        return Query(item, question, gold, _CALCULATOR.sub("", row.answer).strip())
    if kind == "latex":
        boxed = last_boxed(row.answer) or last_boxed(row.solution)
        is_solution = row.answer == row.solution or last_boxed(row.answer) is not None
        gold = (boxed or "") if is_solution else row.answer
        return Query(item, question, gold.strip(), (row.solution or row.answer).strip())
    return Query(item, question, row.answer.strip(), row.solution.strip())
