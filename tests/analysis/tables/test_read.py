"""Which reader reads a table, and item outcomes from Parquet: chunks, columns, order of levels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ablatekit.analysis.formula.analyse import analyse_formula
from ablatekit.analysis.tables.read import labels_of, read_for_formula, read_table
from ablatekit.analysis.tables.readers import parquet
from ablatekit.errors import PluginError, TableError

FORMULA = "outcome ~ a * b + (1 | run) + (1 | dataset:item)"


def items() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    run, item = (part.reshape(-1) for part in np.meshgrid(range(24), range(30), indexing="ij"))
    easy = rng.normal(0, 1, 30)[item] + rng.normal(0, 0.4, 24)[run] + 0.5 * (run % 2)
    table = pd.DataFrame(
        {
            "outcome": (easy + rng.normal(size=len(run)) > 0).astype(float),
            "a": np.where(run % 2, "z_on", "off"),
            "b": np.where(run // 2 % 2, "high", "low"),
            "run": "run" + pd.Series(23 - run).astype(str),
            "dataset": np.where(item % 2, "sums", "chains"),
            "item": item // 2,
            "remark": "not needed",
        }
    )
    return table.sample(frac=1.0, random_state=3).reset_index(drop=True)


def write(table: pd.DataFrame, path: Path) -> Path:
    """Small row groups, so that dictionaries differ between the chunks."""
    pq.write_table(pa.Table.from_pandas(table, preserve_index=False), path, row_group_size=50)
    return path


@pytest.mark.parametrize("rows", [7, 50, 64, 1 << 20])
def test_chunk_boundaries_change_nothing(
    rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = items()
    table.loc[[0, 49, 50, 719], "a"] = None
    path = write(table, tmp_path / "items.parquet")
    monkeypatch.setattr(parquet, "CHUNK_ROWS", rows)
    read = read_for_formula(path, FORMULA)
    assert list(read.columns) == ["outcome", "a", "b", "run", "dataset", "item"]
    whole = read_table(path)
    for name in read.columns:
        left = read[name].astype(object).where(read[name].notna(), None).tolist()
        assert left == whole[name].astype(object).where(whole[name].notna(), None).tolist()
    assert list(read["a"].cat.categories) == ["off", "z_on"]
    assert read["a"].isna().sum() == 4


def test_the_analysis_is_that_of_the_whole_table(tmp_path: Path) -> None:
    path = write(items(), tmp_path / "items.parquet")
    chunked = analyse_formula(read_for_formula(path, FORMULA), FORMULA)
    assert chunked == analyse_formula(read_table(path), FORMULA)
    assert chunked["effects"][0]["baseline"] == items()["a"].iloc[0] == "z_on"


def test_categories_keep_their_order_and_text_is_sorted(tmp_path: Path) -> None:
    table = items()
    table["a"] = pd.Categorical(table["a"], ["z_on", "off", "never"])
    table["run"] = table["run"].astype("category").cat.reorder_categories(table["run"].unique())
    read = read_for_formula(write(table, tmp_path / "items.parquet"), FORMULA)
    assert list(read["a"].cat.categories) == ["z_on", "off", "never"]
    assert list(read["run"].cat.categories) == list(table["run"].cat.categories)
    assert list(read["b"].cat.categories) == ["high", "low"]


@pytest.mark.parametrize(
    ("formula", "categorical", "expected"),
    [
        ("y ~ v", ["v"], ["v"]),
        ("y ~ C(v) + factor(`w x`)", [], ["v", "w x"]),
        ("y ~ C(v, Treatment('1.1')) + z", [], ["v"]),
        ("y ~ v + C(v)", [], []),
        ("y ~ log(v) + C(v)", [], []),
        ("y ~ I(v^2) + v", ["v"], []),
        ("y ~ x + (1 | v)", [], []),
    ],
)
def test_columns_that_a_formula_takes_as_text(formula, categorical, expected) -> None:
    assert labels_of(formula, categorical) == expected


def test_text_stays_text(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("v,w,y\n1.10,007,1\n1.1,7,2\n2,07,3\n1.10,7,4\n")
    read = read_for_formula(path, "y ~ v + w", labels=["v", "w"])
    assert list(read["v"]) == ["1.10", "1.1", "2", "1.10"]
    assert list(read["w"]) == ["007", "7", "07", "7"]
    grouped = read_for_formula(path, "y ~ 1 + (1 | v) + (1 | w)")
    assert list(grouped["v"]) == ["1.10", "1.1", "2", "1.10"]
    assert grouped["w"].dtype.kind == "i"
    numeric = read_for_formula(path, "y ~ log(v) + (1 | v)")
    assert numeric["v"].dtype.kind == "f"


def test_a_level_that_only_incomplete_rows_have_is_left_out(tmp_path: Path) -> None:
    table = items()
    table.loc[:9, "b"] = "lost"
    table.loc[:9, "outcome"] = np.nan
    path = write(table, tmp_path / "items.parquet")
    chunked = analyse_formula(read_for_formula(path, FORMULA), FORMULA)
    assert chunked == analyse_formula(read_table(path), FORMULA)
    assert "lost" not in {row["level"] for row in chunked["means"]}


def test_an_unknown_column_is_answered_with_the_nearest(tmp_path: Path) -> None:
    path = write(items(), tmp_path / "items.parquet")
    with pytest.raises(TableError, match="remark"):
        analyse_formula(read_for_formula(path, "outcome ~ remrk + (1 | run)"), "outcome ~ remrk")


def test_backquoted_names_and_functions_select_their_columns(tmp_path: Path) -> None:
    table = items().rename(columns={"a": "my choice"}).assign(x=np.arange(720.0))
    path = write(table, tmp_path / "items.parquet")
    read = read_for_formula(path, "outcome ~ `my choice` + log(x + 1) + C(b, Sum) + (1 | run)")
    assert list(read.columns) == ["outcome", "my choice", "b", "run", "x"]


def test_a_file_that_is_no_parquet_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "items.parquet"
    path.write_bytes(b"not parquet")
    with pytest.raises(TableError, match="cannot be read"):
        read_for_formula(path, FORMULA)


OTHER = """
import pandas as pd

class Plugin:
    name = "other"
    suffixes = (".txt",)

    def claims(self, path):
        return path.suffix in self.suffixes

    def columns(self, path):
        return ["a"]

    def read(self, path, labels=(), columns=None):
        return pd.DataFrame({"a": [1, 2]})
"""


def test_an_unknown_suffix_is_answered_with_the_readers(tmp_path: Path) -> None:
    path = tmp_path / "runs.xlsx"
    path.write_text("a,b\n1,2\n", encoding="utf-8")
    known = r"Known: csv \(\.csv, \.tsv\), .*parquet \(\.parquet, \.pq\)"
    with pytest.raises(TableError, match=known):
        read_table(path)
    assert read_table(path, reader="csv").to_dict("list") == {"a": [1], "b": [2]}
    with pytest.raises(PluginError, match="Did you mean 'csv'"):
        read_table(path, reader="csw")


def test_a_reader_from_outside_reads_its_files(
    install: Callable[..., None], tmp_path: Path
) -> None:
    path = tmp_path / "runs.txt"
    path.touch()
    install("ablatekit.readers", "other", OTHER)
    assert list(read_table(path)["a"]) == [1, 2]


def test_files_that_two_readers_claim_are_refused(
    install: Callable[..., None], tmp_path: Path
) -> None:
    path = tmp_path / "runs.csv"
    path.write_text("a\n1\n", encoding="utf-8")
    install("ablatekit.readers", "other", OTHER.replace(".txt", ".csv"))
    with pytest.raises(TableError, match=r"several readers know this kind of file.*csv, other"):
        read_table(path)
    assert list(read_table(path, reader="other")["a"]) == [1, 2]


def test_a_reader_that_cannot_be_imported_is_in_nobodys_way(
    install: Callable[..., None], tmp_path: Path
) -> None:
    path = tmp_path / "runs.csv"
    path.write_text("a\n1\n", encoding="utf-8")
    install("ablatekit.readers", "other", "import no_such_package")
    assert list(read_table(path)["a"]) == [1]
    with pytest.raises(PluginError, match="cannot be imported"):
        read_table(path, reader="other")


def test_a_reader_that_lacks_a_method_is_refused_by_name(
    install: Callable[..., None], tmp_path: Path
) -> None:
    path = tmp_path / "runs.txt"
    path.touch()
    install("ablatekit.readers", "other", OTHER.replace("def columns", "def names"))
    with pytest.raises(PluginError, match=r"contract of ablatekit\.analysis\.tables\.readers"):
        read_table(path, reader="other")


@pytest.mark.parametrize("notes", ["{not json", '{"index_columns": [[]], "columns": 3}'])
def test_damaged_notes_of_pandas_are_refused(notes: str, tmp_path: Path) -> None:
    table = pa.table({"a": [1, 2]}).replace_schema_metadata({"pandas": notes})
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(TableError, match="cannot be read"):
        read_table(tmp_path / "a.parquet")
