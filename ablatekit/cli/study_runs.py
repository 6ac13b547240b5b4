"""Commands that execute a study or read what it has left: run, status, report, sync."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ablatekit.cli.analyze_options import Everything
from ablatekit.cli.reports import (
    SecondOpinionOption,
    ThemeOption,
    WorkspaceOption,
    report_bundle,
)
from ablatekit.cli.study_files import Json, Overrides, StudyFile, plan

if TYPE_CHECKING:
    from rich.console import Console

    from ablatekit.analysis.core.schema.analysis import Analysis
    from ablatekit.pipeline.frozen import PreparedStudy
    from ablatekit.pipeline.run import ReportOptions, StudyOutcome


def run(
    file: StudyFile,
    overrides: Overrides = None,
    workspace: WorkspaceOption = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Concurrent runs.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="A smoke run of so many runs.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the plan.")] = False,
    new: Annotated[bool, typer.Option("--new", help="Start a changed study anew.")] = False,
    second_opinion: SecondOpinionOption = True,
    as_json: Json = False,
) -> None:
    """Run a study to its report; the same command resumes it, and a finished one is a no-op."""
    if dry_run:
        plan(file, overrides, as_json=as_json)
        return
    from ablatekit.cli.console import plain_console, print_all
    from ablatekit.dispatch.progress import observer_for
    from ablatekit.errors import InterruptedStudyError
    from ablatekit.pipeline.run import ReportOptions, RunOptions, run_study
    from ablatekit.report.formats.terminal import answer

    study = _prepared(file, overrides, workspace, silent=as_json)
    console = plain_console(stderr=as_json)
    telling = ReportOptions(
        second_opinion=second_opinion,
        show=lambda analysis: print_all(answer(analysis), console),
    )
    options = RunOptions(workers=workers, limit=limit, new=new, report=telling)
    try:
        outcome = run_study(study, options, observer_for(console))
    except KeyboardInterrupt:
        raise InterruptedStudyError("interrupted; the same command resumes") from None
    if as_json:
        typer.echo(json.dumps(_as_json(outcome), indent=2))
    _tell(outcome, study, console)


def status(
    file: StudyFile,
    overrides: Overrides = None,
    workspace: WorkspaceOption = None,
    as_json: Json = False,
) -> None:
    """Count the runs of a study by where they stand, and by what they say of their results."""
    from ablatekit.legible import legible
    from ablatekit.pipeline.frozen import run_messages, study_status

    study = _prepared(file, overrides, workspace, silent=as_json)
    states, said = study_status(study), run_messages(study)
    if as_json:
        told = {"study": study.plan.study, "runs": dict(states), "messages": dict(said)}
        typer.echo(json.dumps(told, indent=2))
        return
    counts = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    typer.echo(f"{study.plan.study}: {len(study.plan.runs)} runs: {counts}")
    for message, count in sorted(said.items()):
        typer.echo(f"{count} of {len(study.plan.runs)} runs: {legible(message)}")


def report(
    file: StudyFile,
    overrides: Overrides = None,
    workspace: WorkspaceOption = None,
    open_it: Annotated[bool, typer.Option("--open", help="Open it in a browser.")] = False,
    theme: ThemeOption = None,
    second_opinion: SecondOpinionOption = True,
    everything: Everything = False,
    as_json: Json = False,
) -> None:
    """Analyse the results there are and write the report; FILE may be a bundle (study export)."""
    from ablatekit.pipeline.run import ReportOptions

    if file.suffix == ".zip":
        _refuse_overrides(file, overrides)
        page = report_bundle(
            file,
            workspace,
            theme or "auto",
            second_opinion=second_opinion,
            everything=everything,
            as_json=as_json,
        )
    else:
        _refuse_analysis(file)
        study = _prepared(file, overrides, workspace, silent=as_json)
        options = ReportOptions(theme=theme, second_opinion=second_opinion)
        page = _report(study, options, everything=everything, as_json=as_json)
    if open_it:
        typer.launch(page.as_uri())


def _refuse_analysis(file: Path) -> None:
    """An analysis.json is what a report shows, not what it is made from."""
    from ablatekit.errors import Problem, StudyError

    if file.suffix != ".json" or not file.is_file():
        return
    try:
        known = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        return
    if isinstance(known, dict) and "schema_version" in known:
        remedy = "Name the study file, or its archive (study export): ablatekit study report X.zip"
        raise StudyError(Problem("an analysis.json is no study", str(file), remedy))


def _refuse_overrides(file: Path, overrides: list[str] | None) -> None:
    """A bundle holds a frozen plan, which no option changes."""
    from ablatekit.errors import Problem, StudyError

    if overrides:
        remedy = "Leave --set out, or report the study file itself"
        raise StudyError(Problem("a bundle cannot be changed", f"{file}: {overrides[0]}", remedy))


def _report(
    study: PreparedStudy, options: ReportOptions, *, everything: bool, as_json: bool
) -> Path:
    from ablatekit.cli.console import print_all
    from ablatekit.pipeline.run import report_study
    from ablatekit.report.formats import terminal

    if not as_json:
        shown = partial(terminal.answer, everything=everything)
        options = replace(options, show=lambda analysis: print_all(shown(analysis)))
    analysis = report_study(study, options)
    page = study.directory.report / "index.html"
    if as_json:
        typer.echo(json.dumps({"report": str(page), "counts": analysis["counts"]}, indent=2))
    else:
        print_all(terminal.second_opinion(analysis))
        typer.echo(f"report: {page}")
    _require_estimates(analysis, study)
    return page


def _require_estimates(analysis: Analysis, study: PreparedStudy) -> None:
    """Raise NotEstimableError when no effect of any response has an estimate."""
    from ablatekit.errors import NotEstimableError
    from ablatekit.pipeline.run import any_estimate

    if not any_estimate(analysis):
        page = study.directory.report / "index.html"
        raise NotEstimableError(f"no requested effect can be estimated; {page} says why")


def sync(
    file: StudyFile,
    overrides: Overrides = None,
    workspace: WorkspaceOption = None,
    as_json: Json = False,
) -> None:
    """Rebuild what the mirror in a tracker lacks from the run directories."""
    from ablatekit.pipeline.run import sync_study

    study = _prepared(file, overrides, workspace, silent=as_json)
    outcome = sync_study(study)
    if as_json:
        typer.echo(json.dumps({"runs": outcome.runs, "metrics": outcome.metrics}, indent=2))
    else:
        typer.echo(f"{outcome.place}: {outcome.runs} runs, {outcome.metrics} new metrics")


def _prepared(
    file: Path, overrides: list[str] | None, workspace: Path | None, *, silent: bool
) -> PreparedStudy:
    from ablatekit.cli.console import planning_progress
    from ablatekit.pipeline.frozen import prepare
    from ablatekit.runs.workspace import find_workspace

    with planning_progress(silent=silent) as progress:
        return prepare(file, overrides or (), find_workspace(workspace), progress)


def _as_json(outcome: StudyOutcome) -> dict[str, object]:
    from dataclasses import asdict

    return {
        "counts": asdict(outcome.dispatch.counts),
        "failed": [asdict(failed) for failed in outcome.dispatch.failed],
        "interrupted": outcome.dispatch.interrupted,
        "report": str(outcome.report) if outcome.report else None,
    }


def _tell(outcome: StudyOutcome, study: PreparedStudy, console: Console) -> None:
    """Print what happened, and raise what its exit code says."""
    from ablatekit.cli.console import print_all
    from ablatekit.errors import InterruptedStudyError, RunsFailedError
    from ablatekit.report.formats import terminal

    if outcome.mirror is not None and outcome.mirror.warning:
        console.print(f"warning: {outcome.mirror.warning}")
    if outcome.analysis is not None:
        if not outcome.fresh and not outcome.dispatch.failed:
            console.print(
                "nothing to do: every run has a result and the report is of these results"
            )
        shown = terminal.second_opinion if outcome.fresh else terminal.answer
        print_all(shown(outcome.analysis), console)
        console.print(f"report: {outcome.report}", soft_wrap=True)
    counts = outcome.dispatch.counts
    if outcome.dispatch.interrupted:
        raise InterruptedStudyError(
            f"interrupted with {counts.remaining} of {counts.planned} runs outstanding;"
            " the same command resumes"
        )
    if outcome.dispatch.failed:
        raise RunsFailedError(_failures(outcome))
    if counts.remaining:
        console.print(
            f"{counts.planned - counts.remaining} of {counts.planned} runs have a result;"
            f" `ablatekit study report {study.loaded.path}` makes an interim report"
        )
    if outcome.analysis is not None:
        _require_estimates(outcome.analysis, study)


def _failures(outcome: StudyOutcome) -> str:
    lines = [f"{len(outcome.dispatch.failed)} runs failed after their retries:"]
    for failed in outcome.dispatch.failed:
        lines.append(f"  {failed.run_id} ({failed.label}): {failed.kind}: {failed.message}")
        lines.extend(f"    | {line}" for line in failed.log_tail[-3:])
    return "\n".join(lines)
