"""How numbers are written."""

from __future__ import annotations

import pytest

from ablatekit.report.language.numbers import (
    Scale,
    decimals_for,
    general,
    p_value,
    percent,
    scale_of,
)

POINTS = Scale(100.0, "pp", 1)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0123, "+1.2"),
        (-0.0123, "\N{MINUS SIGN}1.2"),
        (0.0, "0.0"),
        (0.0001, "0.0"),
        (-0.0001, "0.0"),
    ],
)
def test_effects_carry_their_sign_unless_they_round_to_zero(value, text):
    assert POINTS.effect(value) == text


def test_intervals_and_missing_numbers():
    assert POINTS.interval(-0.0213, 0.0349) == "[\N{MINUS SIGN}2.1, 3.5]"
    assert POINTS.interval(None, 0.1) == "—"
    assert POINTS.effect(None) == POINTS.plain(float("nan")) == "—"


@pytest.mark.parametrize(
    ("error", "decimals"), [(0.8, 1), (0.08, 2), (0.2, 2), (4.0, 0), (400.0, 0), (1e-9, 6)]
)
def test_the_last_digit_is_at_most_a_third_of_the_standard_error(error, decimals):
    assert decimals_for([error], 1.0) == decimals
    assert decimals in (0, 6) or 10.0**-decimals <= error / 3


@pytest.mark.parametrize(
    ("value", "text"),
    [(30123.4567, "30,123"), (5.1234, "5.123"), (60.0, "60"), (0.0, "0"), (1e-4, "0.0001"),
     (-0.25, "\N{MINUS SIGN}0.25"), (1.5e-7, "1.500e\N{MINUS SIGN}07"), (None, "—")],
)  # fmt: skip
def test_numbers_of_unknown_size_keep_four_digits(value, text):
    assert general(value) == text


def test_p_values_and_shares():
    assert [p_value(p) for p in (0.00099, 0.001, 0.04961, None)] == [
        "<0.001",
        "0.001",
        "0.050",
        "—",
    ]
    assert percent(0.1234) == "12.3%"


@pytest.mark.parametrize(
    ("unit", "metric", "summary", "shown"),
    [
        ("fraction", "m", "final", "pp"),
        ("", "test/pass@1", "final", "pp"),
        ("", "reward", "final", ""),
        ("nats", "entropy", "final", "nats"),
        ("", "test/pass@1", "time_to(0.5)", ""),
    ],
)
def test_proportions_are_shown_in_points(analysis, unit, metric, summary, shown):
    response = analysis["responses"]["learning"]
    response.update(unit=unit, metric=metric, summary=summary)
    assert scale_of(response).unit == shown
