"""Panels: plotting areas whose artists are matplotlib's, placed without the cost of its axes.

An `Axes` with its ticks takes some 30 ms to build and draw, its artists a hundredth of that; a
report of many factors holds dozens. Lengths are CSS pixels: one unit of a canvas at 72 dpi.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ablatekit.report.figures.style import SMALL, PlotValues, colour, floats, tick_text
from ablatekit.report.language.numbers import Scale

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TIP = "tip-"
Limits = tuple[float, float]
PIXELS_PER_INCH = 72.0


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels from the upper left corner of the canvas."""

    left: float
    top: float
    width: float
    height: float


def canvas(width: float, height: float) -> Figure:
    """An empty transparent figure; one unit of its SVG is one CSS pixel."""
    from matplotlib.figure import Figure

    size = (width / PIXELS_PER_INCH, height / PIXELS_PER_INCH)
    figure = Figure(figsize=size, dpi=PIXELS_PER_INCH)
    figure.patch.set_visible(False)
    return figure


def tip_id(text: str) -> str:
    """Words to show at an artist, as the id under which matplotlib writes it."""
    return TIP + text.encode().hex()


def tip_text(identifier: str) -> str:
    """The words of a `tip_id`."""
    return bytes.fromhex(identifier.removeprefix(TIP)).decode()


@dataclass(frozen=True, slots=True)
class Panel:
    """A box of a canvas with linear axes; `y` limits may run downwards (high, low)."""

    figure: Figure
    box: Box
    x: Limits
    y: Limits

    def across(self, values: Any) -> PlotValues:
        """Data x as inches from the left of the canvas."""
        low, high = self.x
        share = (np.asarray(values, dtype=float) - low) / (high - low)
        return np.asarray((self.box.left + share * self.box.width) / PIXELS_PER_INCH)

    def up(self, values: Any) -> PlotValues:
        """Data y as inches from the bottom of the canvas."""
        low, high = self.y
        share = (np.asarray(values, dtype=float) - low) / (high - low)
        bottom = self._height() - self.box.top - self.box.height
        return np.asarray((bottom + share * self.box.height) / PIXELS_PER_INCH)

    def _height(self) -> float:
        return float(self.figure.get_size_inches()[1]) * PIXELS_PER_INCH

    def line(
        self, x: Any, y: Any, tone: str, width: float = 1.0, dash: Any = "solid",
        alpha: float | None = None, order: float = 2.0,
    ) -> None:  # fmt: skip
        """A line through points; it breaks where a coordinate is NaN."""
        from matplotlib.lines import Line2D

        self.figure.add_artist(
            Line2D(
                self.across(x), self.up(y), color=colour(tone), linewidth=width, linestyle=dash,
                alpha=alpha, zorder=order, solid_capstyle="butt", **self._placed(),
            )
        )  # fmt: skip

    def marks(
        self, x: Any, y: Any, tone: str, marker: str = "o", size: float = 5.0,
        *, hollow: bool = False, alpha: float | None = None, tip: str = "",
    ) -> None:  # fmt: skip
        """Unconnected points; a page shows `tip` to who points at them."""
        from matplotlib.lines import Line2D

        artist = self.figure.add_artist(
            Line2D(
                self.across(x), self.up(y), color=colour(tone), marker=marker, markersize=size,
                markerfacecolor=colour("paper") if hollow else colour(tone), linestyle="none",
                markeredgewidth=1.4 if alpha is None else 0, alpha=alpha, zorder=3,
                **self._placed(),
            )
        )  # fmt: skip
        if tip:
            artist.set_gid(tip_id(tip))

    def vertical(self, x: float, tone: str, width: float = 1.0) -> None:
        """A line over the whole height."""
        self.line([x, x], self.y, tone, width, order=1.5)

    def horizontal(self, y: float, tone: str, width: float = 1.0) -> None:
        """A line over the whole width."""
        self.line(self.x, [y, y], tone, width, order=1.5)

    def band(self, low: float, high: float) -> None:
        """A shade between two values of x, over the whole height."""
        self.area([low, high], [self.y[0]] * 2, [self.y[1]] * 2, "band", 1.0, order=0.5)

    def area(
        self, x: Any, low: Any, high: Any, tone: str, alpha: float = 0.14, order: float = 1.0
    ) -> None:
        """A shade between two curves, where both are known."""
        from matplotlib.patches import Polygon

        x, low, high = (np.asarray(values, dtype=float) for values in (x, low, high))
        known = np.isfinite(low) & np.isfinite(high)
        if known.sum() < 2:
            return
        edge = np.concatenate([x[known], x[known][::-1]])
        sides = np.concatenate([low[known], high[known][::-1]])
        corners = np.column_stack([self.across(edge), self.up(sides)])
        self.figure.add_artist(
            Polygon(
                corners, closed=True, facecolor=colour(tone), alpha=alpha, linewidth=0,
                zorder=order, **self._placed(),
            )
        )  # fmt: skip

    def bar(self, y: float, end: float, tone: str, thickness: float) -> None:
        """A bar from zero to `end` at `y`, both in data units."""
        self.area([0, end], [y - thickness / 2] * 2, [y + thickness / 2] * 2, tone, 1.0, order=2)

    def text(
        self, x: float, y: float, words: str, tone: str = "ink", size: float = SMALL,
        ha: Literal["left", "center", "right"] = "left",
        va: Literal["top", "center", "bottom", "baseline"] = "center",
        shift: tuple[float, float] = (0.0, 0.0), style: str = "normal",
    ) -> None:  # fmt: skip
        """Words at data coordinates, shifted by pixels (right, up)."""
        place = (
            float(self.across(x)) + shift[0] / PIXELS_PER_INCH,
            float(self.up(y)) + shift[1] / PIXELS_PER_INCH,
        )
        self.figure.text(
            *place, words, color=colour(tone), fontsize=size, ha=ha, va=va, style=style,
            transform=self.figure.dpi_scale_trans,
        )  # fmt: skip

    def y_numbers(self, scale: Scale, most: int = 5) -> None:
        """Round ticks along the left side, with a faint grid."""
        for value in round_values(self.y, scale.factor, most):
            self.line(self.x, [value, value], "grid", 0.8, order=0.8)
            words = tick_text(value * scale.factor)
            self.text(self.x[0], value, words, "muted", ha="right", shift=(-6, 0))

    def x_ticks(self, places: Sequence[float], names: Sequence[str]) -> None:
        """Names under places of the scale, with a faint grid and a lower edge."""
        for place, name in zip(places, names, strict=True):
            self.line([place, place], self.y, "grid", 0.8, order=0.8)
            self._x_word(place, name)
        self.horizontal(self.y[0], "rule", 0.8)

    def _x_word(self, place: float, words: str) -> None:
        self.text(place, self.y[0], words, "muted", ha="center", va="top", shift=(0, -5))

    def interval(self, low: float | None, high: float | None, y: float, tone: str,
                 width: float) -> None:  # fmt: skip
        """A horizontal interval, if both of its ends are known."""
        ends = floats([low, high])
        if np.isfinite(ends).all():
            self.line(ends, [y, y], tone, width)

    def _placed(self) -> dict[str, Any]:
        return {"transform": self.figure.dpi_scale_trans}


def round_values(limits: Limits, factor: float, most: int, *, whole: bool = False) -> list[float]:
    """Values inside the limits that are round once multiplied by `factor`."""
    from matplotlib.ticker import MaxNLocator

    low, high = sorted(limits)
    locator = MaxNLocator(most, steps=[1, 2, 2.5, 5, 10], integer=whole)
    values = np.asarray(locator.tick_values(low * factor, high * factor)) / factor
    return [float(value) for value in values if low - 1e-12 <= value <= high + 1e-12]
