"""The section on contexts: every effect inside every context, and how much effects vary."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ablatekit.analysis.core.lookup import Comparison, comparisons, find_effect
from ablatekit.analysis.core.schema.analysis import Analysis, ResponseAnalysis
from ablatekit.analysis.core.schema.effects import CovariateRow, HeterogeneityRow
from ablatekit.analysis.core.schema.vocabulary import Statement
from ablatekit.report.document import (
    Block,
    Column,
    Entry,
    Fold,
    Gallery,
    Heading,
    IntervalEntry,
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
    Unit,
    confidence,
    factor_labels,
    most_notable,
    subject_of,
)
from ablatekit.report.language.sentences import footers_of, told
from ablatekit.report.sections.configurations import plain_table_of

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
    table = heterogeneity_table(analysis)
    if table is not None:
        blocks += [Heading(captions.HETEROGENEITY), table]
    blocks += covariate_blocks(analysis)
    for name, response in analysis["responses"].items():
        plain = response.get("plain_contexts")
        if plain:
            scale, unit = scale_of(response), subject_of(analysis).unit
            rows = plain_table_of(name, response["label"], plain, scale, unit)
            blocks.append(Fold(captions.plain_fold(response["label"]), [rows]))
    return Section("contexts", leads.CONTEXTS, leads.CONTEXTS_LEAD, blocks)


def _context_table(analysis: Analysis) -> Table:
    labels, unit = factor_labels(analysis), subject_of(analysis).unit
    rows: list[list[Entry]] = []
    keys: list[list[tuple[str, str]]] = []
    for name, response in analysis["responses"].items():
        scale = scale_of(response)
        for row in response.get("contexts", []):
            rows.append(
                [
                    Text(sentence(response["label"])),
                    Text(labels.get(row["factor"], row["factor"])),
                    Text(row["level"], strong=True),
                    Text(row["context"], note=told(row["reason"], unit)),
                    Quantity(scale.effect(row["estimate"]), row["estimate"]),
                    IntervalEntry(scale.interval(row["low"], row["high"]), row["low"], row["high"]),
                    Quantity(scale.plain(row["se"]), row["se"]),
                    Quantity(f"{row['pairs']:,}", row["pairs"]),
                ]
            )
            keys.append(
                [
                    ("response", name), ("factor", row["factor"]), ("level", row["level"]),
                    ("context", row["context"]),
                ]
            )  # fmt: skip
    return Table(
        id="context-effects",
        caption=captions.CONTEXT_TABLE,
        columns=[
            Column("response"), Column("factor"), Column("level"), Column("context"),
            Column("effect", numeric=True), Column("interval", numeric=True),
            Column("se", numeric=True), Column("pairs", numeric=True),
        ],
        rows=rows,
        keys=keys,
    )  # fmt: skip


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
    rows: list[list[Entry]] = []
    keys: list[list[tuple[str, str]]] = []
    footers: list[str] = []
    for name, response in analysis["responses"].items():
        scale, refused = scale_of(response), _refused_scopes(response)
        for scope, reason in refused.items():
            footers.append(captions.refused_scope(scope, told(reason, unit)))
        for row in response.get("heterogeneity", []):
            if tuple(row["scope"]) in refused:
                continue
            factor = labels.get(row["factor"], row["factor"])
            rows.append(
                [Text(sentence(response["label"])), Text(factor), *_varying(row, scale, unit)]
            )
            keys.append(
                [
                    ("response", name), ("factor", row["factor"]), ("level", row["level"]),
                    ("scope", " ".join(row["scope"])),
                ]
            )  # fmt: skip
        footers.append(footers_of(response, unit).get("heterogeneity", ""))
    if not rows:
        return None
    units = {scale_of(response).unit for response in analysis["responses"].values()}
    shown = units.pop() if len(units) == 1 else ""
    return Table(
        id="heterogeneity",
        caption=captions.HETEROGENEITY_TABLE,
        columns=[
            Column("response"), Column("factor"), Column("level"), Column("scope"),
            Column(captions.with_unit(captions.TAU, shown), numeric=True),
            Column(captions.I_SQUARED, numeric=True),
            Column(captions.with_unit(captions.NEW_LEVEL, shown), numeric=True),
            Column("remark"),
        ],
        rows=rows,
        keys=keys,
        footer="\n".join(dict.fromkeys(filter(None, footers))) or captions.HETEROGENEITY_FOOTER,
    )  # fmt: skip


def _refused_scopes(response: ResponseAnalysis) -> dict[tuple[str, ...], Statement]:
    """Scopes over which no effect has a spread, with the reason of most."""
    rows: dict[tuple[str, ...], list[HeterogeneityRow]] = {}
    for row in response.get("heterogeneity", []):
        rows.setdefault(tuple(row["scope"]), []).append(row)
    refused = {}
    for scope, members in rows.items():
        reasons = [row["reason"] for row in members if row["reason"] is not None]
        if reasons and all(absent(row["tau"]) for row in members):
            refused[scope] = max(reasons, key=reasons.count)
    return refused


def _varying(row: HeterogeneityRow, scale: Scale, unit: Unit) -> list[Entry]:
    low, high = row["prediction_low"], row["prediction_high"]
    return [
        Text(row["level"], strong=True),
        Text(scopes.over(row["scope"]) if row["scope"] else ""),
        Quantity(scale.plain(row["tau"]), row["tau"]),
        Quantity(percent(row["i2"]), row["i2"]),
        IntervalEntry(scale.interval(low, high), low, high),
        Text(told(row["reason"], unit)),
    ]


def covariate_blocks(analysis: Analysis) -> list[Block]:
    """Effects against the covariates of blocking variables, a table per response."""
    tables = [
        _covariate_table(analysis, name, response, rows)
        for name, response in analysis["responses"].items()
        if (rows := response.get("covariates"))
    ]
    return [Heading(captions.COVARIATES), *tables] if tables else []


def _covariate_table(
    analysis: Analysis, name: str, response: ResponseAnalysis, rows: Sequence[CovariateRow]
) -> Table:
    labels, unit, scale = factor_labels(analysis), subject_of(analysis).unit, scale_of(response)
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
                Text(_predicted(row, scale), note=told(row["reason"], unit)),
            ]
            for row in rows
        ],
        keys=[
            [("factor", row["factor"]), ("level", row["level"]), ("covariate", row["covariate"])]
            for row in rows
        ],
        footer=captions.COVARIATE_FOOTER,
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
