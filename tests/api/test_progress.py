"""A notebook sees one line that is written over itself."""

from __future__ import annotations

import time

import pytest

from ablatekit.api import progress
from ablatekit.api.progress import NotebookObserver, chosen_observer, in_notebook
from ablatekit.dispatch.progress import PlainObserver, SilentObserver


def test_the_line_counts_and_tells_what_went_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(clock)))
    observer = NotebookObserver(shown.append)
    observer.begin(total=9, done=1, workers=2)
    for number in range(8):
        observer.started(str(number), f"run {number}", 1)
        observer.ended(str(number), f"<b>run {number}</b>", "failed", "no & more")
    observer.close()
    assert '<progress max="9" value="1"></progress> 1 of 9 runs' in shown[0]
    assert "9 of 9 runs, 8 failed, 0 running" in shown[-1]
    assert "failed: &lt;b&gt;run 0&lt;/b&gt;: no &amp; more" in shown[-1]
    assert "run 5" not in shown[-1]
    assert "and 3 more" in shown[-1]


def test_many_events_are_few_writings() -> None:
    shown: list[str] = []
    observer = NotebookObserver(shown.append)
    observer.begin(total=100, done=0, workers=2)
    began = time.monotonic()
    for number in range(100):
        observer.started(str(number), "a run", 1)
        observer.progressed(str(number), 1, 2)
        observer.ended(str(number), "a run", "finished", "")
    observer.close()
    allowed = 3 + (time.monotonic() - began) / progress.SECONDS
    assert 2 <= len(shown) <= allowed


def test_what_watches_outside_of_a_notebook() -> None:
    assert not in_notebook()
    assert isinstance(chosen_observer(shown=False), SilentObserver)
    assert isinstance(chosen_observer(shown=True), PlainObserver)
