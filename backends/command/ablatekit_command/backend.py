"""The backend `command` as ablatekit sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from pydantic import BaseModel

from ablatekit.backend import Lack, Progress, Rule, RunContext, Settings, Starter
from ablatekit.runs.records import MetricSpec, Resources, RunResult, RunSpec
from ablatekit_command.settings import CommandSettings, parameters


class CommandBackend:
    """Any program that takes its settings from a command line, the environment or a file."""

    name: ClassVar[str] = "command"
    results_version: ClassVar[int] = 1
    settings: ClassVar[type[BaseModel]] = CommandSettings
    lacks: ClassVar[frozenset[Lack]] = frozenset(
        {"step_zero", "stop_points", "metric_names", "repeatability"}
    )
    """What programs may do without; one that declares `resume` is stopped and continued."""

    def rules(self) -> Sequence[Rule]:
        """None: what a program cannot combine only it knows."""
        return ()

    def metrics(self, settings: Settings) -> Sequence[MetricSpec]:  # noqa: ARG002
        """None: what a program reports is seen after it."""
        return ()

    def resources(self, settings: Settings) -> Resources:
        """What the study says under `resources`."""
        stated = CommandSettings.from_dotted(settings).resources
        return Resources(cpus=stated.cpus, gpus=stated.gpus, memory=stated.memory)

    def content(self, settings: Settings) -> Mapping[str, str]:
        """Hashes of the files that the command names; see `ablatekit_command.content`."""
        from ablatekit_command.content import named_content

        return named_content(CommandSettings.from_dotted(settings), parameters(settings))

    def examine(self, settings: Settings, progress: Progress) -> Sequence[str]:  # noqa: ARG002
        """Check placeholders, parameters, program and files; see `ablatekit_command.examine`."""
        from ablatekit_command.examine import examine

        return examine(CommandSettings.from_dotted(settings), parameters(settings))

    def starter(self) -> Starter:
        """A small program with two choices; see `ablatekit_command.starter`."""
        from ablatekit_command.starter import starter

        return starter()

    def run(self, run: RunSpec, context: RunContext) -> RunResult:
        """Start the program and follow it to its end; see `ablatekit_command.run`."""
        from ablatekit_command.run import execute

        return execute(run, context)
