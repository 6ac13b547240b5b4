"""Holm's procedure and the verdict rule, case by case."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from ablatekit.analysis.core.schema.vocabulary import statement
from ablatekit.analysis.stats.adjust import adjust_p
from ablatekit.analysis.stats.inference import Estimate, t_estimate
from ablatekit.analysis.stats.verdict import VerdictRule, judge, margin_test

RULE = VerdictRule(alpha=0.05, adjust="holm", smallest_effect=0.02)
T = statement("cell_means_t")


def row(estimate, se):
    if se == 0.0:
        return Estimate(method=T, estimate=estimate, se=se, df=50)
    return t_estimate(estimate, se, 50, RULE.alpha, T)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_equals_statsmodels(p):
    ours = adjust_p(np.array(p), "holm", len(p))
    assert ours == pytest.approx(multipletests(p, method="holm")[1], abs=1e-15)


def test_rows_without_a_p_are_no_part_of_the_family():
    rows = [row(0.05, 0.01), Estimate(method=T, reason=statement("no_run_value")), row(0.02, 0.01)]
    judged = [judgement.p_adjusted for judgement in judge(rows, RULE)]
    assert judged[::2] == pytest.approx([2 * rows[0].p, rows[2].p])
    assert np.isnan(judged[1])
    plain = judge(rows, replace(RULE, adjust="none"))
    assert plain[0].p_adjusted == rows[0].p


@pytest.mark.parametrize(
    ("estimate", "se", "rule", "expected"),
    [
        (0.05, 0.01, RULE, "helps"),
        (-0.05, 0.01, RULE, "hurts"),
        (0.01, 0.02, RULE, "inconclusive"),
        (0.001, 0.005, RULE, "equivalent"),
        (0.010, 0.002, RULE, "helps"),
        (0.019, 0.002, RULE, "helps"),
        (
            0.001,
            0.005,
            VerdictRule(alpha=0.05, adjust="holm", smallest_effect=None),
            "inconclusive",
        ),
        (
            0.05,
            0.01,
            VerdictRule(
                alpha=0.05, adjust="holm", smallest_effect=0.02, rise="hurts", fall="helps"
            ),
            "hurts",
        ),
        (
            -0.05,
            0.01,
            VerdictRule(
                alpha=0.05, adjust="holm", smallest_effect=0.02, rise="widens", fall="narrows"
            ),
            "narrows",
        ),
    ],
)
def test_verdict_table(estimate, se, rule, expected):
    """The adjusted p first; equivalence where it gives no direction."""
    assert judge([row(estimate, se)], rule)[0].verdict == expected


@pytest.mark.parametrize(
    ("estimate", "se", "expected"),
    [
        (0.05, 0.01, "by_more"),
        (-0.05, 0.01, "by_more"),
        (0.03, 0.01, "open"),
        (0.01, 0.002, "less"),
        (0.01, 0.02, None),
        (0.001, 0.005, None),
    ],
)
def test_a_direction_has_a_size(estimate, se, expected):
    assert judge([row(estimate, se)], RULE)[0].size == expected
    without = VerdictRule(alpha=0.05, adjust="holm", smallest_effect=None)
    assert judge([row(estimate, se)], without)[0].size is None


def test_more_than_matters_is_tested_on_both_sides_of_the_margin():
    """P(|T| >= |estimate| / se) at the margin; its adjusted value decides at alpha / 2."""
    close = row(0.05, 0.01)
    p = stats.t.sf(3, 50) + stats.t.sf(7, 50)
    assert judge([close], RULE)[0].p_margin_adjusted == pytest.approx(p)
    family = judge([close, row(0.0, 0.01)], RULE)
    assert family[0].p_margin_adjusted == pytest.approx(2 * p)
    below = row(0.02 + 0.01 * stats.t.isf(0.024, 50), 0.01)
    assert judge([below], RULE)[0].size == "by_more"
    above = row(0.02 + 0.01 * stats.t.isf(0.026, 50), 0.01)
    assert judge([above], RULE)[0].size == "open"


def test_equivalence_uses_the_interval_at_one_minus_two_alpha():
    """90% bounds at +-.0193, 95% bounds at +-.0233: equivalent at alpha .05, not at .025."""
    close = t_estimate(0.0, 0.0115, 40, 0.05, T)
    assert close.high > 0.02 > close.high_equivalence
    assert judge([close], RULE)[0].verdict == "equivalent"
    stricter = t_estimate(0.0, 0.0115, 40, 0.025, T)
    rule = VerdictRule(alpha=0.025, adjust="holm", smallest_effect=0.02)
    assert judge([stricter], rule)[0].verdict == "inconclusive"


def test_the_family_decides_significance():
    """p = .03 alone helps; among four it does not."""
    clear = t_estimate(0.05, 0.0224, 60, 0.05, T)
    assert clear.p == pytest.approx(0.03, abs=0.002)
    others = [t_estimate(0.0, 0.05, 60, 0.05, T)] * 3
    assert judge([clear], RULE)[0].verdict == "helps"
    assert judge([clear, *others], RULE)[0].verdict == "inconclusive"


def test_what_is_not_estimated_and_what_is_identical():
    rows = [
        Estimate(method=T, reason=statement("no_run_value")),
        Estimate(method=T, reason=statement("identical_runs"), identical=True),
    ]
    assert [j.verdict for j in judge(rows, RULE)] == ["not_estimated", "identical"]


def test_margins_have_two_one_sided_tests():
    """At the bound of the 90% interval the larger p is 5%; the other bound is not inferior."""
    close = row(0.01, 0.02)
    assert margin_test(close, close.high_equivalence, higher=True).equivalence == pytest.approx(
        0.05
    )
    for higher, estimate in ((True, 0.01), (False, -0.01)):
        p = margin_test(row(estimate, 0.02), 0.02, higher=higher).non_inferiority
        assert p == pytest.approx(stats.t.sf(0.03 / 0.02, 50))
    assert np.isnan(margin_test(row(0.01, 0.0), 0.02, higher=True).equivalence)
