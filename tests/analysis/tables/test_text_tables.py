"""Text tables as people have them: separators, decimal marks, marks of bytes, damaged files."""

from __future__ import annotations

import gzip
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ablatekit.analysis.tables.read import read_for_formula, read_table
from ablatekit.errors import TableError

NUMBERS = st.lists(st.floats(-1e6, 1e6).map(lambda x: round(x, 5)), min_size=3, max_size=8)


def written(frame: pd.DataFrame, path: Path, separator: str, decimal: str) -> Path:
    frame.to_csv(path, index=False, sep=separator, decimal=decimal)
    return path


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    NUMBERS, st.sampled_from([",", ";", "\t", "|"]), st.sampled_from([".", ","]),
    st.sampled_from(["t.csv", "t.tsv"]),
)  # fmt: skip
def test_separators_and_decimal_marks_change_nothing(tmp_path, values, separator, decimal, name):
    values = [*values, 0.5]  # a fraction that is no group of thousands
    frame = pd.DataFrame({"f": "a", "n": range(len(values)), "y": values})
    read = read_table(written(frame, tmp_path / name, separator, decimal), ["f"])
    assert read.to_dict("list") == frame.to_dict("list")


@pytest.mark.parametrize("decimal", [".", ","])
def test_levels_stay_as_written_whatever_decimals_are(tmp_path, decimal):
    frame = pd.DataFrame({"rate": [0.5, 0.25], "y": [0.75, 0.125]})
    path = written(frame, tmp_path / "t.csv", ";", decimal)
    assert read_table(path, ["rate"])["rate"].tolist() == [f"0{decimal}5", f"0{decimal}25"]
    assert read_for_formula(path, "y ~ rate")["rate"].tolist() == [0.5, 0.25]


@pytest.mark.parametrize(
    "cells",
    [
        ("1,234", "12,500"),  # thousands or three decimals: nobody can tell
        ("0.5", "0,5"),
        ("1,234,567", "2,5"),
        ("a,b", "0,5"),
    ],
)
def test_doubtful_commas_stay_text(tmp_path, cells):
    path = tmp_path / "t.csv"
    path.write_text("f;y\n" + "".join(f"a;{cell}\n" for cell in cells), encoding="utf-8")
    assert read_table(path)["y"].tolist() == list(cells)


def test_a_table_with_points_has_no_decimal_commas(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("x;y\n0.5;1,5\n0.25;2,5\n", encoding="utf-8")
    assert read_table(path)["y"].tolist() == ["1,5", "2,5"]


def test_words_for_missing_values_stand_among_decimal_commas(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("x;y\n0,5;1,5\n0,25;n/a\n", encoding="utf-8")
    assert read_table(path)["y"].tolist() == ["1.5", "n/a"]


@pytest.mark.parametrize(
    "content",
    [
        "\ufefff;y\r\na;1\r\nb;2\r\n",
        'f;y\n"a;b";1\nb;2\n',
        "f;y\n\na;1\nb;2\n",
        "f,y\na;b,1\nb,2\n",
    ],
)
def test_marks_quotes_and_blank_lines_do_not_hide_the_separator(tmp_path, content):
    path = tmp_path / "t.csv"
    path.write_bytes(content.encode())
    read = read_table(path)
    assert list(read.columns) == ["f", "y"]
    assert read["y"].tolist() == [1, 2]


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz"])
def test_a_nul_byte_is_one_message_with_its_line(tmp_path, name):
    content = b"f,y\na,1\nb,2\0\n"
    path = tmp_path / name
    path.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    with pytest.raises(TableError, match=rf"{name}:3: the file holds a NUL byte"):
        read_table(path)


def test_a_file_in_utf_16_is_named_so(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes("f,y\na,1\n".encode("utf-16"))
    for read in (read_table, lambda path: read_for_formula(path, "y ~ f")):
        with pytest.raises(TableError, match=r"not UTF-8 text; received UTF-16\. Save it as UTF-8"):
            read(path)


def test_a_file_in_another_encoding_says_what_to_do(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes("f,y\né,1\n".encode("latin-1"))
    with pytest.raises(TableError, match=r"not UTF-8 text\. Save it as UTF-8"):
        read_table(path)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (",f,y\n0,a,1\n1,b,2\n", ["Unnamed: 0", "f", "y"]),
        ("f,y,\na,1,\nb,2,\n", ["f", "y", "Unnamed: 2"]),
        (" f , y\na,1\nb,2\n", ["f", "y"]),
    ],
    ids=["row numbers", "trailing commas", "blanks"],
)
def test_headers_may_lack_a_name_or_have_blanks_around_it(tmp_path, text, names):
    path = tmp_path / "t.csv"
    path.write_text(text, encoding="utf-8")
    for frame in (read_table(path, ["f"]), read_for_formula(path, "y ~ f")):
        assert frame[["f", "y"]].to_dict("list") == {"f": ["a", "b"], "y": [1, 2]}
    assert list(read_table(path).columns) == names


def test_nan_in_the_column_of_endings_is_a_word(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("y,status\n1,nan\n2,\n", encoding="utf-8")
    status = read_table(path)["status"]
    assert status.fillna("empty").tolist() == ["nan", "empty"]
