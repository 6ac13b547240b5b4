"""Executes one run: starts the program, follows it, and judges how it ended."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ablatekit.backend import RunContext
from ablatekit.canonical import write_atomically, write_json
from ablatekit.errors import Problem, RunFailedError, RunInterruptedError, TableError, UsageError
from ablatekit.logs.base import RunLog
from ablatekit.runs.records import RunResult, RunSpec
from ablatekit_command.conditions import no_numbers, read_condition
from ablatekit_command.content import named_content
from ablatekit_command.examine import missing_places
from ablatekit_command.follow import Follower
from ablatekit_command.formats import log_of
from ablatekit_command.invocation import Invocation, invocation
from ablatekit_command.items import read_outcomes
from ablatekit_command.program import Program
from ablatekit_command.settings import CommandSettings, parameters

_POLL_SECONDS = 0.05
_LAST = ".ablatekit-last.json"
"""In the checkpoint folder: the last metrics of an attempt that was stopped."""
_SEED_BOUND = 2**31
_SHELL_SIGNAL = 128
_MEMORY = ("out of memory", "OutOfMemory", "MemoryError", "Cannot allocate memory")


def execute(run: RunSpec, context: RunContext) -> RunResult:
    """Run the program of one run.

    Raises UsageError for a program that is not there or not the planned one,
    RunInterruptedError when it was stopped and can continue, RunFailedError for every other end
    without a result.
    """
    given = {**run.settings, **run.execution}
    settings, given_to_program = CommandSettings.from_dotted(given), parameters(given)
    wrong = [
        *missing_places(settings, given_to_program),
        *_changed(run.content, named_content(settings, given_to_program)),
    ]
    if wrong:
        raise UsageError(*wrong)
    resumed = settings.can_resume and _has_checkpoint(context.checkpoint_dir)
    started = invocation(settings, given_to_program, _of_run(run, context), resumed=resumed)
    if started.config is not None:
        started.config.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(started.config, started.config_text.encode())
    printed = context.output_dir / "printed.txt" if started.metrics is None else None
    log = log_of(started.format, settings.metrics.stdout_regex)
    follower = _follower(settings, started, log, printed, context, resumed=resumed)
    with Program(started, printed) as program:
        return _Attempt(settings, started, context, follower, program).result()


def _changed(planned: Mapping[str, str], present: Mapping[str, str]) -> Iterator[Problem]:
    """Files that are there, and are no longer what identifies the run."""
    for name in sorted(planned):
        if present.get(name, planned[name]) != planned[name]:
            remedy = (
                "Repeat the command: it plans the study again. What the program itself writes"
                " belongs below {run_dir}"
            )
            rule = "a file that decides results has changed since the study was planned"
            yield Problem(rule, name, remedy)


def _has_checkpoint(folder: Path) -> bool:
    return any(path.name != _LAST for path in folder.iterdir())


def _of_run(run: RunSpec, context: RunContext) -> dict[str, Any]:
    return {
        "seed": context.seeds.integer("program") % _SEED_BOUND,
        "context_seed": int(context.seeds.common("program").generate_state(1)[0]) % _SEED_BOUND,
        "replicate": run.replicate,
        "run_id": run.run_id,
        "run_dir": str(context.output_dir.resolve()),
        "checkpoint_dir": str(context.checkpoint_dir.resolve()),
    }


def _follower(
    settings: CommandSettings,
    started: Invocation,
    log: RunLog,
    printed: Path | None,
    context: RunContext,
    *,
    resumed: bool,
) -> Follower:
    path = printed if started.metrics is None else started.metrics
    assert path is not None
    path.parent.mkdir(parents=True, exist_ok=True)
    if started.format in ("trackio", "wandb", "tensorboard"):
        path.mkdir(exist_ok=True)
    conditions = tuple(map(read_condition, settings.diverged))
    return Follower(log, path, context, resumed, conditions, started.steps)


class _Attempt:
    """One execution of the program, from its start to the judgement of its end."""

    def __init__(
        self,
        settings: CommandSettings,
        started: Invocation,
        context: RunContext,
        follower: Follower,
        program: Program,
    ) -> None:
        self.settings = settings
        self.started = started
        self.context = context
        self.follower = follower
        self.program = program
        self.asked_to_stop = False

    def result(self) -> RunResult:
        """Wait for the end and say what it means."""
        status = self._wait()
        self.program.wait_for_output()
        self.follower.finish()
        self._continue_from_last()
        if self.follower.met:
            return self._diverged(self.follower.met)
        if self.asked_to_stop and not self._is_complete(status):
            self._remember_last()
            step = self.follower.last_step
            raise RunInterruptedError(f"the program was stopped at step {step}")
        if status in self.settings.exit_codes.diverged:
            return self._diverged(f"the program said so with exit code {status}")
        wrong = no_numbers(self.follower.last, self.settings.may_be_nan)
        if wrong and status >= 0:
            return self._diverged(f"{wrong[0]} ended as {self.follower.last[wrong[0]]}")
        if status not in self.settings.exit_codes.finished:
            raise RunFailedError(_end(status, self.program.last_line))
        return self._finished()

    def _wait(self) -> int:
        while (status := self.program.exit_status()) is None:
            self.follower.look()
            if self.follower.met:
                self.program.stop(self.settings.grace)
            if self.settings.can_resume and not self.asked_to_stop and self.context.should_stop():
                self.asked_to_stop = True
                self.program.stop(self.settings.grace)
            time.sleep(_POLL_SECONDS)
        return status

    def _is_complete(self, status: int) -> bool:
        """Whether a program that was asked to stop had done all of its work."""
        steps = self.started.steps
        done = steps is not None and self.follower.last_step >= steps
        return done and status in self.settings.exit_codes.finished

    def _remember_last(self) -> None:
        value = {"step": self.follower.last_step, "metrics": self.follower.last_valid}
        if self.follower.count:
            write_json(self.context.checkpoint_dir / _LAST, value)

    def _continue_from_last(self) -> None:
        """Where a continued program had nothing left to log, what was logged before counts."""
        path = self.context.checkpoint_dir / _LAST
        if self.follower.count or not self.follower.resumed or not path.exists():
            return
        value = json.loads(path.read_text(encoding="utf-8"))
        self.context.resumed_at(value["step"])
        self.follower.last = dict(value["metrics"])
        self.follower.last_valid = dict(value["metrics"])
        self.follower.last_step = value["step"]

    def _diverged(self, why: str) -> RunResult:
        if self.started.items is not None and self.started.items.exists():
            self._log_items(self.started.items)
        return RunResult(status="diverged", metrics=self.follower.last_valid, message=why)

    def _finished(self) -> RunResult:
        if not self.follower.last:
            raise RunFailedError(self._no_metrics())
        if self.started.items is not None:
            if not self.started.items.exists():
                raise RunFailedError(
                    f"the program ended well, but wrote no items to {self.started.items}"
                )
            self._log_items(self.started.items)
        return RunResult(status="finished", metrics=self.follower.last_valid)

    def _log_items(self, path: Path) -> None:
        try:
            for step, table in read_outcomes(path):
                self.context.log_items(self.follower.last_step if step is None else step, table)
        except TableError as error:
            raise RunFailedError(str(error)) from None

    def _no_metrics(self) -> str:
        """What was looked for, where, and what is there instead."""
        told = f"the program ended well, but left no metric: looked for {self.started.format}"
        if self.started.metrics is None:
            return (
                f"{told} {self.settings.metrics.stdout_regex!r} in what it printed; its last line"
                f" was {self.program.last_line!r}"
            )
        path = self.started.metrics
        there = "which holds no number" if path.is_file() else f"there is {_listed(path)}"
        elsewhere = self.started.cwd / os.path.relpath(path, self.context.output_dir.resolve())
        if elsewhere.exists() and not path.exists():
            there += f"; {elsewhere} is there, where every run would write (cwd: '{{run_dir}}')"
        return f"{told} at {path}, {there}. Its path is {{metrics}} and $ABLATEKIT_METRICS"


def _listed(path: Path) -> str:
    """The files below the nearest existing folder, some of them."""
    folder = path
    while not folder.is_dir():
        folder = folder.parent
    names = sorted(str(each.relative_to(folder)) for each in folder.rglob("*") if each.is_file())
    shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    return f"{shown or 'no file'} in {folder}"


def _end(status: int, last_line: str) -> str:
    """How a program ended that has no result, in one line."""
    said = f"; it said last: {last_line}" if last_line else "; it printed nothing"
    number = -status if status < 0 else status - _SHELL_SIGNAL
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = ""
    if not name:
        memory = " (out of memory)" if any(word in last_line for word in _MEMORY) else ""
        return f"the program ended with exit code {status}{memory}{said}"
    memory = ", as the system does when memory runs out" if name == "SIGKILL" else ""
    return f"the program was killed by {name}{memory}{said}"
