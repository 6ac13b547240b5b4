"""The picture that stands for a report where its link is shared: the answer at one glance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ablatekit.analysis.core.lookup import Comparison, comparisons, find_effect, ranked_responses
from ablatekit.analysis.core.schema.analysis import Analysis, ResponseAnalysis
from ablatekit.analysis.core.schema.effects import Effect
from ablatekit.legible import legible_json
from ablatekit.report.document import Document, Picture
from ablatekit.report.figures.labels import wrapped
from ablatekit.report.figures.panel import PIXELS_PER_INCH, Box, Panel, canvas
from ablatekit.report.figures.style import fitted, padded, text_width
from ablatekit.report.language import page
from ablatekit.report.language.brief import card
from ablatekit.report.language.numbers import Scale, absent, scale_of
from ablatekit.report.language.reading import confidence
from ablatekit.report.language.verdicts import look

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PIXELS = PIXELS_PER_INCH
"""The resolution at which a unit of the card is a pixel."""
WIDTH, HEIGHT, EDGE = 1200.0, 630.0, 56.0
TITLE, HEADLINE, SMALL = 26.0, 40.0, 20.0
"""Largest sizes of the three kinds of words."""
FACTS, DOT = 16.0, " \N{MIDDLE DOT} "
LEADING, SMALLEST, STEP = 1.28, 7.0, 0.94
"""Height of a line in sizes, the smallest size, and by how much the next one tried is smaller."""
TITLE_BOX, FOOT = 66.0, 44.0
ROW, MOST = 44.0, 4
NAMES, NUMBERS = 360.0, 300.0
"""Room for the names of levels and for their numbers."""


@dataclass(frozen=True, slots=True)
class CardRow:
    """One level on the card."""

    name: str
    effect: Effect


def card_picture(analysis: Analysis, document: Document) -> Picture:
    """The card, 1200 by 630 pixels: title, headline, largest effects, trust."""
    analysis = legible_json(analysis)
    name, rows = _largest(analysis)
    response = analysis["responses"][name]
    return Picture(
        id="card",
        title=document.title,
        alt=card.alternative(document.title, _headline(document)),
        draw=partial(draw_card, document, response, rows, confidence(analysis)),
    )


def _largest(analysis: Analysis) -> tuple[str, list[CardRow]]:
    """The response that matters most and its largest effects."""
    name = ranked_responses(analysis)[0]
    effects = analysis["responses"][name]["effects"]
    rows = [
        CardRow(f"{level.label} {level.level}", effect)
        for level in comparisons(analysis)
        if (effect := _judged(effects, level)) is not None
    ]
    rows.sort(key=lambda row: -abs(row.effect["estimate"] or 0.0))
    return name, rows[:MOST]


def _judged(effects: Sequence[Effect], level: Comparison) -> Effect | None:
    """The narrow effect, or the broad one where that alone has an interval."""
    both = (find_effect(effects, level, "narrow"), find_effect(effects, level, "broad"))
    return next((row for row in both if row is not None and not absent(row["low"])), None)


def _headline(document: Document) -> str:
    brief = document.brief
    return " ".join(brief.headline) if brief else document.question


def draw_card(
    document: Document, response: ResponseAnalysis, rows: Sequence[CardRow], certainty: str
) -> Figure:
    """The words from the top, the effects above the foot; `certainty` is that of intervals."""
    figure = canvas(WIDTH, HEIGHT)
    sheet = Panel(figure, Box(0, 0, WIDTH, HEIGHT), (0, WIDTH), (HEIGHT, 0))
    sheet.area([0, WIDTH], [0, 0], [10, 10], "good", 1.0)
    top = _words(sheet, document.title, EDGE - 6, TITLE_BOX, TITLE, "muted")
    below = len(rows) * ROW + (ROW + 20 if rows else 0)
    room = HEIGHT - FOOT - EDGE - below - top - 12
    _words(sheet, _headline(document), top + 12, room, HEADLINE, "ink")
    if rows:
        _effects(sheet, response, rows, certainty, HEIGHT - FOOT - EDGE - len(rows) * ROW)
    _foot(sheet, document)
    return figure


def _words(sheet: Panel, text: str, top: float, height: float, largest: float, tone: str) -> float:
    """Words from the top of a box, as large as they fit; returns where they end."""
    size = largest
    lines = wrapped(text, WIDTH - 2 * EDGE, size)
    while len(lines) * size * LEADING > height and size > SMALLEST:
        size = max(SMALLEST, size * STEP)
        lines = wrapped(text, WIDTH - 2 * EDGE, size)
    most = max(1, int(height / (size * LEADING)))
    if len(lines) > most:
        rest = " ".join(lines[most - 1 :])
        lines = [*lines[: most - 1], fitted(rest, WIDTH - 2 * EDGE, size)]
    for place, line in enumerate(lines):
        sheet.text(EDGE, top + (place + 0.5) * size * LEADING, line.strip(), tone, size)
    return top + len(lines) * size * LEADING


def _effects(
    sheet: Panel, response: ResponseAnalysis, rows: Sequence[CardRow], certainty: str, top: float
) -> None:
    """One line per level: its name, its interval against zero, its numbers."""
    scale = scale_of(response)
    heading = card.effects(response["label"], scale.unit, certainty)
    sheet.text(EDGE, top - ROW / 2, fitted(heading, WIDTH - 2 * EDGE, SMALL), "muted", SMALL)
    ends = [end for row in rows for end in (row.effect["low"], row.effect["high"])]
    box = Box(EDGE + NAMES, top, WIDTH - 2 * EDGE - NAMES - NUMBERS, len(rows) * ROW)
    panel = Panel(sheet.figure, box, padded([0.0, *ends]), (len(rows) * ROW, 0.0))
    smallest = response["smallest_effect"]
    if smallest:
        low, high = panel.x
        panel.band(max(-smallest, low), min(smallest, high))
    panel.vertical(0, "rule", 1.5)
    for place, row in enumerate(rows):
        _effect(panel, row, (place + 0.5) * ROW, scale)


def _effect(panel: Panel, row: CardRow, y: float, scale: Scale) -> None:
    shape, effect = look(row.effect["verdict"]), row.effect
    panel.interval(effect["low"], effect["high"], y, shape.tone, 4)
    hollow = shape.tone == "open"
    panel.marks([effect["estimate"]], [y], shape.tone, shape.marker, 13, hollow=hollow)
    name = fitted(row.name, NAMES - 24, SMALL)
    panel.text(panel.x[0], y, name, "ink", SMALL, shift=(-NAMES, 0))
    numbers = f"{scale.effect(effect['estimate'])} {scale.interval(effect['low'], effect['high'])}"
    size = SMALL * min(1.0, (NUMBERS - 24) / text_width(numbers, SMALL))
    panel.text(panel.x[1], y, numbers, "ink", size, ha="right", shift=(NUMBERS, 0))


def _foot(sheet: Panel, document: Document) -> None:
    """How far to trust it, and whose report it is."""
    middle = HEIGHT - EDGE / 2 - 14
    sheet.line([EDGE, WIDTH - EDGE], [middle - 26, middle - 26], "rule", 1.0)
    sheet.text(WIDTH - EDGE, middle, page.NAME, "muted", SMALL, ha="right")
    trust = document.brief.trust.title if document.brief else ""
    facts = [f"{value} {name}" for name, value in document.facts]
    room = WIDTH - 2 * EDGE - text_width(page.NAME, SMALL) - 40
    if trust:
        sheet.text(EDGE, middle, fitted(trust, room, SMALL), "ink", SMALL)
        facts = ["", *facts]
    left = EDGE + text_width(trust, SMALL)
    while facts and text_width(DOT.join(facts), FACTS) > EDGE + room - left:
        facts.pop()
    sheet.text(left, middle, DOT.join(facts), "muted", FACTS)
