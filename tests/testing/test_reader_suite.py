"""Our readers pass their suite, and the suite finds readers that are broken."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
import pytest

from ablatekit.analysis.tables.readers.csv import CsvReader
from ablatekit.testing import reader_suite
from ablatekit.testing.reader_suite import ReaderSuite

RUNS = {"model": ["a", "b", "none"], "rate": ["1e-4", None, "3e-4"], "score": [0.5, 0.25, None]}


class TestCsv(ReaderSuite):
    reader_name = "csv"
    expected: ClassVar = {**RUNS, "rate": [1e-4, None, 3e-4]}

    def source(self, folder: Path) -> Path:
        path = folder / "runs.csv"
        pd.DataFrame(RUNS).to_csv(path, index=False)
        return path


class TestTabsCompressed(TestCsv):
    garbage = b"no gzip"

    def source(self, folder: Path) -> Path:
        path = folder / "runs.tsv.gz"
        pd.DataFrame(RUNS).to_csv(path, index=False, sep="\t")
        return path


class TestParquet(ReaderSuite):
    reader_name = "parquet"
    expected: ClassVar = RUNS

    def source(self, folder: Path) -> Path:
        path = folder / "runs.PQ"
        pd.DataFrame(RUNS).to_parquet(path, index=False)
        return path


class Greedy(CsvReader):
    """Claims everything."""

    def claims(self, path: Path) -> bool:  # noqa: ARG002
        return True


class Unordered(CsvReader):
    """Gives the chosen columns in the order of the file."""

    def read(
        self, path: Path, labels: Any = (), columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        frame = super().read(path, labels)
        return frame if columns is None else frame[[name for name in frame if name in columns]]


class Lossy(CsvReader):
    """Takes the level `none` for a missing value."""

    def read(
        self, path: Path, labels: Any = (), columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        return super().read(path, labels, columns).replace("none", None)


class Silent(CsvReader):
    """Reads whatever it is given as an empty table."""

    def read(
        self, path: Path, labels: Any = (), columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        try:
            return super().read(path, labels, columns)
        except reader_suite.TableError:
            return pd.DataFrame()


@pytest.mark.parametrize(
    ("broken", "test"),
    [
        (Greedy, "test_it_claims_its_own_and_nothing_else"),
        (Unordered, "test_chosen_columns_come_in_the_order_of_the_choice"),
        (Lossy, "test_every_value_is_read"),
        (Lossy, "test_labels_stay_text_and_unknown_ones_are_ignored"),
        (Silent, "test_what_is_not_its_format_is_refused_with_the_file"),
    ],
)
def test_a_broken_reader_is_found(
    broken: type[CsvReader], test: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    getattr(TestCsv(), test)(tmp_path)
    monkeypatch.setattr(reader_suite, "load_reader", lambda _name: broken())
    (tmp_path / "again").mkdir()
    with pytest.raises(AssertionError):
        getattr(TestCsv(), test)(tmp_path / "again")
