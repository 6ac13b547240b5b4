"""The section on contexts: every effect inside every context, and how much effects vary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from ablatekit.analysis.core.lookup import Comparison, comparisons, find_effect
from ablatekit.analysis.core.schema.analysis import Analysis, ResponseAnalysis
from ablatekit.analysis.core.schema.effects import (
    ContextEffect,
    CovariateRow,
    HeterogeneityRow,
)
from ablatekit.report.appendix import findings
from ablatekit.report.appendix.below import Unknown, missing_scopes, parted
from ablatekit.report.document import (
    Block,
    Column,
    Entry,
    Fold,
    Gallery,
    Heading,
    IntervalEntry,
    Paragraph,
    Picture,
    Quantity,
    Section,
    Table,
    Text,
    figure_data,
    slug,
)
from ablatekit.report.figures.contexts import (
    ContextPanel,
    context_records,
    draw_contexts,
    limits_of,
)
from ablatekit.report.language import alternatives, captions, leads, scopes
from ablatekit.report.language.numbers import (
    Scale,
    absent,
    general,
    p_value,
    percent,
    round_number,
    scale_of,
    sentence,
)
from ablatekit.report.language.reading import (
    confidence,
    factor_labels,
    most_notable,
    subject_of,
)
from ablatekit.report.language.sentences import footers_of, told

MOST_ROWS = 100
"""Lines of the table of effects in every context; analysis.json holds all of them."""
MOST_LEVELS = 8
"""Levels drawn context by context; the table holds all of them."""


def contexts_section(analysis: Analysis) -> Section | None:
    """Every level's effect in every context, and how much it varies between them.

    A study in one context has nothing to compare.
    """
    if subject_of(analysis).contexts < 2:
        return None
    levels = comparisons(analysis)
    drawn = most_notable(analysis, MOST_LEVELS)
    pictures = [
        picture for level in drawn if (picture := _context_picture(analysis, level)) is not None
    ]
    if not pictures:
        return None
    caption = captions.context_figures(confidence(analysis), len(levels) - len(drawn))
    blocks: list[Block] = [
        Gallery(pictures=pictures, caption=caption),
        Fold(captions.EVERY_CONTEXT, [_context_table(analysis)]),
    ]
    blocks += _spread_blocks(analysis)
    blocks += covariate_blocks(analysis)
    finding = findings.contexts(analysis)
    return Section("contexts", leads.CONTEXTS, leads.CONTEXTS_LEAD, blocks, finding)


def _spread_blocks(analysis: Analysis) -> list[Block]:
    table = heterogeneity_table(analysis)
    if table is None:
        return []
    if not table.rows:
        return list(map(Paragraph, filter(None, table.footer.split("\n"))))
    return [Heading(captions.HETEROGENEITY), table]


def _context_table(analysis: Analysis) -> Table:
    labels, unit = factor_labels(analysis), subject_of(analysis).unit
    rows, below = parted(
        [(name, row) for name, response in analysis["responses"].items()
         for row in response.get("contexts", [])],
        lambda part: not absent(part[1]["estimate"]),
        lambda part: Unknown(
            labels.get(part[1]["factor"], part[1]["factor"]), part[1]["level"],
            told(part[1]["reason"], unit), part[1]["context"],
        ),
        every=len(comparisons(analysis)),
        everywhere=subject_of(analysis).contexts,
    )  # fmt: skip
    shown = rows[:MOST_ROWS]
    rest = [captions.rest_of_contexts(len(rows), MOST_ROWS)] if len(rows) > MOST_ROWS else []
    return Table(
        id="context-effects",
        caption=captions.CONTEXT_TABLE,
        columns=[
            Column("response"), Column("factor"), Column("level"), Column("context"),
            Column("effect", numeric=True), Column("interval", numeric=True),
            Column("se", numeric=True), Column("pairs", numeric=True),
        ],
        rows=[_context_entries(analysis["responses"][name], row, labels) for name, row in shown],
        keys=[
            [
                ("response", name), ("factor", row["factor"]), ("level", row["level"]),
                ("context", row["context"]),
            ]
            for name, row in shown
        ],
        footer="\n".join([*below, *rest]),
    )  # fmt: skip


def _context_entries(
    response: ResponseAnalysis, row: ContextEffect, labels: Mapping[str, str]
) -> list[Entry]:
    scale = scale_of(response)
    return [
        Text(sentence(response["label"])),
        Text(labels.get(row["factor"], row["factor"])),
        Text(row["level"], strong=True),
        Text(row["context"]),
        Quantity(scale.effect(row["estimate"]), row["estimate"]),
        IntervalEntry(scale.interval(row["low"], row["high"]), row["low"], row["high"]),
        Quantity(scale.plain(row["se"]), row["se"]),
        Quantity(f"{row['pairs']:,}", row["pairs"]),
    ]


def _context_picture(analysis: Analysis, level: Comparison) -> Picture | None:
    panels, responses = [], list(analysis["responses"].values())
    for response in responses:
        every = response.get("contexts", [])
        rows = [row for row in every if (row["factor"], row["level"]) == _key(level)]
        if any(not absent(row["estimate"]) for row in rows):
            mean = find_effect(response["effects"], level, "narrow")
            scale = scale_of(response)
            alike = [part for part in responses if scale_of(part).unit == scale.unit]
            limits = limits_of([row for part in alike for row in part.get("contexts", [])])
            panels.append(ContextPanel(sentence(response["label"]), rows, mean, limits, scale))
    if not panels:
        return None
    identifier = f"contexts-{slug(level.factor)}-{slug(level.level)}"
    parts = (
        f"{part.label}, {row['context']}: {part.scale.effect(row['estimate'])}"
        for part in panels
        for row in part.rows
    )
    title = f"{level.name} vs {level.baseline}"
    return Picture(
        id=identifier,
        title=title,
        alt=alternatives.contexts(level.name, parts),
        draw=partial(draw_contexts, panels),
        data=lambda: figure_data(context_records(panels)),
    )


def _key(level: Comparison) -> tuple[str, str]:
    return level.factor, level.level


def heterogeneity_table(analysis: Analysis) -> Table | None:
    """How every average effect varies over every scope, and what a new level would show."""
    labels, unit = factor_labels(analysis), subject_of(analysis).unit
    every = [
        (name, row)
        for name, response in analysis["responses"].items()
        for row in response.get("heterogeneity", [])
    ]
    if not every:
        return None
    scoped = [(row["scope"], row["reason"]) for _, row in every]
    refused, sentences = missing_scopes(captions.SCOPED_SPREAD, scoped, unit)
    rows, below = parted(
        [part for part in every if tuple(part[1]["scope"]) not in refused],
        lambda part: not absent(part[1]["tau"]) or not absent(part[1]["prediction_low"]),
        lambda part: Unknown(
            labels.get(part[1]["factor"], part[1]["factor"]), part[1]["level"],
            told(part[1]["reason"], unit), _over(part[1]),
        ),
        len(comparisons(analysis)),
    )  # fmt: skip
    units = {scale_of(response).unit for response in analysis["responses"].values()}
    shown = units.pop() if len(units) == 1 else ""
    footers = (footers_of(part, unit).get("heterogeneity", "")
               for part in analysis["responses"].values())  # fmt: skip
    return Table(
        id="heterogeneity",
        caption=captions.HETEROGENEITY_TABLE,
        columns=[
            Column("response"), Column("factor"), Column("level"), Column("scope"),
            Column(captions.with_unit(captions.TAU, shown), numeric=True),
            Column(captions.I_SQUARED, numeric=True),
            Column(captions.with_unit(captions.NEW_LEVEL, shown), numeric=True),
        ],
        rows=[_varying(analysis["responses"][name], row, labels) for name, row in rows],
        keys=[
            [
                ("response", name), ("factor", row["factor"]), ("level", row["level"]),
                ("scope", " ".join(row["scope"])),
            ]
            for name, row in rows
        ],
        footer="\n".join([*below, *sentences]),
        computed=list(dict.fromkeys(filter(None, footers))),
    )  # fmt: skip


def _over(row: HeterogeneityRow) -> str:
    return scopes.over(row["scope"]) if row["scope"] else ""


def _varying(
    response: ResponseAnalysis, row: HeterogeneityRow, labels: Mapping[str, str]
) -> list[Entry]:
    scale, low, high = scale_of(response), row["prediction_low"], row["prediction_high"]
    return [
        Text(sentence(response["label"])),
        Text(labels.get(row["factor"], row["factor"])),
        Text(row["level"], strong=True),
        Text(_over(row)),
        Quantity(scale.plain(row["tau"]), row["tau"]),
        Quantity(percent(row["i2"]), row["i2"]),
        IntervalEntry(scale.interval(low, high), low, high),
    ]


def covariate_blocks(analysis: Analysis) -> list[Block]:
    """Effects against the covariates of blocking variables, a table per response."""
    tables = [
        _covariate_table(analysis, name, response, rows)
        for name, response in analysis["responses"].items()
        if (rows := response.get("covariates"))
    ]
    blocks: list[Block] = [table for table in tables if table.rows]
    lines = [line for table in tables if not table.rows for line in table.footer.split("\n")]
    blocks += map(Paragraph, filter(None, lines))
    return [Heading(captions.COVARIATES), *blocks] if blocks else []


def _covariate_table(
    analysis: Analysis, name: str, response: ResponseAnalysis, rows: Sequence[CovariateRow]
) -> Table:
    labels, unit, scale = factor_labels(analysis), subject_of(analysis).unit, scale_of(response)
    every = {(row["factor"], row["level"]) for row in rows}
    rows, below = parted(
        rows,
        lambda row: not absent(row["slope"]),
        lambda row: Unknown(
            labels.get(row["factor"], row["factor"]), row["level"], told(row["reason"], unit),
            scopes.covariate(row["covariate"], row["variable"], row["levels"]),
        ),
        len(every),
    )  # fmt: skip
    return Table(
        id=f"covariates-{slug(name)}",
        caption=captions.covariates(response["label"]),
        columns=[
            Column("factor"), Column("level"), Column("covariate"),
            Column(captions.with_unit("slope", scale.unit), numeric=True),
            Column("interval", numeric=True), Column("se", numeric=True),
            Column("df", numeric=True), Column("p", numeric=True), Column("prediction"),
        ],
        rows=[
            [
                Text(labels.get(row["factor"], row["factor"])),
                Text(row["level"], note=captions.against(row["baseline"]), strong=True),
                Text(scopes.covariate(row["covariate"], row["variable"], row["levels"])),
                Quantity(scale.effect(row["slope"]), row["slope"]),
                IntervalEntry(scale.interval(row["low"], row["high"]), row["low"], row["high"]),
                Quantity(scale.plain(row["se"]), row["se"]),
                Quantity(general(row["df"], 3), row["df"]),
                Quantity(p_value(row["p"]), row["p"]),
                Text(_predicted(row, scale)),
            ]
            for row in rows
        ],
        keys=[
            [("factor", row["factor"]), ("level", row["level"]), ("covariate", row["covariate"])]
            for row in rows
        ],
        footer="\n".join(below),
        computed=[captions.COVARIATE_FOOTER],
    )  # fmt: skip


def _predicted(row: CovariateRow, scale: Scale) -> str:
    return "; ".join(
        captions.prediction(
            round_number(part["at"]),
            scale.effect(part["estimate"]),
            scale.interval(part["low"], part["high"]),
            scale.interval(part["low_new"], part["high_new"]),
        )
        for part in row["predictions"]
    )
