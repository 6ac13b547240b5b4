"""How far a call is: a line of a notebook written over itself, or what a console shows."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

from markupsafe import escape

from ablatekit.dispatch.progress import Observer, SilentObserver, Tally, observer_for, time_left
from ablatekit.legible import legible

SECONDS = 0.5
"""Between two writings of the line."""
MOST_NOTES = 5
"""Of what went wrong that are shown at once; later ones are counted."""


def chosen_observer(*, shown: bool) -> Observer:
    """What watches a call: nobody, a line of the notebook, or the observer of the console."""
    if not shown:
        return SilentObserver()
    if in_notebook():
        return NotebookObserver(_cell_output())
    from ablatekit.cli.console import plain_console

    return observer_for(plain_console(stderr=True))


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    return getattr(_shell(), "kernel", None) is not None


def _shell() -> Any:
    """IPython's shell; None where it does not run."""
    return getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()


def show_figures() -> None:
    """Let a notebook show figures as pictures, unless it has been told how to show them."""
    if not in_notebook():
        return
    from matplotlib.figure import Figure

    formatters = _shell().display_formatter.formatters
    if not any(Figure in formatters[kind] for kind in ("image/png", "image/svg+xml")):
        tools: Any = import_module("IPython.core.pylabtools")
        tools.select_figure_formats(_shell(), {"png"})


def _cell_output() -> Callable[[str], None]:
    """Shows HTML below the cell, each time in the place of what it showed before."""
    display: Any = import_module("IPython.display")

    shown: list[Any] = []

    def show(html: str) -> None:
        if shown:
            shown[0].update(display.HTML(html))
        else:
            shown.append(display.display(display.HTML(html), display_id=True))

    return show


class NotebookObserver:
    """One line with a bar, and below it the first things that went wrong."""

    def __init__(self, show: Callable[[str], None]) -> None:
        self._show = show
        self._tally = Tally()
        self._notes: list[str] = []
        self._told: set[str] = set()
        self._spoke = 0.0

    def begin(self, *, total: int, done: int, workers: int) -> None:
        self._tally.begin(total, done, workers)
        self._write()

    def started(self, run_id: str, label: str, attempt: int) -> None:
        self._tally.start(run_id, f"{label} (attempt {attempt})" if attempt > 1 else label)
        self._write_sometimes()

    def progressed(self, run_id: str, done: float, total: float) -> None:
        self._tally.advance(run_id, done / total if total else 0.0)
        self._write_sometimes()

    def ended(self, run_id: str, label: str, outcome: str, message: str) -> None:
        self._tally.end(run_id, outcome)
        if outcome in ("failed", "retried", "diverged"):
            self.note(f"{outcome}: {label}: {message}")
        elif message and message not in self._told:
            self._told.add(message)
            self.note(f"warning: {label}: {message}")
        self._write_sometimes()

    def note(self, text: str) -> None:
        self._notes.append(text)

    def close(self) -> None:
        self._write()

    def _write_sometimes(self) -> None:
        if time.monotonic() - self._spoke >= SECONDS:
            self._write()

    def _write(self) -> None:
        self._spoke = time.monotonic()
        tally = self._tally
        done = tally.done + tally.failed
        counts = (
            f"{done} of {tally.total} runs, {tally.failed} failed, {len(tally.running)} running"
        )
        bar = f'<progress max="{max(tally.total, 1)}" value="{done}"></progress>'
        more = len(self._notes) - MOST_NOTES
        notes = [*self._notes[:MOST_NOTES], *([f"and {more} more"] if more > 0 else [])]
        lines = "".join(f"<br>{escape(legible(text))}" for text in notes)
        self._show(f"<div>{bar} {escape(counts + time_left(tally))}{lines}</div>")
