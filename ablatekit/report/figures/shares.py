"""Where the variance goes: each term's share of the total sum of squares, as bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

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

LABELS, BARS, RIGHT, ROW, TOP = 186.0, 214.0, 56.0, 20.0, 6.0
TermKind: TypeAlias = Literal["factor", "interaction", "other"]
TONES: dict[TermKind, str] = {"factor": "series-1", "interaction": "series-2", "other": "none"}


@dataclass(frozen=True, slots=True)
class Share:
    """One term's share; its kind decides the colour of its bar."""

    term: str
    share: float
    kind: TermKind


@styled
def draw_shares(shares: Sequence[Share], name: str, title: str, alt: str) -> str:
    """One bar per term, as ordered; values stand at the bars' ends."""
    height = ROW * len(shares)
    figure = canvas(LABELS + BARS + RIGHT, TOP + height + TOP)
    axes = panel(figure, Box(LABELS, TOP, BARS, height))
    axes.spines["bottom"].set_visible(False)
    axes.set_xticks([])
    axes.set_xlim(0, max((share.share for share in shares), default=1.0) or 1.0)
    axes.set_ylim(len(shares) - 0.5, -0.5)
    axes.set_yticks(range(len(shares)), [shortened(share.term, 28) for share in shares])
    axes.tick_params(axis="y", colors=colour("ink"))
    tones = [colour(TONES[share.kind]) for share in shares]
    values = [max(share.share, 0.0) for share in shares]
    axes.barh(range(len(shares)), values, height=0.62, color=tones)
    for y, share in enumerate(shares):
        axes.annotate(
            percent(share.share),
            (values[y], y),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=SMALL,
            color=colour("ink"),
        )
    return to_svg(figure, name, title, alt)
