"""Commands that execute a study or read what it has left: run, retry, report, sync."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ablatekit.cli.analyze_options import Everything
from ablatekit.cli.reports import SecondOpinionOption, ThemeOption, report_bundle
from ablatekit.cli.study_files import (
    Json,
    Overrides,
    StudyFile,
    WorkspaceOption,
    prepared,
    show_plan,
)
from ablatekit.legible import legible

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
        study = prepared(file, overrides, workspace, silent=as_json)
        show_plan(study, workers=workers, new=new, as_json=as_json)
        return
    study = prepared(file, overrides, workspace, silent=as_json, what=f"planning {file}")
    options = RunChoice(workers=workers, limit=limit, new=new)
    _run_and_tell(study, options, second_opinion=second_opinion, as_json=as_json)


def retry(
    file: StudyFile,
    runs: Annotated[
        list[str] | None,
        typer.Argument(metavar="[RUN]...", help="Ids or descriptions; default: all that failed."),
    ] = None,
    overrides: Overrides = None,
    workspace: WorkspaceOption = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Concurrent runs.")] = None,
    second_opinion: SecondOpinionOption = True,
    as_json: Json = False,
) -> None:
    """Give runs that failed after their retries new attempts, from their checkpoints."""
    from ablatekit.pipeline.frozen import continued
    from ablatekit.pipeline.standing import to_retry

    study = continued(prepared(file, overrides, workspace, silent=as_json))
    chosen, told = to_retry(study, runs or ())
    typer.echo(legible(told), err=as_json)
    if chosen or as_json:
        options = RunChoice(workers=workers, only=frozenset(run.run_id for run in chosen))
        _run_and_tell(study, options, second_opinion=second_opinion, as_json=as_json)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunChoice:
    """Which runs to execute, and how many at a time."""

    workers: int | None = None
    limit: int | None = None
    only: frozenset[str] | None = None
    new: bool = False


def _run_and_tell(
    study: PreparedStudy, choice: RunChoice, *, second_opinion: bool, as_json: bool
) -> None:
    """Execute runs and what follows them, shown as it happens; raises what the exit code says."""
    from ablatekit.cli.console import phases, plain_console, print_all
    from ablatekit.dispatch.progress import observer_for
    from ablatekit.errors import InterruptedStudyError
    from ablatekit.pipeline.run import ReportOptions, RunOptions, run_study
    from ablatekit.report.formats.terminal import answer

    console = plain_console(stderr=as_json)
    telling = ReportOptions(
        second_opinion=second_opinion,
        show=lambda analysis: print_all(answer(analysis), console),
        phase=phases(console),
    )
    options = RunOptions(
        workers=choice.workers,
        limit=choice.limit,
        only=choice.only,
        new=choice.new,
        report=telling,
    )
    try:
        outcome = run_study(study, options, observer_for(console))
    except KeyboardInterrupt:
        resume = f"`ablatekit study run {study.loaded.path}` resumes"
        raise InterruptedStudyError(f"interrupted; {resume}") from None
    if as_json:
        typer.echo(json.dumps(_as_json(outcome), indent=2))
    _tell(outcome, study, console)


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
    from ablatekit.cli.console import phases, plain_console
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
        study = prepared(file, overrides, workspace, silent=as_json)
        options = ReportOptions(
            theme=theme, second_opinion=second_opinion, phase=phases(plain_console(stderr=True))
        )
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
    from ablatekit.cli.console import phases, plain_console
    from ablatekit.pipeline.run import sync_study

    study = prepared(file, overrides, workspace, silent=as_json)
    with phases(plain_console(stderr=True))("writing what the mirror lacks"):
        outcome = sync_study(study)
    if as_json:
        typer.echo(json.dumps({"runs": outcome.runs, "metrics": outcome.metrics}, indent=2))
    else:
        typer.echo(f"{outcome.place}: {outcome.runs} runs, {outcome.metrics} new metrics")


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
            f" `ablatekit study run {study.loaded.path}` resumes"
        )
    if outcome.dispatch.failed:
        raise RunsFailedError(_failures(outcome))
    if counts.remaining:
        console.print(
            f"{counts.planned - counts.remaining} of {counts.planned} runs have a result;"
            f" `ablatekit study report {study.loaded.path}` makes an interim report",
            soft_wrap=True,
        )
    if outcome.analysis is not None:
        _require_estimates(outcome.analysis, study)


def _failures(outcome: StudyOutcome) -> str:
    lines = [f"{len(outcome.dispatch.failed)} runs failed after their retries:"]
    for failed in outcome.dispatch.failed:
        lines.append(f"  {failed.run_id} ({failed.label}): {failed.kind}: {failed.message}")
        lines.extend(f"    | {line}" for line in failed.log_tail[-3:])
    return "\n".join(lines)
