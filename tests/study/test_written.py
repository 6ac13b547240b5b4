"""Whatever a study file can hold is read as it was written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablatekit.errors import StudyError
from ablatekit.study.written import study_text
from ablatekit.study.yaml_source import at_their_keys, parse_yaml

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)
WORDS = st.sampled_from(
    ["no", "1e-4", "null", "~", "0x1f", "a: b", "- a", "#", "'", '"', "*a", "<<"]
)
KEYS = TEXT | WORDS.filter(lambda word: word != "<<")
SCALARS = (
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | TEXT | WORDS
    | st.floats(allow_nan=False, allow_infinity=False)
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda part: st.lists(part, max_size=3) | st.dictionaries(KEYS, part, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(KEYS, VALUES, min_size=1, max_size=4))
def test_a_text_reads_as_what_it_was_made_of(content: dict[str, Any]) -> None:
    assert parse_yaml(study_text(content), "study.yaml").plain() == content


def test_numbers_of_numpy_paths_and_tuples_are_plain() -> None:
    content = {
        "a": np.float32(0.5),
        "b": {"c": np.arange(2), "d": Path("x/y"), "e": (1, "1")},
        "f": range(2),
    }
    assert study_text(content) == 'a: 0.5\nb:\n  c: [0, 1]\n  d: x/y\n  e: [1, "1"]\nf: [0, 1]\n'


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ({"a": {"b": [1, float("inf")]}}, "a.b[1]: float has no place"),
        ({"a": {"b": {3j: 1}}}, "a.b: complex has no place"),
        ({"a": {1, 2}}, "a: set has no place"),
        ({"a": b"x"}, "a: bytes has no place"),
    ],
)
def test_what_a_file_cannot_hold_is_located_at_its_key(value: dict[str, Any], where: str) -> None:
    with pytest.raises(StudyError) as refused:
        study_text(value)
    assert where in str(refused.value)


def test_values_know_the_way_to_them() -> None:
    source = at_their_keys(parse_yaml("a: {b: [1, {c: 2}]}", "study.yaml"))
    assert str(source.where) == "the study"
    assert str(source.where_value(("a", "b", 1, "c"))) == "a.b[1].c"
    assert str(source.where_key(("a", "b"))) == "a.b"
    assert str(source.where_key(("a", "x"))) == "a"
