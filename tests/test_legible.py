"""What others wrote is shown without effect: nothing acts unseen, no password is told."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablatekit.errors import Problem
from ablatekit.legible import has_invisible, legible, legible_json, masked, masked_json, visible

JOINERS = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"


@given(st.text(st.characters(codec=None), max_size=40))
def test_nothing_that_acts_is_left_and_nothing_else_changes(text: str) -> None:
    shown = visible(text)
    assert not has_invisible(shown)
    assert visible(shown) == shown
    bidirectional = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
    for letter in shown:
        assert unicodedata.bidirectional(letter) not in bidirectional
        assert unicodedata.category(letter) not in ("Cc", "Cs", "Zl", "Zp") or letter in "\n\t"
    printed = "".join(letter for letter in text if letter.isprintable() or letter in "\n\t")
    assert visible(printed) == printed


def test_escapes_say_what_they_stand_for() -> None:
    assert visible("a\x1b[31mb\u202ec\U000e0041") == r"a\x1b[31mb\u202ec\U000e0041"
    assert visible(f"a{JOINERS}b\n\tc") == f"a{JOINERS}b\n\tc"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://me:secret@host:5432/db", "postgresql://***@host:5432/db"),
        ("https://token@host/path", "https://***@host/path"),
        ("postgresql+psycopg2://me:sec/ret@host/db", "postgresql+psycopg2://***@host/db"),
        ("mysql://me:se@cret@host/db", "mysql://***@host/db"),
        ("at http://a:b@c and http://d:e@f", "at http://***@c and http://***@f"),
        ("mssql://h/db?password=secret&x=1", "mssql://h/db?password=***&x=1"),
        ("uri: 'http://a:b@c'", "uri: 'http://***@c'"),
        ("http://host:5000/#/experiments", "http://host:5000/#/experiments"),
        ("sqlite:///mlflow.db", "sqlite:///mlflow.db"),
        ("write to me@example.org", "write to me@example.org"),
    ],
)
def test_user_information_is_masked_and_nothing_else(text: str, shown: str) -> None:
    assert masked(text) == shown


def test_json_is_legible_in_its_keys_too() -> None:
    value = {"a\u202e": ["x\x07", 1, None, {"b": "http://u:p@h"}], "plain": True}
    assert legible_json(value) == {
        r"a\u202e": [r"x\x07", 1, None, {"b": "http://***@h"}],
        "plain": True,
    }
    assert masked_json(value)["a\u202e"][3] == {"b": "http://***@h"}  # type: ignore[index]


def test_json_without_occasion_stays_the_same_object() -> None:
    value = {"a": ["x\ny", 1.5, "\N{GREEK SMALL LETTER TAU}"]}
    assert legible_json(value) is value
    assert masked_json(value) is value


def test_a_message_is_legible() -> None:
    shown = str(Problem("rule\x1b[2J", "postgresql://u:p@h", "remedy \u202e"))
    assert shown == legible(shown)
    assert ":p@" not in shown
