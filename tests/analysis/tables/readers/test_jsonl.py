"""Lines of JSON as tables: nested values, mixed types, and lines that are none."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
import pytest

from ablatekit.analysis.table import analyse_table
from ablatekit.analysis.tables.read import read_table
from ablatekit.errors import TableError
from ablatekit.testing.reader_suite import ReaderSuite

RUNS: dict[str, list[Any]] = {
    "model": ["a", "b", "none"],
    "rate": [1e-4, None, 3e-4],
    "score": [0.5, 0.25, None],
}


class TestJsonl(ReaderSuite):
    reader_name = "jsonl"
    expected: ClassVar = RUNS

    def source(self, folder: Path) -> Path:
        path = folder / "runs.jsonl"
        pd.DataFrame(RUNS).to_json(path, orient="records", lines=True)
        return path


class TestCompressed(TestJsonl):
    garbage = b"no gzip"

    def source(self, folder: Path) -> Path:
        path = folder / "runs.NDJSON.gz"
        pd.DataFrame(RUNS).to_json(folder / "plain", orient="records", lines=True)
        path.write_bytes(gzip.compress((folder / "plain").read_bytes()))
        return path


def written(folder: Path, text: str | bytes, name: str = "runs.jsonl") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_nested_values_have_dotted_names_and_lists_are_text(tmp_path: Path) -> None:
    text = '{"opt": {"name": "sgd", "lr": 0.1}, "tags": ["a", 1], "empty": {}, "y": 1}'
    frame = read_table(written(tmp_path, text))
    assert list(frame.columns) == ["opt.name", "opt.lr", "tags", "y"]
    assert frame["tags"].tolist() == ['["a", 1]']


def test_rows_may_lack_keys_and_bring_new_ones(tmp_path: Path) -> None:
    frame = read_table(written(tmp_path, '{"a": 1}\n\n{"b": "x", "a": 2}\n{}\n'))
    assert frame["a"].tolist()[:2] == [1.0, 2.0]
    assert frame.isna().to_numpy().tolist() == [[False, True], [False, False], [True, True]]


def test_columns_of_one_kind_keep_it_and_mixed_ones_are_text_as_written(tmp_path: Path) -> None:
    lines = [
        {"whole": 1, "truth": True, "mixed": 1, "big": 2**70, "gaps": True},
        {"whole": 2, "truth": False, "mixed": "n/a", "big": 1, "gaps": None},
    ]
    path = written(tmp_path, "\n".join(map(json.dumps, lines)).replace("n/a", "1e-4"))
    frame = read_table(path)
    assert frame["whole"].dtype == "int64"
    assert frame["truth"].dtype == bool
    assert frame["mixed"].tolist() == ["1", "1e-4"]
    assert frame["big"].tolist() == [str(2**70), "1"]
    assert frame["gaps"].tolist()[0] == 1.0


def test_labels_keep_their_spelling(tmp_path: Path) -> None:
    path = written(tmp_path, '{"lr": 1e-4, "n": 10, "on": true}\n{"lr": 0.10, "n": 2, "on": null}')
    frame = read_table(path, ["lr", "n", "on"])
    assert frame["lr"].tolist() == ["1e-4", "0.10"]
    assert frame["n"].tolist() == ["10", "2"]
    assert frame["on"].tolist()[0] == "true"
    assert frame["on"].isna().tolist() == [False, True]


def test_byte_order_marks_and_carriage_returns_are_no_content(tmp_path: Path) -> None:
    path = written(tmp_path, b'\xef\xbb\xbf{"a": 1}\r\n{"a": 2}\r\n')
    assert read_table(path)["a"].tolist() == [1, 2]


def test_numbers_that_json_has_not_are_read_as_python_writes_them(tmp_path: Path) -> None:
    frame = read_table(written(tmp_path, '{"y": NaN}\n{"y": Infinity}\n{"y": 1}'))
    assert frame["y"].isna().tolist() == [True, False, False]
    assert frame["y"].tolist()[1] == float("inf")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('{"a": 1}\n[1, 2]', "runs.jsonl:2: the line is no JSON object"),
        ('{"a": 1}\n3', "runs.jsonl:2: the line is no JSON object"),
        ('{"a": 1}\n{"a": 2, "b"', "runs.jsonl:2: the line is not JSON"),
        ('{\n"a": 1}', "runs.jsonl:1: the line is not JSON"),
        ('{"a": 1, "a": 2}', "runs.jsonl:1: the line is not JSON (the key 'a' stands twice)"),
        ('{"a": {"b": 1}, "a.b": 2}', "runs.jsonl:1: two columns have the same name"),
        (b'{"a": 1}\n{"a": "\xff"}', "runs.jsonl:2: the file is not UTF-8 text"),
        ('{"a": 1}'.encode("utf-16"), "runs.jsonl:1: the file is not UTF-8 text"),
        ('{"a": ' + "[" * 100_000, "runs.jsonl:1: the line is not JSON"),
        ('{"a": ' + "9" * 5000 + "}", "runs.jsonl:1: the line is not JSON"),
        (b'{"a": "\0"}', "runs.jsonl:1: the line is not JSON"),
        ("", "runs.jsonl: the table has no rows"),
        ("\n \n", "runs.jsonl: the table has no rows"),
        ("{}\n", "runs.jsonl: the table has no rows"),
    ],
)
def test_what_is_no_table_is_refused_at_its_line(
    content: str | bytes, told: str, tmp_path: Path
) -> None:
    with pytest.raises(TableError) as refused:
        read_table(written(tmp_path, content))
    assert told in str(refused.value)


def test_a_cut_off_gz_is_refused(tmp_path: Path) -> None:
    whole = gzip.compress(b'{"a": 1}\n' * 1000)
    with pytest.raises(TableError, match="cannot be read"):
        read_table(written(tmp_path, whole[:-20], "runs.jsonl.gz"))


def test_two_hundred_columns_give_the_effect_of_one(tmp_path: Path) -> None:
    def row(run: int) -> dict[str, Any]:
        return {
            **{f"c{number}": number * run for number in range(200)},
            "opt": {"name": ("sgd", "adam")[run % 2]},
            "score": 0.5 + 0.25 * (run % 2) + 0.01 * (run // 2),
        }

    lines = "\n".join(json.dumps(row(run)) for run in range(8))
    frame = read_table(written(tmp_path, lines), ["opt.name"])
    effects = analyse_table(frame, "score", ["opt.name"])["responses"]["score"]["effects"]
    assert effects[0]["estimate"] == pytest.approx(0.25)
