"""Commands that carry results elsewhere: export, compare, and the report of a bundle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import typer

from ablatekit.cli.study_files import Json, Overrides, StudyFile

if TYPE_CHECKING:
    from rich.table import Table

    from ablatekit.analysis.schema import Analysis
    from ablatekit.report.compare import ComparedEffect, StudyComparison

Theme: TypeAlias = Literal["auto", "light", "dark"]
ThemeOption = Annotated[
    Theme, typer.Option("--theme", help="Colours of the page; auto follows the reader's system.")
]
WorkspaceOption = Annotated[
    Path | None,
    typer.Option(
        "--workspace", metavar="DIR", help="Default: $ABLATEKIT_WORKSPACE, ablatekit-out."
    ),
]


def export(
    file: StudyFile,
    overrides: Overrides = None,
    workspace: WorkspaceOption = None,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="ZIP", help="Default: STUDY.zip.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Bundle study, plan, tables and report in one archive that needs no backend to analyse."""
    from ablatekit.canonical import read_json
    from ablatekit.design.amend import amend_plan
    from ablatekit.design.plan import Plan
    from ablatekit.pipeline import prepare, report_study
    from ablatekit.report.bundle import write_bundle
    from ablatekit.workspace import find_workspace

    study = prepare(file, overrides or (), find_workspace(workspace))
    analysis = report_study(study)
    path = output or Path(f"{study.plan.study}.zip")
    frozen = Plan.from_json(read_json(study.directory.plan))
    plan = amend_plan(frozen, study.plan, file=str(file)).plan
    text = study.directory.study_file.read_bytes()
    write_bundle(path, text, plan, study.workspace, analysis)
    if as_json:
        size = path.stat().st_size
        typer.echo(json.dumps({"bundle": str(path), "bytes": size}, indent=2))
    else:
        typer.echo(f"bundle: {path}; next: ablatekit study report {path}")


def report_bundle(path: Path, theme: Theme, *, as_json: bool) -> Path:
    """Analyse a bundle's tables again and write the report beside it; the page."""
    from rich.console import Console

    from ablatekit.report import summary, write_report
    from ablatekit.report.bundle import analyse_bundle, read_bundle, same_analysis

    bundle = read_bundle(path)
    analysis = analyse_bundle(bundle)
    same = same_analysis(analysis, bundle.analysis)
    page = write_report(analysis, path.with_suffix("") / "report", theme).html
    if as_json:
        result = {"report": str(page), "counts": analysis["counts"], "same_analysis": same}
        typer.echo(json.dumps(result, indent=2))
        return page
    Console().print(summary(analysis))
    typer.echo(f"the analysis {'equals' if same else 'DIFFERS from'} the bundled one")
    typer.echo(f"report: {page}")
    return page


def compare(
    first: Annotated[Path, typer.Argument(metavar="A", help="Study, bundle or analysis.json.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="The study to hold against it.")],
    workspace: WorkspaceOption = None,
    as_json: Json = False,
) -> None:
    """Hold the effects of two studies against each other: agree, differ or undecided."""
    from rich.console import Console

    from ablatekit.report.compare import compare as compared

    found = compared(_analysis(first, workspace), _analysis(second, workspace))
    if as_json:
        typer.echo(json.dumps(found.to_json(), indent=2))
        return
    console = Console()
    console.print(_table(found))
    for note in (*found.notes, *_only(found)):
        console.print(note, markup=False)


def _analysis(path: Path, workspace: Path | None) -> Analysis:
    """The analysis of a file: itself, that of a bundle, or that of a study in the workspace."""
    from ablatekit.errors import Problem, WorkspaceError
    from ablatekit.report.bundle import read_bundle
    from ablatekit.study.load import load_study
    from ablatekit.workspace import find_workspace

    if path.suffix == ".zip":
        return read_bundle(path).analysis
    if path.suffix == ".json":
        return _read(path)
    name = load_study(path, ()).study.name
    stored = find_workspace(workspace).study(name).analysis
    if not stored.exists():
        remedy = f"Run it first: ablatekit study run {path}"
        raise WorkspaceError(Problem("this study has no analysis here", str(stored), remedy))
    return _read(stored)


def _read(path: Path) -> Analysis:
    from ablatekit.canonical import read_json
    from ablatekit.errors import Problem, WorkspaceError

    try:
        content: Analysis = read_json(path)
        content["responses"], content["design"]["contexts"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        problem = Problem("this is not an analysis.json", f"{path}: {error}")
        raise WorkspaceError(problem) from error
    return content


def _table(found: StudyComparison) -> Table:
    from rich.table import Table

    first, second = found.names
    table = Table(
        title=f"{second} against {first} ({found.contexts} contexts)", title_justify="left"
    )
    for name in ("response", "level", "first", "second", "difference", "p", ""):
        table.add_column(name, overflow="fold")
    for row in found.effects:
        table.add_row(*_entries(row))
    return table


def _entries(row: ComparedEffect) -> list[str]:
    from rich.markup import escape

    from ablatekit.report.numbers import general, p_value

    def signed(value: float | None) -> str:
        text = general(value, 3)
        return f"+{text}" if value is not None and value > 0 else text

    interval = "" if row.low is None else f" [{general(row.low, 3)}, {general(row.high, 3)}]"
    verdict = f"{row.agreement} ({row.reason})" if row.reason else row.agreement
    entries = [
        row.response, f"{row.factor}: {row.level} vs {row.baseline}",
        f"{signed(row.first)} {row.first_verdict}", f"{signed(row.second)} {row.second_verdict}",
        f"{signed(row.difference)}{interval}", p_value(row.p_adjusted), verdict,
    ]  # fmt: skip
    return [escape(entry) for entry in entries]


def _only(found: StudyComparison) -> list[str]:
    parts = zip(found.names, (found.only_first, found.only_second), strict=True)
    return [f"only in {name}: {', '.join(only)}" for name, only in parts if only]
