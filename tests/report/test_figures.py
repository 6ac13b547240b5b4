"""Figures: labels that do not collide, colours from the page, no trace in the process."""

from __future__ import annotations

import re

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablatekit.report.figures.residuals import thinned
from ablatekit.report.figures.style import PALETTE, padded, shortened, spread, tick_text
from ablatekit.report.formats.html import render_html


@given(st.lists(st.floats(0, 100), min_size=1, max_size=12))
def test_spread_labels_keep_their_distance_and_order(wanted):
    placed = spread(wanted, 5.0, 0.0, 100.0)
    order = np.argsort(wanted, kind="stable")
    assert all(np.diff(np.array(placed)[order]) >= 5.0 - 1e-9)
    assert min(placed) >= -1e-9
    assert max(placed) <= 100.0 + 1e-9


def test_labels_that_have_room_stay_where_they_belong():
    assert spread([10.0, 50.0, 30.0], 5.0, 0.0, 100.0) == [10.0, 50.0, 30.0]


def test_limits_hold_all_finite_values():
    low, high = padded([None, -1.0, float("nan"), 3.0])
    assert (low, high) == pytest.approx((-1.24, 3.24))
    assert padded([None]) == (-1.0, 1.0)
    assert padded([0.5]) == (0.25, 0.75)


def test_labels_and_ticks():
    assert shortened("a  b\nc", 9) == "a b c"
    assert shortened("abcdefgh", 5) == "abcd…"
    assert [tick_text(value) for value in (-0.5, -0.0, 2.0)] == ["\N{MINUS SIGN}0.5", "0", "2"]


def test_thinning_keeps_the_extremes():
    values = np.random.default_rng(1).normal(size=5000)
    kept = values[thinned(values, 200)]
    assert len(kept) <= 200
    assert (kept.min(), kept.max()) == (values.min(), values.max())


def test_colours_are_the_pages_own(page_text):
    text = page_text
    drawings = "".join(re.findall(r"<figure.*?</figure>", text, flags=re.DOTALL))
    assert not [sentinel for sentinel in PALETTE.values() if sentinel in drawings]
    used = set(re.findall(r"#[0-9a-fA-F]{6}\b", drawings))
    assert used == set()
    names = set(re.findall(r"var\(--([a-z0-9-]+)\)", text))
    defined = set(re.findall(r"--([a-z0-9-]+):", text))
    assert names <= defined


def test_drawing_leaves_no_trace_and_takes_no_notice_of_the_process(analysis, page_text):
    before = dict(mpl.rcParams)
    with mpl.rc_context({"svg.fonttype": "path", "axes.linewidth": 9.0, "font.size": 30.0}):
        assert render_html(analysis) == page_text
    assert dict(mpl.rcParams) == before
