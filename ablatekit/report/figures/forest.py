"""Forest plot: every level's effect on one response, narrow and broad beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ablatekit.analysis.schema import Effect, Heterogeneity, ResponseAnalysis
from ablatekit.report.figures.style import (
    NORMAL,
    SMALL,
    Box,
    canvas,
    colour,
    floats,
    number_axis,
    padded,
    panel,
    shortened,
    styled,
    to_svg,
)
from ablatekit.report.numbers import Scale, absent
from ablatekit.report.reading import Comparison, find_effect, find_heterogeneity
from ablatekit.report.verdicts import look

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, LABELS, ROW, HEADER, LEGEND, FOOT = 470.0, 150.0, 30.0, 22.0, 30.0, 44.0


@dataclass(frozen=True, slots=True)
class ForestRow:
    """One level: its effects under both inferences and its prediction interval."""

    comparison: Comparison
    narrow: Effect | None
    broad: Effect | None
    heterogeneity: Heterogeneity | None
    y: float


@dataclass(frozen=True, slots=True)
class Layout:
    """Rows and factor headings with their vertical places in pixels, and the height they need."""

    rows: Sequence[ForestRow]
    headings: Sequence[tuple[float, str]]
    height: float


@styled
def draw_forest(
    response: ResponseAnalysis, levels: Sequence[Comparison], scale: Scale, name: str, alt: str
) -> str:
    """Narrow estimate (verdict's shape and colour), broad (hollow diamond), prediction (band)."""
    layout = _layout(response, levels)
    figure = canvas(WIDTH, LEGEND + layout.height + FOOT)
    box = Box(LABELS, LEGEND, WIDTH - LABELS - 14, layout.height)
    axes = panel(figure, box)
    axes.set_ylim(layout.height, 0)
    axes.set_xlim(*_limits(layout.rows, response["smallest_effect"]))
    axes.set_yticks([])
    number_axis(axes, "x", scale)
    _background(axes, response, scale)
    for row in layout.rows:
        _draw_row(axes, row)
    _labels(axes, layout)
    _legend(axes)
    return to_svg(figure, name, f"Effects on {response['label']}", alt)


def _layout(response: ResponseAnalysis, levels: Sequence[Comparison]) -> Layout:
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
    return Layout(rows, headings, top + 6)


def _limits(rows: Sequence[ForestRow], smallest: float | None) -> tuple[float, float]:
    values: list[float | None] = [0.0, smallest, -smallest if smallest else None]
    for row in rows:
        for effect in (row.narrow, row.broad):
            if effect is not None:
                values += [effect["low"], effect["high"], effect["estimate"]]
        if row.heterogeneity is not None:
            values += [row.heterogeneity["prediction_low"], row.heterogeneity["prediction_high"]]
    return padded(values)


def _background(axes: Axes, response: ResponseAnalysis, scale: Scale) -> None:
    smallest = response["smallest_effect"]
    if smallest:
        axes.axvspan(-smallest, smallest, color=colour("band"), linewidth=0)
    axes.axvline(0, color=colour("rule"), linewidth=1.2)
    better, worse = "better \N{RIGHTWARDS ARROW}", "\N{LEFTWARDS ARROW} worse"
    if response["direction"] == "lower":
        better, worse = "worse \N{RIGHTWARDS ARROW}", "\N{LEFTWARDS ARROW} better"
    style: Any = {
        "fontsize": SMALL,
        "color": colour("muted"),
        "va": "top",
        "xycoords": "axes fraction",
    }
    below: Any = {"textcoords": "offset points", **style}
    axes.annotate(worse, (0, 0), xytext=(0, -26), ha="left", **below)
    axes.annotate(better, (1, 0), xytext=(0, -26), ha="right", **below)
    axes.annotate(scale.unit or "response units", (0.5, 0), xytext=(0, -26), ha="center", **below)


def _draw_row(axes: Axes, row: ForestRow) -> None:
    if row.narrow is None or absent(row.narrow["estimate"]):
        reason = row.narrow["verdict"] if row.narrow else "not estimated"
        axes.text(
            0.5,
            row.y,
            shortened(reason, 40),
            transform=axes.get_yaxis_transform(),
            ha="center",
            va="center",
            color=colour("muted"),
            style="italic",
        )
        return
    shape = look(row.narrow["verdict"])
    tone = colour(shape.tone)
    spread_row = row.heterogeneity
    if spread_row is not None and not absent(spread_row["prediction_low"]):
        ends = floats([spread_row["prediction_low"], spread_row["prediction_high"]])
        axes.plot(ends, [row.y + 6] * 2, color=colour("rule"), alpha=0.55, linewidth=6, zorder=1.5)
    if row.broad is not None and not absent(row.broad["estimate"]):
        _interval(axes, row.broad, row.y + 6, colour("muted"), "D", hollow=True)
    _interval(axes, row.narrow, row.y - 6, tone, shape.marker, hollow=shape.tone == "open")


def _interval(
    axes: Axes, effect: Effect, y: float, tone: str, marker: str, *, hollow: bool
) -> None:
    if not absent(effect["low"]) and not absent(effect["high"]):
        axes.plot(
            floats([effect["low"], effect["high"]]),
            [y, y],
            color=tone,
            linewidth=2.2 if marker != "D" else 1.2,
            solid_capstyle="butt",
        )
    axes.plot(
        floats([effect["estimate"]]),
        [y],
        marker=marker,
        markersize=7 if marker != "D" else 5.5,
        color=tone,
        markerfacecolor=colour("paper") if hollow else tone,
        markeredgewidth=1.4,
        linestyle="none",
        zorder=3,
    )


def _labels(axes: Axes, layout: Layout) -> None:
    where: Any = {"xycoords": axes.get_yaxis_transform(), "textcoords": "offset points"}
    for y, text in layout.headings:
        axes.annotate(
            shortened(text, 24),
            (0, y),
            xytext=(-LABELS + 2, 0),
            va="center",
            fontsize=SMALL,
            color=colour("muted"),
            **where,
        )
    for row in layout.rows:
        axes.annotate(
            shortened(row.comparison.level, 20),
            (0, row.y),
            xytext=(-LABELS + 2, 0),
            va="center",
            fontsize=NORMAL,
            color=colour("ink"),
            **where,
        )


def _legend(axes: Axes) -> None:
    from matplotlib.lines import Line2D

    muted = colour("muted")
    handles = [
        Line2D([], [], color=muted, linewidth=2.2, marker="o", markersize=6, label="narrow"),
        Line2D([], [], color=muted, linewidth=1.2, marker="D", markersize=5,
               markerfacecolor=colour("paper"), label="broad"),
        Line2D([], [], color=colour("rule"), alpha=0.55, linewidth=6, label="one new context"),
    ]  # fmt: skip
    axes.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(-0.01, 1.0),
        ncols=3,
        frameon=False,
        fontsize=SMALL,
        labelcolor=muted,
        handlelength=2.2,
        columnspacing=1.6,
        borderaxespad=0.2,
    )
