"""The terminal: what is printed stands there as it is."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, RenderableType


def plain_console(*, stderr: bool = False) -> Console:
    """A console on which names of studies, such as `[red]` and `:fire:`, mean nothing."""
    return Console(stderr=stderr, markup=False, highlight=False, emoji=False)


def print_all(parts: Iterable[RenderableType], console: Console | None = None) -> None:
    """Print one part below the other."""
    console = console or plain_console()
    for part in parts:
        console.print(part)
