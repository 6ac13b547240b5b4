"""A plan as tables on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from ablatekit.cli.console import plain_console
from ablatekit.design.plan import Plan
from ablatekit.legible import legible
from ablatekit.report.formats.tables import titled_table
from ablatekit.study.messages import show

ORDER_HEAD = 6
CELLS_SHOWN = 64
VALUE_SHOWN = 1000
"""Characters of a setting that is equal in every run."""


def print_plan(
    plan: Plan, defaults: Mapping[str, Any], *, show_all: bool, console: Console | None = None
) -> None:
    """Print the design, its cells, the runs' order, what is held equal, and warnings.

    Of the settings that are the same in every run those that differ from the backend's `defaults`,
    and with `show_all` the others too.
    """
    console = console or plain_console()
    console.print(_headline(plan))
    console.print(_factor_table(plan))
    if plan.contexts[0]:
        console.print(
            f"Contexts: {'; '.join(_levels(context.values()) for context in plan.contexts)}"
        )
    for line in _stated(plan):
        console.print(line)
    console.print(_cell_table(plan))
    _print_notes(plan, console)
    console.print(_order_table(plan))
    console.print(_response_table(plan))
    console.print(_held_equal(plan.held_equal, {} if show_all else defaults))
    for warning in plan.warnings:
        console.print(legible(f"Warning: {warning}"))


def _held_equal(held: Mapping[str, Any], defaults: Mapping[str, Any]) -> str:
    """The settings of every run, without those that have their default."""
    changed = {name: value for name, value in held.items() if value != defaults.get(name, ...)}
    named = [legible(f"{name}={show(value, VALUE_SHOWN)}") for name, value in changed.items()]
    usual = len(held) - len(named)
    text = f"Equal in every run: {', '.join(named) or 'nothing but defaults'}"
    return f"{text}; {usual} more have their defaults (--all lists them)" if usual else text


def _headline(plan: Plan) -> str:
    units = len({cell.unit for cell in plan.cells})
    merged = f" ({units} distinct)" if units < len(plan.cells) else ""
    return (
        f"{plan.study}: {len(plan.cells)} cells{merged} x {len(plan.contexts)} contexts"
        f" x {plan.replicates} replicates = {len(plan.runs)} runs on {plan.backend}"
        f" (plan {plan.hash})"
    )


def _stated(plan: Plan) -> Iterator[str]:
    """What a study states about scales, covariates, predictions and prices."""
    scales = [f"{factor.name} {factor.scale}" for factor in plan.factors if factor.scale]
    if scales:
        yield f"Scales: {', '.join(scales)}"
    for variable, levels in plan.covariates.items():
        carried = "; ".join(f"{level} {_values(values)}" for level, values in levels.items())
        yield f"Covariates of {variable}: {carried}"
    if plan.analysis.predict_at:
        yield f"Effects predicted at: {_values(plan.analysis.predict_at)}"
    if plan.analysis.price:
        yield f"Prices count: {plan.analysis.price}"


def _values(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} = {value:g}" for name, value in values.items())


def _levels(levels: Iterable[str]) -> str:
    return " / ".join(levels)


def _factor_table(plan: Plan) -> Table:
    rows = [(f.name, f.baseline, ", ".join(f.others)) for f in plan.factors]
    return titled_table("Factors", ("factor", "baseline", "compared with it"), rows)


def _cell_table(plan: Plan) -> Table:
    names = [factor.name for factor in plan.factors]
    rows = [(*(cell.levels[name] for name in names), cell.unit) for cell in plan.cells]
    more = len(rows) - CELLS_SHOWN
    title = "Cells" if more <= 0 else f"Cells (the first {CELLS_SHOWN} of {len(rows)})"
    return titled_table(title, (*names, "unit"), rows[:CELLS_SHOWN])


def _order_table(plan: Plan) -> Table:
    ordered = sorted(plan.runs, key=lambda run: run.order)[:ORDER_HEAD]
    rows = [
        (str(run.order), run.run_id, run.unit, _levels(run.context.values()), str(run.replicate))
        for run in ordered
    ]
    columns = ("order", "run", "unit", "context", "replicate")
    return titled_table(f"The first {len(rows)} of {len(plan.runs)} runs", columns, rows)


def _response_table(plan: Plan) -> Table:
    rows = [
        (
            response.name,
            response.metric,
            response.summary,
            response.direction,
            "" if response.smallest_effect is None else str(response.smallest_effect),
        )
        for response in plan.analysis.responses
    ]
    columns = ("response", "metric", "summary", "better", "smallest effect")
    return titled_table("Responses", columns, rows)


def _print_notes(plan: Plan, console: Console) -> None:
    for group in plan.merged:
        cells = " = ".join(_levels(cell.levels.values()) for cell in group)
        console.print(f"Identical by construction (one run): {cells}")
    for cell in plan.excluded:
        console.print(f"Excluded: {_levels(cell.values())}")
