"""The section on the design: factors, contexts, cells, costs, and what such a study can find."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from ablatekit.analysis.core.lookup import label_of
from ablatekit.analysis.core.schema.analysis import Analysis, ResponseAnalysis
from ablatekit.analysis.core.schema.companions import Detectable
from ablatekit.report.appendix import findings
from ablatekit.report.appendix.below import Unknown, parted
from ablatekit.report.document import (
    Block,
    Column,
    Entry,
    Facts,
    Fold,
    Quantity,
    Section,
    Table,
    Text,
    Warnings,
    plain_table,
    slug,
)
from ablatekit.report.language import captions, leads
from ablatekit.report.language.numbers import Scale, absent, general, scale_of
from ablatekit.report.language.reading import factor_labels, flatten, subject_of, words
from ablatekit.report.language.sentences import told

WIDEST_GRID, MOST_CELLS = 16, 256
"""Columns of the grid of cells, and cells of the grid or of the list."""
MOST_REPLICATES = 6
"""Columns of the table of detectable effects."""
EXECUTION_COSTS = ("seconds_per_level", "cost")
"""Keys of `provenance` that hold costs per level which differ between executions."""


def design_section(analysis: Analysis) -> Section:
    """What was run: factors, cells, what was merged or excluded, costs, what was held equal."""
    design = analysis["design"]
    blocks: list[Block] = [_factor_table(analysis), *_cell_blocks(analysis)]
    cost = _cost_table(analysis)
    if cost is not None:
        blocks.append(Fold(captions.COST, [cost]))
    blocks += _detectable_blocks(analysis)
    if design.get("warnings"):
        blocks.append(Warnings(design["warnings"]))
    if design.get("held_equal"):
        pairs = list(flatten(design["held_equal"]))
        blocks.append(Fold(captions.held_equal(len(pairs)), [Facts(pairs)]))
    lead = leads.design_lead(subject_of(analysis))
    return Section("design", leads.DESIGN, lead, blocks, findings.design(analysis))


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
        computed=[captions.cost_footer(subject_of(analysis).unit)],
    )


def _cost_entry(value: float | None) -> Entry:
    return Quantity(general(value), value)


def _cell_blocks(analysis: Analysis) -> list[Block]:
    """The cells as a grid, or as a list where a grid would be nearly empty; then the others."""
    design, labels = analysis["design"], factor_labels(analysis)

    def labelled(levels: Mapping[str, Any]) -> dict[str, Any]:
        return {labels.get(name, name): level for name, level in levels.items()}

    cells = [{name: str(level) for name, level in cell["levels"].items()}
             for cell in design["cells"]]  # fmt: skip
    table = _cell_grid(analysis, cells) or _cell_list(analysis, cells)
    folds: list[Block] = [Fold(captions.counted(captions.CELLS, len(cells)), [table])]
    merged = [
        {captions.ONE_RUN: "; ".join(words(labelled(cell)) for cell in group)}
        for group in design["merged"]
    ]
    excluded = [labelled(cell) for cell in design["excluded"]]
    parts: list[tuple[str, str, Sequence[Mapping[str, Any]]]] = [
        ("merged", captions.MERGED, merged),
        ("excluded", captions.EXCLUDED, excluded),
    ]
    for identifier, title, rows in parts:
        if rows:
            table = plain_table(f"design-{identifier}", title, rows)
            folds.append(Fold(captions.counted(title, len(rows)), [table]))
    return folds


def _cell_grid(analysis: Analysis, cells: Sequence[Mapping[str, str]]) -> Table | None:
    """Combinations of half of the factors by those of the others, each cell that is run marked."""
    factors = analysis["design"]["factors"]
    levels = [list(dict.fromkeys(map(str, factor["levels"]))) for factor in factors]
    half = len(factors) // 2
    down, across = list(product(*levels[:half])), list(product(*levels[half:]))
    places = {tuple(cell.get(factor["name"], "") for factor in factors) for cell in cells}
    full = len(down) * len(across)
    if len(across) > WIDEST_GRID or full > MOST_CELLS or len(places) * 2 < full:
        return None
    labels = [label_of(factor) for factor in factors]
    rows: list[list[Entry]] = [
        [Text(captions.combination(row), strong=True),
         *(Text(captions.IN_DESIGN if row + column in places else captions.NOT_IN_DESIGN)
           for column in across)]
        for row in down
    ]  # fmt: skip
    group = captions.combination(labels[half:])
    return Table(
        id="design-cells",
        caption=captions.CELLS,
        columns=[Column(captions.combination(labels[:half])),
                 *(Column(captions.combination(column), group=group) for column in across)],
        rows=rows,
        sortable=False,
        style="matrix",
    )  # fmt: skip


def _cell_list(analysis: Analysis, cells: Sequence[Mapping[str, str]]) -> Table:
    """What each cell has other than the baseline cell."""
    labels = factor_labels(analysis)
    baselines = {factor["name"]: str(factor["baseline"])
                 for factor in analysis["design"]["factors"]}  # fmt: skip
    differences = [
        "; ".join(f"{labels.get(name, name)} {captions.combination([level])}"
                  for name, level in cell.items() if level != baselines.get(name))
        for cell in cells[:MOST_CELLS]
    ]  # fmt: skip
    left = len(cells) - MOST_CELLS
    return Table(
        id="design-cells",
        caption=captions.CELL_LIST,
        columns=[Column("no.", numeric=True), Column(captions.DIFFERENCE)],
        rows=[
            [Quantity(str(number), float(number)), Text(text or captions.BASELINE_CELL)]
            for number, text in enumerate(differences, 1)
        ],
        footer=captions.more_cells(left) if left > 0 else "",
    )


def _detectable_blocks(analysis: Analysis) -> list[Block]:
    """Minimum detectable average effects, now and with more replicates; folded."""
    tables = [
        _detectable_table(analysis, name, response)
        for name, response in analysis["responses"].items()
        if any(row["estimand"] == "average" for row in response.get("detectable", []))
    ]
    return [Fold(captions.DETECTABLE, tables)] if tables else []


def _detectable_table(analysis: Analysis, name: str, response: ResponseAnalysis) -> Table:
    every = [row for row in response["detectable"] if row["estimand"] == "average"]
    scale, labels = scale_of(response), factor_labels(analysis)
    rows, below = parted(
        every,
        lambda row: not absent(row["minimum_detectable"]),
        lambda row: Unknown(
            labels.get(row["factor"], row["factor"]), row["level"],
            told(row["reason"], subject_of(analysis).unit), row["inference"],
        ),
        len({(row["factor"], row["level"]) for row in every}),
    )  # fmt: skip
    counts = sorted({row["replicates"] for row in rows})[:MOST_REPLICATES]
    grouped: dict[tuple[str, str, str], dict[int, Detectable]] = {}
    for row in rows:
        key = (row["factor"], row["level"], row["inference"])
        grouped.setdefault(key, {})[row["replicates"]] = row
    power = f"{100 * every[0]['power']:g}%"
    caption = captions.detectable(response["label"], power)
    return Table(
        id=f"detectable-{slug(name)}",
        caption=captions.with_unit(caption, scale.unit),
        columns=[Column("factor"), Column("level"), Column("inference")]
        + [Column(captions.replicates(number), numeric=True) for number in counts],
        rows=[
            [Text(labels.get(factor, factor)), Text(level, strong=True), Text(inference)]
            + [_detectable(by_size.get(number), scale) for number in counts]
            for (factor, level, inference), by_size in grouped.items()
        ],
        keys=[
            [("factor", factor), ("level", level), ("inference", inference)]
            for factor, level, inference in grouped
        ],
        footer="\n".join(below),
        computed=[captions.DETECTABLE_FOOTER],
    )


def _detectable(row: Detectable | None, scale: Scale) -> Entry:
    if row is None:
        return Text("")
    value = row["minimum_detectable"]
    return Quantity(scale.plain(value), value)
