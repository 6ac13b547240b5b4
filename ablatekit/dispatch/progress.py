"""What the user sees while runs execute: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ablatekit.legible import legible

_REFRESH_PER_SECOND = 2
_PLAIN_PROGRESS_SECONDS = 60.0
_SHOWN_RUNS = 16


class Observer(Protocol):
    """Is told what happens. `outcome`: finished, diverged, failed, retried or interrupted."""

    def begin(self, *, total: int, done: int, workers: int) -> None:
        """Dispatch begins: `done` of `total` runs have a result already."""

    def started(self, run_id: str, label: str, attempt: int) -> None:
        """An attempt has begun."""

    def progressed(self, run_id: str, done: float, total: float) -> None:
        """An attempt has come so far."""

    def ended(self, run_id: str, label: str, outcome: str, message: str) -> None:
        """An attempt has ended."""

    def note(self, text: str) -> None:
        """Something the user should know."""

    def close(self) -> None:
        """Dispatch has ended; called once, whatever happened."""


@dataclass
class Tally:
    """The counts behind a display; `clock` gives seconds."""

    clock: Callable[[], float] = time.monotonic
    total: int = 0
    done: int = 0
    failed: int = 0
    workers: int = 1
    running: dict[str, tuple[str, float]] = field(default_factory=dict)
    _began: float = 0.0
    _skipped: int = 0

    def begin(self, total: int, done: int, workers: int) -> None:
        self.total, self.done, self.workers = total, done, workers
        self._began, self._skipped = self.clock(), done

    def start(self, run_id: str, label: str) -> None:
        self.running[run_id] = (label, 0.0)

    def advance(self, run_id: str, share: float) -> None:
        if run_id in self.running:
            self.running[run_id] = (self.running[run_id][0], share)

    def end(self, run_id: str, outcome: str) -> None:
        self.running.pop(run_id, None)
        self.done += outcome in ("finished", "diverged")
        self.failed += outcome == "failed"

    def remaining_seconds(self) -> float | None:
        """Time to go at the pace so far, running runs counted by their share; None before any."""
        shares = sum(share for _, share in self.running.values())
        executed = self.done - self._skipped + self.failed + shares
        if executed <= 0:
            return None
        left = self.total - self.done - self.failed - shares
        return max(0.0, left) * (self.clock() - self._began) / executed


class SilentObserver:
    """Shows nothing."""

    def begin(self, *, total: int, done: int, workers: int) -> None: ...

    def started(self, run_id: str, label: str, attempt: int) -> None: ...

    def progressed(self, run_id: str, done: float, total: float) -> None: ...

    def ended(self, run_id: str, label: str, outcome: str, message: str) -> None: ...

    def note(self, text: str) -> None: ...

    def close(self) -> None: ...


class PlainObserver:
    """One timestamped line for every run that ends; for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._tally = Tally()
        self._spoke = time.monotonic()

    def begin(self, *, total: int, done: int, workers: int) -> None:
        self._tally.begin(total, done, workers)
        starting = "; starting them" if done < total else ""
        self._say(f"{total} runs, {done} done already, {workers} workers{starting}")

    def started(self, run_id: str, label: str, attempt: int) -> None:
        self._tally.start(run_id, label)
        if attempt > 1:
            self._say(f"attempt {attempt}: {label}")

    def progressed(self, run_id: str, done: float, total: float) -> None:
        self._tally.advance(run_id, done / total if total else 0.0)
        if time.monotonic() - self._spoke > _PLAIN_PROGRESS_SECONDS:
            self._say(f"running {len(self._tally.running)}")

    def ended(self, run_id: str, label: str, outcome: str, message: str) -> None:
        self._tally.end(run_id, outcome)
        self._say(": ".join(part for part in (f"{outcome} {label}", message) if part))

    def note(self, text: str) -> None:
        self._say(text)

    def close(self) -> None: ...

    def _say(self, text: str) -> None:
        self._spoke = time.monotonic()
        stamp = datetime.now().astimezone().isoformat(timespec="seconds")
        tally = self._tally
        counts = (
            f"[{tally.done + tally.failed}/{tally.total}{time_left(tally)}] " if tally.total else ""
        )
        line = f"{stamp} {counts}{legible(text)}"
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


class LiveObserver:
    """A table that is drawn over itself twice a second; for terminals."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._tally = Tally()
        self._told: set[str] = set()
        self._any_started = False
        self._live = Live(
            console=console,
            get_renderable=self.render,
            refresh_per_second=_REFRESH_PER_SECOND,
            transient=True,
        )

    def begin(self, *, total: int, done: int, workers: int) -> None:
        self._tally.begin(total, done, workers)
        self._live.start()

    def started(self, run_id: str, label: str, attempt: int) -> None:
        again = f" (attempt {attempt})" if attempt > 1 else ""
        self._any_started = True
        self._tally.start(run_id, label + again)

    def progressed(self, run_id: str, done: float, total: float) -> None:
        self._tally.advance(run_id, done / total if total else 0.0)

    def ended(self, run_id: str, label: str, outcome: str, message: str) -> None:
        self._tally.end(run_id, outcome)
        if outcome in ("failed", "retried", "diverged"):
            self.note(f"{outcome}: {label}: {message}")
        elif outcome == "finished" and message and message not in self._told:
            self._told.add(message)
            self.note(f"warning: {label}: {message}")

    def note(self, text: str) -> None:
        self._console.print(legible(text), markup=False, highlight=False)

    def close(self) -> None:
        self._live.stop()

    def render(self) -> Group:
        """The present state: one line for the study, one for each running run."""
        tally = self._tally
        done = tally.done + tally.failed
        head = Table.grid(padding=(0, 1))
        counts = f"{done}/{tally.total} runs, {tally.failed} failed, {len(tally.running)} running"
        if not self._any_started and done < tally.total:
            counts += f", starting {tally.workers} workers"
        bar = ProgressBar(total=max(tally.total, 1), completed=done, width=30)
        head.add_row(bar, Text(counts + time_left(tally)))
        rows = Table.grid(padding=(0, 1))
        for label, share in list(tally.running.values())[:_SHOWN_RUNS]:
            rows.add_row(ProgressBar(total=1.0, completed=share, width=12), Text(label))
        return Group(head, rows)


def observer_for(console: Console) -> Observer:
    """A live table where the console is a terminal, plain lines where it is not."""
    return LiveObserver(console) if console.is_terminal else PlainObserver(console)


def time_left(tally: Tally) -> str:
    """The time to go in words after a comma; nothing before it is known."""
    seconds = tally.remaining_seconds()
    return "" if seconds is None else f", {timedelta(seconds=round(seconds))} left"
