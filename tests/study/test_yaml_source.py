from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ablatekit.errors import Location, StudyError
from ablatekit.study.scalars import resolve_scalar, scalar_text
from ablatekit.study.yaml_source import (
    MAX_BYTES,
    Loc,
    Node,
    override,
    parse_override,
    parse_yaml,
    read_source,
)


def _error(text: str) -> StudyError:
    with pytest.raises(StudyError) as raised:
        parse_yaml(text, "s.yaml")
    return raised.value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1E3", 1000.0),
        (".5", 0.5),
        ("-2.", -2.0),
        ("+3", 3),
        ("010", 10),
        ("0o17", 15),
        ("0xff", 255),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("0b11", "0b11"),
        ("no", "no"),
        ("on", "on"),
        ("Yes", "Yes"),
        ("y", "y"),
        ("2026-11-22", "2026-11-22"),
        ("=", "="),
        ("~", None),
        ("null", None),
        ("", None),
        ("none", "none"),
        ("True", True),
        ("FALSE", False),
        ("tRUE", "tRUE"),
        ('"1"', "1"),
        ("'no'", "no"),
        ("1e", "1e"),
        (".", "."),
        ("1.2.3", "1.2.3"),
    ],
)
def test_scalars_follow_the_core_schema(text: str, value: object) -> None:
    found = parse_yaml(f"key: {text}\n", "s.yaml").plain()["key"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("text", [".inf", "-.INF", ".nan", "1e999", "9" * 5000])
def test_numbers_are_finite(text: str) -> None:
    problem = _error(f"a: 1\nkey: {text}\n").problems[0]
    assert "not a finite number" in problem.rule
    assert problem.where == Location("s.yaml", 2, 6)


def test_keys_are_text_whatever_they_look_like() -> None:
    assert list(parse_yaml("{1e-4: a, no: b, null: c, 010: d}", "s.yaml").plain()) == [
        "1e-4",
        "no",
        "null",
        "010",
    ]


def test_every_duplicate_key_is_reported_with_both_lines() -> None:
    problems = _error("a: 1\nb: {c: 1, c: 2}\na: 3\n").problems
    assert [(one.received, one.where) for one in problems] == [
        ("'c'", Location("s.yaml", 2, 11)),
        ("'a'", Location("s.yaml", 3, 1)),
    ]
    assert "line 1" in problems[1].remedy


@pytest.mark.parametrize(
    "tagged",
    ["!!python/object/apply:os.system ['true']", "!own 3", "!!str 3", "!!float 3", "!!set {x}"],
)
def test_tags_are_refused(tagged: str) -> None:
    (problem,) = _error(f"key: {tagged}\n").problems
    assert problem.rule == "tags are not allowed in a study file"
    assert problem.where == Location("s.yaml", 1, 6)


def test_aliases_repeat_values() -> None:
    assert parse_yaml("a: &levels [1, 2]\nb: *levels\n", "s.yaml").plain() == {
        "a": [1, 2],
        "b": [1, 2],
    }


def test_exploding_aliases_are_refused_before_they_explode() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30)]
    (problem,) = _error("\n".join(lines)).problems
    assert "aliases expand to more than" in problem.rule


@pytest.mark.parametrize(
    ("text", "rule", "line", "column"),
    [
        ("a: &a [1, *a]", "an alias may not contain itself", 1, 11),
        ("a: &a {b: *a}", "an alias may not contain itself", 1, 11),
        ("a: *b", "unknown alias", 1, 4),
        ("x: {}\n<<: {a: 1}", "merge keys are not allowed", 2, 1),
        ("? [a]\n: 1", "a key must be a single value", 1, 3),
        ("a: {{x: 1}: 2}", "a key must be a single value", 1, 5),
        ("a: [1\nb: 2", "is not valid YAML", 2, 2),
        ("a: b: c", "is not valid YAML", 1, 5),
        ("\ta: 1", "is not valid YAML", 1, 1),
        ("a: 1\nb: @c", "is not valid YAML", 2, 4),
        ("a: \x07", "is not valid YAML", 1, 4),
        ("a: 1\n---\nb: 1\n", "more than one YAML document", 2, 1),
        ("", "is empty", 1, 1),
        ("# a comment\n", "is empty", 1, 1),
    ],
)
def test_what_cannot_be_read_has_one_message_with_its_position(
    text: str, rule: str, line: int, column: int
) -> None:
    (problem,) = _error(text).problems
    assert rule in problem.rule
    assert problem.where == Location("s.yaml", line, column)


def test_a_key_that_is_no_single_value_is_shown() -> None:
    expected = 'received {"x": [1]}. Quote it if it is meant as text'
    assert expected in str(_error("a: {{x: [1]}: 2}"))
    assert len(str(_error(f"a: {{{list(range(500))}: 2}}"))) < 250


@pytest.mark.parametrize("depth", [100, 100_000])
def test_nesting_is_bounded(depth: int) -> None:
    assert "nested deeper" in str(_error("a: " + "[" * depth))


def test_merge_key_in_quotes_is_a_key() -> None:
    assert parse_yaml('"<<": 1', "s.yaml").plain() == {"<<": 1}


def test_a_byte_order_mark_is_no_content(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert read_source(path) == "a: 1\n"


def test_bytes_that_are_not_utf8_are_located(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_bytes(b"a: 1\nb: \xff\n")
    with pytest.raises(StudyError, match="not UTF-8") as raised:
        read_source(path)
    assert raised.value.problems[0].where == Location(str(path), 2, 4)


def test_a_directory_and_a_huge_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="directory"):
        read_source(tmp_path)
    huge = tmp_path / "weights.bin"
    with huge.open("wb") as stream:
        stream.truncate(MAX_BYTES + 1)
    with pytest.raises(StudyError, match="too large"):
        read_source(huge)


def _paths(value: Any, loc: Loc = ()) -> list[tuple[Loc, Any]]:
    found: list[tuple[Loc, Any]] = [(loc, value)]
    if isinstance(value, dict):
        for key, one in value.items():
            found += _paths(one, (*loc, key))
    if isinstance(value, list):
        for index, one in enumerate(value):
            found += _paths(one, (*loc, index))
    return found


_KEYS = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0x2FF, exclude_categories=["Cc"]), max_size=8
)
_NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**70), 2**70)
_SCALARS = st.none() | st.booleans() | _NUMBERS | _KEYS
_DATA = st.dictionaries(
    _KEYS,
    st.recursive(
        _SCALARS, lambda d: st.lists(d, max_size=3) | st.dictionaries(_KEYS, d), max_leaves=12
    ),
)


@settings(max_examples=40)
@given(data=_DATA, indent=st.sampled_from([None, 1, 3]))
def test_json_is_read_as_itself_and_every_scalar_stands_where_the_map_says(
    data: dict[str, Any], indent: int | None
) -> None:
    text = json.dumps(data, indent=indent, ensure_ascii=False)
    root = parse_yaml(text, "s.yaml")
    assert root.plain() == data
    lines = text.split("\n")
    for loc, value in _paths(data):
        where = root.where_value(loc)
        assert where.line is not None
        assert where.column is not None
        written = lines[where.line - 1][where.column - 1 :]
        start = "{" if isinstance(value, dict) else "[" if isinstance(value, list) else None
        assert written.startswith(start or json.dumps(value, ensure_ascii=False))
        if loc and isinstance(loc[-1], str):
            key = root.where_key(loc)
            assert key.line is not None
            assert key.column is not None
            assert lines[key.line - 1][key.column - 1 :].startswith(
                json.dumps(loc[-1], ensure_ascii=False)
            )


@given(value=_SCALARS)
def test_scalar_text_reads_back_as_the_value(value: Any) -> None:
    found = parse_yaml(f"[{scalar_text(value)}]", "s.yaml").plain()[0]
    assert found == value
    assert type(found) is type(value)


@given(value=st.floats(allow_nan=False, allow_infinity=False))
def test_floats_resolve_to_floats(value: float) -> None:
    found = resolve_scalar(repr(value))
    assert isinstance(found, float)
    assert found == value
    assert math.copysign(1, found) == math.copysign(1, value)


def test_union_tags_are_dropped_from_a_location() -> None:
    root = parse_yaml("a: {b: [1, 2]}", "s.yaml")
    assert root.path(("a", "dict[str,int]", "b", "list[int]", 1)) == ("a", "b", 1)
    assert root.where_value(("a", "b", 7)) == Location("s.yaml", 1, 8)


def _set(text: str, *options: str) -> Any:
    root = parse_yaml(text, "s.yaml")
    for option in options:
        root = override(root, *parse_override(option))
    return root.plain()


@pytest.mark.parametrize(
    ("options", "value"),
    [
        (["a.b=2"], {"a": {"b": 2, "x.y": 0}, "l": [{"k": 1}]}),
        (["a.c.d=[1, x]"], {"a": {"b": 1, "x.y": 0, "c": {"d": [1, "x"]}}, "l": [{"k": 1}]}),
        (["a.x.y=5"], {"a": {"b": 1, "x.y": 5}, "l": [{"k": 1}]}),
        (["l.0.k=no"], {"a": {"b": 1, "x.y": 0}, "l": [{"k": "no"}]}),
        (["a="], {"a": None, "l": [{"k": 1}]}),
        (["a=1", "a=2"], {"a": 2, "l": [{"k": 1}]}),
        (["a={b: 'x=y'}"], {"a": {"b": "x=y"}, "l": [{"k": 1}]}),
    ],
)
def test_overrides(options: list[str], value: object) -> None:
    assert _set("a: {b: 1, x.y: 0}\nl: [{k: 1}]", *options) == value


@pytest.mark.parametrize(
    ("option", "rule"),
    [
        ("a", "is not key=value"),
        ("=3", "is not key=value"),
        ("a.b.c=1", "below a single value"),
        ("l.3=1", "has no item '3'"),
        ("l.k=1", "has no item 'k'"),
        ("a=[1", "is not valid YAML"),
        ("a=!!str 1", "tags are not allowed"),
    ],
)
def test_a_bad_override_names_itself(option: str, rule: str) -> None:
    with pytest.raises(StudyError, match=rule) as raised:
        _set("a: {b: 1}\nl: [{k: 1}]", option)
    where = raised.value.problems[0].where
    assert where is not None
    assert where.file == f"--set {option}"


def test_an_override_moves_the_positions_of_what_it_sets() -> None:
    root = override(parse_yaml("a: {b: 1}\nc: 2", "s.yaml"), *parse_override("a.b=[1, 2]"))
    assert root.where_value(("a", "b", 1)) == Location("--set a.b=[1, 2]")
    assert root.where_value(("c",)) == Location("s.yaml", 2, 4)


def test_a_node_counts_what_it_holds() -> None:
    root = parse_yaml("a: &x [1, 2]\nb: [*x, *x]", "s.yaml")
    assert isinstance(root, Node)
    assert root.size == 1 + 3 + 1 + 3 + 3
