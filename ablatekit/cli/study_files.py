"""Commands on study files that run nothing: init, validate, plan, schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ablatekit.cli.backends import BackendOption, default_backend
from ablatekit.legible import legible

if TYPE_CHECKING:
    from ablatekit.design.plan import Plan
    from ablatekit.pipeline.frozen import PreparedStudy
    from ablatekit.pipeline.standing import Standing

StudyFile = Annotated[Path, typer.Argument(metavar="FILE", help="The study file.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a dotted key; may be repeated."),
]
WorkspaceOption = Annotated[
    Path | None,
    typer.Option(
        "--workspace", metavar="DIR", help="Default: $ABLATEKIT_WORKSPACE, ablatekit-out."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
_ELSEWHERE = "Write the study into another folder: the program that it runs would lie there"


def init(
    path: Annotated[Path, typer.Argument(help="Where to write it.")] = Path("study.yaml"),
    backend: BackendOption = None,
) -> None:
    """Write a commented study to start from; an existing file is left alone."""
    from ablatekit.canonical import write_atomically
    from ablatekit.design.starter import starter_files, starter_study
    from ablatekit.errors import Location, Problem, UsageError
    from ablatekit.plugins import load_backend

    chosen = load_backend(backend or default_backend())
    beside = {path.parent / name: text for name, text in starter_files(chosen).items()}
    texts = {path: starter_study(chosen), **beside}
    for place in texts:
        where = Location(str(place))
        if place.exists():
            remedy = "Name another file, or remove this one" if place == path else _ELSEWHERE
            raise UsageError(Problem("there is such a file already", "", remedy, where))
        if not place.parent.is_dir():
            remedy = "Make it first"
            raise UsageError(Problem("its folder does not exist", str(path.parent), remedy, where))
    for place, text in texts.items():
        write_atomically(place, text.encode())
    typer.echo(f"wrote {', '.join(map(str, texts))}; next: ablatekit study plan {path}")


def validate(file: StudyFile, overrides: Overrides = None, as_json: Json = False) -> None:
    """Check a study file against its schema and its backend."""
    from ablatekit.errors import UsageError

    try:
        plan, notes = _planned(file, overrides, silent=as_json)
    except UsageError as error:
        if not as_json:
            raise
        problems = [problem.to_json() for problem in error.problems]
        typer.echo(json.dumps({"valid": False, "problems": problems}, indent=2))
        raise typer.Exit(error.exit_code) from None
    if as_json:
        counts = {"cells": len(plan.cells), "runs": len(plan.runs)}
        said = {"warnings": list(plan.warnings), "notes": list(notes)}
        result = {"valid": True, "study": plan.study, **counts, **said}
        typer.echo(json.dumps(result, indent=2))
        return
    typer.echo(f"{file}: valid; {len(plan.cells)} cells, {len(plan.runs)} runs")
    for warning in plan.warnings:
        typer.echo(legible(f"warning: {warning}"))
    _print_notes(notes)


def plan(
    file: StudyFile,
    overrides: Overrides = None,
    workspace: WorkspaceOption = None,
    show_all: Annotated[
        bool, typer.Option("--all", help="List the settings at their defaults too.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show cells, runs, their order, what is done already and warnings; nothing is written."""
    show_plan(prepared(file, overrides, workspace, silent=as_json), show_all, as_json=as_json)


def show_plan(
    study: PreparedStudy,
    show_all: bool = False,
    *,
    workers: int | None = None,
    new: bool = False,
    as_json: bool = False,
) -> None:
    """What `study run` would do, with so many workers and `--new` or not."""
    from ablatekit.design.build import study_backend
    from ablatekit.design.costs import level_costs
    from ablatekit.design.crossing import cross
    from ablatekit.pipeline.standing import standing
    from ablatekit.report.language.prices import cost_notes

    backend, stands = study_backend(study.loaded), standing(study)
    costs = cost_notes(level_costs(study.plan, backend))
    notes = (*cross(study.loaded).notes, *costs, *_outlook(study, new=new))
    if as_json:
        stated = {"standing": _standing_json(stands), "notes": list(notes)}
        typer.echo(json.dumps({**study.plan.to_json(), **stated}, indent=2))
        return
    from ablatekit.cli.plan_tables import print_plan
    from ablatekit.design.describe import setting_defaults

    print_plan(study.plan, setting_defaults(backend), show_all=show_all)
    _print_notes(notes)
    typer.echo(legible(stands.told()))
    if stands.expected is not None:
        stated_workers = study.loaded.study.dispatch.workers
        known = workers or (stated_workers if isinstance(stated_workers, int) else None)
        typer.echo(f"Expected: {stands.expected.told(known)}")


def _outlook(study: PreparedStudy, *, new: bool) -> tuple[str, ...]:
    """What `study run` would say of a study that was planned otherwise here."""
    from ablatekit.errors import PluginError, StudyError
    from ablatekit.pipeline.frozen import outlook, require_interpreter

    try:
        require_interpreter(study.plan)
        return outlook(study, new=new)
    except (PluginError, StudyError) as refusal:
        return (f"study run would refuse this: {refusal}",)


def _standing_json(stands: Standing) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "workspace": str(stands.workspace),
        "runs": dict(stands.states),
        "done": stands.done,
        "remaining": stands.remaining,
        "reused": dict(stands.reused),
        "expected": asdict(stands.expected) if stands.expected is not None else None,
    }


def prepared(
    file: Path, overrides: list[str] | None, workspace: Path | None, *, silent: bool, what: str = ""
) -> PreparedStudy:
    """A study that is valid and planned, in its workspace; how far that is shows on a terminal.

    Elsewhere one line says `what` is done, if it is given.
    """
    from ablatekit.cli.console import planning_progress
    from ablatekit.pipeline.frozen import prepare
    from ablatekit.runs.workspace import find_workspace

    with planning_progress(what, silent=silent) as progress:
        return prepare(file, overrides or (), find_workspace(workspace), progress)


def schema(
    markdown: Annotated[bool, typer.Option("--markdown", help="Print it as a page.")] = False,
) -> None:
    """Print the JSON Schema of study files, for editors."""
    from ablatekit.study.parts import complete_model
    from ablatekit.study.reference import study_reference

    known = complete_model().model_json_schema()
    if markdown:
        typer.echo(study_reference(known), nl=False)
        return
    document = {"$schema": "https://json-schema.org/draft/2020-12/schema", **known}
    typer.echo(json.dumps(document, indent=2))


def _planned(
    file: Path, overrides: list[str] | None, *, silent: bool
) -> tuple[Plan, tuple[str, ...]]:
    """The plan of a study, and what its kind of design says about the cells."""
    from ablatekit.design.crossing import cross

    study = prepared(file, overrides, None, silent=silent)
    return study.plan, cross(study.loaded).notes


def _print_notes(notes: tuple[str, ...]) -> None:
    for note in notes:
        typer.echo(legible(f"note: {note}"))
