"""How numbers are written."""

from __future__ import annotations

import pytest

from ablatekit.report.language.numbers import (
    Scale,
    decimals_for,
    general,
    p_value,
    percent,
    round_number,
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
    ("error", "decimals"), [(0.8, 1), (0.08, 2), (0.2, 2), (4.0, 0), (400.0, 0), (1e-9, 10)]
)
def test_the_last_digit_is_at_most_a_third_of_the_standard_error(error, decimals):
    assert decimals_for([error], 1.0) == decimals
    assert decimals == 0 or 10.0**-decimals <= error / 3


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.234e-9, "1.2e-09"),
        (-1.6e-10, "-2e-10"),
        (2e-11, "0"),
        (0.0, "0"),
        (3.0, "3.0000000000e+00"),
    ],
)
def test_numbers_that_need_many_decimals_have_an_exponent(value, text):
    assert Scale(1.0, "", 10).plain(value) == text.replace("-", "\N{MINUS SIGN}")


@pytest.mark.parametrize(
    ("estimate", "error", "text"),
    [(0.25, 1e-17, "0.250000"), (2.5e-9, 3e-10, "2.5e-09"), (0.0, 1e-17, "0.000000")],
)
def test_errors_next_to_nothing_make_no_endless_numbers(analysis, estimate, error, text):
    response = analysis["responses"]["learning"]
    response["unit"] = ""
    for effect in response["effects"]:
        effect.update(se=error, estimate=estimate)
    assert scale_of(response).plain(estimate) == text.replace("-", "\N{MINUS SIGN}")


def test_without_errors_the_estimates_decide_the_digits(analysis):
    response = analysis["responses"]["learning"]
    for effect in response["effects"]:
        effect.update(se=None, estimate=0.75)
    assert scale_of(response).plain(0.75) == "75.0"
    response["unit"] = ""
    assert scale_of(response).plain(0.75) == "0.750"


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
        ("", "test/pass@1", "final", ""),
        ("percent", "accuracy", "final", "pp"),
        ("nats", "entropy", "final", "nats"),
        ("steps", "test/pass@1", "time_to(0.5)", "steps"),
    ],
)
def test_proportions_are_shown_in_points(analysis, unit, metric, summary, shown):
    response = analysis["responses"]["learning"]
    response.update(unit=unit, metric=metric, summary=summary)
    assert scale_of(response).unit == shown


@pytest.mark.parametrize(
    ("value", "text"), [(7e9, "7e9"), (1.25e6, "1.25e6"), (250000.0, "250,000"), (0.5, "0.5")]
)
def test_stated_numbers_are_short(value, text):
    assert round_number(value) == text
