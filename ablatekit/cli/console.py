"""The terminal: what is printed stands there as it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from rich.console import Console, RenderableType

from ablatekit.legible import legible

_PLAIN_SECONDS = 10.0


def plain_console(*, stderr: bool = False) -> Console:
    """A console on which names of studies, such as `[red]` and `:fire:`, mean nothing."""
    return Console(stderr=stderr, markup=False, highlight=False, emoji=False)


def print_all(parts: Iterable[RenderableType], console: Console | None = None) -> None:
    """Print one part below the other."""
    console = console or plain_console()
    for part in parts:
        console.print(part)


@contextmanager
def planning_progress(*, silent: bool = False) -> Iterator[Callable[[str, int, int], None]]:
    """How far a backend's look before the first run is: a bar on a terminal, lines elsewhere.

    Both on standard error; nothing if `silent`.
    """
    from ablatekit.design.build import untold

    console = plain_console(stderr=True)
    if silent:
        yield untold
    elif console.is_terminal:
        with _bars(console) as told:
            yield told
    else:
        yield _lines(console)


@contextmanager
def _bars(console: Console) -> Iterator[Callable[[str, int, int], None]]:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskID,
        TextColumn,
        TimeRemainingColumn,
    )

    tasks: dict[str, TaskID] = {}
    what_is_done = TextColumn("{task.description}", markup=False)
    columns = (what_is_done, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bars = Progress(*columns, console=console, transient=True)

    def tell(what: str, done: int, total: int) -> None:
        if not tasks:
            bars.start()
        if what not in tasks:
            tasks[what] = bars.add_task(legible(what))
        bars.update(tasks[what], completed=done, total=total)

    try:
        yield tell
    finally:
        bars.stop()


def _lines(console: Console) -> Callable[[str, int, int], None]:
    """One line every few seconds, none about what is done before the first."""
    spoke = time.monotonic()

    def tell(what: str, done: int, total: int) -> None:
        nonlocal spoke
        if time.monotonic() - spoke >= _PLAIN_SECONDS:
            spoke = time.monotonic()
            console.print(legible(f"{what}: {done:,} of {total:,}"), soft_wrap=True)

    return tell
