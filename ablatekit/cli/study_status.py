"""The command `study status`: how many runs stand where, each of them, and both as they change."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ablatekit.cli.study_files import Json, Overrides, StudyFile, WorkspaceOption, prepared
from ablatekit.legible import legible
from ablatekit.runs.runlog import RunState

if TYPE_CHECKING:
    from rich.table import Table

    from ablatekit.pipeline.frozen import PreparedStudy
    from ablatekit.pipeline.standing import StandingRun

WATCH_SECONDS = 2.0


def status(
    file: StudyFile,
    overrides: Overrides = None,
    workspace: WorkspaceOption = None,
    runs: Annotated[bool, typer.Option("--runs", help="List every run.")] = False,
    state: Annotated[
        RunState | None, typer.Option("--state", help="List the runs that stand there.")
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show it as it changes, until Ctrl-C or the last run.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Count the runs of a study by where they stand, and by what they say of their results."""
    from ablatekit.pipeline.frozen import as_planned_here

    study = prepared(file, overrides, workspace, silent=as_json)
    view = View(as_planned_here(study), runs or bool(state), state)
    if _run_ids(view.study) != _run_ids(study):
        changed = f"{file} has changed since it was planned; this is what was planned"
        typer.echo(f"note: {changed} (ablatekit study plan says more)", err=True)
    if watch:
        _watch(view, as_json=as_json)
    elif as_json:
        typer.echo(json.dumps(view.as_json(), indent=2))
    else:
        view.print()


def _run_ids(study: PreparedStudy) -> set[str]:
    return {run.run_id for run in study.plan.runs}


@dataclass(frozen=True)
class View:
    """What is shown of a study: counts, and with `listed` its runs, of one state if it is named."""

    study: PreparedStudy
    listed: bool
    state: RunState | None

    def counts(self) -> str:
        """Runs by where they stand, and who executes them, in one line."""
        from ablatekit.pipeline.frozen import study_status
        from ablatekit.pipeline.standing import coordinator

        plan = self.study.plan
        states = study_status(self.study)
        counts = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
        process = coordinator(self.study)
        by = "" if process is None else f"; being run by process {process or 'unknown'}"
        return f"{plan.study}: {len(plan.runs)} runs: {counts}{by}"

    def is_over(self) -> bool:
        """Whether no run will change by itself."""
        from ablatekit.pipeline.frozen import study_status
        from ablatekit.pipeline.standing import coordinator

        waiting = {"planned", "running", "interrupted"} & set(study_status(self.study))
        return not waiting and coordinator(self.study) is None

    def rows(self) -> list[dict[str, Any]]:
        """The listed runs, in the order of execution."""
        from ablatekit.pipeline.standing import standing_runs

        metric = self.study.plan.analysis.responses[0].metric
        runs = standing_runs(self.study)
        return [_row(run, metric) for run in runs if self.state in (None, run.state)]

    def table(self) -> Table:
        """The listed runs as a table."""
        from ablatekit.dispatch.expected import duration
        from ablatekit.report.formats.tables import PLAIN, titled_table

        plan = self.study.plan
        factors, variables = [factor.name for factor in plan.factors], list(plan.contexts[0])
        metric = plan.analysis.responses[0].metric
        columns = ("run", *factors, *variables, "replicate", "state", "attempts", "step")
        rows = [
            (
                row["run"],
                *(row["levels"][name] for name in factors),
                *(row["context"][name] for name in variables),
                str(row["replicate"]),
                row["state"],
                str(row["attempts"]),
                "" if row["step"] is None else str(row["step"]),
                "" if row["value"] is None else f"{row['value']:.4g}",
                "" if row["seconds"] is None else duration(row["seconds"]),
                legible(row["message"]),
            )
            for row in self.rows()
        ]
        of = f"{len(rows)} of {len(plan.runs)} runs"
        return titled_table(of, (*columns, metric, "took", "message"), rows, PLAIN)

    def print(self) -> None:
        """Counts, what runs say, and the listed runs."""
        from ablatekit.cli.console import print_table
        from ablatekit.pipeline.frozen import run_messages

        typer.echo(self.counts())
        for message, count in sorted(run_messages(self.study).items()):
            typer.echo(f"{count} of {len(self.study.plan.runs)} runs: {legible(message)}")
        if self.listed:
            print_table(self.table())

    def as_json(self) -> dict[str, Any]:
        """The same for programs."""
        from ablatekit.pipeline.frozen import run_messages, study_status
        from ablatekit.pipeline.standing import coordinator

        states, said = study_status(self.study), run_messages(self.study)
        told: dict[str, Any] = {
            "study": self.study.plan.study,
            "runs": dict(states),
            "messages": dict(said),
            "coordinator": coordinator(self.study),
        }
        return {**told, "table": self.rows()} if self.listed else told


def _row(run: StandingRun, metric: str) -> dict[str, Any]:
    step, value = run.last(metric)
    return {
        "run": run.run_id,
        "levels": dict(run.levels),
        "context": dict(run.planned.context),
        "replicate": run.planned.replicate,
        "state": run.state,
        "attempts": run.attempts,
        "step": step,
        "metric": metric,
        "value": value,
        "seconds": run.seconds(time.time()),
        "message": run.message(),
    }


def _watch(view: View, *, as_json: bool) -> None:
    """Until no run will change by itself; Ctrl-C is the way to leave, and no failure."""
    from ablatekit.cli.console import plain_console

    try:
        if as_json or not plain_console().is_terminal:
            _watch_lines(view, as_json=as_json)
        else:
            _watch_live(view)
    except KeyboardInterrupt:
        return


def _watch_lines(view: View, *, as_json: bool) -> None:
    """A line whenever something has changed."""
    from ablatekit.cli.console import plain_console, print_stamped

    shown = ""
    while True:
        is_over = view.is_over()
        line = json.dumps(view.as_json()) if as_json else view.counts()
        if line != shown:
            shown = line
            if as_json:
                typer.echo(line)
            else:
                print_stamped(line, plain_console())
        if is_over:
            return
        time.sleep(WATCH_SECONDS)


def _watch_live(view: View) -> None:
    """Drawn over itself."""
    from rich.console import Group
    from rich.live import Live
    from rich.text import Text

    from ablatekit.cli.console import plain_console

    def drawn() -> Group:
        return Group(Text(view.counts()), *([view.table()] if view.listed else []))

    with Live(drawn(), console=plain_console(), auto_refresh=False) as live:
        while not view.is_over():
            time.sleep(WATCH_SECONDS)
            live.update(drawn(), refresh=True)
        live.update(drawn(), refresh=True)
