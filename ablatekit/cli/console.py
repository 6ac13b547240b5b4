"""The terminal: what is printed stands there as it is."""

from __future__ import annotations

from rich.console import Console


def plain_console(*, stderr: bool = False) -> Console:
    """A console on which names of studies, such as `[red]` and `:fire:`, mean nothing."""
    return Console(stderr=stderr, markup=False, highlight=False, emoji=False)
