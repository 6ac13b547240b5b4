"""Holm's procedure and the verdict rule, case by case."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from ablatekit.analysis.stats.inference import Estimate, t_estimate
from ablatekit.analysis.stats.verdict import VerdictRule, adjusted, judge

RULE = VerdictRule(alpha=0.05, adjust="holm", smallest_effect=0.02)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_equals_statsmodels(p):
    ours = adjusted(np.array(p), "holm")
    assert ours == pytest.approx(multipletests(p, method="holm")[1], abs=1e-15)


def test_rows_without_a_p_are_no_part_of_the_family():
    ours = adjusted(np.array([0.01, np.nan, 0.04]), "holm")
    assert ours[[0, 2]] == pytest.approx([0.02, 0.04])
    assert np.isnan(ours[1])
    assert adjusted(np.array([0.01, 0.04]), "none") == pytest.approx([0.01, 0.04])


@pytest.mark.parametrize(
    ("estimate", "se", "rule", "expected"),
    [
        (0.05, 0.01, RULE, "helps"),
        (-0.05, 0.01, RULE, "hurts"),
        (0.01, 0.02, RULE, "inconclusive"),
        (0.001, 0.005, RULE, "equivalent"),
        (0.010, 0.002, RULE, "equivalent"),
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
    """Equivalence first, even when 0 lies outside the interval; then the adjusted p."""
    row = t_estimate(estimate, se, 50, rule.alpha, "t")
    assert judge([row], rule)[0].verdict == expected


def test_equivalence_uses_the_interval_at_one_minus_two_alpha():
    """90% bounds at +-.0193, 95% bounds at +-.0233: equivalent at alpha .05, not at .025."""
    row = t_estimate(0.0, 0.0115, 40, 0.05, "t")
    assert row.high > 0.02 > row.high_equivalence
    assert judge([row], RULE)[0].verdict == "equivalent"
    stricter = t_estimate(0.0, 0.0115, 40, 0.025, "t")
    rule = VerdictRule(alpha=0.025, adjust="holm", smallest_effect=0.02)
    assert judge([stricter], rule)[0].verdict == "inconclusive"


def test_the_family_decides_significance():
    """p = .03 alone helps; among four it does not."""
    row = t_estimate(0.05, 0.0224, 60, 0.05, "t")
    assert row.p == pytest.approx(0.03, abs=0.002)
    others = [t_estimate(0.0, 0.05, 60, 0.05, "t")] * 3
    assert judge([row], RULE)[0].verdict == "helps"
    assert judge([row, *others], RULE)[0].verdict == "inconclusive"


def test_what_is_not_estimated_and_what_is_identical():
    rows = [Estimate(reason="no runs"), Estimate(reason="same runs", identical=True)]
    assert [j.verdict for j in judge(rows, RULE)] == ["not estimated", "identical"]
