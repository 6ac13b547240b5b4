"""Leave one run out: how far one run moves each effect, beside the effect's own interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ablatekit.analysis.core.schema.effects import Effect
from ablatekit.analysis.core.schema.vocabulary import Number
from ablatekit.report.document import PHONE
from ablatekit.report.figures.labels import (
    Key,
    draw_keys,
    inside,
    keys_in,
    rows_of,
    sheet,
    upright,
    write,
    write_rows,
    x_ticks,
)
from ablatekit.report.figures.panel import Box, Limits
from ablatekit.report.figures.style import floats, padded
from ablatekit.report.language import alternatives
from ablatekit.report.language.numbers import Scale

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LANE, FOOT, EDGE = 14.0, 36.0, 12.0


@dataclass(frozen=True, slots=True)
class MovedEffect:
    """An effect with all runs, and its extremes over all analyses with one run left out."""

    name: str
    effect: Effect
    low: float
    high: float
    run: str


def moved_limits(rows: Sequence[MovedEffect]) -> Limits:
    """Limits that hold every interval and extreme."""
    values: list[Number] = [0.0]
    for row in rows:
        values += [row.effect["low"], row.effect["high"], row.low, row.high]
    return padded(values)


def draw_influence(
    rows: Sequence[MovedEffect], smallest: float | None, limits: Limits, scale: Scale, unit: str
) -> Figure:
    """Thin: interval with all runs; thick: estimates with one run left out; mark: all runs.

    `unit` is what was left out, a run or a row.
    """
    lanes = rows_of([row.name for row in rows], LANE, PHONE, above=True, gap=4.0)
    keys = keys_in(_keys(unit), PHONE)
    page = sheet(PHONE, keys.height + 4 + lanes.height + FOOT)
    draw_keys(page, keys, 0, 0)
    top = keys.height + 4
    panel = inside(page, Box(EDGE, top, PHONE - 2 * EDGE, lanes.height), limits)
    if smallest:
        panel.band(max(-smallest, limits[0]), min(smallest, limits[1]))
    x_ticks(panel, scale, rows=lanes)
    upright(panel, 0, lanes, "axis")
    write_rows(page, lanes, 0, top)
    for row, lane in zip(rows, lanes.rows, strict=True):
        panel.interval(row.effect["low"], row.effect["high"], lane.lane, "muted", 1.0)
        panel.interval(row.low, row.high, lane.lane, "series-1", 6.0)
        panel.marks(floats([row.effect["estimate"]]), [lane.lane], "ink", "o", 3.6)
    label = alternatives.effect_in(scale.unit)
    write(page, [label], PHONE / 2, top + lanes.height + 20, "muted", "center")
    return page.figure


def _keys(unit: str) -> list[Key]:
    return [
        Key(alternatives.with_all(unit), "muted", width=1.0, marker="o"),
        Key(alternatives.one_left_out(unit), "series-1", width=6.0),
    ]


def moved_records(rows: Sequence[MovedEffect]) -> list[dict[str, str | Number]]:
    """What the figure shows."""
    return [
        {
            "factor": row.effect["factor"], "level": row.effect["level"],
            "estimate": row.effect["estimate"], "low": row.effect["low"],
            "high": row.effect["high"], "smallest": row.low, "largest": row.high, "run": row.run,
        }
        for row in rows
    ]  # fmt: skip
