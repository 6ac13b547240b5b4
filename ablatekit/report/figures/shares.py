"""Where the variance goes: each term's share of the total sum of squares, as bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from ablatekit.analysis.core.schema.vocabulary import Number
from ablatekit.report.document import PHONE
from ablatekit.report.figures.labels import LINE, inside, rows_of, sheet, wrapped, write, write_rows
from ablatekit.report.figures.panel import Box, Panel
from ablatekit.report.figures.style import text_width
from ablatekit.report.language import alternatives
from ablatekit.report.language.numbers import percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LABELS, LANE, BETWEEN, SPACE = 165.0, 13.0, 10.0, 8.0
TermKind: TypeAlias = Literal["factor", "interaction", "context", "other"]
TONES: dict[TermKind, str] = {
    "factor": "series-1", "interaction": "series-2", "context": "series-0", "other": "none",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Share:
    """One term's share; its kind decides the colour of its bar."""

    term: str
    share: float
    kind: TermKind


def draw_shares(shares: Sequence[Share], most: float) -> Figure:
    """Bars from the largest down to `most`; differences between contexts on an axis of their own.

    Contexts often hold nearly all of the variance: on their axis the rest could not be seen.
    """
    ordered = sorted(shares, key=lambda share: -share.share)
    contexts = [share for share in ordered if share.kind == "context"]
    rest = [share for share in ordered if share.kind != "context"]
    groups = [(contexts, 1.0), (rest, most)] if contexts else [(rest, most)]
    titles = [
        wrapped(alternatives.of_the_whole(percent(end).replace(".0%", "%")), PHONE)
        if contexts
        else []
        for _, end in groups
    ]
    rows = [rows_of([share.term for share in part], LANE, LABELS, above=False, gap=SPACE)
            for part, _ in groups]  # fmt: skip
    heights = [LINE * len(title) + part.height for title, part in zip(titles, rows, strict=True)]
    page = sheet(PHONE, sum(heights) + BETWEEN * (len(groups) - 1))
    labels = max(part.labels for part in rows) + SPACE
    values = max((text_width(percent(share.share)) for share in shares), default=0.0) + SPACE
    top = 0.0
    for (part, end), title, lanes, height in zip(groups, titles, rows, heights, strict=True):
        write(page, title, 0, top, "muted")
        below = top + LINE * len(title)
        write_rows(page, lanes, 0, below)
        box = Box(labels, below, PHONE - labels - values, lanes.height)
        panel = inside(page, box, (0.0, max(end, 1e-9)))
        panel.vertical(0, "axis", 1.0)
        for share, row in zip(part, lanes.rows, strict=True):
            _draw_bar(panel, share, row.lane)
        top += height + BETWEEN
    return page.figure


def _draw_bar(panel: Panel, share: Share, y: float) -> None:
    end = min(max(share.share, 0.0), panel.x[1])
    panel.bar(y, end, TONES[share.kind], LANE)
    panel.text(end, y, percent(share.share), shift=(5, 0))


def largest_of(shares: Sequence[Share]) -> float:
    """The largest share that is none of contexts: the end of the axis of the rest."""
    return max((share.share for share in shares if share.kind != "context"), default=1.0)


def share_records(shares: Sequence[Share]) -> list[dict[str, str | Number]]:
    """What the bars show."""
    ordered = sorted(shares, key=lambda share: -share.share)
    return [{"term": row.term, "kind": row.kind, "share": row.share} for row in ordered]
