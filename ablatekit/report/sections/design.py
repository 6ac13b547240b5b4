"""The section on the design: factors, contexts, cells, costs, and what such a study can find."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ablatekit.analysis.core.lookup import label_of
from ablatekit.analysis.core.schema.analysis import Analysis, ResponseAnalysis
from ablatekit.analysis.core.schema.companions import Detectable
from ablatekit.report.document import (
    Block,
    Column,
    Entry,
    Facts,
    Fold,
    Heading,
    Quantity,
    Section,
    Table,
    Text,
    Warnings,
    plain_table,
    slug,
)
from ablatekit.report.language import captions, leads
from ablatekit.report.language.numbers import Scale, general, scale_of
from ablatekit.report.language.reading import Unit, factor_labels, flatten, subject_of, words
from ablatekit.report.language.sentences import told

MOST_REPLICATES = 6
"""Columns of the table of detectable effects."""
EXECUTION_COSTS = ("seconds_per_level", "cost")
"""Keys of `provenance` that hold costs per level which differ between executions."""


def design_section(analysis: Analysis) -> Section:
    """What was run: factors, cells, what was merged or excluded, costs, what was held equal."""
    design = analysis["design"]
    blocks: list[Block] = [_factor_table(analysis)]
    cost = _cost_table(analysis)
    if cost is not None:
        blocks += [Heading(captions.COST), cost]
    blocks += _detectable_blocks(analysis)
    if design.get("warnings"):
        blocks.append(Warnings(design["warnings"]))
    if design.get("held_equal"):
        pairs = list(flatten(design["held_equal"]))
        blocks.append(Fold(captions.held_equal(len(pairs)), [Facts(pairs)]))
    blocks += _cell_blocks(analysis)
    return Section("design", leads.DESIGN, _design_lead(analysis), blocks)


def _design_lead(analysis: Analysis) -> str:
    design = analysis["design"]
    return leads.design_lead(
        subject_of(analysis),
        design["kind"],
        len(design["factors"]),
        len(design["cells"]),
        design["replicates"],
    )


def _factor_table(analysis: Analysis) -> Table:
    rows: list[list[Entry]] = []
    for factor in analysis["design"]["factors"]:
        others = [str(level) for level in factor["levels"] if level != factor["baseline"]]
        rows.append(
            [
                Text(label_of(factor), strong=True),
                Text(str(factor["baseline"])),
                Text(", ".join(others)),
            ]
        )
    for variable, values in context_values(analysis).items():
        rows.append([Text(variable), Text(""), Text(", ".join(values), note="context")])
    return Table(
        id="factors",
        caption=captions.FACTOR_TABLE,
        columns=[Column("factor"), Column("baseline"), Column("other levels")],
        rows=rows,
        sortable=False,
    )


def context_values(analysis: Analysis) -> dict[str, list[str]]:
    """Values of each blocking variable, in order."""
    values: dict[str, dict[str, None]] = {}
    for context in analysis["design"].get("contexts", []):
        for variable, value in context.items():
            values.setdefault(variable, {})[str(value)] = None
    return {variable: list(named) for variable, named in values.items()}


def level_costs(analysis: Analysis) -> list[Mapping[str, Any]]:
    """Repeatable costs of the design, and seconds, which only provenance may hold."""
    provenance = analysis["provenance"]
    seconds = [row for name in EXECUTION_COSTS for row in provenance.get(name) or []]
    return [*analysis["design"].get("cost", []), *seconds]


def _cost_table(analysis: Analysis) -> Table | None:
    costs = level_costs(analysis)
    if not costs:
        return None
    labels = factor_labels(analysis)
    metrics = list(dict.fromkeys(str(cost["metric"]) for cost in costs))
    values = {(str(c["factor"]), str(c["level"]), str(c["metric"])): c["mean"] for c in costs}
    places = list(dict.fromkeys((factor, level) for factor, level, _ in values))
    return Table(
        id="cost",
        caption=captions.cost_table(subject_of(analysis).unit),
        columns=[Column("factor"), Column("level")]
        + [Column(metric, numeric=True) for metric in metrics],
        rows=[
            [Text(labels.get(factor, factor)), Text(level, strong=True)]
            + [_cost_entry(values.get((factor, level, metric))) for metric in metrics]
            for factor, level in places
        ],
        keys=[[("factor", factor), ("level", level)] for factor, level in places],
        footer=captions.cost_footer(subject_of(analysis).unit),
    )


def _cost_entry(value: float | None) -> Entry:
    return Quantity(general(value), value)


def _cell_blocks(analysis: Analysis) -> list[Block]:
    design, labels = analysis["design"], factor_labels(analysis)

    def labelled(levels: Mapping[str, Any]) -> dict[str, Any]:
        return {labels.get(name, name): level for name, level in levels.items()}

    folds: list[Block] = []
    cells = [{**labelled(cell["levels"]), "unit": cell["unit"]} for cell in design["cells"]]
    merged = [
        {captions.ONE_RUN: "; ".join(words(labelled(cell)) for cell in group)}
        for group in design["merged"]
    ]
    excluded = [labelled(cell) for cell in design["excluded"]]
    parts: list[tuple[str, str, Sequence[Mapping[str, Any]]]] = [
        ("cells", captions.CELLS, cells),
        ("merged", captions.MERGED, merged),
        ("excluded", captions.EXCLUDED, excluded),
    ]
    for identifier, title, rows in parts:
        if rows:
            table = plain_table(f"design-{identifier}", title, rows)
            folds.append(Fold(captions.counted(title, len(rows)), [table]))
    return folds


def _detectable_blocks(analysis: Analysis) -> list[Block]:
    """Minimum detectable average effects, now and with more replicates; folded."""
    tables = [
        _detectable_table(analysis, name, response)
        for name, response in analysis["responses"].items()
        if any(row["estimand"] == "average" for row in response.get("detectable", []))
    ]
    return [Fold(captions.DETECTABLE, tables)] if tables else []


def _detectable_table(analysis: Analysis, name: str, response: ResponseAnalysis) -> Table:
    rows = [row for row in response["detectable"] if row["estimand"] == "average"]
    scale, labels = scale_of(response), factor_labels(analysis)
    unit = subject_of(analysis).unit
    counts = sorted({row["replicates"] for row in rows})[:MOST_REPLICATES]
    grouped: dict[tuple[str, str, str], dict[int, Detectable]] = {}
    for row in rows:
        key = (row["factor"], row["level"], row["inference"])
        grouped.setdefault(key, {})[row["replicates"]] = row
    power = f"{100 * rows[0]['power']:g}%"
    caption = captions.detectable(response["label"], power)
    return Table(
        id=f"detectable-{slug(name)}",
        caption=captions.with_unit(caption, scale.unit),
        columns=[Column("factor"), Column("level"), Column("inference")]
        + [Column(captions.replicates(number), numeric=True) for number in counts],
        rows=[
            [Text(labels.get(factor, factor)), Text(level, strong=True), Text(inference)]
            + [_detectable(by_size.get(number), scale, unit) for number in counts]
            for (factor, level, inference), by_size in grouped.items()
        ],
        keys=[
            [("factor", factor), ("level", level), ("inference", inference)]
            for factor, level, inference in grouped
        ],
        footer=captions.DETECTABLE_FOOTER,
    )


def _detectable(row: Detectable | None, scale: Scale, unit: Unit) -> Entry:
    if row is None:
        return Text("")
    value = row["minimum_detectable"]
    return Quantity(scale.plain(value), value, note=told(row["reason"], unit))
