"""The figure of two studies: legible and whole, whatever is compared."""

from __future__ import annotations

from functools import partial

import pytest

from ablatekit.report.comparison.figure import compared_picture
from ablatekit.report.comparison.studies import studies_of
from ablatekit.report.document import PHONE
from ablatekit.report.figures.paired import (
    WIDTH,
    Paired,
    PairedMark,
    PairedPanel,
    PairedRow,
    draw_paired,
    paired_limits,
)
from ablatekit.report.figures.panel import PIXELS_PER_INCH
from ablatekit.report.figures.style import house_style
from ablatekit.report.language.numbers import Scale
from ablatekit.report.language.verdicts import look

POINTS = Scale(100.0, "pp", 1)
NAMES = ("a" * 40, "\u8a2d\u5b9a" * 20, "<script>alert(1)</script> $x_1$", "", "plain")
WIDE_NUMBERS = "\u22121,234,567.123 [\u221212,345,678.123, 1,234,567.123]"


def drawn(draw):
    with house_style():
        return draw()


def size(figure):
    return tuple(length * PIXELS_PER_INCH for length in figure.get_size_inches())


def paired(names=NAMES, difference="\u22129.1 [\u221215.4, \u22122.8]"):
    rows = [
        PairedRow(
            name,
            (
                PairedMark(0.03 * place, 0.03 * place - 0.01, 0.03 * place + 0.01, name),
                PairedMark(-0.02 if place else None, None, None),
            ),
            difference,
            "not compared, p 0.027",
            look("not_compared"),
        )
        for place, name in enumerate(names)
    ]
    panel = PairedPanel("x" * 90, rows, POINTS, paired_limits(rows, 0.02), 0.02)
    return Paired(("first " * 7, "second " * 7), [panel, panel], "difference")


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("difference", ["", "\u22129.1 [\u221215.4, \u22122.8]", WIDE_NUMBERS])
def test_no_words_lie_on_others_or_leave_the_figure(clashes, narrow, difference):
    figure = drawn(partial(draw_paired, paired(difference=difference), narrow=narrow))
    assert clashes(figure) == []
    assert size(figure)[0] == (PHONE if narrow else WIDTH)


@pytest.mark.parametrize("narrow", [False, True])
def test_the_committed_figure_fits_the_first_screen(clashes, committed, narrow):
    picture = compared_picture(committed)
    figure = drawn(picture.narrow if narrow else picture.draw)
    assert clashes(figure) == []
    assert size(figure)[1] <= 350


def test_every_mark_says_its_words(pair):
    picture = compared_picture(studies_of(*pair({("generalization", "4"): 0.2})))
    figure = drawn(picture.draw)
    tips = [artist.get_gid() for artist in figure.findobj() if artist.get_gid()]
    assert len(tips) == 2 * sum(len(panel.rows) for panel in picture.draw.args[0].panels)
