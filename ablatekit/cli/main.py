"""The command line: every command by its name, and every error as one message and an exit code."""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Callable, Sequence
from functools import cache
from typing import Annotated, Any

import typer

from ablatekit.cli import (
    backends,
    reports,
    run_logs,
    scaffold,
    study_files,
    study_runs,
    study_status,
)
from ablatekit.cli.adopt import adopt
from ablatekit.cli.analyze import analyze
from ablatekit.cli.analyze_options import SectionedCommand
from ablatekit.errors import AblatekitError, Problem, UsageError
from ablatekit.legible import legible
from ablatekit.version import __version__

IMPORTED_OBJECTS = 100_000
"""Importing makes many objects and no garbage: collecting after every 700 takes a tenth longer."""


def _group(help_text: str) -> typer.Typer:
    """Commands under one name; help is plain text, as importing rich takes longer than all else."""
    return typer.Typer(
        help=help_text,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )


app = _group("Which design choices of a training recipe matter, and by how much?")
study_app = _group("Plan, run and report one study file.")
backend_app = _group("Installed backends and their settings.")
factor_app = _group("What a backend lets a study vary.")
level_app = _group("Levels of design choices, of your own.")
reader_app = _group("Readers of run tables, of your own.")

app.add_typer(study_app, name="study")
app.add_typer(backend_app, name="backend")
app.add_typer(factor_app, name="factor")
app.add_typer(level_app, name="level")
app.add_typer(reader_app, name="reader")

study_app.command("init")(study_files.init)
study_app.command("validate")(study_files.validate)
study_app.command("plan")(study_files.plan)
study_app.command("run")(study_runs.run)
study_app.command("status")(study_status.status)
study_app.command("logs")(run_logs.logs)
study_app.command("retry")(study_runs.retry)
study_app.command("sync")(study_runs.sync)
study_app.command("report")(study_runs.report)
study_app.command("export")(reports.export)
study_app.command("compare")(reports.compare)
study_app.command("adopt")(adopt)
backend_app.command("list")(backends.list_backends)
backend_app.command("show")(backends.show_backend)
backend_app.command("new")(scaffold.new_backend)
level_app.command("new")(scaffold.new_level)
reader_app.command("new")(scaffold.new_reader)
factor_app.command("list")(backends.list_factors)
factor_app.command("show")(backends.show_factor)
app.command("analyze", cls=SectionedCommand)(analyze)
app.command("schema")(study_files.schema)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ablatekit {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    """Which design choices of a training recipe matter, and by how much?"""


def invoke(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; a user's mistake prints no traceback.

    With `--json` a refusal is a JSON document, too: its problems, beside the message.
    """
    try:
        _command()(args=arguments)
    except AblatekitError as error:
        return _refused(error, arguments)
    except OSError as error:
        return _refused(UsageError(_refusal(error)), arguments)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def _refused(error: AblatekitError, arguments: Sequence[str] | None) -> int:
    """Say what went wrong; nothing but a refusal comes before the JSON of a command."""
    typer.echo(f"error: {legible(str(error))}", err=True)
    given = sys.argv[1:] if arguments is None else arguments
    if _asks_for_json(given) and isinstance(error, UsageError):
        problems = [problem.to_json() for problem in error.problems]
        typer.echo(json.dumps({"problems": problems}, indent=2))
    return error.exit_code


def _asks_for_json(given: Sequence[str]) -> bool:
    """Whether standard output is JSON: the option of `analyze` names a file, or - for it."""
    if given[:1] == ["analyze"]:
        return "--json=-" in given or "--json -" in " ".join(given)
    return "--json" in given


@cache
def _command() -> Callable[..., Any]:
    """The commands as they read their arguments: made once, however often a process invokes."""
    return typer.main.get_command(app)


def _refusal(error: OSError) -> Problem:
    """What the system did not allow: a folder that is a file, no permission, no space."""
    path = error.filename or "the workspace"
    remedy = "Choose another --workspace or file, or make room and repeat the command"
    return Problem(f"{path} cannot be used", error.strerror or str(error), remedy)


def main() -> None:
    """Entry point of the `ablatekit` command."""
    gc.set_threshold(IMPORTED_OBJECTS)
    exit_code = invoke()
    # The process ends: to search all that was imported for garbage would only delay it.
    gc.freeze()
    sys.exit(exit_code)
