from __future__ import annotations

import os
import platform

import pytest

from ablatekit.dispatch.executors import local
from ablatekit.dispatch.executors.local import kill_orphans
from ablatekit.dispatch.executors.slots import Machine
from ablatekit.runs.runlog import Claim, claim_attempt, log_tail, write_claim
from ablatekit.runs.workspace import Workspace
from ablatekit.testing.executor_suite import ExecutorSuite, written_task


class TestLocalExecutor(ExecutorSuite):
    executor_name = "local"


@pytest.mark.parametrize(
    ("behaviour", "timeout", "message", "name", "last_words"),
    [
        ("fault", None, "the worker died of SIGSEGV", "SIGSEGV", "faulty_backend"),
        ("hang", 0.5, "took longer than 0.5 s", "SIGKILL", None),
    ],
)
def test_how_a_worker_died_is_said(
    make_plan, faulty, tmp_path, behaviour, timeout, message, name, last_words
):
    planned = make_plan(backend=faulty, behaviour=behaviour).runs[0]
    suite = TestLocalExecutor()
    task = written_task(tmp_path, planned.spec)
    with suite.executor(workers=1, timeout=timeout) as executor:
        executor.submit(task)
        *_, ended = suite.finish(executor)
    assert (ended.message, ended.signal) == (message, name)
    if last_words:
        assert any(last_words in line for line in log_tail(task.run.attempt(1)))


def test_more_workers_than_the_memory_holds_are_noted(monkeypatch):
    machine = Machine(cores=8, memory=1.5)
    monkeypatch.setattr(Machine, "here", classmethod(lambda _cls: machine))
    with TestLocalExecutor().executor(workers=2) as executor:
        (noted,) = executor.poll(0.0)
    assert (
        noted.text == "runs at once: 2, which may need 2.0 GiB of memory; this machine has 1.5 GiB"
    )


def claim(pid, host="elsewhere"):
    return Claim(study="s", study_hash="h", pid=pid, host=host, user="u", started=0.0, versions={})


def test_only_orphans_of_dead_workers_on_this_machine_are_killed(tmp_path, monkeypatch):
    killed = []
    monkeypatch.setattr(local.os, "killpg", lambda group, _signal: killed.append(group))
    run, here, dead = Workspace(tmp_path).run("r"), platform.node(), 2**22 + 1
    with claim_attempt(run) as attempt:
        for harmless in (claim(dead), claim(os.getpid(), here)):
            write_claim(attempt, harmless)
            kill_orphans(attempt)
        assert killed == []
        write_claim(attempt, claim(dead, here))
        kill_orphans(attempt)
        assert killed == [dead]
