"""What every reader must fulfil, as tests that a plugin's own test suite inherits.

    class TestMyReader(ReaderSuite):
        reader_name = "mine"
        expected = {"model": ["a", "b"], "score": [0.5, None]}

        def source(self, folder: Path) -> Path:
            return write_it(folder / "runs.mine")

pytest collects the subclass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd

from ablatekit.analysis.tables.read import load_reader, read_for_formula, read_table
from ablatekit.analysis.tables.readers.base import Reader
from ablatekit.errors import TableError


class ReaderSuite:
    """The conformance tests; subclass it, name the reader, and write a small source."""

    reader_name: ClassVar[str]
    expected: ClassVar[Mapping[str, Sequence[Any]]]
    """The table in the source, column by column; None where a value is missing."""
    garbage: ClassVar[bytes | None] = b"\x00\xff\xfe no table"
    """Content that the reader must refuse; None for a reader of folders."""

    def source(self, folder: Path) -> Path:
        """Write what the reader reads below `folder`, and return its path."""
        raise NotImplementedError

    @property
    def reader(self) -> Reader:
        """The installed reader."""
        return load_reader(self.reader_name)

    def test_suffixes_are_lower_case_with_their_dot(self) -> None:
        for suffix in self.reader.suffixes:
            assert suffix.startswith("."), suffix
            assert suffix == suffix.lower(), suffix

    def test_it_claims_its_own_and_nothing_else(self, tmp_path: Path) -> None:
        other = tmp_path / "notes.no-such-suffix"
        other.write_text("nothing", encoding="utf-8")
        empty = tmp_path / "empty"
        empty.mkdir()
        assert self.reader.claims(self.source(tmp_path))
        assert not self.reader.claims(other)
        assert not self.reader.claims(empty)

    def test_it_is_found_without_being_named(self, tmp_path: Path) -> None:
        path = self.source(tmp_path)
        assert values(read_table(path)) == values(read_table(path, reader=self.reader_name))

    def test_columns_are_those_of_the_table(self, tmp_path: Path) -> None:
        assert list(self.reader.columns(self.source(tmp_path))) == list(self.expected)

    def test_every_value_is_read(self, tmp_path: Path) -> None:
        path = self.source(tmp_path)
        expected = {name: list(column) for name, column in self.expected.items()}
        assert values(self.reader.read(path)) == expected
        assert values(self.reader.read(path)) == expected, "reading changes nothing"

    def test_chosen_columns_come_in_the_order_of_the_choice(self, tmp_path: Path) -> None:
        path = self.source(tmp_path)
        chosen = list(self.expected)[:-3:-1]
        frame = self.reader.read(path, columns=chosen)
        assert list(frame.columns) == chosen
        assert values(frame) == {name: list(self.expected[name]) for name in chosen}

    def test_a_formula_reads_the_columns_that_it_names(self, tmp_path: Path) -> None:
        name = next(iter(self.expected))
        frame = read_for_formula(self.source(tmp_path), f"`{name}`")
        assert values(frame) == {name: list(self.expected[name])}

    def test_labels_stay_text_and_unknown_ones_are_ignored(self, tmp_path: Path) -> None:
        frame = self.reader.read(self.source(tmp_path), labels=[*self.expected, "no such column"])
        assert list(frame.columns) == list(self.expected)
        for name, column in self.expected.items():
            texts = [value for value in column if isinstance(value, str)]
            read = [value for value in values(frame)[name] if isinstance(value, str)]
            assert all(text in read for text in texts), name

    def test_what_is_not_its_format_is_refused_with_the_file(self, tmp_path: Path) -> None:
        if self.garbage is None:
            return
        path = self.source(tmp_path)
        path.write_bytes(self.garbage)
        for read in (self.reader.read, self.reader.columns):
            assert str(path) in _refusal(read, path)


def _refusal(read: Any, path: Path) -> str:
    try:
        read(path)
    except TableError as error:
        return str(error)
    raise AssertionError("what is no table must be refused with a TableError")


def values(frame: pd.DataFrame) -> dict[str, list[Any]]:
    """The table as plain values, None where one is missing."""
    plain = frame.astype(object).where(frame.notna(), None)
    return {str(name): plain[name].tolist() for name in frame.columns}
