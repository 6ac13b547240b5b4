"""Files of data sets: what is read, with its place, and what is refused at its line."""

from __future__ import annotations

import gzip
import json
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ablatekit_rft.tasks.files import SUFFIXES, is_data_file, read_records, split_of
from hypothesis import given, settings
from hypothesis import strategies as st

from ablatekit.errors import UsageError

ONE, TWO = {"q": "one", "a": 1}, {"q": "two", "a": 2}
BOTH = [(1, ONE), (2, TWO)]


def places(path: Path) -> list[tuple[int, Any]]:
    """Lines and records; every place is the file and the line."""
    records = list(read_records(path))
    assert all(where.startswith(f"{path}:") for where, _ in records)
    return [(int(where.removeprefix(f"{path}:")), record) for where, record in records]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("lines.jsonl", '{"q": "one", "a": 1}\n{"q": "two", "a": 2}\n', BOTH),
        ("mark.jsonl", '\ufeff{"q": "one", "a": 1}\n\ufeff{"q": "two", "a": 2}', BOTH),
        ("ends.jsonl", '{"q": "one", "a": 1}\r\n\r\n  \r\n{"q": "two", "a": 2}\r\n', None),
        ("lines.json", '{"q": "one", "a": 1}\n{"q": "two", "a": 2}\n', BOTH),
        ("array.jsonl", '[{"q": "one", "a": 1},\n{"q": "two", "a": 2}]', BOTH),
        ("array.json", '\ufeff\n[\n {"q": "one",\n "a": 1}\n,\n {"q": "two", "a": 2}]\n', None),
        ("object.json", '{\n"q": "one",\n"a": 1}\n', [(1, ONE)]),
        ("nothing.json", "[ ]", []),
        ("nothing.jsonl", "\n", []),
        ("nothing.csv", "", []),
    ],
)
def test_what_json_files_hold(tmp_path: Path, name: str, text: str, expected: Any) -> None:
    path = tmp_path / name
    path.write_bytes(text.encode())
    later = {"ends.jsonl": [(1, ONE), (4, TWO)], "array.json": [(3, ONE), (6, TWO)]}
    assert places(path) == (later[name] if expected is None else expected)
    zipped = tmp_path / f"{name}.gz"
    zipped.write_bytes(gzip.compress(text.encode()))
    assert places(zipped) == places(path)


def test_only_a_line_feed_ends_a_line(tmp_path: Path) -> None:
    text = "a\u2028b\u2029c\x0bd\x85e" + "x" * 300_000
    path = tmp_path / "long.jsonl"
    path.write_text(f"{json.dumps({'q': text}, ensure_ascii=False)}\n{{}}\n", "utf-8")
    assert places(path) == [(1, {"q": text}), (2, {})]
    table = tmp_path / "long.csv"
    table.write_text(f'q\n"{text}"\n', "utf-8")
    assert places(table) == [(2, {"q": text})]


def test_numbers_of_json_keep_their_digits(tmp_path: Path) -> None:
    path = tmp_path / "n.jsonl"
    path.write_text('{"a": 0.12345678901234567890, "b": 1e400, "c": 123456789012345678901}')
    assert places(path)[0][1] == {
        "a": Decimal("0.12345678901234567890"),
        "b": Decimal("1e400"),
        "c": 123456789012345678901,
    }


def test_rows_of_csv_begin_at_their_line(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b'\xef\xbb\xbf q ,a\r\n"one, ""1""\nmore",1\r\n\r\n,\r\ntwo,2\r\n')
    assert places(path) == [
        (2, {"q": 'one, "1"\nmore', "a": "1"}),
        (6, {"q": "two", "a": "2"}),
    ]


def test_tables_of_arrow(tmp_path: Path) -> None:
    rows = [{"q": "one", "n": {"a": 0.1, "t": [{"role": "user"}]}}, {"q": None, "n": None}]
    table = pa.Table.from_pylist(rows).append_column("f", pa.array([0.1, None], pa.float32()))
    pq.write_table(table, tmp_path / "t.parquet")
    with (
        pa.OSFile(str(tmp_path / "t.arrow"), "wb") as sink,
        pa.ipc.new_stream(sink, table.schema) as writer,
    ):
        writer.write_table(table)
    expected = [{**rows[0], "f": 0.1}, {**rows[1], "f": None}]
    for name in ("t.parquet", "t.arrow"):
        records = list(read_records(tmp_path / name))
        assert [record for _, record in records] == expected
        assert [where for where, _ in records] == [f"{tmp_path / name}: row {n}" for n in (1, 2)]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("x.jsonl", b'{"q": 1}\n{"q": 1,}\n', r"not a JSON object; received \S*x\.jsonl:2:9: "),
        ("x.jsonl", b'{"q": 1}\n{"q": "\n', r"x\.jsonl:2:\d+: "),
        ("x.jsonl", b'{"q": 1}\n5\n', r"x\.jsonl:2: '5'"),
        ("x.jsonl", b'{"q": 1}\n[1]\n', r"x\.jsonl:2: '\[1\]'"),
        ("x.jsonl", b'{"q": 1, "q": 2}\n', r"x\.jsonl:1: the key 'q' stands twice"),
        ("x.jsonl", b'\n{"q": {"a": 1, "a": 1}}\n', r"x\.jsonl:2: the key 'a' stands twice"),
        ("x.jsonl", b'{"q": "a"}\n{"q": "\xff"}\n', r"not UTF-8 text; .*x\.jsonl:2:8: byte 0xff"),
        ("x.jsonl", '{"q": 1}'.encode("utf-16"), r"x\.jsonl:1: UTF-16\. Save it as UTF-8"),
        ("x.jsonl", b"{" * 100_000, r"x\.jsonl:1"),
        ("x.jsonl", b'{"q": ' + b"[" * 100_000, r"x\.jsonl:1: maximum recursion"),
        ("x.jsonl", b'{"q": ' + b"9" * 5_000 + b"}", r"x\.jsonl:1: Exceeds the limit"),
        ("x.json", b'[\n{"q": 1},\n]', r"x\.json:2: a comma before the end of the array"),
        ("x.json", b'[\n{"q": 1}\n{"q": 2}]', r"x\.json:2: the array does not end behind"),
        ("x.json", b'[\n{"q": 1},\n{"q": ]', r"x\.json:3: "),
        ("x.json", b'[\n{"q": 1},\n\n7]', r"x\.json:4: '7\]'"),
        ("x.json", b'[{"q": 1}', r"x\.json:1: the array does not end behind"),
        ("x.json", b'[{"q": 1}]\n{}', r"x\.json:1: behind the array stands '\{\}'"),
        ("x.json", b'{\n"q": 1,\n}', r"x\.json:3:1"),
        ("x.csv", b'q,a\n1,2\n"x"y,1\n', r"x\.csv:3: "),
        ("x.csv", b"q,a\n1,2,3\n", r"x\.csv:2: 3 cells under 2 names"),
        ("x.csv", b"q,a\n1\n", r"x\.csv:2: 1 cells under 2 names"),
        ("x.csv", b"q, q\n1,2\n", r"x\.csv:1: 'q'"),
        ("x.csv", b'q,a\n"x,1\n', r"x\.csv:2: unexpected end of data"),
        ("x.csv", b"q;a\n1;2\n", r"x\.csv:1: 'q;a'\. Write it with commas"),
        ("x.jsonl.gz", b'{"q": 1}', r"cannot be read; received \S*x\.jsonl\.gz"),
        ("x.jsonl.gz", gzip.compress(b'{"q": 1}', mtime=0)[:-4], r"x\.jsonl\.gz"),
        ("x.parquet", b"PAR1", r"not a Parquet file; received \S*x\.parquet"),
        ("x.arrow", b"no", r"not an Arrow file; received \S*x\.arrow"),
    ],
)
def test_what_is_damaged_is_refused_at_its_line(
    tmp_path: Path, name: str, data: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UsageError, match=message) as caught:
        list(read_records(tmp_path / name))
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train.jsonl", "train"),
        ("train-00000-of-00002.parquet", "train"),
        ("data/test-00000-of-00001.parquet", "test"),
        ("train/algebra/1.json", "train"),
        ("gsm8k_test.jsonl", "test"),
        ("Validation.csv", "validation"),
        ("dev.json", "validation"),
        ("train_sft", "train"),
        ("trainer_log.json", None),
        ("latest.json", None),
        ("devices.json", None),
    ],
)
def test_names_tell_their_split(name: str, split: str | None) -> None:
    assert split_of(name) == split


def test_what_lies_beside_data_is_no_data() -> None:
    assert not is_data_file(Path("train/state.json"))
    assert not is_data_file(Path("README.md"))
    assert not is_data_file(Path("train/cache-0123456789abcdef.arrow"))
    assert not is_data_file(Path("__MACOSX/._train.jsonl"))
    assert not is_data_file(Path(".cache/train.jsonl"))
    assert is_data_file(Path("train/data-00000-of-00001.arrow"))
    assert is_data_file(Path("x.JSONL.gz"))


@settings(max_examples=150, deadline=None)
@given(
    suffix=st.sampled_from(SUFFIXES),
    data=st.binary(max_size=40)
    | st.lists(
        st.sampled_from(['{"q": 1}', "{", "}", "[", "]", ",", "\n", '"', "q", ":", "1", "\ufeff"]),
        max_size=9,
    ).map(lambda parts: "".join(parts).encode()),
)
def test_whatever_a_file_holds_is_read_or_refused(suffix: str, data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"x{suffix}"
        path.write_bytes(gzip.compress(data) if suffix.endswith(".gz") else data)
        try:
            for where, record in read_records(path):
                assert where.startswith(str(path))
                assert isinstance(record, dict)
        except UsageError as error:
            (problem,) = error.problems
            assert str(path) in problem.received
