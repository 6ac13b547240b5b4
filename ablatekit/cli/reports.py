"""Commands that carry results elsewhere: export, compare, and the report of a bundle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ablatekit.cli.study_files import Json, Overrides, StudyFile, WorkspaceOption
from ablatekit.themes import Theme

ThemeOption = Annotated[
    Theme | None,
    typer.Option(
        "--theme", help="Colours of the page; auto follows the reader's system.  [default: study's]"
    ),
]
SecondOpinionOption = Annotated[
    bool,
    typer.Option(
        "--second-opinion/--no-second-opinion",
        envvar="ABLATEKIT_SECOND_OPINION",
        help="Recompute the numbers with statsmodels, in some seconds of another process.",
    ),
]


def export(
    file: StudyFile,
    overrides: Overrides = None,
    workspace: WorkspaceOption = None,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="ZIP", help="Default: STUDY.zip.")
    ] = None,
    second_opinion: SecondOpinionOption = True,
    as_json: Json = False,
) -> None:
    """Bundle study, plan, tables and report in one archive that needs no backend to analyse."""
    from ablatekit.cli.console import phases, plain_console
    from ablatekit.pipeline.frozen import continued, prepare
    from ablatekit.pipeline.run import ReportOptions, analysed
    from ablatekit.report.bundle import write_bundle
    from ablatekit.runs.workspace import find_workspace

    study = continued(prepare(file, overrides or (), find_workspace(workspace)))
    path = output or Path(f"{study.plan.study}.zip")
    text = study.directory.study_file.read_bytes()
    theme = study.loaded.study.report.theme
    phase = phases(plain_console(stderr=True))
    analysis = analysed(study, ReportOptions(second_opinion=second_opinion, phase=phase))
    write_bundle(path, text, study.plan, study.workspace, analysis, theme)
    if as_json:
        size = path.stat().st_size
        typer.echo(json.dumps({"bundle": str(path), "bytes": size}, indent=2))
    else:
        typer.echo(f"bundle: {path}; next: ablatekit study report {path}")


def report_bundle(
    path: Path,
    workspace: Path | None,
    theme: Theme,
    *,
    second_opinion: bool,
    everything: bool,
    as_json: bool,
) -> Path:
    """Analyse a bundle's tables again; the page, beside the bundle or in a workspace if named."""
    from ablatekit.cli.console import phases, plain_console, print_all
    from ablatekit.pipeline.second_opinion import with_second_opinion
    from ablatekit.report.bundle import analyse_bundle, read_bundle, same_analysis
    from ablatekit.report.formats import terminal
    from ablatekit.report.write import write_report

    bundle, folder = read_bundle(path), _bundle_report(path, workspace)
    phase = phases(plain_console(stderr=True))
    with phase("analysing the results"):
        analysis = analyse_bundle(bundle)
    if not as_json:
        print_all(terminal.answer(analysis, everything=everything))
    same = same_analysis(analysis, bundle.analysis)
    if second_opinion:
        with phase("asking statsmodels for a second opinion"):
            analysis = with_second_opinion(analysis, bundle.plan, bundle.tables)
    page = write_report(analysis, folder, theme).html
    if as_json:
        result = {"report": str(page), "counts": analysis["counts"], "same_analysis": same}
        typer.echo(json.dumps(result, indent=2))
        return page
    print_all(terminal.second_opinion(analysis))
    typer.echo(f"the analysis {AGREEMENT[same]}")
    typer.echo(f"report: {page}")
    return page


AGREEMENT = {
    True: "equals the bundled one",
    False: "DIFFERS from the bundled one",
    None: "replaces the bundled one, which has an older schema",
}


def _bundle_report(path: Path, workspace: Path | None) -> Path:
    """Where the report of a bundle goes: never over that of a study that was run there."""
    from ablatekit.errors import Problem, WorkspaceError
    from ablatekit.runs.workspace import find_workspace

    if workspace is None:
        return path.with_suffix("") / "report"
    directory = find_workspace(workspace).study(path.stem)
    if directory.plan.exists():
        rule = "the report of a bundle would replace that of a study that was run here"
        remedy = "Name another --workspace, or rename the bundle"
        raise WorkspaceError(Problem(rule, str(directory.report), remedy))
    return directory.report


def compare(
    first: Annotated[Path, typer.Argument(metavar="A", help="Study, bundle or analysis.json.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="The study to hold against it.")],
    workspace: WorkspaceOption = None,
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="DIR", help="Write a page of both, with its files."),
    ] = None,
    theme: ThemeOption = None,
    as_json: Json = False,
) -> None:
    """Hold the effects of two studies against each other: agree, differ or undecided."""
    from ablatekit.cli.console import print_all
    from ablatekit.pipeline.stored import stored_analysis
    from ablatekit.report.comparison.studies import studies_of
    from ablatekit.report.formats.terminal import comparison
    from ablatekit.report.write import comparison_json, write_comparison

    _check_folder(report)
    studies = studies_of(stored_analysis(first, workspace), stored_analysis(second, workspace))
    page = write_comparison(studies, report, theme or "auto") if report is not None else None
    if as_json:
        more = {} if page is None else {"report": str(page)}
        typer.echo(comparison_json(studies.found, **more))
        return
    print_all(comparison(studies.found, studies.first))
    if page is not None:
        typer.echo(f"report: {page}")
    else:
        typer.echo(NEXT_PAGE)


def _check_folder(report: Path | None) -> None:
    """The page of a comparison never replaces the report of a study."""
    from ablatekit.errors import Problem, WorkspaceError
    from ablatekit.report.folder import ANALYSIS

    if report is not None and (report / ANALYSIS).exists():
        rule = "the page of a comparison would replace the report of a study"
        raise WorkspaceError(Problem(rule, str(report), "Name another folder for --report"))


NEXT_PAGE = "next: a page of both studies: the same command with --report DIR"
