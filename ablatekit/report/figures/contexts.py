"""One level's effect inside every context, for all responses side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ablatekit.analysis.schema import ContextEffect, Effect, Number
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
    styled,
    to_svg,
)
from ablatekit.report.numbers import Scale, absent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LABELS, PANEL, GAP, ROW, TOP, FOOT = 160.0, 136.0, 16.0, 20.0, 26.0, 30.0


@dataclass(frozen=True, slots=True)
class ContextPanel:
    """One response's column: the level's effect in each context, and its mean over contexts."""

    label: str
    rows: Sequence[ContextEffect]
    mean: Effect | None
    limits: tuple[float, float]
    scale: Scale


def limits_of(rows: Sequence[ContextEffect]) -> tuple[float, float]:
    """Limits shared by all levels of a response, so that panels can be compared."""
    values: list[Number] = [0.0]
    for row in rows:
        values += [row["low"], row["high"], row["estimate"]]
    return padded(values)


@styled
def draw_contexts(panels: Sequence[ContextPanel], name: str, title: str, alt: str) -> str:
    """Points with intervals; the line is the mean over contexts, the band its interval."""
    contexts = list(dict.fromkeys(row["context"] for part in panels for row in part.rows))
    height = ROW * len(contexts)
    figure = canvas(LABELS + (PANEL + GAP) * len(panels), TOP + height + FOOT)
    for position, part in enumerate(panels):
        left = LABELS + position * (PANEL + GAP)
        axes = panel(figure, Box(left, TOP, PANEL, height))
        axes.set_ylim(len(contexts) - 0.5, -0.5)
        axes.set_xlim(*part.limits)
        number_axis(axes, "x", part.scale, ticks=4)
        axes.set_yticks([])
        _draw_panel(axes, part, contexts)
        if position == 0:
            axes.set_yticks(range(len(contexts)), [shortened(context, 25) for context in contexts])
            axes.tick_params(axis="y", colors=colour("ink"))
    return to_svg(figure, name, title, alt)


def _draw_panel(axes: Axes, part: ContextPanel, contexts: Sequence[str]) -> None:
    axes.axvline(0, color=colour("rule"), linewidth=1.2)
    if part.mean is not None and not absent(part.mean["estimate"]):
        if not absent(part.mean["low"]) and not absent(part.mean["high"]):
            axes.axvspan(
                *floats([part.mean["low"], part.mean["high"]]), color=colour("band"), linewidth=0
            )
        axes.axvline(part.mean["estimate"] or 0.0, color=colour("muted"), linewidth=1)
    for row in part.rows:
        if absent(row["estimate"]):
            continue
        y = contexts.index(row["context"])
        if not absent(row["low"]):
            axes.plot(floats([row["low"], row["high"]]), [y, y], color=colour("ink"), linewidth=1.3)
        axes.plot(floats([row["estimate"]]), [y], "o", color=colour("ink"), markersize=4.5)
    unit = f", {part.scale.unit}" if part.scale.unit else ""
    axes.set_title(
        shortened(f"{part.label}{unit}", 21), loc="left", fontsize=SMALL, color=colour("muted")
    )
