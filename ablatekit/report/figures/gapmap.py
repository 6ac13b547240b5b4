"""Learning against generalization: each level a point with both intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ablatekit.analysis.schema import Effect, Verdict
from ablatekit.report.figures.style import (
    SMALL,
    Box,
    canvas,
    colour,
    floats,
    number_axis,
    padded,
    panel,
    shortened,
    spread,
    styled,
    to_svg,
)
from ablatekit.report.numbers import Scale
from ablatekit.report.verdicts import look

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIDE, LEFT, TOP, RIGHT, FOOT = 310.0, 52.0, 12.0, 256.0, 50.0


@dataclass(frozen=True, slots=True)
class MapPoint:
    """One level's narrow effects on both responses and its verdict on the gap."""

    name: str
    learning: Effect
    generalization: Effect
    verdict: Verdict


@styled
def draw_map(
    points: Sequence[MapPoint], labels: tuple[str, str], scale: Scale, name: str, alt: str
) -> str:
    """Points on the diagonal change both alike; the verdict is the paired test on the gap."""
    figure = canvas(LEFT + SIDE + RIGHT, TOP + SIDE + FOOT)
    axes = panel(figure, Box(LEFT, TOP, SIDE, SIDE))
    limits = _limits(points)
    axes.set_xlim(*limits)
    axes.set_ylim(*limits)
    number_axis(axes, "x", scale)
    number_axis(axes, "y", scale)
    axes.axhline(0, color=colour("rule"), linewidth=1)
    axes.axvline(0, color=colour("rule"), linewidth=1)
    axes.plot(limits, limits, color=colour("muted"), linewidth=1, linestyle=(0, (4, 3)))
    _region_words(axes)
    for point in points:
        _draw_point(axes, point)
    _direct_labels(axes, points, limits)
    unit = f", {scale.unit}" if scale.unit else ""
    axes.set_xlabel(f"effect on {shortened(labels[0], 30)}{unit}", color=colour("ink"), labelpad=8)
    axes.set_ylabel(f"effect on {shortened(labels[1], 30)}{unit}", color=colour("ink"), labelpad=8)
    return to_svg(figure, name, "Learning against generalization", alt)


def _limits(points: Sequence[MapPoint]) -> tuple[float, float]:
    values: list[float | None] = [0.0]
    for point in points:
        for effect in (point.learning, point.generalization):
            values += [effect["low"], effect["high"], effect["estimate"]]
    return padded(values)


def _region_words(axes: Axes) -> None:
    style: Any = {"fontsize": SMALL, "color": colour("muted"), "transform": axes.transAxes}
    axes.text(0.02, 0.98, "gap narrows", va="top", ha="left", **style)
    axes.text(0.98, 0.02, "gap widens", va="bottom", ha="right", **style)


def _draw_point(axes: Axes, point: MapPoint) -> None:
    shape = look(point.verdict)
    tone = colour(shape.tone)
    x, y = point.learning, point.generalization
    style: Any = {"color": tone, "linewidth": 1.4, "alpha": 0.75, "solid_capstyle": "butt"}
    if x["low"] is not None:
        axes.plot(floats([x["low"], x["high"]]), floats([y["estimate"]] * 2), **style)
    if y["low"] is not None:
        axes.plot(floats([x["estimate"]] * 2), floats([y["low"], y["high"]]), **style)
    axes.plot(
        floats([x["estimate"]]),
        floats([y["estimate"]]),
        marker=shape.marker,
        markersize=7.5,
        color=tone,
        markerfacecolor=colour("paper") if shape.tone == "open" else tone,
        markeredgewidth=1.5,
        linestyle="none",
        zorder=3,
    )


def _direct_labels(axes: Axes, points: Sequence[MapPoint], limits: tuple[float, float]) -> None:
    low, high = limits
    pixel = (high - low) / SIDE
    wanted = [float(point.generalization["estimate"] or 0.0) for point in points]
    heights = spread(wanted, 17 * pixel, low + 8 * pixel, high - 8 * pixel)
    for point, y in zip(points, heights, strict=True):
        shape = look(point.verdict)
        axes.annotate(
            f"{shortened(point.name, 30)}  {point.verdict}",
            (point.learning["estimate"] or 0.0, point.generalization["estimate"] or 0.0),
            xytext=(high + 16 * pixel, y),
            textcoords="data",
            va="center",
            fontsize=SMALL,
            color=colour(shape.tone if shape.tone != "open" else "ink"),
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": colour("rule"),
                "linewidth": 0.7,
                "shrinkA": 2,
                "shrinkB": 5,
            },
        )
