"""Forest plot: every level's effect on one response, narrow and broad beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ablatekit.analysis.core.lookup import Comparison, find_effect, find_heterogeneity
from ablatekit.analysis.core.schema.analysis import ResponseAnalysis
from ablatekit.analysis.core.schema.effects import Effect, HeterogeneityRow
from ablatekit.report.figures.panel import Box, Panel, canvas
from ablatekit.report.figures.style import NORMAL, floats, padded, shortened
from ablatekit.report.language.numbers import Scale, absent
from ablatekit.report.language.verdicts import look, word

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH, LABELS, ROW, HEADER, LEGEND, FOOT = 470.0, 150.0, 30.0, 22.0, 30.0, 44.0


@dataclass(frozen=True, slots=True)
class ForestRow:
    """One level: its effects under both inferences and its prediction interval."""

    comparison: Comparison
    narrow: Effect | None
    broad: Effect | None
    heterogeneity: HeterogeneityRow | None
    y: float


@dataclass(frozen=True, slots=True)
class ForestLayout:
    """Rows and factor headings with their vertical places in pixels, and the height they need."""

    rows: Sequence[ForestRow]
    headings: Sequence[tuple[float, str]]
    height: float


def draw_forest(response: ResponseAnalysis, levels: Sequence[Comparison], scale: Scale) -> Figure:
    """Narrow estimate (verdict's shape and colour), broad (hollow diamond), prediction (band)."""
    layout = _layout(response, levels)
    figure = canvas(WIDTH, LEGEND + layout.height + FOOT)
    box = Box(LABELS, LEGEND, WIDTH - LABELS - 14, layout.height)
    limits = _limits(layout.rows, response["smallest_effect"])
    panel = Panel(figure, box, limits, (layout.height, 0.0))
    _background(panel, response, scale)
    for row in layout.rows:
        _draw_row(panel, row, scale)
    for y, text in layout.headings:
        panel.label(shortened(text, 24), left=2 - LABELS, y=y, tone="muted")
    for row in layout.rows:
        level = shortened(row.comparison.level, 20)
        panel.label(level, left=2 - LABELS, y=row.y, tone="ink", size=NORMAL)
    _legend(panel, layout.rows)
    return figure


def _layout(response: ResponseAnalysis, levels: Sequence[Comparison]) -> ForestLayout:
    rows: list[ForestRow] = []
    headings: list[tuple[float, str]] = []
    top, factor = 0.0, None
    for level in levels:
        if level.factor != factor:
            factor = level.factor
            headings.append((top + HEADER / 2 + 3, level.label))
            top += HEADER
        rows.append(
            ForestRow(
                level,
                find_effect(response["effects"], level, "narrow"),
                find_effect(response["effects"], level, "broad"),
                find_heterogeneity(response, level),
                top + ROW / 2,
            )
        )
        top += ROW
    return ForestLayout(rows, headings, top + 6)


def _limits(rows: Sequence[ForestRow], smallest: float | None) -> tuple[float, float]:
    values: list[float | None] = [0.0, smallest, -smallest if smallest else None]
    for row in rows:
        for effect in (row.narrow, row.broad):
            if effect is not None:
                values += [effect["low"], effect["high"], effect["estimate"]]
        if row.heterogeneity is not None:
            values += [row.heterogeneity["prediction_low"], row.heterogeneity["prediction_high"]]
    return padded(values)


def _background(panel: Panel, response: ResponseAnalysis, scale: Scale) -> None:
    smallest = response["smallest_effect"]
    if smallest:
        panel.band(-smallest, smallest)
    panel.x_numbers(scale)
    panel.vertical(0, "rule", 1.2)
    better, worse = "better \N{RIGHTWARDS ARROW}", "\N{LEFTWARDS ARROW} worse"
    if response["direction"] == "lower":
        better, worse = "worse \N{RIGHTWARDS ARROW}", "\N{LEFTWARDS ARROW} better"
    bottom = panel.y[0]
    panel.text(panel.x[0], bottom, worse, "muted", shift=(0, -32))
    panel.text(panel.x[1], bottom, better, "muted", ha="right", shift=(0, -32))
    panel.x_label(scale.unit or "response units", "muted", 32)


def _draw_row(panel: Panel, row: ForestRow, scale: Scale) -> None:
    if row.narrow is None or absent(row.narrow["estimate"]):
        reason = shortened(word(row.narrow["verdict"] if row.narrow else "not_estimated"), 40)
        panel.text(sum(panel.x) / 2, row.y, reason, "muted", ha="center", style="italic")
        return
    shape = look(row.narrow["verdict"])
    spread_row = row.heterogeneity
    if spread_row is not None:
        ends = spread_row["prediction_low"], spread_row["prediction_high"]
        panel.interval(*ends, row.y + 6, "grid", 6)
    if row.broad is not None and not absent(row.broad["low"]):
        tip = effect_tip(row.comparison, row.broad, scale)
        _interval(panel, row.broad, row.y + 6, "muted", "D", tip, hollow=True)
    tip = effect_tip(row.comparison, row.narrow, scale)
    hollow = shape.tone == "open"
    _interval(panel, row.narrow, row.y - 6, shape.tone, shape.marker, tip, hollow=hollow)


def effect_tip(level: Comparison, effect: Effect, scale: Scale) -> str:
    """A level's effect in words."""
    numbers = f"{scale.effect(effect['estimate'])} {scale.interval(effect['low'], effect['high'])}"
    return f"{level.name}, {effect['inference']}: {numbers} {scale.unit}, {word(effect['verdict'])}"


def _interval(
    panel: Panel, effect: Effect, y: float, tone: str, marker: str, tip: str, *, hollow: bool
) -> None:
    panel.interval(effect["low"], effect["high"], y, tone, 2.2 if marker != "D" else 1.2)
    size = 7.0 if marker != "D" else 5.5
    panel.marks(floats([effect["estimate"]]), [y], tone, marker, size, hollow=hollow, tip=tip)


def _legend(panel: Panel, rows: Sequence[ForestRow]) -> None:
    """Keys to what the panel shows above it, at fixed pixels."""
    pixel = (panel.x[1] - panel.x[0]) / panel.box.width
    y = -LEGEND / 2
    broad = any(row.broad is not None and not absent(row.broad["low"]) for row in rows)
    spreads = [row.heterogeneity for row in rows if row.heterogeneity is not None]
    predicted = any(not absent(spread["prediction_low"]) for spread in spreads)
    for shown, left, words, tone, width, marker in (
        (True, 0, "narrow", "muted", 2.2, "o"),
        (broad, 88, "broad", "muted", 1.2, "D"),
        (predicted, 164, "one new level", "grid", 6.0, ""),
    ):
        if not shown:
            continue
        start = panel.x[0] + left * pixel
        panel.line([start, start + 24 * pixel], [y, y], tone, width)
        if marker:
            size = 6.0 if marker == "o" else 5.0
            panel.marks([start + 12 * pixel], [y], tone, marker, size, hollow=marker == "D")
        panel.text(start + 30 * pixel, y, words, "muted")
