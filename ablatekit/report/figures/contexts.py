"""One level's effect inside every context, for all responses side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ablatekit.analysis.core.schema.effects import ContextEffect, Effect
from ablatekit.analysis.core.schema.vocabulary import Number
from ablatekit.report.document import PHONE
from ablatekit.report.figures.labels import (
    LINE,
    Rows,
    inside,
    rows_of,
    sheet,
    upright,
    wrapped,
    write,
    write_rows,
    x_ticks,
)
from ablatekit.report.figures.panel import Box, Panel
from ablatekit.report.figures.style import floats, padded
from ablatekit.report.language.captions import with_unit
from ablatekit.report.language.numbers import Scale, absent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_ABREAST, LANE, GAP, FOOT, EDGE = 2, 12.0, 18.0, 22.0, 8.0


@dataclass(frozen=True, slots=True)
class ContextPanel:
    """One response's column: the level's effect in each context, and its mean over contexts."""

    label: str
    rows: Sequence[ContextEffect]
    mean: Effect | None
    limits: tuple[float, float]
    scale: Scale


def limits_of(rows: Sequence[ContextEffect]) -> tuple[float, float]:
    """Limits shared by all levels and responses of one unit, so that panels can be compared."""
    values: list[Number] = [0.0]
    for row in rows:
        values += [row["low"], row["high"], row["estimate"]]
    return padded(values)


def draw_contexts(panels: Sequence[ContextPanel]) -> Figure:
    """Points with intervals; the line is the mean over contexts, the shade its interval.

    Contexts stand above their rows; responses two abreast, more of them below.
    """
    contexts = list(dict.fromkeys(row["context"] for part in panels for row in part.rows))
    rows = rows_of(contexts, LANE, PHONE, above=True, gap=2.0)
    abreast = min(MOST_ABREAST, max(len(panels), 1))
    width = (PHONE - GAP * (abreast - 1)) / abreast
    bands = [panels[start : start + abreast] for start in range(0, len(panels), abreast)]
    titles = [[wrapped(with_unit(part.label, part.scale.unit), width) for part in band]
              for band in bands]  # fmt: skip
    heads = [LINE * max(map(len, band)) for band in titles]
    page = sheet(PHONE, sum(heads) + (rows.height + FOOT) * len(bands))
    top = 0.0
    for band, words, head in zip(bands, titles, heads, strict=True):
        write_rows(page, rows, 0, top + head)
        for position, (part, title) in enumerate(zip(band, words, strict=True)):
            left = position * (width + GAP)
            write(page, title, left, top + head - LINE * len(title), "muted")
            box = Box(left + EDGE, top + head, width - 2 * EDGE, rows.height)
            panel = inside(page, box, part.limits)
            x_ticks(panel, part.scale, 4, rows=rows)
            _draw_panel(panel, part, contexts, rows)
        top += head + rows.height + FOOT
    return page.figure


def _draw_panel(panel: Panel, part: ContextPanel, contexts: Sequence[str], rows: Rows) -> None:
    upright(panel, 0, rows, "axis")
    if part.mean is not None and not absent(part.mean["estimate"]):
        low, high = floats([part.mean["low"], part.mean["high"]])
        if low < high:
            panel.band(max(low, panel.x[0]), min(high, panel.x[1]))
        upright(panel, part.mean["estimate"] or 0.0, rows, "muted", (0, (3, 2)))
    for row in part.rows:
        if not absent(row["estimate"]):
            y = rows.rows[contexts.index(row["context"])].lane
            panel.interval(row["low"], row["high"], y, "ink", 1.5)
            numbers = part.scale.effect(row["estimate"])
            numbers += f" {part.scale.interval(row['low'], row['high'])} {part.scale.unit}"
            tip = f"{row['context']}: {numbers}"
            panel.marks(floats([row["estimate"]]), [y], "ink", "o", 4.5, tip=tip)


def context_records(panels: Sequence[ContextPanel]) -> list[dict[str, str | Number]]:
    """What the panels show."""
    return [
        {
            "response": part.label, "factor": row["factor"], "level": row["level"],
            "context": row["context"], "estimate": row["estimate"], "low": row["low"],
            "high": row["high"],
        }
        for part in panels
        for row in part.rows
    ]  # fmt: skip
