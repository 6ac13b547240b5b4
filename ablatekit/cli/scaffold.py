"""Commands that write a plugin to start from: a distribution that installs and runs at once."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

Name = Annotated[str, typer.Argument(help="Its name: lower-case letters, digits, - and _.")]
Output = Annotated[Path, typer.Option(metavar="DIR", help="The folder in which to make it.")]


def new_backend(name: Name, output: Output = Path()) -> None:
    """Write a backend to start from, with its tests and a study."""
    _new("backend", name, output)


def new_level(name: Name, output: Output = Path()) -> None:
    """Write a level of a design choice to start from, with its tests and a study."""
    _new("level", name, output)


def new_reader(name: Name, output: Output = Path()) -> None:
    """Write a reader of run tables to start from, with its tests and a small file."""
    _new("reader", name, output)


def _new(kind: str, name: str, output: Path) -> None:
    from ablatekit.scaffolds.base import make_distribution, scaffold_of, words_of

    scaffold = scaffold_of(kind)
    folder = make_distribution(scaffold, name, output)
    place, suffix = shlex.quote(str(folder)), words_of(name)["suffix"]
    typer.echo(f"wrote {place}; next:")
    for command in (
        f"pip install -e {place}",
        f"ablatekit {scaffold.trial.format(folder=place, suffix=suffix)}",
        f"pytest {place}",
    ):
        typer.echo(f"  {command}")
