"""The card: its size, its words inside it whatever they are, the same bytes every time."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from PIL import Image

from ablatekit.report.compose import compose
from ablatekit.report.document import Brief, Trust
from ablatekit.report.figures.render import image
from ablatekit.report.figures.style import LIGHT, house_style
from ablatekit.report.paste.card import EDGE, HEIGHT, PIXELS, WIDTH, card_picture

HEADLINE = "Four rollouts help generalization by 3.4 points at 4 times the samples."


def briefed(analysis, headline=HEADLINE):
    trust = Trust("limited", "Limited evidence: read with care", [])
    brief = Brief(headline=[headline], settled=[], figure=None, table=None, trust=trust)
    return replace(compose(analysis), brief=brief)


def words_of(figure):
    return " ".join(text.get_text() for text in figure.texts)


def drawn(analysis, document):
    with house_style(LIGHT):
        return card_picture(analysis, document).draw()


def test_it_is_1200_by_630_pixels_and_the_same_every_time(analysis):
    picture = card_picture(analysis, briefed(analysis))
    content = image(picture, "png", PIXELS)
    assert Image.open(io.BytesIO(content)).size == (1200, 630)
    assert content == image(picture, "png", PIXELS)
    assert len(content) < 60_000


def test_it_holds_title_headline_effects_trust_and_name(analysis):
    words = words_of(drawn(analysis, briefed(analysis)))
    for part in (
        "Which choices matter around the minimalist baseline?",
        HEADLINE,
        "Largest effects on Generalization, pp, with 95% intervals",
        "rollouts per query 4",
        "+4.9 [3.7, 6.1]",
        "Limited evidence: read with care",
        "ablatekit",
    ):
        assert part in words


@pytest.mark.parametrize("headline", [HEADLINE, HEADLINE * 8, "very_long_" * 60, ""])
def test_no_word_leaves_the_card_or_meets_another(hostile_analysis, headline):
    with house_style(LIGHT):
        figure = card_picture(hostile_analysis, briefed(hostile_analysis, headline)).draw()
        figure.set_dpi(PIXELS)
        boxes = [text.get_window_extent() for text in figure.texts if text.get_text().strip()]
    for box in boxes:
        assert box.x0 >= EDGE - 8
        assert box.x1 <= WIDTH - EDGE / 2
        assert box.y0 >= 0
        assert box.y1 <= HEIGHT
    for place, box in enumerate(boxes):
        for other in boxes[place + 1 :]:
            across = min(box.x1, other.x1) - max(box.x0, other.x0)
            along = min(box.y1, other.y1) - max(box.y0, other.y0)
            assert across < 3 or along < 3
    said = words_of(figure)
    assert all(word in said.replace(" ", "") for word in headline.split()[:20])


def test_a_level_without_narrow_inference_shows_its_broad_interval(analysis):
    for row in analysis["responses"]["generalization"]["effects"]:
        if row["inference"] == "narrow":
            row.update(low=None, high=None)
    assert "+4.9 [" in words_of(drawn(analysis, briefed(analysis)))


def test_without_levels_it_has_words_alone(analysis):
    analysis["design"]["factors"] = []
    for part in (*analysis["responses"].values(), *analysis["comparisons"].values()):
        part["effects"] = []
    words = words_of(drawn(analysis, compose(analysis)))
    assert "Largest" not in words
    assert "ablatekit" in words
