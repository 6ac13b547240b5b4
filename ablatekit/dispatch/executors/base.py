"""What an executor is: the place where workers live, behind the coordinator's loop.

The coordinator decides which run is next and what a failure costs. The executor knows how runs
reach a worker, how to hear from it, how to stop or kill it, and which process on which machine
still executes a run. It leaves nothing behind: `close` ends every worker that it started.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, TypeAlias, runtime_checkable

from pydantic import BaseModel

from ablatekit.plugins import load_plugin, made
from ablatekit.runs.records import Resources
from ablatekit.runs.workspace import RunDirectory

if TYPE_CHECKING:
    from ablatekit.worker import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What a study asks of an executor: `runs` runs, none of which needs more than `need`.

    `workers` is how many of them execute at once, `auto` as many as the place holds; `timeout` is
    the longest duration of one attempt in seconds; `python` the interpreter of the workers, None
    for this one.
    """

    need: Resources
    runs: int
    workers: Literal["auto"] | int = "auto"
    timeout: float | None = None
    python: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One run to execute, with what its claim records."""

    run: RunDirectory
    cache: str
    study: str
    study_hash: str

    def command(self) -> dict[str, str]:
        """The worker's command."""
        return {
            "do": "run",
            "run": str(self.run.path),
            "cache": self.cache,
            "study": self.study,
            "study_hash": self.study_hash,
        }


@dataclass(frozen=True, slots=True)
class Started:
    """An attempt has begun; an executor that restarts tasks by itself says so each time."""

    run_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Progressed:
    """An attempt has come so far."""

    run_id: str
    done: float
    total: float


@dataclass(frozen=True, slots=True)
class Ended:
    """A task has left its worker; the last event of a task. `attempt` is None if none was begun.

    `signal` names what its worker died of. An attempt that was killed has its `end.json`.
    """

    run_id: str
    attempt: int | None
    outcome: Outcome
    message: str
    signal: str | None = None


@dataclass(frozen=True, slots=True)
class Noted:
    """Something about the executor itself that the user should know."""

    text: str


Event: TypeAlias = Started | Progressed | Ended | Noted


@runtime_checkable
class Executor(Protocol):
    """Whatever brings tasks to workers; registered under `ablatekit.executors`, used by one thread.

    `settings` is its own part of the study file, beside `executor: <name>`.
    """

    name: ClassVar[str]
    settings: ClassVar[type[BaseModel]]

    def __init__(self, workload: Workload, settings: BaseModel) -> None:
        """Plan places for the workload, at least one where there are runs; nothing starts yet."""

    @property
    def free(self) -> int:
        """Number of tasks that can be submitted now."""

    @property
    def running(self) -> int:
        """Number of tasks that were submitted and have not ended."""

    def submit(self, task: Task) -> None:
        """Take a task while `free` is not 0; raises PluginError where no worker can be started."""

    def poll(self, seconds: float) -> Iterator[Event]:
        """What happened within the next `seconds`; returns as soon as something did.

        A task ends once, however its worker died. Raises PluginError when workers cannot run at
        all.
        """

    def drain(self) -> None:
        """Ask every task to finish or to checkpoint and end as interrupted; returns at once."""

    def kill(self) -> None:
        """Kill every worker; the tasks' ends come from `poll`."""

    def release(self, run: RunDirectory) -> bool:
        """Whether no process executes the run; ends what a dead worker left of it behind."""

    def close(self) -> None:
        """End every worker and everything that it started, and wait for that."""


def make_executor(name: str, workload: Workload, settings: Mapping[str, Any]) -> Executor:
    """The executor called `name` for a workload, with its own part of the study file.

    Raises PluginError when there is none, or when it lacks what the protocol demands.
    """
    stated = load_plugin("executor", name).settings.model_validate(dict(settings))
    executor: Executor = made("executor", name, Executor, workload, stated)
    return executor
