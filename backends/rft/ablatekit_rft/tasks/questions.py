"""Question data sets: local JSONL or Parquet files, and data sets on the hub."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from ablatekit.canonical import content_hash
from ablatekit.errors import Problem, UsageError
from ablatekit_rft.sources.hashes import bytes_hash
from ablatekit_rft.sources.hub import HubDataset
from ablatekit_rft.tasks import rows
from ablatekit_rft.tasks.base import AnswerKind, SplitName, first_items
from ablatekit_rft.tasks.query import Judgement, LeftOut, Query
from ablatekit_rft.tasks.rows import Fields, Row
from ablatekit_rft.tasks.verifiers.registry import build_verifier, require_package

VERSION = 1
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


def build_task(name: str, train: Sequence[Row], test: Sequence[Row]) -> QuestionTask:
    """A task from the rows of its splits; without test rows a fifth of the questions is held out.

    Raises UsageError for a split without questions.
    """
    kind = rows.answer_kind([*train, *test])
    known, held_out = rows.queries(train, kind), rows.queries(test, kind)
    if not test:
        held_out = [query for query in known if int(query.item, 16) % TEST_SHARE == 0]
    tested = {query.item for query in held_out}
    kept = [query for query in known if query.item not in tested]
    if not kept or not held_out:
        remedy = "Give a train and a test file, or more rows"
        raise UsageError(Problem("a data set needs train and test questions", repr(name), remedy))
    return QuestionTask(name, kind, tuple(kept), tuple(held_out))


def refuse_many(name: str, left_out: Sequence[LeftOut], rows: int) -> None:
    """Raise UsageError when more than `MOST_LEFT_OUT` of a data set's `rows` are left out."""
    if len(left_out) <= MOST_LEFT_OUT * rows:
        return
    rule = (
        f"{len(left_out)} of {rows} rows of {name!r} cannot be used: up to"
        f" {float(MOST_LEFT_OUT):.0%} are left out, more are refused"
    )
    shown = "; ".join(str(row) for row in left_out[:SHOWN])
    more = f"; and {len(left_out) - SHOWN} more" if len(left_out) > SHOWN else ""
    remedy = next((row.remedy for row in left_out if row.remedy), "Mend or remove these rows")
    raise UsageError(Problem(rule, shown + more, remedy))


def is_local(dataset: str) -> bool:
    """Whether a name is that of a data file or of a folder."""
    path = Path(dataset)
    return path.suffix in rows.SUFFIXES or path.is_dir()


def data_files(dataset: str) -> dict[str, tuple[Path, ...]]:
    """Files of the splits train and test: those of a folder whose names start so, or one file.

    Raises UsageError when there is none.
    """
    path = Path(dataset)
    if path.is_file():
        return {"train": (path,), "test": ()}
    data = sorted(file for file in path.rglob("*") if file.suffix in rows.SUFFIXES)
    files = {
        split: tuple(file for file in data if file.stem.lower().startswith(split))
        for split in ("train", "test")
    }
    if not files["train"]:
        rule = "no data file" if not path.is_dir() else "a data folder needs a train file"
        remedy = "Name a .jsonl or .parquet file, or a folder with train and test files"
        raise UsageError(Problem(rule, repr(dataset), remedy))
    return files


def local_content(dataset: str) -> str:
    """Hash of the bytes of a data set's files, by split, and of the way they are read."""
    files = data_files(dataset)
    hashes = {split: [bytes_hash(path) for path in paths] for split, paths in files.items()}
    return content_hash({"version": VERSION, "files": hashes})


def local_task(dataset: str, fields: Fields) -> QuestionTask:
    """The task in local files."""
    return _local_task(dataset, fields, local_content(dataset))


@functools.lru_cache(maxsize=8)
def _local_task(dataset: str, fields: Fields, _content: str) -> QuestionTask:
    # The content is part of the key: a changed file is read again.
    read = {
        split: [row for path in paths for row in rows.read_file(path, fields)]
        for split, paths in data_files(dataset).items()
    }
    return build_task(Path(dataset).stem, read["train"], read["test"])


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
    read = {
        split: rows.read_records(
            ((f"{dataset}, {split} row {i}", record) for i, record in enumerate(splits[split])),
            fields,
        )
        for split in ("train", "test")
        if split in splits
    }
    return build_task(str(dataset), read.get("train", []), read.get("test", []))
