"""Learning against generalization: each level a point with both intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ablatekit.analysis.core.lookup import Comparison
from ablatekit.analysis.core.schema.effects import Effect
from ablatekit.analysis.core.schema.vocabulary import Verdict
from ablatekit.report.figures.panel import Box, Panel, canvas
from ablatekit.report.figures.style import floats, padded, shortened, spread
from ablatekit.report.language.alternatives import gap_point
from ablatekit.report.language.captions import with_unit
from ablatekit.report.language.numbers import Scale
from ablatekit.report.language.verdicts import look, word

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIDE, LEFT, TOP, RIGHT, FOOT, LABEL_ROW = 286.0, 52.0, 12.0, 130.0, 50.0, 29.0
NAME_LENGTH = 19
"""Characters of a name beside the map: with its number, what a phone shows without scrolling."""


@dataclass(frozen=True, slots=True)
class MapPoint:
    """One level's narrow effects on both responses and its verdict on the gap.

    `number` is that of its row in the table of the gap.
    """

    number: int
    level: Comparison
    learning: Effect
    generalization: Effect
    verdict: Verdict

    def told(self, scale: Scale) -> tuple[str, tuple[str, str]]:
        """Its number and name, and both effects as shown."""
        sides = (self.learning, self.generalization)
        first, second = (scale.effect(effect["estimate"]) for effect in sides)
        return f"{self.number} {self.level.name}", (first, second)


def draw_map(points: Sequence[MapPoint], labels: tuple[str, str], scale: Scale) -> Figure:
    """Points on the diagonal change both alike; the verdict is the paired test on the gap."""
    side = max(SIDE, LABEL_ROW * len(points) + 16)
    figure = canvas(LEFT + SIDE + RIGHT, TOP + side + FOOT)
    limits = _limits(points)
    panel = Panel(figure, Box(LEFT, TOP, SIDE, side), limits, limits)
    panel.x_numbers(scale)
    panel.y_numbers(scale)
    panel.horizontal(0, "rule")
    panel.vertical(0, "rule")
    panel.line(limits, limits, "muted", 1, (0, (4, 3)))
    widens = f"gap {word('widens')}"
    panel.text(limits[0], limits[1], f"gap {word('narrows')}", "muted", va="top", shift=(6, -6))
    panel.text(limits[1], limits[0], widens, "muted", ha="right", va="bottom", shift=(-6, 6))
    for point in points:
        _draw_point(panel, point, scale)
    _direct_labels(panel, points)
    across, up = (with_unit(f"effect on {shortened(label, 30)}", scale.unit) for label in labels)
    panel.x_label(across)
    panel.y_label(up, 42)
    return figure


def _limits(points: Sequence[MapPoint]) -> tuple[float, float]:
    values: list[float | None] = [0.0]
    for point in points:
        for effect in (point.learning, point.generalization):
            values += [effect["low"], effect["high"], effect["estimate"]]
    return padded(values)


def _draw_point(panel: Panel, point: MapPoint, scale: Scale) -> None:
    shape = look(point.verdict)
    x, y = (
        floats([effect["low"], effect["estimate"], effect["high"]])
        for effect in (point.learning, point.generalization)
    )
    panel.line(x[[0, 2]], y[[1, 1]], shape.tone, 1.4, alpha=0.75)
    panel.line(x[[1, 1]], y[[0, 2]], shape.tone, 1.4, alpha=0.75)
    tip = gap_point(*point.told(scale), shape, scale.unit)
    hollow = shape.tone == "open"
    panel.marks(x[1:2], y[1:2], shape.tone, shape.marker, 7.5, hollow=hollow, tip=tip)


def _direct_labels(panel: Panel, points: Sequence[MapPoint]) -> None:
    """Every point's number, factor and level right of the panel, led to by a thin line."""
    low, high = panel.y
    pixel, across = (high - low) / panel.box.height, (high - low) / panel.box.width
    wanted = [float(point.generalization["estimate"] or 0.0) for point in points]
    heights = spread(wanted, LABEL_ROW * pixel, low + 12 * pixel, high - 12 * pixel)
    for point, y in zip(points, heights, strict=True):
        tone: str = look(point.verdict).tone
        start = [point.learning["estimate"] or 0.0, point.generalization["estimate"] or 0.0]
        panel.line([start[0], high + 10 * across], [start[1], y], "rule", 0.7, order=1.2)
        tone = tone if tone != "open" else "ink"
        factor = shortened(f"{point.number} {point.level.label}", NAME_LENGTH + 2)
        panel.text(high + 13 * across, y, factor, tone, shift=(0, 6))
        level = shortened(point.level.level, NAME_LENGTH)
        panel.text(high + 13 * across, y, level, "ink", shift=(10, -7))
