"""Texts of few words say the most important first, and never more than they may."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ablatekit.report.paste.length import Passage, fitted, words_of

TEXT = st.lists(st.sampled_from(["a", "bb", "ccc"]), max_size=12).map(" ".join)
PASSAGES = st.lists(
    st.builds(
        Passage,
        topic=st.sampled_from(["one", "two"]),
        rank=st.integers(1, 5),
        wordings=st.lists(TEXT, min_size=1, max_size=3),
    ),
    max_size=8,
)


@given(PASSAGES, st.integers(0, 40))
def test_a_text_never_has_more_words_than_it_may(passages, limit):
    chosen = fitted(passages, limit)
    assert words_of(" ".join(text for _, text in chosen)) <= limit


@given(PASSAGES)
def test_everything_is_said_at_length_where_there_is_room(passages):
    chosen = fitted(passages, 1000)
    assert chosen == [(passage.topic, passage.wordings[0]) for passage in passages]


def test_what_matters_is_said_before_details_and_what_does_not_fit_is_passed_over():
    passages = [
        Passage("detail", 5, ["one two three", "one"]),
        Passage("core", 1, ["a b c d e f g h", "a b"]),
        Passage("next", 2, ["x y z"]),
    ]
    assert fitted(passages, 2) == [("core", "a b")]
    assert fitted(passages, 5) == [("core", "a b"), ("next", "x y z")]
    assert fitted(passages, 6) == [("detail", "one"), ("core", "a b"), ("next", "x y z")]
