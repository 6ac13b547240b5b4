"""Where the variance goes: each term's share of the total sum of squares, as bars."""

from __future__ import annotations

from collections.abc import Sequence

from ablatekit.report.figures.style import (
    SMALL,
    Box,
    canvas,
    colour,
    panel,
    shortened,
    styled,
    to_svg,
)
from ablatekit.report.numbers import percent

LABELS, BARS, RIGHT, ROW, TOP = 190.0, 210.0, 60.0, 20.0, 6.0


@styled
def draw_shares(shares: Sequence[tuple[str, float]], name: str, title: str, alt: str) -> str:
    """One bar per term, as ordered; values stand at the bars' ends."""
    height = ROW * len(shares)
    figure = canvas(LABELS + BARS + RIGHT, TOP + height + TOP)
    axes = panel(figure, Box(LABELS, TOP, BARS, height))
    axes.spines["bottom"].set_visible(False)
    axes.set_xticks([])
    axes.set_xlim(0, max((share for _, share in shares), default=1.0) or 1.0)
    axes.set_ylim(len(shares) - 0.5, -0.5)
    axes.set_yticks(range(len(shares)), [shortened(term, 30) for term, _ in shares])
    axes.tick_params(axis="y", colors=colour("ink"))
    tones = [colour("series-1" if ":" not in term else "none") for term, _ in shares]
    values = [max(share, 0.0) for _, share in shares]
    axes.barh(range(len(shares)), values, height=0.62, color=tones)
    for y, (_, share) in enumerate(shares):
        axes.annotate(
            percent(share),
            (max(share, 0.0), y),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=SMALL,
            color=colour("ink"),
        )
    return to_svg(figure, name, title, alt)
