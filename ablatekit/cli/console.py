"""The terminal: what is printed stands there as it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

import typer
from rich.console import Console, RenderableType
from rich.text import Text

from ablatekit.legible import legible

if TYPE_CHECKING:
    from ablatekit.report.proposal import Recognised

_PLAIN_SECONDS = 10.0
_WIDEST = 1000


def plain_console(*, stderr: bool = False) -> Console:
    """A console on which names of studies, such as `[red]` and `:fire:`, mean nothing."""
    return Console(stderr=stderr, markup=False, highlight=False, emoji=False)


def print_all(parts: Iterable[RenderableType], console: Console | None = None) -> None:
    """Print one part below the other."""
    console = console or plain_console()
    for part in parts:
        console.print(part)


def phases(console: Console) -> Callable[[str], AbstractContextManager[None]]:
    """Says what is being done while nothing else shows it: a status on a terminal, else a line.

    What this returns is entered with what is being done.
    """

    @contextmanager
    def phase(what: str) -> Iterator[None]:
        if console.is_terminal:
            with console.status(Text(legible(what))):
                yield
        else:
            print_stamped(what, console)
            yield

    return phase


def print_stamped(text: str, console: Console) -> None:
    """Print a line that begins with the time."""
    stamp = datetime.now().astimezone().isoformat(timespec="seconds")
    console.print(f"{stamp} {legible(text)}", soft_wrap=True)


@contextmanager
def planning_progress(
    what: str = "", *, silent: bool = False
) -> Iterator[Callable[[str, int, int], None]]:
    """How far the look before the first run is: a status and bars on a terminal, lines elsewhere.

    All on standard error, nothing if `silent`. Lines begin with `what`, if it is given.
    """
    from ablatekit.design.build import untold

    console = plain_console(stderr=True)
    if silent:
        yield untold
    elif console.is_terminal:
        with _bars(console) as told:
            yield told
    else:
        if what:
            print_stamped(what, console)
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
    status = console.status("reading the study and asking its backend")

    def tell(what: str, done: int, total: int) -> None:
        if not tasks:
            status.stop()
            bars.start()
        if what not in tasks:
            tasks[what] = bars.add_task(legible(what))
        bars.update(tasks[what], completed=done, total=total)

    status.start()
    try:
        yield tell
    finally:
        status.stop()
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


def print_table(table: RenderableType) -> None:
    """Print a table as wide as it is where nobody's window is the limit."""
    console = plain_console()
    if not console.is_terminal:
        wide = console.options.update(max_width=_WIDEST)
        console.width = max(console.width, console.measure(table, options=wide).maximum)
    console.print(table)


def show_proposal(recognised: Recognised, *, to_error: bool, alone: bool) -> None:
    """Print what is proposed for a source; `alone`: no analysis follows it."""
    from ablatekit.report.proposal import lines

    for line in lines(recognised, alone=alone):
        typer.echo(legible(line).replace("\n", "\\n"), err=to_error)
    if not alone:
        typer.echo(err=to_error)
