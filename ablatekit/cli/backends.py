"""Commands on installed backends: what they are, their settings, and what a study can vary."""

from __future__ import annotations

import json
import shutil
import textwrap
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ablatekit.errors import Problem

BackendName = Annotated[str, typer.Argument(help="Name of an installed backend.")]
BackendOption = Annotated[
    str | None,
    typer.Option(
        "--backend", help="Name of an installed backend; by default the first that trains."
    ),
]
FactorName = Annotated[str, typer.Argument(help="Dotted name of a setting.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
DEMONSTRATION = "simulated"
FUNCTION = "function"
"""The core's own backends: one trains nothing, the other whatever a study names."""
INDENT, HANGING = " " * 4, " " * 8


def default_backend() -> str:
    """The first installed backend, by name, that trains with settings of its own.

    Those that run whatever program they are given have no factors of their own to speak of.
    """
    from ablatekit.plugins import plugin_names

    known = (name for name in plugin_names("backend") if name not in (DEMONSTRATION, FUNCTION))
    declared = {name: _declares_all(name) for name in known}
    names = sorted(declared, key=lambda name: (not declared[name], name))
    return next((name for name in names if declared[name] is not None), DEMONSTRATION)


def _declares_all(name: str) -> bool | None:
    """Whether a backend declares all of its settings; None for one that is broken."""
    from ablatekit.errors import PluginError
    from ablatekit.plugins import load_backend
    from ablatekit.study.settings import is_open

    try:
        return not is_open(load_backend(name).settings)
    except PluginError:
        return None


def list_backends(as_json: Json = False) -> None:
    """List the installed backends."""
    from ablatekit.errors import PluginError
    from ablatekit.plugins import load_backend, plugin_names

    rows: list[dict[str, Any]] = []
    for name in plugin_names("backend"):
        try:
            backend = load_backend(name)
        except PluginError as error:
            rows.append({"name": name, "results_version": None, "state": str(error)})
        else:
            version = backend.results_version
            rows.append({"name": name, "results_version": version, "state": "ready"})
    _show(rows, ("name", "results_version", "state"), as_json, "Backends")


def show_backend(name: BackendName, as_json: Json = False) -> None:
    """Show a backend's settings, rules and metrics."""
    from ablatekit.design.describe import describe_metrics, describe_rules, describe_settings
    from ablatekit.plugins import load_backend

    backend = load_backend(name)
    settings, rules = describe_settings(backend), describe_rules(backend)
    metrics = describe_metrics(backend)
    if as_json:
        parts: dict[str, Any] = {
            "name": name,
            "results_version": backend.results_version,
            "settings": settings,
            "rules": rules,
            "metrics": metrics,
        }
        typer.echo(json.dumps(parts, indent=2))
        return
    _show(settings, ("name", "default", "allowed", "kind", "meaning"), False, "Settings")
    _show(rules, ("name", "kind", "when", "then", "why"), False, "Rules")
    _show(metrics, ("name", "direction", "role", "unit", "meaning"), False, "Metrics")


def list_factors(
    backend: BackendOption = None,
    grep: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Only those with it in name, levels or meaning."),
    ] = None,
    group: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Only groups with it in their heading.")
    ] = None,
    names_only: Annotated[bool, typer.Option("--names", help="Print names alone.")] = False,
    as_json: Json = False,
) -> None:
    """List the settings of a backend that a study can vary."""
    from ablatekit.design.describe import describe_factors
    from ablatekit.errors import UsageError
    from ablatekit.plugins import load_backend

    chosen = load_backend(backend or default_backend())
    known = describe_factors(chosen)
    rows = [row for row in known if _has(row, grep) and _contains(row["group"], group)]
    if known and not rows:
        raise UsageError(_no_factor(known, grep, group, chosen.name))
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
    elif names_only:
        typer.echo("\n".join(row["name"] for row in rows))
    else:
        _show_groups(rows, f"What a study of {chosen.name} can vary")


def _no_factor(
    known: Sequence[Mapping[str, Any]], grep: str | None, group: str | None, backend: str
) -> Problem:
    """The refusal where nothing is like what was asked for: with the groups, if one was."""
    from ablatekit.errors import Problem

    if group is None or any(_contains(row["group"], group) for row in known):
        remedy = f"ablatekit factor list --backend {backend} --names lists all {len(known)}"
        return Problem("no factor is like that", grep or "", remedy)
    headings = dict.fromkeys(row["group"] or "Settings" for row in known)
    listed = "".join(f"\n  {heading}" for heading in headings)
    return Problem("no group has that in its heading", group, f"There are:{listed}")


def _has(row: Mapping[str, Any], text: str | None) -> bool:
    """Whether a factor has a text in its name, another name, its levels or its meaning."""
    parts = (row["name"], *row["other_names"], *row["levels"], row["meaning"])
    return any(_contains(part, text) for part in parts)


def _contains(part: str, text: str | None) -> bool:
    return text is None or text.lower() in part.lower()


def _show_groups(rows: Sequence[dict[str, Any]], title: str) -> None:
    columns = ("name", "default", "allowed", "meaning")
    typer.echo(title)
    for heading in dict.fromkeys(row["group"] for row in rows):
        members = [row for row in rows if row["group"] == heading]
        _show(members, columns, False, f"\n{heading or 'Settings'}")


def show_factor(name: FactorName, backend: BackendOption = None, as_json: Json = False) -> None:
    """Show one setting with the formula and the source of each of its levels."""
    from ablatekit.design.describe import describe_factors
    from ablatekit.errors import Problem, UsageError, nearest
    from ablatekit.plugins import load_backend
    from ablatekit.study.settings import other_names

    chosen = load_backend(backend or default_backend())
    rows = {row["name"]: row for row in describe_factors(chosen)}
    if name not in rows:
        remedy = nearest(name, rows, other_names(chosen.settings))
        raise UsageError(Problem("unknown factor", repr(name), remedy))
    row = rows[name]
    if as_json:
        typer.echo(json.dumps(row, indent=2))
        return
    typer.echo(f"{name} (default {_cell(row['default'])}, {row['allowed']}): {row['meaning']}")
    for level, told in row["levels"].items():
        typer.echo(f"\n{level}")
        for key, text in _texts(told).items():
            typer.echo(f"  {key}: {_cell(text)}")


def _texts(told: Any) -> dict[str, Any]:
    return dict(told) if isinstance(told, dict) else {"meaning": told}


def _show(
    rows: Sequence[dict[str, Any]], columns: Sequence[str], as_json: bool, title: str
) -> None:
    if as_json:
        typer.echo(json.dumps(list(rows), indent=2))
        return
    width = shutil.get_terminal_size().columns
    typer.echo(title)
    for row in rows:
        typer.echo(_entry({column: _cell(row.get(column, "")) for column in columns}, width))


def _entry(texts: Mapping[str, str], width: int) -> str:
    """A row as a paragraph: its name, then column by column, the last one below them."""
    (_, name), *between, (_, told) = texts.items()
    values = "; ".join(f"{column} {text}" for column, text in between if text)
    head = textwrap.fill(f"{name}: {values}", width, subsequent_indent=HANGING)
    below = textwrap.fill(told, width, initial_indent=INDENT, subsequent_indent=INDENT)
    return f"\n{head}\n{below}"


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_cell(one)}" for key, one in value.items())
    if isinstance(value, list):
        return ", ".join(_cell(part) for part in value)
    return json.dumps(value)
