"""Figures: labels that do not collide, colours from the page, no trace in the process."""

from __future__ import annotations

import re
from dataclasses import replace
from importlib.resources import files

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg

from ablatekit.report.document import Picture
from ablatekit.report.figures.panel import Box, Panel, canvas
from ablatekit.report.figures.render import _short_path, svg
from ablatekit.report.figures.residuals import thinned
from ablatekit.report.figures.style import (
    PALETTE,
    SMALL,
    fitted,
    house_style,
    padded,
    series_marker,
    series_style,
    spread,
    text_width,
    tick_text,
)
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


def test_ticks_have_a_true_minus_and_no_trailing_zeros():
    assert [tick_text(value) for value in (-0.5, -0.0, 2.0)] == ["\N{MINUS SIGN}0.5", "0", "2"]


@given(st.text(max_size=30), st.floats(20, 200))
def test_a_fitted_label_is_no_wider_than_its_room(text, width):
    kept = fitted(text, width)
    assert text_width(kept) <= width
    assert kept.removesuffix("…") in " ".join(text.split())


def test_words_are_measured_as_they_are_drawn():
    figure = canvas(400, 40)
    for words in (
        "learning_rate=3e-4",
        "WAVES of fjord",
        "\N{MINUS SIGN}12.5 [1, 2]",
        "\u8a2d\u5b9a",
    ):
        text = figure.text(0, 0, words, fontsize=SMALL, family="DejaVu Sans")
        figure.set_dpi(720)
        with house_style():
            drawn = text.get_window_extent(FigureCanvasAgg(figure).get_renderer()).width / 10
        assert text_width(words) == pytest.approx(drawn, rel=0.02)


def test_crowded_labels_lie_around_where_they_belong():
    assert spread([50.0, 50.0, 50.0], 10.0, 0.0, 100.0) == [40.0, 50.0, 60.0]
    assert spread([0.0, 0.0, 0.0], 10.0, 0.0, 10.0) == [0.0, 5.0, 10.0]


def luminance(colour):
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_every_colour_of_a_figure_stands_out_in_both_themes():
    css = files("ablatekit.report.formats").joinpath("templates", "page.css").read_text("utf-8")
    palettes = [dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", f"--paper: {part}"))
                for part in css.split("--paper: ")[1:]]  # fmt: skip
    assert len(palettes) == 3
    written = {name for name in PALETTE if name.startswith("series-")} | {"ink", "muted"}
    decoration = {"rule", "grid", "band", "paper"}
    for palette in palettes:
        for name in PALETTE.keys() - decoration:
            least = 4.5 if name in written else 3.0
            for ground in ("paper", "raised"):
                assert contrast(palette[name], palette[ground]) >= least, (name, ground)


def test_many_series_differ_even_without_colour():
    looks = [(series_style(place)[1], series_marker(place)) for place in range(28)]
    assert len(set(looks)) == 28
    assert len({(*series_style(place), series_marker(place)) for place in range(16)}) == 16


@given(
    st.lists(
        st.lists(st.tuples(st.floats(-999, 999), st.floats(-999, 999)), min_size=1, max_size=9),
        min_size=1, max_size=3,
    )
)  # fmt: skip
def test_a_path_in_steps_is_the_path(lines):
    """Each line of points, written by matplotlib, is where a browser would draw the steps."""
    written = " ".join(
        " ".join(f"{'L' if place else 'M'} {x:f} {y:f}" for place, (x, y) in enumerate(line)) + " z"
        for line in lines
    )
    corners, at = [], (0.0, 0.0)
    for command, numbers in re.findall(r"([MlhvzL])([^MlhvzL]*)", _short_path(written)):
        if command == "z":
            continue
        found = [float(number) for number in re.findall(r"-?(?:\d+\.?\d*|\.\d+)", numbers)]
        step = {"h": (*found, 0.0), "v": (0.0, *found)}.get(command, found)
        at = tuple(step) if command == "M" else (at[0] + step[0], at[1] + step[1])
        corners.append(at)
    wanted = [point for line in lines for point in line]
    assert np.allclose(corners, wanted, atol=0.0501)


def test_the_drawing_for_phones_has_ids_of_its_own():
    def draw(width):
        figure = canvas(width, 40)
        panel = Panel(figure, Box(0, 0, width, 40), (0.0, 1.0), (0.0, 1.0))
        panel.marks([0.2, 0.4], [0.5, 0.5], "good", tip="a < b")
        return figure

    picture = Picture(
        id="one", title="One", alt="Two marks.", draw=lambda: draw(500), narrow=lambda: draw(300)
    )
    wide, narrow = svg(picture), svg(picture, narrow=True)
    ids = [set(re.findall(r' id="([^"]+)"', text)) for text in (wide, narrow)]
    assert ids == [{"one-0"}, {"one-narrow-0"}]
    assert 'width="300"' in narrow
    assert "min-width:300px" in narrow
    assert "<title>a &lt; b</title>" in wide
    assert svg(replace(picture, narrow=None), narrow=True) == wide


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
