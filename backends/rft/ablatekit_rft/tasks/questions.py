"""Question data sets: local files and data sets on the hub."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from ablatekit.canonical import bytes_hash, content_hash
from ablatekit.errors import Problem, UsageError
from ablatekit_rft.sources.hub import HubDataset
from ablatekit_rft.tasks.answer_keys import (
    Reading,
    contradiction,
    one_per_question,
    read_answers,
    reading,
    same_key,
)
from ablatekit_rft.tasks.base import AnswerKind, SplitName, first_items
from ablatekit_rft.tasks.files import SUFFIXES, Split, is_data_file, read_records, split_of
from ablatekit_rft.tasks.query import Judgement, LeftOut, Query
from ablatekit_rft.tasks.rows import FIELD_SETTING, Fields, Row, read_rows
from ablatekit_rft.tasks.verifiers.registry import build_verifier, require_package

VERSION = 2
SHOWN = 3
"""Rows that a message shows of those that are left out."""
MAX_NEW_TOKENS = 1024
"""Longest completion by default: the response length of arXiv:2601.22532's release."""
TEST_SHARE = 5
"""Of a data set without a test split, every question whose hash is divisible by this is a test."""

MOST_LEFT_OUT = Fraction(2, 100)
"""Share of a data set's rows that may be left out; with more of them the data set is refused."""

VERIFIERS = {"text": "exact", "number": "number", "hash": "hash", "latex": "boxed"}
"""The verifier `auto` of each kind of answers."""


@dataclass(frozen=True, slots=True)
class QuestionTask:
    """A finite data set of questions; train questions that stand in the test set are left out.

    `left_out`: rows that cannot be used, at most `MOST_LEFT_OUT` of the `rows` of all splits.
    """

    name: str
    answers: AnswerKind
    train: tuple[Query, ...]
    test: tuple[Query, ...]
    left_out: tuple[LeftOut, ...] = ()
    rows: int = 0
    version: int = VERSION
    max_new_tokens: int = MAX_NEW_TOKENS

    def items(self, split: SplitName, n: int | None) -> tuple[Query, ...]:
        """The first `n` items of a split; `pretrain` counts the train items from their end."""
        there = {"train": self.train, "test": self.test, "pretrain": self.train[::-1]}[split]
        return first_items(there, n, f"the {split} split of {self.name!r}")

    def judge(self, queries: Sequence[Query], completions: Sequence[str]) -> list[Judgement]:
        """The verifier `auto` of these answers."""
        return build_verifier(VERIFIERS[self.answers])(queries, completions)


def build_task(
    name: str,
    train: Sequence[Row | LeftOut],
    test: Sequence[Row | LeftOut],
    kind: AnswerKind | None = None,
) -> QuestionTask:
    """A task from the rows of its splits; without test rows a fifth of the questions is held out.

    Raises UsageError for a split without questions, and where too many rows cannot be used.
    """
    rows = [*train, *test]
    how = reading([row for row in rows if isinstance(row, Row)], kind)
    known, tested = _read(train, how), _read(test, how)
    contradicted = list(_contradicted(known.queries, tested.queries, how.kind))
    left_out = (*known.left_out, *tested.left_out, *contradicted)
    refuse_many(name, left_out, len(rows), str(how))
    held_out = tested.queries if test else [q for q in known.queries if _is_test(q)]
    items = {query.item for query in held_out}
    kept = [query for query in known.queries if query.item not in items]
    if not kept or not held_out:
        remedy = "Give a train and a test file, or more rows"
        raise UsageError(Problem("a data set needs train and test questions", repr(name), remedy))
    return QuestionTask(name, how.kind, tuple(kept), tuple(held_out), left_out, len(rows))


@dataclass(frozen=True, slots=True)
class _Part:
    """A split as it is read: its questions, and the rows that are none."""

    queries: list[Query]
    left_out: tuple[LeftOut, ...]


def _read(rows: Sequence[Row | LeftOut], how: Reading) -> _Part:
    keyed = list(read_answers((row for row in rows if isinstance(row, Row)), how))
    queries, contradicted = one_per_question(
        (query for query in keyed if isinstance(query, Query)), how.kind
    )
    unread = (row for row in (*rows, *keyed) if isinstance(row, LeftOut))
    return _Part(queries, (*unread, *contradicted))


def _contradicted(
    train: Sequence[Query], test: Sequence[Query], kind: AnswerKind
) -> Iterator[LeftOut]:
    """Train questions that the test set answers differently: they are no train items anyway."""
    tested = {query.item: query for query in test}
    for query in train:
        other = tested.get(query.item)
        if other is not None and not same_key(kind, query.gold, other.gold):
            yield contradiction(query, [other], kind)


def _is_test(query: Query) -> bool:
    return int(query.item, 16) % TEST_SHARE == 0


def refuse_many(name: str, left_out: Sequence[LeftOut], rows: int, how: str = "") -> None:
    """Raise UsageError when more than `MOST_LEFT_OUT` of a data set's `rows` are left out.

    `how`: the way in which the rows were read.
    """
    if len(left_out) <= MOST_LEFT_OUT * rows:
        return
    rule = (
        f"{len(left_out)} of {rows} rows of {name!r} cannot be used: up to"
        f" {float(MOST_LEFT_OUT):.0%} are left out, more are refused"
    )
    by_reason: dict[str, list[str]] = {}
    for row in left_out[:SHOWN]:
        by_reason.setdefault(row.why, []).append(row.where)
    told = [f"{', '.join(places)}: {why}" for why, places in by_reason.items()]
    named = FIELD_SETTING.search(left_out[0].why)
    told = [named[0], *told] if named else told
    more = len(left_out) - SHOWN
    told += [f"{more} more"] if more > 0 else []
    remedy = next((row.remedy for row in left_out if row.remedy), "Mend or remove these rows")
    raise UsageError(Problem(rule, "; ".join(told) + how, remedy))


def is_local(dataset: str) -> bool:
    """Whether a name is that of a data file or of a folder."""
    path = Path(dataset)
    return path.name.lower().endswith(SUFFIXES) or path.is_dir()


def data_files(dataset: str) -> dict[str, tuple[Path, ...]]:
    """Files of the splits train and test: those of a folder whose paths say so, or one file.

    A validation split is the test split where there is no other. Raises UsageError when there is
    no train file.
    """
    path = Path(dataset)
    if path.is_file():
        return {"train": (path,), "test": ()}
    files: dict[Split, list[Path]] = {"train": [], "test": [], "validation": []}
    for file in sorted(path.rglob("*")):
        name = file.relative_to(path)
        split = split_of(name.as_posix()) if is_data_file(name) and file.is_file() else None
        if split is not None:
            files[split].append(file)
    if not files["train"]:
        rule = "no data file" if not path.is_dir() else "a data folder needs a train file"
        remedy = f"Name a file ({', '.join(SUFFIXES)}), or a folder with train and test files"
        raise UsageError(Problem(rule, repr(dataset), remedy))
    return {"train": tuple(files["train"]), "test": tuple(files["test"] or files["validation"])}


def local_content(dataset: str) -> str:
    """Hash of the bytes of a data set's files, by split, and of the way they are read."""
    files = data_files(dataset)
    try:
        hashes = {split: [bytes_hash(path) for path in paths] for split, paths in files.items()}
    except OSError as error:
        raise UsageError(Problem("a data file cannot be read", str(error))) from error
    return content_hash({"version": VERSION, "files": hashes})


def local_task(dataset: str, fields: Fields) -> QuestionTask:
    """The task in local files."""
    return _local_task(dataset, fields, local_content(dataset))


@functools.lru_cache(maxsize=8)
def _local_task(dataset: str, fields: Fields, _content: str) -> QuestionTask:
    # The content is part of the key: a changed file is read again.
    read = {
        split: [row for path in paths for row in read_rows(read_records(path), fields)]
        for split, paths in data_files(dataset).items()
    }
    return build_task(Path(dataset).stem, read["train"], read["test"], fields.kind)


@functools.lru_cache(maxsize=8)
def hub_task(dataset: HubDataset, fields: Fields) -> QuestionTask:
    """The task of a data set on the hub, at its commit; downloads it unless it is cached.

    Raises UsageError when `datasets` is missing or does not find it.
    """
    require_package("datasets", "hub", "data sets on the hub need the package datasets")
    from datasets import load_dataset
    from datasets.exceptions import DatasetNotFoundError

    try:
        splits = load_dataset(dataset.name, dataset.subset, revision=dataset.revision)
    except (DatasetNotFoundError, OSError, ValueError) as error:
        raise UsageError(Problem("the data set cannot be loaded", f"{dataset}: {error}")) from error
    read: dict[Split, list[Row | LeftOut]] = {"train": [], "test": [], "validation": []}
    for name in splits:
        split = split_of(name)
        if split is not None:
            places = ((f"{dataset}, {name} row {i}", row) for i, row in enumerate(splits[name]))
            read[split] += read_rows(places, fields)
    return build_task(str(dataset), read["train"], read["test"] or read["validation"], fields.kind)
