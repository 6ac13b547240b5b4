"""Where the variance goes: each term's share of the total sum of squares, as bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from ablatekit.report.figures.panel import Box, Panel, canvas
from ablatekit.report.figures.style import shortened
from ablatekit.report.language.numbers import percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LABELS, BARS, RIGHT, ROW, TOP = 186.0, 214.0, 56.0, 20.0, 6.0
TermKind: TypeAlias = Literal["factor", "interaction", "other"]
TONES: dict[TermKind, str] = {"factor": "series-1", "interaction": "series-2", "other": "none"}


@dataclass(frozen=True, slots=True)
class Share:
    """One term's share; its kind decides the colour of its bar."""

    term: str
    share: float
    kind: TermKind


def draw_shares(shares: Sequence[Share]) -> Figure:
    """One bar per term, as ordered; values stand at the bars' ends."""
    height = ROW * len(shares)
    figure = canvas(LABELS + BARS + RIGHT, TOP + height + TOP)
    most = max((share.share for share in shares), default=1.0)
    limits = (0.0, most if most > 0 else 1.0)
    panel = Panel(figure, Box(LABELS, TOP, BARS, height), limits, (len(shares) - 0.5, -0.5))
    panel.y_names([shortened(share.term, 28) for share in shares])
    for y, share in enumerate(shares):
        end = max(share.share, 0.0)
        panel.bar(y, end, TONES[share.kind], 0.62)
        panel.text(end, y, percent(share.share), shift=(5, 0))
    return figure
