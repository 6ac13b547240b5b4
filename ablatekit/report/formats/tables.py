"""One kind of table for everything that is printed on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.box import HEAVY_HEAD, SIMPLE_HEAD, Box
from rich.table import Table
from rich.text import Text

LISTED: Box = HEAVY_HEAD
"""Lines around every cell: for words."""
PLAIN: Box = SIMPLE_HEAD
"""A line below the headings: for numbers."""


def titled_table(
    title: str | Text,
    columns: Sequence[str],
    rows: Iterable[Sequence[str | Text]] = (),
    frame: Box = LISTED,
) -> Table:
    """A table below its title, whose texts fold rather than being cut, and are no markup."""
    table = Table(title=title, title_justify="left", box=frame)
    for column in columns:
        table.add_column(Text(column), overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table
