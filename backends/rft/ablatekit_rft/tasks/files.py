"""Files of data sets: from bytes to records, each with the file and the line where it stands.

A file that is not what its name says is refused as a whole, at the first line that shows it: what
is cut off or doubled cannot be told from what was meant.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import json
import re
import sys
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeAlias

from ablatekit.errors import Problem, UsageError

Record: TypeAlias = tuple[str, Mapping[str, Any]]
"""The place of a row, such as `train.jsonl:3`, and its values by name of field."""
Split: TypeAlias = Literal["train", "test", "validation"]

TEXT_SUFFIXES = (".jsonl", ".json", ".csv")
SUFFIXES = (*TEXT_SUFFIXES, *(f"{suffix}.gz" for suffix in TEXT_SUFFIXES), ".parquet", ".arrow")

_SPLITS: Mapping[str, Split] = {
    **dict.fromkeys(("train", "training", "trainset"), "train"),
    **dict.fromkeys(("test", "testing", "testset"), "test"),
    **dict.fromkeys(("validation", "valid", "val", "dev", "eval"), "validation"),
}
_ABOUT = ("dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json")
"""What `datasets` writes beside the rows."""
_WORD = re.compile(r"[a-z]+")
_SPACE = re.compile(r"[ \t\r\n]*")
_OTHER_SEPARATOR = re.compile(r"[;\t|]")
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_SHOWN = 60


def is_data_file(path: Path) -> bool:
    """Whether a file below a data folder has rows: by its suffix, unless it is hidden or a cache.

    `datasets` writes caches, `cache-*.arrow`, and files about the data beside those with rows.
    """
    if any(part.startswith(".") for part in path.parts) or path.name in _ABOUT:
        return False
    return path.name.lower().endswith(SUFFIXES) and not path.name.startswith("cache-")


def split_of(name: str) -> Split | None:
    """The split that the first word of a name or path tells that tells one.

    As in `train-00000-of-00002.parquet`, `gsm8k_test.jsonl` or `train/algebra/1.json`.
    """
    words = _WORD.findall(name.lower())
    return next((_SPLITS[word] for word in words if word in _SPLITS), None)


def read_records(path: Path) -> Iterator[Record]:
    """The rows of a data file. Raises UsageError with file and line for what is damaged."""
    suffix = Path(path.name.lower().removesuffix(".gz")).suffix
    readers = {".parquet": _arrow, ".arrow": _arrow, ".csv": _csv}
    return readers.get(suffix, _json)(path)


def _arrow(path: Path) -> Iterator[Record]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if path.suffix.lower() == ".parquet":
            table = pq.read_table(path)
        else:
            with pa.OSFile(str(path)) as source:
                table = pa.ipc.open_stream(source).read_all()
        records = _wide(table).to_pylist()
    except (OSError, ValueError, pa.ArrowException) as error:
        kind = "an Arrow" if path.suffix.lower() == ".arrow" else "a Parquet"
        raise UsageError(Problem(f"not {kind} file", f"{path}: {error}")) from error
    return ((f"{path}: row {number}", record) for number, record in enumerate(records, start=1))


def _wide(table: Any) -> Any:
    """The table with numbers of 32 bits as the shortest decimals that mean them: 0.1 is 0.1."""
    import pyarrow as pa

    for place, field in enumerate(table.schema):
        if pa.types.is_float32(field.type):
            decimals = table.column(place).cast(pa.string()).cast(pa.float64())
            table = table.set_column(place, field.name, decimals)
    return table


@contextmanager
def _opened(path: Path) -> Iterator[Iterable[bytes]]:
    try:
        with path.open("rb") as stream:
            zipped = path.suffix.lower() == ".gz"
            yield gzip.GzipFile(fileobj=stream) if zipped else stream
    except (OSError, EOFError, zlib.error) as error:
        raise UsageError(Problem("a data file cannot be read", f"{path}: {error}")) from error


def _lines(path: Path) -> Iterator[str]:
    """Lines with their ends; a line feed alone ends one: U+2028 may stand inside a text."""
    with _opened(path) as stream:
        for number, line in enumerate(stream, start=1):
            if number == 1 and line.startswith(_UTF_16):
                _refuse("a data file is not UTF-8 text", f"{path}:1: UTF-16", "Save it as UTF-8")
            try:
                # Files that were put together have a byte-order mark in the middle.
                yield line.decode("utf-8-sig")
            except UnicodeDecodeError as error:
                byte = f"byte 0x{line[error.start]:02x}"
                where = f"{path}:{number}:{error.start + 1}"
                _refuse("a data file is not UTF-8 text", f"{where}: {byte}", "Save it as UTF-8")


def _refuse(rule: str, received: str, remedy: str) -> NoReturn:
    raise UsageError(Problem(rule, received, remedy))


def _refuse_json(where: str, said: object) -> NoReturn:
    remedy = "Write one JSON object in each line, or an array of objects"
    _refuse("not a JSON object", f"{where}: {said}", remedy)


def _json(path: Path) -> Iterator[Record]:
    """JSON Lines, one array of objects, or one object, whichever of them the file holds."""
    lines = list(_lines(path))
    first = next((line.lstrip() for line in lines if line.strip()), "")
    if first.startswith("["):
        return _array(path, "".join(lines))
    whole = _whole(path, lines) if ".json" in path.suffixes and first.startswith("{") else None
    return _json_lines(path, lines) if whole is None else iter([(f"{path}:1", whole)])


def _json_lines(path: Path, lines: Iterable[str]) -> Iterator[Record]:
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield f"{path}:{number}", _object(f"{path}:{number}", line)


def _whole(path: Path, lines: Iterable[str]) -> Mapping[str, Any] | None:
    """The one object of a file, as the files of MATH have it; None where it holds others."""
    try:
        record = json.loads("".join(lines), parse_float=Decimal, object_pairs_hook=_each_once)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":
            return None
        _refuse_json(f"{path}:{error.lineno}:{error.colno}", error.msg)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _object(where: str, line: str) -> Mapping[str, Any]:
    try:
        record = json.loads(line, parse_float=Decimal, object_pairs_hook=_each_once)
    except json.JSONDecodeError as error:
        _refuse_json(f"{where}:{error.colno}", error.msg)
    except (ValueError, RecursionError) as error:
        _refuse_json(where, error)
    return record if isinstance(record, dict) else _refuse_json(where, _short(line))


def _array(path: Path, text: str) -> Iterator[Record]:
    """The objects of an array; the place of each is the line where it begins."""
    decoder = json.JSONDecoder(parse_float=Decimal, object_pairs_hook=_each_once)
    line, counted = 1, 0
    place = _after_space(text, text.index("[") + 1)
    while text[place : place + 1] != "]":
        line, counted = line + text.count("\n", counted, place), place
        record, place = _element(decoder, text, place, f"{path}:{line}")
        yield f"{path}:{line}", record
        place = _after_space(text, place)
        if text[place : place + 1] == ",":
            place = _after_space(text, place + 1)
            if text[place : place + 1] == "]":
                _refuse_json(f"{path}:{line}", "a comma before the end of the array")
        elif text[place : place + 1] != "]":
            _refuse_json(f"{path}:{line}", "the array does not end behind this object")
    if text[place + 1 :].strip():
        _refuse_json(f"{path}:{line}", f"behind the array stands {_short(text[place + 1 :])}")


def _element(
    decoder: json.JSONDecoder, text: str, place: int, where: str
) -> tuple[Mapping[str, Any], int]:
    try:
        record, end = decoder.raw_decode(text, place)
    except (ValueError, RecursionError) as error:
        _refuse_json(where, error)
    return (record, end) if isinstance(record, dict) else _refuse_json(where, _short(text[place:]))


def _after_space(text: str, place: int) -> int:
    match = _SPACE.match(text, place)
    return match.end() if match else place


def _short(text: str) -> str:
    shown = text.strip()
    return repr(shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]} ...")


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} stands twice")
    return record


@contextmanager
def _fields_of_any_length() -> Iterator[None]:
    usual = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(usual)


def _csv(path: Path) -> Iterator[Record]:
    """Rows below a line of names; the place of each is the line where it begins."""
    reader, records, begun = csv.reader(_lines(path), strict=True), [], 0
    names: list[str] | None = None
    try:
        with _fields_of_any_length():
            for cells in reader:
                where, begun = f"{path}:{begun + 1}", reader.line_num
                if names is None:
                    names = _names(where, cells)
                elif any(cell.strip() for cell in cells):
                    records.append((where, _cells(where, names, cells)))
    except csv.Error as error:
        rule = "a row of a .csv file cannot be read"
        raise UsageError(Problem(rule, f"{path}:{begun + 1}: {error}")) from error
    return iter(records)


def _names(where: str, cells: list[str]) -> list[str]:
    names = [cell.strip() for cell in cells]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        _refuse("a name of a .csv file stands twice", f"{where}: {twice!r}", "Rename a column")
    if len(names) == 1 and _OTHER_SEPARATOR.search(names[0]):
        rule = "cells of a .csv file stand between commas"
        _refuse(rule, f"{where}: {names[0]!r}", "Write it with commas")
    return names


def _cells(where: str, names: list[str], cells: list[str]) -> Mapping[str, str]:
    if len(cells) != len(names):
        received = f"{where}: {len(cells)} cells under {len(names)} names"
        _refuse("a row of a .csv file has a cell for every name", received, "Quote commas in cells")
    return dict(zip(names, cells, strict=True))
