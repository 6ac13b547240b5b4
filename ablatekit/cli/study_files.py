"""Commands on study files that run nothing: init, validate, plan, schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ablatekit.cli.backends import BackendOption, default_backend
from ablatekit.legible import legible

if TYPE_CHECKING:
    from ablatekit.backend import Backend
    from ablatekit.design.plan import Plan
    from ablatekit.errors import UsageError

StudyFile = Annotated[Path, typer.Argument(metavar="FILE", help="The study file.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a dotted key; may be repeated."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def init(
    path: Annotated[Path, typer.Argument(help="Where to write it.")] = Path("study.yaml"),
    backend: BackendOption = None,
) -> None:
    """Write a commented study to start from; an existing file is left alone."""
    from ablatekit.canonical import write_atomically
    from ablatekit.design.starter import starter_study
    from ablatekit.errors import Location, Problem, UsageError
    from ablatekit.plugins import load_backend

    where = Location(str(path))
    if path.exists():
        remedy = "Name another file, or remove this one"
        raise UsageError(Problem("there is such a file already", "", remedy, where))
    text = starter_study(load_backend(backend or default_backend()))
    if not path.parent.is_dir():
        raise UsageError(Problem("its folder does not exist", str(path.parent), "", where))
    write_atomically(path, text.encode())
    typer.echo(f"wrote {path}; next: ablatekit study plan {path}")


def validate(file: StudyFile, overrides: Overrides = None, as_json: Json = False) -> None:
    """Check a study file against its schema and its backend."""
    from ablatekit.errors import UsageError

    try:
        plan, _, notes = _planned(file, overrides, silent=as_json)
    except UsageError as error:
        if not as_json:
            raise
        typer.echo(json.dumps({"valid": False, "problems": _problems(error)}, indent=2))
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
    show_all: Annotated[
        bool, typer.Option("--all", help="List the settings at their defaults too.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show cells, merged cells, runs, their order and warnings; nothing is written."""
    planned, backend, notes = _planned(file, overrides, silent=as_json)
    if as_json:
        typer.echo(json.dumps(planned.to_json(), indent=2))
        return
    from ablatekit.cli.plan_tables import print_plan
    from ablatekit.design.describe import setting_defaults

    print_plan(planned, setting_defaults(backend), show_all=show_all)
    _print_notes(notes)


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
) -> tuple[Plan, Backend, tuple[str, ...]]:
    """The plan of a study, its backend, and what its kind of design says about the cells."""
    from ablatekit.cli.console import planning_progress
    from ablatekit.design.build import build_plan, study_backend
    from ablatekit.design.crossing import cross
    from ablatekit.study.load import load_study

    loaded = load_study(file, overrides or ())
    backend = study_backend(loaded)
    with planning_progress(silent=silent) as progress:
        planned = build_plan(loaded, backend, progress)
    return planned, backend, cross(loaded).notes


def _print_notes(notes: tuple[str, ...]) -> None:
    for note in notes:
        typer.echo(f"note: {note}")


def _problems(error: UsageError) -> list[dict[str, Any]]:
    return [
        {
            "file": problem.where.file if problem.where else None,
            "line": problem.where.line if problem.where else None,
            "column": problem.where.column if problem.where else None,
            "rule": problem.rule,
            "received": problem.received,
            "remedy": problem.remedy,
        }
        for problem in error.problems
    ]
