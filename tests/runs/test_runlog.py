from __future__ import annotations

import errno
import json
import math
import multiprocessing
import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablatekit.errors import WorkspaceError
from ablatekit.runs.eventlog import EventWriter, read_events
from ablatekit.runs.records import MetricEvent, RunResult
from ablatekit.runs.runlog import (
    AttemptEnd,
    Claim,
    ItemsWriter,
    claim_attempt,
    live_attempt,
    log_tail,
    read_claim,
    read_history,
    read_items,
    read_result,
    run_state,
    write_claim,
    write_end,
    write_result,
)
from ablatekit.runs.workspace import AttemptDirectory, RunDirectory


@pytest.fixture
def run(tmp_path):
    return RunDirectory(tmp_path / "run")


@pytest.fixture
def attempt_by_hand(run):
    """One attempt that logs `steps` with its number as the value, and optionally ends."""

    def attempt(steps, *, resumed_at=None, result=False, items=(), claim=True, end=None):
        with claim_attempt(run) as held:
            assert held is not None
            if claim:
                write_claim(held, _claim(resumed_at=resumed_at))
            writer = EventWriter(held)
            table = ItemsWriter(held)
            for step in steps:
                writer.write(_event(step, {"m": float(held.number)}))
                if step in items:
                    table.write(step, {"item": ["a", "b"], "outcome": [0, held.number]})
            writer.close()
            if result:
                write_result(run, held, RunResult(status="finished", metrics={"m": 1}), {"v": "1"})
            if end:
                write_end(held, AttemptEnd(kind=end, message="", ended=1.0))
            return held

    return attempt


def _claim(resumed_at=None):
    return Claim(
        study="s",
        study_hash="h",
        pid=1,
        host="elsewhere",
        user="u",
        started=5.0,
        versions={},
        resumed_at=resumed_at,
    )


def _event(step, metrics):
    return MetricEvent(step=step, time=1.5, metrics=metrics)


def _steps(history):
    return [(event.step, int(event.metrics["m"])) for event in history]


def test_events_come_back_as_they_were_written(run):
    metrics = {"a": 1.0, "b": 1e-300, "nan": math.nan, "inf": -math.inf, "é\n": 0.1}
    with claim_attempt(run) as attempt:
        writer = EventWriter(attempt)
        writer.write(_event(0, metrics))
        writer.close()
    (event,) = read_events(attempt)
    assert repr(dict(event.metrics)) == repr(dict(sorted(metrics.items())))
    assert (event.step, event.time) == (0, 1.5)
    assert json.loads(attempt.events.read_text())["sequence"] == 0


@given(data=st.data())
def test_a_damaged_log_reads_as_a_prefix(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("attempt")
    attempt = AttemptDirectory(folder)
    writer = EventWriter(attempt)
    for step in range(5):
        writer.write(_event(step, {"m": step / 3}))
    writer.close()
    whole, content = read_events(attempt), attempt.events.read_bytes()
    if data.draw(st.booleans()):
        cut = data.draw(st.integers(0, len(content)))
        damaged = content[:cut]
        intact = content[:cut].count(b"\n")
    else:
        place = data.draw(st.integers(0, len(content) - 1))
        flipped = bytes([content[place] ^ data.draw(st.integers(1, 255))])
        damaged = content[:place] + flipped + content[place + 1 :]
        intact = content[:place].count(b"\n")
    attempt.events.write_bytes(damaged)
    assert read_events(attempt) == whole[:intact]


def test_a_missing_line_ends_the_log(attempt_by_hand):
    attempt = attempt_by_hand([0, 1, 2])
    first, _, third = attempt.events.read_bytes().splitlines(keepends=True)
    attempt.events.write_bytes(first + third)
    assert _steps(read_events(attempt)) == [(0, 1)]


def test_a_short_write_is_an_error_and_no_event(run, monkeypatch):
    """A full disk takes the beginning of a line and says so only in the return value."""
    with claim_attempt(run) as attempt:
        writer = EventWriter(attempt)
        writer.write(_event(0, {"m": 1.0}))
        real = os.write
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", lambda fd, line: real(fd, line[:9]))
            with pytest.raises(OSError, match="short write") as error:
                writer.write(_event(1, {"m": 1.0}))
        writer.close()
    assert error.value.errno == errno.ENOSPC
    assert _steps(read_events(attempt)) == [(0, 1)]


def test_history_without_interruption(run, attempt_by_hand):
    attempt_by_hand([0, 1, 2], result=True)
    assert _steps(read_history(run)) == [(0, 1), (1, 1), (2, 1)]


def test_history_of_resumed_attempts_has_every_step_once(run, attempt_by_hand):
    attempt_by_hand([0, 1, 2, 3])
    attempt_by_hand([3, 4], resumed_at=2)
    assert _steps(read_history(run)) == [(0, 1), (1, 1), (2, 1), (3, 2), (4, 2)]
    attempt_by_hand([4, 5], resumed_at=3, result=True)
    merged = [(0, 1), (1, 1), (2, 1), (3, 2), (4, 3), (5, 3)]
    assert _steps(read_history(run)) == merged


def test_a_checkpoint_older_than_the_last_attempt_cuts_all_attempts(run, attempt_by_hand):
    attempt_by_hand([0, 1, 2, 3])
    attempt_by_hand([3, 4], resumed_at=2)
    attempt_by_hand([2, 3], resumed_at=1, result=True)
    assert _steps(read_history(run)) == [(0, 1), (1, 1), (2, 3), (3, 3)]


def test_an_attempt_that_starts_afresh_makes_earlier_ones_void(run, attempt_by_hand):
    attempt_by_hand([0, 1], items=[0])
    attempt_by_hand([0, 1, 2], result=True)
    assert _steps(read_history(run)) == [(0, 2), (1, 2), (2, 2)]
    assert read_items(run) is None
    assert [used.number for used in read_result(run).attempts] == [2]


def test_an_attempt_that_died_before_it_logged_leaves_no_trace(run, attempt_by_hand):
    attempt_by_hand([0, 1])
    attempt_by_hand([], claim=False)
    attempt_by_hand([])
    attempt_by_hand([2], resumed_at=1, result=True)
    assert _steps(read_history(run)) == [(0, 1), (1, 1), (2, 4)]
    assert [used.number for used in read_result(run).attempts] == [1, 4]


def test_items_are_merged_as_events_are(run, attempt_by_hand):
    attempt_by_hand([0, 1, 2], items=[0, 2])
    attempt_by_hand([2, 3], resumed_at=1, items=[2, 3], result=True)
    rows = read_items(run).to_pydict()
    assert rows["step"] == [0, 0, 2, 2, 3, 3]
    assert rows["outcome"] == [0, 1, 0, 2, 0, 2]
    assert len(read_result(run).items_hash.split("+")) == 2


def test_the_result_says_what_it_stands_on(run, attempt_by_hand):
    attempt = attempt_by_hand([0, 1], items=[1], result=True)
    result = read_result(run)
    (used,) = result.attempts
    assert (used.number, used.events, used.rows, used.until) == (1, 2, 2, None)
    assert (result.run_id, result.status, result.started) == ("run", "finished", 5.0)
    assert result.versions == {"v": "1"}
    attempt.items.write_bytes(attempt.items.read_bytes() + b"x")
    with pytest.raises(WorkspaceError, match=r"items\.parquet"):
        read_items(run)


def test_lost_events_of_a_result_are_an_error(run, attempt_by_hand):
    attempt = attempt_by_hand([0, 1], result=True)
    attempt.events.write_bytes(attempt.events.read_bytes()[:-1])
    with pytest.raises(WorkspaceError, match="1 of 2 events"):
        read_history(run)


def test_states_of_a_run(run, attempt_by_hand):
    assert run_state(run) == "planned"
    with claim_attempt(run):
        assert run_state(run) == "running"
    assert run_state(run) == "interrupted"
    attempt_by_hand([0], end="exception")
    assert run_state(run) == "failed"
    attempt_by_hand([0], end="interrupted")
    assert run_state(run) == "interrupted"
    attempt_by_hand([0], result=True)
    assert run_state(run) == "finished"


def test_a_live_attempt_and_a_result_keep_others_out(run, attempt_by_hand):
    with claim_attempt(run) as first:
        assert live_attempt(run) == first
        with claim_attempt(run) as second:
            assert second is None
    attempt_by_hand([0], result=True)
    with claim_attempt(run) as third:
        assert third is None


def _race(path, gate, winners):
    gate.wait()
    won = 0
    while won < 10:
        with claim_attempt(RunDirectory(path)) as attempt:
            if attempt is not None:
                won += 1
                with winners.get_lock():
                    winners.value += 1
                    assert winners.value == 1
                time.sleep(0.001)
                with winners.get_lock():
                    winners.value -= 1
        time.sleep(0.001)


def test_races_never_give_a_run_two_live_attempts(run):
    context = multiprocessing.get_context("spawn")
    gate, winners = context.Barrier(3), context.Value("i", 0)
    racers = [
        context.Process(target=_race, args=(run.path, gate, winners), daemon=True) for _ in range(3)
    ]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(60)
    assert [racer.exitcode for racer in racers] == [0, 0, 0]
    numbers = [attempt.number for attempt in run.attempts()]
    assert numbers == list(range(1, 31))


def test_claims_are_optional(run):
    with claim_attempt(run) as attempt:
        assert read_claim(attempt) is None


def test_the_tail_of_a_log(run):
    with claim_attempt(run) as attempt:
        (attempt.logs / "output.txt").write_bytes(b"\xff\n" * 50_000 + b"last\nwords\n")
    assert log_tail(attempt, 2) == ("last", "words")
