from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from ablatekit.dispatch.progress import LiveObserver, PlainObserver, Tally, observer_for


def console(*, terminal, **environment):
    return Console(file=io.StringIO(), force_terminal=terminal, width=100, _environ={**environment})


def use(observer):
    observer.begin(total=3, done=1, workers=2)
    observer.started("r1", "lr=[1e-3] | m | 1", 1)
    observer.started("r2", "lr=1e-4 | m | 1", 2)
    observer.progressed("r1", 5, 10)
    observer.ended("r1", "lr=[1e-3] | m | 1", "finished", "")
    observer.ended("r2", "lr=1e-4 | m | 1", "failed", "worker died")


def test_the_remaining_time_counts_what_is_half_done():
    now = [0.0]
    tally = Tally(clock=lambda: now[0])
    tally.begin(10, 4, 2)
    assert tally.remaining_seconds() is None
    tally.start("a", "a")
    tally.start("b", "b")
    now[0] = 30.0
    tally.advance("a", 0.5)
    tally.end("b", "finished")
    assert tally.remaining_seconds() == pytest.approx((6 - 1.5) * 30.0 / 1.5)


def test_a_retried_attempt_is_no_finished_run():
    tally = Tally()
    tally.begin(2, 0, 1)
    tally.start("a", "a")
    tally.end("a", "retried")
    assert (tally.done, tally.failed, tally.running) == (0, 0, {})


def test_plain_lines_have_a_time_and_the_counts():
    target = console(terminal=False)
    use(PlainObserver(target))
    lines = target.file.getvalue().splitlines()
    assert [re.sub(r"^\S+ ", "", re.sub(r", [\d:]+ left", "", line)) for line in lines] == [
        "[1/3] 3 runs, 1 done already, 2 workers; starting them",
        "[1/3] attempt 2: lr=1e-4 | m | 1",
        "[2/3] finished lr=[1e-3] | m | 1",
        "[3/3] failed lr=1e-4 | m | 1: worker died",
    ]
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", line) for line in lines)


def test_the_table_shows_every_running_run():
    target = console(terminal=False)
    observer = LiveObserver(target)
    observer._tally.begin(3, 1, 2)
    observer._tally.start("r1", "lr=[1e-3] | m | 1")
    target.print(observer.render())
    text = target.file.getvalue()
    assert "1/3 runs, 0 failed, 1 running" in text
    assert "lr=[1e-3] | m | 1" in text


@pytest.mark.parametrize("colour", [True, False])
def test_a_terminal_gets_a_live_table_and_no_colour_is_respected(colour):
    environment = {"TERM": "xterm-256color"} | ({} if colour else {"NO_COLOR": "1"})
    target = console(terminal=True, **environment)
    observer = observer_for(target)
    assert isinstance(observer, LiveObserver)
    use(observer)
    observer.close()
    assert bool(re.search(r"\x1b\[[\d;]*3\d", target.file.getvalue())) == colour


def test_a_pipe_gets_plain_lines():
    assert isinstance(observer_for(console(terminal=False)), PlainObserver)


def test_what_finished_runs_say_is_told_once():
    target = console(terminal=False)
    observer = LiveObserver(target)
    for number in range(3):
        observer.ended(f"r{number}", f"m | {number}", "finished", "trained on nothing")
    observer.ended("r3", "m | 3", "finished", "")
    assert target.file.getvalue().splitlines() == ["warning: m | 0: trained on nothing"]
