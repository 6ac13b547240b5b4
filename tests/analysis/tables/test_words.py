"""Words in tables: endings of runs in any case, missing values, better directions, spellings."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablatekit.analysis.tables.words import (
    ABSENT,
    ENDINGS,
    direction_of,
    ending_of,
    is_absent,
    is_unbounded,
    spelling,
)

PAIRS = [(ending, word) for ending, words in ENDINGS.items() for word in words]


@given(
    st.sampled_from(PAIRS), st.sampled_from([str.lower, str.upper, str.title, str.swapcase]),
    st.sampled_from([" ", "_", "-", "  "]), st.sampled_from(["", " ", "\t"]),
)  # fmt: skip
def test_every_word_for_an_ending_is_known_in_any_case(pair, case, between, around):
    ending, word = pair
    assert ending_of(around + case(word).replace(" ", between) + around) == ending


def test_no_word_stands_for_two_endings():
    words = [word for _, word in PAIRS]
    assert len(words) == len(set(words))


@pytest.mark.parametrize("word", ["single", "0", "", "not finished", "finishedd"])
def test_other_words_are_no_ending(word):
    assert ending_of(word) is None


@given(st.sampled_from(sorted(ABSENT)), st.sampled_from([str.lower, str.upper, str.title]))
def test_words_for_missing_values_are_known_in_any_case(word, case):
    assert is_absent(f" {case(word)} ")


@pytest.mark.parametrize("word", ["0", "1.5", "high", "nano", "nonexistent", "0,5"])
def test_other_words_are_no_missing_values(word):
    assert not is_absent(word)


@pytest.mark.parametrize(
    ("name", "direction", "word"),
    [
        ("loss", "lower", "loss"),
        ("val_loss", "lower", "loss"),
        ("valLoss", "lower", "loss"),
        ("CrossEntropyLoss", "lower", "crossentropy"),
        ("cross_entropy", "lower", "crossentropy"),
        ("Losses", "lower", "loss"),
        ("test error", "lower", "error"),
        ("err@1", "lower", "err"),
        ("testWER", "lower", "wer"),
        ("RMSE", "lower", "rmse"),
        ("wall-time", "lower", "walltime"),
        ("mean_latency_ms", "lower", "latency"),
        ("lossless_accuracy", "higher", ""),
        ("errorless", "higher", ""),
        ("terror", "higher", ""),
        ("hits@10", "higher", ""),
        ("entropy", "higher", ""),
        ("neg_mean_squared_error", "higher", "neg"),
        ("error_reduction", "higher", "reduction"),
        ("neg_log_likelihood", "lower", "loglikelihood"),
        ("logLikelihood", "higher", "loglikelihood"),
    ],
)
def test_directions_follow_whole_words(name, direction, word):
    assert direction_of(name) == (direction, word)


@pytest.mark.parametrize(
    ("name", "unbounded"), [("loss", True), ("kl", True), ("accuracy", False), ("error", False)]
)
def test_some_names_say_that_there_is_no_bound(name, unbounded):
    assert is_unbounded(name) is unbounded


NAMES = st.text("abcdefgh", min_size=2, max_size=6)
SPELLINGS = [
    str.upper,
    str.title,
    lambda text: f" {text} ",
    lambda text: text.replace("-", "_"),
    lambda text: text.replace("-", " "),
    lambda text: text.replace("-", ""),
    lambda text: "".join(chr(ord(c) + 0xFEE0) if c.isalpha() else c for c in text),
]


@given(NAMES, NAMES, st.sampled_from(SPELLINGS), st.sampled_from(SPELLINGS))
def test_spellings_of_one_level_are_alike(first, second, one, other):
    name = f"{first}-{second}"
    assert spelling(one(name)) == spelling(other(name))


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_spellings_of_one_number_are_alike(value):
    assert len({spelling(repr(value)), spelling(f" {value!r} "), spelling(f"{value:.17e}")}) == 1


def test_accents_in_two_unicode_forms_are_alike():
    assert spelling(unicodedata.normalize("NFD", "é")) == spelling("é") != spelling("e")


@pytest.mark.parametrize(
    ("one", "other"),
    [("-1", "1"), ("1.10", "1.01"), ("adam", "adamw"), ("a1", "a-1"), ("1-1", "11")],
)
def test_different_levels_stay_different(one, other):
    assert spelling(one) != spelling(other)
